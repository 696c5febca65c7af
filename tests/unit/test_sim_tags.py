"""Simulated tags are heard as ALGORITHMS 7.2 says; EPCs as the Tag Data Standard; JSON readers."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from statistics import pstdev
from typing import Literal

import pytest
from epcpy.epc_schemes import SGTIN
from hypothesis import given
from hypothesis import strategies as st

from drivers import rfid_json
from drivers.sim.json_reader import JsonReader
from drivers.sim.tags import L1, L2, L3, QUIET, RADIOS, TWIN, Heard, Radio, TagField, sgtin_96
from drivers.sim.truth import Opening
from gateway.domain.reading import Body, DeviceState, Tag

MILK, BREAD = "06901234500011", "16901234500025"
SURE = replace(QUIET, p=1.0, spread=0.0, mistagged=0.0)
"""Every tag is read in 99 visits of 100."""
VISITS = 400


def field(radio: Radio, units: int = 40, seed: int = 1) -> TagField:
    made = TagField({1: "a1", 2: "a2"}, radio, seed)
    made.populate([Opening("a1", MILK, units * 1000), Opening("a2", BREAD, units * 1000)])
    return made


def visits(made: TagField, antenna: int = 1, many: int = VISITS) -> list[list[Heard]]:
    return [made.heard(antenna, at / 4) for at in range(1, many + 1)]


def test_an_epc_as_the_standard_prints_it() -> None:
    """TDS 2.0 E.3: urn:epc:tag:sgtin-96:3.0614141.812345.6789, but of filter 1."""
    assert sgtin_96("80614141123458", 6789).hex() == "3034257bf7194e4000001a85"
    with pytest.raises(ValueError, match="38 bits"):
        sgtin_96(MILK, 1 << 38)


@given(st.integers(0, 10**13 - 1), st.integers(0, (1 << 38) - 1))
def test_epcs_are_what_another_authors_decoder_reads(item: int, serial: int) -> None:
    digits = f"{item:013d}"
    said = SGTIN.from_hex(sgtin_96(digits + "0", serial).hex()).epc_uri
    assert said == f"urn:epc:id:sgtin:{digits[1:8]}.{digits[0]}{digits[8:13]}.{serial}"


def test_tags_follow_the_goods() -> None:
    made = field(SURE, units=3)
    assert made.tags(1) == {sgtin_96(MILK, serial) for serial in (1, 2, 3)}
    assert made.take("a1", MILK) == 1
    made.put("a2", MILK, 1)
    assert sgtin_96(MILK, 1) in made.tags(2) - made.tags(1)
    assert made.add("a1", MILK) == 4
    assert made.tags(9) == frozenset()
    with pytest.raises(LookupError, match="a1"):
        made.take("a1", BREAD)


def test_the_same_seed_hears_the_same_and_another_does_not() -> None:
    first, again, other = (visits(field(L3, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_tag_that_comes_back_is_heard_as_before() -> None:
    made = field(replace(L3, blocked_every_s=inf, outage_every_s=inf, strays=0.0), units=1)
    before = sum(map(len, visits(made)))
    serial = made.take("a1", MILK)
    assert sum(map(len, visits(made))) == 0
    made.put("a1", MILK, serial)
    assert abs(sum(map(len, visits(made))) - before) < 0.15 * VISITS


@pytest.mark.parametrize("radio", [L1, L2, L3])
def test_the_median_tag_is_read_as_the_table_says(radio: Radio) -> None:
    free = replace(radio, blocked_every_s=inf, outage_every_s=inf, strays=0.0, mistagged=0.0)
    made = field(free, units=200)
    counts = dict.fromkeys(made.tags(1), 0)
    for visit in visits(made, many=200):
        for one in visit:
            counts[one.epc] += 1
    shares = sorted(count / 200 for count in counts.values())
    assert shares[len(shares) // 2] == pytest.approx(radio.p, abs=0.1)
    assert shares[0] < radio.p - radio.spread / 4  # there are weak ones


def test_a_body_hides_tags_that_lie_together() -> None:
    radio = replace(SURE, blocked_every_s=20.0, blocked_s=15.0, blocked_share=(0.3, 0.3))
    made = field(radio, units=100)
    order = [sgtin_96(MILK, serial) for serial in range(1, 101)]
    hidden = 0
    for visit in visits(made):
        epcs = {one.epc for one in visit}
        missed = {number for number, epc in enumerate(order) if epc not in epcs}
        windows = ({(first + at) % 100 for at in range(30)} for first in range(100))
        behind = max((window & missed for window in windows), key=len)
        assert len(missed - behind) <= 8
        assert len(behind) <= 8 or len(behind) >= 20
        hidden += len(behind) >= 20
    assert 0.1 < hidden / VISITS < 0.9


def test_an_outage_silences_all_antennas() -> None:
    made = field(replace(SURE, outage_every_s=300.0, outage_s=(5.0, 60.0)), units=20)
    heard = [(made.stalled(at), made.heard(1, at), made.heard(2, at)) for at in range(3000)]
    stalls = [one for one in heard if one[0]]
    assert all(not one and not two for _, one, two in stalls)
    assert all(one and two for stalled, one, two in heard if not stalled)
    assert 0.03 < len(stalls) / 3000 < 0.25


def test_strays_are_the_neighbours_tags_and_weaker() -> None:
    made = field(replace(SURE, strays=0.02, rssi_sd_db=3.0))
    heard = [one for visit in visits(made) for one in visit]
    strays = [one.rssi_dbm for one in heard if one.epc in made.tags(2)]
    own = [one.rssi_dbm for one in heard if one.epc in made.tags(1)]
    assert len(strays) + len(own) == len(heard)
    assert len(strays) / (40 * VISITS) == pytest.approx(0.02, abs=0.005)
    assert sum(strays) / len(strays) < sum(own) / len(own) - 6


def test_signal_strengths_spread_by_tag_and_stay_within_limits() -> None:
    for radio in (L1, L3):
        heard = [one for visit in visits(field(radio, units=200), many=40) for one in visit]
        assert all(-90 <= one.rssi_dbm <= -25 for one in heard)
        by_tag: dict[bytes, list[float]] = {}
        for one in heard:
            by_tag.setdefault(one.epc, []).append(one.rssi_dbm)
        means = [sum(values) / len(values) for values in by_tag.values()]
        assert pstdev(means) == pytest.approx(radio.rssi_sd_db, rel=0.3)


def test_units_without_a_tag_with_two_and_with_a_foreign_one() -> None:
    made = field(replace(L3, foreign=0.07), units=2000)
    epcs = made.tags(1)
    twins = {sgtin_96(MILK, serial | TWIN) for serial in range(1, 2001)} & epcs
    foreign = {epc for epc in epcs if epc[0] == 0xE2}
    assert len(twins) / 2000 == pytest.approx(0.05, abs=0.015)
    assert len(foreign) / len(epcs) == pytest.approx(0.07, abs=0.02)
    assert len(epcs) - 2 * len(twins) == pytest.approx(2000 * 0.9, abs=60)
    assert {len(epc) for epc in epcs} == {12}


def test_reads_of_a_visit_are_within_it_and_not_in_order() -> None:
    for number, visit in enumerate(visits(field(SURE)), 1):
        times = [one.at_s for one in visit]
        assert number / 4 - 0.25 <= min(times) <= max(times) <= number / 4
        assert times != sorted(times)


def test_quiet_is_l1_with_nobody_in_the_way() -> None:
    assert set(RADIOS) == {"quiet", "L1", "L2", "L3"}
    assert replace(L1, name="quiet", blocked_every_s=inf) == QUIET


# --- readers that say JSON


def spoken(made: JsonReader, until_s: int, begin_s: int = 0) -> bytes:
    return b"".join(made.tick(at / 20) for at in range(begin_s * 20, until_s * 20))


def read_by_driver(data: bytes) -> list[Body]:
    decoder = rfid_json.decoder(rfid_json.Options())
    return decoder.feed(data) + decoder.end()


@pytest.mark.parametrize("vendor", ["zebra", "impinj"])
def test_our_driver_reads_exactly_the_tags_that_lie_there(
    vendor: Literal["zebra", "impinj"],
) -> None:
    lies = field(SURE)
    noon_us = 1_709_906_707_000_000
    reader = JsonReader(2, lies, vendor=vendor, clock_offset_us=noon_us)
    bodies = read_by_driver(spoken(reader, 5))
    tags = [body for body in bodies if isinstance(body, Tag)]
    assert len(tags) == len(bodies)
    for antenna in (1, 2):
        heard = {body.epc for body in tags if body.antenna == antenna}
        assert heard == {epc.hex().upper() for epc in lies.tags(antenna)}
    assert all(0 <= (body.last_us or 0) - noon_us <= 5_000_000 for body in tags)
    assert all(-9000 <= (body.rssi_cdbm or 0) <= -2500 for body in tags)


@pytest.mark.parametrize("vendor", ["zebra", "impinj"])
def test_an_antenna_lost_is_news_and_is_not_heard(vendor: Literal["zebra", "impinj"]) -> None:
    reader = JsonReader(2, field(SURE), vendor=vendor)
    data = spoken(reader, 2)
    reader.lose_antenna(2)
    reader.lose_antenna(2)
    lost = read_by_driver(data + spoken(reader, 4, 2))
    reader.restore_antenna(2)
    back = read_by_driver(data + spoken(reader, 6, 4))
    news = [body.reason for body in lost if isinstance(body, DeviceState)]
    assert news == ["antenna 2 lost"]
    after = lost[lost.index(DeviceState("up", "antenna 2 lost")) :]
    assert {body.antenna for body in after if isinstance(body, Tag)} == {1}
    assert {body.antenna for body in back if isinstance(body, Tag)} == {1, 2}


def test_a_line_of_zebra_and_one_of_impinj_in_their_makers_words() -> None:
    lies = field(replace(SURE, rssi_sd_db=0.0), units=1)
    zebra = json.loads(spoken(JsonReader(1, lies, vendor="zebra"), 1).splitlines()[1])
    assert zebra["type"] == "SIMPLE"
    assert zebra["timestamp"].startswith("1970-01-01T00:00:00.")
    assert zebra["timestamp"].endswith("+0000")
    assert zebra["data"] == {
        "eventNum": 2, "format": "epc", "idHex": "3035a537c830d44000000001",
        "antenna": 1, "peakRssi": -55, "reads": 1,
    }  # fmt: skip
    impinj = json.loads(spoken(JsonReader(1, lies, vendor="impinj"), 1).splitlines()[1])
    assert impinj["eventType"] == "tagInventory"
    said = impinj["tagInventoryEvent"]
    assert said["epc"] == "MDWlN8gw1EAAAAAB"
    assert (said["epcHex"], said["antennaPort"]) == ("3035A537C830D44000000001", 1)
    assert said["peakRssiCdbm"] == -5500


def test_a_stalled_json_reader_says_nothing() -> None:
    lies = field(replace(SURE, outage_every_s=10.0, outage_s=(5.0, 6.0)))
    reader = JsonReader(2, lies, vendor="impinj")
    for at in range(2000):
        said = reader.tick(at / 20)
        assert not (said and lies.stalled(at / 20))
