"""A short day of a small shop as readings, and a machine that keeps what a journal would hold.

Here: three plates of one bay, a till, a scanner at the back door; shoppers who take, pay, put back,
mislay or steal; `Kept`, an engine that can be built again from its record. Not here: other ways to
tell the day (`replays`), machines that die (`crashes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import msgspec

from gateway.bench.store.aisle import BAY_APART_S, CROWD, Shelf, Shelving, gtin
from gateway.bench.store.booked import store_of
from gateway.bench.store.plates import (
    QUIET_S,
    Act,
    Channel,
    Gesture,
    Sku,
    disturbances,
    reach,
    sku,
)
from gateway.core.book import Balance
from gateway.core.engine import Engine
from gateway.core.outcome import EMPTY, FLEETING, Outcome, Saved
from gateway.domain.observation import Observation
from gateway.domain.reading import (
    Body,
    Command,
    DeviceState,
    PosLine,
    Reading,
    Scan,
    Stocktake,
    Weight,
)
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Location, Store
from gateway.domain.units import NS_PER_MS, NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST, replay_stamp, stock_body
from gateway.replay import Past

START_NS: Final = 1_780_300_800 * NS_PER_S
TAKINGS: Final = 25
ARRIVAL_S: Final = 6.0
"""Mean pause before the next shopper reaches: a bay busier than any, so that days stay short."""
RECEIVED: Final = 8
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
        self.position = EMPTY.position
        self.bodies: list[bytes] = []
        self.observations: list[tuple[int, Observation]] = []
        self.lazy: dict[str, bytes | None] = {}
        """What may reach the disk later."""
        self.engine = Engine(settings, self._store, ZERO_INST, self._past)

    def commit(self) -> None:
        """What the engine decided since the last time is on disk."""
        self.write(self.engine.take())
        self.keep_plates(unseen=False)
        self.flush()

    def write(self, outcome: Outcome) -> None:
        """One transaction of the journal; what is fleeting waits for the next flush."""
        self.observations += outcome.observations
        for one in outcome.posted:
            self._past.add(one.event)
            self.bodies.append(stock_body(one.event, replay_stamp(one.event.at_ns)))
        self._balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        for key, body in outcome.parts:
            if key.startswith(FLEETING):
                self.lazy[key] = body
            else:
                self.lazy.pop(key, None)
                self._set(key, body)
        self.position = outcome.position

    def keep(self, parts: Iterable[tuple[str, bytes | None]]) -> None:
        """State that a flush writes."""
        self.lazy.update(parts)

    def keep_plates(self, *, unseen: bool) -> None:
        """Levels of the plates, as the daemon asks for them now and then."""
        self.keep(self.engine.plate_parts(unseen=unseen))

    def flush(self) -> None:
        """What waited is on disk."""
        for key, body in self.lazy.items():
            self._set(key, body)
        self.lazy.clear()

    def _set(self, key: str, body: bytes | None) -> None:
        if body is None:
            self._parts.pop(key, None)
        else:
            self._parts[key] = body

    def crash(self) -> None:
        """Memory is gone; what was committed is not."""
        self.lazy.clear()
        saved = Saved(self.position, tuple(self._balances.values()), self.parts)
        self.engine = Engine(self._settings, self._store, ZERO_INST, self._past, saved)

    @property
    def parts(self) -> dict[str, bytes]:
        """State on disk, by key."""
        return dict(sorted(self._parts.items()))

    def ended(self) -> Mapping[tuple[str, str], int]:
        """Balances when nothing waits any more, by place and product, in units."""
        self.engine.advance(self.position.at_ns + AFTER_NS)
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
        self.scales = tuple(device.id for device in devices if device.role == "scale")
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
            at_s += rng.expovariate(1.0 / ARRIVAL_S)
            shelf, units = rng.choice(self.shelves), rng.choice((1, 1, 1, 2))
            one = rng.choice(shelf.goods)
            taken = self._reach(hands, at_s, units, rng)
            hands.append(_Hand(shelf.location, one, -units, taken))
            at_s = taken.begin_s
            fate = rng.random()
            if fate < 0.25:
                back = rng.choice((shelf, shelf, *self.shelves)).location
                put = self._reach(hands, taken.released_s + rng.uniform(4.0, 20.0), units, rng)
                hands.append(_Hand(back, one, units, put))
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

    def begun(self, at_ns: int) -> Iterator[Reading]:
        """What is said of the scales when the gateway starts."""
        for name in self.scales:
            yield Reading(at_ns, name, DeviceState("down", "gateway started"))
            yield Reading(at_ns, name, DeviceState("up", "opened"))

    def _opening(self) -> Iterator[Reading]:
        yield from self.begun(START_NS)
        for shelf in self.shelves:
            for one in shelf.goods:
                count = Stocktake(shelf.location, one.gtin, UNITS * PIECE_MILLI)
                yield Reading(START_NS, "console", Command(count))

    def _reach(self, hands: Sequence[_Hand], at_s: float, units: int, rng: Random) -> Gesture:
        """Nobody reaches through another's arm, but where two stand at one bay together."""
        gesture = reach(self._channel.level, rng, at_s, units)
        apart = rng.random() >= CROWD
        while apart and (last := _in_the_way(hands, gesture)) is not None:
            late_s = last.released_s + BAY_APART_S - gesture.begin_s
            gesture = replace(gesture, begin_s=gesture.begin_s + late_s)
        return gesture

    def _samples(
        self, hands: list[_Hand], until_s: int, rng: Random
    ) -> Iterator[tuple[int, str, Body]]:
        shelving = Shelving(self.shelves, self._channel.level, rng)
        waiting = sorted(hands, key=lambda hand: hand.gesture.begin_s)
        others = self._others(float(until_s), rng)
        for tick in range(until_s * RATE_HZ):
            at_s = tick / RATE_HZ
            while waiting and waiting[0].gesture.begin_s <= at_s:
                hand = waiting.pop(0)
                load_g = sum(hand.goods.unit_g(rng) for _ in range(abs(hand.units)))
                sign = 1 if hand.units > 0 else -1
                shelving.handle(hand.plate, hand.gesture, {hand.plate: sign * load_g})
            while others and others[-1][1].begin_s <= at_s:
                place, act = others.pop()
                act.befall(shelving.cells[place])
            for place, cell in shelving.cells.items():
                mass_mg = round(cell.sample_g(at_s) * 1000.0)
                yield tick * 1000 // RATE_HZ, f"scale-{place}", Weight(mass_mg)

    def _others(self, until_s: float, rng: Random) -> list[tuple[str, Act]]:
        """Touches of each plate and bumps of the bay, the last first."""
        bumps = [act for act in disturbances(self._channel.level, until_s, rng) if not act.gesture]
        others: list[tuple[str, Act]] = []
        for shelf in self.shelves:
            acts = disturbances(self._channel.level, until_s, rng)
            others += [(shelf.location, act) for act in acts if act.gesture]
            others += [(shelf.location, act) for act in bumps]
        return sorted(others, key=lambda one: one[1].begin_s, reverse=True)


def _in_the_way(hands: Sequence[_Hand], gesture: Gesture) -> Gesture | None:
    """The hand that is at the bay then, or just before or after."""
    for hand in hands:
        other = hand.gesture
        if (
            other.begin_s < gesture.released_s + BAY_APART_S
            and gesture.begin_s < other.released_s + BAY_APART_S - 1e-9
        ):
            return other
    return None
