"""People and goods on a few shelves under RFID antennas: who stands where, what is taken and put.

Here: shoppers who stop before a zone and sometimes take, put back or sweep goods; staff who refill
and carry goods elsewhere (ALGORITHMS 7.1, 7.2). All in seconds from the start and in places from 0
to 1 along a zone. Not here: radio (`tags`), and no thought of who listens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Final

from gateway.bench.tag_reports import sgtin96

HOURS: Final = (6, 10, 16, 24, 36, 44, 36, 28, 30, 40, 56, 60, 36, 12)
"""Shoppers of each opening hour; a run passes through this day, however short it is."""
_MEAN: Final = sum(HOURS) / len(HOURS)
_QUANTITIES: Final = (1, 2, 3)
_SHARES: Final = (0.80, 0.15, 0.05)
_PUT_BACK, _WRONG_SHELF, _REFILL_AT = 0.08, 0.20, 0.40


@dataclass(frozen=True, slots=True)
class Crowd:
    """People before one zone who hide a part of it from its antenna."""

    gap_s: float
    """Mean between two of them, exponential; more and less by the hour."""
    stop_s: float
    """Mean time that one stands there, exponential."""
    covers: tuple[float, float] = (0.1, 1.0)
    """Least and most of the zone that one hides."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What stands under the antennas and what is done there."""

    seconds: float
    crowd: Crowd
    zones: int = 4
    products: int = 5
    facing: int = 10
    """Pieces of each product of a zone when it is full."""
    takes: float = 0.4
    """Chance that who stops takes something."""
    sweeps_per_h: float = 1.0
    moves_per_h: float = 2.0
    """Both of one zone."""
    untagged: float = 0.035
    """Half of them without a tag, half with two."""


@dataclass(frozen=True, slots=True)
class Body:
    """Somebody between an antenna and what lies from `low` to `high`."""

    start_s: float
    end_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One item of goods and its tags: none, one or two."""

    product: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Laid:
    """From now on a piece lies there; nowhere (`zone` None): in a basket, on a trolley, outside."""

    at_s: float
    piece: Piece
    zone: int | None
    place: float = 0.0


@dataclass(slots=True)
class Day:
    """All that happened, in the order of time; bodies by zone."""

    laid: list[Laid] = field(default_factory=list)
    bodies: list[list[Body]] = field(default_factory=list)
    sweeps: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    """When the last piece was gone, and the tags."""


def browse(floor: Floor, rng: Random) -> Day:
    """Plays the day. The same arguments give the same day."""
    return _Play(floor, rng).run()


class _Play:
    def __init__(self, floor: Floor, rng: Random) -> None:
        self._floor, self._rng = floor, rng
        self._now = 0.0
        self._entries = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._day = Day(bodies=[[] for _ in range(floor.zones)])
        self._lying: list[dict[Piece, float]] = [{} for _ in range(floor.zones)]
        self._refilling: set[tuple[int, int]] = set()
        numbers = rng.sample(range(10, 10_000), floor.zones * floor.products)
        self._range = [numbers[z :: floor.zones] for z in range(floor.zones)]

    def run(self) -> Day:
        floor = self._floor
        for zone in range(floor.zones):
            for nth in range(floor.products):
                for _ in range(floor.facing):
                    self._lay(zone, self._new(zone, nth), self._place(nth))
            self._later(self._gap_s(), partial(self._stop, zone))
            self._every(floor.sweeps_per_h, self._sweep, zone)
            self._every(floor.moves_per_h, self._carry, zone)
        while self._due and self._due[0][0] < floor.seconds:
            self._now, _, act = heappop(self._due)
            act()
        for bodies in self._day.bodies:
            bodies.sort(key=lambda body: body.start_s)
        return self._day

    def _later(self, after_s: float, act: Callable[[], None]) -> None:
        self._entries += 1
        heappush(self._due, (self._now + after_s, self._entries, act))

    def _every(self, per_h: float, act: Callable[[int], None], zone: int) -> None:
        if per_h:
            self._later(self._rng.expovariate(per_h / 3600), partial(self._again, per_h, act, zone))

    def _again(self, per_h: float, act: Callable[[int], None], zone: int) -> None:
        act(zone)
        self._every(per_h, act, zone)

    def _gap_s(self) -> float:
        hour = min(len(HOURS) - 1, int(len(HOURS) * self._now / self._floor.seconds))
        return self._rng.expovariate(HOURS[hour] / _MEAN / self._floor.crowd.gap_s)

    # Goods

    def _new(self, zone: int, nth: int) -> Piece:
        product, luck = self._range[zone][nth], self._rng.random()
        tags = 0 if luck < self._floor.untagged / 2 else 2 if luck < self._floor.untagged else 1
        serials = [self._rng.randrange(1 << 38) for _ in range(tags)]
        return Piece(product, tuple(sgtin96(product, s).hex().upper() for s in serials))

    def _place(self, nth: int) -> float:
        return (nth + self._rng.random()) / self._floor.products

    def _lay(self, zone: int, piece: Piece, place: float) -> None:
        self._lying[zone][piece] = place
        self._day.laid.append(Laid(self._now, piece, zone, place))

    def _lift(self, zone: int, piece: Piece) -> None:
        del self._lying[zone][piece]
        self._day.laid.append(Laid(self._now, piece, None))
        key = (zone, piece.product)
        if piece.product in self._range[zone] and key not in self._refilling:
            left = sum(other.product == piece.product for other in self._lying[zone])
            if left <= _REFILL_AT * self._floor.facing:
                self._refilling.add(key)
                self._later(self._rng.expovariate(1 / 300), partial(self._refill, *key))

    def _refill(self, zone: int, product: int) -> None:
        nth = self._range[zone].index(product)
        if sum(piece.product == product for piece in self._lying[zone]) >= self._floor.facing:
            self._refilling.discard((zone, product))
            return
        place = self._place(nth)
        if self._rng.random() < 0.3:
            self._stand(zone, self._rng.expovariate(1 / self._floor.crowd.stop_s), place, 0.3)
        self._lay(zone, self._new(zone, nth), place)
        self._later(self._rng.uniform(1, 5), partial(self._refill, zone, product))

    # People

    def _stand(self, zone: int, length_s: float, place: float, cover: float) -> tuple[float, float]:
        low = min(max(0.0, place - cover / 2), 1 - cover)
        self._day.bodies[zone].append(Body(self._now, self._now + length_s, low, low + cover))
        return low, low + cover

    def _stop(self, zone: int) -> None:
        rng, crowd = self._rng, self._floor.crowd
        length_s, cover = rng.expovariate(1 / crowd.stop_s), rng.uniform(*crowd.covers)
        low, high = self._stand(zone, length_s, rng.random(), cover)
        if rng.random() < self._floor.takes:
            self._later(rng.random() * length_s, partial(self._take, zone, low, high))
        self._later(length_s + self._gap_s(), partial(self._stop, zone))

    def _take(self, zone: int, low: float, high: float) -> None:
        rng, lying = self._rng, self._lying[zone]
        near = [piece for piece, place in lying.items() if low <= place <= high]
        if not near:
            return
        product = rng.choice(near).product
        same = [piece for piece in near if piece.product == product]
        taken = same[: rng.choices(_QUANTITIES, _SHARES)[0]]
        for piece in taken:
            self._lift(zone, piece)
        if rng.random() < _PUT_BACK:
            to = zone if rng.random() >= _WRONG_SHELF else self._elsewhere(zone)
            self._later(rng.lognormvariate(4.1, 0.8), partial(self._put, to, taken))

    def _put(self, zone: int, pieces: list[Piece]) -> None:
        rng = self._rng
        place = rng.random()
        if pieces[0].product in self._range[zone]:
            place = self._place(self._range[zone].index(pieces[0].product))
        self._stand(zone, rng.expovariate(1 / 4), place, 0.3)
        for piece in pieces:
            self._lay(zone, piece, place)

    def _elsewhere(self, zone: int) -> int:
        return self._rng.choice([other for other in range(self._floor.zones) if other != zone])

    def _sweep(self, zone: int) -> None:
        lying = self._lying[zone]
        products = sorted({piece.product for piece in lying})
        if not products:
            return
        product = self._rng.choice(products)
        swept = [piece for piece in lying if piece.product == product]
        length_s = self._rng.uniform(5, 15)
        self._stand(zone, length_s, lying[swept[0]], 0.4)
        for nth, piece in enumerate(swept, 1):
            self._later(length_s * nth / len(swept), partial(self._grab, zone, piece))
        tags = tuple(tag for piece in swept for tag in piece.tags)
        if len(swept) >= self._floor.facing / 2:
            self._day.sweeps.append((self._now + length_s, tags))

    def _grab(self, zone: int, piece: Piece) -> None:
        if piece in self._lying[zone]:
            self._lift(zone, piece)

    def _carry(self, zone: int) -> None:
        if not self._lying[zone]:
            return
        rng = self._rng
        piece = rng.choice(list(self._lying[zone]))
        self._stand(zone, rng.expovariate(1 / 5), self._lying[zone][piece], 0.3)
        self._lift(zone, piece)
        self._later(rng.uniform(10, 40), partial(self._put, self._elsewhere(zone), [piece]))
