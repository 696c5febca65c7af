"""The RFID bench: radio and people do what physics says, and judgement is exact."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from gateway.bench.store import rfid
from gateway.bench.store.browsing import Body, Crowd, Day, Floor, Laid, Piece, browse
from gateway.bench.store.present import Noticed, Score
from gateway.bench.store.smurf import Smurf, Timeout
from gateway.bench.store.tags import Antennas, Lost, Outage, Radio, Report

NOBODY = Crowd(1e9, 1.0)
PLAIN = Radio(0.8, 0.0, references=False)


def lying(*places: float, zones: int = 2, bodies: tuple[Body, ...] = ()) -> Day:
    """Pieces T0, T1, … in zone 0, which these people hide."""
    laid = [Laid(0, Piece(1, (f"T{nth}",)), 0, place) for nth, place in enumerate(places)]
    return Day(laid, [list(bodies), *([] for _ in range(zones - 1))])


def reports(
    day: Day, radio: Radio, seconds: float, away: tuple[Outage, ...] = ()
) -> list[Report | Lost]:
    return list(Antennas(day, radio, Random(5)).reports(seconds, away))


def share(heard: list[Report | Lost], tag: str, zone: int, visits: float) -> float:
    """Of the visits of a zone, those that read a tag."""
    return sum(
        isinstance(one, Report) and one.zone == zone and any(read[0] == tag for read in one.tags)
        for one in heard
    ) / visits  # fmt: skip


def test_a_tag_is_read_as_often_as_the_level_says() -> None:
    heard = reports(lying(0.5, 0.5), PLAIN, 4000)
    assert share(heard, "T0", 0, 4000) == pytest.approx(0.8, abs=0.02)
    both = sum(isinstance(one, Report) and len(one.tags) == 2 for one in heard) / 4000
    assert both == pytest.approx(0.64, abs=0.03)  # nobody in between: misses are independent


def test_weak_tags_stay_weak() -> None:
    heard = reports(lying(*[0.5] * 40), replace(PLAIN, spread=0.4), 500)
    shares = sorted(share(heard, f"T{nth}", 0, 500) for nth in range(40))
    assert shares[2] < 0.65
    assert shares[-3] > 0.90


def test_a_body_hides_what_lies_behind_it_together() -> None:
    body = Body(100, 2100, 0.0, 0.5)
    heard = reports(lying(0.1, 0.2, 0.9, bodies=(body,)), PLAIN, 2102)
    during = [one for one in heard if 100.5 < one.at_s < 2099]
    assert share(during, "T0", 0, 2000) == pytest.approx(0.04, abs=0.02)
    assert share(during, "T2", 0, 2000) == pytest.approx(0.80, abs=0.04)


def test_strays_are_as_frequent_as_said_and_more_so_near_the_edge() -> None:
    heard = reports(lying(*[0.05] * 20, *[0.95] * 20), replace(PLAIN, stray=0.02), 2000)
    strays = Counter(
        int(read[0][1:]) >= 20
        for one in heard if isinstance(one, Report) and one.zone == 1
        for read in one.tags
    )  # fmt: skip
    assert strays.total() / (40 * 2000) == pytest.approx(0.02, abs=0.002)
    assert strays[True] > 10 * strays[False]


def test_signal_strength_spreads_as_said() -> None:
    heard = reports(lying(0.5), replace(PLAIN, rssi_sd_db=6), 4000)
    levels = [read[1] / 100 for one in heard if isinstance(one, Report) for read in one.tags]
    mean = sum(levels) / len(levels)
    spread = (sum((level - mean) ** 2 for level in levels) / len(levels)) ** 0.5
    assert spread == pytest.approx(6, abs=0.3)


def test_outages_silence_what_they_should() -> None:
    away = (Outage(10, 40, "silent"), Outage(50, 80, "announced"), Outage(90, 120, "stalled"))
    heard = reports(lying(0.5, 0.5, 0.5), replace(PLAIN, read=0.999), 140, away)
    at_s = [one.at_s for one in heard if isinstance(one, Report)]
    assert not any(10 < at < 40 or 50 < at < 80 or 91 < at < 119.9 for at in at_s)
    assert [one.at_s for one in heard if isinstance(one, Lost)] == [56]
    stuck = [one for one in heard if isinstance(one, Report) and 90.3 < one.seen_s < 119]
    assert len(stuck) in range(28, 31)
    assert all(120 <= one.at_s < 121 for one in stuck)
    assert at_s == sorted(at_s)


def test_what_is_taken_is_read_no_more() -> None:
    day = lying(0.5, 0.5)
    day.laid.append(Laid(100, day.laid[0].piece, None))
    heard = reports(day, PLAIN, 400)
    assert share([one for one in heard if one.at_s > 100.5], "T0", 0, 300) == 0
    assert share([one for one in heard if one.at_s > 100.5], "T1", 0, 300) > 0.7


def test_a_day_has_picks_put_backs_sweeps_and_moves_and_never_two_places() -> None:
    floor = Floor(7200, Crowd(60, 8))
    day = browse(floor, Random(3))
    where: dict[Piece, int | None] = {}
    kinds: Counter[str] = Counter()
    for laid in day.laid:
        was = where.get(laid.piece)
        assert (was is None) != (laid.zone is None)  # it lies in one place, or in none
        if laid.zone is not None and laid.piece in where:
            kinds["back"] += 1
        kinds["left" if laid.zone is None else "laid"] += 1
        where[laid.piece] = laid.zone
    assert kinds["left"] > 150
    assert kinds["back"] > 10
    assert len(day.sweeps) >= 3
    sizes = Counter(len(laid.piece.tags) for laid in day.laid)
    assert 0 < sizes[0] + sizes[2] < 0.08 * sizes.total()
    hidden = sum(body.end_s - body.start_s for body in day.bodies[0]) / floor.seconds
    assert 0.08 < hidden < 0.25
    assert day.laid[-1].at_s <= floor.seconds


def test_judgement_is_exact() -> None:
    score = Score(from_s=0.0)
    score.truth(0, "T", 1)
    score.present(5, "T", 1)  # 5 s wrong
    score.held(5, "T", 1)
    score.present(50, "T", None)  # false
    score.present(52, "T", 1)  # 2 s wrong
    score.truth(100, "T", None)
    score.present(113, "T", None)  # 13 s wrong
    score.held(200, "T", None)
    score.end(300)
    assert (score.present_s, score.wrong_s) == (100, 20)
    assert (score.held_s, score.right_s) == (95, 95)
    assert score.exits == [(50, "T")]
    assert score.departures == []
    assert score.noticed == [Noticed(100, "T", 13)]


def test_a_tag_given_up_while_it_lies_there_is_a_false_departure() -> None:
    score = Score(from_s=0.0)
    score.truth(0, "T", 1)
    score.present(0, "T", 1)
    score.held(0, "T", 1)
    score.present(20, "T", None)
    score.held(140, "T", None)
    assert (score.exits, score.departures) == ([(20, "T")], [(140, "T")])


def test_goods_moved_to_another_zone_are_right_there_and_left_the_first() -> None:
    score = Score(from_s=0.0)
    score.truth(0, "T", 1)
    score.present(0, "T", 1)
    score.held(0, "T", 1)
    score.truth(10, "T", None)
    score.truth(30, "T", 2)
    score.present(32, "T", None)  # of the first zone: rightly
    score.present(40, "T", 2)
    score.held(40, "T", 2)
    score.end(60)
    assert score.exits == []
    assert (score.held_s, score.right_s) == (40, 30)


def test_a_timeout_counts_from_the_last_read() -> None:
    timeout = Timeout(30)
    assert list(timeout.heard(Report(10, 0, 10, [("T", 0, 1)]))) == [(10, "T", 0)]
    assert list(timeout.heard(Report(20, 0, 20, [("T", 0, 1)]))) == []
    assert list(timeout.until(49.9)) == []
    assert list(timeout.until(60)) == [(50, "T", None)]


def test_smurf_fills_short_gaps_and_lets_go_of_long_ones() -> None:
    smurf = Smurf(0.05)
    changes = []
    for second in range(200):
        there = second % 5 != 0 if second < 150 else False  # four reads of five, then none
        tags = [("T", 0, 1)] if there else []
        changes += smurf.heard(Report(second, 0, second, [*tags, ("other", 0, 1)]))
    mine = [(at_s, zone) for at_s, tag, zone in changes if tag == "T"]
    assert [zone for _, zone in mine] == [0, None]
    assert 150 < mine[-1][0] <= 156


def test_the_same_seed_gives_the_same_and_the_core_is_better_than_a_timeout() -> None:
    radio, crowd, _ = rfid.CHANNELS["L2"]
    floor = Floor(900, crowd, facing=5)
    first, again = (dict(rfid.judged(floor, radio, 7)) for _ in range(2))
    other = dict(rfid.judged(floor, radio, 8))
    assert first[""].wrong_s == again[""].wrong_s != other[""].wrong_s
    assert first[""].present_s == pytest.approx(first["fixed30."].present_s)
    assert first[""].present_s > 36_000
    assert first[""].wrong_s < first["fixed30."].wrong_s
    assert len(first[""].exits) < len(first["smurf0.05."].exits)


def test_counts_of_seeds_pool_and_times_do_not_add() -> None:
    one = rfid.derived({"R2.false": 1, "R2.tag_hours": 10}) | {"R4.p50_s": 10, "R4/zone.max_s": 50}
    two = rfid.derived({"R2.false": 5, "R2.tag_hours": 10}) | {"R4.p50_s": 20, "R4/zone.max_s": 40}
    assert one["R2.per_tag_hour"] == 0.1
    both = rfid.pooled([one, two])
    assert (both["R2.per_tag_hour"], both["R4.p50_s"], both["R4/zone.max_s"]) == (0.3, 15, 50)


def test_an_unknown_level_is_none() -> None:
    with pytest.raises(KeyError):
        rfid.measure(1, "L9")
