"""RO_ACCESS_REPORT frames of an RFID reader as bytes, for the benches: LLRP 1.0.1, 16 and 17.

Here: SGTIN-96 tags and reports packed by hand. Not here: reading them (`drivers`), radio.

    version 1, type 61 (u16) | length u32 | message id u32 | TagReportData (TLV 240), each:
    a TV begins with 0x80 + its type: EPC-96 (13) | AntennaID (1) | PeakRSSI (6)
    FirstSeenUTC (2) | LastSeenUTC (4) | TagSeenCount (8)
"""

from __future__ import annotations

import random
import struct
from typing import Final

_VERSION_AND_TYPE: Final = 1 << 10 | 61
_HEADER: Final = struct.Struct(">HII")
_TAG: Final = struct.Struct(">HH B12s BH Bb BQ BQ BH")
_TAG_REPORT_DATA: Final = 240


def sgtin96(item: int, serial: int) -> bytes:
    """A tag of the goods of this bench: filter 1, partition 5, company prefix 6901234."""
    bits = 0x30 << 88 | 1 << 85 | 5 << 82 | 6901234 << 58 | item << 38 | serial
    return bits.to_bytes(12, "big")


def report(epcs: list[bytes], antenna: int, at_us: int, rng: random.Random) -> bytes:
    """One frame: each of these tags seen once by an antenna, just now."""
    first_us = at_us - 200_000
    tags = b"".join(
        _TAG.pack(
            _TAG_REPORT_DATA, _TAG.size, 0x8D, epc, 0x81, antenna, 0x86, rng.randint(-75, -40),
            0x82, first_us, 0x84, at_us, 0x88, 1,
        )
        for epc in epcs
    )  # fmt: skip
    return _HEADER.pack(_VERSION_AND_TYPE, _HEADER.size + len(tags), 0) + tags


def shop_floor(seconds: int, rng: random.Random) -> tuple[bytes, int]:
    """A reader's bytes over some seconds, and how many reads they are: 4 antennas, 400 tags."""
    shelves = [[sgtin96(10 + n % 20, 1000 * a + n) for n in range(100)] for a in range(4)]
    out, reads = [], 0
    for second in range(seconds):
        for antenna, tags in enumerate(shelves, 1):
            heard = [epc for epc in tags if rng.random() < 0.8]
            at_us = 1_780_300_800_000_000 + second * 1_000_000 + antenna * 250_000
            out.append(report(heard, antenna, at_us, rng))
            reads += len(heard)
    return b"".join(out), reads
