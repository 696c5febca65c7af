"""The same day told otherwise: duplicates, other order, crashes, wake-ups: ALGORITHMS 8, E3 and E5.

Figures count trials that differ from the day as it was told: `E3/<way>.differ` of `.trials` in
their final balances, with `.units` between the two; `E5/<way>.differ` in any byte of a stock event.
Ways of E3: `duplicates` (till lines and serial scans, 10 % said twice within 5 s), `weights` (10 %
of the samples said twice at once), `shuffled` (sources late by up to 5 s against each other, each
in its own order), `crash` (memory lost between two commits, then the till says its lines again),
`crash_moving` (the same while goods move on a plate). Of E5: `wake_ups`, `batches`, `restarts`
(no plate in the day), `restarts_weighed`.

Here: a short day of a small shop as readings, and ways to tell it. Not here: what it means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from gateway.bench.store.aisle import Shelf, Shelving, gtin
from gateway.bench.store.booked import store_of
from gateway.bench.store.plates import CHANNELS, QUIET_S, Channel, Gesture, Sku, reach, sku
from gateway.core.book import Balance
from gateway.core.engine import EMPTY, Engine, Saved
from gateway.domain.reading import Body, Command, PosLine, Reading, Scan, Stocktake, Weight
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Location, Store
from gateway.domain.units import NS_PER_MS, NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST, replay_stamp, stock_body
from gateway.replay import Past

START_NS: Final = 1_780_300_800 * NS_PER_S
TRIALS: Final = 5
TAKINGS: Final = 25
RECEIVED: Final = 8
TWICE: Final = 0.1
WITHIN_MS: Final = 5000
RATE_HZ: Final = 10
AFTER_NS: Final = 3 * 3600 * NS_PER_S
"""Longer than every deadline."""
UNITS: Final = 40

Day = tuple[Reading, ...]


class Kept:
    """An engine and what a journal would hold of it: it can be built again from that."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store, self._past = settings, store, Past()
        self._balances: dict[tuple[str, str, str], Balance] = {}
        self._parts: dict[str, bytes] = {}
        self._position = EMPTY.position
        self.bodies: list[bytes] = []
        self.engine = Engine(settings, self._store, ZERO_INST, self._past)

    def commit(self) -> None:
        """What the engine decided since the last time is on disk."""
        outcome = self.engine.take()
        for one in outcome.posted:
            self._past.add(one.event)
            self.bodies.append(stock_body(one.event, replay_stamp(one.event.at_ns)))
        self._balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        for key, body in (*outcome.parts, *self.engine.plate_parts()):
            if body is None:
                self._parts.pop(key, None)
            else:
                self._parts[key] = body
        self._position = outcome.position

    def crash(self) -> None:
        """Memory is gone; what was committed is not."""
        parts = dict(sorted(self._parts.items()))
        saved = Saved(self._position, tuple(self._balances.values()), parts)
        self.engine = Engine(self._settings, self._store, ZERO_INST, self._past, saved)

    def ended(self) -> Mapping[tuple[str, str], int]:
        """Balances when nothing waits any more, by place and product, in units."""
        self.engine.advance(self._position.at_ns + AFTER_NS)
        self.commit()
        units: Counter[tuple[str, str]] = Counter()
        for (place, code, _), milli in self.engine.balances().items():
            units[place, code] += milli // PIECE_MILLI
        return {key: n for key, n in units.items() if n}


@dataclass(frozen=True, slots=True)
class _Hand:
    plate: str
    goods: Sku
    units: int
    gesture: Gesture


class Shop:
    """Three plates, a till, a scanner at the back door; and a day in it."""

    def __init__(self, channel: Channel, rng: Random) -> None:
        self._channel = Channel(channel.level, RATE_HZ)
        goods = [sku(gtin(1 + n), mass_g, channel.level, rng)
                 for n, mass_g in enumerate((420.0, 150.0, 610.0, 90.0))]  # fmt: skip
        self.shelves = (
            Shelf("p1", "bay", 1, (goods[0],)),
            Shelf("p2", "bay", 2, (goods[1], goods[2])),
            Shelf("p3", "bay", 3, (goods[3],)),
        )
        devices = [
            DeviceSettings(f"scale-{s.location}", "scale_sics", "", s.location,
                           {"rate_hz": RATE_HZ})
            for s in self.shelves
        ]  # fmt: skip
        devices += [
            DeviceSettings("pos-1", "pos_lines", "", "till"),
            DeviceSettings("door-1", "scanner_serial", "", "back", {"mode": "receive"}),
        ]
        front = store_of(self.shelves)
        places = (*front.locations, Location("back", "backroom"))
        self.store = msgspec.structs.replace(front, locations=places)
        self.settings = Settings(StoreSettings("bench"), location=places, device=tuple(devices))
        self.day = self._told(rng)

    def new(self) -> Kept:
        """The shop's machine before its day."""
        return Kept(self.settings, self.store)

    def _told(self, rng: Random) -> Day:
        """Takings that are paid at once or late, put back, put elsewhere or never paid."""
        out: list[tuple[int, str, Body]] = []
        hands: list[_Hand] = []
        at_s = QUIET_S
        for n in range(TAKINGS):
            at_s += rng.uniform(1.0, 7.0)
            shelf, units = rng.choice(self.shelves), rng.choice((1, 1, 1, 2))
            one = rng.choice(shelf.goods)
            hands.append(_Hand(shelf.location, one, -units, self._reach(at_s, units, rng)))
            fate = rng.random()
            if fate < 0.25:
                back = rng.choice((shelf, shelf, *self.shelves)).location
                back_s = at_s + rng.uniform(4.0, 20.0)
                hands.append(_Hand(back, one, units, self._reach(back_s, units, rng)))
            elif fate < 0.85:
                paid_ms = round((at_s + rng.uniform(2.0, 30.0)) * 1000)
                line = PosLine(f"R{n // 3}", n, one.gtin[1:], units * PIECE_MILLI, "sale")
                out.append((paid_ms, "pos-1", line))
        for n in range(RECEIVED):
            code = rng.choice([one for s in self.shelves for one in s.goods]).gtin
            said = Scan(f"01{code}21S{n}", "]d2")
            out.append((round(rng.uniform(1.0, at_s) * 1000), "door-1", said))
        out += self._samples(hands, round(at_s + 30.0), rng)
        out.sort(key=lambda one: one[:2])
        told = [Reading(START_NS + ms * NS_PER_MS, name, body) for ms, name, body in out]
        return (*self._opening(), *told)

    def _opening(self) -> Iterator[Reading]:
        for shelf in self.shelves:
            for one in shelf.goods:
                count = Stocktake(shelf.location, one.gtin, UNITS * PIECE_MILLI)
                yield Reading(START_NS, "console", Command(count))

    def _reach(self, at_s: float, units: int, rng: Random) -> Gesture:
        return reach(self._channel.level, rng, at_s, units)

    def _samples(
        self, hands: list[_Hand], until_s: int, rng: Random
    ) -> Iterator[tuple[int, str, Body]]:
        shelving = Shelving(self.shelves, self._channel.level, rng)
        waiting = sorted(hands, key=lambda hand: hand.gesture.begin_s)
        for tick in range(until_s * RATE_HZ):
            at_s = tick / RATE_HZ
            while waiting and waiting[0].gesture.begin_s <= at_s:
                hand = waiting.pop(0)
                load_g = sum(hand.goods.unit_g(rng) for _ in range(abs(hand.units)))
                sign = 1 if hand.units > 0 else -1
                shelving.handle(hand.plate, hand.gesture, {hand.plate: sign * load_g})
            for place, cell in shelving.cells.items():
                mass_mg = round(cell.sample_g(at_s) * 1000.0)
                yield tick * 1000 // RATE_HZ, f"scale-{place}", Weight(mass_mg)


def straight(shop: Shop, day: Iterable[Reading]) -> Kept:
    """A day as it comes, committed at each reading that says something."""
    kept = shop.new()
    for reading in day:
        kept.engine.receive(reading)
        if not isinstance(reading.body, Weight):
            kept.commit()
    kept.commit()
    return kept


# --- E3 -----------------------------------------------------------------------------------------


def said_twice(day: Day, rng: Random, *, weights: bool) -> Day:
    """One in ten said twice: a sample at once, what has an identity within 5 s."""
    out = list(day)
    for reading in day:
        weight = isinstance(reading.body, Weight)
        if isinstance(reading.body, Command) or weight != weights or rng.random() >= TWICE:
            continue
        late_ms = 0 if weight else rng.randint(0, WITHIN_MS)
        out.append(Reading(reading.at_ns + late_ms * NS_PER_MS, reading.device, reading.body))
    return tuple(sorted(out, key=lambda reading: reading.at_ns))


def late(day: Day, rng: Random) -> Day:
    """Each source late by its own, changing lag of up to 5 s; none overtakes itself."""
    out: list[Reading] = []
    heard: dict[str, int] = {}
    lag: dict[str, tuple[int, int]] = {}
    for reading in day:
        name = reading.device
        until_ns, late_ns = lag.get(name, (0, 0))
        if reading.at_ns >= until_ns:
            late_ns = rng.randint(0, WITHIN_MS) * NS_PER_MS
            lag[name] = (reading.at_ns + rng.randint(3, 20) * NS_PER_S, late_ns)
        at_ns = max(heard.get(name, 0), reading.at_ns + late_ns)
        heard[name] = at_ns
        out.append(reading if name == "console" else Reading(at_ns, name, reading.body))
    return tuple(sorted(out, key=lambda reading: reading.at_ns))


def _crashed(shop: Shop, cuts: set[int], rng: Random) -> Kept:
    """Memory is gone at these readings; the till, not answered yet, says its last lines again."""
    kept, unanswered = shop.new(), list[Reading]()
    for number, reading in enumerate(shop.day):
        if number in cuts:
            kept.crash()
            for line in unanswered:
                kept.engine.receive(Reading(reading.at_ns, line.device, line.body))
            kept.commit()
            unanswered.clear()
        kept.engine.receive(reading)
        if isinstance(reading.body, PosLine):
            unanswered.append(reading)
        if not isinstance(reading.body, Weight | PosLine) or rng.random() < 0.05:
            kept.commit()
            unanswered.clear()
    kept.commit()
    return kept


def _moments(shop: Shop) -> tuple[list[int], list[int]]:
    """Numbers of the readings before which all plates rest, and before which one moves."""
    kept, resting, moving = shop.new(), list[int](), list[int]()
    for number, reading in enumerate(shop.day):
        views = [kept.engine.plates(f"scale-{s.location}")[0][1] for s in shop.shelves]
        if all(view.baseline_mg is not None for view in views):
            (moving if any(view.moving for view in views) else resting).append(number)
        kept.engine.receive(reading)
    return resting, moving


# --- E5 -----------------------------------------------------------------------------------------


def _woken(shop: Shop, rng: Random) -> Kept:
    """The clock looks in now and then, also where nothing is due."""
    kept, now_ns = shop.new(), START_NS
    for reading in shop.day:
        if rng.random() < 0.05 and reading.at_ns > now_ns:
            kept.engine.advance(rng.randint(now_ns, reading.at_ns))
        now_ns = reading.at_ns
        kept.engine.receive(reading)
        if rng.random() < 0.3:
            kept.commit()
    kept.commit()
    return kept


def _batched(shop: Shop, size: int) -> Kept:
    kept = shop.new()
    for number, reading in enumerate(shop.day):
        kept.engine.receive(reading)
        if number % size == size - 1:
            kept.commit()
    kept.commit()
    return kept


def _restarted(shop: Shop, day: Day, rng: Random, share: float) -> Kept:
    kept = shop.new()
    for reading in day:
        if rng.random() < share:
            kept.commit()
            kept.crash()
        kept.engine.receive(reading)
    kept.commit()
    return kept


def measure(seed: int, level: str) -> dict[str, float]:
    """E3 and E5 of one seed. Raises KeyError for another level."""
    counts: Counter[str] = Counter()
    for trial in range(TRIALS):
        rng = Random(f"{seed}/{level}/{trial}")
        shop = Shop(CHANNELS[level], rng)
        _orders(counts, shop, rng)
        _schedules(counts, shop, rng)
    return {name: float(value) for name, value in counts.items()}


def _orders(counts: Counter[str], shop: Shop, rng: Random) -> None:
    """E3: what the same readings, delivered otherwise, come to in the end."""
    plain = straight(shop, shop.day).ended()
    resting, moving = _moments(shop)
    ways: Mapping[str, Callable[[], Kept]] = {
        "duplicates": lambda: straight(shop, said_twice(shop.day, rng, weights=False)),
        "weights": lambda: straight(shop, said_twice(shop.day, rng, weights=True)),
        "shuffled": lambda: straight(shop, late(shop.day, rng)),
        "crash": lambda: _crashed(shop, {rng.choice(resting)}, rng),
        "crash_moving": lambda: _crashed(shop, {rng.choice(moving)}, rng),
    }
    for way, tell in ways.items():
        other = tell().ended()
        off = sum(abs(plain.get(key, 0) - other.get(key, 0)) for key in {*plain, *other})
        counts[f"E3/{way}.trials"] += 1
        counts[f"E3/{way}.differ"] += off > 0
        counts[f"E3/{way}.units"] += off // 2


def _schedules(counts: Counter[str], shop: Shop, rng: Random) -> None:
    """E5: the bytes of the same readings in the same order, however the machine is run."""
    plain = straight(shop, shop.day).bodies
    talk = tuple(r for r in shop.day if not isinstance(r.body, Weight))
    talked = straight(shop, talk).bodies
    ways: Mapping[str, tuple[Callable[[], Kept], Sequence[bytes]]] = {
        "wake_ups": (lambda: _woken(shop, rng), plain),
        "batches": (lambda: _batched(shop, rng.choice((1, 7, 4096, 1 << 30))), plain),
        "restarts": (lambda: _restarted(shop, talk, rng, 0.2), talked),
        "restarts_weighed": (lambda: _restarted(shop, shop.day, rng, 0.001), plain),
    }
    for way, (tell, expected) in ways.items():
        counts[f"E5/{way}.trials"] += 1
        counts[f"E5/{way}.differ"] += tell().bodies != expected
