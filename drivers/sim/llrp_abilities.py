"""What an LLRP reader says it is and can do, and the settings that it keeps.

Source: LLRP 1.0.1 chapters 9 (capabilities) and 12 (configuration), 16.2.3 and 16.2.6; 1.1 for the
flags it added. A reader of FCC's region, 10 to 30 dBm, four RF modes, no inputs or outputs. Here:
those parameters as bytes, the configuration read and told. Not here: messages (`llrp_reader`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from drivers.sim.llrp_bytes import (
    A_INVALID,
    A_OUT_OF_RANGE,
    VENDOR,
    Fields,
    Parameter,
    bad_field,
    bad_parameter,
    custom,
    text,
    tlv,
    unsupported,
)
from drivers.sim.llrp_specs import (
    HOP_TABLE,
    MODES,
    POWERS,
    ROSPECS_MAX,
    SPECS_MAX,
    US_PER_MS,
    Report,
    antenna_settings,
    only,
    report_spec,
)

MODEL: Final = 1
FIRMWARE: Final = "1.0"
GAIN_CDBI: Final = 600
FACTORY_REPORT: Final = Report()
EVENTS: Final = 10
"""Kinds of events that may be switched on, the last one only in 1.1."""
ROSPEC_EVENT, WARNING_EVENT, VISIT_EVENT, VISIT_DETAILS_EVENT, ANTENNA_EVENT = 2, 3, 6, 7, 8
_Parts = tuple[tuple[int, Callable[[], bytes]], ...]
_RATES: Final = ((0, 640_000), (1, 320_000), (2, 274_000), (3, 64_000))
"""M value (FM0, Miller 2, 4, 8) and backscatter rate of each RF mode."""


def capabilities(wanted: int, antennas: int, version: int, *, utc: bool, extras: bool) -> bytes:
    """The parameters of GET_READER_CAPABILITIES_RESPONSE after the status. Raises Refused."""
    if wanted > 4:
        raise bad_field(0, f"no such data: {wanted}", A_OUT_OF_RANGE)
    parts: _Parts = (
        (1, lambda: _general(antennas, utc=utc)),
        (2, _limits),
        (3, lambda: _regulatory(extras=extras)),
        (4, lambda: _air(version)),
    )
    said = b"".join(make() for number, make in parts if wanted in (0, number))
    return said + (custom(1, b"\x01\x02\x03") if extras else b"")


def _general(antennas: int, *, utc: bool) -> bytes:
    flags = 0x8000 | (0x4000 if utc else 0)
    fields = struct.pack(">HHII", antennas, flags, VENDOR, MODEL) + text(FIRMWARE)
    sensitivity = tlv(139, struct.pack(">Hh", 1, 0))
    no_gpio = tlv(141, bytes(4))
    protocols = (tlv(140, struct.pack(">HHB", one, 1, 1)) for one in range(1, antennas + 1))
    return tlv(137, fields + sensitivity + no_gpio + b"".join(protocols))


def _limits() -> bytes:
    warns_and_holds = 0x48
    return tlv(
        142, struct.pack(">BBHIIIII", warns_and_holds, 1, 0, ROSPECS_MAX, SPECS_MAX, 1, 0, 0)
    )


def _regulatory(*, extras: bool) -> bytes:
    powers = (tlv(145, struct.pack(">Hh", one, 975 + 25 * one)) for one in range(1, POWERS + 1))
    channels = range(902_750, 927_251, 500)
    hops = struct.pack(">BBH", HOP_TABLE, 0, len(channels))
    hops += b"".join(struct.pack(">I", khz) for khz in channels)
    frequencies = tlv(146, b"\x80" + tlv(147, hops))
    entries = (
        tlv(329, struct.pack(">IBBBBIIIII", mode, 0x80, m, 0, 2, rate, 1500, 6250, 25_000, 6250))
        for mode, (m, rate) in zip(MODES, _RATES, strict=True)
    )
    band = tlv(144, b"".join(powers) + frequencies + tlv(328, b"".join(entries)))
    usa, fcc = 840, 1
    return tlv(143, struct.pack(">HH", usa, fcc) + band + (custom(2, b"") if extras else b""))


def _air(version: int) -> bytes:
    flags = 0x04 if version > 1 else 0  # 1.1: the PC's XPC bits are known
    return tlv(327, struct.pack(">BH", flags, 0))


class Config:
    """The settings that a client may change; raises Refused and keeps all of the old ones."""

    def __init__(self, antennas: int, reader_id: str) -> None:
        """`reader_id`: an EUI-64, in hex."""
        self._antennas = antennas
        self._reader_id = bytes.fromhex(reader_id)
        self.events = frozenset[int]()
        """Kinds of events that are told."""
        self.keepalive_us = 0
        """0: none."""
        self.holds = False
        """Whether reports and events wait for ENABLE_EVENTS_AND_REPORTS after a reconnection."""
        self.report = FACTORY_REPORT
        self.changes = 0
        """The configuration's state value."""
        self._settings: dict[int, bytes] = {}

    # --- set

    def reset(self) -> None:
        """As it left the factory."""
        self.events, self.keepalive_us, self.holds = frozenset(), 0, False
        self.report = FACTORY_REPORT
        self._settings = {}

    def check(self, parameters: list[Parameter], version: int) -> None:
        """Raises Refused for what this reader cannot be set to, Malformed."""
        Config(self._antennas, "").apply(parameters, version)

    def apply(self, parameters: list[Parameter], version: int) -> None:
        """Takes settings over, one by one; `check` before."""
        for one in parameters:
            fields = Fields(one.body)
            if one.kind == 244:
                self._set_events(fields)
            elif one.kind == 220:
                kind, period_ms = fields.number(1), fields.number(4)
                if kind > 1 or (kind == 1 and period_ms == 0):
                    raise bad_parameter(220, kind == 1, "no such keepalive", A_INVALID)
                self.keepalive_us = period_ms * US_PER_MS if kind else 0
            elif one.kind == 226:
                self.holds = bool(fields.number(1) & 0x80)
            elif one.kind == 237:
                self.report = report_spec(fields, version)
            elif one.kind == 222:
                self._settings[antenna_settings(one, self._antennas)] = one.body
            elif one.kind == 221:
                fields.take(5)
            elif one.kind == 239:
                fields.take(1)
            else:
                raise unsupported(one.kind)
        self.changes = (self.changes + 1) & 0xFFFF_FFFF

    def _set_events(self, fields: Fields) -> None:
        states = fields.parameters()
        if not states:
            only(states, 245)
        for one in states:
            if one.kind != 245:
                raise unsupported(one.kind)
            inside = Fields(one.body)
            kind, on = inside.number(2), inside.number(1) & 0x80
            if kind >= EVENTS:
                raise bad_parameter(245, 0, f"no such event: {kind}", A_INVALID)
            self.events = self.events | {kind} if on else self.events - {kind}

    # --- told

    def told(self, wanted: int, antenna: int, lost: set[int], *, extras: bool) -> bytes:
        """The parameters of GET_READER_CONFIG_RESPONSE after the status. Raises Refused."""
        if wanted > 11:
            raise bad_field(1, f"no such data: {wanted}", A_OUT_OF_RANGE)
        if antenna > self._antennas:
            raise bad_field(0, f"antennas are 1 to {self._antennas}", A_OUT_OF_RANGE)
        which = [antenna] if antenna else list(range(1, self._antennas + 1))
        parts: _Parts = (
            (1, lambda: tlv(218, struct.pack(">BH", 0, len(self._reader_id)) + self._reader_id)),
            (2, lambda: b"".join(_properties(one, one not in lost) for one in which)),
            (3, lambda: b"".join(self._antenna(one) for one in which)),
            (5, self._events),
            (4, lambda: tlv(237, _report_fields(self.report))),
            (6, lambda: tlv(239, b"\x00")),
            (7, lambda: tlv(217, self.changes.to_bytes(4))),
            (8, self._keepalive),
            (11, lambda: tlv(226, b"\x80" if self.holds else b"\x00")),
        )
        said = b"".join(make() for number, make in parts if wanted in (0, number))
        return said + (custom(3, b"\xff") if extras else b"")

    def _antenna(self, antenna: int) -> bytes:
        known = self._settings.get(antenna) or self._settings.get(0)
        if known is not None:
            return tlv(222, antenna.to_bytes(2) + known[2:])
        receiver = tlv(223, b"\x00\x01")
        transmitter = tlv(224, struct.pack(">HHH", HOP_TABLE, 0, POWERS))
        singulation = tlv(336, struct.pack(">BHI", 0x40, 32, 0))
        command = tlv(330, b"\x00" + tlv(335, bytes(4)) + singulation)
        return tlv(222, antenna.to_bytes(2) + receiver + transmitter + command)

    def _events(self) -> bytes:
        states = (
            tlv(245, struct.pack(">HB", kind, 0x80 if kind in self.events else 0))
            for kind in range(EVENTS - 1)
        )
        return tlv(244, b"".join(states))

    def _keepalive(self) -> bytes:
        period_ms = self.keepalive_us // US_PER_MS
        return tlv(220, struct.pack(">BI", period_ms > 0, period_ms))


def _properties(antenna: int, connected: bool) -> bytes:
    return tlv(221, struct.pack(">BHh", 0x80 if connected else 0, antenna, GAIN_CDBI))


def _report_fields(report: Report) -> bytes:
    content = report.content
    flags = (
        content.rospec_id,
        content.spec_index,
        content.inventory_id,
        content.antenna_id,
        content.channel,
        content.peak_rssi,
        content.first_seen,
        content.last_seen,
        content.count,
        content.access_id,
    )
    bits = sum(1 << 15 - number for number, on in enumerate(flags) if on)
    memory = tlv(348, bytes((content.crc << 7 | content.pc << 6,)))
    selector = tlv(238, bits.to_bytes(2) + memory)
    count, trigger = report.tags, {"": 0, "aispec": 1, "rospec": 2}[report.by]
    if report.every_us:
        # 1.1's triggers by milliseconds
        count, trigger = report.every_us // US_PER_MS, trigger + 4
    return struct.pack(">BH", trigger, min(count, 65_535)) + selector
