"""Modbus frames, bytes to messages and back, as a master meets them: RTU and TCP. Pure.

Sources: MODBUS Application Protocol Specification V1.1b3 (chapters 4 to 7), MODBUS over Serial
Line V1.02 (2.5.1, appendix B), MODBUS Messaging on TCP/IP V1.0b (3.1.3).

    RTU   unit | function | data ... | CRC-16, low byte first              at most 256 bytes
    TCP   transaction 2 | protocol 2 = 0 | length 2 | unit | function | data ...

    read registers (03, 04)   request   address 2 | count 2
                              answer    bytes 1 | registers ...
    exception                 answer    function + 80h | code 1

An RTU answer does not say which registers it brings, and a line does not keep its silences on the
way through a network. So frames are found by what the master waits for (`Answers`), their length
by their own head, their truth by the CRC. The first of them to be complete wins; what lies before
it is judged afterwards. Not here: what registers mean (`scale_modbus`), I/O, time.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from drivers import framing
from gateway.domain.reading import Garbled, Word, garbled

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
REGISTERS_MAX: Final = 125
RUN_MAX_BYTES: Final = 256
"""The longest frame of a line; bytes without one are let go in pieces of this size."""

CRC: Final = "crc"
NOISE: Final = "noise"
UNIT: Final = "unit"
FUNCTION: Final = "function"
LENGTH: Final = "length"
REASONS: Final = (CRC, NOISE, UNIT, FUNCTION, LENGTH, framing.CUT)

EXCEPTIONS: Final = {
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "acknowledge",
    6: "busy",
    8: "memory_parity",
    10: "gateway_path",
    11: "gateway_target",
}
"""Exception codes by name (Application Protocol, chapter 7)."""

_COUNTED: Final = frozenset((1, 2, 3, 4, 23))
_FUNCTIONS: Final = {**dict.fromkeys(_COUNTED, 5), **dict.fromkeys((5, 6, 15, 16), 8), 22: 10}
"""Functions whose answers can be measured, with the bytes of one that has no count."""
_REQUESTS: Final = {**dict.fromkeys(range(1, 7), 8), 22: 10}
_WINDOW_BYTES: Final = 2 * RUN_MAX_BYTES  # a frame that begins in a run ends within this
_MBAP_BYTES: Final = 7


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC: Final = _crc_table()


def crc16(data: bytes) -> int:
    """The CRC of a serial line (Serial Line, appendix B); 0 over a frame with its right CRC.

    >>> crc16(bytes.fromhex("010300060001")).to_bytes(2, "little").hex()
    '640b'
    """
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """A message for a serial line."""
    frame = bytes((unit,)) + pdu
    return frame + crc16(frame).to_bytes(2, "little")


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A message for a connection."""
    head = transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big")
    return head + bytes((unit,)) + pdu


def read_pdu(function: int, address: int, count: int) -> bytes:
    """The request for `count` registers from `address` on, counted from 0."""
    return bytes((function,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")


def answer_length(data: bytes, at: int = 0) -> int:
    """Bytes of the RTU answer whose head lies at `at`; 0 when that head is none we know."""
    if len(data) < at + 3:
        return 0
    function = data[at + 1]
    if function & 0x80:
        return 5 if function & 0x7F in _FUNCTIONS else 0
    if function in _COUNTED:
        return 5 + data[at + 2]
    return _FUNCTIONS.get(function, 0)


def request_length(data: bytes, at: int = 0) -> int:
    """Bytes of the RTU request whose head lies at `at`; 0 when that head is none we know."""
    if len(data) < at + 7:
        return 0
    function = data[at + 1]
    if function in (15, 16):
        return 9 + data[at + 6]
    return _REQUESTS.get(function, 0)


class Frame(Word, frozen=True):
    """An answer that came whole; `data` is what follows the function."""

    unit: int
    function: int
    data: bytes
    raw: bytes
    transaction: int = 0

    @property
    def exception(self) -> str:
        """The name of the exception that it is; "" when it is none."""
        return EXCEPTIONS.get(self.data[0], "exception") if self.function & 0x80 else ""


class Answers(Word, frozen=True):
    """What a master may hear: from which units, to which function, how many bytes of registers."""

    units: tuple[int, ...]
    function: int
    sizes: tuple[int, ...]

    def refusal(self, frame: Frame) -> str:
        """Why this answer is none of them; "" when it is one."""
        if frame.unit not in self.units:
            return UNIT
        if frame.function & 0x7F != self.function:
            return FUNCTION
        size = len(frame.data) - 1
        if frame.function & 0x80:
            return LENGTH if size else ""
        return "" if size in self.sizes and frame.data[0] == size else LENGTH


class Frames(Protocol):
    """A stream of bytes to answers. Never raises; holds a bounded number of bytes."""

    def feed(self, chunk: bytes) -> list[Frame | Garbled]:
        """Answers these bytes complete, in order, and `garbled` for what lay between them."""

    def end(self) -> list[Frame | Garbled]:
        """What is left when the stream ends; then ready for another stream."""


class RtuFrames:
    """Answers on a serial line, found again after any noise."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        units = b"".join(b"\\x%02x" % unit for unit in answers.units)
        sizes = b"".join(b"\\x%02x" % size for size in answers.sizes)
        heads = b"\\x%02x[%s]|\\x%02x" % (answers.function, sizes, answers.function | 0x80)
        self._head = re.compile(b"[%s](?:%s)" % (units, heads), re.DOTALL)
        self._held = b""
        self._dead = 0

    def feed(self, chunk: bytes) -> list[Frame | Garbled]:
        """See `Frames`."""
        data, at = self._held + chunk, 0
        said: list[Frame | Garbled] = []
        while True:
            window = data[at : at + _WINDOW_BYTES]
            start, end = self._first(window)
            if end == 0 and len(window) < _WINDOW_BYTES:
                self._held = window
                return said
            if end:
                said += self._stray(window[:start])
                said.append(_cut_out(window[start:end]))
            else:
                end = RUN_MAX_BYTES
                said += self._stray(window[:end])
            at += end
            self._dead = max(self._dead - end, 0)

    def end(self) -> list[Frame | Garbled]:
        """See `Frames`."""
        held, self._held, self._dead = self._held, b"", 0
        return self._stray(held, last=True)

    def _first(self, window: bytes) -> tuple[int, int]:
        """Where the answer lies that is complete first, so that the chunks do not matter.

        (0, 0) when none is. No answer begins in the first `_dead` bytes: they are not judged again.
        """
        found, limit, at = (0, 0), len(window), self._dead
        self._dead = max(at, limit - 2)
        while head := self._head.search(window, at, limit):
            at = head.start()
            end = at + answer_length(window, at)
            if not at < end <= len(window):
                self._dead = min(self._dead, at)
            elif end <= limit and crc16(window[at:end]) == 0:
                found, limit = (at, end), end - 1
            at += 1
        if found[1]:
            self._dead = 0
        return found

    def _stray(self, run: bytes, *, last: bool = False) -> list[Frame | Garbled]:
        """Bytes without an answer for us: other talk on the line, or noise, piece by piece."""
        said: list[Frame | Garbled] = []
        at = begun = 0
        while at < len(run):
            answer = _whole(run, at, answer_length(run, at))
            request = b"" if answer else _whole(run, at, request_length(run, at))
            if not answer and not request:
                at += 1
                continue
            said += self._unknown(run[begun:at], last=False)
            said += [_cut_out(answer)] if answer else self._request(request)
            at = begun = at + len(answer or request)
        return [*said, *self._unknown(run[begun:], last=last)]

    def _request(self, frame: bytes) -> list[Frame | Garbled]:
        """A request on the line; our own come back from adapters that hear themselves."""
        if frame[0] not in self._answers.units:
            return [garbled(UNIT, frame)]
        return [] if frame[1] == self._answers.function else [garbled(FUNCTION, frame)]

    def _unknown(self, piece: bytes, *, last: bool) -> list[Frame | Garbled]:
        if not piece:
            return []
        lengths = [size for size in (answer_length(piece), request_length(piece)) if size]
        if any(size <= len(piece) for size in lengths):
            return [garbled(CRC, piece)]
        return [garbled(framing.CUT if last and lengths else NOISE, piece)]


def _whole(run: bytes, at: int, size: int) -> bytes:
    """The frame of this size at this place, if it is there whole and true."""
    frame = run[at : at + size]
    return frame if size and len(frame) == size and crc16(frame) == 0 else b""


def _cut_out(raw: bytes) -> Frame:
    return Frame(raw[0], raw[1], raw[2:-2], raw)


class TcpFrames:
    """Answers on a connection: their length stands before them, and no noise is to be expected."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> list[Frame | Garbled]:
        """See `Frames`."""
        data, begun, at = self._held + chunk, 0, 0
        said: list[Frame | Garbled] = []
        while len(data) - at >= _MBAP_BYTES:
            end = at + 6 + int.from_bytes(data[at + 4 : at + 6], "big")
            if data[at + 2] or data[at + 3] or not at + 9 <= end <= at + 260:
                at += 1
                if at - begun == RUN_MAX_BYTES:
                    said.append(garbled(NOISE, data[begun:at]))
                    begun = at
                continue
            if at > begun:
                said.append(garbled(NOISE, data[begun:at]))
                begun = at
            if end > len(data):
                break
            raw = data[at:end]
            transaction = int.from_bytes(raw[:2], "big")
            said.append(Frame(raw[6], raw[7], raw[8:], raw, transaction))
            at = begun = end
        self._held = data[begun:]
        return said

    def end(self) -> list[Frame | Garbled]:
        """See `Frames`."""
        held, self._held = self._held, b""
        if not held:
            return []
        cut = len(held) < _MBAP_BYTES or held[2:4] == b"\0\0"
        return [garbled(framing.CUT if cut else NOISE, held)]
