"""What an LLRP reader tells of itself: tag reports and events, as its own clock dates them.

Source: LLRP 1.0.1 chapters 11 and 13.2, 16.2.5 and 16.2.7. Here: reads and events to bytes. Not
here: when they are told (`llrp_reader`), what was heard (`llrp_inventory`).
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterable
from typing import Final

from drivers.sim.llrp_buffer import Read
from drivers.sim.llrp_bytes import custom, tlv, tv

PART_PER_MILLION: Final = 1_000_000
_EPC_96_BYTES: Final = 12
CHANNELS: Final = 50


class Teller:
    """Writes reports and events; what they say is no client's business to change."""

    def __init__(self, offset_us: int, drift_ppm: int, *, utc: bool, extras: bool) -> None:
        """The clock reads the simulator's time plus the offset, and drifts from the first look.

        `utc`: False for a reader without a clock. `extras`: with its maker's own parameters.
        """
        self._offset_us, self._drift_ppm = offset_us, drift_ppm
        self._utc, self._extras = utc, extras
        self._born_us: int | None = None

    def clock_us(self, at_us: int) -> int:
        """What its clock reads: UTC, or microseconds since it was first asked."""
        if self._born_us is None:
            self._born_us = at_us
        age_us = at_us - self._born_us
        drifted_us = age_us + age_us * self._drift_ppm // PART_PER_MILLION
        if not self._utc:
            return max(0, drifted_us)
        return max(0, self._born_us + drifted_us + self._offset_us)

    def event(self, at_us: int, what: bytes) -> bytes:
        """The body of a READER_EVENT_NOTIFICATION."""
        stamp = tlv(128 if self._utc else 129, self.clock_us(at_us).to_bytes(8))
        return tlv(246, stamp + what + (custom(4, b"\x00\x01") if self._extras else b""))

    def report(self, reads: Iterable[Read]) -> bytes:
        """The body of an RO_ACCESS_REPORT."""
        said = b"".join(self._tag(one) for one in reads)
        return said + (custom(5, b"end") if self._extras else b"")

    def _tag(self, read: Read) -> bytes:
        epc, content = read.heard.epc, read.report.content
        if len(epc) == _EPC_96_BYTES:
            said = [tv(13, epc)]
        else:
            said = [tlv(241, (8 * len(epc)).to_bytes(2) + epc)]
        first_us, last_us = self.clock_us(read.first_us), self.clock_us(read.last_us)
        utc, rssi_dbm = self._utc, round(read.rssi_dbm)
        channel = 1 + read.first_us // 400_000 % CHANNELS
        protocol_control = (len(epc) // 2 << 11).to_bytes(2)
        checked = crc_hqx(protocol_control + epc, 0xFFFF) ^ 0xFFFF
        for wanted, kind, value in (
            (content.rospec_id, 9, read.rospec_id.to_bytes(4)),
            (content.spec_index, 14, read.index.to_bytes(2)),
            (content.inventory_id, 10, read.inventory_id.to_bytes(2)),
            (content.antenna_id, 1, read.antenna.to_bytes(2)),
            (content.peak_rssi, 6, struct.pack(">b", rssi_dbm)),
            (content.channel, 7, channel.to_bytes(2)),
            (content.first_seen, 2 if utc else 3, first_us.to_bytes(8)),
            (content.last_seen, 4 if utc else 5, last_us.to_bytes(8)),
            (content.count, 8, read.count.to_bytes(2)),
            (content.pc, 12, protocol_control),
            (content.crc, 11, checked.to_bytes(2)),
            # there is never an access command: its number is 0
            (content.access_id, 16, bytes(4)),
        ):
            if wanted:
                said.append(tv(kind, value))
        if self._extras:
            said.append(custom(6, struct.pack(">h", round(read.rssi_dbm * 100))))
        return tlv(240, b"".join(said))
