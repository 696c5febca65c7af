"""The contract of a driver, on one page.

A driver is one module of this package, named as in `[[device]] driver = "…"`, that exports

* `Options`: a frozen dataclass; each field an option of `[device.options]`, its default and, in
  the comment beside it, its range. `__post_init__` raises `DeviceMisconfigured` for a bad value.
* `SCHEMES`: the link schemes it can use, e.g. `("serial", "tcp")`.
* `decoder(options) -> Decoder`: a pure object, bytes in and readings out. Total: arbitrary bytes
  never raise. Any chunking of the same bytes gives the same readings.
* `REASONS`: the reasons its `garbled` readings may give.
* `read(link, options)`: an async generator of the same readings from an open link, until the link
  is lost (`DeviceLost`). It may write (polls, set-up) and wait with `link.pause`.

It says what the device said: no cache, no filling, no guess, no stock. Retry, time, logging and
counting belong to the supervisor and intake. Next: `framing` (splitters), `link` (ports).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from gateway.domain.reading import Body


class DeviceLost(Exception):
    """The port went away or fell silent; the supervisor will open it again. Says why."""


class DeviceSilent(DeviceLost):
    """The port is there, but a device that should be talking says nothing."""


class DeviceMisconfigured(Exception):
    """An option or a link that cannot work; says which, and what would."""


class Decoder(Protocol):
    """A stream of bytes to readings: a pure state machine that never raises."""

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order."""

    def end(self) -> list[Body]:
        """Readings for what was left when the stream ended (a cut line is `garbled`)."""


class Link(Protocol):
    """An open port. Only `drivers.link` makes one, and `gateway.topics` one for an MQTT topic."""

    @property
    def identity(self) -> str:
        """Which piece of hardware is plugged in there, as `usb:0403:6001:A5X`; "" = unknown."""

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises DeviceLost when the port is gone.

        A port that listens gives b"" when one caller has hung up and the next may come.
        """

    def write(self, data: bytes) -> None:
        """Sends without waiting. Raises DeviceLost when the port is gone or its buffer is full."""

    async def read_within(self, timeout_ms: int) -> bytes | None:
        """As `read`, or None when nothing came in time."""

    async def pause(self, duration_ms: int) -> None:
        """Waits; the only waiting a driver does."""

    def close(self) -> None:
        """Gives the port back; harmless when already closed."""


class Driver(Protocol):
    """The shape of a driver module, as `gateway.registry` checks it."""

    SCHEMES: tuple[str, ...]

    @staticmethod
    def decoder(options: object) -> Decoder: ...

    @staticmethod
    def read(link: Link, options: object) -> AsyncGenerator[Body, None]: ...
