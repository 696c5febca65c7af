"""Seeds to a verdict: pooled figures, bootstrap intervals over seeds, met or missed.

Here: the arithmetic of ALGORITHMS 7.6. Not here: what is measured, how it is shown (`report`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from gateway.bench.store.gates import Gate, Mismatch

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


class Comparison(NamedTuple):
    """One row of the model mismatch: ours against the best baseline of the same run."""

    row: Mismatch
    value: float
    best: str
    """Name of the baseline's figure."""
    best_value: float
    words: str


def judge(
    gates: Sequence[Gate], seeds: Sequence[Figures], pooled: Pooled, resamples: int = RESAMPLES
) -> list[Verdict]:
    """The verdicts of one channel's gates. `pooled` makes the figures of several seeds together.

    What stands before the last dot of a figure's name is its row, and no figure is made from
    another row: that is what keeps ten thousand draws cheap.
    """
    rng = Random(BOOTSTRAP_SEED)
    many = range(len(seeds))
    picks = [rng.choices(many, k=len(seeds)) for _ in range(resamples)]
    drawn: dict[str, list[Figures]] = {}
    verdicts = []
    for gate in gates:
        row = gate.figure.rpartition(".")[0]
        rows = [{k: v for k, v in seed.items() if k.rpartition(".")[0] in ("", row)}
                for seed in seeds]  # fmt: skip
        whole = pooled(rows) if rows[0] else {}
        if row not in drawn:
            still = all(one == rows[0] for one in rows)
            draws = [] if still else picks
            drawn[row] = [pooled([rows[i] for i in pick]) for pick in draws] or [whole]
        verdicts.append(_verdict(gate, whole, drawn[row], rows))
    return verdicts


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


def compare(rows: Sequence[Mismatch], whole: Figures) -> list[Comparison]:
    """The model mismatch of a channel, of its pooled figures; what was not measured is left out."""
    out = []
    for row in rows:
        value, better = whole.get(row.figure), max if row.more_is_better else min
        rivals = {name: whole[name] for name in row.baselines if name in whole}
        if value is None or not rivals:
            continue
        best = better(rivals, key=lambda name: rivals[name])
        beats = better(value, rivals[best]) == value != rivals[best]
        words = "beats it" if beats else "does not beat it"
        out.append(Comparison(row, value, best, rivals[best], words))
    return out
