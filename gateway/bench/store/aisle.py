"""An aisle of a shop: plates side by side, and the shoppers who reach onto them.

Here: which products lie on which plates (ALGORITHMS 7.1), cross-talk and straddling items, and a
script of reaches, touches, bumps and sales with the truth beside it. Not here: one plate's cell and
hands (`plates`), what the engine makes of it (`booked`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import exp, log
from random import Random
from typing import Final

from drivers.sim.levels import PUTBACK_SHARE, Level
from drivers.sim.plate import Plate
from gateway.bench.store.plates import (
    QUIET_S,
    Act,
    Gesture,
    Sku,
    disturbances,
    quantity,
    reach,
    sku,
    world_mass_g,
)

BAYS: Final = 3
WIDE: Final = 6
"""Plates of a bay."""
SKUS_SHARES: Final = (0.30, 0.31, 0.28, 0.08, 0.03)
"""A plate holds 1 to 5 products (7.1)."""
OPENING_UNITS: Final = 40
ARRIVAL_S: Final = 5.0
"""Mean time between reaches in the whole aisle."""
BAY_APART_S: Final = 3.0
CROWD: Final = 0.05
"""Share of reaches that do not wait until the bay is free: another shopper is there."""
DWELL_S: Final = (60.0, 0.8)
"""Median and ln-sd from pick to till; compressed like the arrivals, so that baskets hold as much
as in a shop of 30 shoppers an hour."""
DWELL_MIN_S: Final = 6.0
RETURN_S: Final = (5.0, 40.0)
MISPLACED: Final = 0.2
LEAN_SHARE: Final = (0.1, 0.5)


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
class Sale:
    """A unit at the till."""

    at_s: float
    gtin: str


@dataclass(frozen=True, slots=True)
class Reach:
    """A hand at a plate, and the mass that comes to or goes from each plate."""

    location: str
    gesture: Gesture
    loads_g: Mapping[str, float]


@dataclass(slots=True)
class Script:
    """What happens in an aisle, each list in order of time."""

    reaches: list[Reach] = field(default_factory=list)
    others: list[tuple[str, Act]] = field(default_factory=list)
    """Touches and bumps: place and act."""
    sales: list[Sale] = field(default_factory=list)
    truth: list[Movement] = field(default_factory=list)
    until_s: float = 0.0


def gtin(number: int) -> str:
    """A GTIN-14 with its check digit."""
    body = f"0690{number:09d}"
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(body))
    return f"{body}{-total % 10}"


def mixed(rng: Random, level: Level, first: int = 1, *, single: bool = False) -> list[Sku]:
    """The products of one plate, numbered from `first`."""
    many = 1 if single else rng.choices(range(1, len(SKUS_SHARES) + 1), SKUS_SHARES)[0]
    return [sku(gtin(first + n), world_mass_g(rng), level, rng) for n in range(many)]


def shelves_of(level: Level, rng: Random) -> list[Shelf]:
    """The bays of the aisle, stocked by the world's mix."""
    shelves: list[Shelf] = []
    first = 1
    for bay in range(BAYS):
        for position in range(1, WIDE + 1):
            goods = mixed(rng, level, first)
            first += len(goods)
            shelves.append(Shelf(f"b{bay}p{position}", f"b{bay}", position, tuple(goods)))
    return shelves


def neighbours(shelves: Iterable[Shelf]) -> dict[str, tuple[str, ...]]:
    """The places beside each place, within its bay."""
    at = {(s.bay, s.position): s.location for s in shelves}
    return {
        place: tuple(at[bay, p] for p in (n - 1, n + 1) if (bay, p) in at)
        for (bay, n), place in at.items()
    }


class Shelving:
    """The physics of plates side by side: what one carries, its neighbours feel a little."""

    def __init__(
        self,
        shelves: Sequence[Shelf],
        level: Level,
        rng: Random,
        cross_talk: tuple[float, float] | None = None,
    ) -> None:
        self.cells: dict[str, Plate] = {}
        for s in shelves:
            load_g = sum(OPENING_UNITS * one.mean_g for one in s.goods)
            self.cells[s.location] = Plate(level, load_g, rng)
        self.beside = neighbours(shelves)
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


@dataclass(frozen=True, slots=True)
class _Unit:
    """One unit of a product; it may lean on a neighbouring plate."""

    sku: Sku
    mass_g: float
    lean: tuple[str, float] | None

    def loads_g(self, location: str) -> dict[str, float]:
        """Its mass by plate."""
        other, share = self.lean or (location, 0.0)
        loads = {location: self.mass_g * (1.0 - share)}
        loads[other] = loads.get(other, 0.0) + self.mass_g * share
        return loads


class _Shoppers:
    """Writes the script: people in order of their coming."""

    def __init__(self, shelves: Sequence[Shelf], level: Level, rng: Random) -> None:
        self._shelves, self._level, self._rng = shelves, level, rng
        self._beside = neighbours(shelves)
        self._bay = {s.location: s.bay for s in shelves}
        self._free_s: dict[str, float] = {}
        self._left = {(s.location, one.gtin): OPENING_UNITS for s in shelves for one in s.goods}
        self._queue: list[tuple[float, int, _Unit | None, str]] = []
        self._number = count()
        self.script = Script()

    def write(self, events: int) -> Script:
        at_s = QUIET_S
        for _ in range(events):
            at_s += self._rng.expovariate(1.0 / ARRIVAL_S)
            self._push(at_s, None, "")
        while self._queue:
            at_s, _, unit, origin = heapq.heappop(self._queue)
            if unit is None:
                self._pick(at_s)
            else:
                self._put_back(at_s, unit, origin)
        script = self.script
        script.until_s = max(one.at_s for one in script.truth) + QUIET_S
        for place in self._bay:
            touches = disturbances(self._level, script.until_s, self._rng)
            script.others += [(place, act) for act in touches if act.gesture is not None]
        for bay in dict.fromkeys(self._bay.values()):
            bumps = disturbances(self._level, script.until_s, self._rng)
            script.others += [
                (place, act)
                for act in bumps
                if act.gesture is None
                for place, its in self._bay.items()
                if its == bay
            ]
        script.reaches.sort(key=lambda one: one.gesture.begin_s)
        script.others.sort(key=lambda one: one[1].begin_s)
        script.sales.sort(key=lambda one: one.at_s)
        return script

    def _push(self, at_s: float, unit: _Unit | None, origin: str) -> None:
        heapq.heappush(self._queue, (at_s, next(self._number), unit, origin))

    def _reach(self, at_s: float, place: str, units: Sequence[_Unit], sign: int) -> float:
        """A hand moves units; when it lets go."""
        rng, bay = self._rng, self._bay[place]
        free = bay if rng.random() >= CROWD else place  # nobody reaches through another's arm
        begin_s = max(at_s, self._free_s.get(free, 0.0) + BAY_APART_S)
        gesture = reach(self._level, rng, begin_s, len(units))
        loads_g: dict[str, float] = {}
        for unit in units:
            for at, mass_g in unit.loads_g(place).items():
                loads_g[at] = loads_g.get(at, 0.0) + sign * mass_g
        self.script.reaches.append(Reach(place, gesture, loads_g))
        let_go_s = gesture.released_s
        for key in (bay, place):
            self._free_s[key] = max(self._free_s.get(key, 0.0), let_go_s)
        self.script.truth.append(Movement(let_go_s, place, units[0].sku.gtin, sign * len(units)))
        return let_go_s

    def _unit(self, one: Sku, place: str) -> _Unit:
        rng, lean = self._rng, None
        if rng.random() < self._level.straddles:
            lean = (rng.choice(self._beside[place]), rng.uniform(*LEAN_SHARE))
        return _Unit(one, one.unit_g(rng), lean)

    def _pick(self, at_s: float) -> None:
        rng = self._rng
        shelf = rng.choice(self._shelves)
        one, wanted = rng.choice(shelf.goods), quantity(rng)
        many = min(wanted, self._left[shelf.location, one.gtin])
        if not many:
            return
        self._left[shelf.location, one.gtin] -= many
        units = [self._unit(one, shelf.location) for _ in range(many)]
        let_go_s = self._reach(at_s, shelf.location, units, -1)
        if rng.random() < PUTBACK_SHARE:
            self._push(let_go_s + rng.uniform(*RETURN_S), units.pop(), shelf.location)
        for unit in units:
            median_s, sd_ln = DWELL_S
            dwell_s = max(DWELL_MIN_S, exp(rng.gauss(log(median_s), sd_ln)))
            if rng.random() >= self._level.theft + self._level.missed:
                self.script.sales.append(Sale(let_go_s + dwell_s, unit.sku.gtin))

    def _put_back(self, at_s: float, unit: _Unit, origin: str) -> None:
        """To where it was; one in five to some other plate, where it stays."""
        place = origin
        if self._rng.random() < MISPLACED:
            place = self._rng.choice(self._shelves).location
        else:
            self._left[origin, unit.sku.gtin] += 1
        fresh = self._unit(unit.sku, place)
        self._reach(at_s, place, [_Unit(unit.sku, unit.mass_g, fresh.lean)], 1)


def script_of(shelves: Sequence[Shelf], level: Level, events: int, rng: Random) -> Script:
    """So many picks, and the put-backs, sales, touches and bumps that come with them."""
    return _Shoppers(shelves, level, rng).write(events)
