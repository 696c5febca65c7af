"""The harness of the store benchmark: pooled figures, intervals, verdicts, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.bench.machine import machine
from gateway.bench.store import harness
from gateway.bench.store.gates import GATES, MISMATCH, Gate, Mismatch
from gateway.bench.store.verdicts import compare, judge

RATIO = Gate("X1", "hits of truth", "x", "X1.recall", ">=", 0.9, per_cent=True)
ZERO = Gate("X2", "what never happens", "x", "X2.caused", "==", 0)


def pooled(seeds: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    hits, truth = (sum(seed.get(name, 0.0) for seed in seeds) for name in ("X1.hits", "X1.truth"))
    caused = sum(seed.get("X2.caused", 0.0) for seed in seeds)
    return {"X2.caused": caused} | ({"X1.recall": hits / truth} if truth else {})


def seeds(*hits: int, caused: int = 0) -> list[Mapping[str, float]]:
    return [
        {"X1.hits": n, "X1.truth": 100, "X2.caused": 0 if i else caused} for i, n in enumerate(hits)
    ]


def test_a_gate_is_met_when_the_bad_end_of_its_interval_is() -> None:
    (verdict,) = judge([RATIO], seeds(95, 94, 96, 95), pooled)
    assert (verdict.value, verdict.words) == (0.95, "met")
    assert 0.94 <= verdict.low <= verdict.value <= verdict.high <= 0.96


def test_a_mean_that_passes_alone_is_not_secured() -> None:
    (verdict,) = judge([RATIO], seeds(70, 100, 100, 100), pooled)
    assert (verdict.value, verdict.words) == (0.925, "met, not secured")
    (missed,) = judge([RATIO], seeds(70, 80, 100, 100), pooled)
    assert missed.words == "missed"


def test_a_zero_must_hold_on_every_seed() -> None:
    assert judge([ZERO], seeds(1, 1, 1), pooled)[0].words == "met"
    assert judge([ZERO], seeds(1, 1, 1, caused=1), pooled)[0].words == "missed"


def test_what_nobody_measures_is_absent() -> None:
    nobody = RATIO._replace(figure="X9.share")
    assert judge([nobody], seeds(1, 1), pooled)[0].words == "absent"


def test_the_mismatch_must_beat_the_best_of_the_baselines() -> None:
    row = Mismatch("X4", "off", "x", "X4.off", ("a.X4.off", "b.X4.off", "c.X4.off"))
    (beaten,) = compare([row], {"X4.off": 2.0, "a.X4.off": 3.0, "b.X4.off": 2.5})
    assert (beaten.best, beaten.words) == ("b.X4.off", "beats it")
    (level,) = compare([row], {"X4.off": 2.5, "b.X4.off": 2.5})
    assert level.words == "does not beat it"
    more = row._replace(more_is_better=True)
    assert compare([more], {"X4.off": 2.0, "a.X4.off": 3.0})[0].words == "does not beat it"
    assert compare([row], {"a.X4.off": 3.0}) == []


def test_every_gate_is_measured_and_the_table_shows_it() -> None:
    """One seed of the quickest channel, as the command runs it."""
    said: list[str] = []
    result = harness.run([7], "L2", ["fusion"], said.append)
    assert said == ["1 of 1: fusion, seed 7"]
    assert {v.gate for v in result.verdicts} == {g for g in GATES if g.channel == "fusion"}
    assert all(v.value is not None for v in result.verdicts)
    assert [c.row for c in result.comparisons] == [m for m in MISMATCH if m.channel == "fusion"]
    lines = list(harness.table(result))
    assert lines[0].startswith(machine().cpu)
    assert sum(line.startswith("| F1 |") for line in lines) == 4
    assert "till.F1.per_1000_sold" in lines[-1]
    again = harness.run([7], "L2", ["fusion"], said.append)
    assert again.figures == result.figures
