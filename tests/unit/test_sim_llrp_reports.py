"""The simulated LLRP reader reports what it was told to, when it was told to, and its events.

Requests are packed by hand from the standard in `llrp_client`.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from llrp_client import (
    ALL,
    MILK,
    READER_ID,
    SURE,
    Frame,
    ask,
    code,
    events,
    frames,
    reader,
    report_spec,
    request,
    rospec,
    running,
    ticked,
    tlv,
)
from llrpkit.protocol import decode_message

from drivers import rfid_llrp
from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tags import TagField, sgtin_96
from drivers.sim.truth import Opening
from gateway.domain.reading import Garbled, Tag


def tags_of(found: list[Frame]) -> list[bytes]:
    """The TagReportData of reports, without their headers."""
    datas = []
    left = b"".join(body for kind, _, body in found if kind == 61)
    while left:
        length = int.from_bytes(left[2:4])
        assert left[:2] == b"\x00\xf0"
        datas.append(left[4:length])
        left = left[length:]
    return datas


SIZES = {9: 4, 14: 2, 10: 2, 1: 2, 7: 2, 6: 1, 2: 8, 4: 8, 8: 2, 16: 4, 12: 2, 11: 2}
BITS = {15: 9, 14: 14, 13: 10, 12: 1, 11: 7, 10: 6, 9: 2, 8: 4, 7: 8, 6: 16}


@pytest.mark.parametrize("bit", [*BITS, None])
@pytest.mark.parametrize("memory", [0, 0x80, 0x40])
def test_a_tag_report_holds_what_was_selected(bit: int | None, memory: int) -> None:
    content = ALL if bit is None else 1 << bit
    made = running(reader(), rospec(report=report_spec(content=content, memory=memory)))
    data = tags_of(ticked(made, 0.3))[0]
    assert data[:13] == b"\x8d" + sgtin_96(MILK, 1)
    data, kinds = data[13:], set()
    while data:
        kind = data[0] & 0x7F
        kinds.add(kind)
        data = data[1 + SIZES[kind] :]
    assert kinds == {BITS[one] for one in BITS if bit in (one, None)} | (
        {11} if memory & 0x80 else {12} if memory else set()
    )


def test_reports_by_number_by_aispec_by_rospec_and_on_request() -> None:
    def reports(trigger: int, tags: int) -> list[int]:
        made = running(reader(), rospec(report=report_spec(trigger, tags)))
        return [len(tags_of([one])) for one in ticked(made, 1.0) if one[0] == 61]

    assert reports(1, 0) == [3, 3]
    assert reports(2, 0) == [6]
    assert reports(1, 2) == [2, 1, 2, 1]
    assert reports(1, 1) == [1] * 6
    assert reports(2, 4) == [4, 2]
    assert reports(0, 0) == []
    made = running(reader(), rospec(report=report_spec(0)))
    ticked(made, 1.0)
    assert len(tags_of(frames(made.hear(1.0, request(60))))) == 6
    assert tags_of(frames(made.hear(1.0, request(60)))) == []


def test_a_rospec_without_report_spec_takes_the_readers() -> None:
    made = reader()
    assert code(ask(made, 3, b"\0" + report_spec(1, 0, 1 << 12))) == 0
    running(made, rospec(report=b""))
    assert [len(one) for one in tags_of(ticked(made, 0.3))] == [16] * 3


def happened(found: list[Frame]) -> list[int]:
    """The parameter types of events, after the time."""
    return [int.from_bytes(body[16:18]) for kind, _, body in found if kind == 63]


def test_events_are_told_when_they_were_asked_for() -> None:
    silent = running(reader(), rospec())
    silent.lose_antenna(2)
    assert happened(ticked(silent, 1.0)) == []
    made = reader()
    events(made, 2, 6, 8)
    running(made, rospec())
    made.lose_antenna(2)
    made.lose_antenna(2)
    found = ticked(made, 1.0)
    assert happened(found) == [255, 249, 254, 254, 249]
    assert {data[13:16] for data in tags_of(found)} == {b"\x89\0\0"}
    made.restore_antenna(2)
    assert happened(frames(made.tick(1.1))) == [255]


def test_a_duration_stops_and_an_immediate_start_begins_again() -> None:
    made = reader()
    events(made, 2)
    running(made, rospec(start=1, lasts_ms=600, stop=struct.pack(">BI", 0, 0)))
    assert happened(ticked(made, 2.0)) == [249] * 7  # begun at 0, 0.6, 1.2 and 1.8 s
    once = reader(restarts=False)
    events(once, 2)
    running(once, rospec(start=1))
    assert happened(ticked(once, 2.0)) == [249] * 2


def test_keepalives_and_a_client_that_does_not_answer_them() -> None:
    made = reader()
    events(made, keepalive_ms=500)
    assert [kind for kind, _, _ in ticked(made, 2.0)] == [62] * 4
    assert made.hear(2.0, request(72)) == b""
    found = ticked(made, 5.0, 2.0)
    assert [kind for kind, _, _ in found] == [62] * 5 + [63]
    assert found[-1][2].endswith(tlv(257))
    assert made.hangs_up


def test_a_full_report_buffer_warns_once_and_overflows_once() -> None:
    made = reader(units=20, buffer_tags=30)
    events(made, 3)
    running(made, rospec(report=report_spec(0)))
    assert happened(ticked(made, 1.0)) == [250, 251]
    assert len(tags_of(frames(made.hear(1.0, request(60))))) == 30


def test_reports_are_held_after_a_reconnection_until_they_are_asked_for() -> None:
    made = reader()
    assert code(ask(made, 3, b"\0" + tlv(226, b"\x80"))) == 0
    running(made, rospec(start=1))
    made.closed()
    assert ticked(made, 1.0) == []
    made.connected(1.0)
    assert [kind for kind, _, _ in ticked(made, 2.0, 1.0)] == []
    assert len(tags_of(frames(made.hear(2.0, request(64))))) >= 6


def test_a_stalled_reader_says_nothing_and_goes_on() -> None:
    radio = replace(SURE, outage_every_s=10.0, outage_s=(5.0, 6.0))
    lies = TagField({1: "a1", 2: "a2"}, radio, 1)
    lies.populate([Opening("a1", MILK, 3000)])
    made = LlrpReader(2, lies, reader_id=READER_ID)
    made.connected(0.0)
    events(made, 6)
    running(made, rospec(start=1))
    said = [(lies.stalled(at / 20), made.tick(at / 20)) for at in range(1, 1200)]
    assert any(stalled for stalled, _ in said)
    assert all(not tick for stalled, tick in said if stalled)
    visits = sum(happened(frames(tick)).count(254) for _, tick in said)
    heard_s = sum(not stalled for stalled, _ in said) / 20
    assert visits == pytest.approx(4 * heard_s, rel=0.1)


def test_a_minute_in_one_report_is_megabytes_that_our_driver_reads_whole() -> None:
    made = running(reader(units=150, hoards_s=60.0), rospec(start=1))
    found = [made.tick(at / 20) for at in range(1, 1220)]
    (report,) = [one for one in found if one]
    assert len(report) > 1_000_000
    decoder = rfid_llrp.decoder(rfid_llrp.Options())
    bodies = [body for at in range(0, len(report), 9000) for body in decoder.feed(
        report[at : at + 9000])]  # fmt: skip
    assert all(isinstance(body, Tag) for body in bodies)
    assert len({body.epc for body in bodies if isinstance(body, Tag)}) == 300


def test_vendors_parameters_are_skipped_by_our_driver_and_another() -> None:
    made = running(reader(extras=True), rospec())
    for kind, body in ((1, b"\0"), (2, bytes(7))):
        assert code(ask(made, kind, body)) == 0
    report = b"".join(made.tick(at / 20) for at in range(1, 20))
    decode_message(report[: int.from_bytes(report[2:6])])
    bodies = rfid_llrp.decoder(rfid_llrp.Options()).feed(report)
    assert len(bodies) == 6
    assert not any(isinstance(body, Garbled) for body in bodies)
