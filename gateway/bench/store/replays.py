"""The same day told otherwise: duplicates, other order, crashes, wake-ups: ALGORITHMS 8, E3 and E5.

Figures count trials that differ from the day as it was told: `E3/<way>.differ` of `.trials` in
their final balances, with `.units` between the two; `E5/<way>.differ` in any byte of a stock event.
Ways of E3: `duplicates` (till lines and serial scans, 10 % said twice within 5 s), `samples` (10 %
of the samples said twice at once), `shuffled` (sources late by up to 5 s against each other, each
in its own order, the plates of the bay as one: they hang on one controller), `shuffled_plates`
(each plate a source of its own: without a clock of their own nothing tells what happened together),
`crash` (see `crashes`). Of E5: `wake_ups`, `batches`, `restarts` (the journal's observations folded
again, as `stockd verify` does, by machines that stop between them), `restarts_live` (a machine that
stops while its plates are heard: not a replay, and the windows of the plates are lost with it).

Here: ways to tell a day. Not here: the day (`days`), what it means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Final, TypeVar

import msgspec

from gateway.bench.store import crashes
from gateway.bench.store.days import START_NS, Day, Kept, Shop
from gateway.bench.store.plates import CHANNELS
from gateway.core.book import Balance, Book
from gateway.core.fuse import Fusion
from gateway.core.postings import Poster
from gateway.core.sensors import weighed
from gateway.domain.reading import Command, DeviceState, Reading, Weight
from gateway.domain.units import NS_PER_MS, NS_PER_S
from gateway.domain.wire import ZERO_INST, replay_stamp, stock_body
from gateway.replay import Past

TRIALS: Final = 5
CRASHES: Final = 4
"""Deaths of the machine in each trial's day."""
TWICE: Final = 0.1
WITHIN_MS: Final = 5000
ENCODER: Final = msgspec.json.Encoder()
K = TypeVar("K")


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
        if isinstance(reading.body, Command | DeviceState) or weight != weights:
            continue
        if rng.random() < TWICE:
            late_ms = 0 if weight else rng.randint(0, WITHIN_MS)
            at_ns = reading.at_ns + late_ms * NS_PER_MS
            out.append(Reading(at_ns, reading.device, reading.body))
    return tuple(sorted(out, key=lambda reading: reading.at_ns))


def late(day: Day, rng: Random, *, alone: Sequence[str] = ()) -> Day:
    """Each source late by its own, changing lag of up to 5 s; none overtakes itself.

    Scales are one source but for those `alone`. What is already late when the lag ends comes at
    once, as it does over a link that was stuck.
    """
    out: list[Reading] = []
    heard: dict[str, int] = {}
    lag: dict[str, tuple[int, int]] = {}
    for reading in day:
        device = reading.device
        name = "bay" if device.startswith("scale") and device not in alone else device
        until_ns, late_ns = lag.get(name, (0, 0))
        if reading.at_ns >= until_ns:
            late_ns = rng.randint(0, WITHIN_MS) * NS_PER_MS
            lag[name] = (reading.at_ns + rng.randint(3, 20) * NS_PER_S, late_ns)
        at_ns = max(heard.get(name, 0), reading.at_ns + late_ns)
        heard[name] = at_ns
        out.append(reading if name == "console" else Reading(at_ns, device, reading.body))
    return tuple(sorted(out, key=lambda reading: reading.at_ns))


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


def _restarted(shop: Shop, rng: Random, share: float) -> Kept:
    kept = shop.new()
    for reading in shop.day:
        if rng.random() < share:
            kept.commit()
            kept.crash()
        kept.engine.receive(reading)
    kept.commit()
    return kept


def _folded(shop: Shop, told: Kept, rng: Random, share: float) -> list[bytes]:
    """The bodies of the day's observations, folded by one machine after another."""
    past, parts, bodies = Past(), dict[str, bytes](), list[bytes]()
    balances: dict[tuple[str, str, str], Balance] = {}

    def machine() -> tuple[Poster, Fusion]:
        book = Book(tuple(balances.values()))
        poster = Poster(shop.store, book, ZERO_INST, len(bodies) + 1, past)
        where = weighed(shop.settings)
        return poster, Fusion(shop.store, shop.settings.fusion, poster, where, dict(parts))

    poster, fusion = machine()
    for number, observation in [*told.observations, (0, None)]:
        at_ns = told.position.at_ns if observation is None else observation.at_ns
        while (due := fusion.deadline()) is not None and due <= at_ns:
            fusion.advance(due)
        if observation is not None:
            fusion.observe(number, observation)
        for one in poster.take()[0]:
            past.add(one.event)
            bodies.append(stock_body(one.event, replay_stamp(one.event.at_ns)))
        balances |= {(b.loc, b.gtin, b.lot): b for b in poster.book.take_changed()}
        for key in fusion.changed:
            part = fusion.part(key)
            if part is None:
                parts.pop(key, None)
            else:
                parts[key] = ENCODER.encode(part)
        fusion.changed.clear()
        if rng.random() < share:
            poster, fusion = machine()
    return bodies


def measure(seed: int, level: str) -> dict[str, float]:
    """E3 and E5 of one seed. Raises KeyError for another level."""
    counts: Counter[str] = Counter()
    for trial in range(TRIALS):
        rng = Random(f"{seed}/{level}/{trial}")
        shop = Shop(CHANNELS[level], rng)
        _orders(counts, shop, rng)
        _crashes(counts, shop, rng)
        _schedules(counts, shop, rng)
    return {name: float(value) for name, value in counts.items()}


def _count(counts: Counter[str], way: str, plain: Mapping[K, int], other: Mapping[K, int]) -> None:
    off = sum(abs(plain.get(key, 0) - other.get(key, 0)) for key in {*plain, *other})
    counts[f"E3/{way}.trials"] += 1
    counts[f"E3/{way}.differ"] += off > 0
    counts[f"E3/{way}.units"] += off // 2


def _orders(counts: Counter[str], shop: Shop, rng: Random) -> None:
    """E3: what the same readings, delivered otherwise, come to in the end."""
    plain = straight(shop, shop.day).ended()
    ways: Mapping[str, Callable[[], Day]] = {
        "duplicates": lambda: said_twice(shop.day, rng, weights=False),
        "samples": lambda: said_twice(shop.day, rng, weights=True),
        "shuffled": lambda: late(shop.day, rng),
        "shuffled_plates": lambda: late(shop.day, rng, alone=shop.scales),
    }
    for way, tell in ways.items():
        _count(counts, way, plain, straight(shop, tell()).ended())


def _crashes(counts: Counter[str], shop: Shop, rng: Random) -> None:
    plain = crashes.lived(shop, None)
    for _ in range(CRASHES):
        cut = crashes.Cut.somewhere(plain.transactions, rng)
        _count(counts, "crash", plain.kept.ended(), crashes.lived(shop, cut).kept.ended())


def _schedules(counts: Counter[str], shop: Shop, rng: Random) -> None:
    """E5: the bytes of the same readings in the same order, however the machine is run."""
    told = straight(shop, shop.day)
    plain = told.bodies
    ways: Mapping[str, Callable[[], list[bytes]]] = {
        "wake_ups": lambda: _woken(shop, rng).bodies,
        "batches": lambda: _batched(shop, rng.choice((1, 7, 4096, 1 << 30))).bodies,
        "restarts": lambda: _folded(shop, told, rng, 0.2),
        "restarts_live": lambda: _restarted(shop, rng, 0.001).bodies,
    }
    for way, tell in ways.items():
        counts[f"E5/{way}.trials"] += 1
        counts[f"E5/{way}.differ"] += tell() != plain
