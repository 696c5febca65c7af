"""Seeds to a verdict: pooled figures, bootstrap intervals over seeds, met or missed.

Here: the arithmetic of ALGORITHMS 7.6. Not here: what is measured, how it is shown (`report`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from gateway.bench.store.gates import Gate

Figures = Mapping[str, float]
Pooled = Callable[[Sequence[Figures]], Figures]

RESAMPLES: Final = 10_000
INTERVAL: Final = 0.95
BOOTSTRAP_SEED: Final = 7


class Verdict(NamedTuple):
    """One row of the table; `value` None: nobody measures it."""

    gate: Gate
    value: float | None
    low: float
    high: float
    words: str


def judge(gates: Sequence[Gate], seeds: Sequence[Figures], pooled: Pooled) -> list[Verdict]:
    """The verdicts of one channel's gates. `pooled` makes the figures of several seeds together."""
    whole = pooled(seeds)
    rng = Random(BOOTSTRAP_SEED)
    rows = tuple(gate.figure[: gate.figure.rfind(".") + 1] for gate in gates)
    # a month has hundreds of figures: only what the rows of these gates are made of is drawn
    judged = [
        {name: x for name, x in seed.items() if name.startswith(rows) or "." not in name}
        for seed in seeds
    ]
    draws = [pooled(rng.choices(judged, k=len(judged))) for _ in range(RESAMPLES)]
    return [_verdict(gate, whole, draws, seeds) for gate in gates]


def _verdict(
    gate: Gate, whole: Figures, draws: Sequence[Figures], seeds: Sequence[Figures]
) -> Verdict:
    value = whole.get(gate.figure)
    if value is None:
        return Verdict(gate, None, 0.0, 0.0, "absent")
    drawn = sorted(draw[gate.figure] for draw in draws if gate.figure in draw)
    tail = (1 - INTERVAL) / 2
    low, high = drawn[int(tail * len(drawn))], drawn[int((1 - tail) * (len(drawn) - 1))]
    if gate.sense == "==":
        right = all(seed.get(gate.figure, 0.0) == gate.limit for seed in seeds)
        return Verdict(gate, value, low, high, "met" if right else "missed")
    bad_end = low if gate.sense == ">=" else high
    if not _reaches(gate, value):
        return Verdict(gate, value, low, high, "missed")
    return Verdict(gate, value, low, high, "met" if _reaches(gate, bad_end) else "met, not secured")


def _reaches(gate: Gate, value: float) -> bool:
    return value >= gate.limit if gate.sense == ">=" else value <= gate.limit
