"""How long goods stay in a basket before they are given up: learned from the shop's own shoppers.

Here: the distribution of times from pick to till, in minutes, and the timeout that follows from it
(ALGORITHMS 5.5). Not here: which pick a sale takes (`baskets`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.domain.units import NS_PER_S

PAIRS_MIN: Final = 500
"""Before so many the configured timeout holds."""
PAIRS_MAX: Final = 4_000
"""With so many the older half of the evidence is let go: shoppers change."""
LEAST_MIN: Final = 30
MOST_MIN: Final = 240
LATE_PER_MILLE: Final = 5
"""So many in a thousand may come to the till later than the timeout."""
_MINUTE_NS: Final = 60 * NS_PER_S


class Waits(msgspec.Struct):
    """Pairs of pick and sale by whole minutes between them; the last entry holds all longer."""

    pairs: int
    minutes: list[int]


class Patience:
    """The timeout of baskets. `changed()` is called when `waits` is to be kept."""

    def __init__(
        self,
        configured_s: int,
        waits: Waits | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._configured_ns = configured_s * NS_PER_S
        self._changed = changed
        self.waits = Waits(0, [0] * (MOST_MIN + 1)) if waits is None else waits
        self.timeout_ns = 0
        self._learn()

    def paired(self, picked_ns: int, sold_ns: int) -> None:
        """A unit came to the till so long after it was picked."""
        waits = self.waits
        minute = max(0, sold_ns - picked_ns) // _MINUTE_NS
        waits.minutes[min(minute, MOST_MIN)] += 1
        waits.pairs += 1
        if waits.pairs >= PAIRS_MAX:
            waits.minutes = [n // 2 for n in waits.minutes]
            waits.pairs = sum(waits.minutes)
        self._changed()
        self._learn()

    def _learn(self) -> None:
        waits = self.waits
        if waits.pairs < PAIRS_MIN:
            self.timeout_ns = self._configured_ns
            return
        late = 0
        for minute in range(MOST_MIN, LEAST_MIN - 1, -1):
            late += waits.minutes[minute]
            if late * 1000 > waits.pairs * LATE_PER_MILLE:
                self.timeout_ns = min(minute + 1, MOST_MIN) * _MINUTE_NS
                return
        self.timeout_ns = LEAST_MIN * _MINUTE_NS
