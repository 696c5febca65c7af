"""Where one frame ends and the next begins: pure splitters, and the plain decoder over them.

Here: bytes cut into frames, whatever the chunks; a frame that is too long or cut off becomes
`garbled` and the next one is found. Not here: what a frame says (each driver's `decode`), I/O,
time. Next: a driver, `scale_sics` is the plainest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.domain.reading import Body, Garbled, garbled

TOO_LONG = "too_long"
CUT = "cut"
REASONS = (TOO_LONG, CUT)
"""Reasons of `garbled` that any splitter may give, beside those of the driver."""


class Splitter(Protocol):
    """A stream of bytes to frames. Never raises; holds a bounded number of bytes."""

    def feed(self, chunk: bytes) -> list[bytes | Garbled]:
        """Frames these bytes complete, in order; `garbled` stands for one that is too long."""

    def end(self) -> list[bytes | Garbled]:
        """What is left when the stream ends; then ready for another stream."""


class Lines:
    """Frames that end with one of `ends`, which is not part of them. Empty frames are dropped.

    A frame over `max_bytes` is `garbled` once; reading resumes after its end. With no `ends` the
    whole stream is one frame. No end may be the beginning of another.
    """

    def __init__(self, ends: Sequence[bytes], max_bytes: int) -> None:
        # (?!) never matches: without an end, nothing ends
        self._end = re.compile(b"|".join(map(re.escape, ends)) or b"(?!)")
        self._heads = tuple(end[:n] for end in ends for n in range(len(end) - 1, 0, -1))
        self._whole_stream = not ends
        self._max_bytes = max_bytes
        self._tail = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes | Garbled]:
        """See `Splitter`."""
        searched = len(self._tail) - self._held()
        data = self._tail + chunk
        frames: list[bytes | Garbled] = []
        start = 0
        for match in self._end.finditer(data, searched):
            self._add(frames, data[start : match.start()])
            self._skipping = False
            start = match.end()
        self._tail = data[start:]
        held = self._held()
        if len(self._tail) - held > self._max_bytes:
            self._add(frames, self._tail)
            self._skipping = True
        if self._skipping:
            self._tail = self._tail[len(self._tail) - held :]
        return frames

    def end(self) -> list[bytes | Garbled]:
        """See `Splitter`: a cut line is `garbled`."""
        tail, skipping = self._tail, self._skipping
        self._tail, self._skipping = b"", False
        if not tail or skipping:
            return []
        return [tail] if self._whole_stream else [garbled(CUT, tail)]

    def _add(self, frames: list[bytes | Garbled], frame: bytes) -> None:
        if self._skipping or not frame:
            return
        head = frame[: self._max_bytes]  # not more, or the chunks would show in it
        frames.append(garbled(TOO_LONG, head) if len(frame) > len(head) else frame)

    def _held(self) -> int:
        """Bytes at the end of the tail that may be the first of an end."""
        return next((len(head) for head in self._heads if self._tail.endswith(head)), 0)


class Records:
    """Frames of a fixed size."""

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._tail = b""

    def feed(self, chunk: bytes) -> list[bytes | Garbled]:
        """See `Splitter`."""
        data = self._tail + chunk
        whole = len(data) - len(data) % self._size
        self._tail = data[whole:]
        return [data[at : at + self._size] for at in range(0, whole, self._size)]

    def end(self) -> list[bytes | Garbled]:
        """See `Splitter`: a cut record is `garbled`."""
        tail, self._tail = self._tail, b""
        return [garbled(CUT, tail)] if tail else []


class FrameDecoder:
    """The decoder of a protocol whose frames stand alone: split, then decode each.

    `decode` must not raise; it answers None for a frame that is understood and says nothing.
    """

    def __init__(self, split: Splitter, decode: Callable[[bytes], Body | None]) -> None:
        self._split = split
        self._decode = decode

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order. Never raises."""
        return self._bodies(self._split.feed(chunk))

    def end(self) -> list[Body]:
        """Readings for what was left; then ready for another stream. Never raises."""
        return self._bodies(self._split.end())

    def _bodies(self, frames: list[bytes | Garbled]) -> list[Body]:
        bodies = (frame if isinstance(frame, Garbled) else self._decode(frame) for frame in frames)
        return [body for body in bodies if body is not None]
