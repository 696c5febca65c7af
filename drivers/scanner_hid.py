"""Barcode scanner that types (USB HID keyboard "wedge"): the kernel's records of its keys.

Source: Linux Documentation/input/input.rst and event-codes.rst, struct input_event on 64 bits:

    tv_sec  i64 | tv_usec i64 | type u16 | code u16 | value i32        24 bytes, little-endian
    type 1 EV_KEY: value 1 down, 0 up, 2 repeated      type 4 EV_MSC: scan code, not needed
    type 0 EV_SYN: code 0 SYN_REPORT, 3 SYN_DROPPED (the kernel's buffer ran over)

End of a scan, ALGORITHMS 1.1 item 5: the terminator, or a gap over 100 ms. What a person types is
no scan: over 50 ms a key on the mean, or a single key that only a gap ended. Keys, not characters:
an Alt code is four of them. Time is the records' own, never the arrival's, so a slow gateway cuts
no scan in two. Next: `_keyboard` (what keys say), `_keymap` (countries), `_scan` (the text).

`garbled` shows the record that spoiled the scan; what else the scan holds is not believed. A scan
without its terminator when the stream ends is cut; when only silence ends it, it is whole.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from drivers import _keymap, _scan, framing
from drivers._keyboard import NOTHING, Keyboard
from drivers.base import DeviceLost, Link
from gateway.domain.reading import Body, Garbled, Mode, garbled

SCHEMES: Final = ("evdev",)
REASONS: Final = (
    *framing.REASONS,
    *_scan.REASONS,
    "record",  # no record of the kernel
    "dropped",  # the kernel lost keys: this scan is not whole
    "unknown_key",  # a key that prints nothing in this layout
    "typing",  # a person at a keyboard
)

GAP_US: Final = 100_000
TYPING_US: Final = 50_000
SILENCE_MS: Final = 150
"""Live silence that ends a scan: longer than the gap, so that the records decide first."""

_RECORD: Final = struct.Struct("<qqHHi")
_EV_SYN, _EV_KEY, _EV_MAX = 0, 1, 0x1F
_KEY_MAX: Final = 0x2FF
_SYN_REPORT, _SYN_DROPPED = 0, 3
_UP, _DOWN, _REPEATED = 0, 1, 2
_ENDS: Final = {"enter": "\r\n", "tab": "\t", "any": "\r\n\t", "none": ""}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    layout: Literal["us", "gb", "de", "fr", "cn"] = "us"  # the keyboard it imitates; cn is us
    terminator: Literal["enter", "tab", "any", "none"] = "enter"  # any: enter or tab
    aim: bool = False  # the scanner types AIM identifiers
    grab: bool = True  # nobody else on this machine sees its keys; read when the link opens
    caps_lock: bool = False  # CapsLock is on at first; the scanner's own key turns it
    num_lock: bool = True  # keypad digits are digits; false: once the scanner pressed NumLock
    # Read by the core, not here:
    mode: Mode | Literal[""] = ""  # its own mode; "" = by its location
    modes: tuple[Mode, ...] = ()  # modes that mode barcodes may switch it to
    presentation: bool = False  # reads whatever lies before it, without a trigger


class KeyDecoder:
    """Records in, scans out: the keyboard, and the text since the last scan."""

    def __init__(self, options: Options) -> None:
        self._split = framing.Records(_RECORD.size)
        self._options = options
        self._ends = _ENDS[options.terminator]
        self._keyboard = self._new_keyboard()
        self._dropping = False  # until the next SYN_REPORT
        self._spoiled = False  # until the end of this scan
        self._text: list[str] = []
        self._presses = 0  # keys of this scan: an Alt code is several
        self._last = b""  # record of the last key of the scan
        self._last_us = 0
        self._typed_us = 0  # from the first key of the scan to the last

    def _new_keyboard(self) -> Keyboard:
        return Keyboard(
            _keymap.LAYOUTS[self._options.layout],
            caps_lock=self._options.caps_lock,
            num_lock=self._options.num_lock,
        )

    @property
    def pending(self) -> bool:
        """Whether a scan has begun that silence would end."""
        return bool(self._text) or (self._keyboard.half and not self._spoiled)

    def feed(self, chunk: bytes) -> list[Body]:
        """Scans that these bytes complete, in order. Never raises."""
        bodies: list[Body] = []
        for record in self._split.feed(chunk):
            if isinstance(record, bytes):
                self._event(record, bodies)
        return bodies

    def silence(self) -> list[Body]:
        """The scan that 100 ms without a key have ended."""
        bodies: list[Body] = []
        self._finish(bodies, by_terminator=False)
        return bodies

    def end(self) -> list[Body]:
        """What was left when the stream ended; then ready for another stream."""
        bodies: list[Body] = []
        if self.pending and self._ends:
            bodies.append(garbled(framing.CUT, self._last))
        else:
            self._finish(bodies, by_terminator=False)
        bodies.extend(frame for frame in self._split.end() if isinstance(frame, Garbled))
        self._restart()
        self._keyboard = self._new_keyboard()
        self._dropping = False
        self._last_us = 0
        return bodies

    def _event(self, record: bytes, bodies: list[Body]) -> None:
        sec, usec, kind, code, value = _RECORD.unpack(record)
        if sec < 0 or not 0 <= usec < 1_000_000 or kind > _EV_MAX:
            self._spoil("record", record, bodies)
        elif kind == _EV_SYN:
            self._syn(code, sec * 1_000_000 + usec, record, bodies)
        elif kind == _EV_KEY and (code > _KEY_MAX or not _UP <= value <= _REPEATED):
            self._spoil("record", record, bodies)
        elif kind == _EV_KEY and not self._dropping:
            if value == _DOWN:
                self._down(code, sec * 1_000_000 + usec, record, bodies)
            elif value == _UP:
                for char in self._keyboard.release(code):
                    self._character(char, record, bodies)

    def _syn(self, code: int, at_us: int, record: bytes, bodies: list[Body]) -> None:
        if code == _SYN_DROPPED:
            bodies.append(garbled("dropped", record))
            self._restart()
            # the rest of this scan would pass for a whole one
            self._spoiled = self._dropping = True
            self._keyboard.let_go()
            self._last_us = at_us
        elif code == _SYN_REPORT:
            self._dropping = False

    def _down(self, code: int, at_us: int, record: bytes, bodies: list[Body]) -> None:
        if code in _keymap.MODIFIERS:
            self._keyboard.modify(code)
            return
        since_us = max(0, at_us - self._last_us)
        if since_us > GAP_US and (self.pending or self._spoiled):
            self._finish(bodies, by_terminator=False)
        if self._presses:
            self._typed_us += since_us
        self._presses += 1
        self._last, self._last_us = record, at_us
        for char in self._keyboard.press(code):
            self._character(char, record, bodies)

    def _character(self, char: str, record: bytes, bodies: list[Body]) -> None:
        if char and char in self._ends:
            self._finish(bodies, by_terminator=True)
        elif self._spoiled:
            return
        elif char == NOTHING:
            self._spoil("unknown_key", record, bodies)
        elif _scan.is_control(char):
            self._spoil("control", record, bodies)
        elif len(self._text) >= _scan.MAX_BYTES:
            self._spoil(framing.TOO_LONG, record, bodies)
        else:
            self._text.append(char)

    def _spoil(self, reason: str, record: bytes, bodies: list[Body]) -> None:
        bodies.append(garbled(reason, record))
        self._restart()
        self._spoiled = True

    def _finish(self, bodies: list[Body], *, by_terminator: bool) -> None:
        if self._keyboard.half and self.pending:
            bodies.append(garbled("unknown_key", self._last))
        elif self._text:
            gaps = self._presses - 1
            if gaps == 0 or self._typed_us > TYPING_US * gaps:
                bodies.append(garbled("typing", self._last))
            else:
                bodies.append(_scan.scan("".join(self._text), self._last, aim=self._options.aim))
        self._keyboard.break_off()
        self._restart()

    def _restart(self) -> None:
        self._text.clear()
        self._spoiled = False
        self._presses = self._typed_us = 0


def decoder(options: Options) -> KeyDecoder:
    """Records of `struct input_event` in, scans out. Never raises, whatever the bytes."""
    return KeyDecoder(options)


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Scans until the link is lost; then raises DeviceLost."""
    keys = decoder(options)
    try:
        while True:
            chunk = await (link.read_within(SILENCE_MS) if keys.pending else link.read())
            for body in keys.silence() if chunk is None else keys.feed(chunk):
                yield body
    except DeviceLost:
        for body in keys.end():
            yield body
        raise
