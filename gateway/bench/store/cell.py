"""The fusion reference cell: thirty days of a few products, what is true and what is said of it.

Here: shoppers, thieves, staff, deliveries, and sensors as noisy words about them (ALGORITHMS 7.1,
7.2 last paragraph). Not here: any book (`books`), any judgement (`scores`), and nothing of how
anybody fuses these words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from math import log
from random import Random
from typing import Final

from gateway.bench.store.stories import (
    Claim,
    Fill,
    Gone,
    Line,
    Noise,
    Opening,
    Receive,
    Sku,
    Step,
    Story,
    Truth,
    Word,
)
from gateway.domain.units import NS_PER_S

START_S: Final = 1_780_272_000
"""Midnight before the first day, in seconds of gateway time."""
DAY_S: Final = 86_400
OPENS_S: Final = 8 * 3600
CLOSES_S: Final = 22 * 3600
HOURS: Final = (2, 2, 3, 4, 6, 5, 3, 3, 4, 5, 7, 7, 5, 3)
"""How busy each opening hour is, relative to the others."""
_QUANTITIES: Final = (1, 2, 3)
_PUT_BACK, _MISPLACED, _STOLEN = 0.08, 0.02, 0.015
_TO_TILL: Final = (480.0, 0.8)
_TO_PUT_BACK: Final = (180.0, 0.8)
_FILL_AT: Final = 0.4
_CANCELLED: Final = 0.1
_DELIVERY_DAYS: Final = 2
_RESTED_S: Final = 3.0
"""A plate counts nothing sooner after it moved."""


def tell(skus: Sequence[Sku], noise: Noise, days: int, rng: Random) -> Story:
    """Plays a month. The same arguments give the same story."""
    return _World(tuple(skus), noise, rng).play(days)


class _World:
    def __init__(self, skus: tuple[Sku, ...], noise: Noise, rng: Random) -> None:
        self._skus, self._noise, self._rng = skus, noise, rng
        self._by_gtin = {sku.gtin: sku for sku in skus}
        self._plates = tuple(dict.fromkeys(sku.plate for sku in skus))
        self._shared = {
            plate for plate in self._plates if sum(sku.plate == plate for sku in skus) > 1
        }
        self._mean_g = {sku.gtin: sku.mass_mg / 1000 * rng.gauss(1.0, 0.01) for sku in skus}
        for code in self._mean_g if noise.mass_off else ():
            self._mean_g[code] *= 1.0 + rng.choice((-1.0, 1.0)) * noise.mass_off
        shares = zip(_QUANTITIES, noise.quantities, strict=True)
        self._units_per_taking = sum(units * share for units, share in shares)
        self._home = {sku.gtin: sku.capacity for sku in skus}
        self._back = {sku.gtin: self._stock_up(sku) for sku in skus}
        self._astray: dict[str, list[tuple[str, int]]] = {sku.gtin: [] for sku in skus}
        self._hands = dict.fromkeys(self._home, 0)
        self._filling: set[str] = set()
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._words: list[tuple[int, int, Word]] = []
        self._gone: list[Gone] = []
        self._planned = self._receipts = self._sold = 0
        self._closing_s = 0.0
        self._moved_s = dict.fromkeys(self._plates, 0.0)

    # --- the clock ------------------------------------------------------------------------------

    def play(self, days: int) -> Story:
        for sku in self._skus:
            at_ns = _ns(START_S)
            self._say(Opening(at_ns, sku.gtin, self._home[sku.gtin], self._back[sku.gtin]))
            self._true(START_S, sku.gtin)
        for day in range(days):
            self._plan_day(day, START_S + day * DAY_S)
        while self._heap:
            at_s, _, act = heappop(self._heap)
            act(at_s)
        words = tuple(word for _, _, word in sorted(self._words, key=lambda w: w[:2]))
        return Story(self._skus, words, tuple(self._gone), self._sold)

    def _at(self, at_s: float, act: Callable[[float], None]) -> None:
        self._planned += 1
        heappush(self._heap, (at_s, self._planned, act))

    def _say(self, word: Word) -> None:
        self._words.append((word.at_ns, len(self._words), word))

    def _plan_day(self, day: int, midnight_s: int) -> None:
        rng = self._rng
        for sku in self._skus:
            if day and day % _DELIVERY_DAYS == 0 and rng.random() >= _CANCELLED:
                self._at(midnight_s + 7.0 * 3600, partial(self._deliver, sku=sku))
            self._at(midnight_s + 7.5 * 3600, partial(self._tidy, sku=sku))
            self._plan_takings(sku, midnight_s)
            for hour in range(8, 22):
                at_s = midnight_s + hour * 3600 + 1800.0
                self._at(at_s, partial(self._claim, sku=sku))
        self._at(midnight_s + OPENS_S, self._open)

    def _open(self, at_s: float) -> None:
        self._closing_s = at_s - OPENS_S + CLOSES_S

    def _plan_takings(self, sku: Sku, midnight_s: int) -> None:
        rng, noise = self._rng, self._noise
        per_day = sku.units_per_day / self._units_per_taking
        for hour, share in enumerate(HOURS):
            begin_s = midnight_s + OPENS_S + hour * 3600
            for at_s in _arrivals(rng, begin_s, per_day * share / sum(HOURS)):
                self._at(at_s, partial(self._take, sku=sku))
            for at_s in _arrivals(rng, begin_s, noise.false_steps_per_h):
                self._at(at_s, partial(self._imagine, sku=sku))
        if sku.sibling not in self._by_gtin:  # somebody else's units rung up as ours
            for at_s in _arrivals(rng, midnight_s + OPENS_S, sku.units_per_day * noise.swapped, 14):
                self._at(at_s, partial(self._ring, gtin=sku.gtin, units=1))

    # --- shoppers -------------------------------------------------------------------------------

    def _take(self, at_s: float, sku: Sku) -> None:
        rng, gtin = self._rng, sku.gtin
        units = min(rng.choices(_QUANTITIES, self._noise.quantities)[0], self._home[gtin])
        if not units:
            return
        self._home[gtin] -= units
        self._hands[gtin] += units
        self._true(at_s, gtin)
        self._weigh(at_s, sku.plate, sku, -units)
        fate = rng.random()
        paid, began_ns = units, _ns(at_s)
        if fate < _STOLEN:
            self._at(
                self._later(at_s, _TO_TILL),
                partial(self._steal, gtin=gtin, units=units, taken_ns=began_ns),
            )
            return
        if fate < _STOLEN + _MISPLACED:
            self._at(self._later(at_s, _TO_PUT_BACK), partial(self._mislay, sku=sku, units=units))
            return
        if fate < _STOLEN + _MISPLACED + _PUT_BACK:
            back = rng.randint(1, units)
            paid -= back
            self._at(self._later(at_s, _TO_PUT_BACK), partial(self._put, sku=sku, units=back))
        if paid:
            self._at(
                self._later(at_s, _TO_TILL),
                partial(self._pay, sku=sku, units=paid, taken_ns=began_ns),
            )
        if self._home[gtin] <= _FILL_AT * sku.capacity and gtin not in self._filling:
            self._filling.add(gtin)
            self._at(at_s + rng.uniform(600.0, 3600.0), partial(self._fill, sku=sku))

    def _later(self, at_s: float, how_long: tuple[float, float]) -> float:
        """Log-normal, and nobody stays long after the doors close."""
        median_s, ln_sd = how_long
        end_s = at_s + self._rng.lognormvariate(log(median_s), ln_sd)
        return min(end_s, max(at_s, self._closing_s) + self._rng.uniform(60.0, 900.0))

    def _steal(self, at_s: float, gtin: str, units: int, taken_ns: int) -> None:
        self._hands[gtin] -= units
        self._gone.append(Gone(taken_ns, gtin, units, stolen=True))
        self._true(at_s, gtin)

    def _pay(self, at_s: float, sku: Sku, units: int, taken_ns: int) -> None:
        noise, rung, other = self._noise, 0, 0
        for _ in range(units):
            luck = self._rng.random()
            if luck < noise.missed:
                self._gone.append(Gone(taken_ns, sku.gtin, 1, stolen=False))
            elif luck < noise.missed + noise.swapped:
                other += 1  # paid as something else: of this product a unit left unpaid
                self._gone.append(Gone(taken_ns, sku.gtin, 1, stolen=False))
            elif luck < noise.missed + noise.swapped + noise.doubled:
                rung += 2
            else:
                rung += 1
        self._hands[sku.gtin] -= units
        self._sold += units
        self._true(at_s, sku.gtin)
        self._ring(at_s, sku.gtin, rung)
        if sku.sibling in self._by_gtin:
            self._ring(at_s, sku.sibling, other)

    def _ring(self, at_s: float, gtin: str, units: int) -> None:
        if units:
            self._receipts += 1
            self._say(Line(_ns(at_s), self._receipts, gtin, units))

    def _put(self, at_s: float, sku: Sku, units: int) -> None:
        self._hands[sku.gtin] -= units
        self._home[sku.gtin] += units
        self._true(at_s, sku.gtin)
        self._weigh(at_s, sku.plate, sku, units)

    def _mislay(self, at_s: float, sku: Sku, units: int) -> None:
        """On a wrong plate, or somewhere that nothing watches; staff bring it back next morning."""
        others = [plate for plate in self._plates if plate != sku.plate]
        place = self._rng.choice(others) if others and self._rng.random() < 0.5 else ""
        self._hands[sku.gtin] -= units
        self._astray[sku.gtin].append((place, units))
        self._true(at_s, sku.gtin)
        if place:
            self._weigh(at_s, place, sku, units)

    # --- staff ----------------------------------------------------------------------------------

    def _stock_up(self, sku: Sku) -> int:
        """What a delivery should fill the back room to, in whole cases."""
        want = sku.units_per_day * _DELIVERY_DAYS * 1.1
        return sku.case * max(1, round(want / sku.case))

    def _deliver(self, at_s: float, sku: Sku) -> None:
        held = self._back[sku.gtin] + self._home[sku.gtin]
        cases = round((self._stock_up(sku) + sku.capacity - held) / sku.case)
        if cases <= 0:
            return
        units = came = cases * sku.case
        if self._rng.random() < self._noise.wrong_deliveries:
            came += self._rng.choice((-2, -1, 1, 2))
        self._back[sku.gtin] += came
        self._true(at_s, sku.gtin)
        self._say(Receive(_ns(at_s), sku.gtin, units))

    def _tidy(self, at_s: float, sku: Sku) -> None:
        """Before the doors open: what lay astray goes home, and the shelf is filled."""
        for place, units in self._astray[sku.gtin]:
            at_s += 20.0
            if place:
                self._weigh(at_s, place, sku, -units)
            self._at(at_s + 15.0, partial(self._bring_home, sku=sku, units=units))
        if self._astray[sku.gtin]:
            self._astray[sku.gtin] = [("", units) for _, units in self._astray[sku.gtin]]
        if self._home[sku.gtin] <= _FILL_AT * sku.capacity and sku.gtin not in self._filling:
            self._filling.add(sku.gtin)
            self._at(at_s + 120.0, partial(self._fill, sku=sku))

    def _bring_home(self, at_s: float, sku: Sku, units: int) -> None:
        self._astray[sku.gtin].remove(("", units))
        self._home[sku.gtin] += units
        self._true(at_s, sku.gtin)
        self._weigh(at_s, sku.plate, sku, units)

    def _fill(self, at_s: float, sku: Sku) -> None:
        """By handfuls from the back room; one time in five nobody scans."""
        rng = self._rng
        units = min(sku.capacity - self._home[sku.gtin], self._back[sku.gtin])
        self._filling.discard(sku.gtin)
        if units <= 0:
            return
        if rng.random() >= self._noise.silent_fills:
            self._say(Fill(_ns(at_s), sku.gtin, units))
        while units:
            handful = min(units, rng.randint(2, 6))
            units -= handful
            at_s += rng.uniform(8.0, 25.0)
            self._at(at_s, partial(self._handful, sku=sku, units=handful))

    def _handful(self, at_s: float, sku: Sku, units: int) -> None:
        units = min(units, self._back[sku.gtin])
        if units:
            self._back[sku.gtin] -= units
            self._home[sku.gtin] += units
            self._true(at_s, sku.gtin)
            self._weigh(at_s, sku.plate, sku, units, filling=True)

    # --- sensors --------------------------------------------------------------------------------

    def _true(self, at_s: float, gtin: str) -> None:
        home = self._home[gtin]
        lying = home + self._back[gtin] + sum(units for _, units in self._astray[gtin])
        self._say(Truth(_ns(at_s), gtin, lying + self._hands[gtin], lying, home))

    def _weigh(
        self, at_s: float, plate: str, sku: Sku, units: int, *, filling: bool = False
    ) -> None:
        rng = self._rng
        self._moved_s[plate] = at_s
        if rng.random() < self._noise.step_missed:
            return
        seen = abs(units)
        if rng.random() < self._noise.step_miscounted:
            seen = 2 if seen == 1 else seen + rng.choice((-1, 1))
        self._settle(at_s, plate, sku, seen if units > 0 else -seen, filling)

    def _imagine(self, at_s: float, sku: Sku) -> None:
        self._settle(at_s, sku.plate, sku, self._rng.choice((-1, 1)), filling=False)

    def _settle(self, at_s: float, plate: str, sku: Sku, units: int, filling: bool) -> None:
        rng, mean_g = self._rng, self._mean_g[sku.gtin]
        load_g = sum(rng.gauss(mean_g, 0.013 * mean_g) for _ in range(abs(units)))
        step_g = (load_g if units > 0 else -load_g) + rng.gauss(0.0, 1.5)
        known_ns = _ns(at_s + rng.uniform(0.9, 1.5))
        step_mg = round(step_g * 1000)
        self._say(Step(known_ns, _ns(at_s - 0.6), plate, sku.gtin, units, step_mg, filling))

    def _claim(self, at_s: float, sku: Sku) -> None:
        astray = any(p == sku.plate for places in self._astray.values() for p, _ in places)
        if sku.plate in self._shared or astray:
            return  # a plate that holds two products counts none of them
        if abs(at_s - self._moved_s[sku.plate]) < _RESTED_S:
            self._at(at_s + 2 * _RESTED_S, partial(self._claim, sku=sku))
            return
        units = self._home[sku.gtin]
        if self._noise.counts_up_to is not None and units > self._noise.counts_up_to:
            return
        if self._rng.random() < self._noise.claim_wrong:
            units = max(0, units + self._rng.choice((-1, 1)))
        self._say(Claim(_ns(at_s), sku.plate, sku.gtin, units))
        self._at(at_s + _RESTED_S, partial(self._claim_again, sku=sku, units=units, since_s=at_s))

    def _claim_again(self, at_s: float, sku: Sku, units: int, since_s: float) -> None:
        """A plate that still rests evaluates once more, and is as wrong as it was."""
        if self._moved_s[sku.plate] <= since_s:
            self._say(Claim(_ns(at_s), sku.plate, sku.gtin, units))


def _arrivals(rng: Random, begin_s: float, expected: float, hours: int = 1) -> list[float]:
    """Poisson arrivals within so many hours."""
    out, at_s = [], 0.0
    while expected > 0.0:
        at_s += rng.expovariate(expected / (hours * 3600.0))
        if at_s >= hours * 3600.0:
            break
        out.append(begin_s + at_s)
    return out


def _ns(at_s: float) -> int:
    return round(at_s * 1000) * (NS_PER_S // 1000)
