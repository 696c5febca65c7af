"""Ports: the only file that opens one. A link is a file descriptor that the loop watches.

Here: how each kind of port is opened, read and given back, and what its errors mean to people.
Not here: what a link URL means (`_address`), what the bytes say, when to open again (the
supervisor), time stamps.

    serial:///dev/store/scale-a1?baud=9600&bytesize=8&parity=N&stopbits=1
    tcp://10.0.0.7:4001
    evdev:///dev/input/by-id/usb-...-event-kbd      grabbed; a FIFO or a file is read as records
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import struct
import termios
import time
from collections.abc import Callable
from typing import Final

from drivers._address import SCHEMES, LinkAddress, parse_link
from drivers.base import DeviceLost, DeviceMisconfigured, Link

BUFFER_MAX_BYTES: Final = 65_536
"""Bytes held for a driver that is slow; beyond, the port is not read and its sender waits."""
CONNECT_S: Final = 5

__all__ = ["SCHEMES", "LinkAddress", "open_link", "parse_link"]

_GROUPS: Final = {"serial": "dialout", "evdev": "input"}

# linux/input.h: _IOW('E', 0x90, int) and _IOW('E', 0xa0, int)
_EVIOCGRAB: Final = 0x4004_4590
_EVIOCSCLOCKID: Final = 0x4004_45A0


async def open_link(url: str, *, grab: bool = False) -> Link:
    """An open port, watched by the running loop; `grab` takes an input device for us alone.

    Raises DeviceLost when it is not there or busy, DeviceMisconfigured when it never will work
    as it is set up; then nothing is left open.
    """
    address = parse_link(url)
    if address.scheme == "tcp":
        return _watched(await _connect(address), address)
    if address.scheme == "serial":
        return _watched(await _opened(address, lambda: _open_serial(address)), address)
    return _watched(await _opened(address, lambda: _open_evdev(address.path, grab)), address)


class _Port:
    """A descriptor the loop watches, and the bytes read from it that no driver has taken yet."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._lost = ""
        self._waiter: asyncio.Future[None] | None = None
        self._watching = False
        self._watch()

    @property
    def identity(self) -> str:
        """See `Link`."""
        return ""

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
            self._lose(_words(error))
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
            self._lose(_words(error))
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


class _Recording(_Port):
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


def _watched(fd: int, address: LinkAddress) -> Link:
    try:
        return _Recording(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else _Port(fd)
    except OSError as error:  # a kind of file that cannot be waited on
        os.close(fd)
        raise DeviceMisconfigured(f"{address.target}: not a device ({_words(error)})") from None


async def _opened(address: LinkAddress, opening: Callable[[], int]) -> int:
    """The descriptor, opened aside: a sick USB adapter can block its opener for seconds."""
    future = asyncio.get_running_loop().run_in_executor(None, opening)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close_result)
        raise
    except OSError as error:
        raise _trouble(address, error) from None


def _close_result(future: asyncio.Future[int]) -> None:
    if not future.cancelled() and future.exception() is None:
        os.close(future.result())


def _open_serial(address: LinkAddress) -> int:
    import serial  # late: a daemon or command without serial ports does not pay for it

    stopbits = {
        "1": serial.STOPBITS_ONE,
        "1.5": serial.STOPBITS_ONE_POINT_FIVE,
        "2": serial.STOPBITS_TWO,
    }
    try:
        with serial.Serial(
            address.path,
            address.baud,
            address.bytesize,
            address.parity,
            stopbits[address.stopbits],
            inter_byte_timeout=0,  # VMIN 1: else a false alarm of poll reads as a closed port
            exclusive=True,
        ) as port:
            # the duplicate keeps settings and lock; from here on every port is just a descriptor
            return os.dup(port.fileno())
    except termios.error as error:  # no OSError, though it carries the same two values
        raise OSError(*error.args) from None


def _open_evdev(path: str, grab: bool) -> int:
    # Not read before poll says so: a FIFO that no writer has opened yet would look closed
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISCHR(os.fstat(fd).st_mode):
            # a stepped wall clock must not look like a gap between two keys
            fcntl.ioctl(fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
            if grab:
                fcntl.ioctl(fd, _EVIOCGRAB, 1)
    except OSError:
        os.close(fd)
        raise
    return fd


async def _connect(address: LinkAddress) -> int:
    loop = asyncio.get_running_loop()
    trouble: OSError = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, where in found:
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, where)
                    _tune(sock)
                    return sock.detach()
                except OSError as error:
                    trouble = error
                finally:
                    sock.close()
    except TimeoutError:
        pass
    except OSError as error:
        trouble = error
    raise _trouble(address, trouble)


def _tune(sock: socket.socket) -> None:
    """A cable pulled without a word is noticed within half a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000)


def _trouble(address: LinkAddress, error: OSError) -> DeviceLost | DeviceMisconfigured:
    number = _number(error)
    if number in (errno.EACCES, errno.EPERM) and address.scheme in _GROUPS:
        remedy = f"add the user of stockd to group {_GROUPS[address.scheme]}"
        return DeviceMisconfigured(f"{address.target}: permission denied; {remedy}")
    if number in (errno.ENOTTY, errno.EISDIR):
        kind = "serial port" if address.scheme == "serial" else "input device"
        return DeviceMisconfigured(f"{address.target}: not a {kind}")
    if number == errno.ENOENT:
        return DeviceLost(f"{address.target}: not plugged in")
    if number in (errno.EBUSY, errno.EAGAIN):
        return DeviceLost(f"{address.target}: another program has it")
    return DeviceLost(f"{address.target}: {_words(error)}")


def _number(error: OSError) -> int | None:
    """The errno; pyserial keeps that of a failed set-up only in what it wraps."""
    if error.errno is None and error.__context__ is not None and error.__context__.args:
        inner = error.__context__.args[0]
        return inner if isinstance(inner, int) else None
    return error.errno


def _words(error: OSError) -> str:
    number = _number(error)
    if isinstance(error, socket.gaierror) or number is None:
        return str(error)
    return os.strerror(number)
