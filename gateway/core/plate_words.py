"""What the configuration says of a plate, and what it remembers across a restart.

Here: the words, and the windows that follow from a scale's rate (ALGORITHMS 2.1). Not here: the
detector (`weigh`).
"""

from __future__ import annotations

import msgspec

from gateway.domain.reading import Word
from gateway.domain.units import NS_PER_MS


class PlateRules(Word, frozen=True):
    """What the configuration says of one plate."""

    device: str
    location: str
    rate_hz: int
    lightest_mg: int | None
    """Lightest product that belongs here; None when nothing weighable does."""

    @property
    def part(self) -> int:
        """Samples of half a variance window: of 500 ms at 20 Hz and above, of 800 ms below."""
        return max(2, self.rate_hz * (250 if self.rate_hz >= 20 else 400) // 1000)

    @property
    def hold_ns(self) -> int:
        """How long it is quiet before a quick reach is believed to be over."""
        return (400 if self.rate_hz >= 20 else 500) * NS_PER_MS

    @property
    def kv(self) -> int:
        """Variance ratio above which the plate is in motion."""
        return 7 if self.rate_hz >= 60 else 9


class PlateState(msgspec.Struct):
    """What a plate remembers across a restart."""

    baseline_mg: int
    sigma2_mg2: int
    drift_total_mg: int = 0
