"""Which tags are where: present, leaving, gone, moved (ALGORITHMS 3.4).

    UNKNOWN -> PRESENT -> EXITING -> DEPARTED     EXITING -> PRESENT on any read

A zone is what one antenna covers. Silence is evidence only in visits in which the antenna proved
it could have heard: without visits (reader down, antenna lost) nothing leaves. Here: zones, arrival
filter, mobility, confirmation, bounds. Not here: the exposure clock (`exposure`), who answers at
all (`company`), the seconds that stand for visits (`visits`), what it means for the stock
(`tag_watch`).

A visit is closed, and counts, late enough for reads out of order. What it will come to is foreseen
as soon as it is over: a tag shows as leaving up to 3 s before it is.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Iterator
from heapq import heappop, heappush
from itertools import chain, count
from typing import Final

from gateway.core.company import MICRO, Company, Tag
from gateway.core.exposure import GROUP_MAX, Group, Over
from gateway.core.visits import Heard, Visits, strength_cdbm
from gateway.domain.epc import known_epc
from gateway.domain.reading import Word
from gateway.domain.units import div_half_even

TAGS_MAX: Final = 50_000
ZONES_MAX: Final = 64
ARRIVAL_SLOTS: Final = 5
"""Two reads within so many seconds are an arrival, or a move; one is a stray."""
BREAK_SLOTS: Final = 10
"""Seconds without a visit after which the time between is no time in which one could leave."""
MOBILITY_CDBM: Final = 600
HOLDOFF_MS: Final = 60_000
SLOPE_MS: Final = 20
"""0.0005 dB a millisecond: the advantage that the present zone keeps melts by 1/100 dB in 20 ms."""


class ZoneRules(Word, frozen=True):
    """What is configured of the place that an antenna covers."""

    antenna: int
    location: str
    confirm_s: int = 120
    """How long a tag stays EXITING before it has left: exit 30, shelf 120, backroom 600."""
    floor_s: int = 5
    cap_s: int = 90
    """Least and most full exposure before a tag is EXITING; least 4 at till and exit."""
    rssi_floor_cdbm: int | None = None
    """Weaker reads are no arrival; None: all are strong enough."""


class TagMove(Word, frozen=True):
    """A tag came (no `from_antenna`), went (no `to_antenna`) or changed zones."""

    at_ns: int
    tag: str
    from_antenna: int | None
    to_antenna: int | None


class _Zone:
    def __init__(self, rules: ZoneRules, entries: Iterator[int]) -> None:
        self.rules = rules
        self._entries = entries
        self._company = Company()
        self.groups: dict[str, list[Group]] = {}
        """By GTIN, what has none together; each in the order of its tags."""
        self.visit = 0
        self._open_ms = 0
        self._last: int | None = None
        self._period_ms = 0
        self._confirm: list[tuple[int, int, Tag]] = []
        self._ahead: deque[tuple[int, Over]] = deque()
        """By slot, the visits that are over but not closed."""
        self.soon: frozenset[str] = frozenset()
        """Who is leaving when those are closed, as it looks."""
        self._set_period(1000)

    def _set_period(self, period_ms: int) -> None:
        if period_ms != self._period_ms:
            self._period_ms = period_ms
            self._company.visits_min = self.rules.floor_s * 1000 * MICRO // period_ms
            self._company.visits_max = self.rules.cap_s * 1000 * MICRO // period_ms

    def lost(self) -> None:
        """What follows is no continuation: the time between was no exposure."""
        self._last = None

    def visited(self, slot: int, heard: list[Tag]) -> list[Tag]:
        """One visit closed, in which these tags were heard; answers who has left."""
        self.visit += 1
        gap = 0 if self._last is None else slot - self._last
        self._last = slot
        if 0 < gap <= BREAK_SLOTS:
            self._open_ms += 1000 * gap
            self._set_period(max(1000, (9 * self._period_ms + 1000 * gap) // 10))
        while self._ahead and self._ahead[0][0] <= slot:
            self._ahead.popleft()
        reads: defaultdict[Group, list[Tag]] = defaultdict(list)
        for tag in heard:
            reads[tag.group].append(tag)
        keys = {tag.key for tag in heard}
        self.soon = self.soon - keys if self._ahead else frozenset()
        self._company.listen(self.visit, keys)
        share = self._company.share()
        for group in chain.from_iterable(self.groups.values()):
            for tag in group.visited(self.visit, share, reads.get(group, ())):
                tag.confirm_ms = self._open_ms + 1000 * self.rules.confirm_s
                heappush(self._confirm, (tag.confirm_ms, next(self._entries), tag))
        self._company.let_go()
        gone = []
        while self._confirm and self._confirm[0][0] <= self._open_ms:
            due_ms, _, tag = heappop(self._confirm)
            if tag.exiting and tag.confirm_ms == due_ms and tag.antenna == self.rules.antenna:
                gone.append(tag)
        return gone

    def foresee(self, slot: int, heard: list[Tag], lately: Container[str]) -> None:
        """A visit is over and these tags were heard; `lately`: in any that is not closed."""
        visit = self.visit + len(self._ahead) + 1
        self._company.listen(visit, lately)
        answered = Counter([tag.group for tag in heard if tag.expected])
        self._ahead.append((slot, Over(visit, self._company.share(), answered)))
        ahead = [over for _, over in self._ahead]
        most = len(ahead) * MICRO
        self.soon = frozenset(
            tag.key
            for group in chain.from_iterable(self.groups.values())
            if group.waits_for(group.exposure + most)
            for tag in group.foreseen(ahead)
            if tag.key not in lately
        )

    def group(self, key: str) -> Group:
        """Where this tag belongs: among those of its product, the ones numbered next below."""
        product = known_epc(key).gtin or ""
        groups = self.groups.get(product)
        if groups is None:
            group = Group(product, self._company)
            self.groups[product] = [group]
            return group
        return groups[max(0, bisect_right(groups, key, key=_first) - 1)]

    def enter(self, tag: Tag) -> None:
        """A tag read here and now lives here, in its `group`, from now on."""
        tag.antenna, group = self.rules.antenna, tag.group
        group.add(tag, self.visit)
        if len(group.tags) > GROUP_MAX:
            insort(self.groups[group.product], group.split(), key=_first)

    def leave(self, tag: Tag) -> None:
        """A tag lives here no longer."""
        group = tag.group
        group.remove(tag)
        self.soon -= {tag.key}
        if not group.tags:
            groups = self.groups[group.product]
            groups.remove(group)
            if not groups:
                del self.groups[group.product]


class Zones:
    """The zones of one reader and the tags in them. Deterministic; never raises."""

    def __init__(self, rules: Callable[[int], ZoneRules]) -> None:
        """`rules` of an antenna, asked when it is first heard."""
        self._rules = rules
        self._entries = count()
        self._zones: dict[int, _Zone] = {}
        self._tags: dict[str, Tag] = {}
        self._visits = Visits()
        self._candidates: dict[int, dict[str, int]] = {}
        """By antenna and tag: the second in which it was last heard."""
        self._over = 0
        self.closed = 0
        """Seconds that count; the others are only foreseen."""

    @property
    def late(self) -> int:
        """Reads more than 2 s out of order, not used."""
        return self._visits.late

    @property
    def over(self) -> int:
        """Reads, tags and antennas beyond the bounds, not used."""
        return self._over + self._visits.over

    def read(
        self, at_ns: int, antenna: int, tag_key: str, rssi_cdbm: int | None, count: int = 1,
        seen_us: int | None = None,
    ) -> None:  # fmt: skip
        """One report of a tag; it counts when its second is closed."""
        self._visits.read(at_ns, antenna, tag_key, rssi_cdbm, count, seen_us)

    def deadline(self) -> int | None:
        """When something happens by itself."""
        return self._visits.deadline()

    def lost(self, antenna: int | None = None) -> None:
        """An antenna, or the whole reader, is down: all it covers stays as it is."""
        for number, zone in self._zones.items():
            if antenna in (None, number):
                zone.lost()

    def advance(self, at_ns: int) -> list[TagMove]:
        """It is now `at_ns`; answers what came, went and moved, each at its own time."""
        due_ns = self._visits.deadline()
        moves: list[TagMove] = []
        while due_ns is not None and due_ns <= at_ns:
            for visit in self._visits.closed(due_ns):
                self.closed += 1
                moves += self._close(due_ns, visit.number, visit.heard)
            for number, antenna in self._visits.over_by(due_ns):
                self._foresee(number, antenna)
            due_ns = self._visits.deadline()
        return moves

    def tags(self) -> Iterator[tuple[str, int, bool]]:
        """Every tag that is here: its key, its antenna, whether it is leaving, as one can tell."""
        lately = {number: self._visits.lately(number) for number in self._zones}
        for key, tag in self._tags.items():
            leaving = tag.exiting or key in self._zones[tag.antenna].soon
            yield key, tag.antenna, leaving and key not in lately[tag.antenna]

    def settled(self) -> Iterator[tuple[str, int, bool]]:
        """The same by closed visits alone: in whatever order the reads of two seconds came."""
        for tag in self._tags.values():
            yield tag.key, tag.antenna, tag.exiting

    def where(self, key: str) -> tuple[int, bool] | None:
        """The antenna of a tag that is here, and whether it is leaving (`settled`), or None."""
        tag = self._tags.get(key)
        return None if tag is None else (tag.antenna, tag.exiting)

    def rssi_cdbm(self, key: str) -> int | None:
        """How strongly a tag that is here is heard where it lives; None: not told."""
        return self._tags[key].rssi_cdbm

    def _foresee(self, number: int, antenna: int) -> None:
        zone, heard = self._zones.get(antenna), self._visits.open(number, antenna)
        if zone is not None and heard:
            tags = (self._tags.get(key) for key in heard)
            here = [tag for tag in tags if tag is not None and tag.antenna == antenna]
            zone.foresee(number, here, self._visits.lately(antenna))

    def _zone(self, antenna: int) -> _Zone | None:
        zone = self._zones.get(antenna)
        if zone is None and len(self._zones) < ZONES_MAX:
            zone = self._zones[antenna] = _Zone(self._rules(antenna), self._entries)
        return zone

    def _close(self, at_ns: int, slot: int, heard: dict[int, dict[str, Heard]]) -> list[TagMove]:
        moves = []
        strangers: dict[str, list[tuple[int, Heard]]] = {}
        for antenna in sorted(heard):
            zone = self._zone(antenna)
            if zone is None:
                self._over += 1
                continue
            here = []
            for key, reads in heard[antenna].items():
                tag = self._tags.get(key)
                if tag is None or tag.antenna != antenna:
                    strangers.setdefault(key, []).append((antenna, reads))
                else:
                    here.append(tag)
                    tag.seen = slot
                    tag.rssi_cdbm = _smoothed(tag.rssi_cdbm, strength_cdbm(reads))
            for tag in sorted(zone.visited(slot, here), key=_key):
                zone.leave(tag)
                del self._tags[tag.key]
                moves.append(TagMove(at_ns, tag.key, antenna, None))
        for key in sorted(strangers):
            move = self._stranger(at_ns, slot, key, strangers[key])
            if move is not None:
                moves.append(move)
        self._forget_candidates(slot)
        return moves

    def _stranger(
        self, at_ns: int, slot: int, key: str, heard: list[tuple[int, Heard]]
    ) -> TagMove | None:
        """A tag read where it does not live: it arrives, moves here, or is a stray."""
        tag = self._tags.get(key)
        good: list[tuple[int | None, int]] = []
        for antenna, reads in heard:
            rssi = strength_cdbm(reads)
            if self._twice(slot, antenna, key, reads.reads) and (
                self._strong(antenna, rssi) if tag is None else _moves(tag, rssi, slot)
            ):
                good.append((rssi, antenna))
        if not good:
            return None
        strength, antenna = max(good, key=_strongest)
        zone = self._zones[antenna]
        if tag is None:
            if len(self._tags) >= TAGS_MAX:
                self._over += 1
                return None
            was = None
            tag = self._tags[key] = Tag(key, antenna, zone.group(key), strength, slot)
        else:
            was = tag.antenna
            self._zones[was].leave(tag)
            tag.group, tag.rssi_cdbm, tag.seen = zone.group(key), strength, slot
        zone.enter(tag)
        return TagMove(at_ns, key, was, antenna)

    def _strong(self, antenna: int, rssi: int | None) -> bool:
        floor = self._zones[antenna].rules.rssi_floor_cdbm
        return rssi is None or floor is None or rssi >= floor

    def _twice(self, slot: int, antenna: int, key: str, reads: int) -> bool:
        """Whether this is not the only read here within ARRIVAL_SLOTS."""
        here = self._candidates.setdefault(antenna, {})
        last = here.get(key)
        if last is None and sum(map(len, self._candidates.values())) >= TAGS_MAX:
            self._over += 1
        else:
            here[key] = slot
        return reads >= 2 or (last is not None and slot - last < ARRIVAL_SLOTS)

    def _forget_candidates(self, slot: int) -> None:
        for here in self._candidates.values():
            for key in [key for key, last in here.items() if last <= slot - ARRIVAL_SLOTS]:
                del here[key]


def _key(tag: Tag) -> str:
    return tag.key


def _first(group: Group) -> str:
    return group.tags[0].key


def _strongest(read: tuple[int | None, int]) -> tuple[int, int]:
    """The strongest, then the first antenna; a strength that was not told is the least."""
    rssi, antenna = read
    return (-(10**6) if rssi is None else rssi), -antenna


def _smoothed(old: int | None, new: int | None) -> int | None:
    """Exponentially weighted mean, a fifth of the new."""
    if old is None or new is None:
        return old if new is None else new
    return div_half_even(4 * old + new, 5)


def _moves(tag: Tag, rssi: int | None, slot: int) -> bool:
    """Mobility with hysteresis: the present zone's advantage melts with the time since its read."""
    if tag.exiting:
        return True
    age_ms = 1000 * (slot - tag.seen)
    offset = min(MOBILITY_CDBM, MOBILITY_CDBM - (age_ms - HOLDOFF_MS) // SLOPE_MS)
    gain = 0 if rssi is None or tag.rssi_cdbm is None else rssi - tag.rssi_cdbm
    return gain > offset
