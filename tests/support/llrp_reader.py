"""The reader's side of an LLRP conversation, for tests: answers packed by hand from the standard.

It shares no code with the driver; requests are recognised by the type in their header alone.
"""

from __future__ import annotations

import struct

OK = bytes.fromhex("011f 0008 0000 0000")
EPC = "30342504a8c0c1c000000001"
ROSPEC_ID = 5084


def tlv(kind: int, body: bytes) -> bytes:
    """A TLV parameter."""
    return struct.pack(">HH", kind, 4 + len(body)) + body


def message(kind: int, body: bytes = b"", *, mid: int = 0, version: int = 1) -> bytes:
    """A message; the header's length is right."""
    return struct.pack(">HII", version << 10 | kind, 10 + len(body), mid) + body


def status(code: int, text: str = "") -> bytes:
    """An LLRPStatus."""
    raw = text.encode()
    return tlv(287, struct.pack(">HH", code, len(raw)) + raw)


def event(*parameters: bytes) -> bytes:
    """A READER_EVENT_NOTIFICATION."""
    return message(63, tlv(246, tlv(128, struct.pack(">Q", 1)) + b"".join(parameters)))


def attempt(code: int = 0) -> bytes:
    """The first words of a reader: ConnectionAttemptEvent, 0 is success."""
    return event(tlv(256, struct.pack(">H", code)))


def rospec_event(kind: int) -> bytes:
    """Start (0) or end (1) of our ROSpec."""
    return event(tlv(249, struct.pack(">BII", kind, ROSPEC_ID, 0)))


def report(*tags: tuple[str, int, int]) -> bytes:
    """A report of EPC, antenna, RSSI in whole dBm."""
    return message(
        61,
        b"".join(
            tlv(240, b"\x8d" + bytes.fromhex(epc) + struct.pack(">BHBb", 0x81, antenna, 0x86, rssi))
            for epc, antenna, rssi in tags
        ),
    )


def capabilities(
    *,
    antennas: int = 4,
    maker: int = 161,
    specs_max: int = 32,
    powers: tuple[tuple[int, int], ...] = ((1, 1000), (2, 2000), (3, 2750), (4, 3000), (5, 3150)),
    modes: tuple[tuple[int, int, int], ...] = ((0, 0, 640_000), (1, 1, 640_000), (2, 2, 274_000)),
    hopping: bool = True,
) -> bytes:
    """The parameters of GET_READER_CAPABILITIES_RESPONSE; modes are id, M value, bits a second."""
    general = struct.pack(">HHIIH", antennas, 0x4000, maker, 700, 3) + b"1.0"
    general += tlv(139, struct.pack(">Hh", 1, 0)) + tlv(141, struct.pack(">HH", 0, 0))
    general += tlv(140, struct.pack(">HHB", 1, 1, 1))
    limits = struct.pack(">BBHIIIII", 0x40, 1, 0, 4, specs_max, 4, 0, 0)
    hops = tlv(147, struct.pack(">BBHI", 3, 0, 1, 902_750)) if hopping else b""
    fixed = b"" if hopping else tlv(148, struct.pack(">HI", 1, 865_700))
    table = b"".join(
        tlv(329, struct.pack(">IBBBBIIIII", i, 0x80, m, 0, 2, rate, 1500, 6250, 25_000, 1875))
        for i, m, rate in modes
    )
    band = b"".join(tlv(145, struct.pack(">Hh", *power)) for power in powers)
    band += tlv(146, bytes((0x80 if hopping else 0,)) + hops + fixed) + tlv(328, table)
    regulatory = struct.pack(">HH", 156, 0) + tlv(144, band)
    air = tlv(327, struct.pack(">BH", 0, 2))
    return OK + tlv(137, general) + tlv(142, limits) + tlv(143, regulatory) + air


def identification(reader_id: str = "00163efffe12ab34") -> bytes:
    """The parameters of an answer to GET_READER_CONFIG Identification."""
    raw = bytes.fromhex(reader_id)
    return OK + tlv(218, struct.pack(">BH", 0, len(raw)) + raw)


def requests(sent: bytes) -> list[tuple[int, int, int, bytes]]:
    """What was sent, as version, type, message id and body."""
    found = []
    while sent:
        first, length, mid = struct.unpack_from(">HII", sent)
        found.append((first >> 10, first & 0x3FF, mid, sent[10:length]))
        sent = sent[length:]
    return found


class Reader:
    """Answers each request with success, or as `instead` says by type: b"" is no answer."""

    def __init__(self, **instead: bytes) -> None:
        """`instead` as `t24=message(...)`; {mid} is put in by `answers`."""
        self.instead = {int(name[1:]): body for name, body in instead.items()}
        self.heard: list[int] = []
        self.versions: list[int] = []
        self.bodies: dict[int, bytes] = {}

    def answers(self, sent: bytes) -> bytes:
        """The bytes that come back for these."""
        out = b""
        for version, kind, mid, body in requests(sent):
            self.heard.append(kind)
            self.versions.append(version)
            self.bodies[kind] = body
            out += self.answer(version, kind, mid, body)
        return out

    def answer(self, version: int, kind: int, mid: int, body: bytes) -> bytes:
        if kind in self.instead:
            told = self.instead[kind]
            return told[:6] + struct.pack(">I", mid) + told[10:] if told else b""
        match kind:
            case 46:
                return message(100, status(110, "version"), mid=mid)
            case 1:
                return message(11, capabilities(), mid=mid, version=version)
            case 2 if body[2] == 1:
                return message(12, identification(), mid=mid, version=version)
            case 64 | 72:
                return b""
            case 14:
                return message(4, OK, mid=mid, version=version)
            case 1023:
                return message(1023, struct.pack(">IB", 25882, 22) + OK, mid=mid)
        return message(kind + 10, OK, mid=mid, version=version)
