"""What a plate showed around a step: a few seconds of its samples, for people to look at.

Here: the memory of one plate, some two hundred small whole numbers, and the excerpt of it that a
step takes along. Kept window by window, not sample by sample, so that the detector pays next to
nothing for it. Evidence alone: no decision reads it. Not here: the detector (`weigh`), how it is
drawn (`gateway.plot`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.domain.observation import TRACE_MAX, Points
from gateway.domain.units import NS_PER_MS, NS_PER_S

KEPT_S: Final = 12
BEFORE_NS: Final = 4 * NS_PER_S
"""How much of the quiet before its onset a step shows."""
POINTS_HZ: Final = 10


class Around:
    """The last seconds of one plate. `window` is called once per full turn of the ring."""

    def __init__(self, rate_hz: int, ring: int) -> None:
        """`ring`: samples in one turn of the detector's ring."""
        self._period_ns = NS_PER_S // max(1, rate_hz)
        self._every = max(1, rate_hz // POINTS_HZ)
        self._first = (ring - 1) % self._every
        """Of each turn every n-th sample is kept, the newest always."""
        self._turns: deque[tuple[int, int, list[int]]] = deque(
            maxlen=-(-KEPT_S * max(1, rate_hz) // ring)
        )
        self._last_ns: int | None = None

    def window(self, at_ns: int, ring: list[int]) -> None:
        """The ring is full of new samples, the newest of `at_ns` at its end."""
        gap_ns = self._gap_ns(at_ns, len(ring))
        self._turns.append((at_ns, gap_ns, ring[self._first :: self._every]))
        self._last_ns = at_ns

    def _gap_ns(self, at_ns: int, samples: int) -> int:
        """Time between samples: as they came, but for a scale that was silent meanwhile."""
        if self._last_ns is None:
            return self._period_ns
        gap_ns = (at_ns - self._last_ns) // samples
        return gap_ns if gap_ns <= 4 * self._period_ns else self._period_ns

    def points(self, began_ns: int, at_ns: int, ring: Sequence[int], slot: int) -> Points:
        """Milliseconds before `at_ns` (0 or less) and milligrams, from shortly before the onset.

        `ring[:slot]` came after its last full turn, the newest of it at `at_ns`. At most TRACE_MAX.
        """
        turns = list(self._turns)
        if slot:
            newest = ring[(slot - 1) % self._every : slot : self._every]
            turns.append((at_ns, self._gap_ns(at_ns, slot), list(newest)))
        found = [
            (-((at_ns - end_ns + n * self._every * gap_ns) // NS_PER_MS), mass_mg)
            for end_ns, gap_ns, masses in reversed(turns)
            for n, mass_mg in enumerate(reversed(masses))
            if end_ns - n * self._every * gap_ns >= began_ns - BEFORE_NS
        ]
        thin = -(-len(found) // TRACE_MAX)
        return tuple(reversed(found[:: max(1, thin)]))
