"""A sample that is delivered twice is heard once.

A scale gives its samples neither a number nor a time of its own, so a repeat is told by what is
left: the same value at once after another. Heard as a second sample it would make the noise look
smaller than it is. Here: that memory of one plate. Not here: what samples mean (`weigh`).
"""

from __future__ import annotations

from gateway.domain.reading import Weight
from gateway.domain.units import NS_PER_S


class Repeats:
    """The last sample of a plate, and whether one at once after it may be another."""

    __slots__ = ("_at_ns", "_behind", "_last", "_period_ns")

    def __init__(self, rate_hz: int) -> None:
        self._period_ns = NS_PER_S // max(1, rate_hz)
        self._at_ns = 0
        self._last: Weight | None = None
        self._behind = True

    def again(self, at_ns: int, said: Weight) -> bool:
        """Whether a sample is the last one, said again. Never raises.

        Not after a gap: a link that stalled delivers what it held back at once, and a coarse scale
        at rest says the same value each time. Nor twice in a row: a scale that is quicker than
        configured is heard all the same.
        """
        gap_ns, self._at_ns = at_ns - self._at_ns, at_ns
        last, self._last = self._last, said
        if gap_ns * 4 >= self._period_ns:
            self._behind = gap_ns * 2 > self._period_ns * 3
            return False
        if self._behind or said != last:
            return False
        self._behind = True
        return True
