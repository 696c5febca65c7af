"""Our driver under the real supervisor against llrpkit's reader: tags, outages, a lost antenna.

The emulator is another author's code. Between the two, where it is needed, stands a TCP proxy
that holds the reader's bytes back as a dead switch does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from llrpkit.emulator import EmulatedTag, LLRPEmulator, default_population

from gateway.domain.reading import Body, DeviceState, Garbled, Tag
from gateway.domain.settings import DeviceSettings
from gateway.registry import OptionValue
from gateway.supervisor import Supervisor

DEADLINE_S = 12
STEP_NS = 1_000_000


class Shop:
    """What the supervisor of one reader heard."""

    def __init__(self, port: int, options: dict[str, OptionValue]) -> None:
        self.said: list[Body] = []
        self.now_ns = 0
        device = DeviceSettings("r1", "rfid_llrp", f"tcp://127.0.0.1:{port}", "a1", options)
        self.supervisor = Supervisor(device, self._sink, self._clock)
        self._news = asyncio.Event()

    def _clock(self) -> int:
        self.now_ns += STEP_NS
        return self.now_ns

    async def _sink(self, _: str, body: Body) -> None:
        self.said.append(body)
        self._news.set()

    async def until(self, seen: Callable[[list[Body]], object], since: int = 0) -> None:
        """Until this holds of what was heard since; fails after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            while not seen(self.said[since:]):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def shop(port: int, **options: OptionValue) -> AsyncIterator[Shop]:
    one = Shop(port, {"keepalive_ms": 200, **options})
    task = asyncio.create_task(one.supervisor.run())
    try:
        yield one
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def epcs(said: list[Body], antenna: int | None = None) -> set[str]:
    return {body.epc for body in said if isinstance(body, Tag) and antenna in (None, body.antenna)}


def states(said: list[Body]) -> list[tuple[str, str]]:
    return [(body.state, body.reason) for body in said if isinstance(body, DeviceState)]


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """`llrpkit emulate` as people start it; gives its port."""
    code = "from llrpkit.cli import app; app()"
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", code, "emulate", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            first = (await running.stdout.readline()).decode()
        found = re.search(r"port (\d+)", first)
        assert found is not None, first
        yield running, int(found[1])
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_the_population_of_the_emulator_is_read_exactly_and_again_after_it_was_gone() -> None:
    expected = {tag.epc.hex() for tag in default_population(20, 4)}
    options = ("--tags", "20", "--antennas", "4", "--rate", "400")
    async with process("--port", "0", *options) as (first, port), shop(port) as store:
        await store.until(lambda said: epcs(said) == expected)
        for tag in default_population(20, 4):
            assert epcs(store.said, tag.antennas[0]) >= {tag.epc.hex()}
        first.kill()
        await store.until(lambda said: ("down", "the other side closed it") in states(said))
        lost = len(store.said)
        async with process("--port", str(port), *options):
            await store.until(lambda said: epcs(said) == expected, lost)
        assert epcs(store.said) == expected
    assert store.supervisor.health.errors_total == 0


async def test_only_the_antennas_of_the_shop_are_used() -> None:
    async with (
        LLRPEmulator(reads_per_sec=400) as reader,
        shop(reader.port, antennas={"2": "a2"}) as store,
    ):
        wanted = {tag.epc.hex() for tag in reader.tags if 2 in tag.antennas}
        await store.until(lambda said: epcs(said) == wanted)
        await store.until(lambda said: sum(isinstance(body, Tag) for body in said) >= 50)
        assert epcs(store.said) == wanted
        assert {body.antenna for body in store.said if isinstance(body, Tag)} == {2}


async def test_the_exact_rssi_of_an_impinj_reader_is_read() -> None:
    tag = EmulatedTag(bytes.fromhex("30342504a8c0c1c0000000000000beef"), (1,), -51.37)
    async with LLRPEmulator(tags=[tag], reads_per_sec=400) as reader, shop(reader.port) as store:
        await store.until(lambda said: sum(isinstance(body, Tag) for body in said) >= 20)
    heard = [body for body in store.said if isinstance(body, Tag)]
    assert {body.epc for body in heard} == {tag.epc.hex()}
    values = [body.rssi_cdbm for body in heard if body.rssi_cdbm is not None]
    assert len(values) == len(heard)
    assert any(value % 100 for value in values)
    assert all(-6500 < value < -3800 for value in values)
    assert all(body.first_us and body.last_us for body in heard)


async def test_a_dropped_connection_is_made_again() -> None:
    async with LLRPEmulator(reads_per_sec=400) as reader, shop(reader.port) as store:
        expected = {tag.epc.hex() for tag in reader.tags}
        for _ in range(3):
            before = len(store.said)
            await store.until(lambda said: epcs(said) == expected, before)
            writer: Any = reader._writer
            writer.transport.abort()
        before = len(store.said)
        await store.until(lambda said: epcs(said) == expected, before)
    health = store.supervisor.health
    assert (health.losses_total, health.errors_total) == (3, 0)
    # ENABLE_EVENTS_AND_REPORTS is the one message this reader does not know
    garbled = {body.reason for body in store.said if isinstance(body, Garbled)}
    assert garbled == {"error_message"}
    assert store.supervisor.health.garbled == {"error_message": 4}


async def test_a_lost_antenna_is_news_and_comes_back() -> None:
    async with LLRPEmulator(reads_per_sec=400) as reader, shop(reader.port) as store:
        behind = {tag.epc.hex() for tag in reader.tags if 2 in tag.antennas}
        await store.until(lambda said: epcs(said) >= behind)
        await reader.set_antenna_connected(2, False)
        await store.until(lambda said: ("up", "antenna 2 lost") in states(said))
        lost = len(store.said)
        await store.until(lambda said: len(said) >= 100, lost)
        late = [body for body in store.said[lost:] if isinstance(body, Tag) and body.epc in behind]
        assert len(late) <= 1  # the read that was under way
        await reader.set_antenna_connected(2, True)
        await store.until(lambda said: ("up", "antenna 2 connected") in states(said), lost)
        await store.until(lambda said: epcs(said) >= behind, lost)
    assert store.supervisor.health.losses_total == 0


async def test_a_second_client_is_told_that_the_reader_is_taken() -> None:
    async with LLRPEmulator() as reader, shop(reader.port) as first:
        await first.until(epcs)
        async with shop(reader.port) as second:
            await second.until(lambda said: any(state == "down" for state, _ in states(said)))
            assert "another program is connected" in dict(states(second.said))["down"]
            before = len(first.said)
            await first.until(lambda said: len(said) > 10, before)


class Proxy:
    """Bytes to and from the reader; while `held`, the reader's do not come through."""

    def __init__(self, port: int) -> None:
        self.reader_port, self.port = port, 0
        self.passes = asyncio.Event()
        self.passes.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._caller, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _caller(self, ours: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection("127.0.0.1", self.reader_port)
        for source, sink, held in ((ours, to_them, False), (theirs, to_us, True)):
            self._tasks.add(asyncio.create_task(self._pump(source, sink, held=held)))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, held: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65_536):
                if held:
                    await self.passes.wait()
                sink.write(chunk)
            sink.close()


@pytest.mark.parametrize("rate", [400, 1])
async def test_lost_keepalives_lose_the_reader_until_it_is_heard_again(rate: int) -> None:
    async with (
        LLRPEmulator(reads_per_sec=rate) as reader,
        Proxy(reader.port).running() as proxy,
        shop(proxy.port) as store,
    ):
        await store.until(epcs)
        proxy.passes.clear()
        await store.until(lambda said: any("keepalives" in why for _, why in states(said)))
        lost = len(store.said)
        proxy.passes.set()
        await store.until(epcs, lost)
        back = [state for state in states(store.said[lost:]) if state[0] == "up"]
        assert back[0] == ("up", "heard again")


async def test_keepalives_are_acknowledged() -> None:
    async with LLRPEmulator(reads_per_sec=400) as reader, shop(reader.port) as store:
        await store.until(lambda _: reader.keepalive_acks >= 3)
    assert store.supervisor.health.losses_total == 0
