"""Presence by exposure: who is here, who is leaving, and that silence without visits is nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from gateway.core import presence, visits
from gateway.core.presence import TagMove, ZoneRules, Zones

S = 1_000_000_000
SHELF, TILL = 1, 2


def zone(antenna: int) -> ZoneRules:
    if antenna == TILL:
        return ZoneRules(antenna, "till-1", confirm_s=30, floor_s=4)
    return ZoneRules(antenna, f"a{antenna}")


class Room:
    """Zones, and a hand that plays seconds of reads into them."""

    def __init__(self) -> None:
        self.zones = Zones(zone)
        self.now_s = 1000
        self.moves: list[TagMove] = []

    def play(self, *reads: tuple[int, Iterable[str], int | None], seconds: int = 1) -> None:
        for _ in range(seconds):
            at_ns = self.now_s * S
            self.moves += self.zones.advance(at_ns)
            for antenna, tags, rssi in reads:
                for tag in tags:
                    self.zones.read(at_ns, antenna, tag, rssi)
            self.now_s += 1

    def settle(self) -> None:
        self.now_s += 10
        self.moves += self.zones.advance(self.now_s * S)

    def state(self) -> dict[str, tuple[int, bool]]:
        return {key: (antenna, exiting) for key, antenna, exiting in self.zones.tags()}


def tags(count: int) -> list[str]:
    return [f"T{number:04d}" for number in range(count)]


def test_two_reads_within_five_seconds_are_an_arrival_and_one_is_a_stray() -> None:
    room = Room()
    room.play((SHELF, ["once"], -6000))
    room.play((SHELF, ["twice"], -6000), seconds=2)
    room.play(seconds=6)
    room.play((SHELF, ["rare"], -6000))
    room.play(seconds=5)
    room.play((SHELF, ["rare"], -6000))
    room.settle()
    assert set(room.state()) == {"twice"}
    assert [(move.tag, move.from_antenna, move.to_antenna) for move in room.moves] == [
        ("twice", None, SHELF)
    ]


def test_weak_reads_do_not_arrive() -> None:
    zones = Zones(lambda antenna: ZoneRules(antenna, "a1", rssi_floor_cdbm=-7000))
    for second in range(5):
        zones.advance(second * S)
        zones.read(second * S, 1, "weak", -7001)
        zones.read(second * S, 1, "strong", -7000)
        zones.read(second * S, 1, "mute", None)
    zones.advance(20 * S)
    assert {key for key, _, _ in zones.tags()} == {"strong", "mute"}


def test_a_second_counts_three_seconds_after_its_first_report() -> None:
    zones = Zones(zone)
    zones.read(5 * S + 7, 1, "T", None, count=2)
    assert zones.deadline() == 8 * S + 7
    assert zones.advance(8 * S + 6) == []
    assert zones.advance(9 * S) == [TagMove(8 * S + 7, "T", None, 1)]
    assert zones.deadline() is None


def test_one_tag_taken_from_many_leaves_and_is_gone_after_its_confirmation() -> None:
    room = Room()
    room.play((SHELF, tags(12), -6000), seconds=60)
    taken_s = room.now_s
    room.play((SHELF, tags(12)[1:], -6000), seconds=5)
    assert room.state()["T0000"] == (SHELF, False)
    room.play((SHELF, tags(12)[1:], -6000), seconds=2)
    assert room.state()["T0000"] == (SHELF, True)
    assert room.zones.where("T0000") == (SHELF, False)  # told before the visits are closed
    room.play((SHELF, tags(12)[1:], -6000), seconds=146)
    assert "T0000" not in room.state()
    gone = [move for move in room.moves if move.to_antenna is None]
    assert [move.tag for move in gone] == ["T0000"]
    assert 120 <= gone[0].at_ns // S - taken_s <= 150
    assert sum(not exiting for _, exiting in room.state().values()) == 11


def test_a_tag_that_answers_again_stays() -> None:
    room = Room()
    room.play((SHELF, tags(12), -6000), seconds=60)
    room.play((SHELF, tags(12)[1:], -6000), seconds=40)
    assert room.state()["T0000"] == (SHELF, True)
    room.play((SHELF, tags(12), -6000))
    room.play((SHELF, tags(12)[1:], -6000), seconds=5)
    assert room.state()["T0000"] == (SHELF, False)
    assert [move for move in room.moves if move.to_antenna is None] == []


def test_a_whole_group_swept_away_is_let_go_after_some_twenty_visits() -> None:
    room = Room()
    room.play((SHELF, tags(24), -6000), seconds=60)
    swept, left = tags(24)[:10], tags(24)[10:]
    room.play((SHELF, left, -6000), seconds=12)
    assert not any(exiting for _, exiting in room.state().values())
    room.play((SHELF, left, -6000), seconds=15)
    assert {key for key, (_, exiting) in room.state().items() if exiting} == set(swept)
    room.play((SHELF, left, -6000), seconds=130)
    assert set(room.state()) == set(left)


def test_a_read_that_comes_late_takes_back_what_was_foretold() -> None:
    zones = Zones(zone)

    def second(at_s: int, heard: Iterable[str], late_s: int = 0) -> None:
        for key in heard:
            at_ns = (at_s + late_s) * S
            zones.advance(at_ns)
            zones.read(at_ns, SHELF, key, None, seen_us=at_s * 1_000_000)

    for at_s in range(60):
        second(at_s, tags(12))
    for at_s in range(60, 67):
        second(at_s, tags(12)[1:])
    assert ("T0000", SHELF, True) in list(zones.tags())
    second(65, ["T0000"], late_s=1)
    assert ("T0000", SHELF, False) in list(zones.tags())
    zones.advance(80 * S)
    assert ("T0000", SHELF, False) in list(zones.tags())


def test_a_reader_whose_antennas_take_turns_is_heard_at_the_end_of_each() -> None:
    zones = Zones(zone)
    for visit in range(240):
        antenna, at_ns = 1 + visit % 4, visit * S // 4
        zones.advance(at_ns)
        for key in tags(8):
            zones.read(at_ns, antenna, f"{key}{antenna}", None, count=2)
        assert zones.deadline() == (at_ns if visit else 3 * S), visit


def test_a_reader_whose_antennas_answer_together_is_heard_at_the_end_of_the_second() -> None:
    zones = Zones(zone)
    told = []
    for nth in range(100):
        at_ns = 10 * S + nth * S // 10
        zones.advance(at_ns)
        for antenna in (1, 2):
            zones.read(at_ns, antenna, f"T{antenna}", None, count=2)
        told += [nth] if zones.deadline() == at_ns else []
    assert told == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_a_reader_without_a_word_departs_nobody() -> None:
    room = Room()
    room.play((SHELF, tags(12), -6000), seconds=60)
    room.zones.lost()
    room.play(seconds=100_000)
    assert room.state() == dict.fromkeys(tags(12), (SHELF, False))
    room.play((SHELF, tags(12)[:1], -6000), seconds=5)
    assert not any(exiting for _, exiting in room.state().values())


def test_a_lost_antenna_freezes_also_who_was_leaving() -> None:
    room = Room()
    room.play((SHELF, tags(12), -6000), (3, ["other"], -6000), seconds=60)
    room.play((SHELF, tags(12)[1:], -6000), (3, ["other"], -6000), seconds=40)
    assert room.state()["T0000"] == (SHELF, True)
    room.zones.lost(SHELF)
    room.play((3, ["other"], -6000), seconds=1000)
    assert room.state()["T0000"] == (SHELF, True)
    assert len(room.state()) == 13


@pytest.mark.parametrize("chance", [95, 83, 60])
def test_a_tag_that_is_there_does_not_leave_for_missed_reads(chance: int) -> None:
    rng = random.Random(7)
    room = Room()
    shelf = tags(16)
    for _ in range(3600):
        room.play((SHELF, [tag for tag in shelf if rng.randrange(100) < chance], -6000))
    assert set(room.state()) == set(shelf)
    assert [move for move in room.moves if move.from_antenna is not None] == []


def test_one_blind_spell_of_the_whole_group_makes_nobody_leave() -> None:
    rng = random.Random(8)
    room = Room()
    shelf = tags(16)
    for second in range(900):
        chance = 6 if second % 60 < 20 else 90  # a person before the antenna, a third of the time
        room.play((SHELF, [tag for tag in shelf if rng.randrange(100) < chance], -6000))
        assert not any(exiting for _, exiting in room.state().values())


def test_a_stronger_read_elsewhere_moves_a_tag_only_beyond_the_hysteresis() -> None:
    room = Room()
    room.play((SHELF, tags(10), -6000), seconds=30)
    room.play((SHELF, tags(10), -6000), (3, ["T0000"], -5400), seconds=10)
    assert room.state()["T0000"] == (SHELF, False)
    room.play((SHELF, tags(10), -6000), (3, ["T0000"], -5399), seconds=5)
    assert room.state()["T0000"] == (3, False)
    assert [move.to_antenna for move in room.moves if move.tag == "T0000"] == [SHELF, 3]


def test_the_advantage_of_the_old_zone_melts_with_the_silence_there() -> None:
    room = Room()
    room.play((SHELF, ["T"], -6000), (3, ["T"], -6100), seconds=30)
    assert room.state()["T"] == (SHELF, False)
    room.play((3, ["T"], -6100), seconds=70)
    assert room.state()["T"] == (SHELF, False)  # no visit of its own zone: silence says nothing
    room.play((3, ["T"], -6100), seconds=10)
    assert room.state()["T"] == (3, False)


def test_a_tag_that_is_leaving_moves_to_wherever_it_is_read() -> None:
    room = Room()
    room.play((SHELF, tags(12), -5000), seconds=60)
    room.play((SHELF, tags(12)[1:], -5000), seconds=30)
    assert room.state()["T0000"] == (SHELF, True)
    room.play((SHELF, tags(12)[1:], -5000), (TILL, ["T0000"], -8000), seconds=2)
    room.settle()
    assert room.state()["T0000"] == (TILL, False)


def test_tags_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "TAGS_MAX", 100)
    room = Room()
    room.play((SHELF, tags(150), None), seconds=4)
    room.settle()
    assert len(room.state()) == 100
    assert room.zones.over > 0


def test_a_babbling_reader_is_bounded_within_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "HEARD_MAX", 50)
    room = Room()
    room.play((SHELF, tags(80), None))
    assert room.zones.over == 30


def test_antennas_are_bounded() -> None:
    room = Room()
    room.play(*((antenna, ["T", "U"], None) for antenna in range(100)), seconds=2)
    room.settle()
    assert room.zones.over >= 36
    assert len(room.state()) == 2


def test_a_reader_that_tells_the_time_of_a_stalled_minute_is_believed() -> None:
    zones = Zones(zone)
    for second in range(10):
        zones.advance(second * S)
        zones.read(second * S, SHELF, "T", None, seen_us=second * 1_000_000)
    zones.advance(60 * S)
    for second in range(10, 50):  # the link was stuck; all comes at once
        zones.read(60 * S, SHELF, "T", None, seen_us=second * 1_000_000)
    zones.advance(70 * S)
    assert (zones.late, zones.over) == (0, 0)
    assert list(zones.tags()) == [("T", SHELF, False)]


def test_a_reader_whose_clock_was_set_back_is_heard_again_after_five_seconds() -> None:
    zones = Zones(zone)
    for second in range(100, 120):
        zones.advance(second * S)
        zones.read(second * S, SHELF, "old", None, seen_us=second * 1_000_000)
    moves = []
    for second in range(120, 140):
        moves += zones.advance(second * S)
        zones.read(second * S, SHELF, "new", None, seen_us=(second - 120) * 1_000_000)
    assert zones.late == 5
    assert [move.tag for move in moves] == ["new"]


def test_a_reader_whose_clock_leaps_ahead_loses_nothing() -> None:
    zones = Zones(zone)
    moves = []
    for second in range(100, 140):
        ahead = 0 if second < 120 else 10**9
        moves += zones.advance(second * S)
        zones.read(second * S, SHELF, "T", None, seen_us=(second + ahead) * 1_000_000)
    assert (zones.late, zones.over) == (0, 0)
    assert [move.tag for move in moves] == ["T"]
