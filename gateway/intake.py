"""The door of the core: gives each reading its gateway time and its place in the order.

Here: one bounded queue. A device that speaks faster than the disk writes waits in its own port;
nothing is dropped here. Not here: devices (`supervisor`), what readings mean (`core`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.domain.reading import Body, Reading

CAPACITY: Final = 8192


class NowClock(Protocol):
    """Gateway time, as `clock` gives it."""

    def now_ns(self) -> int: ...


class Intake:
    """Readings between the ports and the core."""

    def __init__(self, clock: NowClock, wake: Callable[[], None]) -> None:
        """`wake` is called when the queue was empty and is not any more."""
        self._clock, self._wake = clock, wake
        self._queue: list[Reading] = []
        self._space = asyncio.Event()
        self._space.set()
        self.taken_total = 0
        self.blocked_total = 0

    async def put(self, device: str, body: Body) -> None:
        """Takes a reading in now; waits while the queue is full."""
        self.blocked_total += len(self._queue) >= CAPACITY
        while len(self._queue) >= CAPACITY:
            self._space.clear()  # each time: others may have filled it before we woke
            await self._space.wait()
        self.put_now(device, body)

    def put_now(self, device: str, body: Body) -> None:
        """Takes a reading in whatever the queue holds: for commands, which are rare."""
        self._queue.append(Reading(self._clock.now_ns(), device, body))
        if len(self._queue) == 1:
            self._wake()

    def take(self) -> list[Reading]:
        """All that came, in order."""
        taken, self._queue = self._queue, []
        self.taken_total += len(taken)
        self._space.set()
        return taken

    def __len__(self) -> int:
        return len(self._queue)
