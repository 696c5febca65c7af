"""JSON objects out of a stream, however they are laid out: a line each, indented, end to end.

Source: RFC 8259; RFC 7464 (U+001E before a text). Here: where an object begins and ends, and where
a broken one must have ended. Not here: what it says (its driver). An array around objects, and the
commas in it, are no more than space between them, so that an array of a megabyte needs no more
memory than its longest element.

A cut object must not swallow those behind it. It is known by what no JSON has: a line end inside a
string, a bracket that closes another kind, an object or array where a comma, colon or key must be.
"""

from __future__ import annotations

import re
from typing import Final

from drivers.framing import CUT, TOO_LONG
from gateway.domain.reading import GARBLED_BYTES_MAX, Garbled, garbled

NOISE: Final = "noise"
BROKEN: Final = "json"
REASONS: Final = (NOISE, BROKEN)
DEPTH_MAX: Final = 32

_SPACE: Final = re.compile(rb"[\s,\[\]\x1e]*+")
_NOISE: Final = re.compile(rb"[^{\r\n]*+")
# All between two brackets: strings whole, so that a bracket inside one is none
# (no possessive groups: Python 3.11.2, which Debian 12 brings, matches them wrongly)
_TEXT: Final = rb'"[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*'
_BETWEEN: Final = re.compile(rb'(?:[^"{}\[\]]++|' + _TEXT + rb'")*')
_STRING: Final = re.compile(_TEXT + rb"\\?")
_CLOSES: Final = {0x7D: 0x7B, 0x5D: 0x5B}
_BEFORE: Final = {0x7B: b":", 0x5B: b"[,"}
"""What stands before an object or array inside an object, inside an array."""


class Objects:
    """Frames that are one JSON object each, by their brackets; `max_bytes` at most."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._restart()

    def _restart(self) -> None:
        self._data = b""
        self._at = 0
        """Up to here `_data` has been understood."""
        self._open = bytearray()
        """Brackets that are open; empty outside of an object."""
        self._last = 0
        """The last byte before `_at` that is no space."""
        self._skipping = False
        """Whether the present object is too long: told, and no longer kept."""
        self._noise = b""

    def feed(self, chunk: bytes) -> list[bytes | Garbled]:
        """See `Splitter`."""
        self._data += chunk
        frames: list[bytes | Garbled] = []
        while self._inside(frames) if self._open else self._outside(frames):
            pass
        if self._open:
            self._bound(frames)
        else:
            self._data, self._at = self._data[self._at :], 0
        return frames

    def end(self) -> list[bytes | Garbled]:
        """See `Splitter`: a cut object is `garbled`."""
        frames: list[bytes | Garbled] = []
        self._tell_noise(frames)
        if self._open and not self._skipping:
            frames.append(garbled(CUT, self._data))
        self._restart()
        return frames

    def _outside(self, frames: list[bytes | Garbled]) -> bool:
        """Goes to the beginning of an object; False when the data end before it."""
        if not self._noise:
            self._at = self._match(_SPACE)
        if self._at == len(self._data):
            return False
        if self._data[self._at] == 0x7B and not self._noise:
            self._data, self._at = self._data[self._at :], 1
            self._open.append(0x7B)
            self._last = 0x7B
            return True
        begun, self._at = self._at, self._match(_NOISE)
        self._noise += self._data[begun : min(self._at, begun + GARBLED_BYTES_MAX)]
        self._noise = self._noise[:GARBLED_BYTES_MAX]
        if self._at < len(self._data):
            self._tell_noise(frames)
        return self._at < len(self._data)

    def _tell_noise(self, frames: list[bytes | Garbled]) -> None:
        if self._noise:
            frames.append(garbled(NOISE, self._noise))
            self._noise = b""

    def _inside(self, frames: list[bytes | Garbled]) -> bool:
        """Goes over the next bracket; False when the data end before it."""
        end = self._match(_BETWEEN)
        between = self._data[self._at : end].rstrip()
        if between:
            self._last = between[-1]
        self._at = end
        if end == len(self._data):
            return False
        byte = self._data[end]
        if byte == 0x22:
            cut = self._match(_STRING)
            if cut == len(self._data):
                return False
            self._finish(frames, cut, BROKEN)
        elif byte in _CLOSES:
            self._at = end + 1
            self._last = byte
            if self._open[-1] != _CLOSES[byte]:
                self._finish(frames, end + 1, BROKEN)
            elif len(self._open) == 1:
                self._finish(frames, end + 1, None)
            else:
                self._open.pop()
        elif self._last not in _BEFORE[self._open[-1]] or len(self._open) == DEPTH_MAX:
            self._finish(frames, end, BROKEN)
        else:
            self._at = end + 1
            self._last = byte
            self._open.append(byte)
        return True

    def _match(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._data, self._at)
        assert found is not None  # these patterns match the empty string, or what is there
        return found.end()

    def _finish(self, frames: list[bytes | Garbled], end: int, wrong: str | None) -> None:
        """The object ends here, whole or broken."""
        frame = self._data[:end]
        if not self._skipping:
            if len(frame) > self._max_bytes:
                frames.append(garbled(TOO_LONG, frame))
            else:
                frames.append(frame if wrong is None else garbled(wrong, frame))
        self._data, self._at = self._data[end:], 0
        self._open.clear()
        self._skipping = False

    def _bound(self, frames: list[bytes | Garbled]) -> None:
        """Of an object that is too long only what is not yet understood is kept."""
        if not self._skipping:
            if len(self._data) <= self._max_bytes:
                return
            frames.append(garbled(TOO_LONG, self._data))
            self._skipping = True
        self._data, self._at = self._data[self._at :], 0
        if len(self._data) > GARBLED_BYTES_MAX:
            # within a string: that, and whether its next byte is escaped, is all that matters
            slashes = len(self._data) - len(self._data.rstrip(b"\\"))
            self._data = b'"\\' if slashes % 2 else b'"'
