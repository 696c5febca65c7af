"""A Mettler-Toledo 8217 retail scale, from the manual: one byte asks, one short answer comes.

    W  weight    H  weight, a digit finer    Z  zero    A  self-test    B  its result    E F  echo
    STX 01.243 CR        STX ? status CR

A weight is sent only at rest and within the range; else the status says why not. Here: the
instrument, pure: bytes in, answers out. Not here: the plate's physics (`plate`), the port
(`ports`), and nothing that reads such answers. Source: Mettler-Toledo DIVA service manual 6.1.3,
6.1.4 (command descriptions, status byte, confidence test byte).
"""

from __future__ import annotations

from typing import Final, Literal

from drivers.sim.indicator import Cell, Indicator

HEARD_BYTES_MAX: Final = 64
GRAMS: Final = {"kg": 1000.0, "lb": 453.59237}
PASSED: Final = 0x40
NOTHING_NEW: Final = 0x00
_MOTION, _OVER, _UNDER, _CANNOT_ZERO, _ZERO, _NET, _ALWAYS = (1 << bit for bit in range(7))


class Scale8217:
    """One instrument: `tick` takes a sample, hears bytes, and answers each."""

    def __init__(
        self,
        plate: Cell,
        max_kg: float,
        rate_hz: int,
        noise_g: float,
        unit: Literal["kg", "lb"] = "kg",
        *,
        point: bool = True,
        parity: bool = False,
    ) -> None:
        """`point`: it sends the decimal point; `parity`: the port shows the eighth, parity bit."""
        self._places = 3 if unit == "kg" else 2
        # digits are ten times finer than what W shows: H shows them all
        digit_g = GRAMS[unit] / 10 ** (self._places + 1)
        self._indicator = Indicator(plate, max_kg, digit_g, rate_hz, noise_g)
        self._point = "." if point else ""
        self._parity = parity
        self._echo = False
        self._tested = NOTHING_NEW

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the plate and answers what was heard."""
        self._indicator.sample(at_s)
        said = b"".join(self._answer(byte & 0x7F) for byte in heard[:HEARD_BYTES_MAX])
        return bytes(map(_with_parity, said)) if self._parity else said

    def _answer(self, byte: int) -> bytes:
        command = chr(byte)
        if self._echo and command != "F":
            return bytes([byte])
        if command in ("E", "F"):
            self._echo = command == "E"
            return _framed(command.encode())
        if command in ("W", "H"):
            return self._weight(fine=command == "H")
        if command == "A":
            self._tested = PASSED
            return _framed(b"")
        if command == "B":
            result, self._tested = self._tested, NOTHING_NEW
            return _framed(bytes([ord("?"), result]))
        if command == "Z" and self._indicator.stable and not self._indicator.beyond_zero:
            self._indicator.set_zero()
        return self._status()

    def _weight(self, *, fine: bool) -> bytes:
        indicator = self._indicator
        digits = indicator.net if fine else round(indicator.net / 10)
        if digits < 0 or not indicator.stable or indicator.outside:
            return self._status()
        places = self._places + fine
        whole, part = divmod(digits, 10**places)
        return _framed(f"{whole:02d}{self._point}{part:0{places}d}".encode())

    def _status(self) -> bytes:
        indicator = self._indicator
        bits = _ALWAYS
        bits |= _MOTION if not indicator.stable else 0
        bits |= _OVER if indicator.outside == "+" else 0
        bits |= _UNDER if round(indicator.net / 10) < 0 else 0
        bits |= _CANNOT_ZERO if indicator.beyond_zero else 0
        bits |= _ZERO if abs(indicator.gross) * 4 <= 10 else 0
        bits |= _NET if indicator.tare else 0
        return _framed(bytes([ord("?"), bits]))


def _framed(text: bytes) -> bytes:
    return b"\x02" + text + b"\r"


def _with_parity(byte: int) -> int:
    """The byte as a 7E1 line carries it, eight bits wide."""
    return byte | (0x80 if byte.bit_count() % 2 else 0)
