"""The complete codec against the Toolkit's frames, a real reader's, and the definition itself.

The oracles share nothing with the codec: XML and JSON beside the frames are compared field by
field, and for every message of the definition a frame is packed here, bit by bit, from the XML.
"""

from __future__ import annotations

import base64
import json
import os
import random
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers import _llrp
from drivers._llrp import Bits, Element, Malformed, Message, decode, encode

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STOCKD_DATA") or ROOT.parent / "shared" / "data")
LTK, EDGEX = DATA / "llrp-ltk", DATA / "llrp-edgex"
JAVA = sorted((LTK / "ltkjava").glob("*.bin"))
RECORDED = sorted(EDGEX.glob("*.bytes"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
needs_data = pytest.mark.skipif(
    not LTK.exists(), reason=f"no vectors: {LTK} is not there (STOCKD_DATA names another folder)"
)

TOOLKIT_ERRS = {("ADD_ROSPEC2", "Session"): 2}
"""LTKJava turned the two bits of a u2 around: its XML says session 1, its bytes 0x80, which is
session 2 by LLRP 1.0.1 section 16.2.7.2.1.2.1 (and to Impinj's, Zebra's and llrpkit's decoders)."""


def local(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def frames(stream: bytes) -> Iterator[bytes]:
    while stream:
        size = int.from_bytes(stream[2:6])
        yield stream[:size]
        stream = stream[size:]


def same(value: object, node: ET.Element) -> bool:
    """Whether a value of ours is what the Toolkit's XML says."""
    text = (node.text or "").strip()
    match value:
        case Bits(size, data):
            return data.hex() == text.lower() and int(node.get("Count", 4 * len(text))) == size
        case bytes():
            return value.hex() == text.replace(" ", "").lower()
        case tuple() if local(node) == "WriteData":
            return [f"{word:04x}" for word in value] == text.lower().split()
        case tuple():
            return [str(item) for item in value] == text.split()
        case int() if "T" in text:
            moment = datetime.fromisoformat(text)
            return value == (moment - EPOCH) // (datetime.resolution)
        case int() if text in ("true", "false"):
            return value == (text == "true")
    return str(value) == text


def compare(element: Element, node: ET.Element, case: str) -> int:
    """Every field and parameter of the XML, in order; gives how many fields there were."""
    assert element.name == local(node)
    children = list(node)
    compared = len(element.fields)
    assert len(children) >= compared
    for (name, value), child in zip(element.fields, children, strict=False):
        assert name == local(child)
        known = TOOLKIT_ERRS.get((case, name))
        assert value == known if known is not None else same(value, child), (name, value)
    rest = children[compared:]
    assert len(rest) == len(element.parameters)
    return compared + sum(
        compare(inner, child, case) for inner, child in zip(element.parameters, rest, strict=True)
    )


@needs_data
def test_every_report_of_the_toolkit_is_its_xml() -> None:
    found = list(frames((LTK / "dx101_b.bin").read_bytes()))
    nodes = list(ET.parse(LTK / "dx101_b.xml").getroot())
    assert len(found) == len(nodes) == 24
    fields = 0
    for frame, node in zip(found, nodes, strict=True):
        message = decode(frame)
        assert message.message_id == int(node.get("MessageID", ""))
        fields += compare(message, node, "dx101_b")
        assert encode(message) == frame
    assert fields > 700


@needs_data
@pytest.mark.parametrize("path", JAVA, ids=lambda path: path.stem)
def test_every_message_of_the_toolkit_is_its_xml(path: Path) -> None:
    node = ET.parse(path.with_suffix(".xml")).getroot()
    message = decode(path.read_bytes())
    assert message.version == int(node.get("Version", ""))
    assert message.message_id == int(node.get("MessageID", ""))
    compare(message, node, path.stem)
    assert encode(message) == path.read_bytes()


def as_json(message: Message) -> dict[str, Any]:
    """Our tree in the words of device-rfid-llrp-go, which drops names and gives bytes as base64."""
    found: dict[str, Any] = {}
    for one in message.parameters:
        match one.name:
            case "LLRPStatus":
                code = {"M_Success": 0}[str(one.value("StatusCode"))]
                found[one.name] = {
                    "Status": code,
                    "ErrorDescription": one.value("ErrorDescription"),
                }
            case "ReaderEventNotificationData":
                found[one.name] = as_json(one)  # type: ignore[arg-type]
            case "TagReportData":
                found.setdefault(one.name, []).append(as_json(one))  # type: ignore[arg-type]
            case "EPC_96":
                data = one.value("EPC")
                assert isinstance(data, bytes)
                found["EPC96"] = {"EPC": base64.b64encode(data).decode()}
            case "ConnectionCloseEvent":
                found[one.name] = {}
            case name:
                short = name.replace("Timestamp", "") if name != "UTCTimestamp" else name
                found[short] = one.fields[0][1]
    return found


def without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
        kept.pop("EPCData", None)  # a Go struct without a value, never on the wire here
        if kept.get("Uptime") == 0:
            del kept["Uptime"]
        return kept
    return [without_nothing(one) for one in value] if isinstance(value, list) else value


@needs_data
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_message_is_its_json(path: Path) -> None:
    types = {"GetROSpecsResponse": 36, "ROAccessReport": 61, "ReaderEventNotification": 63}
    body = path.read_bytes()
    head = (1 << 10 | types[path.stem.partition("-")[0]]).to_bytes(2)
    frame = head + (10 + len(body)).to_bytes(4) + (7).to_bytes(4) + body
    message = decode(frame)
    assert as_json(message) == without_nothing(json.loads(path.with_suffix(".json").read_text()))
    assert encode(message) == frame


# --- every message of the definition, packed here ---------------------------------------------


class Definition:
    """The XML, and a packer of our own: random values, every parameter as often as it may be."""

    def __init__(self) -> None:
        root = ET.parse(LTK / "llrp-1x0-def.xml").getroot()
        self.nodes = {(local(node), node.get("name", "")): node for node in root}
        self.random = random.Random(20071002)

    def messages(self) -> list[str]:
        return [name for kind, name in self.nodes if kind == "messageDefinition"]

    def element(self, kind: str, name: str, depth: int = 0) -> tuple[Element, str]:
        """A random element and its bits, without a header."""
        fields: list[tuple[str, Any]] = []
        parameters: list[Element] = []
        bits = ""
        for child in self.nodes[kind, name]:
            match local(child):
                case "reserved":
                    bits += "0" * int(child.get("bitCount", ""))
                case "field":
                    value, more = self.field(child)
                    fields.append((child.get("name", ""), value))
                    bits += more
                case "parameter" | "choice" as what:
                    for _ in range(self.times(child.get("repeat", ""), depth)):
                        inner, more = self.parameter(what, child.get("type", ""), depth + 1)
                        parameters.append(inner)
                        bits += more
        return Element(name, tuple(fields), tuple(parameters)), bits

    def times(self, repeat: str, depth: int) -> int:
        least, _, most = repeat.partition("-")
        if depth > 5 or not most:
            return int(least)
        return self.random.randint(int(least), 2 if most == "N" else 1)

    def parameter(self, what: str, name: str, depth: int) -> tuple[Element, str]:
        if what == "choice":
            node = self.nodes["choiceDefinition", name]
            name = self.random.choice([one.get("type", "") for one in node])
        inner, bits = self.element("parameterDefinition", name, depth)
        number = int(self.nodes["parameterDefinition", name].get("typeNum", ""))
        if number < 128:
            return inner, f"1{number:07b}{bits}"
        return inner, f"{number:016b}{4 + len(bits) // 8:016b}{bits}"

    def field(self, node: ET.Element) -> tuple[Any, str]:
        kind, rng = node.get("type", ""), self.random
        names = self.nodes.get(("enumerationDefinition", node.get("enumeration", "")))
        if kind in ("u96", "bytesToEnd"):
            data = rng.randbytes(12 if kind == "u96" else 5)
            return data, "".join(f"{byte:08b}" for byte in data)
        if kind == "u1v":
            size = rng.randint(0, 40)
            data = rng.randbytes((size + 7) // 8)
            return Bits(size, data), f"{size:016b}" + "".join(f"{byte:08b}" for byte in data)
        if kind == "utf8v":
            text = rng.choice(["", "plain", "温度 °C"])
            raw = text.encode()
            return text, f"{len(raw):016b}" + "".join(f"{byte:08b}" for byte in raw)
        if kind.endswith("v"):
            width = int(kind[1:-1])
            items = [self.number(width, names) for _ in range(rng.randint(0, 3))]
            bits = f"{len(items):016b}" + "".join(f"{number:0{width}b}" for _, number in items)
            if kind == "u8v" and node.get("format") == "Hex":
                return bytes(number for _, number in items), bits
            return tuple(value for value, _ in items), bits
        width = int(kind[1:])
        value, number = self.number(width, names)
        if kind[0] == "s":
            value = number - (1 << width) if number >> width - 1 else number
        return value, f"{number:0{width}b}"

    def number(self, width: int, names: ET.Element | None) -> tuple[int | str, int]:
        entries = [e for e in names if e.get("value")] if names is not None else []
        if entries and self.random.random() < 0.9:
            entry = self.random.choice(entries)
            return entry.get("name", ""), int(entry.get("value", ""))
        if entries:  # a number that has no name stays a number
            number = (1 << width) - 1
            known = {int(entry.get("value", "")): entry.get("name", "") for entry in entries}
            return known.get(number, number), number
        number = self.random.getrandbits(width)
        return number, number


@needs_data
def test_every_message_of_the_definition_both_ways() -> None:
    definition = Definition()
    seen: set[str] = set()
    for name in definition.messages():
        number = int(definition.nodes["messageDefinition", name].get("typeNum", ""))
        for message_id in range(40):
            expected, bits = definition.element("messageDefinition", name)
            body = int(bits or "0", 2).to_bytes(len(bits) // 8)
            length = (10 + len(body)).to_bytes(4)
            frame = (1 << 10 | number).to_bytes(2) + length + message_id.to_bytes(4) + body
            message = decode(frame)
            got = Element(message.name, message.fields, message.parameters)
            assert got == expected
            assert encode(message) == frame
            seen |= names(message)
    parameters = {name for kind, name in definition.nodes if kind == "parameterDefinition"}
    assert parameters - seen == set()


def names(element: Element) -> set[str]:
    return {element.name}.union(*(names(inner) for inner in element.parameters))


# --- what is not of the definition ------------------------------------------------------------


def message(body: str, kind: int = 61, version: int = 1) -> bytes:
    raw = bytes.fromhex(body)
    return (version << 10 | kind).to_bytes(2) + (10 + len(raw)).to_bytes(4) + bytes(4) + raw


def test_what_nobody_knows_is_kept_whole() -> None:
    custom = "03ff 000e 0000651a 00000039 ec6c"
    unknown = "02bc 0007 aabbcc"
    frame = message(f"00f0 {4 + 13 + 14 + 7:04x} 8d 30342504a8c0c1c000000001 {custom} {unknown}")
    tag = decode(frame).parameters[0]
    assert tag.parameters[1].value("Data") == bytes.fromhex("ec6c")
    assert tag.parameters[2] == Element("Unknown", (("Type", 700), ("Data", b"\xaa\xbb\xcc")))
    assert encode(decode(frame)) == frame
    stranger = message("0102", kind=900)
    assert decode(stranger).fields == (("Type", 900), ("Data", b"\x01\x02"))
    assert encode(decode(stranger)) == stranger


def test_reserved_bits_that_are_set_come_back() -> None:
    frame = message("7f", kind=3)  # SET_READER_CONFIG: one bit of reset, seven reserved
    assert decode(frame).fields == (("ResetToFactoryDefault", 0), ("Reserved", 0x7F))
    assert encode(decode(frame)) == frame


def test_bits_that_1_1_gave_a_meaning_have_it_in_1_1_only() -> None:
    """LLRP 1.1 section 17.3.1.1.1: C1G2LLRPCapabilities."""
    body = "011f00080000 0000 0147 0007 24 0002"
    old, new = (decode(message(body, 11, version)).parameters[1] for version in (1, 2))
    assert old.fields[:3] == (
        ("CanSupportBlockErase", 0), ("CanSupportBlockWrite", 0), ("Reserved", 0x24),
    )  # fmt: skip
    assert (new.number("CanSupportBlockPermalock"), new.number("CanSupportXPC")) == (1, 1)
    for version in (1, 2):
        assert encode(decode(message(body, 11, version))) == message(body, 11, version)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        message("")[:9],
        message("", version=3),
        message("00f0"),
        message("00f0 0003 00"),
        message("00f0 0009 00"),
        message("95 0001"),
        message("04f0 0004"),
        message("00f1 0007 0009 00"),
        message("00f0 0004 00", kind=21),
        message("011f 0005 00", kind=100),
    ],
)
def test_what_is_no_message_is_said_so(frame: bytes) -> None:
    with pytest.raises(Malformed):
        decode(frame)


def test_parameters_within_parameters_have_an_end() -> None:
    nested = b""
    for _ in range(2000):
        nested = (289).to_bytes(2) + (8 + len(nested)).to_bytes(2) + bytes(4) + nested
    frame = message((bytes.fromhex("011f") + (8 + len(nested)).to_bytes(2) + bytes(4)).hex(), 100)
    frame = frame[:2] + (len(frame) + len(nested)).to_bytes(4) + frame[6:] + nested
    with pytest.raises(Malformed, match="deep"):
        decode(frame)


def test_a_value_that_does_not_fit_is_our_mistake() -> None:
    with pytest.raises(OverflowError):
        encode(Message("DELETE_ROSPEC", (("ROSpecID", 1 << 32),)))
    with pytest.raises(KeyError):
        encode(Message("DELETE_ROSPEC"))
    with pytest.raises(KeyError):
        encode(Message("GET_READER_CAPABILITIES", (("RequestedData", "Everything"),)))
    bad = _llrp.element("EPC_96", EPC=b"short")
    with pytest.raises(ValueError, match="twelve"):
        encode(Message("RO_ACCESS_REPORT", (), (_llrp.element("TagReportData", bad),)))
