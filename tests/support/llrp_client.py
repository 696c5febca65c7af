"""A client of the simulated LLRP reader, for tests: requests packed by hand from the standard.

It shares no code with the driver or the reader. Every answer is also read by llrpkit's codec.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from llrpkit.protocol import decode_message

from drivers.sim.llrp_knobs import Knobs
from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tags import QUIET, TagField
from drivers.sim.truth import Opening

MILK, BREAD = "06901234500011", "16901234500025"
SURE = replace(QUIET, p=1.0, spread=0.0, mistagged=0.0, rssi_sd_db=0.0)
READER_ID = "00163efffe12ab34"
OK = bytes.fromhex("011f 0008 0000 0000")
ALL = 0xFFC0
Frame = tuple[int, int, bytes]
"""Type, message id, body."""


def tlv(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">HH", kind, 4 + len(body)) + body


def request(kind: int, body: bytes = b"", mid: int = 7, version: int = 1) -> bytes:
    return struct.pack(">HII", version << 10 | kind, 10 + len(body), mid) + body


def frames(data: bytes, version: int = 1) -> list[Frame]:
    found = []
    while data:
        head, length, mid = struct.unpack(">HII", data[:10])
        assert head >> 10 == version
        found.append((head & 0x3FF, mid, data[10:length]))
        decode_message(data[:length])  # another author's codec reads it
        data = data[length:]
    return found


def code(frame: Frame) -> int:
    """The status code of an answer that holds its LLRPStatus first."""
    kind, _, status = struct.unpack(">HHH", frame[2][:6])
    assert kind == 287
    return int(status)


def reader(units: int = 3, **knobs: object) -> LlrpReader:
    lies = TagField({1: "a1", 2: "a2"}, SURE, 1)
    lies.populate([Opening("a1", MILK, units * 1000), Opening("a2", BREAD, units * 1000)])
    made = LlrpReader(2, lies, reader_id=READER_ID, knobs=Knobs(**knobs))  # type: ignore[arg-type]
    made.connected(0.0)
    return made


def ask(made: LlrpReader, kind: int, body: bytes = b"", at_s: float = 0.0) -> Frame:
    (answer,) = frames(made.hear(at_s, request(kind, body)))
    return answer


def report_spec(trigger: int = 1, tags: int = 0, content: int = ALL, memory: int = 0) -> bytes:
    inside = tlv(348, bytes((memory,))) if memory else b""
    selector = tlv(238, content.to_bytes(2) + inside)
    return tlv(237, struct.pack(">BH", trigger, tags) + selector)


def rospec(
    number: int = 1,
    *,
    start: int = 0,
    lasts_ms: int = 0,
    visits: tuple[tuple[int, ...], ...] = ((1,), (2,)),
    stop: bytes = struct.pack(">BI", 1, 250),
    report: bytes | None = None,
    inside: bytes = b"",
) -> bytes:
    """A whole ROSpec parameter; AISpecs of 250 ms unless told otherwise."""
    boundary = tlv(179, bytes((start,))) + tlv(182, struct.pack(">BI", lasts_ms > 0, lasts_ms))
    specs = b""
    for antennas in visits:
        wanted = struct.pack(f">H{len(antennas)}H", len(antennas), *antennas)
        specs += tlv(183, wanted + tlv(184, stop) + tlv(186, struct.pack(">HB", 1, 1) + inside))
    body = struct.pack(">IBB", number, 0, 0) + tlv(178, boundary) + specs
    return tlv(177, body + (report_spec() if report is None else report))


def running(made: LlrpReader, spec: bytes) -> LlrpReader:
    assert code(ask(made, 20, spec)) == 0
    assert code(ask(made, 24, bytes(4))) == 0
    assert code(ask(made, 22, (1).to_bytes(4))) == 0
    return made


def ticked(made: LlrpReader, until_s: float, begin_s: float = 0.0) -> list[Frame]:
    steps = range(round(begin_s * 20) + 1, round(until_s * 20) + 1)
    return [frame for at in steps for frame in frames(made.tick(at / 20))]


def events(made: LlrpReader, *kinds: int, keepalive_ms: int = 0) -> None:
    states = b"".join(tlv(245, struct.pack(">HB", kind, 0x80)) for kind in kinds)
    body = b"\0" + tlv(244, states) if states else b"\0"
    if keepalive_ms:
        body += tlv(220, struct.pack(">BI", 1, keepalive_ms))
    assert code(ask(made, 3, body)) == 0
