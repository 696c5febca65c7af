"""The stream of bytes from a reader: tag reports to readings at once, other messages whole. Pure.

Source: LLRP 1.0.1 chapters 13.2.3 (TagReportData) and 16; Impinj Octane LLRP, ImpinjPeakRSSI.

    RO_ACCESS_REPORT | TagReportData 240, length | EPC_96 | AntennaID | PeakRSSI | ... | Custom |

A report may have megabytes: one parameter of it is held at a time, 65,535 bytes at most. Readers
repeat one layout of parameters in every tag, so a layout once walked is unpacked in one step, and
proved by the types and lengths it must have.

Here: framing, and tags. Not here: the meaning of other messages (`rfid_llrp`), their values
(`_llrp`).
"""

from __future__ import annotations

import re
import struct
from typing import Any, Final, NamedTuple

from drivers import framing
from drivers._llrp import HEADER_BYTES, MESSAGE_TYPES, TV_BYTES, message_type
from gateway.domain.reading import Garbled, Tag, garbled

HEADER: Final = "header"
REPORT: Final = "report"
NO_EPC: Final = "no_epc"

MESSAGE_MAX_BYTES: Final = 65_536
"""Messages but reports: longer ones are told as too long, and skipped."""
REPORT_MAX_BYTES: Final = 64 << 20
"""More than any reader buffers; a header that says more is none."""
LAYOUTS_MAX: Final = 64

_RO_ACCESS_REPORT: Final = message_type("RO_ACCESS_REPORT")
_KEEPALIVE: Final = message_type("KEEPALIVE")
_EVENT: Final = message_type("READER_EVENT_NOTIFICATION")
_TAG_REPORT_DATA, _EPC_DATA, _CUSTOM = 240, 241, 1023
_ANTENNA, _FIRST_UTC, _LAST_UTC, _RSSI, _COUNT, _EPC_96 = 1, 2, 4, 6, 8, 13
_IMPINJ_PEAK_RSSI: Final = struct.pack(">II", 25882, 57)
_US_MAX: Final = 2**53 - 1
"""A later time is no clock's, and no number that JSON keeps."""

_TLV: Final = struct.Struct(">HH")
_HEADER: Final = struct.Struct(">HII")
_NUMBERS: Final = {_ANTENNA: "H", _FIRST_UTC: "Q", _LAST_UTC: "Q", _RSSI: "b", _COUNT: "H"}
_ABSENT: Final = (0, None, 1, None)
"""Antenna, RSSI, count, time, where a report does not say; picked from the end of the values."""

# A header worth a second look when out of step: a version, a type's high bits, under a megabyte
_LIKE_HEADER: Final = re.compile(rb"(?=[\x04\x07\x08\x0b].\x00[\x00-\x0f].{8})", re.DOTALL)
_LOOK_BYTES: Final = 12
_FIRST_PARAMETERS: Final = {_RO_ACCESS_REPORT: (_TAG_REPORT_DATA, 242, _CUSTOM), _EVENT: (246,)}


class Stream:
    """Bytes in; tags, `garbled` and whole messages out, in order. Never raises.

    Bytes that begin no message are `garbled` once (`header`); then the next header that can be
    one is looked for. In a live connection that is not good enough: see `rfid_llrp.read`.
    """

    def __init__(self) -> None:
        self._layouts: dict[int, _Layout] = {}
        self._start()

    def _start(self) -> None:
        self._buffer = bytearray()
        self._need = HEADER_BYTES  # bytes in the buffer before anything can be done with them
        self._skip = 0  # bytes to drop
        self._left = 0  # bytes of a report not yet taken
        self._lost = False  # out of step

    def feed(self, chunk: bytes) -> list[Tag | Garbled | bytes]:
        """What these bytes complete; a message that is no report is given as its bytes."""
        self._buffer += chunk
        out: list[Tag | Garbled | bytes] = []
        at = 0
        while len(self._buffer) - at >= self._need:
            if self._skip:
                at = self._skipped(at)
            elif self._left:
                at = self._parameters(at, out)
            elif self._lost:
                at = self._search(at)
            else:
                at = self._message(at, out)
        del self._buffer[:at]
        return out

    def end(self) -> list[Tag | Garbled | bytes]:
        """A message that was cut off; then ready for another stream."""
        cut = not self._lost and (self._buffer or self._skip or self._left)
        held = bytes(self._buffer)
        self._start()
        return [garbled(framing.CUT, held)] if cut else []

    def _skipped(self, at: int) -> int:
        taken = min(self._skip, len(self._buffer) - at)
        self._skip -= taken
        self._need = 1 if self._skip else self._head_bytes()
        return at + taken

    def _head_bytes(self) -> int:
        return min(_TLV.size, self._left) if self._left else HEADER_BYTES

    def _header(self, at: int) -> tuple[int, int, int]:
        """Reserved bits and version, type, length."""
        first, length, _ = _HEADER.unpack_from(self._buffer, at)
        return first >> 10, first & 0x3FF, length

    def _message(self, at: int, out: list[Tag | Garbled | bytes]) -> int:
        version, type_, length = self._header(at)
        longest = REPORT_MAX_BYTES if type_ in MESSAGE_TYPES else MESSAGE_MAX_BYTES
        if version not in (1, 2) or not HEADER_BYTES <= length <= longest:
            out.append(garbled(HEADER, bytes(self._buffer[at : at + HEADER_BYTES])))
            self._lost, self._need = True, _LOOK_BYTES
            return at + 1
        if type_ == _RO_ACCESS_REPORT:
            self._left = length - HEADER_BYTES
            self._need = self._head_bytes()
            return at + HEADER_BYTES
        if length > MESSAGE_MAX_BYTES:
            out.append(garbled(framing.TOO_LONG, bytes(self._buffer[at : at + HEADER_BYTES])))
            self._skip, self._need = length, 1
            return at
        if len(self._buffer) - at < length:
            self._need = length
            return at
        out.append(bytes(self._buffer[at : at + length]))
        self._need = HEADER_BYTES
        return at + length

    def _search(self, at: int) -> int:
        """The next place where a message can begin, or the last that more bytes may prove one."""
        for found in _LIKE_HEADER.finditer(self._buffer, at):
            if self._likely(found.start()):
                self._lost, self._need = False, HEADER_BYTES
                return found.start()
        return len(self._buffer) - _LOOK_BYTES + 1

    def _likely(self, at: int) -> bool:
        _, type_, length = self._header(at)
        if type_ not in MESSAGE_TYPES or length < HEADER_BYTES:
            return False
        if type_ == _KEEPALIVE or length == HEADER_BYTES:
            return length == HEADER_BYTES
        inner = int.from_bytes(self._buffer[at + HEADER_BYTES : at + _LOOK_BYTES])
        if type_ in _FIRST_PARAMETERS:
            return inner in _FIRST_PARAMETERS[type_]
        return length <= MESSAGE_MAX_BYTES

    def _parameters(self, at: int, out: list[Tag | Garbled | bytes]) -> int:
        """Parameters of a report, as many as are there. What is none voids the report's rest."""
        data, left = self._buffer, self._left
        end = len(data)
        self._need = HEADER_BYTES
        while left:
            if end - at < min(left, 4):
                self._need = min(left, 4)
                break
            type_, size = _TLV.unpack_from(data, at) if left >= 4 else (0, 0)
            if type_ > 0x3FF or not 4 <= size <= left:
                out.append(garbled(REPORT, bytes(data[at : at + min(left, 4)])))
                self._skip, self._need, left = left, 1, 0
                break
            if type_ != _TAG_REPORT_DATA:
                self._skip, self._need = size, 1
                left -= size
                break
            if end - at < size:
                self._need = size
                break
            out.append(self._tag(at, size))
            at += size
            left -= size
        self._left = left
        return at

    def _tag(self, at: int, size: int) -> Tag | Garbled:
        layout = self._layouts.get(size)
        values: tuple[Any, ...]
        if layout is not None:
            values = layout.form.unpack_from(self._buffer, at)
        if layout is None or values[::2] != layout.heads:
            raw = bytes(self._buffer[at : at + size])
            walked = _walk(raw)
            if isinstance(walked, str):
                return garbled(walked, raw)
            if len(self._layouts) >= LAYOUTS_MAX:
                self._layouts.clear()
            self._layouts[size] = layout = walked
            values = layout.form.unpack(raw)
        values += _ABSENT
        epc, antenna, rssi, scale_cdb, count, first, last = layout.picks
        rssi_cdbm = values[rssi]
        if rssi_cdbm is not None:
            rssi_cdbm *= scale_cdb
        first_us, last_us = values[first], values[last]
        if first_us is not None and first_us > _US_MAX:
            first_us = None
        if last_us is not None and last_us > _US_MAX:
            last_us = None
        return Tag(values[epc].hex(), values[antenna], rssi_cdbm, values[count], first_us, last_us)


class _Layout(NamedTuple):
    """How the bytes of one kind of tag report lie: heads and values in turn."""

    form: struct.Struct
    heads: tuple[bytes, ...]
    """What the heads must be: types, lengths, bit counts, vendors."""
    picks: tuple[int, int, int, int, int, int, int]
    """Places in the values: EPC, antenna, RSSI, its scale to hundredths, count, first, last."""


def _walk(raw: bytes) -> _Layout | str:
    """The layout of a TagReportData, header included, or the reason why it has none."""
    form, heads = ">", []
    epc, place = 0, {_ANTENNA: -4, _RSSI: -3, _COUNT: -2, _FIRST_UTC: -1, _LAST_UTC: -1}
    scale_cdb = 100
    head_at, at = 0, 4  # the head of the first parameter includes that of TagReportData
    while at < len(raw):
        found = _one(raw, at)
        if found is None:
            return REPORT
        type_, value_at, at, kind = found
        form += f"{value_at - head_at}s{kind}"
        heads.append(raw[head_at:value_at])
        index = 2 * len(heads) - 1
        if type_ in (_EPC_96, _EPC_DATA):
            epc = epc or (index if at > value_at else 0)
        elif type_ == _CUSTOM and kind == "h":
            place[_RSSI], scale_cdb = index, 1  # hundredths, where PeakRSSI has whole dBm
        elif type_ in place and not (type_ == _RSSI and scale_cdb == 1):
            place[type_] = index
        head_at = at
    if not epc:
        return NO_EPC
    picks = (epc, place[_ANTENNA], place[_RSSI], scale_cdb, place[_COUNT])
    return _Layout(struct.Struct(form), tuple(heads), (*picks, place[_FIRST_UTC], place[_LAST_UTC]))


def _one(raw: bytes, at: int) -> tuple[int, int, int, str] | None:
    """The parameter at a place: its type, where value and next one begin, the value's form."""
    if raw[at] & 0x80:
        type_ = raw[at] & 0x7F
        value_at, next_at = at + 1, at + TV_BYTES.get(type_, len(raw))
        kind = _NUMBERS.get(type_)
    else:
        if at + 4 > len(raw):
            return None
        type_, size = _TLV.unpack_from(raw, at)
        value_at, next_at, kind = at + 4, at + size, None
        if type_ > 0x3FF or size < 4:
            return None
        if type_ == _EPC_DATA:
            value_at += 2
            bits = int.from_bytes(raw[at + 4 : value_at])
            if next_at != value_at + (bits + 7) // 8:
                return None
        elif type_ == _CUSTOM and size >= 12:
            value_at += 8  # whose it is, and which: another maker's has the same length
            if size == 14 and raw[at + 4 : value_at] == _IMPINJ_PEAK_RSSI:
                kind = "h"
        elif type_ < 128:
            type_ = 0  # a TV's number in a TLV's header is nothing we know
    if next_at > len(raw):
        return None
    return type_, value_at, next_at, kind or f"{next_at - value_at}s"
