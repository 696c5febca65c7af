"""How long a silent tag could have been heard: the exposure clock of a few tags together.

Here: ALGORITHMS 3.1 to 3.3 in whole numbers: pseudo-counts of hits and misses, the share of a visit
that counts, the exposure after which silence means leaving. Not here: visits (`visits`), zones,
moves and departures (`presence`).

A visit counts fully for a group only as far as the tags that should have answered did. Counts,
exposures and probabilities are in millionths (of a read, of a visit, of certainty).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from heapq import heappop, heappush
from typing import Final

import msgspec

from gateway.domain.units import ln_mnat, sqrt_floor

MICRO: Final = 1_000_000
HITS: Final = 4 * MICRO
MISSES: Final = MICRO
"""What is believed of a tag that has just arrived: four reads in five visits."""
KEPT_PERCENT: Final = 98
P_MIN: Final = 50_000
P_MAX: Final = 990_000
EPS_MNAT: Final = 11_513
"""ln(100,000): a tag that is there is taken for leaving once in so many (DECISIONS)."""
SILENT_VISITS: Final = 20
"""Plain visits after which a silent tag is no longer expected: it lets a swept group go."""
FULL_SHARE: Final = 750_000
"""Below this share of the expected answers a visit counts by its square."""
GROUP_MIN: Final = 8
GROUP_MAX: Final = 20


class Tag(msgspec.Struct, eq=False):
    """What is believed of one tag in the zone it lives in."""

    key: str
    antenna: int
    group: Group
    rssi_cdbm: int | None
    seen: int
    """Number of the slot of its last read."""
    hits: int = HITS
    misses: int = MISSES
    stamp: int = 0
    """The group's exposure at the last read."""
    due: int = 0
    """The group's exposure at which it is leaving."""
    visit: int = 0
    """Number of the zone's visit of the last read."""
    p: int = 0
    """Its share in what the group expects."""
    expected: bool = False
    exiting: bool = False
    confirm_ms: int = 0
    """Open time of the zone at which it has left, while `exiting`."""
    due_entry: int = -1
    silent_entry: int = -1
    """Numbers of its entries in the group's two heaps; others are stale."""


class Group:
    """8 to 20 tags with one exposure clock; reading one of them costs the same however many."""

    def __init__(self, entries: Iterator[int], exposure: int = 0) -> None:
        self._entries = entries
        self.exposure = exposure
        self.tags: list[Tag] = []
        """In the order of their keys: what is packed and shelved together answers together."""
        self.heard: list[Tag] = []
        self._expected = 0
        self._due: list[tuple[int, int, Tag]] = []
        self._silent: list[tuple[int, int, Tag]] = []

    @property
    def first(self) -> str:
        """The lowest key; the groups of a zone are in this order."""
        return self.tags[0].key

    def add(self, tag: Tag, visit: int, visits_min: int, visits_max: int) -> None:
        """A tag that has just been read here for the first time."""
        self.tags.insert(bisect_left(self.tags, tag.key, key=_key), tag)
        tag.group, tag.stamp, tag.visit = self, self.exposure, visit
        tag.hits, tag.misses, tag.exiting, tag.expected = HITS, MISSES, False, False
        self._believe(tag, visits_min, visits_max)

    def remove(self, tag: Tag) -> None:
        """Its entries in the heaps are stale from here."""
        del self.tags[bisect_left(self.tags, tag.key, key=_key)]
        self._forget(tag)

    def split(self) -> Group:
        """Gives the upper half to a new group with the same clock."""
        other = Group(self._entries, self.exposure)
        half = len(self.tags) // 2
        moved, self.tags = self.tags[half:], self.tags[:half]
        for tag in moved:
            self._hand_over(tag, other)
        other.tags = moved
        return other

    def absorb(self, other: Group) -> None:
        """Takes the tags of the next group; each keeps its silence."""
        for tag in other.tags:
            tag.stamp += self.exposure - other.exposure
            tag.due += self.exposure - other.exposure
            other._hand_over(tag, self)
        self.tags += other.tags

    def _hand_over(self, tag: Tag, other: Group) -> None:
        expected = tag.expected
        self._forget(tag)
        tag.group = other
        if expected:
            other._expect(tag)
        if not tag.exiting:
            other._wait(tag)

    def visited(self, visit: int, visits_min: int, visits_max: int) -> list[Tag]:
        """The antenna was here and read `heard`; answers who is leaving from now on."""
        heard, expected = self.heard, self._expected
        share = MICRO
        if expected > MICRO:
            answered = sum(tag.expected for tag in heard)
            share = (answered * MICRO + MICRO // 2) * MICRO // (expected + MICRO // 2)
            share = share * share // MICRO if share <= FULL_SHARE else min(share, MICRO)
        self.exposure += share
        if heard:
            for tag in heard:
                missed = max(0, self.exposure - tag.stamp - MICRO)
                tag.hits = tag.hits * KEPT_PERCENT // 100 + MICRO
                tag.misses = tag.misses * KEPT_PERCENT // 100 + missed
                tag.stamp, tag.visit, tag.exiting = self.exposure, visit, False
                self._believe(tag, visits_min, visits_max)
            self.heard = []
        self._give_up(visit)
        return self._leaving()

    def _believe(self, tag: Tag, visits_min: int, visits_max: int) -> None:
        p = tag.hits * MICRO // (tag.hits + tag.misses)
        p = P_MIN if p < P_MIN else min(p, P_MAX)
        if tag.expected:
            self._expected += p - tag.p
            tag.p = p
        else:
            tag.p = p
            self._expect(tag)
        visits = _visits(_surely(tag.hits, tag.misses))
        tag.due = tag.stamp + max(visits_min, min(visits, visits_max))
        if tag.due_entry < 0:
            self._wait(tag)

    def _expect(self, tag: Tag) -> None:
        tag.expected = True
        self._expected += tag.p
        tag.silent_entry = next(self._entries)
        heappush(self._silent, (tag.visit + SILENT_VISITS, tag.silent_entry, tag))

    def _wait(self, tag: Tag) -> None:
        tag.due_entry = next(self._entries)
        heappush(self._due, (tag.due, tag.due_entry, tag))

    def _forget(self, tag: Tag) -> None:
        if tag.expected:
            self._expected -= tag.p
        tag.expected = False
        tag.due_entry = tag.silent_entry = -1

    def _give_up(self, visit: int) -> None:
        """Expects no more of who was silent for longer than SILENT_VISITS."""
        heap = self._silent
        while heap and heap[0][0] < visit:
            _, entry, tag = heappop(heap)
            if entry != tag.silent_entry:
                continue
            if tag.visit + SILENT_VISITS >= visit:
                heappush(heap, (tag.visit + SILENT_VISITS, entry, tag))
            else:
                tag.expected, tag.silent_entry = False, -1
                self._expected -= tag.p

    def _leaving(self) -> list[Tag]:
        heap, leaving = self._due, []
        while heap and heap[0][0] <= self.exposure:
            _, entry, tag = heappop(heap)
            if entry != tag.due_entry:
                continue
            if tag.due > self.exposure:
                heappush(heap, (tag.due, entry, tag))
            else:
                tag.exiting, tag.due_entry = True, -1
                leaving.append(tag)
        return leaving


def _key(tag: Tag) -> str:
    return tag.key


def _surely(hits: int, misses: int) -> int:
    """The chance of a read in one visit, less one standard deviation, in thousandths."""
    total = hits + misses
    variance = hits * misses * 10**18 // (total * total * (total + MICRO))
    p = hits * MICRO // total - sqrt_floor(variance)
    return max(P_MIN, min(p, P_MAX)) // 1000


@cache
def _visits(permille: int) -> int:
    """Visits, in millionths, that a tag read with this chance misses once in a million."""
    return EPS_MNAT * MICRO // -ln_mnat(1000 - permille, 1000)
