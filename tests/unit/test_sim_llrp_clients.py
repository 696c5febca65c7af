"""Real clients read the simulated LLRP reader over TCP: our driver, and llrpkit's reader.

Our driver runs under the real supervisor. The reader's time goes eight times faster than ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from llrpkit.exceptions import LLRPConnectionError, LLRPStatusError
from llrpkit.reader import Reader

from drivers.sim.llrp_knobs import Knobs
from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tags import L3, QUIET, Radio, TagField
from drivers.sim.truth import Opening
from gateway.domain.reading import Body, DeviceState, Tag
from gateway.domain.settings import DeviceSettings
from gateway.registry import OptionValue
from gateway.supervisor import Supervisor

MILK, BREAD = "06901234500011", "16901234500025"
SURE = replace(QUIET, p=1.0, spread=0.0, mistagged=0.0)
DEADLINE_S = 12
SPEED = 8
TICK_S = 0.01


class Site:
    """A simulated reader on a port of its own."""

    def __init__(self, radio: Radio, antennas: int, knobs: Knobs) -> None:
        self.field = TagField({1: "a1", 2: "a2"}, radio, 1)
        self.field.populate([Opening("a1", MILK, 30_000), Opening("a2", BREAD, 20_000)])
        self.reader = LlrpReader(antennas, self.field, reader_id="00163efffe12ab34", knobs=knobs)
        self.port = 0
        self.connections = 0
        self._writer: asyncio.StreamWriter | None = None

    def at_s(self) -> float:
        return asyncio.get_running_loop().time() * SPEED

    async def serve(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.write(self.reader.refusal())
            writer.close()
            return
        self.connections += 1
        self._writer = writer
        writer.write(self.reader.connected(self.at_s()))
        with contextlib.suppress(OSError):
            while not self.reader.hangs_up and (data := await source.read(65_536)):
                writer.write(self.reader.hear(self.at_s(), data))
        self._gone()

    def _gone(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self.reader.closed()

    async def tick(self) -> None:
        while True:
            said = self.reader.tick(self.at_s())
            if self._writer is not None and not self._writer.is_closing():
                self._writer.write(said)
                if self.reader.hangs_up:
                    self._gone()
            await asyncio.sleep(TICK_S)


@asynccontextmanager
async def site(radio: Radio = SURE, antennas: int = 2, **knobs: object) -> AsyncIterator[Site]:
    one = Site(radio, antennas, Knobs(**knobs))  # type: ignore[arg-type]
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    ticking = asyncio.create_task(one.tick())
    try:
        yield one
    finally:
        ticking.cancel()
        server.close()


class Shop:
    """What the supervisor of our driver heard."""

    def __init__(self, port: int, options: dict[str, OptionValue]) -> None:
        self.said: list[Body] = []
        device = DeviceSettings("r1", "rfid_llrp", f"tcp://127.0.0.1:{port}", "a1", options)
        self.supervisor = Supervisor(device, self._sink, lambda: 0)
        self._news = asyncio.Event()

    async def _sink(self, _: str, body: Body) -> None:
        self.said.append(body)
        self._news.set()

    async def until(self, seen: Callable[[list[Body]], object], since: int = 0) -> None:
        """Until this holds of what was heard since; fails after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            while not seen(self.said[since:]):
                self._news.clear()
                await self._news.wait()

    def garbled(self) -> dict[str, int]:
        return self.supervisor.health.garbled


@asynccontextmanager
async def shop(port: int, **options: OptionValue) -> AsyncIterator[Shop]:
    one = Shop(port, options)
    task = asyncio.create_task(one.supervisor.run())
    try:
        yield one
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert one.supervisor.health.errors_total == 0


def epcs(said: list[Body], antenna: int) -> set[str]:
    return {body.epc for body in said if isinstance(body, Tag) and body.antenna == antenna}


def whole(one: Site) -> Callable[[list[Body]], bool]:
    """Whether every antenna has heard exactly what lies before it."""
    lies = {antenna: {epc.hex() for epc in one.field.tags(antenna)} for antenna in (1, 2)}
    return lambda said: all(epcs(said, antenna) == tags for antenna, tags in lies.items())


def reasons(said: list[Body]) -> list[str]:
    return [body.reason for body in said if isinstance(body, DeviceState)]


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"newest": 1},
        {"extras": True},
        {"silent": True},
        {"restarts": False},
        {"utc": False},
        {"hoards_s": 3.0},
    ],
)
async def test_our_driver_reads_exactly_the_tags_that_lie_there(knobs: dict[str, object]) -> None:
    async with site(**knobs) as one, shop(one.port) as store:
        await store.until(whole(one))
        first = len(store.said)
        await store.until(whole(one), first)
        assert whole(one)(store.said)
        assert store.garbled() == {}
        assert store.supervisor.health.identities["llrp"] == "llrp:00163efffe12ab34"
        assert one.connections == 1


async def test_our_driver_counts_an_error_message_and_reads_on() -> None:
    async with site(knows_enable_events=False) as one, shop(one.port) as store:
        await store.until(whole(one))
        assert store.garbled() == {"error_message": 1}


@pytest.mark.parametrize("mode", ["shelf", "till", "stocktake"])
async def test_every_mode_of_our_driver_is_understood(mode: str) -> None:
    async with site(antennas=4) as one, shop(one.port, mode=mode) as store:
        await store.until(whole(one))
        assert store.garbled() == {}


async def test_antennas_that_are_lost_and_found_are_news() -> None:
    async with site() as one, shop(one.port) as store:
        await store.until(whole(one))
        one.reader.lose_antenna(2)
        await store.until(lambda said: "antenna 2 lost" in reasons(said))
        lost = len(store.said)
        await store.until(lambda said: len(epcs(said, 1)) == 30, lost)
        assert epcs(store.said[lost:], 2) == set()
        one.reader.restore_antenna(2)
        await store.until(lambda said: "antenna 2 connected" in reasons(said), lost)
        await store.until(lambda said: len(epcs(said, 2)) == 20, lost)


async def test_a_reader_that_hangs_up_is_read_again() -> None:
    async with site(hangs_up_after_s=6.0) as one, shop(one.port) as store:
        await store.until(whole(one))
        await store.until(lambda said: reasons(said).count("the other side closed it") == 2)
        await store.until(whole(one), len(store.said))
        assert one.connections >= 3


async def test_a_reader_that_stalls_is_lost_and_read_again() -> None:
    radio = replace(SURE, outage_every_s=16.0, outage_s=(16.0, 16.0))
    async with site(radio) as one, shop(one.port, keepalive_ms=200) as store:
        await store.until(lambda said: any("keepalives are missing" in r for r in reasons(said)))
        await store.until(whole(one), len(store.said))


async def test_the_hostile_level_has_nothing_that_is_not_there() -> None:
    radio = replace(L3, strays=0.0, outage_every_s=1e9)
    async with site(radio) as one, shop(one.port) as store:
        await store.until(lambda said: len(said) > 400)
        for antenna in (1, 2):
            assert epcs(store.said, antenna) <= {epc.hex() for epc in one.field.tags(antenna)}


# --- llrpkit


async def test_another_authors_client_reads_it_too() -> None:
    async with site() as one, Reader("127.0.0.1", one.port) as client:
        assert client.max_antennas == 2
        assert [mode.mode_id for mode in client.capabilities.modes] == [0, 1, 2, 3]
        await client.set_keepalive(500)
        heard: dict[int | None, set[bytes]] = {}
        async for tag in client.inventory(tx_power_dbm=27.5, mode_index=2, duration=1.0):
            heard.setdefault(tag.antenna, set()).add(tag.epc)
        assert heard == {antenna: one.field.tags(antenna) for antenna in (1, 2)}


async def test_another_authors_client_is_refused_as_the_standard_says() -> None:
    async with site() as one, Reader("127.0.0.1", one.port) as client:
        with pytest.raises(LLRPStatusError):
            async for _ in client.inventory(antennas=[3], duration=1.0):
                pass
        with pytest.raises(LLRPStatusError):
            async for _ in client.inventory(mode_index=9, duration=1.0):
                pass
        with pytest.raises(LLRPConnectionError, match="refused"):
            await Reader("127.0.0.1", one.port).connect()
