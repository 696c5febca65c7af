"""The weight bench judges fairly: its samples show the truth it tells, its rules are those of 7."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean, median

import pytest

from drivers.sim.levels import L1, L2
from gateway.bench.store import aim3s, aisle, booked, plates, weight
from gateway.bench.store.aisle import Movement, Shelf, Shelving
from gateway.bench.store.plates import Change, Channel, Gesture, Sku

SILENT = replace(
    L2, white_g=0.0, thermal_g=0.0, walk_g=0.0, creep=0.0, spikes=0.0, touches_per_h=0.0,
    bumps_per_h=0.0, cross_talk=(0.02, 0.02), straddles=0.0,
)  # fmt: skip
TIN = Sku(aisle.gtin(1), 302.0, 0.01, 300.0, 3.0)
JAR = Sku(aisle.gtin(2), 120.0, 0.01, 120.0, None)


# --- physics ------------------------------------------------------------------------------------


def test_what_a_stream_tells_as_truth_its_samples_show() -> None:
    seen = plates.stream(Channel(SILENT, 20), TIN, 30, Random(3), single=False)
    ends_s = [8.0, *(change.at_s + 2.5 for change in seen.changes)]
    levels = [
        fmean(m for t, m in seen.samples if end_s <= t / 1e9 < end_s + 1.0) for end_s in ends_s
    ]
    shown = [after - before for before, after in pairwise(levels)]
    assert shown == pytest.approx([change.mass_g * 1000.0 for change in seen.changes], abs=400.0)
    assert len(shown) == 30


def test_a_hand_is_as_brief_as_the_table_says_and_a_slow_removal_is_not() -> None:
    rng = Random(1)
    reaches = [plates.reach(L2, rng, 0.0, 1) for _ in range(4000)]
    slow = [one for one in reaches if one.ramp_s > 1.0]
    assert all(0.25 <= one.lasts_s <= 1.5 for one in reaches)
    assert 0.04 < len(slow) / len(reaches) < 0.06
    assert all(3.0 <= one.release_s + one.ramp_s <= 6.0 for one in slow)
    assert all(60.0 <= abs(one.hand_g) <= 300.0 for one in reaches)


def test_the_goods_are_those_of_the_world() -> None:
    rng = Random(2)
    masses = [plates.world_mass_g(rng) for _ in range(4000)]
    assert median(masses) == pytest.approx(133.0, rel=0.06)
    assert min(masses) == 15.0
    assert max(masses) == 1500.0
    assert min(plates.world_mass_g(rng, 200.0) for _ in range(300)) >= 200.0
    goods = [plates.sku("", 100.0, L2, rng) for _ in range(4000)]
    assert median(one.cv for one in goods) == pytest.approx(0.013, rel=0.1)
    off = [abs(one.told_g / one.mean_g - 1.0) for one in goods]
    assert sum(share >= 0.05 for share in off) / len(off) == pytest.approx(0.2, abs=0.03)
    assert max(off) <= 0.07
    assert all(one.told_sd_g is None for one, share in zip(goods, off, strict=True) if share > 0.01)
    assert max(abs(one.told_g / one.mean_g - 1.0) for one in
               (plates.sku("", 100.0, L1, rng) for _ in range(500))) <= 0.01  # fmt: skip


def test_neighbours_feel_goods_and_hands_but_not_beyond_their_bay() -> None:
    shelves = [Shelf(f"p{n}", "b", n, (TIN,)) for n in (1, 2, 3)] + [Shelf("q", "c", 4, (TIN,))]
    shelving = Shelving(shelves, SILENT, Random(1))
    before = {place: cell.sample_g(0.0) for place, cell in shelving.cells.items()}
    gesture = Gesture(1.0, 1.0, 300.0, 0.4, 0.2)
    shelving.handle("p2", gesture, {"p2": -200.0, "p3": -100.0})
    pressed = {place: cell.sample_g(1.3) - before[place] for place, cell in shelving.cells.items()}
    after = {place: cell.sample_g(9.0) - before[place] for place, cell in shelving.cells.items()}
    assert after == pytest.approx({"p1": -4.0, "p2": -202.0, "p3": -104.0, "q": 0.0}, abs=0.01)
    assert pressed["p2"] > 150.0
    assert 3.0 < pressed["p1"] < 6.1


# --- rules --------------------------------------------------------------------------------------


def test_a_raw_step_is_a_hit_by_sign_mass_and_time_once() -> None:
    truth = [Change(10.0, -53.0), Change(14.0, -53.0), Change(30.0, 20.0), Change(50.0, -400.0)]
    found = [
        Change(11.0, -39.7),  # 13.3 g off: more than a quarter
        Change(11.2, -40.0),
        Change(15.0, -66.0),
        Change(15.1, -53.0),
        Change(31.0, 25.9),
        Change(56.0, -400.0),
    ]
    assert plates.matched(truth, found) == [1, 2, 4, -1]
    assert plates.matched([Change(0.0, -20.0)], [Change(1.0, 20.0)]) == [-1]
    assert plates.matched([], found) == []


def test_a_movement_is_right_as_a_whole_or_not_at_all() -> None:
    true = [Movement(10.0, "a", "x", -1), Movement(12.0, "a", "x", -1), Movement(20.0, "a", "y", 2)]
    found = [
        Movement(11.0, "a", "x", -1),
        Movement(21.0, "a", "y", 1),
        Movement(21.0, "b", "y", 2),
        Movement(12.5, "a", "x", -1),
        Movement(13.0, "a", "x", -1),
        Movement(26.0, "a", "y", 2),
    ]
    assert booked.right(true, found) == [True, False, False, True, False, False]


def test_ratios_are_of_sums_and_times_are_averaged() -> None:
    one = weight.derived({"W1.hits": 9.0, "W1.truth": 10.0, "W1.found": 9.0}) | {"W3.p50_s": 1.0}
    two = weight.derived({"W1.hits": 0.0, "W1.truth": 30.0, "W1.found": 0.0}) | {"W3.p50_s": 2.0}
    assert (one["W1.precision"], one["W1.recall"]) == (1.0, 0.9)
    assert "W1.precision" not in two
    both = weight.pooled([one, two])
    assert (both["W1.precision"], both["W1.recall"], both["W3.p50_s"]) == (1.0, 0.225, 1.5)
    assert weight.percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert weight.percentile([], 0.5) == float("inf")


def test_calibration_is_the_distance_of_belief_from_success_by_bins() -> None:
    counts = dict.fromkeys(
        (f"W8.{part}{n}" for part in ("n", "right", "conf") for n in range(8)), 0.0
    )
    counts |= {"W8.n1": 10.0, "W8.right1": 9.0, "W8.conf1": 6.5,
               "W8.n7": 30.0, "W8.right7": 29.0, "W8.conf7": 29.9}  # fmt: skip
    assert booked.derived("W8", counts) == pytest.approx({"W8.ece": (2.5 + 0.9) / 40.0})


def test_the_baseline_finds_what_its_paper_says_and_misses_what_is_light() -> None:
    def level(step_g: float) -> list[float]:
        return [1000.0] * 300 + [1000.0 + step_g] * 300

    heavy = aim3s.steps(level(-400.0), 60)
    assert [round(step.mass_g) for step in heavy] == [-400]
    assert 5.0 < heavy[0].at_s < 7.5
    assert aim3s.steps(level(-53.0), 60) == []
    assert aim3s.steps([1000.0] * 600, 60) == []


# --- the chain ----------------------------------------------------------------------------------


def one_pick(hand_g: float) -> tuple[booked.Desk, list[booked.Decision]]:
    shelves = [Shelf("p1", "b", 1, (TIN,)), Shelf("p2", "b", 2, (JAR,))]
    desk = booked.Desk(shelves, 20)
    reach = aisle.Reach("p1", Gesture(6.0, 1.0, hand_g, 0.4, 0.2), {"p1": -302.0})
    script = aisle.Script(reaches=[reach], sales=[aisle.Sale(14.0, TIN.gtin)], until_s=16.0)
    booked.play(desk, Shelving(shelves, SILENT, Random(1)), script, 20)
    return desk, desk.decisions(16_000_000_000)


def test_a_pick_through_the_engine_is_one_decision_and_a_sale_is_none() -> None:
    desk, made = one_pick(200.0)
    assert [(one.booked.location, one.booked.gtin, one.booked.units) for one in made] == [
        ("p1", TIN.gtin, -1)
    ]
    assert made[0].at_once
    assert replace(made[0].believed, at_s=made[0].booked.at_s) == made[0].booked
    assert 7.0 < made[0].believed.at_s <= made[0].booked.at_s, "it waits for its neighbour"
    assert 7.0 < made[0].booked.at_s < 9.0
    assert desk.events_total == 2


def test_measure_is_deterministic_and_names_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("PLATES", 1), ("ACTS", 10), ("TOUCHES", 5), ("IDLE_SAMPLES", 4000),
                      ("ASKED", 30)):  # fmt: skip
        monkeypatch.setattr(weight, name, few)
    monkeypatch.setattr(booked, "EVENTS", 12)
    figures = weight.measure(7, "L2")
    assert figures == weight.measure(7, "L2")
    assert figures != weight.measure(8, "L2")
    rows = {
        "W1.precision", "W1.recall", "W1/60.recall", "W2.recall", "W2/60.precision", "W3.p50_s",
        "W3.p99_s", "W3/heavy.p50_s", "W4.per_plate_week", "W5/0.5.top1", "W5/1/exact.top1",
        "W5/2/single.top1", "W5/5/mismatch.top1", "W6.precision", "W6.coverage", "W6/s5.coverage",
        "W6/all.precision", "W7.recall", "W8.ece", "aim3s.W1/60.truth", "touches.per_touch",
    }  # fmt: skip
    assert rows - set(figures) == set()
    assert figures["W1.truth"] == 10.0
    assert figures["W6.events"] >= 12.0
