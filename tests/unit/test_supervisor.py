"""A driver that fails is a lost device, counted and tried again; the daemon goes on."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from drivers._port import Port
from drivers.base import DeviceLost
from gateway.domain.reading import Body, DeviceState, Weight
from gateway.domain.settings import DeviceSettings
from gateway.registry import LoadedDriver
from gateway.supervisor import Supervisor


async def test_a_failing_driver_does_not_end_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    port = tmp_path / "scale"
    port.symlink_to(os.ttyname(slave))
    said: list[Body] = []
    seen = asyncio.Event()

    async def sink(_: str, body: Body) -> None:
        said.append(body)
        if isinstance(body, Weight):
            seen.set()

    device = DeviceSettings("scale-a1", "scale_sics", f"serial://{port}", "a1")
    supervisor = Supervisor(device, sink, lambda: 0)
    honest, failures = LoadedDriver.read, 0

    def failing(self: LoadedDriver, link: object, options: object) -> object:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ZeroDivisionError("a bug")
        return honest(self, link, options)  # type: ignore[arg-type]

    monkeypatch.setattr(LoadedDriver, "read", failing)
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(10):
            while not seen.is_set():
                os.write(master, b"S S      1.243 kg\r\n")
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        os.close(master)
        os.close(slave)
    assert supervisor.health.errors_total == 1
    states = [body.state for body in said if isinstance(body, DeviceState)]
    assert states[:3] == ["up", "down", "up"]


class Told:
    """A driver that says what it is told, then loses its device."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = bodies

    async def __call__(self, *_: object) -> AsyncGenerator[Body, None]:
        for body in self.bodies:
            yield body
        raise DeviceLost("the cable was pulled")


async def hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, identity: str = ""
               ) -> tuple[Supervisor, list[Body]]:  # fmt: skip
    """One life of a device on a port with this identity, until it is lost."""
    master, slave = pty.openpty()
    port = tmp_path / "scale"
    port.symlink_to(os.ttyname(slave))
    said: list[Body] = []
    lost = asyncio.Event()

    async def sink(_: str, body: Body) -> None:
        said.append(body)
        if isinstance(body, DeviceState) and body.state == "down":
            lost.set()

    device = DeviceSettings("scale-a1", "scale_sics", f"serial://{port}", "a1")
    supervisor = Supervisor(device, sink, lambda: 0)
    monkeypatch.setattr(LoadedDriver, "read", lambda *_: told())
    monkeypatch.setattr(Port, "identity", identity)
    task = asyncio.create_task(supervisor.run())
    try:
        await asyncio.wait_for(lost.wait(), 10)
    finally:
        task.cancel()
        os.close(master)
        os.close(slave)
    return supervisor, said


async def test_the_hardware_tells_who_it_is_by_its_plug_and_by_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = DeviceState("up", "identified", "sics:1124")
    supervisor, said = await hear(
        tmp_path, monkeypatch, Told(own, own, Weight(1)), "usb:0403:6001:A5"
    )
    assert said == [
        DeviceState("up", "opened"),
        DeviceState("up", "identified", "usb:0403:6001:A5"),
        own,
        Weight(1),
        DeviceState("down", "the cable was pulled"),
    ]
    assert supervisor.health.identities == {"usb": "usb:0403:6001:A5", "sics": "sics:1124"}
    assert supervisor.health.readings_total == 1


async def test_news_is_told_once_a_minute_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, back = DeviceState("up", "antenna 2 lost"), DeviceState("up", "antenna 2 is back")
    supervisor, said = await hear(tmp_path, monkeypatch, Told(lost, back, lost, back, lost))
    assert said[1:-1] == [lost, back]
    assert (supervisor.health.news, supervisor.health.news_total) == ("antenna 2 lost", 5)
