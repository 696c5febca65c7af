"""Plates that another sensor contradicts: one that sees no pick, one that sees picks of nobody.

Here: the till against the plate, event by event, kept as parts `doubt:LOCATION`. A plate is called
blind when three sales in a row, within a day, had to prove picks that it did not see; restless when
five of its picks in a row were paid by nobody while the shop sold. Not here: cells that betray
themselves (`vitals`), levels against the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from gateway.domain.alert import Alert
from gateway.domain.units import NS_PER_S

DAY_NS: Final = 24 * 3600 * NS_PER_S
BLIND_MISSES: Final = 3
RESTLESS_LOSSES: Final = 5


class Doubt(msgspec.Struct):
    """What speaks against one plate."""

    misses_ns: list[int] = []
    """The newest picks that only a sale proved, since the plate last saw one."""
    losses: int = 0
    """Picks of it that were never paid, since something of it last was."""
    blind: bool = False


class Doubts:
    """The doubts about every plate. `changed(location)` is called after each change."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self.of: dict[str, Doubt] = {}

    def missed(self, at_ns: int, location: str) -> None:
        """A sale proved a pick that this plate alone could have seen."""
        doubt = self.of.setdefault(location, Doubt())
        doubt.misses_ns = [*doubt.misses_ns, at_ns][-BLIND_MISSES:]
        within_ns = at_ns - doubt.misses_ns[0]
        doubt.blind |= len(doubt.misses_ns) == BLIND_MISSES and within_ns <= DAY_NS
        self._changed(location)

    def saw(self, location: str) -> None:
        """The plate saw a pick."""
        doubt = self.of.get(location)
        if doubt is not None and doubt.misses_ns:
            doubt.misses_ns, doubt.blind = [], False
            self._changed(location)

    def unpaid(self, location: str) -> None:
        """A pick of this plate was given up as lost while the shop sold other things."""
        doubt = self.of.setdefault(location, Doubt())
        doubt.losses = min(doubt.losses + 1, RESTLESS_LOSSES)
        self._changed(location)

    def paid(self, locations: Iterable[str]) -> None:
        """A product of these places was sold."""
        for location in locations:
            doubt = self.of.get(location)
            if doubt is not None and doubt.losses:
                doubt.losses = 0
                self._changed(location)

    def wanted(self, location: str) -> list[Alert]:
        """The alert that a plate deserves, if any."""
        doubt = self.of.get(location)
        if doubt is None or not (doubt.blind or doubt.losses >= RESTLESS_LOSSES):
            return []
        why, count = ("blind", BLIND_MISSES) if doubt.blind else ("restless", doubt.losses)
        return [Alert("sensor_disagrees", location=location, count=count, why=why)]
