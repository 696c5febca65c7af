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
from typing import Final, NamedTuple

from drivers import _hardware
from drivers._address import SCHEMES, LinkAddress, parse_link
from drivers._port import Listener, Port, Recording, keep_alive, number_of, words
from drivers.base import DeviceLost, DeviceMisconfigured, Link

CONNECT_S: Final = 5
CALLERS_WAITING_MAX: Final = 8

__all__ = ["SCHEMES", "LinkAddress", "open_link", "parse_link"]

_GROUPS: Final = {"serial": "dialout", "evdev": "input"}

# linux/input.h: _IOW('E', 0x90, int) and _IOW('E', 0xa0, int)
_EVIOCGRAB: Final = 0x4004_4590
_EVIOCSCLOCKID: Final = 0x4004_45A0


async def open_link(url: str, *, grab: bool = False, listen: bool = False) -> Link:
    """An open port, watched by the running loop.

    `grab` takes an input device for us alone; `listen` waits at a tcp address for callers.

    Raises DeviceLost when it is not there or busy, DeviceMisconfigured when it never will work
    as it is set up; then nothing is left open.
    """
    address = parse_link(url)
    if address.scheme == "tcp" and listen:
        return Listener(_listen(address))
    if address.scheme == "tcp":
        return _watched(_Open(await _connect(address)), address)
    if address.scheme == "serial":
        return _watched(await _opened(address, lambda: _open_serial(address)), address)
    return _watched(await _opened(address, lambda: _open_evdev(address.path, grab)), address)


class _Open(NamedTuple):
    """A descriptor, and the hardware behind it."""

    fd: int
    identity: str = ""


def _watched(opened: _Open, address: LinkAddress) -> Link:
    fd, identity = opened
    try:
        return Recording(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else Port(fd, identity)
    except OSError as error:  # a kind of file that cannot be waited on
        os.close(fd)
        raise DeviceMisconfigured(f"{address.target}: not a device ({words(error)})") from None


async def _opened(address: LinkAddress, opening: Callable[[], int]) -> _Open:
    """The descriptor, opened aside: a sick USB adapter can block its opener for seconds."""
    future = asyncio.get_running_loop().run_in_executor(None, _identified, opening)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close_result)
        raise
    except OSError as error:
        raise _trouble(address, error) from None


def _identified(opening: Callable[[], int]) -> _Open:
    fd = opening()
    node = os.fstat(fd)
    device = stat.S_ISCHR(node.st_mode)
    return _Open(fd, _hardware.identity(node.st_rdev, _hardware.SYS) if device else "")


def _close_result(future: asyncio.Future[_Open]) -> None:
    if not future.cancelled() and future.exception() is None:
        os.close(future.result().fd)


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
                    if meets_itself(sock):
                        raise ConnectionRefusedError(
                            errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)
                        )
                    keep_alive(sock)
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


def meets_itself(sock: socket.socket) -> bool:
    """Whether a connection is its own other end.

    Where nobody listens, the system may choose the very port called as the caller's own; the device
    could then never listen there.
    """
    return bool(sock.getsockname() == sock.getpeername())


def _listen(address: LinkAddress) -> int:
    try:
        sock = socket.create_server(
            (address.host, address.port),
            family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
            backlog=CALLERS_WAITING_MAX,
        )
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EACCES):
            remedy = "listen on an address of this machine (0.0.0.0 = all), port 1024 or higher"
            raise DeviceMisconfigured(f"{address.target}: {words(error)}; {remedy}") from None
        raise _trouble(address, error) from None
    sock.setblocking(False)
    return sock.detach()


def _trouble(address: LinkAddress, error: OSError) -> DeviceLost | DeviceMisconfigured:
    number = number_of(error)
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
    return DeviceLost(f"{address.target}: {words(error)}")
