"""What every weighing instrument does between its cell and its display, whatever it then says.

Here: rounding to a digit, stability, the range, zero and tare, in whole digits. Not here: the
plate's physics (`plate`), and what an instrument says (`scales`, `scale_8217`, `line_scales`).
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, Protocol

STABLE_DIGITS: Final = 3
ZERO_SHARE: Final = 50
"""Zero may be set within a fiftieth (2 %) of the range."""
OVER_DIGITS: Final = 9


class Cell(Protocol):
    """What an instrument measures; a `Plate` is one."""

    def sample_g(self, at_s: float) -> float:
        """What it feels at this moment, in grams."""


class Indicator:
    """One cell, digitised `rate_hz` times a second."""

    def __init__(
        self, cell: Cell, max_kg: float, digit_g: float, rate_hz: int, noise_g: float
    ) -> None:
        """`noise_g`: what the place shakes, to which the installer set the stability detector."""
        self.digit_g = digit_g
        self.zero = 0
        self.tare = 0
        self._cell = cell
        self._top = round(max_kg * 1000.0 / digit_g)
        self._span = max(STABLE_DIGITS, round(8.0 * noise_g / digit_g))
        self._memory = max(2, rate_hz)
        self._last: deque[int] = deque(maxlen=self._memory)

    def sample(self, at_s: float) -> None:
        """Takes a sample; `at_s` never goes back."""
        self._last.append(round(self._cell.sample_g(at_s) / self.digit_g))

    @property
    def stable(self) -> bool:
        """Whether it has been at rest for a second."""
        full = len(self._last) == self._memory
        return full and max(self._last) - min(self._last) <= self._span

    @property
    def gross(self) -> int:
        """Digits above zero."""
        return self._last[-1] - self.zero

    @property
    def net(self) -> int:
        """Digits above the tare."""
        return self.gross - self.tare

    @property
    def outside(self) -> Literal["", "+", "-"]:
        """Over or under the range."""
        if self.gross > self._top + OVER_DIGITS:
            return "+"
        return "-" if self.gross < -self._top // ZERO_SHARE else ""

    @property
    def beyond_zero(self) -> Literal["", "+", "-"]:
        """On which side of the range in which zero may be set, if outside of it."""
        if abs(self._last[-1]) * ZERO_SHARE <= self._top:
            return ""
        return "+" if self._last[-1] > 0 else "-"

    def set_zero(self) -> None:
        """What lies there now is nothing, and there is no tare."""
        self.zero, self.tare = self._last[-1], 0
