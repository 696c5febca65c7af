"""How long a silent tag could have been heard: the exposure clock of a few tags of one product.

Here: ALGORITHMS 3.1 to 3.3 in whole numbers: pseudo-counts of hits and misses, the share of a visit
that counts, the exposure after which silence means leaving, and what visits that are not closed yet
foretell. Not here: how much of the zone answers (`company`), visits (`visits`), zones, moves and
departures (`presence`).

What is of one product, and packed together, is shelved and hidden together: a visit counts for it
only as far as its tags that should have answered did. Counts, exposures and probabilities are in
millionths (of a read, of a visit, of certainty).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from gateway.core.company import MICRO, NEVER, P_MAX, P_MIN, Company, Tag, ramp
from gateway.domain.units import ln_mnat, sqrt_floor

HITS: Final = 4 * MICRO
MISSES: Final = MICRO
"""What is believed of a tag that has just arrived: four reads in five visits."""
KEPT_PERCENT: Final = 99
MISSES_PLAIN: Final = 4
"""So many visits between two reads were misses whoever else was silent: a chance that was believed
too high would else hide itself behind the exposure that it denies."""
EPS_MNAT: Final = 7_601
"""ln(2,000): a tag that is there misses so many visits once in so many times. That is proof enough
where somebody stood who may have taken it."""
CALM_MNAT: Final = 13_816
"""ln(1,000,000): the same where nobody stood, for who should have taken it?"""
TELLING: Final = 4 * MICRO
"""So many reads must be expected for their absence to tell that somebody stands there."""
BEFORE: Final = 10
"""Visits before a tag's last read in which who took it may have come."""
FULL: Final = (300_000, 700_000)
"""Shares of the expected answers at which a visit begins to count, and counts fully: reads of few
tags scatter, and who hides a part of them hides the same part for long."""
GROUP_MAX: Final = 20
DOUBTFUL: Final = -1
"""When a tag wakes that is due if somebody stood there: always."""


class Over(NamedTuple):
    """A visit that is over but not closed."""

    number: int
    share: int
    """How far it will count in the zone."""
    answered: Mapping[Group, int]
    """Reads that were expected and came."""


class Group:
    """Up to 20 tags of one product with one exposure clock."""

    __slots__ = (
        "_company", "_stood", "_wakes", "expected", "exposure", "product", "tags",
    )  # fmt: skip

    def __init__(self, product: str, company: Company) -> None:
        self.product = product
        self._company = company
        self.exposure = 0
        self.tags: list[Tag] = []
        """In the order of their keys: what is packed together is numbered together."""
        self.expected = 0
        """Reads that a visit should bring."""
        self._stood = -BEFORE - 1
        """Last visit in which somebody stood there."""
        self._wakes = NEVER
        """No tag wakes earlier: a group is small enough to look through, a heap is not."""

    def add(self, tag: Tag, visit: int) -> None:
        """A tag that has just been read here for the first time."""
        insort(self.tags, tag, key=_key)
        tag.stamp, tag.visit = self.exposure, visit
        tag.hits, tag.misses, tag.exiting = HITS, MISSES, False
        self._believe(tag, 0)

    def remove(self, tag: Tag) -> None:
        """It lives here no longer."""
        del self.tags[bisect_left(self.tags, tag.key, key=_key)]
        self._company.leave(tag)
        tag.wakes = NEVER

    def split(self) -> Group:
        """Gives the upper half to a new group with the same clock."""
        other = Group(self.product, self._company)
        other.exposure, other._stood = self.exposure, self._stood
        half = len(self.tags) // 2
        self.tags, other.tags = self.tags[:half], self.tags[half:]
        for tag in other.tags:
            tag.group = other
            if tag.expected:
                self.expected -= tag.p
                other.expected += tag.p
            if not tag.exiting:
                other._wait(tag)
        return other

    def _share(self, answered: int) -> int:
        """How far a visit counts that so many of the expected tags answered."""
        if self.expected <= MICRO:
            return MICRO
        half = MICRO // 2
        answering = (answered * MICRO + half) * MICRO // (self.expected + half)
        return MICRO if answering >= FULL[1] else ramp(answering, *FULL)

    def _somebody(self, share: int, zone_share: int) -> bool:
        """Whether a visit that counts so far tells that somebody stands there."""
        return zone_share < MICRO or (not share and self.expected >= TELLING)

    def visited(self, visit: int, zone_share: int, heard: Sequence[Tag]) -> list[Tag]:
        """The antenna was here and read these; answers who is leaving from now on."""
        share = self._share(sum([tag.expected for tag in heard]))
        self.exposure += share * zone_share // MICRO
        if self._somebody(share, zone_share):
            self._stood = visit
        for tag in heard:
            plain = min(visit - tag.visit - 1, MISSES_PLAIN) * MICRO
            missed = max(0, self.exposure - tag.stamp - MICRO, plain)
            before = tag.p if tag.expected else 0
            tag.hits = _one_more(tag.hits)
            tag.misses = tag.misses * KEPT_PERCENT // 100 + missed
            tag.stamp, tag.visit = self.exposure, visit
            tag.exiting = False
            self._believe(tag, before)
        return self._leaving() if self.waits_for(self.exposure) else []

    def waits_for(self, exposure: int) -> bool:
        """Whether some tag may be due by then."""
        return self._wakes <= exposure

    def _believe(self, tag: Tag, before: int) -> None:
        self._company.expect(tag, before)
        tag.patience = self._missed(tag, EPS_MNAT)
        if tag.wakes == NEVER:
            self._wait(tag)

    def _missed(self, tag: Tag, eps_mnat: int) -> int:
        """The exposure for which a tag that is there would be silent so seldom."""
        visits = _visits(_surely(tag.hits, tag.misses), eps_mnat)
        return max(self._company.visits_min, min(visits, self._company.visits_max))

    def _wait(self, tag: Tag) -> None:
        tag.wakes = tag.due
        self._wakes = min(self._wakes, tag.wakes)

    def _doubtful(self, exposure: int) -> list[Tag]:
        """Who is due by then, if somebody was there; from now on it is looked at in every visit."""
        doubtful = []
        for tag in self.tags:
            if tag.wakes <= exposure:
                if tag.wakes != DOUBTFUL:
                    tag.wakes = tag.due if tag.due > exposure else DOUBTFUL
                if tag.wakes == DOUBTFUL:
                    doubtful.append(tag)
        return doubtful

    def _leaving(self) -> list[Tag]:
        leaving = []
        for tag in self._doubtful(self.exposure):
            if tag.due > self.exposure:
                tag.wakes = tag.due
            elif self._is_due(tag, self.exposure, self._stood):
                tag.exiting, tag.wakes = True, NEVER
                self._company.leave(tag)
                leaving.append(tag)
        self._wakes = min([tag.wakes for tag in self.tags], default=NEVER)
        return leaving

    def foreseen(self, ahead: Iterable[Over]) -> Iterator[Tag]:
        """Who is leaving when these visits are closed, unless it is read in one of them."""
        exposure, stood = self.exposure, self._stood
        for visit in ahead:
            share = self._share(visit.answered.get(self, 0))
            exposure += share * visit.share // MICRO
            if self._somebody(share, visit.share):
                stood = visit.number
        doubtful = self._doubtful(exposure)
        self._wakes = min([tag.wakes for tag in self.tags], default=NEVER)
        return (tag for tag in doubtful if self._is_due(tag, exposure, stood))

    def _is_due(self, tag: Tag, exposure: int, stood: int) -> bool:
        """`stood`: the last visit in which somebody did."""
        if self._company.hidden(tag):
            return False
        if tag.due > exposure or stood >= tag.visit - BEFORE:
            return tag.due <= exposure
        return tag.stamp + self._missed(tag, CALM_MNAT) <= exposure


def _key(tag: Tag) -> str:
    return tag.key


@cache
def _one_more(hits: int) -> int:
    """Pseudo-counts of hits after one more read. All tags climb the same steps, and share them."""
    return hits * KEPT_PERCENT // 100 + MICRO


def _surely(hits: int, misses: int) -> int:
    """The chance of a read in one visit, less one standard deviation, in thousandths."""
    total = hits + misses
    variance = hits * misses * 10**18 // (total * total * (total + MICRO))
    p = hits * MICRO // total - sqrt_floor(variance)
    return max(P_MIN, min(p, P_MAX)) // 1000


@cache
def _visits(permille: int, eps_mnat: int) -> int:
    """Visits, in millionths, that a tag read with this chance misses once in so many (ln) times."""
    return eps_mnat * MICRO // -ln_mnat(1000 - permille, 1000)
