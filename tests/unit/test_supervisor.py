"""A driver that fails is a lost device, counted and tried again; the daemon goes on."""

from __future__ import annotations

import asyncio
import os
import pty
from pathlib import Path

import pytest

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
