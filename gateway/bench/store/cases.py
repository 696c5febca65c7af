"""Hard scripted cases, from hands on plates to the till's last line: ALGORITHMS 8, row F8.

Here: one small bay per case, who takes what from where and when, and the units that stockd says
moved against those that did. Not here: a plate's physics (`plates`, `aisle`), and no thought of how
the core decides.

A bay of three plates: `p1` one product, `p2` two, `p3` one light product. Judged twice: `prompt`
5 s after the last hand left, and at the end, when the till has told what was paid and every
deadline has passed. An item is a unit of a product that came to or left a plate, net over the case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from drivers.sim.levels import SLOW_S
from gateway.bench.store.aisle import Shelf, Shelving, gtin
from gateway.bench.store.booked import START_NS, Desk
from gateway.bench.store.plates import CHANNELS, QUIET_S, Channel, Gesture, Sku, hand_g, reach, sku
from gateway.domain.units import NS_PER_S, PIECE_MILLI

REPEATS: Final = 8
"""Plays of each case by one seed, each with other goods and hands."""
MASS_G: Final = (80.0, 700.0)
APART: Final = 0.15
"""The two products of one plate differ at least so much: closer ones no scale tells apart (W5)."""
PROMPT_S: Final = 5.0
TO_TILL_S: Final = (60.0, 240.0)
AFTER_S: Final = 65 * 60.0
"""Longer than every deadline of fusion."""
_MILLI: Final = PIECE_MILLI

Items = Counter[tuple[str, str]]
"""Net units by plate and product."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What one hand does: units of each product that come (+) or go (-) at a plate."""

    plate: str
    gesture: Gesture
    units: Mapping[int, int]
    """By product: 0 lies on p1, 1 and 2 on p2, 3 on p3."""


@dataclass(frozen=True, slots=True)
class Case:
    """A script; units that nobody paid for at its end lie on a plate again."""

    hands: tuple[Hand, ...]

    @property
    def until_s(self) -> float:
        """When the last hand has left."""
        return max(hand.gesture.released_s for hand in self.hands)


Write = Callable[["Script"], None]


class Script:
    """Writes hands one after another; `then` is the pause before the next."""

    def __init__(self, channel: Channel, rng: Random) -> None:
        self._level, self.rng = channel.level, rng
        self.hands: list[Hand] = []
        self.at_s = QUIET_S + rng.uniform(0.0, 2.0)

    def quick(self, plate: str, units: Mapping[int, int], then: tuple[float, float]) -> None:
        """An ordinary reach."""
        gesture = reach(self._level, self.rng, self.at_s, sum(map(abs, units.values())))
        self._add(plate, gesture, units, then)

    def slow(self, plate: str, units: Mapping[int, int], then: tuple[float, float]) -> None:
        """Three to six seconds from touch to release."""
        lasts_s = self.rng.uniform(*SLOW_S)
        press_g = hand_g(self._level, self.rng)
        gesture = Gesture(self.at_s, lasts_s, press_g, 0.1 * lasts_s, 0.8 * lasts_s)
        self._add(plate, gesture, units, then)

    def _add(
        self, plate: str, gesture: Gesture, units: Mapping[int, int], then: tuple[float, float]
    ) -> None:
        self.hands.append(Hand(plate, gesture, units))
        self.at_s = gesture.released_s + self.rng.uniform(*then)


def _two_of_one(s: Script) -> None:
    s.quick("p1", {0: -2}, (0.0, 0.0))


def _two_products_at_once(s: Script) -> None:
    s.quick("p2", {1: -1, 2: -1}, (0.0, 0.0))


def _two_people_two_plates(s: Script) -> None:
    begin_s = s.at_s
    s.quick("p1", {0: -1}, (0.0, 0.0))
    s.at_s = begin_s + s.rng.uniform(0.0, 0.6)
    s.quick("p3", {3: -1}, (0.0, 0.0))


def _two_people_one_plate(s: Script) -> None:
    begin_s = s.at_s
    s.quick("p2", {1: -1}, (0.0, 0.0))
    s.at_s = begin_s + s.rng.uniform(0.3, 1.5)
    s.quick("p2", {2: -1}, (0.0, 0.0))


def _slow_pick(s: Script) -> None:
    s.slow(*s.rng.choice((("p1", {0: -1}), ("p3", {3: -1}), ("p2", {2: -1}))), (0.0, 0.0))


def _held_then_one_of_two(s: Script) -> None:
    s.quick("p1", {0: -2}, (1.0, 6.0))
    s.quick("p1", {0: 1}, (0.0, 0.0))


def _taken_and_put_straight_back(s: Script) -> None:
    s.quick("p3", {3: -1}, (0.3, 3.0))
    s.quick("p3", {3: 1}, (0.0, 0.0))


def _misplaced(s: Script) -> None:
    s.quick("p1", {0: -1}, (6.0, 25.0))
    s.quick("p3", {0: 1}, (0.0, 0.0))


def _misplaced_then_taken(s: Script) -> None:
    s.quick("p1", {0: -1}, (6.0, 25.0))
    s.quick("p2", {0: 1}, (6.0, 25.0))
    s.quick("p2", {0: -1}, (0.0, 0.0))


def _handed_over_and_paid(s: Script) -> None:
    s.quick("p2", {2: -1}, (3.0, 8.0))
    s.quick("p3", {3: -1}, (0.0, 0.0))


def _handed_over_and_put_elsewhere(s: Script) -> None:
    s.quick("p3", {3: -1}, (4.0, 12.0))
    s.quick("p2", {1: -1}, (3.0, 8.0))
    s.quick("p1", {3: 1}, (0.0, 0.0))


CASES: Final[Mapping[str, Write]] = {
    "two_of_one": _two_of_one,
    "two_products_at_once": _two_products_at_once,
    "two_people_two_plates": _two_people_two_plates,
    "two_people_one_plate": _two_people_one_plate,
    "slow_pick": _slow_pick,
    "held_then_one_of_two": _held_then_one_of_two,
    "put_straight_back": _taken_and_put_straight_back,
    "misplaced": _misplaced,
    "misplaced_then_taken": _misplaced_then_taken,
    "handed_over_paid": _handed_over_and_paid,
    "handed_over_misplaced": _handed_over_and_put_elsewhere,
}


def measure(seed: int, level: str) -> dict[str, float]:
    """F8 and F8/prompt, whole and by case: hits, found, truth, f1. Raises KeyError for a level."""
    channel, counts = CHANNELS[level], Counter[str]()
    for name, write in CASES.items():
        for play in range(REPEATS):
            rng = Random(f"{seed}/{level}/{name}/{play}")
            script = Script(channel, rng)
            write(script)
            truth, prompt, last = played(Case(tuple(script.hands)), channel, rng)
            for row, found in (("F8/prompt", prompt), ("F8", last)):
                for part in (row, f"{row}/{name}"):
                    counts[f"{part}.hits"] += shared_units(truth, found)
                    counts[f"{part}.found"] += sum(map(abs, found.values()))
                    counts[f"{part}.truth"] += sum(map(abs, truth.values()))
    return dict(counts)


def played(case: Case, channel: Channel, rng: Random) -> tuple[Items, Items, Items]:
    """Truth, what was booked promptly, what was booked in the end."""
    goods = _goods(channel, rng)
    shelves = (
        Shelf("p1", "bay", 1, (goods[0],)),
        Shelf("p2", "bay", 2, (goods[1], goods[2])),
        Shelf("p3", "bay", 3, (goods[3],)),
    )
    desk, shelving = Desk(shelves, channel.rate_hz), Shelving(shelves, channel.level, rng)
    opening = _held(desk)
    _hands(case, goods, desk, shelving, channel.rate_hz)
    prompt = _net(opening, _held(desk))
    end_ns = _till(case, goods, desk, rng)
    desk.engine.advance(end_ns)
    truth: Items = Counter()
    for hand in case.hands:
        for number, units in hand.units.items():
            truth[hand.plate, goods[number].gtin] += units
    return truth, prompt, _net(opening, _held(desk))


def _goods(channel: Channel, rng: Random) -> tuple[Sku, ...]:
    """Four products; the two that share a plate are not each other's double."""
    while True:
        means_g = [rng.uniform(*MASS_G) for _ in range(3)] + [rng.uniform(50.0, 120.0)]
        if abs(means_g[1] - means_g[2]) > APART * max(means_g[1:3]):
            return tuple(sku(gtin(1 + n), g, channel.level, rng) for n, g in enumerate(means_g))


def _hands(
    case: Case, goods: tuple[Sku, ...], desk: Desk, shelving: Shelving, rate_hz: int
) -> None:
    """Every plate's samples from before the first hand until after the last, in order of time."""
    rng = Random(rate_hz)
    waiting = sorted(case.hands, key=lambda hand: hand.gesture.begin_s)
    for tick in range(int((case.until_s + PROMPT_S) * rate_hz)):
        at_s, at_ns = tick / rate_hz, tick * NS_PER_S // rate_hz
        while waiting and waiting[0].gesture.begin_s <= at_s:
            hand = waiting.pop(0)
            shelving.handle(hand.plate, hand.gesture, {hand.plate: _load_g(hand, goods, rng)})
        for plate, cell in shelving.cells.items():
            desk.weighed(at_ns, plate, round(cell.sample_g(at_s) * 1000.0))
    desk.take()


def _load_g(hand: Hand, goods: tuple[Sku, ...], rng: Random) -> float:
    return sum(
        goods[number].unit_g(rng) * (1 if units > 0 else -1)
        for number, units in hand.units.items()
        for _ in range(abs(units))
    )


def _till(case: Case, goods: tuple[Sku, ...], desk: Desk, rng: Random) -> int:
    """What is on no plate any more is paid, unit by unit; when everything has been decided."""
    at_s = case.until_s + rng.uniform(*TO_TILL_S)
    net: Counter[int] = Counter()
    for hand in case.hands:
        net.update(hand.units)
    for number, units in net.items():
        for _ in range(-units):
            at_s += rng.uniform(0.8, 2.0)
            desk.scanned(round(at_s * NS_PER_S), goods[number].gtin)
    desk.take()
    return START_NS + round((at_s + AFTER_S) * NS_PER_S)


def _held(desk: Desk) -> Items:
    held: Items = Counter()
    for (place, code, _), milli in desk.engine.balances().items():
        if not place.startswith("@"):
            held[place, code] += milli // _MILLI
    return held


def _net(before: Items, after: Items) -> Items:
    return Counter({key: after[key] - before[key] for key in sorted({*before, *after})})


def shared_units(truth: Items, found: Items) -> int:
    """Units of both that moved the same way at the same plate."""
    return sum(
        min(abs(units), abs(found[key])) for key, units in truth.items() if units * found[key] > 0
    )


def misses(seed: int, level: str, name: str) -> Iterable[tuple[int, Items, Items, Items]]:
    """Plays of a case that stockd got wrong in the end: number, truth, prompt, last."""
    channel = CHANNELS[level]
    for play in range(REPEATS):
        rng = Random(f"{seed}/{level}/{name}/{play}")
        script = Script(channel, rng)
        CASES[name](script)
        truth, prompt, last = played(Case(tuple(script.hands)), channel, rng)
        if Counter(truth) != last:
            yield play, truth, prompt, last
