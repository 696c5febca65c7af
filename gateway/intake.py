"""The door of the core: gives each reading its gateway time and its place in the order.

Here: one bounded queue. A device that speaks faster than the disk writes waits in its own port;
nothing is dropped here. Not here: devices (`supervisor`), what readings mean (`core`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from gateway.domain.reading import Body, Reading

CAPACITY: Final = 8192
SHARE: Final = 256
"""Readings of one device that may wait: beyond, it waits in its own port, so that a device that
babbles delays itself and no other."""
TURN: Final = 512
"""Readings given out at once: between two turns the other ports are read."""


class NowClock(Protocol):
    """Gateway time, as `clock` gives it."""

    def now_ns(self) -> int: ...


class Intake:
    """Readings between the ports and the core."""

    def __init__(self, clock: NowClock, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to take, once until it was taken."""
        self._clock, self._wake = clock, wake
        self._queue: deque[Reading] = deque()
        self._waiting: dict[str, int] = {}
        self._space = asyncio.Event()
        self._space.set()
        self.taken_total = 0
        self.blocked_total = 0

    async def put(self, device: str, body: Body) -> None:
        """Takes a reading in now; waits while the queue, or the device's share of it, is full."""
        if self._full(device):
            self.blocked_total += 1
            while self._full(device):
                self._space.clear()  # each time: others may have filled it before we woke
                await self._space.wait()
        self.put_now(device, body)

    def _full(self, device: str) -> bool:
        return self._waiting.get(device, 0) >= SHARE or len(self._queue) >= CAPACITY

    def put_now(self, device: str, body: Body) -> None:
        """Takes a reading in whatever the queue holds: for commands, which are rare."""
        self._queue.append(Reading(self._clock.now_ns(), device, body))
        self._waiting[device] = self._waiting.get(device, 0) + 1
        if len(self._queue) == 1:
            self._wake()

    def take(self) -> list[Reading]:
        """What came, in order, at most TURN readings; what is left wakes again."""
        queue, waiting = self._queue, self._waiting
        taken = [queue.popleft() for _ in range(min(TURN, len(queue)))]
        for reading in taken:
            waiting[reading.device] -= 1
        self.taken_total += len(taken)
        self._space.set()
        if queue:
            self._wake()
        return taken

    def __len__(self) -> int:
        return len(self._queue)
