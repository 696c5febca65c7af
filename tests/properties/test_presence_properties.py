"""Presence depends on what was read, not on when anybody looked or in which order it came."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.exposure import GROUP_MAX
from gateway.core.presence import TagMove, ZoneRules, Zones

S = 1_000_000_000
DATA = Path(os.environ.get("STOCKD_DATA", Path(__file__).parents[3] / "shared" / "data"))

Read = tuple[int, int, str, int | None]
"""When it was seen in microseconds, the antenna, the tag, the signal strength."""


@st.composite
def stories(draw: st.DrawFn) -> list[Read]:
    """A minute or two before two antennas: tags that come, go, hide and change places.

    One seed stands for the thousands of reads: one by one they are more than Hypothesis takes.
    """
    seconds = draw(st.integers(20, 90))
    names = [f"T{n:02d}" for n in range(draw(st.integers(1, 30)))]
    rng = Random(draw(st.integers(0, 2**32)))
    chance = {(a, n): rng.choice((0, 0, 30, 80, 100)) for a in (1, 2) for n in names}
    reads: list[Read] = []
    for second in range(seconds):
        if rng.randrange(10) == 0:
            chance[rng.choice((1, 2)), rng.choice(names)] = rng.choice((0, 50, 100))
        for (antenna, name), percent in chance.items():
            if rng.randrange(100) < percent:
                seen_us = second * 1_000_000 + rng.randrange(1_000_000)
                reads.append((seen_us, antenna, name, rng.choice((None, -6500, -6000, -5000))))
    return sorted(reads, key=lambda read: read[0])


def outcome(
    arrivals: list[tuple[int, Read]], looks: list[int]
) -> tuple[list[tuple[str, int, bool]], list[tuple[str, int | None, int | None]], list[TagMove]]:
    """What it all comes to, looked at in between at the given times."""
    zones = Zones(lambda antenna: ZoneRules(antenna, f"a{antenna}", confirm_s=20))
    moves: list[TagMove] = []
    looks = sorted(looks)
    for at_ns, (seen_us, antenna, name, rssi) in arrivals:
        while looks and looks[0] <= at_ns:
            moves += zones.advance(looks.pop(0))
        moves += zones.advance(at_ns)
        zones.read(at_ns, antenna, name, rssi, seen_us=seen_us)
    moves += zones.advance(10**15)
    assert (zones.late, zones.over) == (0, 0)
    check_groups(zones)
    paths = [(move.tag, move.from_antenna, move.to_antenna) for move in moves]
    return sorted(zones.tags()), paths, moves


def check_groups(zones: Zones) -> None:
    for zone in zones._zones.values():
        here = [tag for tag in zones._tags.values() if tag.antenna == zone.rules.antenna]
        groups = [group for groups in zone.groups.values() for group in groups]
        assert sum(len(group.tags) for group in groups) == len(here)
        assert all(tag in tag.group.tags for tag in here)
        assert set(zone._company._tags) == {tag.key for tag in here if tag.expected}
        for alike in zone.groups.values():
            keys = [tag.key for group in alike for tag in group.tags]
            assert keys == sorted(keys)
        for group in groups:
            assert 0 < len(group.tags) <= GROUP_MAX
            assert group.expected == sum(tag.p for tag in group.tags if tag.expected)
    assert sorted(zones.tags()) == sorted(zones.settled())  # all is closed


@settings(max_examples=60, deadline=None)
@given(story=stories(), seed=st.integers(0, 2**32))
def test_reads_up_to_two_seconds_out_of_order_come_to_the_same(
    story: list[Read], seed: int
) -> None:
    rng = Random(seed)
    plain = outcome([(1000 * read[0] + 10**12, read) for read in story], [])
    late = [(1000 * read[0] + 10**12 + rng.randrange(2 * S), read) for read in story]
    assert outcome(sorted(late, key=lambda item: item[0]), [])[:2] == plain[:2]


@settings(max_examples=60, deadline=None)
@given(story=stories(), looks=st.lists(st.integers(10**12, 10**12 + 100 * S), max_size=60))
def test_when_anybody_looks_changes_nothing(story: list[Read], looks: list[int]) -> None:
    arrivals = [(1000 * read[0] + 10**12, read) for read in story]
    assert outcome(arrivals, looks) == outcome(arrivals, [])


@pytest.mark.skipif(not DATA.exists(), reason="no data: set STOCKD_DATA")
@pytest.mark.parametrize("number", [1, 9, 20])
def test_a_recording_in_another_order_comes_to_the_same(number: int) -> None:
    name = f"MovementTesting/LineTests/MoveTest1/MoveTest1-{number}.csv"
    with zipfile.ZipFile(DATA / "rfid-impinj-r420/reads.zip") as found:
        rows = list(csv.DictReader(io.StringIO(found.read(name).decode())))
    reads: list[Read] = []
    for row in rows:
        whole, _, part = row["timestamp"].partition(".")
        seen_us = int(whole) * 1_000_000 + int(part.ljust(6, "0")[:6])
        reads.append((seen_us, int(row["antenna"]), row["epc"], 100 * int(row["rssi"])))
    in_order = outcome([(1000 * read[0], read) for read in sorted(reads)], [])
    # late by 0 to 2 s, in a pattern that needs no luck
    late = [(1000 * read[0] + n * 7_919 % 1_999 * 1_000_000, read) for n, read in enumerate(reads)]
    shuffled = outcome(sorted(late, key=lambda item: item[0]), [])
    assert shuffled[:2] == in_order[:2]
    assert len(in_order[0]) == len({read[2] for read in reads})
