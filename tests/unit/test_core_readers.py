"""A reader in the core: counts, places, antennas, clock, and real recordings."""

from __future__ import annotations

import csv
import io
import os
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.readers import AntennaPlace, ClockOffset, Reader, ReaderRules, ReaderView
from gateway.domain.epc import NotGs1, decode_epc
from gateway.domain.reading import DeviceState, Tag

S = 1_000_000_000
DATA = Path(os.environ.get("STOCKD_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason="no data: set STOCKD_DATA")

RULES = ReaderRules(
    "rfid-1", "a1", "shelf",
    (AntennaPlace(1, "a1", "shelf"), AntennaPlace(2, "till-1", "till")),
)  # fmt: skip
SGTIN = "3066C4409047E140075BCD15"
CRATE = "3376451FD40C0E400000162E"
FACTORY = "E28011700000020EC250695C"


def filled(reader: Reader, seconds: int = 10, start_s: int = 100) -> ReaderView:
    for second in range(start_s, start_s + seconds):
        for antenna, epc in ((1, SGTIN), (1, FACTORY), (2, CRATE), (7, SGTIN[:-1] + "6")):
            reader.tag(second * S, Tag(epc, antenna, -6000, 2, None, second * 1_000_000 - 5_000))
    reader.advance((start_s + seconds + 5) * S)
    return reader.view()


def test_tags_by_place_and_product_and_those_of_no_product() -> None:
    view = filled(Reader(RULES))
    assert [(t.location, t.gtin, t.present, t.exiting) for t in view.tags] == [
        ("a1", "09506000134352", 2, 0),  # antenna 7, which nobody named, is at the reader's place
        ("till-1", None, 1, 0),
    ]
    assert [(t.location, t.epc, t.reason) for t in view.non_gs1] == [("a1", FACTORY, "tid")]
    assert (view.reads, view.gs1_reads, view.non_gs1_reads) == (80, 60, 20)
    assert [(a.antenna, a.location, a.reads, a.up) for a in view.antennas] == [
        (1, "a1", 40, True), (2, "till-1", 20, True), (7, "a1", 20, True)
    ]  # fmt: skip


def test_case_of_the_digits_makes_no_other_tag() -> None:
    reader = Reader(RULES)
    for epc in (SGTIN, SGTIN.lower()):
        reader.tag(S, Tag(epc, 1))
    reader.advance(10 * S)
    assert [t.present for t in reader.view().tags] == [1]


def test_news_of_antennas_and_of_the_reader() -> None:
    reader = Reader(RULES)
    reader.state(90 * S, DeviceState("up", "opened"))
    filled(reader)
    reader.state(200 * S, DeviceState("up", "antenna 2 lost"))
    reader.state(201 * S, DeviceState("up", "buffer overrun"))
    ups = {a.antenna: (a.up, a.news, a.news_at_ns) for a in reader.view().antennas}
    assert ups == {1: (True, "", None), 2: (False, "antenna 2 lost", 200 * S), 7: (True, "", None)}
    reader.state(202 * S, DeviceState("up", "antenna 2 connected"))
    assert all(a.up for a in reader.view().antennas)
    reader.state(203 * S, DeviceState("down", "cable"))
    assert not reader.view().up
    assert not any(a.up for a in reader.view().antennas)
    reader.state(204 * S, DeviceState("up", "opened"))
    view = reader.view()
    assert view.up
    assert all(a.up for a in view.antennas)
    assert sum(t.present for t in view.tags) == 3


def test_a_read_proves_that_the_antenna_is_there() -> None:
    reader = Reader(RULES)
    reader.state(S, DeviceState("up", "antenna 1 lost"))
    reader.tag(2 * S, Tag(SGTIN, 1))
    assert reader.view().antennas[0].up


def test_the_clock_is_known_to_the_least_delay() -> None:
    rng = random.Random(3)
    clock = ClockOffset()
    for n in range(5_000):
        seen_us = n * 20_000
        delay_us = 500 if n % 50 == 0 else rng.randrange(500, 900_000)
        clock.read((seen_us + 7_000_000 + delay_us) * 1000, seen_us)
    assert clock.offset_us == 7_000_500


def test_a_drifting_clock_is_followed_within_a_minute() -> None:
    clock = ClockOffset()
    for second in range(600):
        clock.read(second * S, second * 1_000_000 - second * 100)  # 100 ppm slow
    assert clock.offset_us is not None
    assert 53_000 <= clock.offset_us <= 59_900


def test_a_clock_set_back_is_noticed_after_five_seconds_and_one_set_ahead_at_once() -> None:
    clock = ClockOffset()
    for second in range(100, 120):
        clock.read(second * S, second * 1_000_000)
    for second in range(120, 126):
        clock.read(second * S, (second - 50) * 1_000_000)
    assert clock.offset_us == 50_000_000
    clock.read(126 * S, 226_000_000)
    assert clock.offset_us == -100_000_000


def rows(archive: str, name: str) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(DATA / archive) as found:
        yield from csv.DictReader(io.StringIO(found.read(name).decode()))


def micros(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0")[:6])


@needs_data
def test_a_garment_shop_recorded_by_an_overhead_reader() -> None:
    reads = sorted(
        rows("rfid-nedap/labelset2.zip", "labelset2/samples_location1/sample1.csv"),
        key=lambda row: micros(row["time"]),
    )
    reader = Reader(ReaderRules("rfid-1", "a1", "shelf"))
    for row in reads:
        at_us = micros(row["time"])
        tag = Tag(row["epc"], int(row["beam_id"]) + 1, 10 * int(row["rssi"]), 1, None, at_us)
        reader.tag(1000 * at_us, tag)
    reader.advance(1000 * at_us + 10 * S)
    view = reader.view()

    tags = {row["epc"] for row in reads}
    none = {epc for epc in tags if isinstance(decode_epc(epc), NotGs1)}
    assert (view.reads, view.non_gs1_reads) == (4878, 1879)
    assert 6 <= 100 * len(none) / len(tags) <= 7
    assert {other.epc for other in view.non_gs1} == none
    in_box = {row["epc"] for row in reads if row["in_box"] == "1"}
    seen = {epc for epc, _, _ in reader._zones.tags()}
    assert in_box <= seen <= tags
    assert (view.late, view.over) == (0, 0)


@needs_data
def test_a_tag_that_is_carried_past_four_antennas_is_always_somewhere() -> None:
    reader = Reader(ReaderRules("rfid-1", "a1", "shelf"))
    reads = sorted(
        rows("rfid-impinj-r420/reads.zip", "MovementTesting/LineTests/MoveTest1/MoveTest1-1.csv"),
        key=lambda row: micros(row["timestamp"]),
    )
    for row in reads:
        at_us = micros(row["timestamp"])
        epc = row["epc"].removeprefix("b'").removesuffix("'")
        reader.tag(
            1000 * at_us, Tag(epc, int(row["antenna"]), 100 * int(row["rssi"]), 1, None, at_us)
        )
    reader.advance(1000 * at_us + 10 * S)
    view = reader.view()
    assert sum(count.present for count in view.tags) == len({row["epc"] for row in reads})
    assert view.late == 0
