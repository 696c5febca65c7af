"""What people do: shoppers who pick, put back, pay or do not; staff who receive and restock.

Every person is a generator of waiting times over one `World`. Here: habits and mistakes
(ALGORITHMS 7.1, 7.2). Not here: what any device makes of it.
"""

from __future__ import annotations

from collections.abc import Generator
from math import exp
from typing import Final, Literal

from drivers.sim.actions import Bump, Handling, Rung
from drivers.sim.goods import Item
from drivers.sim.layout import Till
from drivers.sim.levels import (
    PUTBACK_SHARE,
    QUANTITY_SHARES,
    QUICK_S,
    SLOW_S,
    SLOW_SHARE,
)
from drivers.sim.scanners import ean
from drivers.sim.world import Person, World, ns

S_PER_H: Final = 3600.0
BASKET: Final = "@basket"


def open_shop(world: World) -> None:
    """Sends everybody in: the doors, and the knocks that no person of the script makes."""
    world.start(_doors(world), ns(world.pace.doors_s))
    for plate in sorted(world.layout.weighed):
        world.start(_touches(world, plate))
    for bay in world.layout.bays:
        world.start(_bumps(world, bay))


def _doors(world: World) -> Person:
    number = 0
    while not world.closed:
        number += 1
        world.start(_shopper(world, number))
        yield ns(world.rng.expovariate(1.0 / world.pace.arrival_s))


def _touches(world: World, plate: str) -> Person:
    while True:
        yield ns(world.rng.expovariate(world.level.touches_per_h / S_PER_H))
        if world.closed:
            return
        lasts_ns = ns(world.rng.uniform(*QUICK_S))
        yield _reach_ns(world, plate, lasts_ns)
        world.tell(Handling(world.now_ns, plate, lasts_ns, _hand_mg(world)))


def _bumps(world: World, bay: tuple[str, ...]) -> Person:
    while True:
        yield ns(world.rng.expovariate(world.level.bumps_per_h / S_PER_H))
        if world.closed:
            return
        world.tell(Bump(world.now_ns, bay, abs(_hand_mg(world))))


def _hand_mg(world: World) -> int:
    """A hand presses or lifts with up to the level's peak."""
    share = world.rng.uniform(0.2, 1.0) * world.rng.choice((-1.0, 1.0))
    return round(share * world.level.hand_g * 1000.0)


def _reach_ns(world: World, place: str, lasts_ns: int) -> int:
    """How long a person waits before reaching there: polite people keep apart."""
    if world.level.collide:
        return 0
    return world.reserve(place, lasts_ns, ns(world.pace.apart_s))


def reach(world: World, place: str, sign: int, gtin: str, units: int, hold: list[Item]) -> Person:
    """A hand takes (-1) units from a place into `hold`, or lays (+1) the first ones of it there.

    Ends at the moment of release; the hand may stay a little longer. Takes what is there.
    """
    slow = world.rng.random() < SLOW_SHARE
    lasts_s = world.rng.uniform(*(SLOW_S if slow else QUICK_S)) + 0.25 * (units - 1)
    release_s = (0.1 if slow else world.rng.uniform(0.3, 0.5)) * lasts_s
    ramp_s = 0.8 * lasts_s if slow else min(0.25, 0.4 * lasts_s)
    hand_mg = _hand_mg(world)
    yield _reach_ns(world, place, ns(lasts_s))
    if sign < 0:
        moved = world.take(place, gtin, units)
        hold.extend(moved)
    else:
        moved = world.lay(place, hold[:units])
        del hold[:units]
    if moved and place in world.layout.weighed:
        felt = world.loads(place, moved, sign)
        world.tell(
            Handling(world.now_ns, place, ns(lasts_s), hand_mg, felt, ns(release_s), ns(ramp_s))
        )
    yield ns(release_s + ramp_s)


def _shopper(world: World, number: int) -> Person:
    basket: list[Item] = []
    hidden: list[Item] = []
    for _ in range(1 + _poisson(world, world.pace.more_lines)):
        yield world.pause_ns(world.pace.browse_s)
        if world.closed:
            break
        picked: list[Item] = []
        origin = yield from _pick(world, number, picked)
        if picked and world.rng.random() < PUTBACK_SHARE:
            yield world.pause_ns(world.pace.browse_s, 1.5)
            yield from _put_back(world, number, origin, picked)
        thief = world.rng.random() < world.level.theft
        (hidden if thief else basket).extend(picked)
    yield world.pause_ns(world.pace.walk_s, world.pace.walk_min_s)
    if basket:
        yield from _pay(world, number, basket)
    for item in hidden:
        world.moved("theft", [item], BASKET, "@lost", number)


def _pick(world: World, number: int, picked: list[Item]) -> Generator[int, None, str]:
    offered = [h for h in world.homes if world.count(h.location, h.gtin)]
    if not offered:
        return ""
    home = world.rng.choice(offered)
    units = world.rng.choices((1, 2, 3), QUANTITY_SHARES)[0]
    yield from reach(world, home.location, -1, home.gtin, units, picked)
    if picked:
        world.moved("pick", picked, home.location, BASKET, number)
    return home.location


def _put_back(world: World, number: int, origin: str, picked: list[Item]) -> Person:
    """One unit goes back; from level 2 on sometimes to the wrong shelf."""
    target = origin
    if world.rng.random() < world.level.misplaced:
        target = world.rng.choice([h.location for h in world.homes])
    item = picked[0]
    yield from reach(world, target, 1, item.gtin, 1, picked)
    world.moved("putback", [item], BASKET, target, number)


def _pay(world: World, number: int, basket: list[Item]) -> Person:
    least_s = world.level.repeat_ms / 1000.0
    gaps_ns = [world.pause_ns(world.pace.scan_s, least_s) for _ in basket]
    till = world.rng.choice(world.layout.tills) if world.layout.tills else None
    if till is None:
        for item in basket:
            world.moved("unpaid", [item], BASKET, "@lost", number)
        return
    yield world.reserve(f"till {till.name}", sum(gaps_ns), ns(2.0))
    receipt = Receipt(world, till, number)
    for item, gap_ns in zip(basket, gaps_ns, strict=True):
        yield gap_ns
        yield from _ring_up(world, receipt, item)
    if till.lines and world.rng.random() < world.level.till_returns:
        yield from _take_back(world, receipt)


class Receipt:
    """What a till says and a scanner reads for one shopper."""

    def __init__(self, world: World, till: Till, number: int) -> None:
        self.number = number
        self._world, self._till, self._lines = world, till, 0

    def sell(self, gtin: str) -> None:
        """A unit is scanned, and printed."""
        if self._till.scanner:
            self._world.beam(self._till.scanner, ean(gtin))
        self._lines += 1
        self._print(gtin, "sale")

    def void(self, gtin: str) -> None:
        """The line just printed is taken back; nobody scans for that."""
        self._print(gtin, "void")

    def take_back(self, gtin: str) -> None:
        """A unit comes back; a scanner has no word for that."""
        self._lines += 1
        self._print(gtin, "return")

    def _print(self, gtin: str, what: Literal["sale", "return", "void"]) -> None:
        if self._till.lines:
            now_ns = self._world.now_ns
            told = Rung(now_ns, self._till.lines, self.number, self._lines, gtin, what)
            self._world.tell(told)


def _ring_up(world: World, receipt: Receipt, item: Item) -> Person:
    """One unit at the till, with the mistakes of cashiers."""
    level, luck = world.level, world.rng.random()
    if luck < level.missed:
        world.moved("unpaid", [item], BASKET, "@lost", receipt.number)
        return
    swapped = luck < level.missed + level.swapped
    receipt.sell(_sibling(world, item.gtin) if swapped else item.gtin)
    world.sold.append(item)
    world.moved("sale", [item], BASKET, "@sold", receipt.number)
    if world.rng.random() < level.doubled:
        yield ns(level.repeat_ms / 1000.0)
        receipt.sell(item.gtin)
        # what is printed twice is seen, and taken back; a scanner's beep is not
        yield ns(level.repeat_ms / 1000.0)
        receipt.void(item.gtin)


def _take_back(world: World, receipt: Receipt) -> Person:
    """Something sold earlier comes back, and goes where deliveries go."""
    place = world.store.first_of("receiving", "backroom")
    if place is None or not world.sold:
        return
    item = world.sold.pop(world.rng.randrange(len(world.sold)))
    yield world.pause_ns(world.pace.scan_s)
    receipt.take_back(item.gtin)
    world.put(place, world.lay(place, [item]), 1)
    world.moved("return", [item], "@sold", place)


def _sibling(world: World, gtin: str) -> str:
    """The product beside it that a cashier mistakes it for: of its category if there is one."""
    category = world.products[gtin].category
    others = [g for g in sorted(world.products) if g != gtin]
    alike = [g for g in others if world.products[g].category == category]
    return world.rng.choice(alike or others or [gtin])


def _poisson(world: World, mean: float) -> int:
    """Knuth's method; the means here are small."""
    limit, product, count = exp(-mean), world.rng.random(), 0
    while product > limit:
        product *= world.rng.random()
        count += 1
    return count
