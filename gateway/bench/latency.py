"""`stockd bench latency`: device byte to decision, disk, PUBACK and ledger, beside the floor.

Here: broker, ledger, the probed daemon and the floor chain as processes; floor and daemon take
turns at the same rate in the same run. Not here: what a fast figure would be.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.bench.machine import (
    BenchFailed,
    Machine,
    Scanners,
    Spread,
    machine,
    permille,
    slow_fsync,
    spread,
)
from gateway.control import Client, NotRunning
from gateway.domain.reading import Word
from gateway.processes import Child, free_port

ROUNDS: Final = 6
"""Floors and daemon take turns this often, so that a slow minute of the machine meets all three."""
WARM_UP: Final = 20
"""First samples of each round, not counted: the first commit makes the WAL file."""
READY_S: Final = 20.0

_STORE: Final = """\
[store]
id = "bench"
[journal]
path = "stockd.db"
[ledger_link]
url = "{url}"
[fusion]
pending_sale_s = 3600
[[location]]
id = "till"
kind = "till"
[[location]]
id = "back"
kind = "backroom"
"""
_SCANNER: Final = """\
[[device]]
id = "scan-{n}"
driver = "scanner_serial"
link = "serial://{folder}/scanner-{n}"
location = "till"
"""
SCANNERS: Final = 10
"""A till scans twice a second at most; ten of them make the rates of this bench."""


class Latency(Word, frozen=True):
    """The result. Ratios in thousandths of the floor: 1500 = one and a half times."""

    machine: Machine
    rate_hz: int
    seconds: float
    fsync_delay_ms: float
    broker: str
    floor_to_puback: Spread
    """One blocking thread: pty read, fsynced commit, publish and PUBACK through paho."""
    bare_floor_to_puback: Spread
    """The same with MQTT bytes written by hand on a bare socket."""
    to_decision: Spread
    to_durable: Spread
    to_puback: Spread
    to_ledger_ack: Spread
    puback_p50_permille_of_floor: int
    puback_p99_permille_of_floor: int
    puback_p50_permille_of_bare_floor: int
    puback_p99_permille_of_bare_floor: int


async def latency(
    rate_hz: int, seconds: float, fsync_ms: float, say: Callable[[str], None]
) -> Latency:
    """Runs it. Raises BenchFailed, ChildFailed."""
    with tempfile.TemporaryDirectory(prefix="stockd-bench-") as name:
        run = _Run(Path(name), rate_hz, seconds / (3 * ROUNDS), slow_fsync(Path(name), fsync_ms))
        try:
            await run.start()
            floors: dict[str, list[int]] = {"client": [], "bare": []}
            for n in range(ROUNDS):
                for how, samples in floors.items():
                    say(f"round {n + 1} of {ROUNDS}: the floor ({how})")
                    samples.extend(await run.floor(how, n))
                say(f"round {n + 1} of {ROUNDS}: stockd")
                await run.scan()
            stages = await run.stages()
        finally:
            await run.end()
    floor, bare = spread(floors["client"]), spread(floors["bare"])
    puback = spread(stages["puback"])
    return Latency(
        machine=machine(),
        rate_hz=rate_hz,
        seconds=seconds,
        fsync_delay_ms=fsync_ms,
        broker="embedded (rumqttd)",
        floor_to_puback=floor,
        bare_floor_to_puback=bare,
        to_decision=spread(stages["decided"]),
        to_durable=spread(stages["durable"]),
        to_puback=puback,
        to_ledger_ack=spread(stages["acked"]),
        puback_p50_permille_of_floor=permille(puback.p50_us, floor.p50_us),
        puback_p99_permille_of_floor=permille(puback.p99_us, floor.p99_us),
        puback_p50_permille_of_bare_floor=permille(puback.p50_us, bare.p50_us),
        puback_p99_permille_of_bare_floor=permille(puback.p99_us, bare.p99_us),
    )


class _Run:
    """The processes of one bench."""

    def __init__(
        self, folder: Path, rate_hz: int, seconds: float, environment: dict[str, str]
    ) -> None:
        self._folder, self._rate, self._seconds = folder, rate_hz, seconds
        self._environment = environment
        self._port = free_port()
        self._scanners = Scanners(*(folder / f"scanner-{n}" for n in range(SCANNERS)))
        self._children: list[Child] = []
        self._counted: list[int] = []
        """Indexes of the scans that count."""

    async def _child(self, name: str, *arguments: str, slow: bool = False) -> Child:
        environment = self._environment if slow else None
        child = await Child.start(name, list(arguments), self._folder, environment)
        self._children.append(child)
        return child

    async def start(self) -> None:
        """Broker, ledger and daemon, until the link is open."""
        url = f"mqtt://127.0.0.1:{self._port}"
        scanners = (_SCANNER.format(n=n, folder=self._folder) for n in range(SCANNERS))
        text = _STORE.format(url=url) + "".join(scanners)
        (self._folder / "store.toml").write_text(text, encoding="utf-8")
        (self._folder / "products.csv").write_text("gtin,name\n", encoding="utf-8")
        (self._folder / "planogram.csv").write_text("location,slot,gtin\n", encoding="utf-8")
        broker = await self._child("broker", "gateway.broker", "--port", str(self._port))
        await broker.line(READY_S)
        database = f"sqlite:///{self._folder / 'ledger.db'}"
        await self._child("ledger", "ledger.cli", "run", "--mqtt", url, "--db", database)
        config = str(self._folder / "store.toml")
        self._daemon = await self._child("stockd", "gateway.bench.probe", config, slow=True)
        await self._open_link()

    async def _open_link(self) -> None:
        for _ in range(int(READY_S / 0.05)):
            try:
                client = Client(self._folder / "stockd.db")
            except NotRunning:
                await asyncio.sleep(0.05)
                continue
            now = await asyncio.to_thread(client.status)
            client.close()
            link = now.link
            up = all(device.health.state == "up" for device in now.devices)
            if up and link is not None and all(s.state == "open" for s in link.streams):
                return
            await asyncio.sleep(0.05)
        raise BenchFailed(f"the link did not open\n{self._daemon.said()}")

    async def floor(self, how: str, turn: int) -> list[int]:
        """The blocking chain, on a terminal and a database of its own."""
        name = f"floor-{how}-{turn}"
        terminal = self._folder / name
        scanner = Scanners(terminal)
        count = int(self._rate * self._seconds)
        database = self._folder / f"{name}.db"
        child = await self._child(
            name, "gateway.bench.floor", how, str(terminal), str(database), str(self._port),
            str(count), slow=True,
        )  # fmt: skip
        await child.line(READY_S)
        await scanner.scan(self._rate, self._seconds)
        done = [int(word) for word in (await child.line(READY_S)).split()]
        written = scanner.written_ns
        scanner.close()
        return [b - a for a, b in zip(written, done, strict=True)][WARM_UP:]

    async def scan(self) -> None:
        """The daemon's turn."""
        begin = len(self._scanners.written_ns)
        await self._scanners.scan(self._rate, self._seconds)
        self._counted += range(begin + WARM_UP, len(self._scanners.written_ns))
        await asyncio.sleep(1.0)  # the last acknowledgements, before the floor has the machine

    async def stages(self) -> dict[str, list[int]]:
        """Latencies of each stage, in nanoseconds."""
        self._daemon.signal(15)
        moments: Any = msgspec.json.decode(await self._daemon.line(READY_S))
        written = self._scanners.written_ns
        if len(moments["puback"]) != len(written) + 1:  # the first event is epoch_open
            raise BenchFailed(
                f"{len(written)} scans, {len(moments['puback']) - 1} events at the broker\n"
                f"{self._daemon.said()}"
            )
        return {
            stage: [times[i + 1] - written[i] for i in self._counted]
            for stage, times in moments.items()
        }

    async def end(self) -> None:
        """Ends everything."""
        for child in reversed(self._children):
            await child.end()
        self._scanners.close()
