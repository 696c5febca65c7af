"""What the core's state weighs: ALGORITHMS 8, row E4.

Figures: `E4.mb`, the growth of a fresh process while an engine takes in 20,000 product-locations
(each counted once, each with a sensor's claim) and 50,000 tags on eight readers of four antennas;
`E4.weight_us` and `E4.tag_us`, what a sample and a read cost that engine then, identification and
fusion included (acceptance: 15 and 20 microseconds). One process of its own per measure: memory
that another measure left behind would flatter it. Times are the machine's own.

Not here: the catalogue and the configuration, which are not state; decoding (`bench pipeline`).
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Final

from gateway.bench.load import rss_kib
from gateway.bench.store.aisle import gtin
from gateway.bench.tag_reports import sgtin96
from gateway.core.engine import Engine
from gateway.domain.observation import LevelClaim
from gateway.domain.reading import Body, Command, Reading, Stocktake, Tag, Weight
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_MS, NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

START_NS: Final = 1_780_300_800 * NS_PER_S
PRODUCTS: Final = 20_000
PREFIX: Final = 1234_00000
"""The company of the tags' GTINs."""
SHELVES: Final = 1_000
PLATES: Final = 200
TAGS: Final = 50_000
READERS: Final = 8
ANTENNAS: Final = 4
SAMPLES: Final = 100_000
READS: Final = 50_000
TRAY_MG: Final = 5_000_000
_LIKELY: Final = (-9_000, 0, -9_000)
FLOOR_MNAT: Final = -9_456


def shop() -> tuple[Settings, Store]:
    """A large shop: shelves of twenty products, two hundred of them on plates of one product."""
    places = tuple(Location(f"a{n}", "shelf") for n in range(SHELVES))
    products = tuple(
        Product(gtin(PREFIX + 1 + n), f"product {n}", unit_mass_mg=300_000) for n in range(PRODUCTS)
    )
    facings = tuple(
        Facing(f"a{n % SHELVES}", str(n), product.gtin, capacity_milli=24 * PIECE_MILLI)
        for n, product in enumerate(products)
    )
    scales = [
        DeviceSettings(f"scale-{n}", "scale_sics", "", f"a{n}", {"rate_hz": 20})
        for n in range(PLATES)
    ]
    readers = [
        DeviceSettings(f"rfid-{n}", "rfid_llrp", "", f"a{PLATES + n}") for n in range(READERS)
    ]
    settings = Settings(StoreSettings("bench"), location=places, device=(*scales, *readers))
    return settings, Store("bench", places, products, facings)


class Load:
    """An engine that takes in a whole shop, as a daemon would: what it says is taken at once."""

    def __init__(self) -> None:
        settings, self._store = shop()
        self._past = Past()
        gc.collect()
        self.before_kib = rss_kib(os.getpid())
        self._engine = Engine(settings, self._store, ZERO_INST, self._past)
        self._now_ns = START_NS

    def say(self, said: Iterable[tuple[str, Body]], every_ns: int) -> float:
        """Readings one after another; how long the engine was at it, in seconds."""
        spent = 0.0
        for number, (device, body) in enumerate(said):
            self._now_ns += every_ns
            reading = Reading(self._now_ns, device, body)
            began = time.perf_counter()
            self._engine.receive(reading)
            spent += time.perf_counter() - began
            if number % 256 == 0:
                self._engine.take()
        self._engine.take()
        return spent

    def claim(self) -> None:
        """Every product-location hears a sensor once."""
        for facing in self._store.planogram:
            self._now_ns += NS_PER_MS
            claim = LevelClaim(
                self._now_ns, "rfid-0", "", facing.location, facing.gtin, "rfid", 11, _LIKELY,
                FLOOR_MNAT,
            )  # fmt: skip
            self._engine._observe([claim])
        self._engine.take()

    def counts(self) -> Iterable[tuple[str, Body]]:
        """The opening stock."""
        for facing in self._store.planogram:
            yield "console", Command(Stocktake(facing.location, facing.gtin, 12 * PIECE_MILLI))

    def tags(self, count: int) -> Iterable[tuple[str, Body]]:
        """Reads of all tags in turn."""
        for n in range(count):
            one = n % TAGS
            epc = sgtin96(1 + one % PRODUCTS, one).hex().upper()
            antenna = 1 + one // READERS % ANTENNAS
            yield f"rfid-{one % READERS}", Tag(epc, antenna, -5500)

    def samples(self, count: int, rng: Random) -> Iterable[tuple[str, Body]]:
        """Plates in turn; now and then a unit of one is taken."""
        loads = [TRAY_MG] * PLATES
        for n in range(count):
            plate = n % PLATES
            if rng.random() < 0.001:
                loads[plate] -= 300_000
            yield f"scale-{plate}", Weight(loads[plate] + round(rng.gauss(0.0, 1_000.0)))


def measured(seed: int) -> dict[str, float]:
    """In this process, which should be a fresh one."""
    load, rng = Load(), Random(f"E4 {seed}")
    load.say(load.counts(), NS_PER_MS)
    load.claim()
    weight_s = load.say(load.samples(SAMPLES, rng), NS_PER_S // 20 // PLATES)
    for _ in range(3):
        load.say(load.tags(TAGS), NS_PER_MS // 20)
    tag_s = load.say(load.tags(READS), NS_PER_MS // 20)
    gc.collect()
    return {
        "E4.mb": (rss_kib(os.getpid()) - load.before_kib) / 1024,
        "E4.weight_us": 1e6 * weight_s / SAMPLES,
        "E4.tag_us": 1e6 * tag_s / READS,
    }


def measure(seed: int, level: str) -> dict[str, float]:
    """One seed, in a process of its own; the level has no say."""
    del level
    code = (
        "import json; from gateway.bench.store.memory import measured; "
        f"print(json.dumps(measured({seed})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return dict(json.loads(done.stdout))


def pooled(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The worst of each."""
    return {name: max(seed[name] for seed in seeds) for name in seeds[0]}
