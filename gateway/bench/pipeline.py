"""`stockd bench pipeline`: cost per reading, a full store through real ports, memory, start-up.

Here: the decoders and the engine alone in this process, and the start of the daemon. Not here: the
daemon under the load of a full store (`full_store`), latency to the ledger (`latency`).
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.bench.full_store import FullStore, full_store
from gateway.bench.load import Port, client_of, rss_kib, store_of
from gateway.bench.machine import BenchFailed, Machine, gtin13, machine, permille
from gateway.bench.tag_reports import shop_floor
from gateway.config import load
from gateway.core.engine import Engine
from gateway.domain.reading import Body, Reading, Scan, Weight, Word
from gateway.domain.stock import Source, StockEvent
from gateway.processes import Child
from gateway.registry import build_options
from gateway.registry import load as load_driver

SAMPLES: Final = 200_000
SEED: Final = 1
TAG_SECONDS: Final = 600


class Cost(Word, frozen=True):
    """A step's cost, and how many fit in a second of one core."""

    ns_per_reading: int
    readings_per_s: int


class Pipeline(Word, frozen=True):
    """The result. The floor is a bare loop over the same readings that touches each of them."""

    machine: Machine
    seed: int
    floor: Cost
    decode_weight: Cost
    decode_scan: Cost
    core_weight_quiet: Cost
    core_weight_moving: Cost
    core_scan: Cost
    decode_tag: Cost
    """From LLRP bytes in 64 KiB pieces to readings."""
    core_tag: Cost
    """A reading through the presence of its tag."""
    tags_per_s: int
    """Decoded and filtered, one after the other, on one core."""
    core_weight_quiet_permille_of_floor: int
    start_to_first_reading_ms: int
    rss_idle_kib: int
    full_store: FullStore


class _NoPast:
    def event(self, which: int | str) -> StockEvent | None:
        return None

    def voided(self, event_id: str) -> bool:
        return False

    def named(self, source: Source) -> bool:
        return False


def _timed(count: int, work: Callable[[], object]) -> Cost:
    begin = time.perf_counter_ns()
    work()
    took = time.perf_counter_ns() - begin
    return Cost(took // count, count * 1_000_000_000 // max(1, took))


def _decode(driver_name: str, data: bytes, count: int) -> Cost:
    driver = load_driver(driver_name)
    decoder = driver.decoder(build_options(driver, {}))
    chunks = [data[n : n + 64] for n in range(0, len(data), 64)]

    def work() -> None:
        for chunk in chunks:
            decoder.feed(chunk)

    return _timed(count, work)


def _core(config: Path, bodies: list[Body], device: str, step_ns: int) -> Cost:
    loaded = load(config)
    engine = Engine(loaded.settings, loaded.store, "0" * 32, _NoPast())
    readings = [Reading(10**18 + n * step_ns, device, body) for n, body in enumerate(bodies)]

    def work() -> None:
        for n, reading in enumerate(readings):
            engine.receive(reading)
            if n % 64 == 0:
                engine.take()

    return _timed(len(readings), work)


def _tags(config: Path, rng: random.Random) -> tuple[Cost, Cost]:
    """Ten minutes of one reader with 400 tags before it, decoded and then filtered."""
    data, count = shop_floor(TAG_SECONDS, rng)
    driver = load_driver("rfid_llrp")
    decoder = driver.decoder(build_options(driver, {}))
    chunks = [data[n : n + 65_536] for n in range(0, len(data), 65_536)]
    bodies: list[Body] = []

    def work() -> None:
        for chunk in chunks:
            bodies.extend(decoder.feed(chunk))

    decode = _timed(count, work)
    if len(bodies) != count:
        raise BenchFailed(f"{count} reads became {len(bodies)} readings")
    return decode, _core(config, bodies, "reader-0", TAG_SECONDS * 1_000_000_000 // count)


async def pipeline(seconds: float, say: Callable[[str], None]) -> Pipeline:
    """Runs it. Raises ChildFailed."""
    rng = random.Random(SEED)
    masses = [10_000_000 + round(rng.gauss(0, 1000)) for _ in range(SAMPLES)]
    shaken = [10_000_000 + round(rng.gauss(0, 100_000)) for _ in range(SAMPLES)]
    quiet: list[Body] = [Weight(mass, True) for mass in masses]
    moving: list[Body] = [Weight(mass, False) for mass in shaken]
    scans: list[Body] = [Scan(gtin13(n)) for n in range(SAMPLES // 20)]
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        folder = Path(name)
        config = store_of(folder, 1, 1, (5084,))
        say("decoders and core")
        total = 0

        def bare() -> None:
            nonlocal total
            for body in quiet:
                total += body.mass_mg  # type: ignore[union-attr]

        floor = _timed(SAMPLES, bare)
        lines = b"".join(b"S S %10.3f kg\r\n" % (mass / 1e6) for mass in masses)
        codes = b"".join(gtin13(n).encode() + b"\r" for n in range(SAMPLES // 20))
        weight = _core(config, quiet, "scale-0", 50_000_000)
        result_scan = _core(config, scans, "scanner-0", 50_000_000)
        result_moving = _core(config, moving, "scale-0", 50_000_000)
        decode_weight = _decode("scale_sics", lines, SAMPLES)
        decode_scan = _decode("scanner_serial", codes, SAMPLES // 20)
        decode_tag, core_tag = _tags(config, rng)
    say("start-up and memory")
    start_ms, rss = await _start_up()
    full = await full_store(seconds, SEED, say)
    return Pipeline(
        machine=machine(),
        seed=SEED,
        floor=floor,
        decode_weight=decode_weight,
        decode_scan=decode_scan,
        core_weight_quiet=weight,
        core_weight_moving=result_moving,
        core_scan=result_scan,
        decode_tag=decode_tag,
        core_tag=core_tag,
        tags_per_s=1_000_000_000 // (decode_tag.ns_per_reading + core_tag.ns_per_reading),
        core_weight_quiet_permille_of_floor=permille(weight.ns_per_reading, floor.ns_per_reading),
        start_to_first_reading_ms=start_ms,
        rss_idle_kib=rss,
        full_store=full,
    )


async def _start_up() -> tuple[int, int]:
    """Milliseconds from the start of the process to its first event; memory some seconds later."""
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        folder = Path(name)
        config = store_of(folder, 8, 2)
        ports = [Port(folder / f"scale-{n}") for n in range(8)]
        ports += [Port(folder / f"scanner-{n}") for n in range(2)]
        begin = time.monotonic()
        arguments = ["gateway.cli", "--config", str(config), "run"]
        child = await Child.start("stockd", arguments, folder)
        try:
            client = await client_of(folder, child)
            while client.status().journal.stock_seq == 0:
                ports[-1].write(f"{gtin13(1)}\r".encode())
                await asyncio.sleep(0.005)
            took_ms = int((time.monotonic() - begin) * 1000)
            for _ in range(60):
                for port in ports[:8]:
                    port.write(b"S S     10.000 kg\r\n")
                await asyncio.sleep(0.05)
            rss = rss_kib(child.process.pid)
            client.close()
        finally:
            await child.end()
            for port in ports:
                port.close()
    return took_ms, rss


def encode(result: msgspec.Struct) -> bytes:
    """A result as JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1)
