"""`stockd bench pipeline`: cost per reading, a full store through real ports, memory, start-up.

Here: the decoders and the engine alone in this process, then the real daemon under the load of 200
scales and 10 scanners. RFID readers join when their driver does. Not here: latency.
"""

from __future__ import annotations

import asyncio
import os
import pty
import random
import tempfile
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.bench.machine import BenchFailed, Machine, gtin13, machine, permille
from gateway.bench.tag_reports import shop_floor
from gateway.config import load
from gateway.control import Client, NotRunning
from gateway.core.engine import Engine
from gateway.domain.reading import Body, Reading, Scan, Weight, Word
from gateway.domain.stock import StockEvent
from gateway.processes import Child, ChildFailed
from gateway.registry import build_options
from gateway.registry import load as load_driver

SCALES: Final = 200
RATE_HZ: Final = 20
SCANNERS: Final = 10
SAMPLES: Final = 200_000
SEED: Final = 1
READY_S: Final = 20.0
TAG_SECONDS: Final = 600


class Cost(Word, frozen=True):
    """A step's cost, and how many fit in a second of one core."""

    ns_per_reading: int
    readings_per_s: int


class FullStore(Word, frozen=True):
    """The daemon under the readings of a full store."""

    scales: int
    scanners: int
    rate_hz: int
    seconds: float
    readings_offered: int
    readings_taken: int
    events_booked: int
    core_permille: int
    """CPU time of the daemon per second, in thousandths of one core."""
    rss_kib: int


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


def _timed(count: int, work: Callable[[], object]) -> Cost:
    begin = time.perf_counter_ns()
    work()
    took = time.perf_counter_ns() - begin
    return Cost(took // count, count * 1_000_000_000 // max(1, took))


def _configuration(folder: Path, scales: int, scanners: int) -> Path:
    """A store without a link, its ports in the folder."""
    out = ['[store]\nid = "bench"\n[journal]\npath = "stockd.db"\n[ledger_link]\nurl = ""\n']
    out.append('[[location]]\nid = "till"\nkind = "till"\n')
    out.append('[[location]]\nid = "back"\nkind = "backroom"\n')
    products, planogram = ["gtin,name,unit_mass_mg"], ["location,slot,gtin,capacity_milli"]
    for n in range(scales):
        gtin = gtin13(900_000 + n)
        out.append(f'[[location]]\nid = "p{n}"\nkind = "shelf"\n')
        out.append(f'[[device]]\nid = "scale-{n}"\ndriver = "scale_sics"\nlocation = "p{n}"\n'
                   f'link = "serial://{folder}/scale-{n}"\n')  # fmt: skip
        products.append(f"{gtin},Jar {n},500000")
        planogram.append(f"p{n},1,{gtin},20000")
    out += [
        f'[[device]]\nid = "scanner-{n}"\ndriver = "scanner_serial"\n'
        f'location = "till"\nlink = "serial://{folder}/scanner-{n}"\n'
        for n in range(scanners)
    ]
    out.append('[[device]]\nid = "reader"\ndriver = "rfid_llrp"\nlocation = "back"\n'
               'link = "tcp://127.0.0.1:5084"\n')  # fmt: skip
    (folder / "store.toml").write_text("".join(out), encoding="utf-8")
    (folder / "products.csv").write_text("\n".join(products) + "\n", encoding="utf-8")
    (folder / "planogram.csv").write_text("\n".join(planogram) + "\n", encoding="utf-8")
    return folder / "store.toml"


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
    return decode, _core(config, bodies, "reader", TAG_SECONDS * 1_000_000_000 // count)


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
        config = _configuration(folder, 1, 1)
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
    say(f"a full store: {SCALES} scales at {RATE_HZ} Hz, {SCANNERS} scanners, {seconds:.0f} s")
    full = await _full_store(seconds, rng)
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


class _Port:
    """A pseudo-terminal under a name."""

    def __init__(self, path: Path) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        path.symlink_to(os.ttyname(self._slave))

    def write(self, data: bytes) -> bool:
        """False when nobody reads fast enough."""
        try:
            os.write(self.master, data)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self.master)
        os.close(self._slave)


def _kib(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _client(folder: Path, child: Child) -> Client:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            return Client(folder / "stockd.db")
        except NotRunning:
            await asyncio.sleep(0.005)
    raise ChildFailed(f"stockd did not start\n{child.said()}")


async def _start_up() -> tuple[int, int]:
    """Milliseconds from the start of the process to its first event; memory some seconds later."""
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        folder = Path(name)
        config = _configuration(folder, 8, 2)
        ports = [_Port(folder / f"scale-{n}") for n in range(8)]
        ports += [_Port(folder / f"scanner-{n}") for n in range(2)]
        begin = time.monotonic()
        arguments = ["gateway.cli", "--config", str(config), "run"]
        child = await Child.start("stockd", arguments, folder)
        try:
            client = await _client(folder, child)
            while client.status().journal.stock_seq == 0:
                ports[-1].write(f"{gtin13(1)}\r".encode())
                await asyncio.sleep(0.005)
            took_ms = int((time.monotonic() - begin) * 1000)
            for _ in range(60):
                for port in ports[:8]:
                    port.write(b"S S     10.000 kg\r\n")
                await asyncio.sleep(0.05)
            rss = _kib(child.process.pid, "VmRSS:")
            client.close()
        finally:
            await child.end()
            for port in ports:
                port.close()
    return took_ms, rss


async def _full_store(seconds: float, rng: random.Random) -> FullStore:
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        folder = Path(name)
        config = _configuration(folder, SCALES, SCANNERS)
        scales = [_Port(folder / f"scale-{n}") for n in range(SCALES)]
        scanners = [_Port(folder / f"scanner-{n}") for n in range(SCANNERS)]
        child = await Child.start("stockd", ["gateway.cli", "--config", str(config), "run"], folder)
        try:
            client = await _client(folder, child)
            for _ in range(int(READY_S / 0.05)):
                if all(d.health.state == "up" for d in client.status().devices):
                    break
                await asyncio.sleep(0.05)
            before, cpu = client.status(), _cpu_s(child.process.pid)
            begin = time.monotonic()
            offered = await _offer(scales, scanners, seconds, rng)
            took = time.monotonic() - begin
            await asyncio.sleep(0.3)
            used = _cpu_s(child.process.pid) - cpu
            after = client.status()
            rss = _kib(child.process.pid, "VmRSS:")
            client.close()
        finally:
            await child.end()
            for port in (*scales, *scanners):
                port.close()
    return FullStore(
        scales=SCALES,
        scanners=SCANNERS,
        rate_hz=RATE_HZ,
        seconds=took,
        readings_offered=offered,
        readings_taken=after.readings_total - before.readings_total,
        events_booked=after.journal.stock_seq - before.journal.stock_seq,
        core_permille=int(1000 * used / took),
        rss_kib=rss,
    )


async def _offer(
    scales: list[_Port], scanners: list[_Port], seconds: float, rng: random.Random
) -> int:
    """Each scale at its rate, spread over the period; each scanner once a second."""
    offered = code = 0
    begin = time.monotonic()
    slices = 10
    for tick in range(int(seconds * RATE_HZ * slices)):
        for n in range(tick % slices, SCALES, slices):
            line = b"S S %10.3f kg\r\n" % (10 + rng.gauss(0, 0.001))
            offered += scales[n].write(line)
        if tick % (RATE_HZ * slices // SCANNERS) == 0:
            code += 1
            port = scanners[code % SCANNERS]
            offered += port.write(f"{gtin13(code)}\r".encode())
        await asyncio.sleep(max(0.0, begin + (tick + 1) / RATE_HZ / slices - time.monotonic()))
    return offered


def encode(result: msgspec.Struct) -> bytes:
    """A result as JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1)
