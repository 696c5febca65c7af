"""Load-cell transmitters that answer Modbus, RTU or TCP, from the specification.

Several units may share a line, or one unit may carry several cells, a stride of registers apart:

    weight     1 register (16 bits), or 2 with the high or the low word first
    status     1 register: bit 0 stable, 1 over the range, 2 under it, 3 zero

Registers are read with function 3 or 4, whichever the layout names; everything else is answered by
an exception, as a device that nobody may write to. Here: the instrument, pure: requests in,
answers out. Not here: the plate's physics (`plate`), the port (`ports`), and nothing that reads
such answers. Source: MODBUS Application Protocol Specification V1.1b3, chapters 6 and 7; MODBUS
over Serial Line V1.02, 2.5.1; MODBUS Messaging on TCP/IP V1.0b, 3.1.3.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
DEVICE_FAILURE: Final = 4
READ_MAX: Final = 125
REQUEST_MAX_BYTES: Final = 260
ZERO_SHARE: Final = 4
"""Zero is a quarter of a digit to either side."""
OVER_DIGITS: Final = 9
UNDER_SHARE: Final = 50
STABLE_DIGITS: Final = 3

STABLE, OVER, UNDER, ZERO = 1, 2, 4, 8

_PACKED: Final = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}


class Cell(Protocol):
    """What a transmitter measures; a `Plate` is one."""

    def sample_g(self, at_s: float) -> float:
        """What it feels at this moment, in grams."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a transmitter is set up."""

    framing: Literal["rtu", "tcp"] = "rtu"
    by: Literal["unit", "register"] = "unit"
    unit: int = 1  # of the one transmitter when the cells are told apart by register
    function: int = 3
    register: int = 0
    type: Literal["int16", "uint16", "int32", "uint32", "float32"] = "int32"
    low_word_first: bool = False
    stride: int = 0  # registers from cell to cell; 0: they touch
    status_register: int | None = None
    count_g: float = 1.0  # what 1 in its registers is
    digit_g: float = 1.0  # how fine it weighs
    max_g: float = 15_000.0
    noise_g: float = 0.0  # what the place shakes, to which its stability is set
    rate_hz: int = 10


class ModbusScale:
    """All that hangs on one port: `tick` takes samples, hears requests, and answers them."""

    def __init__(self, cells: Mapping[int, Cell], layout: Layout) -> None:
        """`cells` by the number of their unit, or by their place in the unit, from 1."""
        self._layout = layout
        self._cells = dict(cells)
        self._span = max(STABLE_DIGITS * layout.digit_g, 8.0 * layout.noise_g)
        self._memory = max(2, layout.rate_hz)
        self._samples: dict[int, deque[float]] = {
            number: deque(maxlen=self._memory) for number in cells
        }
        self._heard = b""
        self._quiet = False
        self.silent: set[int] = set()
        """Units that do not answer: unplugged, for a test."""
        self.failing: dict[int, int] = {}
        """Units that answer every request by this exception code."""

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the cells and answers what was heard."""
        self.sample(at_s)
        if not heard and self._quiet:
            self._heard = b""  # a frame does not go on after a silence
        self._quiet = not heard
        return self.hear(heard)

    def sample(self, at_s: float) -> None:
        """The next value of each cell, which is told until another is taken."""
        for number, cell in self._cells.items():
            self._samples[number].append(cell.sample_g(at_s))

    def hear(self, heard: bytes) -> bytes:
        """The answers to requests in any pieces: for a port that is read between the ticks."""
        self._heard += heard
        answers = self._rtu() if self._layout.framing == "rtu" else self._tcp()
        self._heard = self._heard[-REQUEST_MAX_BYTES:]
        return b"".join(answers)

    def _rtu(self) -> list[bytes]:
        answers = []
        while len(self._heard) >= 4:
            size = _request_size(self._heard)
            if size is None:
                break
            request = self._heard[:size]
            if size == 0 or _checksum(request[:-2]) != request[-2:]:
                self._heard = self._heard[1:]
                continue
            self._heard = self._heard[size:]
            answer = self._answer(request[0], request[1:-2])
            if answer:
                body = request[:1] + answer
                answers.append(body + _checksum(body))
        return answers

    def _tcp(self) -> list[bytes]:
        answers = []
        while len(self._heard) >= 8:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._heard)
            if protocol or not 2 <= length <= 254:
                self._heard = b""  # what follows cannot be told apart any more
                break
            if len(self._heard) < 6 + length:
                break
            pdu = self._heard[7 : 6 + length]
            self._heard = self._heard[6 + length :]
            answer = self._answer(unit, pdu)
            if answer:
                answers.append(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        return answers

    def _units(self) -> set[int]:
        return set(self._cells) if self._layout.by == "unit" else {self._layout.unit}

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        """The answer's PDU; nothing when the request is for somebody else."""
        if unit not in self._units() or unit in self.silent:
            return b""
        function = pdu[0]
        if unit in self.failing:
            return bytes((function | 0x80, self.failing[unit]))
        if function != self._layout.function or len(pdu) != 5:
            return bytes((function | 0x80, ILLEGAL_FUNCTION))
        first, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= READ_MAX:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        registers = self._registers(unit)
        wanted = range(first, first + count)
        if not all(register in registers for register in wanted):
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        if not all(self._samples.values()):
            return bytes((function | 0x80, DEVICE_FAILURE))
        values = [registers[register] for register in wanted]
        return struct.pack(f">BB{count}H", function, 2 * count, *values)

    def _registers(self, unit: int) -> dict[int, int]:
        """All registers from the first to the last that means something; 0 in between."""
        layout = self._layout
        numbers = [unit] if layout.by == "unit" else sorted(self._cells)
        width = 1 if layout.type.endswith("16") else 2
        stride = layout.stride or width
        found: dict[int, int] = {}
        for number in numbers:
            step = 0 if layout.by == "unit" else stride * (number - 1)
            for at, word in enumerate(self._words(number)):
                found[layout.register + step + at] = word
            if layout.status_register is not None:
                found[layout.status_register + step] = self._status(number)
        return {register: found.get(register, 0) for register in range(min(found), max(found) + 1)}

    def _words(self, number: int) -> list[int]:
        samples = self._samples[number]
        digit_g, count_g = self._layout.digit_g, self._layout.count_g
        value = round(samples[-1] / digit_g) * digit_g / count_g if samples else 0.0
        if self._layout.type != "float32":
            size = 8 * struct.calcsize(_PACKED[self._layout.type])
            signed = self._layout.type.startswith("int")
            low = -(1 << size - 1) if signed else 0
            high = (1 << size - 1) - 1 if signed else (1 << size) - 1
            value = min(max(round(value), low), high)
        raw = struct.pack(_PACKED[self._layout.type], value)
        words = [word for (word,) in struct.iter_unpack(">H", raw)]
        return words[::-1] if self._layout.low_word_first else words

    def _status(self, number: int) -> int:
        layout, samples = self._layout, self._samples[number]
        last_g = samples[-1] if samples else 0.0
        steady = len(samples) == self._memory and max(samples) - min(samples) <= self._span
        over = last_g > layout.max_g + OVER_DIGITS * layout.digit_g
        under = last_g < -layout.max_g / UNDER_SHARE
        zero = abs(last_g) <= layout.digit_g / ZERO_SHARE
        return STABLE * steady | OVER * over | UNDER * under | ZERO * zero


def _request_size(heard: bytes) -> int | None:
    """Bytes of the request at the front; 0: no request; None: not to be told yet."""
    if heard[1] in (15, 16, 23):
        at = 10 if heard[1] == 23 else 6
        if len(heard) <= at:
            return None
        size = at + 3 + heard[at]
    else:
        size = 8 if 1 <= heard[1] <= 6 else 0
    return None if len(heard) < size else size


def _checksum(frame: bytes) -> bytes:
    """CRC-16 as on a serial line: polynomial 0x8005 reflected, from FFFF, low byte first."""
    remainder = 0xFFFF
    for byte in frame:
        remainder ^= byte
        for _ in range(8):
            carry = remainder & 1
            remainder >>= 1
            if carry:
                remainder ^= 0xA001
    return struct.pack("<H", remainder)
