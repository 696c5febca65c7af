"""Ports that look like hardware: a pseudo-terminal behind a link, a FIFO of key records.

Both appear at the configured path, can be pulled and put back, never block, and say whether the
other side has them open: poll(2) reports the hang-up of a master without slave and the error of a
pipe without reader. Not here: the network (`tcp_ports`), what the bytes mean (`scales`, `till`).
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import tty
from pathlib import Path
from typing import Final, Protocol

READ_BYTES_MAX: Final = 4096
PTS: Final = "/dev/pts/"


class PortRefused(Exception):
    """A path that is not ours to take, or cannot be; says which and what would help."""


class Port(Protocol):
    """One simulated port."""

    where: str
    """The path or address at which it is found."""
    dropped_bytes: int
    """Bytes that nobody was there, or quick enough, to read."""
    calls: int
    """Connections so far: two looks at a port that is heard may see two. Always 0 on a wire."""

    def plug(self) -> None:
        """Appears where it is found. Raises PortRefused."""

    def unplug(self) -> None:
        """Disappears, as when a plug is pulled; harmless when it already has."""

    def heard(self) -> bool:
        """Whether the other side has it open now."""

    def read(self) -> bytes:
        """What the other side wrote, at most 4096 bytes; nothing when it did not."""

    def write(self, data: bytes) -> None:
        """Sends without waiting; what nobody takes is dropped and counted."""


class PtyPort:
    """A serial port: a pseudo-terminal in raw mode behind a symbolic link."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self.dropped_bytes = 0
        self.calls = 0
        self._master: int | None = None
        self._rest = b""

    def plug(self) -> None:
        """Appears under its path. Raises PortRefused."""
        if self._master is not None:
            return
        _take(self.path, fifo=False)
        master, slave = os.openpty()
        try:
            tty.setraw(slave)
            os.set_blocking(master, False)
            self.path.symlink_to(os.ttyname(slave))
        except OSError as error:
            os.close(master)
            raise PortRefused(f"cannot make {self.path}: {error.strerror}") from error
        finally:
            # its first close makes the master report a hang-up until somebody opens it
            os.close(slave)
        self._master = master

    def unplug(self) -> None:
        """Disappears; harmless when it already has."""
        if self._master is None:
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self._master)
        self._master, self._rest = None, b""

    def heard(self) -> bool:
        """Whether somebody has the slave open now."""
        return self._master is not None and not _poll(self._master) & select.POLLHUP

    def read(self) -> bytes:
        """What the other side wrote, at most 4096 bytes; nothing when it did not."""
        if self._master is None or not _poll(self._master) & select.POLLIN:
            return b""
        try:
            return os.read(self._master, READ_BYTES_MAX)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Sends without waiting; a message is dropped whole, or finished at the next write."""
        if self._master is None or not self.heard():
            self.dropped_bytes += len(self._rest) + len(data)
            self._rest = b""
            return
        if self._rest:
            self._rest = self._rest[_write(self._master, self._rest) :]
        if self._rest:
            self.dropped_bytes += len(data)
            return
        sent = _write(self._master, data)
        if sent:
            self._rest = data[sent:]
        else:
            self.dropped_bytes += len(data)


class FifoPort:
    """An input device: a FIFO that carries `struct input_event` records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self.dropped_bytes = 0
        self.calls = 0
        self._end: int | None = None

    def plug(self) -> None:
        """Appears under its path. Raises PortRefused."""
        if self._end is not None:
            return
        _take(self.path, fifo=True)
        try:
            os.mkfifo(self.path, 0o600)
        except OSError as error:
            raise PortRefused(f"cannot make {self.path}: {error.strerror}") from error
        # a writing end can be had only while somebody reads; held, no reader ever meets an end
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._end = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        os.close(reader)

    def unplug(self) -> None:
        """Disappears; harmless when it already has."""
        if self._end is None:
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self._end)
        self._end = None

    def heard(self) -> bool:
        """Whether somebody has the reading end open now."""
        return self._end is not None and not _poll(self._end) & select.POLLERR

    def read(self) -> bytes:
        """Nothing: nobody talks to a keyboard."""
        return b""

    def write(self, data: bytes) -> None:
        """Sends without waiting; at most 4096 bytes, which go whole or are dropped."""
        if self._end is None or not self.heard() or _write(self._end, data) != len(data):
            self.dropped_bytes += len(data)


def _poll(fd: int) -> int:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    events = poll.poll(0)
    return events[0][1] if events else 0


def _write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except (BlockingIOError, BrokenPipeError):
        return 0


def _take(path: Path, *, fifo: bool) -> None:
    """Makes room at a path: what an earlier run left goes, anything else is not ours to remove."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise PortRefused(f"cannot make {path}: {error.strerror}") from error
    ours = (
        stat.S_ISFIFO(mode)
        if fifo
        else (stat.S_ISLNK(mode) and str(path.readlink()).startswith(PTS))
    )
    if not ours:
        kind = "a FIFO" if fifo else "a link to a pseudo-terminal"
        raise PortRefused(f"{path} exists and is not {kind} of a simulator: move it away")
    path.unlink()
