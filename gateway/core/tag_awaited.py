"""Serials that lay in the shop when the gateway was started again, until they are heard or missed.

Here: how a tag that left while nobody listened is found to be silent. Not here: tags that have been
heard since (`presence` knows when they leave).

A restart forgets what readers heard, not where the book has each serial. A tag that has not been
heard since is no more silent than one after an outage: it left when its place has been listened to
for as long as any tag needs to be gone, reads coming in all the while, and when most tags of the
place were heard, so that the antenna is where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.core.tag_levels import SPACING_NS
from gateway.domain.units import NS_PER_S

CAP_S: Final = 90
"""The most full exposure before a tag is leaving (ALGORITHMS 3.3)."""


class Awaited:
    """Serials by place; `looks` at a place are ten seconds apart."""

    def __init__(self, at_rest: Iterable[tuple[str, str]], confirm_s: Mapping[str, int]) -> None:
        """EPC and place of each; `confirm_s` by place, of those that readers cover."""
        self._place = {epc: place for epc, place in at_rest if place in confirm_s}
        self._in_all: dict[str, int] = {}
        for place in self._place.values():
            self._in_all[place] = self._in_all.get(place, 0) + 1
        self._left = dict(self._in_all)
        second = SPACING_NS // NS_PER_S
        self._needed = {place: 1 + (CAP_S + s) // second for place, s in confirm_s.items()}
        self._looks: dict[str, int] = {}
        self._reads: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._place)

    def at(self, place: str) -> bool:
        """Whether some of a place are neither heard nor missed yet."""
        return self._left.get(place, 0) > 0

    def heard(self, epc: str) -> None:
        """A reader has it."""
        place = self._place.pop(epc, None)
        if place is not None:
            self._left[place] -= 1

    def look(self, listens: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """EPC and place of those that are not there; `listens` has the reads of a place so far."""
        gone: dict[str, None] = {}
        for place in self._in_all:
            reads = listens.get(place)
            if reads is None:
                self._looks[place] = 0  # what follows an outage is no continuation
                continue
            if reads > self._reads.get(place, 0):
                self._looks[place] = self._looks.get(place, 0) + 1
            self._reads[place] = reads
            sound = 2 * self._left[place] <= self._in_all[place]
            if sound and self._left[place] and self._looks[place] > self._needed[place]:
                gone[place] = None
        if gone:
            for epc, place in sorted(self._place.items()):
                if place in gone:
                    self.heard(epc)
                    yield epc, place
