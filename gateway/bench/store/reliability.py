"""F9: how honest a belief is, where it is a histogram over whole units.

A set of whole units that must hold 90 % of a belief of 97 % on one count holds 97 %: its plain
coverage tells how sharp the belief is and not whether it is honest. So the coverage is smoothed:
the interval grows from the mode as the core's does, and the count that takes it past 90 % belongs
to it only in part, so that it holds exactly 90 % of the belief (the fuzzy, or averaged randomized,
interval of Geyer & Meeden 2005; the same smoothing as the PIT of counts of Czado, Gneiting & Held
2009). A belief that is true is covered 90 % of the time, whatever its width; one that is too narrow
less, one too wide more. Beside it stand the plain coverage and the levels 50, 80 and 95 %.

Here: seconds, and the shares they make. Not here: what the belief is of (`scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.bench.store.books import Belief

LEVELS: Final = (50, 80, 90, 95)
"""Per cent that an interval should hold."""
_GATE: Final = 90


class Reliability:
    """What a book believed of a plate, against what was true, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._width = 0.0

    def add(self, seconds: float, belief: Belief, shelf: int, true: int) -> None:
        """So long, the book said `shelf`, believed this, and `true` was so."""
        certain, right = belief.state == "certain", shelf == true
        inside = belief.low <= true <= belief.high
        told = {
            "F9.believed_s": 1.0,
            "F9.raw_s": float(inside),
            "F9.unsure_s": float(not certain),
            "F9.raw_unsure_s": float(inside and not certain),
            "F9.certain_s": float(certain),
            "F9.certain_right_s": float(certain and right),
            "F9.disputed_s": float(belief.state == "disputed"),
        }
        for level in LEVELS:
            told[_covered(level)] = covered(belief.masses, true - belief.first, level)
        for name, share in told.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds * share
        self._width += seconds * (belief.high - belief.low)

    def figures(self) -> dict[str, float]:
        """All of it; nothing of a book that never said how sure it is."""
        believed = self._seconds.get("F9.believed_s", 0.0)
        if not believed:
            return {}
        return {**self._seconds, "F9.width_units": self._width / believed}


def _covered(level: int) -> str:
    return "F9.covered_s" if level == _GATE else f"F9.covered{level}_s"


RATIOS: Final = (
    *(
        (_covered(level).replace("covered", "coverage").removesuffix("_s"), _covered(level),
         "F9.believed_s", 1.0)
        for level in LEVELS
    ),
    ("F9.raw_coverage", "F9.raw_s", "F9.believed_s", 1.0),
    ("F9.raw_coverage_unsure", "F9.raw_unsure_s", "F9.unsure_s", 1.0),
    ("F9.certain", "F9.certain_s", "F9.believed_s", 1.0),
    ("F9.certain_right", "F9.certain_right_s", "F9.certain_s", 1.0),
    ("F9.disputed", "F9.disputed_s", "F9.believed_s", 1.0),
)  # fmt: skip
"""Ratio, numerator, denominator, scale."""


def covered(masses: Sequence[int], at: int, level: int) -> float:
    """How much of the count `at` belongs to the interval that holds `level` % of a histogram.

    >>> [covered((0, 970, 30), n, 90) == 900 / 970 for n in (0, 1, 2)]
    [False, True, False]
    >>> covered((100, 700, 200), 2, 80), covered((100, 700, 200), 1, 80)
    (0.5, 1.0)
    """
    need = level * sum(masses) / 100
    low = high = max(range(len(masses)), key=masses.__getitem__)
    held, newest = 0, low
    while True:
        part = min(1.0, (need - held) / max(1, masses[newest]))
        if newest == at:
            return part
        held += masses[newest]
        if held >= need:
            return 0.0
        below = masses[low - 1] if low else -1
        above = masses[high + 1] if high + 1 < len(masses) else -1
        if below > above:
            low = newest = low - 1
        else:
            high = newest = high + 1
