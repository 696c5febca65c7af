"""Who of a zone should answer and does: how far a visit of its antenna counts for anybody.

Here: the tags that are expected, those of them that are silent for longer than chance, the share of
a visit that this leaves, who fell silent together, and when a silent tag is no longer expected. Not
here: the exposure clock of a group (`exposure`), zones and departures (`presence`).

One or two silent tags among many were taken. Several that fall silent together are hidden by who
stands before them, and whoever is hidden stays so for as long: to count a tenth of such a visit ten
times would take one piece of evidence for ten. So they do not count, until those who are hidden
answer again; who was swept away never does, and is let go after RELEASED.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.domain.units import ln_mnat

if TYPE_CHECKING:
    from gateway.core.exposure import Group

MICRO: Final = 1_000_000
P_MIN: Final = 50_000
P_MAX: Final = 990_000
NEVER: Final = 1 << 62
"""Exposure that no group comes to."""
CHANCE_MNAT: Final = 3_912
"""ln(50): a tag is silent when it would miss so many visits once in fifty."""
TAKEN: Final = 2
"""So many silent tags excuse nobody: that is what one takes at a time."""
FULL: Final = (850_000, 950_000)
"""Shares of the zone that answer at which a visit begins to count, and counts fully."""
RELEASED: Final = 12 * MICRO
"""Visits after which a silent tag is no longer expected, were all others to answer."""
RELEASED_MIN: Final = 400_000
"""What a visit counts for that however few answer: an emptied zone is let go after 30 visits."""


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
    patience: int = 0
    """Exposure after the last read at which it is leaving, if somebody was there."""
    visit: int = 0
    """Number of the zone's visit of the last read."""
    quiet: int = 0
    """Visits that it misses by chance."""
    clock: int = 0
    """The company's clock at the last read."""
    expected: bool = False
    exiting: bool = False
    confirm_ms: int = 0
    """Open time of the zone at which it has left, while `exiting`."""
    wakes: int = NEVER
    """The group's exposure at which it is looked at, which may be later than `due`."""

    @property
    def p(self) -> int:
        """The chance of a read in one visit: its share in what the group expects."""
        p = self.hits * MICRO // (self.hits + self.misses)
        return P_MIN if p < P_MIN else min(p, P_MAX)

    @property
    def due(self) -> int:
        """The group's exposure at which it is leaving, if somebody was there."""
        return self.stamp + self.patience


class Company:
    """The tags of one zone that should answer. A visit costs what is expected, not what is held."""

    def __init__(self) -> None:
        self._tags: dict[str, Tag] = {}
        self._clock = 0
        self._answering = MICRO
        self._silent: list[Tag] = []
        self._since: Counter[int] = Counter()
        """The silent tags of the visit that was listened to, and when they were last read."""
        self.visits_min = self.visits_max = 0
        """Exposure after which silence means leaving, at least and at most."""

    def expect(self, tag: Tag, before: int) -> None:
        """A tag was read in this visit; `before`: what was expected of it until now."""
        if not tag.expected:
            tag.expected = True
            self._tags[tag.key] = tag
        p = tag.p
        tag.group.expected += p - before
        tag.quiet, tag.clock = _by_chance(p // 1000), self._clock

    def leave(self, tag: Tag) -> None:
        """It is not expected from now on."""
        if tag.expected:
            tag.expected = False
            tag.group.expected -= tag.p
            del self._tags[tag.key]

    def listen(self, visit: int, heard: Container[str]) -> None:
        """What follows is of this visit, in which these were `heard`."""
        self._silent = silent = [
            tag for tag in self._tags.values()
            if visit - tag.visit > tag.quiet and tag.key not in heard
        ]  # fmt: skip
        self._since = Counter([tag.visit for tag in silent])
        size = len(self._tags)
        self._answering = (size - len(silent) + TAKEN) * MICRO // size if size else MICRO

    def share(self) -> int:
        """How far the visit counts."""
        return ramp(self._answering, *FULL)

    def hidden(self, tag: Tag) -> bool:
        """Whether more fell silent with a tag, give or take chance, than one takes at a time."""
        since, around = self._since, range(tag.visit - tag.quiet, tag.visit + tag.quiet + 1)
        return tag.expected and sum([since[visit] for visit in around]) > TAKEN

    def let_go(self) -> None:
        """The visit is closed: expects no more of who was silent for too long."""
        self._clock += max(RELEASED_MIN, min(self._answering, MICRO))
        clock = self._clock - RELEASED
        for tag in self._silent:
            if tag.clock <= clock:
                self.leave(tag)


def ramp(value: int, low: int, high: int) -> int:
    """From nothing at `low` to a million at `high`, in a straight line."""
    return max(0, min(MICRO, (value - low) * MICRO // (high - low)))


@cache
def _by_chance(permille: int) -> int:
    """Visits that a tag read with this chance misses once in fifty, at least one."""
    return max(1, -(CHANCE_MNAT // ln_mnat(1000 - permille, 1000)))
