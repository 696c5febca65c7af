"""What an antenna heard, second by second: the visits of a reader that does not tell them.

A reading carries no end of an antenna's turn (AISpec), so a second with at least one report stands
for one (ALGORITHMS 3.2). Reads are sorted into seconds by the reader's own clock where it tells it,
and a second is closed 3 s after its first report, so that reads which arrive up to 2 s out of order
make no difference (6.3). That it is over is known sooner, unless reads are out of order: when the
reader goes on to its next antenna, or to the next second. Here: that sorting, its bounds. Not here:
what a visit means (`exposure`), what is made of knowing sooner (`presence`).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Container
from typing import Final

import msgspec

from gateway.domain.units import NS_PER_S

US_PER_S: Final = 1_000_000
LATENESS_NS: Final = 2 * NS_PER_S
OPEN_NS: Final = NS_PER_S + LATENESS_NS
STEPPED_NS: Final = 5 * NS_PER_S
"""The reader's clock was set back when everything has been late for so long."""
OPEN_MAX: Final = 64
MIXED: Final = 60
"""Seconds for which a reader whose antennas do not take turns is over only with the second."""
HEARD_MAX: Final = 20_000
"""Tags of one second: ten times what the fastest reader reads."""


class Heard(msgspec.Struct, gc=False):
    """What one visit heard of a tag."""

    reads: int = 0
    sum_cdbm: int = 0
    """Of the signal strengths that were told."""
    told: int = 0


class Visit:
    """One second of a reader: what each of its antennas heard."""

    def __init__(self, number: int, due_ns: int) -> None:
        self.number = number
        """Of the second; one more is one second later, after a break perhaps more."""
        self.due_ns = due_ns
        self.heard: dict[int, dict[str, Heard]] = {}
        self.size = 0
        self.over: list[int] = []
        """Antennas that have had their turn."""


class Visits:
    """Seconds that are open for reads. `read` is the hot path."""

    def __init__(self) -> None:
        self._open: dict[int, Visit] = {}
        self._due_ns: int | None = None
        self._own_clock: bool | None = None
        self._shift = 0
        self._closed: int | None = None
        self._newest = -(1 << 63)
        self._late_since_ns: int | None = None
        self._turn: Visit | None = None
        self._turn_of = 0
        """The antenna that was last heard, and in which second."""
        self._over: list[tuple[int, int]] = []
        self._over_ns = 0
        self._mixed_until = self._newest
        self.late = 0
        """Reads of a second that was closed."""
        self.over = 0
        """Reads beyond the bounds."""

    def read(
        self, at_ns: int, antenna: int, key: str, rssi_cdbm: int | None, count: int,
        seen_us: int | None,
    ) -> None:  # fmt: skip
        """One report of a tag; `seen_us` by the reader's clock, None when it does not tell it."""
        if self._own_clock is None:
            self._own_clock = seen_us is not None
        if not self._own_clock:
            number = at_ns // NS_PER_S
        elif seen_us is None:
            number = self._newest
        else:
            number = seen_us // US_PER_S + self._shift
        visit = self._open.get(number)
        if visit is None:
            visit = self._opened(at_ns, number)
            if visit is None:
                return
        elif self._late_since_ns is not None:
            self._late_since_ns = None
        if self._turn_of != antenna or self._turn is not visit:
            self._turned(at_ns, visit, antenna)
        tags = visit.heard.get(antenna)
        if tags is None:
            tags = visit.heard[antenna] = {}
        heard = tags.get(key)
        if heard is None:
            if visit.size >= HEARD_MAX:
                self.over += 1
                return
            visit.size += 1
            heard = tags[key] = Heard()
        heard.reads += count
        if rssi_cdbm is not None:
            heard.sum_cdbm += rssi_cdbm
            heard.told += 1

    def _opened(self, at_ns: int, number: int) -> Visit | None:
        if self._closed is not None and number <= self._closed:
            if self._late_since_ns is None:
                self._late_since_ns = at_ns
            if at_ns - self._late_since_ns < STEPPED_NS:
                self.late += 1
                return None
            self._shift += self._newest + 1 - number
            number = self._newest + 1
        if len(self._open) >= OPEN_MAX:
            self.over += 1
            return None
        self._late_since_ns = None
        self._newest = max(number, self._newest)
        visit = self._open[number] = Visit(number, at_ns + OPEN_NS)
        if self._due_ns is None or visit.due_ns < self._due_ns:
            self._due_ns = visit.due_ns
        return visit

    def _turned(self, at_ns: int, visit: Visit, antenna: int) -> None:
        """The reader goes on to another antenna or second: what it leaves is over."""
        if visit.number != self._newest:
            return
        was, left = self._turn, self._turn_of
        self._turn, self._turn_of = visit, antenna
        if was is None:
            return
        if was is not visit:
            over = [number for number in sorted(was.heard) if number not in was.over]
        elif antenna in visit.heard:
            self._mixed_until = visit.number + MIXED
            return
        else:
            over = [left] if visit.number >= self._mixed_until else []
        was.over += over
        if over and was.number in self._open:
            self._over += [(was.number, antenna) for antenna in over]
            self._over_ns = at_ns

    def deadline(self) -> int | None:
        """When the next second closes, or a visit is over."""
        if self._over and (self._due_ns is None or self._over_ns < self._due_ns):
            return self._over_ns
        return self._due_ns

    def closed(self, at_ns: int) -> list[Visit]:
        """The visits that close by `at_ns`, in the order of their seconds."""
        done: list[Visit] = []
        while self._due_ns is not None and self._due_ns <= at_ns:
            due_ns = self._due_ns
            last = max(n for n, visit in self._open.items() if visit.due_ns == due_ns)
            done += [self._open.pop(n) for n in sorted(n for n in self._open if n <= last)]
            self._closed = last
            self._due_ns = min((visit.due_ns for visit in self._open.values()), default=None)
        return done

    def over_by(self, at_ns: int) -> list[tuple[int, int]]:
        """Visits that are over by then: number of the second, antenna; each told once."""
        if not self._over or self._over_ns > at_ns:
            return []
        over, self._over = self._over, []
        return over

    def open(self, number: int, antenna: int) -> dict[str, Heard]:
        """What an antenna heard in a second that is not closed."""
        visit = self._open.get(number)
        return {} if visit is None else visit.heard.get(antenna, {})

    def lately(self, antenna: int) -> Container[str]:
        """Every tag that it heard in the seconds that are not closed."""
        heard = (visit.heard.get(antenna) for visit in self._open.values())
        return ChainMap(*(tags for tags in heard if tags))


def strength_cdbm(heard: Heard) -> int | None:
    """Mean signal strength of a tag in one visit; None when it was never told."""
    return heard.sum_cdbm // heard.told if heard.told else None
