"""One RFID reader as the core sees it: which tags are where, which antennas are up, its clock.

Here: readings of a reader to presence (`presence`), counts, the news of its antennas, the
difference between its clock and ours (ALGORITHMS 6.2), and the frozen view of it all for people.
Not here: what a tag is (`domain.epc`), exposure and moves (`exposure`, `presence`), what it means
for the stock (`tag_watch`).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from gateway.core.presence import TagMove, ZoneRules, Zones
from gateway.domain.epc import known_epc
from gateway.domain.reading import DeviceState, Tag, Word
from gateway.domain.store import LocationKind
from gateway.domain.units import NS_PER_S

CONFIRM_S: Final = {"shelf": 120, "backroom": 600, "receiving": 600, "till": 30, "exit": 30}
FLOOR_S: Final = {"till": 4, "exit": 4}
STORED_FLOOR_S: Final = 5
"""Of full exposure, where goods lie."""
OTHERS_SHOWN_MAX: Final = 100
ANTENNAS_MAX: Final = 64
NEWS: Final = re.compile(r"antenna ([0-9]{1,5}) (lost|connected)\b")
"""How a driver says that an antenna went away or is there again, in a `DeviceState` "up"."""

WINDOW_S: Final = 60
STEP_US: Final = 1_000_000
STEPPED_NS: Final = 5 * NS_PER_S


class AntennaPlace(Word, frozen=True):
    """Where an antenna looks: one entry of the option `antennas`."""

    antenna: int
    location: str
    kind: LocationKind
    rssi_floor_cdbm: int | None = None
    """Weaker reads are strays; None: none are."""


class ReaderRules(Word, frozen=True):
    """What the configuration says of one reader."""

    device: str
    location: str
    kind: LocationKind
    """Place of the antennas that `antennas` does not name."""
    antennas: tuple[AntennaPlace, ...] = ()
    stock: bool = False
    """Its tags move the stock; else they are only shown."""

    def zone(self, antenna: int) -> ZoneRules:
        """The rules of what an antenna covers, by its kind of place."""
        plain = AntennaPlace(antenna, self.location, self.kind)
        place = next((place for place in self.antennas if place.antenna == antenna), plain)
        return ZoneRules(
            antenna,
            place.location,
            confirm_s=CONFIRM_S[place.kind],
            floor_s=FLOOR_S.get(place.kind, STORED_FLOOR_S),
            rssi_floor_cdbm=place.rssi_floor_cdbm,
        )


class AntennaView(Word, frozen=True):
    """One antenna of a reader."""

    antenna: int
    location: str
    up: bool
    """False from the news of its loss, or of the reader's, to a read or the news of its return."""
    reads: int
    news: str
    """The last thing said of it; empty: nothing."""
    news_at_ns: int | None


class TagCount(Word, frozen=True):
    """Tags of one product at one place."""

    location: str
    gtin: str | None
    """None: other GS1 identities (crates, pallets, assets, …)."""
    present: int
    exiting: int


class OtherTag(Word, frozen=True):
    """A tag that is here and is none of GS1."""

    location: str
    epc: str
    reason: str
    """Of `domain.epc.REASONS`."""


class ReaderView(Word, frozen=True):
    """A reader at this moment, for the status."""

    device: str
    up: bool
    reads: int
    gs1_reads: int
    non_gs1_reads: int
    tags: tuple[TagCount, ...]
    """By location and GTIN."""
    non_gs1: tuple[OtherTag, ...]
    """At most OTHERS_SHOWN_MAX of them."""
    non_gs1_present: int
    antennas: tuple[AntennaView, ...]
    clock_offset_us: int | None
    """Our clock less the reader's; None: it tells no time."""
    late: int
    """Reads more than 2 s out of order, not used for presence."""
    over: int
    """Reads, tags and antennas beyond the bounds, not used for presence."""


class Sighting(Word, frozen=True):
    """A tag of a product as one reader has it."""

    epc: str
    gtin: str
    location: str
    leaving: bool
    rssi_cdbm: int | None


class ClockOffset:
    """Our clock less a reader's: the least delay of a sliding minute, for delays only add.

    Starts anew when everything was later by a second for five: the reader's clock was set back.
    """

    def __init__(self) -> None:
        self._minima: deque[tuple[int, int]] = deque()  # second and the least in it
        self.offset_us: int | None = None
        """None before the first read."""
        self._above_since_ns: int | None = None
        self._above_us = 0

    def read(self, at_ns: int, seen_us: int) -> None:
        """A report that came at `at_ns` of a sighting at `seen_us` by the reader's clock."""
        delay_us = at_ns // 1000 - seen_us
        second = at_ns // NS_PER_S
        minima = self._minima
        if minima and minima[-1][0] == second:
            if delay_us < minima[-1][1]:
                minima[-1] = (second, delay_us)
        else:
            minima.append((second, delay_us))
            if second - minima[0][0] >= WINDOW_S:
                while second - minima[0][0] >= WINDOW_S:
                    minima.popleft()
                self.offset_us = min(least for _, least in minima)
        offset_us = self.offset_us
        if offset_us is None or delay_us < offset_us:
            self.offset_us = offset_us = delay_us
        if delay_us - offset_us <= STEP_US:
            self._above_since_ns = None
        elif self._above_since_ns is None:
            self._above_since_ns, self._above_us = at_ns, delay_us
        else:
            self._above_us = min(self._above_us, delay_us)
            if at_ns - self._above_since_ns >= STEPPED_NS:
                minima.clear()
                minima.append((second, self._above_us))
                self.offset_us, self._above_since_ns = self._above_us, None


class _Antenna:
    def __init__(self) -> None:
        self.up = True
        self.since_ns = 0
        self.reads = 0
        self.news = ""
        self.news_at_ns: int | None = None


class Reader:
    """A reader's tags, antennas and clock. `tag` is the hot path; nothing here raises."""

    def __init__(self, rules: ReaderRules) -> None:
        self._rules = rules
        self._zones = Zones(rules.zone)
        self._clock = ClockOffset()
        self._up = False
        self._up_ns = 0
        self._antennas: dict[int, _Antenna] = {
            place.antenna: _Antenna() for place in rules.antennas[:ANTENNAS_MAX]
        }
        self._gs1_reads = self._other_reads = self._over = 0
        self._moves: list[TagMove] = []

    def tag(self, at_ns: int, tag: Tag) -> None:
        """A report of a tag by one antenna."""
        due_ns = self._zones.deadline()
        if due_ns is not None and due_ns <= at_ns:
            self.advance(at_ns)
        known = known_epc(tag.epc)
        if known.reason is None:
            self._gs1_reads += tag.count
        else:
            self._other_reads += tag.count
        antenna = self._antenna(tag.antenna)
        if antenna is None:
            self._over += 1
            return
        antenna.reads += tag.count
        if not self._up:
            self._up_ns = at_ns
        if not antenna.up:
            antenna.since_ns = at_ns
        self._up = antenna.up = True
        seen_us = tag.last_us
        if seen_us is not None:
            self._clock.read(at_ns, seen_us)
        self._zones.read(at_ns, tag.antenna, known.key, tag.rssi_cdbm, tag.count, seen_us)

    def _antenna(self, number: int) -> _Antenna | None:
        antenna = self._antennas.get(number)
        if antenna is None and len(self._antennas) < ANTENNAS_MAX:
            antenna = self._antennas[number] = _Antenna()
        return antenna

    def state(self, at_ns: int, state: DeviceState) -> None:
        """The reader came or went, or has news of an antenna. What it covers stays as it is."""
        self.advance(at_ns)
        if state.state == "down":
            self._up = False
            self._zones.lost()
            for antenna in self._antennas.values():
                antenna.up = False
            return
        news = NEWS.match(state.reason)
        if news is None:
            if not self._up:
                for antenna in self._antennas.values():
                    antenna.up = True
                self._up_ns = at_ns
            self._up = True
            return
        number = int(news[1])
        known = self._antenna(number)
        if known is None:
            self._over += 1
            return
        if not known.up:
            known.since_ns = at_ns
        known.up = news[2] == "connected"
        known.news, known.news_at_ns = state.reason, at_ns
        if not known.up:
            self._zones.lost(number)

    def advance(self, at_ns: int) -> bool:
        """It is now `at_ns`: what is due happens, each at its own time. Whether visits closed."""
        closed = self._zones.closed
        moves = self._zones.advance(at_ns)
        if self._rules.stock:
            self._moves += moves
        return self._zones.closed > closed

    @property
    def stock(self) -> bool:
        """Whether its tags move the stock."""
        return self._rules.stock

    def moved(self) -> list[TagMove]:
        """What came, went and moved since the last call."""
        moves, self._moves = self._moves, []
        return moves

    def deadline(self) -> int | None:
        """When something happens by itself."""
        return self._zones.deadline()

    def covers(self, location: str) -> bool:
        """Whether one of its antennas looks at a place."""
        return any(self._rules.zone(n).location == location for n in self._antennas)

    def hears_since_ns(self, location: str) -> int | None:
        """Since when it has been listening there without a break; None: it is not."""
        listens = any(
            antenna.up and self._rules.zone(n).location == location
            for n, antenna in self._antennas.items()
        )
        return self._up_ns if self._up and listens else None

    def hears_all_since_ns(self, location: str) -> int | None:
        """Since when every antenna of a place has been listening without a break; None: not now."""
        there = [a for n, a in self._antennas.items() if self.place(n) == location]
        if not (self._up and there and all(antenna.up for antenna in there)):
            return None
        return max(self._up_ns, *(antenna.since_ns for antenna in there))

    def places(self) -> tuple[str, ...]:
        """Where its configured antennas look, or else it does."""
        return tuple(place.location for place in self._rules.antennas) or (self._rules.location,)

    def place(self, antenna: int) -> str:
        """Where an antenna looks."""
        return self._rules.zone(antenna).location

    def reads_at(self, location: str) -> int:
        """Reads of the antennas of a place, since the gateway was started."""
        return sum(a.reads for n, a in self._antennas.items() if self.place(n) == location)

    def place_of(self, epc: str) -> tuple[str, bool] | None:
        """Where a tag is and whether it is leaving; None where this reader has it nowhere."""
        found = self._zones.where(epc)
        return None if found is None else (self.place(found[0]), found[1])

    def strength_cdbm(self, epc: str) -> int | None:
        """How strongly a tag that is here is heard; None: not told."""
        return self._zones.rssi_cdbm(epc)

    def everywhere(self) -> Iterator[tuple[str, str, bool]]:
        """Every tag that is here: its EPC, its place, whether it is leaving by closed visits."""
        places = {number: self.place(number) for number in self._antennas}
        for key, antenna, leaving in self._zones.settled():
            yield key, places[antenna], leaving

    def sightings(self) -> Iterator[Sighting]:
        """The tags of products that are here."""
        places = {number: self._rules.zone(number).location for number in self._antennas}
        for key, antenna, leaving in self._zones.tags():
            gtin = known_epc(key).gtin
            if gtin is not None:
                strength = self._zones.rssi_cdbm(key)
                yield Sighting(key, gtin, places[antenna], leaving, strength)

    def view(self) -> ReaderView:
        """Everything people want to know of this reader."""
        present: Counter[tuple[str, str | None]] = Counter()
        exiting: Counter[tuple[str, str | None]] = Counter()
        others: list[OtherTag] = []
        places = {number: self._rules.zone(number).location for number in self._antennas}
        for key, antenna, leaving in self._zones.tags():
            known = known_epc(key)
            if known.reason is not None:
                others.append(OtherTag(places[antenna], key, known.reason))
                continue
            what = places[antenna], known.gtin
            (exiting if leaving else present)[what] += 1
        counts = sorted({*present, *exiting}, key=lambda what: (what[0], what[1] or ""))
        others.sort(key=lambda other: (other.location, other.epc))
        return ReaderView(
            device=self._rules.device,
            up=self._up,
            reads=self._gs1_reads + self._other_reads,
            gs1_reads=self._gs1_reads,
            non_gs1_reads=self._other_reads,
            tags=tuple(TagCount(*what, present[what], exiting[what]) for what in counts),
            non_gs1=tuple(others[:OTHERS_SHOWN_MAX]),
            non_gs1_present=len(others),
            antennas=tuple(
                AntennaView(n, places[n], a.up, a.reads, a.news, a.news_at_ns)
                for n, a in sorted(self._antennas.items())
            ),
            clock_offset_us=self._clock.offset_us,
            late=self._zones.late,
            over=self._over + self._zones.over,
        )
