"""What a client asks an LLRP reader to do: a ROSpec and its report, read and found doable, or not.

Source: LLRP 1.0.1 chapters 10 (ROSpec), 11.2.1 (ROReportSpec) and 16.2.4; 1.1 for the report
triggers by time. Here: bytes to specs. Not here: doing it (`llrp_inventory`), saying it was heard
(`llrp_reader`). Times are microseconds. Filters and access commands are not of this reader.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from drivers.sim.llrp_bytes import (
    A_INVALID,
    Fields,
    Parameter,
    bad_parameter,
    missing,
    unsupported,
)

US_PER_MS: Final = 1000
MODES: Final = (0, 1, 2, 3)
"""Numbers of the RF modes of `llrp_abilities`."""
POWERS: Final = 81
"""Entries of the power table: 10 to 30 dBm by quarters."""
HOP_TABLE: Final = 1
SPECS_MAX: Final = 32
ROSPECS_MAX: Final = 8
DISABLED, INACTIVE, ACTIVE = 0, 1, 2
NULL, IMMEDIATE, PERIODIC = 0, 1, 2
STATE_AT: Final = 9
"""Where a ROSpec parameter holds its CurrentState."""


@dataclass(frozen=True, slots=True)
class Content:
    """A TagReportContentSelector: what a tag report holds beside the EPC."""

    rospec_id: bool = True
    spec_index: bool = True
    inventory_id: bool = True
    antenna_id: bool = True
    channel: bool = True
    peak_rssi: bool = True
    first_seen: bool = True
    last_seen: bool = True
    count: bool = True
    access_id: bool = True
    crc: bool = False
    pc: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A ROReportSpec: when to report, and what."""

    by: str = "rospec"
    """Whose end makes a report: "rospec", "aispec", or "" for nobody's."""
    tags: int = 0
    """So many tags make one too; 0: none do."""
    every_us: int = 0
    """So much time makes one too; 0: none does."""
    content: Content = Content()


@dataclass(frozen=True, slots=True)
class Antennas:
    """An AISpec: a visit of antennas, and what ends it."""

    antennas: tuple[int, ...]
    inventory_id: int
    lasts_us: int
    """0: as long as the ROSpec."""
    seen_tags: int = 0
    """Ends when so many tags were seen; 0: not by that."""
    quiet_us: int = 0
    """Ends when no new tag was seen for so long; 0: not by that."""
    rounds: int = 0
    """Ends after so many rounds; 0: not by that."""


@dataclass(frozen=True, slots=True)
class RoSpec:
    """What to do, when to begin, when to stop."""

    rospec_id: int
    start: int
    offset_us: int
    period_us: int
    lasts_us: int
    visits: tuple[Antennas, ...]
    report: Report | None
    raw: bytes
    """The body as it was added."""

    def said(self, state: int) -> bytes:
        """The body with its present state, as GET_ROSPECS tells it."""
        at = STATE_AT - 4
        return self.raw[:at] + bytes((state,)) + self.raw[at + 1 :]


def only(parameters: list[Parameter], kind: int) -> Fields:
    """The fields of the one parameter of a kind. Raises Refused."""
    found = [one for one in parameters if one.kind == kind]
    if len(found) != 1:
        raise missing(kind)
    return Fields(found[0].body)


def rospec(fields: Fields, antennas: int, version: int) -> RoSpec:
    """A ROSpec from its body. Raises Refused for what this reader cannot do, Malformed."""
    body = fields.data
    number, priority, state = struct.unpack(">IBB", fields.take(6))
    inside = fields.parameters()
    if number == 0:
        raise bad_parameter(177, 0, "ROSpecID 0 is none", A_INVALID)
    if priority > 7:
        raise bad_parameter(177, 1, "priorities go from 0 to 7")
    if state != DISABLED:
        raise bad_parameter(177, 2, "a ROSpec is added disabled", A_INVALID)
    boundary = only(inside, 178).parameters()
    start, offset_us, period_us = _start(only(boundary, 179))
    visits = tuple(_visit(Fields(one.body), antennas) for one in inside if one.kind == 183)
    for one in inside:
        if one.kind not in (178, 183, 237):
            raise unsupported(one.kind)
    if not visits:
        raise missing(183)
    if len(visits) > SPECS_MAX:
        raise bad_parameter(177, 0, f"more than {SPECS_MAX} AISpecs")
    reports = [one for one in inside if one.kind == 237]
    report = report_spec(Fields(reports[0].body), version) if reports else None
    lasts_us = _stop(only(boundary, 182))
    return RoSpec(number, start, offset_us, period_us, lasts_us, visits, report, body)


def _start(fields: Fields) -> tuple[int, int, int]:
    kind = fields.number(1)
    if kind in (NULL, IMMEDIATE):
        return kind, 0, 0
    if kind != PERIODIC:
        raise bad_parameter(179, 0, "this reader has no inputs to start by")
    every = only(fields.parameters(), 180)
    offset_ms, period_ms = every.number(4), every.number(4)
    if period_ms == 0:
        raise bad_parameter(180, 1, "a period of 0 is none")
    return kind, offset_ms * US_PER_MS, period_ms * US_PER_MS


def _stop(fields: Fields) -> int:
    kind, lasts_ms = fields.number(1), fields.number(4)
    if kind > 1:
        raise bad_parameter(182, 0, "this reader has no inputs to stop by")
    if kind == 1 and lasts_ms == 0:
        raise bad_parameter(182, 1, "a duration of 0 is none")
    return lasts_ms * US_PER_MS if kind == 1 else 0


def _visit(fields: Fields, antennas: int) -> Antennas:
    wanted = fields.numbers()
    inside = fields.parameters()
    if not wanted or max(wanted) > antennas or len(set(wanted)) < len(wanted):
        raise bad_parameter(183, 0, f"antennas are 1 to {antennas}, or 0 for all")
    inventories = [one for one in inside if one.kind == 186]
    if not inventories:
        raise missing(186)
    if len(inventories) > 1:
        raise bad_parameter(183, 0, "one InventoryParameterSpec an AISpec")
    for one in inside:
        if one.kind not in (184, 186):
            raise unsupported(one.kind)
    number = _inventory(Fields(inventories[0].body), antennas)
    every = tuple(range(1, antennas + 1)) if 0 in wanted else wanted
    return _visit_until(only(inside, 184), every, number)


def _visit_until(fields: Fields, antennas: tuple[int, ...], number: int) -> Antennas:
    kind, lasts_ms = fields.number(1), fields.number(4)
    if kind == 0:
        return Antennas(antennas, number, 0)
    if kind == 1:
        if lasts_ms == 0:
            raise bad_parameter(184, 1, "a duration of 0 is none")
        return Antennas(antennas, number, lasts_ms * US_PER_MS)
    if kind == 2:
        raise bad_parameter(184, 0, "this reader has no inputs to stop by")
    if kind > 3:
        raise bad_parameter(184, 0, "no such trigger", A_INVALID)
    watch = only(fields.parameters(), 185)
    how, _, tags, tries, quiet_ms, timeout_ms = struct.unpack(">BBHHHI", watch.take(12))
    if how > 2:
        raise bad_parameter(185, 0, "this reader sees N tags, no more tags, or N attempts")
    return Antennas(
        antennas,
        number,
        timeout_ms * US_PER_MS,
        seen_tags=tags if how == 0 else 0,
        quiet_us=quiet_ms * US_PER_MS if how == 1 else 0,
        rounds=tries * len(antennas) if how == 2 else 0,
    )


def _inventory(fields: Fields, antennas: int) -> int:
    number, protocol = fields.number(2), fields.number(1)
    if number == 0:
        raise bad_parameter(186, 0, "InventoryParameterSpecID 0 is none", A_INVALID)
    if protocol != 1:
        raise bad_parameter(186, 1, "this reader speaks EPCGlobal Class 1 Gen 2")
    for one in fields.parameters():
        if one.kind != 222:
            raise unsupported(one.kind)
        antenna_settings(one, antennas)
    return number


def antenna_settings(parameter: Parameter, antennas: int) -> int:
    """An AntennaConfiguration, found doable; the antenna's number. Raises Refused, Malformed."""
    fields = Fields(parameter.body)
    antenna = fields.number(2)
    if antenna > antennas:
        raise bad_parameter(222, 0, f"antennas are 1 to {antennas}, or 0 for all")
    for one in fields.parameters():
        inside = Fields(one.body)
        if one.kind == 223:
            if inside.number(2) != 1:
                raise bad_parameter(223, 0, "the sensitivity table has entry 1")
        elif one.kind == 224:
            hops, _, power = (inside.number(2) for _ in range(3))
            if hops != HOP_TABLE:
                raise bad_parameter(224, 0, f"the reader hops by table {HOP_TABLE}")
            if not 1 <= power <= POWERS:
                raise bad_parameter(224, 2, f"the power table has entries 1 to {POWERS}")
        elif one.kind == 330:
            _command(inside)
        else:
            raise unsupported(one.kind)
    return antenna


def _command(fields: Fields) -> None:
    if fields.number(1) & 0x80:
        raise bad_parameter(330, 0, "no inventory that knows the tags' state")
    for one in fields.parameters():
        inside = Fields(one.body)
        if one.kind == 335:
            if inside.number(2) not in MODES:
                raise bad_parameter(335, 0, f"RF modes are {MODES[0]} to {MODES[-1]}")
            inside.take(2)
            inside.end()
        elif one.kind == 336:
            inside.take(7)
            if inside.parameters():
                raise unsupported(337)
        else:
            raise unsupported(one.kind)


def report_spec(fields: Fields, version: int) -> Report:
    """A ROReportSpec. Raises Refused, Malformed."""
    trigger, count = fields.number(1), fields.number(2)
    inside = fields.parameters()
    if trigger > (6 if version > 1 else 2):
        raise bad_parameter(237, 0, "no such report trigger", A_INVALID)
    for one in inside:
        if one.kind != 238:
            raise unsupported(one.kind)
    selector = only(inside, 238)
    flags = selector.number(2)
    wanted = [bool(flags >> bit & 1) for bit in range(15, 5, -1)]
    crc = pc = False
    for one in selector.parameters():
        if one.kind != 348:
            raise unsupported(one.kind)
        memory = Fields(one.body).number(1)
        crc, pc = bool(memory & 0x80), bool(memory & 0x40)
    by = "" if trigger == 0 else ("aispec" if trigger % 2 else "rospec")
    unit_us = 1_000_000 if trigger in (3, 4) else US_PER_MS
    return Report(
        by=by,
        tags=count if trigger in (1, 2) else 0,
        every_us=count * unit_us if trigger >= 3 else 0,
        content=replace(Content(*wanted), crc=crc, pc=pc),
    )
