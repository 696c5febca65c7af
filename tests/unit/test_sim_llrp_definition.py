"""Every message of the simulated LLRP reader against the machine-readable definition of LLRP 1.0.1:
fields, reserved bits, and which parameters stand inside, in which order and how often.

The definition is walked by a few lines of this test's own, which the toolkit's vectors judge first.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from llrp_client import events, reader, report_spec, request, rospec, running, tlv

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")
LTK = DATA / "llrp-ltk"
pytestmark = pytest.mark.skipif(not LTK.exists(), reason=f"no definition: {LTK} is not there")

NS = "{http://www.llrp.org/ltk/schema/core/encoding/binary/1.0}"
ITEM_BITS = {"u1v": 1, "u8v": 8, "utf8v": 8, "u16v": 16, "u32v": 32}
OFTEN = {"1": (1, 1), "0-1": (0, 1), "0-N": (0, 1 << 30), "1-N": (1, 1 << 30)}
EVERY_KNOB: list[dict[str, object]] = [
    {},
    {"extras": True},
    {"utc": False, "extras": True},
    {"knows_enable_events": False},
    {"hoards_s": 1.0},
    {"buffer_tags": 5},
]


class Definition:
    """Checks messages; raises AssertionError with the place."""

    def __init__(self) -> None:
        self._messages: dict[int, Xml.Element] = {}
        self._parameters: dict[int, Xml.Element] = {}
        self._choices: dict[str, list[str]] = {}
        for one in Xml.parse(LTK / "llrp-1x0-def.xml").getroot():
            name = one.get("name", "")
            if one.tag == f"{NS}messageDefinition":
                self._messages[int(one.get("typeNum", 0))] = one
            elif one.tag == f"{NS}parameterDefinition":
                self._parameters[int(one.get("typeNum", 0))] = one
            elif one.tag == f"{NS}choiceDefinition":
                self._choices[name] = [x.get("type", "") for x in one.iter(f"{NS}parameter")]

    def check(self, frame: bytes) -> str:
        """A whole message; its name."""
        head, length, _ = struct.unpack_from(">HII", frame)
        assert (head >> 10, length) == (1, len(frame))
        kind = self._messages[head & 0x3FF]
        self._inside(kind, frame[self._fields(kind, frame, 10) :], kind.get("name", ""))
        return kind.get("name", "")

    def _fields(self, kind: Xml.Element, data: bytes, at: int) -> int:
        """Where the parameters begin."""
        bit = at * 8
        for one in kind:
            if one.tag == f"{NS}reserved":
                for _ in range(int(one.get("bitCount", 0))):
                    assert not data[bit // 8] >> 7 - bit % 8 & 1, f"{kind.get('name')}: reserved"
                    bit += 1
            elif one.tag == f"{NS}field":
                size = one.get("type", "")
                if size in ITEM_BITS:
                    (count,) = struct.unpack_from(">H", data, bit // 8)
                    bit += 16 + -(-count * ITEM_BITS[size] // 8) * 8
                elif size == "bytesToEnd":
                    bit = len(data) * 8
                else:
                    bit += int(size[1:])
        assert bit % 8 == 0
        assert bit // 8 <= len(data), f"{kind.get('name')}: cut"
        return bit // 8

    def _inside(self, kind: Xml.Element, data: bytes, path: str) -> None:
        names = list(self._names(data, path))
        left = list(names)
        for one in kind:
            if one.tag not in (f"{NS}parameter", f"{NS}choice"):
                continue
            wanted = one.get("type", "")
            among = self._choices.get(wanted, [wanted])
            count = next((n for n, name in enumerate(left) if name not in among), len(left))
            least, most = OFTEN[one.get("repeat", "")]
            assert least <= count <= most, f"{path}: {count} {wanted} in {names}"
            del left[:count]
        assert left == [], f"{path}: out of place in {names}"

    def _names(self, data: bytes, path: str) -> Iterator[str]:
        at = 0
        while at < len(data):
            if data[at] & 0x80:
                kind = self._parameters[data[at] & 0x7F]
                at = self._fields(kind, data, at + 1)
            else:
                number, length = struct.unpack_from(">HH", data, at)
                kind, body = self._parameters[number], data[at : at + length]
                assert 4 <= length == len(body), f"{path}: {number} of {length} bytes"
                inner = f"{path}/{kind.get('name')}"
                self._inside(kind, body[self._fields(kind, body, 4) :], inner)
                at += length
            yield kind.get("name", "")


def messages(data: bytes) -> Iterator[bytes]:
    while data:
        size = int.from_bytes(data[2:6])
        yield data[:size]
        data = data[size:]


@pytest.fixture(scope="module")
def definition() -> Definition:
    return Definition()


def test_the_toolkits_own_messages_are_as_it_defines_them(definition: Definition) -> None:
    files = [LTK / "dx101_b.bin", *sorted((LTK / "ltkjava").glob("*.bin"))]
    assert sum(1 for file in files for frame in messages(file.read_bytes())
               if definition.check(frame)) > 30  # fmt: skip


EPC, ROSPEC, ANTENNA = b"\x8d" + bytes(12), b"\x89" + bytes(4), b"\x81\x00\x01"


def test_a_parameter_too_many_out_of_place_or_cut_is_found(definition: Definition) -> None:
    good = EPC + ROSPEC + ANTENNA
    assert definition.check(request(61, tlv(240, good))) == "RO_ACCESS_REPORT"
    for bad in (good + ANTENNA, EPC + ANTENNA + ROSPEC, ROSPEC + ANTENNA, good[:-1]):
        with pytest.raises(AssertionError):
            definition.check(request(61, tlv(240, bad)))


@pytest.mark.parametrize("knobs", EVERY_KNOB)
def test_all_that_the_reader_says(definition: Definition, knobs: dict[str, object]) -> None:
    made = reader(20, **knobs)
    said = made.connected(0.0)
    events(made, 2, 3, 6, 7, 8, keepalive_ms=500)
    for wanted in range(5):
        said += made.hear(0.0, request(1, bytes((wanted,))))
    for wanted in range(12):
        said += made.hear(0.0, request(2, bytes((0, 0, wanted, 0, 0, 0, 0))))
    for spec in (rospec(), rospec(), rospec(9, start=9), rospec(2, visits=((3,),))):
        said += made.hear(0.0, request(20, spec))
    said += made.hear(0.0, request(21, bytes(4)))
    running(made, rospec(report=report_spec(1, 3, memory=0xC0)))
    said += made.hear(0.0, request(26))
    for tick in range(1, 200):
        said += made.tick(tick / 50)
        if tick == 100:
            made.lose_antenna(1)
            said += made.hear(tick / 50, request(64) + request(60) + request(72))
            said += made.hear(tick / 50, request(999) + request(64, version=5))
    said += made.hear(5.0, request(23, (1).to_bytes(4)) + request(14)) + made.refusal()
    names = {definition.check(frame) for frame in messages(said)}
    assert names >= {
        "READER_EVENT_NOTIFICATION", "GET_READER_CAPABILITIES_RESPONSE", "ERROR_MESSAGE",
        "GET_READER_CONFIG_RESPONSE", "ADD_ROSPEC_RESPONSE", "GET_ROSPECS_RESPONSE", "KEEPALIVE",
        "STOP_ROSPEC_RESPONSE", "RO_ACCESS_REPORT", "CLOSE_CONNECTION_RESPONSE",
    }  # fmt: skip
