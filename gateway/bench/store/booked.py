"""The whole weight chain: a shop of plates through the engine, and what it booked (W6, W8).

Here: shelves with neighbours (cross-talk, straddling items), shoppers and a till over them, and
the reading of decisions out of stock events. Rows, each per variant:

* W6: decisions posted at once: precision from right, posted; coverage from right, events (rule
  7.4 on product, place, sign and quantity). W6/all: those that waited for evidence counted too.
* W8.ece: mean distance between the best row's belief and how often it was right, over bins.

Not here: the streams of one plate (`plates`). Nothing here looks into the core's decisions: it
reads stock events and why they were booked.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import Final

from drivers.sim.levels import PUTBACK_SHARE, Level
from drivers.sim.plate import Plate
from gateway.bench.store.plates import (
    QUIET_S,
    Act,
    Channel,
    Gesture,
    Sku,
    disturbances,
    quantity,
    reach,
    sku,
    world_mass_g,
)
from gateway.core.baskets import Baskets
from gateway.core.book import Balance, Book
from gateway.core.candidates import Candidates
from gateway.core.engine import Engine
from gateway.core.identify import identify
from gateway.core.postings import Posted, Poster
from gateway.domain.observation import Row
from gateway.domain.reading import Command, Reading, Scan, Stocktake, Weight
from gateway.domain.settings import DeviceSettings, FusionSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

START_NS: Final = 1_767_225_600 * NS_PER_S
BAYS: Final = 3
WIDE: Final = 6
"""Plates of a bay."""
SKUS_SHARES: Final = (0.30, 0.31, 0.28, 0.08, 0.03)
"""A plate holds 1 to 5 products (7.1)."""
OPENING_UNITS: Final = 40
EVENTS: Final = 400
ARRIVAL_S: Final = 5.0
"""Mean time between reaches in the whole shop."""
BAY_APART_S: Final = 3.0
CROWD: Final = 0.05
"""Share of reaches that do not wait until the bay is free: another shopper is there."""
DWELL_S: Final = (60.0, 0.8)
"""Median and ln-sd from pick to till; compressed like the arrivals, so that baskets hold as much
as in a shop of 30 shoppers an hour."""
RETURN_S: Final = (5.0, 40.0)
MISPLACED: Final = 0.2
LEAN_SHARE: Final = (0.1, 0.5)
LATE: Final = ("step_expired", "sale_proves_pick")
"""Why a decision was booked that had to wait."""
WITHIN_S: Final = 5.0
BIN_PPM: Final = (600_000, 700_000, 800_000, 900_000, 950_000, 980_000, 990_000, 1_000_001)

Counts = dict[str, float]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A plate with its products, at a position of a bay."""

    location: str
    bay: str
    position: int
    goods: tuple[Sku, ...]


@dataclass(frozen=True, slots=True)
class Movement:
    """Units of a product that came (+) to a place or left it (-)."""

    at_s: float
    location: str
    gtin: str
    units: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the engine made of one observation of a plate, and what it believed at that time."""

    booked: Movement
    believed: Movement
    ppm: int
    at_once: bool


def gtin(number: int) -> str:
    """A GTIN-14 with its check digit."""
    body = f"0690{number:09d}"
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(body))
    return f"{body}{-total % 10}"


def mixed(rng: Random, level: Level, first: int = 1, *, single: bool = False) -> list[Sku]:
    """The products of one plate, numbered from `first`."""
    count = 1 if single else rng.choices(range(1, len(SKUS_SHARES) + 1), SKUS_SHARES)[0]
    return [sku(gtin(first + n), world_mass_g(rng), level, rng) for n in range(count)]


def asker(goods: Sequence[Sku]) -> Callable[[int, int], tuple[Row, ...]]:
    """The core's judgement of (step_mg, sigma_mg) at a plate that holds plenty of these goods."""
    store = store_of([Shelf("a1", "a", 1, tuple(goods))])
    many = OPENING_UNITS * PIECE_MILLI
    book = Book(Balance("a1", one.gtin, "", "EA", None, many) for one in goods)
    baskets = Baskets(
        FusionSettings(),
        Poster(store, book, ZERO_INST, 1, Past()),
        lambda _gtin, _qty: [],
        lambda _at_ns, _gtin, _until_ns, _seq: False,
        lambda _gtin: None,
    )
    candidates = Candidates(store, book, baskets)
    return lambda step_mg, sigma_mg: identify(step_mg, sigma_mg, candidates.leaving("a1"))


def store_of(shelves: Iterable[Shelf]) -> Store:
    """The catalogue and planogram of these shelves, and a till."""
    shelves = list(shelves)
    goods = {one.gtin: one for shelf in shelves for one in shelf.goods}
    return Store(
        id="bench",
        locations=(
            *(Location(s.location, "shelf", "", s.bay, s.position) for s in shelves),
            Location("till", "till"),
        ),
        products=tuple(
            Product(
                one.gtin,
                one.gtin,
                unit_mass_mg=round(one.told_g * 1000.0),
                unit_mass_sd_mg=None if one.told_sd_g is None else round(one.told_sd_g * 1000.0),
            )
            for one in goods.values()
        ),
        planogram=tuple(
            Facing(s.location, str(n), one.gtin, capacity_milli=2 * OPENING_UNITS * PIECE_MILLI)
            for s in shelves
            for n, one in enumerate(s.goods)
        ),
    )


class Desk:
    """An engine over these shelves, opened with stock; keeps what it decided."""

    def __init__(self, shelves: Sequence[Shelf], rate_hz: int, driver: str = "scale_sics") -> None:
        store = store_of(shelves)
        scales = [
            DeviceSettings(f"scale-{s.location}", driver, "", s.location, {"rate_hz": rate_hz})
            for s in shelves
        ]
        till = DeviceSettings("till", "scanner_serial", "", "till")
        settings = Settings(StoreSettings("bench"), location=store.locations,
                            device=(*scales, till))  # fmt: skip
        self._past = Past()
        self.engine = Engine(settings, store, ZERO_INST, self._past)
        self.notes: list[tuple[str, str | None]] = []
        """Code and device of everything people were told."""
        self.events_total = 0
        self._posted: list[Posted] = []
        for shelf in shelves:
            for one in shelf.goods:
                count = Stocktake(shelf.location, one.gtin, OPENING_UNITS * PIECE_MILLI)
                self.engine.receive(Reading(START_NS, "console", Command(count)))
        self.take()
        self.events_total = 0

    def weighed(self, at_ns: int, location: str, mass_mg: int) -> None:
        """One sample of the plate at a location; `at_ns` since the start."""
        reading = Reading(START_NS + at_ns, f"scale-{location}", Weight(mass_mg))
        self.engine.receive(reading)

    def scanned(self, at_ns: int, code: str) -> None:
        """A unit is sold."""
        scan = Scan(code.removeprefix("0"), "]E0", "sale")
        self.engine.receive(Reading(START_NS + at_ns, "till", scan))

    def take(self) -> None:
        """Collects what was booked; to be called often enough."""
        outcome = self.engine.take()
        for posted in outcome.posted:
            self._past.add(posted.event)
        self.events_total += len(outcome.posted)
        self._posted += outcome.posted
        self.notes += [(note.code, note.device) for note in outcome.notes]

    def decisions(self, at_ns: int) -> list[Decision]:
        """Everything judged until then, what waits given its time to expire."""
        self.engine.advance(START_NS + at_ns + 2 * FusionSettings().pending_step_s * NS_PER_S)
        self.take()
        return decisions(self._posted)


def decisions(posted: Iterable[Posted]) -> list[Decision]:
    """Stock events that rest on a plate, those of one observation and product together."""
    groups: dict[tuple[int | None, str, str], list[Posted]] = {}
    for one in posted:
        if one.because.rows:
            for line in one.event.lines:
                if not line.loc.startswith("@"):
                    groups.setdefault((one.cause, line.loc, line.gtin), []).append(one)
    return [
        _decision(location, code, list(dict.fromkeys(map(id, parts))), parts)
        for (_, location, code), parts in groups.items()
    ]


def _decision(location: str, code: str, kept: list[int], parts: list[Posted]) -> Decision:
    events = [next(part for part in parts if id(part) == one) for one in kept]
    milli = sum(
        line.d
        for part in events
        for line in part.event.lines
        if (line.loc, line.gtin) == (location, code)
    )
    first, because = events[0].event, events[0].because
    settled_ns = next(
        (int(source.ref.partition(".")[0]) for part in events for source in part.event.src),
        first.at_ns,
    )
    at_once = because.code not in LATE
    best = because.rows[0]
    sign = 1 if milli > 0 else -1
    seen_s = (settled_ns - START_NS) / NS_PER_S
    posted_s = (first.at_ns - START_NS) / NS_PER_S if at_once else seen_s
    return Decision(
        Movement(posted_s, location, code, milli // PIECE_MILLI),
        Movement(seen_s, location, best.gtin, sign * best.units),
        best.ppm,
        at_once,
    )


def right(truth: Sequence[Movement], found: Sequence[Movement]) -> list[bool]:
    """Which of the found movements are true: one-to-one, greedy in order of time (rule 7.4)."""
    waiting: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for i in sorted(range(len(found)), key=lambda i: found[i].at_s):
        waiting[found[i].location, found[i].gtin, found[i].units].append(i)
    hits = [False] * len(found)
    for true in sorted(truth, key=lambda one: one.at_s):
        queue = waiting[true.location, true.gtin, true.units]
        for i in queue:
            if abs(found[i].at_s - true.at_s) <= WITHIN_S:
                hits[i] = True
                queue.remove(i)
                break
    return hits


class Shelving:
    """The physics of plates side by side: what one carries, its neighbours feel a little."""

    def __init__(
        self,
        shelves: Iterable[Shelf],
        level: Level,
        rng: Random,
        cross_talk: tuple[float, float] | None = None,
    ) -> None:
        self.cells: dict[str, Plate] = {}
        at: dict[tuple[str, int], str] = {}
        for s in shelves:
            load_g = sum(OPENING_UNITS * one.mean_g for one in s.goods)
            self.cells[s.location] = Plate(level, load_g, rng)
            at[s.bay, s.position] = s.location
        self.beside: dict[str, tuple[str, ...]] = {
            place: tuple(at[bay, p] for p in (n - 1, n + 1) if (bay, p) in at)
            for (bay, n), place in at.items()
        }
        low, high = level.cross_talk if cross_talk is None else cross_talk
        self._talk = {
            (place, other): rng.uniform(low, high)
            for place, others in self.beside.items()
            for other in others
        }

    def handle(self, location: str, gesture: Gesture, loads_g: Mapping[str, float]) -> None:
        """A hand at a place, with goods that come to or go from some plates."""
        loads, hands = dict(loads_g), {location: gesture.hand_g}
        for place, load_g in loads_g.items():
            for other in self.beside[place]:
                loads[other] = loads.get(other, 0.0) + self._talk[place, other] * load_g
        for other in self.beside[location]:
            hands[other] = self._talk[location, other] * gesture.hand_g
        for place in {**hands, **loads}:
            felt = Gesture(gesture.begin_s, gesture.lasts_s, hands.get(place, 0.0),
                           gesture.release_s, gesture.ramp_s)  # fmt: skip
            Act(gesture.begin_s, felt, loads.get(place, 0.0)).befall(self.cells[place])
