"""Steps of plates side by side, at the same time: one thing over several, or several things.

Here: the competition of all ways to part a run of steps into happenings (ALGORITHMS 2.7): a
happening of several plates is one product whose mass is the sum of their steps, wherever it lay;
one of a single plate is judged as ever; all in one normalisation with "unexplained". Pure, integers
only. Not here: which steps belong together (`bays`), what is posted (`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway.core.identify import (
    EXP_ONE,
    UNEXPLAINED,
    Candidate,
    believe,
    density,
    hypotheses,
    noise_mg2,
)
from gateway.domain.observation import Row, WeightStep
from gateway.domain.reading import Word
from gateway.domain.units import exp_scaled, ln_mnat, sqrt_floor

STRADDLE_MAX: Final = 3
"""Plates that one thing rests on at most."""
TOGETHER_MIN: Final = 3
"""So many plates that move at once, one of them for no reason, were moved by no goods at all."""
WANDER_MG: Final = 2000
"""What a plate's level wanders between two settled ones, beside its noise."""
CROSS_TALK_PPM: Final = 15_000
"""What a plate feels of its neighbour's load: it is felt twice, and taken off again."""
CROSS_TALK_ERROR_PPM: Final = 10_000
"""How uncertain that is: not every bay is built alike."""
APART_PPM: Final = 100_000
"""Prior of each further happening in a bay within the same second, against one alone."""
CROSS_TALK_PERCENT: Final = 3
"""A step below this share of the largest beside it is cross-talk, and no happening."""
ROWS_MAX: Final = 4
NOTHING: Final = "-"
"""The row of a step that is noise, drift and cross-talk, and no happening."""
_PPM: Final = 1_000_000

Steps = Sequence[WeightStep]
_Judged = tuple[tuple[Row, ...], int]


class Happening(Word, frozen=True):
    """Steps that one movement explains best, and what it may have been, best first."""

    steps: tuple[WeightStep, ...]
    rows: tuple[Row, ...]


def real(steps: Steps) -> list[WeightStep]:
    """The steps without what is cross-talk of a larger one."""
    largest = max((abs(step.step_mg) for step in steps), default=0)
    return [s for s in steps if abs(s.step_mg) * 100 >= largest * CROSS_TALK_PERCENT]


def summed(steps: Steps) -> WeightStep:
    """One step in the place of several: at the plate that moved most, with the sum of all.

    They are one thing, in order of position: what each feels of the others is taken off.
    """
    main = max(steps, key=lambda step: abs(step.step_mg))
    felt_mg = sum(_felt_mg(steps, n) for n in range(len(steps)))
    sign = -1 if main.step_mg < 0 else 1
    return WeightStep(
        at_ns=max(step.at_ns for step in steps),
        device=main.device,
        ref=main.ref,
        location=main.location,
        began_ns=min(step.began_ns for step in steps),
        before_mg=main.before_mg,
        step_mg=sum(step.step_mg for step in steps) - sign * felt_mg,
        sigma_mg=sqrt_floor(sum(step.sigma_mg**2 for step in steps)),
        outage=any(step.outage for step in steps),
    )


def _felt_mg(steps: Steps, n: int, ppm: int = CROSS_TALK_PPM) -> int:
    """What one of several plates side by side feels of its neighbours."""
    beside = (*steps[max(0, n - 1) : n], *steps[n + 1 : n + 2])
    return sum(abs(step.step_mg) for step in beside) * ppm // _PPM


def judge(run: Steps, candidates: Callable[[Steps], Sequence[Candidate]]) -> list[Happening]:
    """The likeliest parting of a run of steps of one direction, in order of position.

    Each row's belief is that of the largest step in all partings: the product of what the steps
    say and what the parting itself is worth. Never raises.
    """
    count = len(run)
    cells: dict[tuple[int, int], _Judged] = {
        (i, j): _together(run, i, j, candidates(run[i:j]))
        for i in range(count)
        for j in range(i + 1, min(count, i + STRADDLE_MAX) + 1)
    }
    before, after = [0] * (count + 1), [0] * (count + 1)
    for j in range(1, count + 1):
        before[j] = _log_sum([before[i] + cells[i, j][1] for i in range(j) if (i, j) in cells])
    for i in range(count - 1, -1, -1):
        ends = range(i + 1, count + 1)
        after[i] = _log_sum([cells[i, j][1] + after[j] for j in ends if (i, j) in cells])
    shares = {
        (i, j): exp_scaled(min(0, before[i] + weight + after[j] - before[count]))
        for (i, j), (_, weight) in cells.items()
    }
    found = []
    for i, j in _best(cells, count):
        main = max(range(i, j), key=lambda n: abs(run[n].step_mg))
        rows = _pooled([(cells[cell][0], shares[cell]) for cell in cells if main in range(*cell)])
        if rows[0].gtin != NOTHING:
            found.append(Happening(tuple(run[i:j]), rows))
    if count >= TOGETHER_MIN and any(one.rows[0].gtin == UNEXPLAINED for one in found):
        return [Happening(one.steps, (Row(UNEXPLAINED, 0, _PPM),)) for one in found]
    return found


def _pooled(ways: Sequence[tuple[tuple[Row, ...], int]]) -> tuple[Row, ...]:
    """What a step was, over all partings: the same product counts together however it lay."""
    ppm: dict[tuple[str, int], int] = {}
    for rows, share in ways:
        for row in rows:
            key = (row.gtin, row.units)
            ppm[key] = ppm.get(key, 0) + row.ppm * share // EXP_ONE
    ranked = sorted(ppm.items(), key=lambda one: (-one[1], one[0]))[:ROWS_MAX]
    return tuple(Row(gtin, units, min(_PPM, each)) for (gtin, units), each in ranked)


def _best(cells: dict[tuple[int, int], _Judged], count: int) -> list[tuple[int, int]]:
    """The one best parting; of equals the one of fewer happenings."""
    best: list[tuple[int, int, list[tuple[int, int]]]] = [(0, 0, [])]
    for j in range(1, count + 1):
        ways = []
        for i in range(j):
            if (i, j) in cells:
                score, parts, way = best[i]
                ways.append((score + cells[i, j][1], parts - 1, [*way, (i, j)]))
        best.append(max(ways, key=lambda way: way[:2]))
    return best[count][2]


def _together(run: Steps, i: int, j: int, candidates: Sequence[Candidate]) -> _Judged:
    """The steps i to j as one happening: rows, and the logarithm of their sum."""
    steps = run[i:j]
    load = abs(sum(step.step_mg for step in steps))
    felt = sum(_felt_mg(run, n) for n in range(i, j))
    error = sum(_felt_mg(run, n, CROSS_TALK_ERROR_PPM) ** 2 for n in range(i, j))
    noise = noise_mg2(load, [step.sigma_mg for step in steps]) + error
    single = len(steps) == 1
    rows, weight = believe(hypotheses(max(0, load - felt), noise, candidates, pairs=single))
    weight += ln_mnat(APART_PPM, _PPM)
    # Wherever it lay: any split of the load over the plates is as likely as another.
    for n in range(1, len(steps)):
        weight += ln_mnat(n, max(1, load))
    if single and (nothing := density(load, felt, noise + WANDER_MG**2)) > weight:
        return (Row(NOTHING, 0, _PPM),), nothing
    return rows, weight


def _log_sum(scores: Sequence[int]) -> int:
    best = max(scores)
    return best + ln_mnat(sum(exp_scaled(score - best) for score in scores), EXP_ONE)
