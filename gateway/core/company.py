"""Who of a zone should answer and does: how far a visit of its antenna counts for anybody.

Here: the tags that are expected, those of them that are silent for longer than chance, the share of
a visit that this leaves, and when a silent tag is no longer expected. Not here: the exposure clock
of a product (`exposure`), zones and departures (`presence`).

One or two silent tags among many were taken. Several that fall silent together are hidden by who
stands before them, and whoever is hidden stays so for as long: to count a tenth of such a visit ten
times would take one piece of evidence for ten. So they do not count, until those who are hidden
answer again; who was swept away never does, and is let go after RELEASED.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.domain.units import ln_mnat

if TYPE_CHECKING:
    from gateway.core.exposure import Group

MICRO: Final = 1_000_000
CHANCE_MNAT: Final = 3_912
"""ln(50): a tag is silent when it would miss so many visits once in fifty."""
TAKEN: Final = 2
"""So many silent tags excuse nobody: that is what one takes at a time."""
FULL: Final = (850_000, 950_000)
"""Shares of the zone that answer at which a visit begins to count, and counts fully."""
RELEASED: Final = 14 * MICRO
"""Visits after which a silent tag is no longer expected, where most others answer."""
RELEASING: Final = (200_000, 500_000)
"""Shares at which a visit begins to count for that, and counts fully."""
RELEASING_MIN: Final = 400_000
"""However few answer: a zone that was emptied is let go after 35 visits."""


class Tag(msgspec.Struct, eq=False):
    """What is believed of one tag in the zone it lives in."""

    key: str
    antenna: int
    group: Group
    rssi_cdbm: int | None
    seen: int
    """Number of the slot of its last read."""
    hits: int = 0
    misses: int = 0
    stamp: int = 0
    """The group's exposure at the last read."""
    due: int = 0
    """The group's exposure at which it is leaving, if somebody was there."""
    calm_due: int = 0
    """The same if nobody was."""
    visit: int = 0
    """Number of the zone's visit of the last read."""
    missed: int = 0
    """Visits between the last read and the one before."""
    p: int = 0
    """Its share in what the group expects."""
    quiet: int = 0
    """Visits that it misses by chance."""
    let_go: int = 0
    """The company's clock at which it is no longer expected."""
    expected: bool = False
    exiting: bool = False
    soon: bool = False
    """It will be `exiting` when the visits that are over are closed."""
    confirm_ms: int = 0
    """Open time of the zone at which it has left, while `exiting`."""
    due_entry: int = -1
    waits: int = 0
    """Number of its entry in the group's heap, others are stale; the exposure of that entry."""


class Company:
    """The tags of one zone that should answer. A visit costs what is expected, not what is held."""

    def __init__(self) -> None:
        self._tags: dict[str, Tag] = {}
        self._clock = 0

    def expect(self, tag: Tag, p: int) -> None:
        """A tag was read in this visit, and will be in others with this chance."""
        if tag.expected:
            tag.group.expected += p - tag.p
        else:
            tag.expected = True
            tag.group.expected += p
            self._tags[tag.key] = tag
        tag.p, tag.quiet, tag.let_go = p, _by_chance(p // 1000), self._clock + RELEASED

    def leave(self, tag: Tag) -> None:
        """It is not expected from now on."""
        if tag.expected:
            tag.expected = False
            tag.group.expected -= tag.p
            del self._tags[tag.key]

    def share(self, visit: int, heard: Container[str] = ()) -> int:
        """How far a visit counts; who was `heard` in one that is not closed is not silent."""
        return ramp(self._answering(visit, heard), *FULL)

    def _answering(self, visit: int, heard: Container[str]) -> int:
        tags = self._tags
        if not tags:
            return MICRO
        silent = sum(
            visit - tag.visit > tag.quiet and tag.key not in heard for tag in tags.values()
        )
        return (len(tags) - silent + TAKEN) * MICRO // len(tags)

    def let_go(self, visit: int) -> None:
        """The visit is closed: expects no more of who was silent for too long."""
        self._clock += max(RELEASING_MIN, ramp(self._answering(visit, ()), *RELEASING))
        clock = self._clock
        for tag in [tag for tag in self._tags.values() if tag.let_go <= clock]:
            self.leave(tag)


def ramp(value: int, low: int, high: int) -> int:
    """From nothing at `low` to a million at `high`, in a straight line."""
    return max(0, min(MICRO, (value - low) * MICRO // (high - low)))


@cache
def _by_chance(permille: int) -> int:
    """Visits that a tag read with this chance misses once in fifty, at least one."""
    return max(1, -(CHANCE_MNAT // ln_mnat(1000 - permille, 1000)))
