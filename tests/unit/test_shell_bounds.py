"""The shell at its bounds: a full queue or disk, a port that comes and goes, an ill-bred peer."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import intake as intake_module
from gateway import supervisor as supervisor_module
from gateway import trace as trace_module
from gateway.control import Client, Control, Refusal
from gateway.domain.reading import Body, DeviceState, OpenEpoch, Order, Reading, Scan, Tare
from gateway.domain.settings import DeviceSettings
from gateway.health import CommandResult, DaemonStatus
from gateway.intake import Intake
from gateway.mqtt import _Client
from gateway.supervisor import BACKOFF_S, STEADY_NS, Supervisor
from gateway.trace import TRACE_FILE, Trace

DEADLINE_S = 10.0
SCAN = Scan("6901234567892", None, None)


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.at_ns = 1

    def now_ns(self) -> int:
        return self.at_ns


# --- intake -----------------------------------------------------------------------------------


async def test_a_queue_that_is_full_again_blocks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "CAPACITY", 2)
    door = Intake(Clock(), lambda: None)
    await door.put("a", SCAN)
    await door.put("a", SCAN)
    waiting = [asyncio.create_task(door.put(name, SCAN)) for name in "bcd"]
    await asyncio.sleep(0)
    assert (len(door), door.blocked_total) == (2, 3)
    assert len(door.take()) == 2
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait(waiting[:2])  # they fill it before the third wakes
        assert (len(door), waiting[2].done()) == (2, False)
        assert len(door.take()) == 2
        await waiting[2]
    assert [reading.device for reading in door.take()] == ["d"]
    assert door.taken_total == 5


# --- trace ------------------------------------------------------------------------------------


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / TRACE_FILE).read_bytes().splitlines()]


def test_a_trace_ends_and_has_no_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "TRACE_BYTES_MAX", 300)
    trace = Trace(tmp_path, "s0001", "0" * 64)
    long = Scan("9" * 200, None, None)
    trace.write([Reading(1, "till", SCAN)])
    trace.write([Reading(2, "till", long), Reading(3, "till", SCAN)])
    trace.write([Reading(4, "till", SCAN)])  # it would fit
    trace.close()
    assert (trace.readings_total, trace.dropped_total) == (1, 3)
    assert [line.get("at_ns") for line in lines(tmp_path)] == [None, 1]


def test_a_full_disk_ends_a_trace_and_nothing_else() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        assert not trace_module.BoundedFile(file, 1 << 20).write(b"refused at once")
    buffered = trace_module.BoundedFile(Path("/dev/full").open("wb"), 1 << 20)  # noqa: SIM115
    assert buffered.write(b"in the buffer")
    buffered.flush()
    assert not buffered.write(b"more")
    buffered.close()


# --- supervisor -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lives_ns", "expected_s"),
    [(0, [*BACKOFF_S, BACKOFF_S[-1]]), (STEADY_NS, [BACKOFF_S[0]] * 6)],
)
async def test_a_port_that_comes_and_goes_is_tried_less_often(
    monkeypatch: pytest.MonkeyPatch, lives_ns: int, expected_s: list[float]
) -> None:
    clock, pauses = Clock(), list[float]()
    told: list[DeviceState] = []

    class Closing:
        """A port whose other side closes it."""

        identity = ""

        async def read(self) -> bytes:
            clock.at_ns += lives_ns
            raise supervisor_module.DeviceLost("the other side closed it")

        def close(self) -> None:
            pass

    async def open_port(*_: object) -> Closing:
        return Closing()

    async def sink(_: str, body: Body) -> None:
        assert isinstance(body, DeviceState)
        told.append(body)

    enough = asyncio.Event()

    async def pause(duration_s: float) -> None:
        pauses.append(duration_s)
        if len(pauses) == 6:
            enough.set()
            await asyncio.Future()

    monkeypatch.setattr(supervisor_module, "open_port", open_port)
    monkeypatch.setattr(supervisor_module.asyncio, "sleep", pause)
    device = DeviceSettings("till", "scanner_serial", "serial:///dev/nothing", "till-1")
    task = asyncio.create_task(Supervisor(device, sink, clock.now_ns).run())
    async with asyncio.timeout(DEADLINE_S):
        await enough.wait()
    task.cancel()
    assert pauses == expected_s
    assert [body.state for body in told] == ["up", "down"] * 6


# --- control ----------------------------------------------------------------------------------


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[tuple[Control, list[Order]]]:
    orders: list[Order] = []

    async def command(device: str, order: Order) -> CommandResult:
        assert device == "console"
        orders.append(order)
        return CommandResult((7,), ())

    def status() -> DaemonStatus:
        raise AssertionError("nobody asks")

    door = Control(tmp_path, status, command)
    await door.start()
    yield door, orders
    await door.close()


async def test_nobody_but_the_ledger_opens_an_epoch(
    tmp_path: Path, control: tuple[Control, list[Order]]
) -> None:
    def ask() -> list[object]:
        client = Client(tmp_path / "stockd.db", DEADLINE_S)
        answers = [client.command(order) for order in (OpenEpoch(9, "install"), Tare("scale-a1"))]
        client.close()
        return list(answers)

    answers = await asyncio.to_thread(ask)
    assert answers == [Refusal("an epoch is the ledger's to grant"), CommandResult((7,), ())]
    assert control[1] == [Tare("scale-a1")]


async def test_a_peer_that_talks_nonsense_is_counted_and_let_go(
    tmp_path: Path, control: tuple[Control, list[Order]]
) -> None:
    for nonsense, total in zip((b"x" * 200_000, b"{}\n"), itertools.count(1), strict=False):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "stockd.sock")
        writer.write(nonsense)
        async with asyncio.timeout(DEADLINE_S):
            if nonsense.endswith(b"\n"):
                assert b"not a request" in await reader.readline()
            else:
                assert await reader.read() == b""
                assert control[0].refused_total == total
        writer.close()


# --- mqtt -------------------------------------------------------------------------------------


def test_a_broker_that_died_is_no_exception_of_publish() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    client = _Client("s0001", ours)
    client.send_publish(0x32, b"\x32\x02\x00\x00", 1)
    ours.close()
