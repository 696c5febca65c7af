"""A full store on real ports: 200 scales, 8 RFID readers, 10 scanners; then one that babbles.

Here: the load, offered by this process, and the probed daemon in another; its share of a core, and
how long a scan takes from its byte to its decision meanwhile. Not here: the decoders alone
(`pipeline`), the way to the ledger (`latency`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tags import Heard
from gateway.bench.load import Port, client_of, cpu_s, rss_kib, store_of
from gateway.bench.machine import BenchFailed, Spread, gtin13, spread
from gateway.bench.tag_reports import report, sgtin96
from gateway.control import Client
from gateway.domain.reading import Word
from gateway.processes import Child, free_port

SCALES: Final = 200
RATE_HZ: Final = 20
SCANNERS: Final = 10
SCANS_HZ: Final = 10
READERS: Final = 8
VISITS_HZ: Final = 4
TAGS_PER_VISIT: Final = 100
TICK_S: Final = 0.005
SCANS_SKIPPED: Final = 5
"""The first of a phase meet a daemon that has just begun."""
READY_S: Final = 20.0
BABBLE: Final = 10


class Phase(Word, frozen=True):
    """The daemon under one load."""

    seconds: float
    readings_offered: int
    readings_taken: int
    events_booked: int
    core_permille: int
    """CPU time of the daemon per second, in thousandths of one core."""
    rss_kib: int
    scan_to_decision: Spread
    """From the write of a scan's bytes to its decision."""


class FullStore(Word, frozen=True):
    """Both phases; in the second, one scale and one reader speak ten times as fast."""

    scales: int
    rate_hz: int
    readers: int
    reads_per_s: int
    scanners: int
    calm: Phase
    babbling: Phase


def _next(due_s: float, now_s: float, period_s: float) -> float:
    """When it is due again: in its own rhythm, which a pause skips and never makes up for."""
    missed = int((now_s - due_s) / period_s)
    return due_s + (missed + 1) * period_s


class _NoTags:
    """A field without a tag: the reports are made ahead and sent beside what the reader says."""

    def heard(self, antenna: int, at_s: float) -> list[Heard]:
        del antenna, at_s
        return []

    def stalled(self, at_s: float) -> bool:
        del at_s
        return False


class _Reader:
    """A simulated reader on a TCP port, whose reports are made by the bench."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.port = free_port()
        self.speed = 1
        self._llrp = LlrpReader(4, _NoTags(), reader_id=f"00162501{number:08x}")
        self._rng = rng
        self._tags = [
            [sgtin96(10 + n % 20, number * 1000 + antenna * 200 + n) for n in range(TAGS_PER_VISIT)]
            for antenna in range(4)
        ]
        self._server: asyncio.Server | None = None
        self._client: asyncio.StreamWriter | None = None
        self._visit = 0
        # readers know nothing of each other: their visits are spread
        self._due_s = time.monotonic() + number / READERS / VISITS_HZ

    async def open(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = writer
        writer.write(self._llrp.connected(time.monotonic()))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(self._llrp.hear(time.monotonic(), data))
        self._client = None

    def tick(self, now_s: float) -> int:
        """Sends what is due; how many reads that were."""
        if self._client is None:
            return 0
        self._client.write(self._llrp.tick(now_s))
        if now_s < self._due_s:
            return 0
        self._due_s = _next(self._due_s, now_s, 1 / VISITS_HZ / self.speed)
        antenna = self._visit % 4
        self._visit += 1
        at_us = time.time_ns() // 1000
        self._client.write(report(self._tags[antenna], antenna + 1, at_us, self._rng))
        return TAGS_PER_VISIT

    def close(self) -> None:
        """Hangs up."""
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.close()


async def full_store(seconds: float, seed: int, say: Callable[[str], None]) -> FullStore:
    """Runs both phases, each so long. Raises BenchFailed, ChildFailed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        folder = Path(name)
        readers = [_Reader(n, rng) for n in range(READERS)]
        config = store_of(folder, SCALES, SCANNERS, [reader.port for reader in readers])
        load = _Load(folder, readers, rng)
        for reader in readers:
            await reader.open()
        child = await Child.start("stockd", ["gateway.bench.probe", str(config)], folder)
        try:
            client = await client_of(folder, child)
            await _all_up(client, load, child)
            say(f"a full store for {seconds:.0f} s")
            calm = await _phase(seconds, load, client, child.process.pid)
            say(f"a scale and a reader {BABBLE} times as fast, for {seconds:.0f} s")
            load.babble()
            babbling = await _phase(seconds, load, client, child.process.pid)
            client.close()
            child.signal(15)
            moments: Any = msgspec.json.decode(await child.line(READY_S))
        finally:
            await child.end()
            load.close()
    decided = moments["decided"]
    if len(decided) != len(load.written_ns):
        raise BenchFailed(f"{len(load.written_ns)} scans, {len(decided)} decisions")
    took = [b - a for a, b in zip(load.written_ns, decided, strict=True)]
    return FullStore(
        scales=SCALES,
        rate_hz=RATE_HZ,
        readers=READERS,
        reads_per_s=VISITS_HZ * TAGS_PER_VISIT,
        scanners=SCANNERS,
        calm=calm.told(took),
        babbling=babbling.told(took),
    )


class _Measured(Word, frozen=True):
    """A phase, and which scans it holds."""

    phase: Phase
    first: int
    last: int

    def told(self, took_ns: list[int]) -> Phase:
        """With the times of its scans."""
        mine = took_ns[self.first + SCANS_SKIPPED : self.last]
        return msgspec.structs.replace(self.phase, scan_to_decision=spread(mine))


async def _all_up(client: Client, load: _Load, child: Child) -> None:
    for _ in range(int(READY_S / 0.05)):
        if all(d.health.state == "up" for d in client.status().devices):
            return
        for reader in load.readers:
            reader.tick(time.monotonic())
        await asyncio.sleep(0.05)
    raise BenchFailed(f"not every device came up\n{child.said()}")


async def _phase(seconds: float, load: _Load, client: Client, pid: int) -> _Measured:
    before, cpu, first = client.status(), cpu_s(pid), len(load.written_ns)
    begin, offered = time.monotonic(), 0
    while (now_s := time.monotonic()) < begin + seconds:
        offered += load.tick(now_s)
        await asyncio.sleep(TICK_S)
    took = time.monotonic() - begin
    used = cpu_s(pid) - cpu
    await asyncio.sleep(0.3)
    after = client.status()
    phase = Phase(
        seconds=took,
        readings_offered=offered,
        readings_taken=after.readings_total - before.readings_total,
        events_booked=after.journal.stock_seq - before.journal.stock_seq,
        core_permille=int(1000 * used / took),
        rss_kib=rss_kib(pid),
        scan_to_decision=Spread(0, 0, 0, 0),
    )
    return _Measured(phase, first, len(load.written_ns))


class _Load:
    """Everything that speaks, each at its own rate."""

    def __init__(self, folder: Path, readers: list[_Reader], rng: random.Random) -> None:
        self._scales = [Port(folder / f"scale-{n}") for n in range(SCALES)]
        self._scanners = [Port(folder / f"scanner-{n}") for n in range(SCANNERS)]
        self.readers, self._rng = readers, rng
        # scales know nothing of each other: their samples are spread over the period
        begin_s = time.monotonic()
        self._scale_due_s = [begin_s + n / SCALES / RATE_HZ for n in range(SCALES)]
        self._scale_hz = [RATE_HZ] * SCALES
        self._scan_due_s = 0.0
        self.written_ns: list[int] = []

    def babble(self) -> None:
        """From here on one scale and one reader speak ten times as fast."""
        self._scale_hz[0] *= BABBLE
        self.readers[0].speed = BABBLE

    def tick(self, now_s: float) -> int:
        """Says what is due; how many readings that were."""
        said = 0
        for n, due_s in enumerate(self._scale_due_s):
            if now_s >= due_s:
                self._scale_due_s[n] = _next(due_s, now_s, 1 / self._scale_hz[n])
                line = b"S S %10.3f kg\r\n" % (10 + self._rng.gauss(0, 0.001))
                said += self._scales[n].write(line)
        said += sum(reader.tick(now_s) for reader in self.readers)
        if now_s >= self._scan_due_s:
            self._scan_due_s = _next(self._scan_due_s, now_s, 1 / SCANS_HZ)
            code = gtin13(len(self.written_ns)).encode() + b"\r"
            self.written_ns.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
            said += self._scanners[len(self.written_ns) % SCANNERS].write(code)
        return said

    def close(self) -> None:
        """Gives every port back."""
        for port in (*self._scales, *self._scanners):
            port.close()
        for reader in self.readers:
            reader.close()
