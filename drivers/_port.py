"""An open port: a descriptor that the loop watches, and the bytes that no driver has taken yet.

Here: reading, writing and giving back what is open; what its errors mean to people. Not here: how a
port is opened (`link`), what the bytes say, when to open again (the supervisor), time stamps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Final

from drivers.base import DeviceLost

BUFFER_MAX_BYTES: Final = 65_536
"""Bytes held for a driver that is slow; beyond, the port is not read and its sender waits."""


class Port:
    """A descriptor the loop watches, and the bytes read from it that no driver has taken yet."""

    def __init__(self, fd: int, identity: str = "") -> None:
        self._fd = fd
        self._identity = identity
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._lost = ""
        self._waiter: asyncio.Future[None] | None = None
        self._watching = False
        self._watch()

    @property
    def identity(self) -> str:
        """See `Link`."""
        return self._identity

    async def read(self) -> bytes:
        """See `Link`."""
        while not self._buffer:
            self._raise_if_lost()
            await self._woken()
        return self._take()

    async def read_within(self, timeout_ms: int) -> bytes | None:
        """See `Link`."""
        if not self._buffer and not self._lost:
            timer = self._loop.call_later(timeout_ms / 1000, self._wake)
            try:
                await self._woken()
            finally:
                timer.cancel()
        if self._buffer:
            return self._take()
        self._raise_if_lost()
        return None

    def write(self, data: bytes) -> None:
        """See `Link`."""
        self._raise_if_lost()
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self._lose(words(error))
            written = 0
        if written < len(data):
            self._lose("it takes no more bytes")
        self._raise_if_lost()

    async def pause(self, duration_ms: int) -> None:
        """See `Link`."""
        await asyncio.sleep(duration_ms / 1000)

    def close(self) -> None:
        """See `Link`."""
        self._lose("closed by us")

    def _watch(self) -> None:
        self._loop.add_reader(self._fd, self._on_readable)
        self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_reader(self._fd)
            self._watching = False

    def _on_readable(self) -> None:
        try:
            chunk = os.read(self._fd, BUFFER_MAX_BYTES - len(self._buffer))
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(words(error))
            return
        if not chunk:
            self._at_end()
            return
        self._buffer += chunk
        if len(self._buffer) >= BUFFER_MAX_BYTES:
            self._unwatch()
        self._wake()

    def _at_end(self) -> None:
        self._lose("the other side closed it")

    def _take(self) -> bytes:
        chunk = bytes(self._buffer)
        self._buffer.clear()
        if not self._watching and not self._lost:
            self._watch()
        return chunk

    async def _woken(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("two readers on one link")
        # only a signal: the bytes stay in the buffer, so a cancelled reader loses none
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lose(self, why: str) -> None:
        if self._lost:
            return
        self._lost = why
        self._unwatch()
        os.close(self._fd)
        self._wake()

    def _raise_if_lost(self) -> None:
        if self._lost:
            raise DeviceLost(self._lost)


class Recording(Port):
    """A plain file: read once to its end, then a device that says nothing.

    Were it lost at its end, it would be opened again, and every scan in it booked twice.
    """

    def _watch(self) -> None:
        # a poll does not take files: they are always readable
        self._loop.call_soon(self._on_readable)

    def _on_readable(self) -> None:
        if not self._lost:
            super()._on_readable()

    def _at_end(self) -> None:
        self._watching = True  # by nobody: nothing more will come

    def _unwatch(self) -> None:
        self._watching = False


class Listener(Port):
    """A listening socket and its caller, one at a time; the next one waits in the kernel's queue.

    A till may call once a day or once a receipt: the port is lost in neither case. `read` gives
    b"" where one caller's bytes end.
    """

    def __init__(self, fd: int) -> None:
        self._caller: int | None = None
        self._hung_up = False
        self._listening = socket.socket(fileno=os.dup(fd))
        super().__init__(fd)

    async def read(self) -> bytes:
        """See `Link`."""
        while not self._buffer and not self._hung_up:
            self._raise_if_lost()
            await self._woken()
        return self._take() if self._buffer else self._next_caller()

    async def read_within(self, timeout_ms: int) -> bytes | None:
        """See `Link`."""
        if self._buffer or not self._hung_up:
            chunk = await super().read_within(timeout_ms)
            if chunk is not None or not self._hung_up:
                return chunk
        return self._next_caller()

    def write(self, data: bytes) -> None:
        """To the present caller; without one there is nobody to hear it."""
        self._raise_if_lost()
        if self._caller is not None:
            with contextlib.suppress(OSError):  # its end is read next, and told as such
                os.write(self._caller, data)

    def _next_caller(self) -> bytes:
        self._hung_up = False
        if not self._lost:
            self._watch()
        return b""

    def _watch(self) -> None:
        if self._hung_up:
            return  # the next caller's bytes must not come before the end of this one is told
        if self._caller is None:
            super()._watch()
        else:
            self._loop.add_reader(self._caller, self._on_heard)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_reader(self._fd if self._caller is None else self._caller)
            self._watching = False

    def _on_readable(self) -> None:
        try:
            caller, _ = self._listening.accept()
        except OSError:  # it hung up before it was answered
            return
        keep_alive(caller)
        caller.setblocking(False)
        self._unwatch()
        self._caller = caller.detach()
        self._watch()

    def _on_heard(self) -> None:
        assert self._caller is not None
        try:
            chunk = os.read(self._caller, BUFFER_MAX_BYTES - len(self._buffer))
        except BlockingIOError:
            return
        except OSError:  # reset, or a cable pulled: either way this caller has ended
            chunk = b""
        if chunk:
            self._buffer += chunk
            if len(self._buffer) >= BUFFER_MAX_BYTES:
                self._unwatch()
        else:
            self._hang_up()
            self._hung_up = True
        self._wake()

    def _hang_up(self) -> None:
        if self._caller is not None:
            self._unwatch()
            os.close(self._caller)
            self._caller = None

    def _lose(self, why: str) -> None:
        self._hang_up()
        self._listening.close()
        super()._lose(why)


def keep_alive(sock: socket.socket) -> None:
    """A cable pulled without a word is noticed within half a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000)


def number_of(error: OSError) -> int | None:
    """The errno; pyserial keeps that of a failed set-up only in what it wraps."""
    if error.errno is None and error.__context__ is not None and error.__context__.args:
        inner = error.__context__.args[0]
        return inner if isinstance(inner, int) else None
    return error.errno


def words(error: OSError) -> str:
    """What an error means to people."""
    number = number_of(error)
    if isinstance(error, socket.gaierror) or number is None:
        return str(error)
    return os.strerror(number)
