"""Real RFID recordings: a box in a room full of tags, and reads that come out of order."""

from __future__ import annotations

import os
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest

from gateway.bench.store import rfid, tag_recordings
from gateway.bench.store.box import in_box
from gateway.bench.store.tag_recordings import US_PER_S, end_of, in_order, shuffled

DATA = Path(os.environ.get("STOCKD_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason="no data: set STOCKD_DATA")


@needs_data
def test_the_box_is_told_from_the_room_in_all_recordings() -> None:
    found = rfid.recorded(DATA)
    assert found["real/box.truth"] == 240
    assert found["real/box.f1"] >= 0.95
    assert found["real/box10.f1"] >= 0.95
    assert (found["real/order.files"], found["real/order.differ"]) == (43, 0)


def test_a_box_in_an_empty_room_is_all_there_is() -> None:
    assert in_box({"a": 445, "b": 499, "c": 529}) == {"a", "b", "c"}
    assert in_box({"a": 7}) == {"a"}
    assert in_box({}) == set()


def test_a_box_of_one_in_a_room_is_found() -> None:
    assert in_box({"a": 190, **{f"room{nth}": nth for nth in range(60)}}) == {"a"}


@needs_data
def test_the_core_holds_every_tag_of_the_box_present_and_none_leaving() -> None:
    for name, reads in tag_recordings.boxes(DATA):
        _, tags = end_of(in_order(reads))
        here = {epc for epc, _, leaving in tags if not leaving}
        assert {read.epc for read in reads if read.in_box} <= here, name


@needs_data
@pytest.mark.parametrize("seed", [2, 3])
def test_reads_shuffled_within_two_seconds_say_the_same_as_sorted_ones(seed: int) -> None:
    rng = Random(seed)
    moved = 0
    for name, reads in tag_recordings.walks(DATA):
        sorted_ones = end_of(in_order(reads))
        assert sorted_ones == end_of(shuffled(reads, 2, rng)), name
        moved += sum(was is not None for _, was, _ in sorted_ones[0])
    assert moved > 20  # or there was nothing to get wrong


@needs_data
def test_reads_as_they_came_say_the_same_as_sorted_ones() -> None:
    unordered = beyond = 0
    for name, reads in tag_recordings.walks(DATA):
        newest_us = list(accumulate((read.seen_us for read in reads), max))
        behind_us = max(new - read.seen_us for new, read in zip(newest_us, reads, strict=True))
        if behind_us > 2 * US_PER_S:
            beyond += 1
            continue
        unordered += behind_us > 0
        came = [(1000 * new, read) for new, read in zip(newest_us, reads, strict=True)]
        assert end_of(in_order(reads)) == end_of(came), name
    assert (unordered, beyond) == (32, 5)
