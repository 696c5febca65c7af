"""An MQTT topic as a port: what is published there, a message a line, as bytes for a driver.

Here: one session per link, its messages kept for a driver that is slow, its loss as DeviceLost.
Not here: MQTT itself (`mqtt`), what messages say (the driver), when to open again (the supervisor).
Nothing is published: a reader is configured elsewhere. Over plain MQTT 5, for the broker is the
store's own.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from gateway.endpoint import Address
from gateway.mqtt import MqttSession
from gateway.mqtt_words import ConnectFailed, Lost, Message, SessionTimers
from gateway.registry import DeviceLost, Link, LinkAddress

BUFFER_MAX_BYTES: Final = 1_048_576
"""Bytes held for a driver that is slow: four of the largest messages; beyond, it is lost."""
TIMERS: Final = SessionTimers(connect_s=5.0, keepalive_s=10)
"""A broker that vanished without a word is noticed within a quarter of a minute."""


async def open_topic(address: LinkAddress) -> Link:
    """A link that hears a topic filter. Raises DeviceLost without broker, or when it refuses us."""
    session = MqttSession(f"stockd-{uuid.uuid4().hex}", None, lambda: 0, TIMERS)
    where = f"mqtt://{address.host}:{address.port}"
    try:
        await session.open(Address(where, address.host, address.port, tls=False), None)
        await session.subscribe(address.path)
    except ConnectFailed as failed:
        session.close()
        raise DeviceLost(f"{address.target}: {failed}") from None
    except BaseException:
        session.close()
        raise
    return TopicLink(session)


class TopicLink:
    """An open topic. See `drivers.base.Link`."""

    identity = ""
    """A topic is no piece of hardware."""

    def __init__(self, session: MqttSession) -> None:
        self._session = session
        self._buffer = bytearray()
        self._lost = ""
        self._heard = asyncio.Event()
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def _hear(self) -> None:
        """Keeps what came, within bounds, also while the driver is busy."""
        session = self._session
        while not self._lost:
            await session.stirred.wait()
            session.stirred.clear()
            while session.inbox and not self._lost:
                match session.inbox.popleft():
                    case Message(_, payload):
                        self._buffer += payload + b"\n"
                    case Lost(_, text):
                        self._lose(text)
                if len(self._buffer) > BUFFER_MAX_BYTES:
                    self._lose("more messages than can be taken")
            self._heard.set()

    async def read(self) -> bytes:
        """The next messages, each with a line end. Raises DeviceLost when the broker is gone."""
        while not self._buffer:
            if self._lost:
                raise DeviceLost(self._lost)
            self._heard.clear()
            await self._heard.wait()
        chunk = bytes(self._buffer)
        self._buffer.clear()
        return chunk

    async def read_within(self, timeout_ms: int) -> bytes | None:
        """As `read`, or None when nothing came in time."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self.read()
        except TimeoutError:
            return None

    def write(self, data: bytes) -> None:
        """A topic is only heard: raises DeviceLost, for there is nothing to send to."""
        raise DeviceLost(f"a topic takes nothing, and {len(data)} bytes were written to it")

    async def pause(self, duration_ms: int) -> None:
        """Waits."""
        await asyncio.sleep(duration_ms / 1000)

    def close(self) -> None:
        """Leaves the broker; harmless when already gone."""
        self._lose("closed by us")
        self._hearing.cancel()

    def _lose(self, why: str) -> None:
        if self._lost:
            return
        self._lost = why
        self._session.disconnect()
        self._heard.set()
