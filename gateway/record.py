"""`stockd record`: the devices of a store, listened to and taken down; nothing is booked.

Here: supervisors, a clock and a trace. Not here: the core, the journal, the link.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from gateway.clock import SystemClock
from gateway.config import Loaded
from gateway.domain.reading import Body, Reading
from gateway.supervisor import Supervisor
from gateway.trace import Trace

PROGRESS_S: Final = 1.0


async def record(loaded: Loaded, folder: Path, duration_s: int | None) -> int:
    """Until the time is up, SIGINT or SIGTERM; the number of readings. Raises OSError."""
    clock = SystemClock(0)
    trace = Trace(folder, loaded.settings.store.id, loaded.sha256)
    trace.keep_config(loaded.path, loaded.settings.catalogue.sheets)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)

    async def sink(device: str, body: Body) -> None:
        trace.write([Reading(clock.now_ns(), device, body)])

    supervisors = [
        Supervisor(device, sink, clock.now_ns, trace.tap) for device in loaded.settings.device
    ]
    tasks = [asyncio.create_task(s.run()) for s in supervisors]
    if duration_s is not None:
        loop.call_later(duration_s, stop.set)
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), PROGRESS_S)
        except TimeoutError:
            up = sum(s.health.state == "up" for s in supervisors)
            print(  # noqa: T201 - progress of a long command
                f"{trace.readings_total} readings, {up} of {len(supervisors)} devices up",
                file=sys.stderr,
            )
            trace.flush()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    trace.close()
    return trace.readings_total
