"""The two estimators of a plate: levels and steps (2.1, 2.2), products and quantities (2.3)."""

from __future__ import annotations

import random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.core.identify import AUTO_PPM, Candidate, identify
from gateway.core.plate_words import PlateRules, PlateState
from gateway.core.weigh import Plate
from gateway.domain.observation import WeightStep

MS = 1_000_000
SECOND = 1000 * MS


class Bench:
    """A plate under a load that changes as told, with uniform noise of a seed."""

    def __init__(self, rate_hz: int, noise_mg: int, seed: int, **rules: object) -> None:
        lightest = rules.get("lightest_mg", 50_000)
        self.plate = Plate(PlateRules("scale", "a1", rate_hz, lightest))  # type: ignore[arg-type]
        self._period_ns = SECOND // rate_hz
        self._noise_mg, self._chance = noise_mg, random.Random(seed)
        self.at_ns, self.load_mg = 0, 5_000_000
        self.steps: list[WeightStep] = []

    def rest(self, milliseconds: int, flags: tuple[str, ...] = ()) -> None:
        end = self.at_ns + milliseconds * MS
        while self.at_ns < end:
            self.at_ns += self._period_ns
            noise = self._chance.randint(-self._noise_mg, self._noise_mg)
            step = self.plate.weight(self.at_ns, self.load_mg + noise, None, flags)
            if step is not None:
                self.steps.append(step)

    def ramp(self, change_mg: int, milliseconds: int) -> None:
        start_mg, slices = self.load_mg, max(1, milliseconds // 50)
        for n in range(1, slices + 1):
            self.load_mg = start_mg + change_mg * n // slices
            self.rest(milliseconds // slices)


STEP = st.one_of(st.integers(20_000, 3_000_000), st.integers(-2_000_000, -20_000))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(STEP, st.integers(1500, 9000)), min_size=1, max_size=10),
    st.sampled_from([10, 20, 60]),
    st.sampled_from([0, 300, 900]),
    st.integers(0, 2**32),
)
def test_every_step_is_found_and_none_is_invented(
    changes: list[tuple[int, int]], rate_hz: int, noise_mg: int, seed: int
) -> None:
    bench = Bench(rate_hz, noise_mg, seed)
    bench.rest(3000)
    before = bench.plate.state
    assert before is not None
    for change, pause in changes:
        bench.load_mg += change
        bench.rest(pause + 500)
    assert len(bench.steps) == len(changes)
    for step, (change, _) in zip(bench.steps, changes, strict=True):
        assert abs(step.step_mg - change) <= 2 * noise_mg + 2
        assert step.began_ns <= step.at_ns <= step.began_ns + 2 * SECOND
        assert not step.outage
    after = bench.plate.state
    assert after is not None
    # no milligram is lost: what moved the baseline is a step or is in the drift total
    drift = after.drift_total_mg - before.drift_total_mg
    moved = after.baseline_mg - before.baseline_mg
    assert moved == drift + sum(step.step_mg for step in bench.steps)


@settings(deadline=None, max_examples=25)
@given(st.integers(3000, 6000), st.sampled_from([500, 1500]), st.integers(0, 2**32))
def test_a_slow_removal_is_one_step(length_ms: int, noise_mg: int, seed: int) -> None:
    bench = Bench(20, noise_mg, seed, lightest_mg=53_000)
    bench.rest(15_000)
    bench.ramp(-53_000, length_ms)
    bench.rest(4000)
    assert [abs(step.step_mg + 53_000) < 4000 for step in bench.steps] == [True]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(-60_000, 60_000), st.integers(100, 60_000)), max_size=5),
    st.sampled_from([0, 400, 1500]),
    st.integers(0, 2**32),
)
def test_no_milligram_is_lost_however_slowly_it_moves(
    ramps: list[tuple[int, int]], noise_mg: int, seed: int
) -> None:
    bench = Bench(10, noise_mg, seed)
    bench.rest(4000)
    before = bench.plate.state
    assert before is not None
    for change, length_ms in ramps:
        bench.ramp(change, length_ms)
        bench.rest(9000)
    after = bench.plate.state
    assert after is not None
    drift = after.drift_total_mg - before.drift_total_mg
    moved = after.baseline_mg - before.baseline_mg
    assert moved == drift + sum(step.step_mg for step in bench.steps)
    assert all(step.before_mg + step.step_mg < 6_000_000 for step in bench.steps)


@settings(deadline=None, max_examples=20)
@given(st.integers(-60, 60), st.integers(0, 2**32))
def test_drift_is_followed_and_told(rate_mg_per_s: int, seed: int) -> None:
    bench = Bench(10, 300, seed)
    bench.rest(5000)
    for _ in range(400):
        bench.load_mg += rate_mg_per_s // 2
        bench.rest(500)
    assert bench.steps == []
    state = bench.plate.state
    assert state is not None
    assert abs(state.baseline_mg - bench.load_mg) <= abs(rate_mg_per_s) * 21 + 400
    assert abs(state.drift_total_mg - (state.baseline_mg - 5_000_000)) <= 400


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(20_000, 400_000), max_size=6), st.integers(0, 2**32))
def test_hands_that_go_leave_nothing(presses: list[int], seed: int) -> None:
    bench = Bench(20, 400, seed)
    bench.rest(4000)
    for press in presses:
        bench.load_mg += press
        bench.rest(400)
        bench.load_mg -= press
        bench.rest(1500)
    assert bench.steps == []


@settings(deadline=None, max_examples=30)
@given(st.integers(-(10**6), 10**6), st.integers(0, 2**32), st.booleans())
def test_what_changed_in_an_outage_is_one_step_that_says_so(
    change: int, seed: int, restarted: bool
) -> None:
    assume(not 2000 < abs(change) < 9000)
    bench = Bench(10, 300, seed)
    bench.rest(4000)
    state = bench.plate.state
    assert state is not None
    if restarted:
        bench.plate = Plate(PlateRules("scale", "a1", 10, 50_000), PlateState(**_members(state)))
    else:
        bench.plate.lost()
    bench.load_mg += change
    bench.at_ns += 3600 * SECOND
    bench.rest(4000)
    assert [step.outage for step in bench.steps] == [True] * (abs(change) > 9000)


def _members(state: PlateState) -> dict[str, int]:
    return {name: getattr(state, name) for name in state.__struct_fields__}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * SECOND),
            st.integers(-(10**10), 10**10),
            st.sampled_from([None, True, False]),
            st.sampled_from([(), ("over",), ("zero",), ("error", "motion")]),
        )
    )
)
def test_no_weight_raises(
    readings: list[tuple[int, int, bool | None, tuple[str, ...]]],
) -> None:
    plate, at_ns = Plate(PlateRules("scale", "a1", 10, None)), 0
    for pause, mass_mg, stable, flags in readings:
        at_ns += pause
        plate.weight(at_ns, mass_mg, stable, flags)
        plate.tare(at_ns)


# --- identification ---------------------------------------------------------------------------

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.sampled_from([f"{n:014d}" for n in range(9)]),
        st.integers(1, 3_000_000),
        st.integers(0, 50_000),
        st.integers(0, 50_000),
        st.integers(0, 1_000_000),
        st.integers(0, 40),
        st.integers(1, 60),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.gtin,
)


@settings(deadline=None)
@given(st.integers(-(10**8), 10**8), st.integers(0, 50_000), CANDIDATES, st.randoms())
def test_belief_is_a_distribution(
    step_mg: int, sigma_mg: int, candidates: list[Candidate], chance: random.Random
) -> None:
    rows = identify(step_mg, sigma_mg, candidates)
    assert 1 <= len(rows) <= 4
    assert sum(row.ppm for row in rows) <= 1_000_000
    assert [row.ppm for row in rows] == sorted((row.ppm for row in rows), reverse=True)
    assert all(isinstance(row.ppm, int) and row.ppm >= 0 for row in rows)
    assert len({(row.gtin, row.units) for row in rows}) == len(rows)
    shuffled = candidates[:]
    chance.shuffle(shuffled)
    assert identify(step_mg, sigma_mg, shuffled) == rows
    assert identify(-step_mg, sigma_mg, candidates) == rows


@given(st.integers(50_000, 1_500_000), st.integers(1, 2), st.integers(0, 1000))
def test_one_product_at_its_own_mass_is_certain(mass: int, units: int, sigma_mg: int) -> None:
    only = Candidate("06901234560015", mass, 0, mass * 6 // 100, 1_000_000, 10, 8)
    best = identify(-mass * units, sigma_mg, [only])[0]
    assert (best.gtin, best.units) == ("06901234560015", units)
    assert best.ppm >= AUTO_PPM


def test_twins_share_the_belief() -> None:
    twins = [Candidate(f"{n:014d}", 500_000, 5_000, 10_000, 500_000, 10, 8) for n in (1, 2)]
    rows = identify(-500_000, 500, twins)
    assert rows[0].ppm == rows[1].ppm < 500_001
    assert identify(-500_000, 500, [])[0].gtin == ""


def test_what_the_book_does_not_hold_is_less_likely() -> None:
    there = Candidate("00000000000001", 500_000, 5_000, 10_000, 500_000, 10, 8)
    gone = Candidate("00000000000002", 500_000, 5_000, 10_000, 500_000, 0, 8)
    rows = identify(-500_000, 500, [gone, there])
    assert (rows[0].gtin, rows[1].gtin) == (there.gtin, gone.gtin)
    assert rows[0].ppm > 15 * rows[1].ppm
