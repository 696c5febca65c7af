"""Tags, antennas and a reader as physics: what is read of the goods that lie there.

Here: the chance of a read by link, bodies in between, strays into the next zone, signal strength,
outages, the reader's clock and the delay of its reports (ALGORITHMS 3.5, 7.2). Reads of one visit
are a Poisson count whose rate is log-normal between links, so a weak tag stays weak where it lies.
Not here: people and goods (`browsing`), nor any filter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log, sin, tau
from random import Random
from typing import Final, Literal

from gateway.bench.store.browsing import Body, Day
from gateway.bench.tag_reports import sgtin96

VISIT_S: Final = 0.25
CYCLE_S: Final = 1.0
"""Four antennas in turn."""
KEEPALIVES_S: Final = 6.0
"""After so long a silent reader is known to be lost."""
_LEVEL_DBM: Final = -55.0
_BETWEEN_TAGS_DB: Final = 3.0
_SHADOW_DB: Final = 10.0
"""What a body takes off the strength of the reads that remain."""
_NEXT_ZONE_DB: Final = (18.0, 6.0)
"""How much weaker the next antenna reads a tag at the far end of its zone, and at the near end."""
_REFERENCE: Final = 10_000

OutageKind = Literal["silent", "announced", "antenna", "stalled"]


@dataclass(frozen=True, slots=True)
class Radio:
    """How well tags are read."""

    read: float
    """Chance in one visit of a tag of middle quality."""
    spread: float
    """Standard deviation of the logarithm of the rate of reads, between links."""
    residual: float = 0.05
    """What is left of the chance behind a body."""
    stray: float = 0.0
    """Chance that an antenna beside reads a tag in one of its visits, on average."""
    rssi_sd_db: float = 3.0
    outage_gap_s: float = 0.0
    """Mean between two outages; 0: none."""
    clock_s: float = 0.0
    """The reader's clock differs by up to so much."""
    drift_ppm: float = 0.0
    jitter_s: float = 0.005
    references: bool = True
    """One tag glued to every zone."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The reader, or its first antenna, is away; or its link is stuck and all comes afterwards."""

    start_s: float
    end_s: float
    kind: OutageKind


@dataclass(frozen=True, slots=True)
class Report:
    """What one antenna heard in one visit."""

    at_s: float
    """When it arrived."""
    zone: int
    seen_s: float
    """By the reader's clock."""
    tags: list[tuple[str, int, int]]
    """Tag, strength in hundredths of dBm, reads."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The reader is known to be away."""

    at_s: float


class _Link:
    __slots__ = ("key", "level_cdbm", "once", "period_s", "phase", "place", "thrice", "twice")

    def __init__(self, key: str, place: float, radio: Radio, rng: Random, rate: float = 0) -> None:
        quality = rng.gauss(0, 1)
        rate = rate or -log(1 - radio.read) * exp(radio.spread * quality)
        none = exp(-rate)
        self.key, self.place = key, place
        self.once = 1 - none
        self.twice = self.once - rate * none
        self.thrice = self.twice - rate * rate / 2 * none
        self.level_cdbm = 100 * (_LEVEL_DBM + rng.gauss(quality, _BETWEEN_TAGS_DB))
        self.period_s, self.phase = rng.uniform(60, 300), rng.random() * tau


def outages(radio: Radio, seconds: float, rng: Random) -> list[Outage]:
    """When the reader is away: for 5 to 60 s, in half of the cases with the news of it."""
    found: list[Outage] = []
    at_s = rng.expovariate(1 / radio.outage_gap_s) if radio.outage_gap_s else seconds
    while at_s < seconds:
        end_s = at_s + rng.uniform(5, 60)
        found.append(Outage(at_s, end_s, rng.choice(("silent", "announced"))))
        at_s = end_s + rng.expovariate(1 / radio.outage_gap_s)
    return found


class Antennas:
    """A reader whose antennas look at the zones of a day, one after the other."""

    def __init__(self, day: Day, radio: Radio, rng: Random) -> None:
        self._day, self._radio, self._rng = day, radio, rng
        zones = len(day.bodies)
        self._links: list[list[_Link]] = [[] for _ in range(zones)]
        self._home: dict[str, int] = {}
        self._laid = 0
        self._next_body = [0] * zones
        self._near: list[list[Body]] = [[] for _ in range(zones)]
        self.references = [sgtin96(_REFERENCE, zone).hex().upper() for zone in range(zones)]
        if radio.references:
            for zone, key in enumerate(self.references):
                self._links[zone].append(_Link(key, 0.5, radio, rng, rate=3.5))
        self._offset_s = rng.uniform(-radio.clock_s, radio.clock_s)
        self._drift = rng.uniform(-radio.drift_ppm, radio.drift_ppm) * 1e-6

    def reports(self, seconds: float, away: Sequence[Outage] = ()) -> Iterator[Report | Lost]:
        """Every visit that came through, as it arrived."""
        rng, last_s = self._rng, 0.0
        start_s = rng.random()
        known = [outage for outage in away if outage.kind == "announced"]
        news = [o.start_s + KEEPALIVES_S for o in known if o.end_s > o.start_s + KEEPALIVES_S]
        for turn in range(int((seconds - 2) / CYCLE_S)):
            for zone in range(len(self._links)):
                at_s = start_s + turn * CYCLE_S + zone * VISIT_S + rng.gauss(0, 0.003)
                while news and news[0] <= at_s:
                    yield Lost(max(last_s, news.pop(0)))
                tags = self._visit(zone, at_s)
                end_s = at_s + VISIT_S
                outage = next((o for o in away if o.start_s < end_s and at_s < o.end_s), None)
                if not tags or (outage and (outage.kind != "antenna" or zone == 0)):
                    if not tags or not outage or outage.kind != "stalled":
                        continue
                    end_s = max(end_s, outage.end_s)
                seen_s = at_s + VISIT_S + self._offset_s + self._drift * at_s
                last_s = max(last_s, end_s + rng.expovariate(1 / self._radio.jitter_s))
                yield Report(last_s, zone, seen_s, tags)

    def _visit(self, zone: int, at_s: float) -> list[tuple[str, int, int]]:
        self._happen(at_s)
        bodies = self._before(zone, at_s)
        radio, random, gauss = self._radio, self._rng.random, self._rng.gauss
        residual, slow, fast = radio.residual, 85 * radio.rssi_sd_db, 80 * radio.rssi_sd_db
        heard = []
        for link in self._links[zone]:
            luck = random()
            if luck >= link.once:
                continue
            level = link.level_cdbm + slow * sin(tau * at_s / link.period_s + link.phase)
            if bodies and any(body.low <= link.place <= body.high for body in bodies):
                if luck >= link.once * residual:
                    continue
                count = 1
                level -= 100 * _SHADOW_DB
            else:
                count = 1 + (luck < link.twice) + (luck < link.thrice)
            heard.append((link.key, round(gauss(level, fast)), count))
        if radio.stray:
            for beside in (zone - 1, zone + 1):
                if 0 <= beside < len(self._links):
                    heard += self._strays(zone, beside, at_s)
        return heard

    def _strays(self, zone: int, beside: int, at_s: float) -> Iterator[tuple[str, int, int]]:
        """Reads of the tags of the zone beside: more of those that lie near its common edge."""
        rng, links = self._rng, self._links[beside]
        bodies = self._before(beside, at_s)
        rate = log(1 - 2 * self._radio.stray)
        nth = int(log(1 - rng.random()) / rate)
        while nth < len(links):
            link = links[nth]
            near = link.place if zone > beside else 1 - link.place
            hidden = any(body.low <= link.place <= body.high for body in bodies)
            if rng.random() < near * (self._radio.residual if hidden else 1):
                far_db, near_db = _NEXT_ZONE_DB
                level = link.level_cdbm - 100 * (far_db + (near_db - far_db) * near)
                yield link.key, round(rng.gauss(level, 100 * self._radio.rssi_sd_db)), 1
            nth += 1 + int(log(1 - rng.random()) / rate)

    def _before(self, zone: int, at_s: float) -> list[Body]:
        """Who hides something from an antenna now."""
        if self._radio.residual >= 1:
            return []
        bodies, nth = self._day.bodies[zone], self._next_body[zone]
        near = self._near[zone]
        while nth < len(bodies) and bodies[nth].start_s <= at_s + VISIT_S / 2:
            near.append(bodies[nth])
            nth += 1
        self._next_body[zone] = nth
        if near:
            self._near[zone] = near = [b for b in near if b.end_s > at_s + VISIT_S / 2]
        return near

    def _happen(self, at_s: float) -> None:
        laid = self._day.laid
        while self._laid < len(laid) and laid[self._laid].at_s <= at_s:
            this = laid[self._laid]
            self._laid += 1
            for key in this.piece.tags:
                home = self._home.pop(key, None)
                if home is not None:
                    self._links[home] = [link for link in self._links[home] if link.key != key]
                if this.zone is not None:
                    self._home[key] = this.zone
                    self._links[this.zone].append(_Link(key, this.place, self._radio, self._rng))
