"""`stockd demo`: a whole store on one machine, ending in the table of stocks.

Here: broker, ledger, simulated devices and gateway as processes, what they say while it runs, and
the comparison at the end: true stock, gateway stock, ledger stock. Not here: the simulator, which
tells the truth and hears nothing of the gateway but bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import words
from gateway.config import Loaded, load
from gateway.control import Client, NotRunning, Refusal
from gateway.demo_files import write_demo
from gateway.domain.reading import Stocktake, Word
from gateway.domain.stock import BASKET, VIRTUAL
from gateway.health import DaemonStatus
from gateway.journal.reader import Reader
from gateway.processes import Child, ChildFailed, free_port

READY_S: Final = 20.0
SETTLE_S: Final = 60.0
"""Longest wait for open sales, pending steps and the ledger after the last shopper has left."""
STATUS_S: Final = 5.0


class DemoFailed(Exception):
    """A part of the demo did not come up; says which and why."""


class Stock(Word, frozen=True):
    """One row of the final table, in milli."""

    gtin: str
    name: str
    true: int
    gateway: int
    ledger: int

    @property
    def equal(self) -> bool:
        """Whether all three agree."""
        return self.true == self.gateway == self.ledger


class Demo:
    """One run."""

    def __init__(self, seed: int, level: str, duration_s: int | None, unplug: bool,
                 folder: Path | None, as_json: bool) -> None:  # fmt: skip
        self._seed, self._level, self._duration_s = seed, level, duration_s
        self._unplug, self._folder, self._json = unplug, folder, as_json
        self._children: list[Child] = []
        self._began = time.monotonic()
        self._truth: dict[str, int] = {}
        self._stop = asyncio.Event()

    async def run(self) -> bool:
        """Whether true, gateway and ledger stock agree at the end. Raises DemoFailed."""
        with contextlib.ExitStack() as stack:
            if self._folder is None:
                self._folder = Path(
                    stack.enter_context(tempfile.TemporaryDirectory(prefix="stockd-"))
                )
            self._folder.mkdir(parents=True, exist_ok=True)
            loop = asyncio.get_running_loop()
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(name, self._stop.set)
            try:
                return await self._play(self._folder.absolute())
            except (ChildFailed, NotRunning) as error:
                raise DemoFailed(str(error)) from None
            finally:
                for child in reversed(self._children):
                    await child.end()

    async def _start(self, name: str, *arguments: str) -> Child:
        assert self._folder is not None
        child = await Child.start(name, list(arguments), self._folder)
        self._children.append(child)
        return child

    async def _play(self, folder: Path) -> bool:
        port = free_port()
        (folder / "ports").mkdir(exist_ok=True)
        config = str(write_demo(folder, f"mqtt://127.0.0.1:{port}"))
        loaded = load(config)
        self._say(f"a store in {folder}: seed {self._seed}, level {self._level}")
        broker = await self._start("broker", "gateway.broker", "--port", str(port))
        if b"ready" not in await broker.line(READY_S):
            raise DemoFailed(f"the broker did not start\n{broker.said()}")
        database = f"sqlite:///{folder / 'ledger.db'}"
        await self._start(
            "ledger", "ledger.cli", "run", "--mqtt", f"mqtt://127.0.0.1:{port}", "--db", database
        )
        simulator = await self._start("devices", *self._simulate(config))
        opening = await self._opening(simulator)
        record = ["--record", str(folder / "trace")]
        await self._start("gateway", "gateway.cli", "--config", config, "run", *record)
        client = await self._client(loaded)
        for count in opening:
            answer = client.command(count)
            if isinstance(answer, Refusal):
                raise DemoFailed(f"the gateway refused an opening count: {answer.error}")
        await simulator.tell(b"go\n")
        self._say("broker, ledger, devices and gateway are up; the doors open")
        live = [
            asyncio.create_task(self._listen(simulator)),
            asyncio.create_task(self._follow(loaded)),
            asyncio.create_task(self._report(loaded)),
        ]
        ended = asyncio.create_task(self._stop.wait())
        await asyncio.wait([live[0], ended], return_when=asyncio.FIRST_COMPLETED)
        simulator.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([live[0]], timeout=READY_S)
        if not done:
            raise DemoFailed(f"the simulated devices did not end\n{simulator.said()}")
        live[0].result()
        await self._settle(client)
        client.close()
        for task in (*live[1:], ended):
            task.cancel()
        return await self._compare(loaded, database)

    def _simulate(self, config: str) -> list[str]:
        arguments = ["gateway.cli", "--config", config, "simulate", "--hold"]
        arguments += ["--seed", str(self._seed), "--level", self._level]
        if self._duration_s is not None:
            arguments += ["--duration", str(self._duration_s)]
        return [*arguments, "--unplug"] if self._unplug else arguments

    async def _opening(self, simulator: Child) -> list[Stocktake]:
        """True opening stock, which staff count before the doors open."""
        counts: list[Stocktake] = []
        while True:
            line = await simulator.line(READY_S)
            if not line:
                raise DemoFailed(f"the simulated devices did not start\n{simulator.said()}")
            said = msgspec.json.decode(line)
            counts += [
                Stocktake(row["location"], row["gtin"], row["qty_milli"])
                for row in said.get("opening", ())
            ]
            if said.get("ready"):
                return counts

    async def _client(self, loaded: Loaded) -> Client:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                return Client(Path(loaded.settings.journal.path))
            except NotRunning:
                gateway = self._children[-1]
                if gateway.process.returncode is not None or time.monotonic() > deadline:
                    raise DemoFailed(f"the gateway did not start\n{gateway.said()}") from None
                await asyncio.sleep(0.05)

    # --- while it runs --------------------------------------------------------------------------

    def _say(self, text: str, mark: str = "·") -> None:
        if not self._json:
            print(f"{time.monotonic() - self._began:7.1f} {mark} {text}", flush=True)  # noqa: T201

    async def _listen(self, simulator: Child) -> None:
        """What people do in the shop, and the truth at the end."""
        while line := await simulator.line():
            said = msgspec.json.decode(line)
            if "truth" in said:
                self._truth = {row["gtin"]: row["on_hand_milli"] for row in said["truth"]}
            elif "en" in said:
                self._say(said["en"], "shop   ")
        if not self._truth:
            raise ChildFailed(f"the simulated devices ended early\n{simulator.said()}")

    async def _follow(self, loaded: Loaded) -> None:
        """What the gateway books."""
        reader = Reader(Path(loaded.settings.journal.path))
        products = {p.gtin: p.name for p in loaded.store.products}
        places = {x.id: x.name for x in loaded.store.locations}
        seq = 1
        while True:
            for n in range(seq, reader.bounds("stock")[1] + 1):
                found = reader.event(n)
                seq = n + 1
                if found is not None and found.kind not in ("epoch_open", "stocktake"):
                    self._say(f"#{n} {words.headline(found, products, places, 'en')}", "booked ")
            await asyncio.sleep(0.2)

    async def _report(self, loaded: Loaded) -> None:
        """How far the ledger has acknowledged."""
        client = Client(Path(loaded.settings.journal.path))
        while True:
            await asyncio.sleep(STATUS_S)
            now = await asyncio.to_thread(client.status)
            down = [d.health.id for d in now.devices if d.health.state != "up"]
            acked = now.link.streams[0].ack if now.link is not None else 0
            self._say(
                f"{now.readings_total} readings, {now.journal.stock_seq} events, "
                f"{acked} acknowledged by the ledger{', away: ' + ', '.join(down) if down else ''}",
                "status ",
            )

    async def _settle(self, client: Client) -> None:
        """Until nothing waits for evidence and the ledger has everything."""
        self._say("the doors close; open sales and uncertain steps settle")
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            now = await asyncio.to_thread(client.status)
            if _settled(now):
                return
            await asyncio.sleep(0.2)

    # --- the end --------------------------------------------------------------------------------

    async def _compare(self, loaded: Loaded, database: str) -> bool:
        store = loaded.settings.store.id
        ledger = await self._ledger_stock(database, store)
        gateway = _on_hand(Reader(Path(loaded.settings.journal.path)))
        names = {p.gtin: p.name for p in loaded.store.products}
        rows = [
            Stock(gtin, names.get(gtin, ""), self._truth.get(gtin, 0), gateway.get(gtin, 0),
                  ledger.get(gtin, 0))
            for gtin in sorted(self._truth.keys() | gateway.keys() | ledger.keys())
        ]  # fmt: skip
        equal = all(row.equal for row in rows)
        if self._json:
            document = {
                "equal": equal, "seed": self._seed, "level": self._level, "products": rows,
                "gateway_equals_ledger": all(row.gateway == row.ledger for row in rows),
            }  # fmt: skip
            sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
        else:
            _table(rows)
        return equal

    async def _ledger_stock(self, database: str, store: str) -> dict[str, int]:
        child = await self._start(
            "ask", "ledger.cli", "stock", "--db", database, "--store", store, "--json"
        )
        document: Any = msgspec.json.decode(await child.line(READY_S))
        return ledger_on_hand(document)


def ledger_on_hand(document: Any) -> dict[str, int]:
    """On hand per GTIN out of `stockd-ledger stock --json`."""
    return {row["gtin"]: row["on_hand_milli"] for row in document["stock"]}


def _settled(now: DaemonStatus) -> bool:
    link = now.link
    acked = link is None or all(stream.ack == stream.committed for stream in link.streams)
    return now.unsettled == 0 and now.journal.backlog == 0 and acked


def _on_hand(reader: Reader) -> dict[str, int]:
    sums: dict[str, int] = {}
    for b in reader.balances():
        if b.loc == BASKET or b.loc not in VIRTUAL:
            sums[b.gtin] = sums.get(b.gtin, 0) + b.qty_milli
    return sums


def _table(rows: Iterable[Stock]) -> None:
    print()  # noqa: T201
    print(f"{'GTIN':<15}{'true 真实':>8}{'gateway':>9}{'ledger':>8}{'diff 差异':>8}  product 商品")  # noqa: T201
    wrong = 0
    for row in rows:
        true, gateway, ledger = (
            words.quantity(q, "EA") for q in (row.true, row.gateway, row.ledger)
        )
        off = words.quantity(row.ledger - row.true, "EA")
        wrong += not row.equal
        print(f"{row.gtin:<15}{true:>10}{gateway:>9}{ledger:>8}{off:>10}  {row.name}")  # noqa: T201
    verdict = "all equal. 全部一致。" if not wrong else f"{wrong} products differ. 有差异。"
    print(f"true, gateway and ledger stock: {verdict}", flush=True)  # noqa: T201
