"""One task per device: open, read, count, and open again for ever. The only retry loop of devices.

Here: back-off, device states, the same counters for all. Not here: protocols (`drivers`, through
`registry`), time stamps (`intake`), what a lost device means for the stock (`core`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import msgspec

from gateway.domain.reading import Body, DeviceState, Garbled
from gateway.domain.settings import DeviceSettings
from gateway.registry import (
    DeviceLost,
    DeviceMisconfigured,
    DeviceSilent,
    Link,
    LoadedDriver,
    build_options,
    load,
    open_port,
)

log = logging.getLogger("stockd.device")

BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses before opening again; the last one repeats. A local port costs one open a second."""
BACKOFF_NETWORK_S: Final = (0.1, 0.2, 0.5, 1.0)
"""A reader or till of the shop's own network: back within two seconds of its return, for one
packet a second while it is away."""
STEADY_NS: Final = 5_000_000_000
"""A link that lived this long starts the pauses anew; one that is lost sooner, again and again,
must not fill the record with comings and goings."""
GARBLED_REASONS_MAX: Final = 32
NEWS_NS: Final = 60_000_000_000
NEWS_MAX: Final = 64
"""The same news of a device is told once a minute; more is counted."""

Sink = Callable[[str, Body], Awaitable[None]]
Tap = Callable[[str, Link], Link]


class DeviceHealth(msgspec.Struct):
    """What HQ sees of a device."""

    id: str
    driver: str
    location: str
    link: str
    state: str = "down"
    reason: str = "not opened yet"
    readings_total: int = 0
    garbled_total: int = 0
    garbled: dict[str, int] = {}
    opens_total: int = 0
    losses_total: int = 0
    errors_total: int = 0
    """Times its driver itself failed."""
    last_reading_ns: int = 0
    last_garbled: str = ""
    identities: dict[str, str] = {}
    """Which hardware it is, by who says so: `usb` (its plug), `llrp`, `sics` (itself)."""
    news: str = ""
    """The last that its driver told of it, e.g. an antenna lost."""
    news_total: int = 0


class Supervisor:
    """Keeps one device open."""

    def __init__(self, device: DeviceSettings, sink: Sink, now_ns: Callable[[], int],
                 tap: Tap | None = None) -> None:  # fmt: skip
        """`sink` takes what the device said; `tap` may listen to its bytes (recording)."""
        self._device, self._sink, self._now_ns, self._tap = device, sink, now_ns, tap
        self._driver: LoadedDriver = load(device.driver)
        self._options = build_options(self._driver, device.options)
        self._backoff = BACKOFF_NETWORK_S if device.link.startswith("tcp:") else BACKOFF_S
        self._silent = False
        self._told_ns: dict[str, int] = {}
        self.health = DeviceHealth(device.id, device.driver, device.location, device.link)

    async def run(self) -> None:
        """Until cancelled."""
        attempt = 0
        while True:
            try:
                link = await self._open()
                opened_ns = self._now_ns()
                try:
                    if not self._silent:
                        await self._changed("up", "opened")
                    await self._identified(link.identity)
                    await self._read(link)
                finally:
                    link.close()
                    if self._now_ns() - opened_ns >= STEADY_NS:
                        attempt = 0
            except DeviceLost as error:
                # A port without a voice is no device: it is up again when it has said something.
                self._silent = isinstance(error, DeviceSilent)
                await self._lost(str(error))
            except DeviceMisconfigured as error:
                attempt = len(self._backoff)
                await self._lost(f"configuration: {error}")
            except Exception as error:
                # One driver's mistake must not close the shop.
                attempt = len(self._backoff)
                self.health.errors_total += 1
                log.exception("device %s: its driver failed; please report this", self._device.id)
                await self._lost(f"the driver failed: {type(error).__name__}: {error}")
            await asyncio.sleep(self._backoff[min(attempt, len(self._backoff) - 1)])
            attempt += 1

    async def _open(self) -> Link:
        link = await open_port(self._driver, self._device.link, self._options)
        self.health.opens_total += 1
        return link if self._tap is None else self._tap(self._device.id, link)

    async def _read(self, link: Link) -> None:
        health, sink, device = self.health, self._sink, self._device.id
        async with aclosing(self._driver.read(link, self._options)) as readings:
            async for body in readings:
                if self._silent:
                    self._silent = False
                    await self._changed("up", "heard again")
                if type(body) is DeviceState:
                    await self._news(body)
                    continue
                health.readings_total += 1
                health.last_reading_ns = self._now_ns()
                if type(body) is Garbled:
                    self._garbled(body)
                await sink(device, body)

    async def _identified(self, identity: str) -> None:
        kind = identity.partition(":")[0]
        if identity and identity != self.health.identities.get(kind):
            self.health.identities[kind] = identity
            await self._sink(self._device.id, DeviceState("up", "identified", identity))

    async def _news(self, news: DeviceState) -> None:
        """What the driver tells of a device that is there."""
        if news.identity is not msgspec.UNSET:
            await self._identified(news.identity)
            return
        health, now = self.health, self._now_ns()
        health.news, health.news_total = news.reason, health.news_total + 1
        told = self._told_ns.get(news.reason)
        if told is not None and now - told < NEWS_NS:
            return
        if len(self._told_ns) >= NEWS_MAX:
            self._told_ns.clear()
        self._told_ns[news.reason] = now
        log.warning("device %s: %s", health.id, news.reason)
        await self._sink(health.id, news)

    def _garbled(self, body: Garbled) -> None:
        health = self.health
        health.garbled_total += 1
        health.last_garbled = f"{body.reason}: {body.bytes}"
        if body.reason in health.garbled or len(health.garbled) < GARBLED_REASONS_MAX:
            health.garbled[body.reason] = health.garbled.get(body.reason, 0) + 1

    async def _lost(self, reason: str) -> None:
        if self.health.state == "up":
            self.health.losses_total += 1
        await self._changed("down", reason)

    async def _changed(self, state: str, reason: str) -> None:
        health = self.health
        if health.state == state and health.reason == reason:
            return
        news = health.state != state or health.opens_total == 0
        health.state, health.reason = state, reason
        if state == "down":
            log.warning(
                "device %s at %s is away: %s. It is tried again by itself; check plug and power",
                health.id, health.location, reason,
            )  # fmt: skip
        if news:
            await self._sink(health.id, DeviceState(state, reason))  # type: ignore[arg-type]
