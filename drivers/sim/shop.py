"""The simulated store in real time: plays the world's script on ports, and tells the truth.

Here: composing, the clock. Not here: what happens (`world`), what devices say (`devices`), which
plug is pulled (`plugs`). Run it beside a daemon of the same configuration; it hears nothing of the
daemon but bytes. Next: `docs/simulator.md`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from drivers.sim import story
from drivers.sim.actions import Action, Beam, Bump, Handling, Moved, Rung
from drivers.sim.devices import Fleet, Voice
from drivers.sim.layout import layout_of
from drivers.sim.levels import DEMO, LEVELS, Level
from drivers.sim.plugs import Plugs
from drivers.sim.script import begin, closing_ns
from drivers.sim.truth import TrueStock
from drivers.sim.world import ns
from gateway.domain.settings import Settings
from gateway.domain.store import Store

HEARD_WITHIN_S: Final = 20.0
HEARD_POLL_S: Final = 0.05
LOOK_AHEAD_NS: Final = ns(30.0)
IDLE_S: Final = 1.0
REOPENED_S: Final = 8.0
"""A scanner is pulled only if nobody needs it until so long after it is back."""
LINGER_S: Final = 2.0
TYPED_NS: Final = ns(1.0)
"""Longer than any label takes to type."""

Emit = Callable[[bytes], None]


async def run(
    settings: Settings,
    store: Store,
    *,
    seed: int,
    level: str,
    duration_s: int | None,
    emit: Emit,
    stop: asyncio.Event,
    unplug: bool = False,
    start: asyncio.Event | None = None,
    orders: asyncio.Queue[str] | None = None,
) -> None:
    """Plays a store of these settings until `duration_s` after it began to move, or `stop`.

    Emits JSON lines without line feed: opening, devices, ready, what happens, truth
    (docs/simulator.md). The world moves once `start` is set and the other side has opened the
    ports, or 20 s have passed. `orders`: `unplug DEVICE` and `plug DEVICE`.
    Raises ValueError for an unknown level, PortRefused for a path that is not ours to take.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; known: {', '.join(LEVELS)}")
    shop = _Shop(settings, store, seed, LEVELS[level], duration_s, emit, stop)
    try:
        shop.open()
        async with asyncio.TaskGroup() as group:
            for voice in shop.voices:
                group.create_task(shop.speak(voice))
            if unplug:
                group.create_task(shop.pull_plugs())
            if orders is not None:
                group.create_task(shop.obey(orders))
            group.create_task(shop.day(start))
    finally:
        shop.close()
    emit(shop.truth())


class _Shop:
    """Everything that a run holds."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        seed: int,
        level: Level,
        duration_s: int | None,
        emit: Emit,
        stop: asyncio.Event,
    ) -> None:
        layout = layout_of(settings, store)
        self._end_ns = None if duration_s is None else ns(duration_s)
        close_ns = None
        if self._end_ns is not None:
            close_ns = closing_ns(store, layout, seed, level, DEMO, self._end_ns)
        self._world = begin(store, layout, seed, level, DEMO, close_ns)
        self._opening = self._world.opening()
        self._stock = TrueStock(self._opening)
        self._emit = emit
        self._stop = stop
        self._begun = asyncio.Event()
        self._over = asyncio.Event()
        self._rng = Random(f"plugs/{seed}")
        self._ahead: deque[Action] = deque()
        self._scanned_ns: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._powered_s = self._loop.time()
        self._began_s = self._powered_s
        self._fleet = Fleet(settings, self._world, level, seed)
        self._kinds = {device.id: device.driver for device in settings.device}
        self._ports = self._fleet.ports
        self._plugs = Plugs(self._ports, self._now_ns, self._tell)
        for reader in self._fleet.readers:
            reader.populate(self._opening)

    @property
    def voices(self) -> list[Voice]:
        """The devices that speak by themselves."""
        return self._fleet.voices

    def open(self) -> None:
        """Tells the opening stock, makes the ports. Raises PortRefused."""
        self._emit(story.opening_line(self._opening))
        for device, reason in self._fleet.left_out:
            self._tell(_not_simulated(device, reason))
        for port in self._ports.values():
            port.plug()
        self._emit(
            story.devices_line(
                story.Listening(device, self._kinds[device], port.where)
                for device, port in self._ports.items()
            )
        )
        self._emit(story.ready_line())

    def close(self) -> None:
        """Takes all ports away."""
        for port in self._ports.values():
            port.unplug()

    def truth(self) -> bytes:
        """The last line."""
        dropped = tuple(
            story.Dropped(device, port.dropped_bytes) for device, port in self._ports.items()
        )
        return story.truth_line(self._stock, dropped)

    async def speak(self, voice: Voice) -> None:
        """One device, as often as it likes, until the day is over."""
        due_s = self._loop.time()
        while not self._over.is_set():
            now_s = self._loop.time()
            voice.tick(now_s - self._powered_s)
            # a late tick is not made up for: the device samples when it can
            due_s = max(due_s + voice.every_s, now_s)
            await asyncio.sleep(due_s - now_s)

    async def day(self, start: asyncio.Event | None) -> None:
        """Waits for the other side, then plays the script to its end, or to `stop`."""
        try:
            if start is not None:
                await _first(start, self._stop)
            await self._heard()
            self._began_s = self._loop.time()
            self._begun.set()
            await self._play()
            if self._stop.is_set():
                # what is being typed or weighed just now still reaches the other side
                await asyncio.sleep(LINGER_S)
        finally:
            self._over.set()
            self._begun.set()

    async def pull_plugs(self) -> None:
        """Now and then one device is pulled and put back, never a scanner that is in use."""
        await self._begun.wait()
        while self._ports:
            wait_s, down_s, device = self._plugs.choose(self._rng)
            if await _within(self._over, wait_s):
                return
            idle_until_ns = self._now_ns() + ns(down_s + REOPENED_S)
            if self._needed(device, idle_until_ns):
                continue
            self._plugs.pull(device)
            over = await _within(self._over, down_s)
            self._plugs.put_back(device)
            if over:
                return

    async def obey(self, orders: asyncio.Queue[str]) -> None:
        """Plugs as somebody outside orders, until the day is over."""
        over = asyncio.ensure_future(self._over.wait())
        while not self._over.is_set():
            order = asyncio.ensure_future(orders.get())
            await asyncio.wait((order, over), return_when=asyncio.FIRST_COMPLETED)
            if order.done():
                self._plugs.obey(order.result())
            else:
                order.cancel()

    def _needed(self, device: str, until_ns: int) -> bool:
        """Whether it scans or prints just now, or will have to before it is surely back."""
        if self._scanned_ns.get(device, -TYPED_NS) + TYPED_NS > self._now_ns():
            return True
        if self._end_ns is not None and until_ns > self._end_ns:
            return True
        return any(
            isinstance(act, Beam | Rung) and act.device == device and act.at_ns <= until_ns
            for act in self._ahead
        )

    async def _heard(self) -> None:
        """Until every port is open on the other side, but not for ever."""
        until_s = self._loop.time() + HEARD_WITHIN_S
        while self._loop.time() < until_s:
            if all(port.heard() for port in self._ports.values()):
                return
            if await _within(self._stop, HEARD_POLL_S):
                return
        for device, port in self._ports.items():
            if not port.heard():
                self._tell(story.note(0, "note", device, *_UNHEARD))

    async def _play(self) -> None:
        while not self._stop.is_set():
            self._ahead.extend(self._world.until(self._now_ns() + LOOK_AHEAD_NS))
            if self._ahead:
                wait_ns = self._ahead[0].at_ns - self._now_ns()
            elif self._end_ns is None:
                wait_ns = ns(IDLE_S)
            else:
                wait_ns = self._end_ns - self._now_ns()
            if await _within(self._stop, wait_ns / 1e9):
                return
            if self._ahead:
                self._do(self._ahead.popleft())
            elif self._end_ns is not None and self._now_ns() >= self._end_ns:
                return

    def _do(self, act: Action) -> None:
        self._stock.apply(act)
        if isinstance(act, Moved):
            for reader in self._fleet.readers:
                reader.moved(act)
            self._tell(story.told(act, self._world.products))
        elif isinstance(act, Rung):
            till = self._fleet.tills.get(act.device)
            if till is not None:
                self._scanned_ns[act.device] = act.at_ns
                till.ring(act)
        elif isinstance(act, Beam):
            scanner = self._fleet.scanners.get(act.device)
            if scanner is not None:
                self._scanned_ns[act.device] = act.at_ns
                scanner.beam(act.barcode, self._loop.time(), self._loop.call_later)
        elif isinstance(act, Bump):
            for location in act.locations:
                plate = self._fleet.plates.get(location)
                if plate is not None:
                    plate.bump(self._plate_s(act.at_ns), act.peak_mg / 1000.0)
        else:
            self._handle(act)

    def _handle(self, act: Handling) -> None:
        loads = {load.location: load.mass_mg for load in act.loads}
        for location in dict.fromkeys((act.location, *loads)):
            plate = self._fleet.plates.get(location)
            if plate is not None:
                plate.handle(
                    begin_s=self._plate_s(act.at_ns),
                    lasts_s=act.lasts_ns / 1e9,
                    hand_g=act.hand_mg / 1000.0 if location == act.location else 0.0,
                    load_g=loads.get(location, 0) / 1000.0,
                    release_s=act.release_ns / 1e9,
                    ramp_s=act.ramp_ns / 1e9,
                )

    def _plate_s(self, at_ns: int) -> float:
        """Time of the world as time of the plates, which were powered before it began."""
        return self._began_s - self._powered_s + at_ns / 1e9

    def _now_ns(self) -> int:
        return ns(self._loop.time() - self._began_s)

    def _tell(self, told: story.Told) -> None:
        self._emit(story.told_line(told))


_UNHEARD: Final = ("nobody has opened it", "没有程序打开它")


def _not_simulated(device: str, reason: str) -> story.Told:
    return story.note(0, "note", device, f"not simulated: {reason}", f"未模拟（{reason}）")


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Waits so long at most; whether the event is set then."""
    try:
        await asyncio.wait_for(event.wait(), max(0.0, seconds))
    except TimeoutError:
        return event.is_set()
    return True


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
