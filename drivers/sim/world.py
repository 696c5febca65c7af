"""The world: one clock, one queue of people, the goods where they lie, all from one seed.

A person is a generator that acts and then yields how long it waits, in nanoseconds. The script is
what they do, in order of time; it never depends on when, or whether, anybody watches. Here: queue,
shelves, reservations, scans. Not here: what people want (`people`), real time and bytes (`shop`).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Generator
from math import exp, log
from random import Random
from typing import Final

from drivers.sim.actions import Action, Barcode, Beam, Handling, Load, Moved, What
from drivers.sim.goods import Goods, Item, loads
from drivers.sim.layout import Layout
from drivers.sim.levels import DEMO, Level, Pace
from drivers.sim.truth import PIECE_MILLI, Opening
from gateway.domain.reading import Word
from gateway.domain.store import Facing, Store

Person = Generator[int, None, None]
OPENING_SHARE: Final = (0.5, 0.9)
BACKROOM_UNITS: Final = (6, 18)
LEAN_SHARE: Final = (0.1, 0.4)
PUT_S: Final = (0.6, 0.2, 0.25)
"""Of goods that staff set down or take away: how long, until they come or go, how long they do."""


class Home(Word, frozen=True):
    """A product's place on a shelf, and how many units fit."""

    location: str
    gtin: str
    capacity: int


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)


class World:
    """A shop with people in it, on its own time."""

    def __init__(
        self,
        store: Store,
        layout: Layout,
        seed: int,
        level: Level,
        pace: Pace = DEMO,
        close_ns: int | None = None,
    ) -> None:
        """`close_ns`: from then on nobody comes in or begins anything new; None: never."""
        self.store = store
        self.layout = layout
        self.level = level
        self.pace = pace
        self.rng = Random(f"world/{seed}")
        self.close_ns = close_ns
        self.now_ns = 0
        self.homes = _homes(store)
        self.products = {p.gtin: p for p in store.products if p.uom == "EA"}
        self.goods = Goods(self.products.values(), level, Random(f"goods/{seed}"))
        self.sold: list[Item] = []
        self._queue: list[tuple[int, int, Person]] = []
        self._order = 0
        self._script: list[Action] = []
        self._items: dict[tuple[str, str], list[Item]] = defaultdict(list)
        self._free_ns: dict[str, int] = defaultdict(int)
        self._talk = {
            (plate, other): self.rng.uniform(*level.cross_talk)
            for plate in sorted(layout.weighed)
            for other in layout.neighbours[plate]
            if level.cross_talk[1] > 0.0
        }
        self._stock()

    # --- time ---------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the doors are shut, so that people finish what they began."""
        return self.close_ns is not None and self.now_ns >= self.close_ns

    def start(self, person: Person, after_ns: int = 0) -> None:
        """A person begins to act, after a while."""
        self._order += 1
        heapq.heappush(self._queue, (self.now_ns + after_ns, self._order, person))

    def until(self, at_ns: int) -> list[Action]:
        """Everything that happens up to this time and was not told yet, in order of time."""
        while self._queue and self._queue[0][0] <= at_ns:
            self.now_ns, _, person = heapq.heappop(self._queue)
            wait_ns = next(person, None)
            if wait_ns is not None:
                self.start(person, wait_ns)
        told, self._script = self._script, []
        return told

    def next_ns(self) -> int | None:
        """When somebody acts next; None when everybody has gone."""
        return self._queue[0][0] if self._queue else None

    def tell(self, action: Action) -> None:
        """Writes an act into the script."""
        self._script.append(action)

    def moved(self, what: What, items: list[Item], origin: str, target: str, who: int = 0) -> None:
        """Tells that units of one product truly changed place now."""
        self.tell(Moved(self.now_ns, what, items[0].gtin, len(items), origin, target, who))

    def pause_ns(self, median_and_sd: tuple[float, float], least_s: float = 0.0) -> int:
        """A log-normal waiting time from its median in seconds and its ln-sd."""
        median_s, sd = median_and_sd
        return ns(max(least_s, exp(self.rng.gauss(log(median_s), sd))))

    # --- goods --------------------------------------------------------------------------------

    def opening(self) -> tuple[Opening, ...]:
        """What lies where now; asked before the world moves, the opening stock."""
        return tuple(
            Opening(location, gtin, len(items) * PIECE_MILLI)
            for (location, gtin), items in sorted(self._items.items())
            if items
        )

    def load_g(self, location: str) -> float:
        """The mass on a plate now, in grams, without what it feels of its neighbours."""
        felt_mg = 0
        for (place, _), items in self._items.items():
            felt_mg += sum(
                load.mass_mg for load in loads(items, place, 1, {}) if load.location == location
            )
        return felt_mg / 1000.0

    def count(self, location: str, gtin: str) -> int:
        """How many units of a product lie at a place."""
        return len(self._items[location, gtin])

    def take(self, location: str, gtin: str, units: int) -> list[Item]:
        """Units in front, at most as many as there are."""
        items = self._items[location, gtin]
        taken, self._items[location, gtin] = items[:units], items[units:]
        return taken

    def lay(self, location: str, items: list[Item]) -> list[Item]:
        """Puts units down; some lean on the neighbouring plate. Returns them as they lie."""
        laid = [self._lean(location, item) for item in items]
        for item in laid:
            self._items[location, item.gtin].append(item)
        return laid

    def put(self, location: str, items: list[Item], sign: int) -> None:
        """Goods come (+1) or go (-1) in one quick movement, where a scale may lie under them."""
        if items and location in self.layout.weighed:
            felt = self.loads(location, items, sign)
            lasts_ns, release_ns, ramp_ns = map(ns, PUT_S)
            self.tell(Handling(self.now_ns, location, lasts_ns, 0, felt, release_ns, ramp_ns))

    def _lean(self, location: str, item: Item) -> Item:
        beside = self.layout.neighbours.get(location, ())
        lean = None
        if beside and location in self.layout.weighed and self.rng.random() < self.level.straddles:
            lean = (self.rng.choice(beside), self.rng.uniform(*LEAN_SHARE))
        return Item(item.gtin, item.mass_mg, lean)

    def _stock(self) -> None:
        for home in self.homes:
            units = max(1, round(home.capacity * self.rng.uniform(*OPENING_SHARE)))
            self.lay(home.location, [self.goods.item(home.gtin) for _ in range(units)])
        backroom = self.store.first_of("backroom")
        if backroom is not None:
            for gtin in sorted(self.products):
                units = self.rng.randint(*BACKROOM_UNITS)
                self.lay(backroom, [self.goods.item(gtin) for _ in range(units)])

    # --- places and scanners ------------------------------------------------------------------

    def reserve(self, place: str, lasts_ns: int, apart_ns: int = 0) -> int:
        """How long to wait until a place is free; it is then taken for `lasts_ns`."""
        begin_ns = max(self.now_ns, self._free_ns[place])
        self._free_ns[place] = begin_ns + lasts_ns + apart_ns
        return begin_ns - self.now_ns

    def loads(self, location: str, items: list[Item], sign: int) -> tuple[Load, ...]:
        """What items bring onto (+1) or take off (-1) plates, neighbours included."""
        felt = loads(items, location, sign, self._talk)
        return tuple(load for load in felt if load.location in self.layout.weighed)

    def beam(self, device: str, barcode: Barcode) -> None:
        """A scan, and sometimes its echo a moment later."""
        self.tell(Beam(self.now_ns, device, barcode))
        if self.rng.random() < self.level.echoes:
            self.start(self._echo(device, barcode), self.rng.randint(*self.level.echo_ms) * 10**6)

    def _echo(self, device: str, barcode: Barcode) -> Person:
        self.tell(Beam(self.now_ns, device, barcode, echo=True))
        yield from ()


def _homes(store: Store) -> tuple[Home, ...]:
    shelves = {place.id for place in store.locations if place.kind == "shelf"}
    pieces = {product.gtin for product in store.products if product.uom == "EA"}
    room: dict[tuple[str, str], int] = {}
    for facing in store.planogram:
        if facing.location in shelves and facing.gtin in pieces:
            key = (facing.location, facing.gtin)
            room[key] = room.get(key, 0) + _room(facing)
    return tuple(Home(location, gtin, units) for (location, gtin), units in room.items())


def _room(facing: Facing) -> int:
    if facing.capacity_milli is None:
        return facing.facings * facing.depth
    return facing.capacity_milli // PIECE_MILLI
