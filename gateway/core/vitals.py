"""Whether the cells of plates are alive: dead, stuck, saturated or faulty ones are reported.

Here: what only the stream of readings can tell (ALGORITHMS 2.7, plate health). A real cell shows
noise in its last digit; one that does not, while its fellows do, is no sensor. Such a plate books
nothing until it moves again. Not here: steps (`weigh`), devices that are away (`supervisor`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from gateway.domain.reading import Weight
from gateway.domain.units import NS_PER_S

CONSTANT_NS: Final = 20 * NS_PER_S
FLAGGED_NS: Final = 5 * NS_PER_S
QUIET_SHARE: Final = 2
"""Constant means constant at full rate: at least half of the readings of the time were there."""
FELLOWS_MIN: Final = 2
NOISY_PERCENT: Final = 50
"""So many of its fellows must show noise. A fellow that hops between two values shows none: where
a coarse digit hides the noise of half of them, nobody is called dead."""

Trouble = Literal["", "dead", "stuck", "saturated", "error"]
TOLD: Final = {
    "dead": "has shown one constant value since it was switched on: its cell is not connected",
    "stuck": "shows one constant value, and showed noise before: its cell or cable has failed",
    "saturated": "is at the end of its range: too much on it, something wedged, or a broken cell",
    "error": "reports an error of its own",
}


class Vitals:
    """The pulse of one plate."""

    __slots__ = ("_flagged", "_last", "_moved", "_other", "_rate", "_same", "_since", "_x1", "_x2",
                 "_x3", "driver", "trouble")  # fmt: skip

    def __init__(self, driver: str, rate_hz: int) -> None:
        self.driver = driver
        self.trouble: Trouble = ""
        self._rate = rate_hz
        self._last: int | None = None
        self._other: int | None = None
        self._since = self._same = 0
        self._moved = False
        # when it last came to a value that was neither of the two before; thrice
        self._x1 = self._x2 = self._x3 = -CONSTANT_NS - 1
        self._flagged: Trouble = ""

    def noisy(self, at_ns: int) -> bool:
        """Whether its last digits showed noise, three times within the last 20 s."""
        return at_ns - self._x3 <= CONSTANT_NS

    def away(self) -> None:
        """The device went away: what it said before proves nothing about what it says next."""
        self._last = self._other = None
        self._flagged = self.trouble = ""

    def heard(self, at_ns: int, weight: Weight, fellows: Iterable[Vitals]) -> bool:
        """Takes one reading; whether `trouble` is another than before. Never raises."""
        mass_mg, flags = weight.mass_mg, weight.flags
        if flags and (trouble := _flagged(flags)):
            return self._faulty(at_ns, trouble)
        if mass_mg != self._last or self._flagged:
            if self._last is not None and not self._flagged:
                self._moved = True
                if mass_mg != self._other:
                    self._x3, self._x2, self._x1 = self._x2, self._x1, at_ns
                self._other = self._last
            self._last, self._since, self._same, self._flagged = mass_mg, at_ns, 0, ""
            return self._now("")
        self._same += 1
        if self.trouble or at_ns - self._since < CONSTANT_NS:
            return False
        if self._same * QUIET_SHARE < self._rate * (CONSTANT_NS // NS_PER_S):
            return False
        self._since, self._same = at_ns, 0  # asked again after as long
        mates = [v for v in fellows if v is not self and v.driver == self.driver]
        noisy = sum(v.noisy(at_ns) for v in mates)
        if len(mates) < FELLOWS_MIN or noisy * 100 < len(mates) * NOISY_PERCENT:
            return False
        return self._now("stuck" if self._moved else "dead")

    def _faulty(self, at_ns: int, trouble: Trouble) -> bool:
        if self._flagged != trouble:
            self._flagged, self._since = trouble, at_ns
        return at_ns - self._since >= FLAGGED_NS and self._now(trouble)

    def _now(self, trouble: Trouble) -> bool:
        changed, self.trouble = self.trouble != trouble, trouble
        return changed


def _flagged(flags: tuple[str, ...]) -> Trouble:
    if "motion" in flags:
        return ""  # some scales show no mass while something moves
    if "over" in flags or "under" in flags:
        return "saturated"
    return "error" if "error" in flags else ""
