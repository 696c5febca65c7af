"""Ports on the network: a device that is called at its address, and one that calls.

Both can be pulled and put back like the ports of `ports`: pulled, a listener closes and refuses, a
caller hangs up and stays silent. Neither ever waits; whoever holds one looks at it (`heard`) often
enough to let it accept and connect. Not here: what the bytes mean.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from drivers.sim.ports import READ_BYTES_MAX, PortRefused

CALLERS_WAITING_MAX: Final = 4
CALL_AGAIN_S: Final = 0.2
CALL_LASTS_S: Final = 2.0
_GONE: Final = select.POLLHUP | select.POLLERR | select.POLLRDHUP
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class _Line(ABC):
    """One connection, or none: sends without waiting, and counts what nobody took."""

    def __init__(self) -> None:
        self.dropped_bytes = 0
        self.calls = 0
        self._peer: socket.socket | None = None
        self._rest = b""

    def heard(self) -> bool:
        """Whether somebody is on the line now."""
        if self._peer is not None and _events(self._peer, select.POLLRDHUP) & _GONE:
            self._hang_up()
        if self._peer is None:
            self._look()
        return self._peer is not None

    def read(self) -> bytes:
        """What the other side sent, at most 4096 bytes; nothing when it did not."""
        if self._peer is None and not self.heard():
            return b""
        assert self._peer is not None
        try:
            said = self._peer.recv(READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        except OSError:
            said = b""
        if not said:
            self._hang_up()
        return said

    def write(self, data: bytes) -> None:
        """Sends without waiting; a message is dropped whole, or finished at the next write."""
        if not self.heard():
            self.dropped_bytes += len(data)
            return
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
        if self._rest:
            self.dropped_bytes += len(data)
            return
        sent = self._send(data)
        if sent:
            self._rest = data[sent:]
        else:
            self.dropped_bytes += len(data)

    def hang_up(self) -> None:
        """Ends the call from this side; the port stays."""
        self._hang_up()

    @abstractmethod
    def _look(self) -> None:
        """Takes a peer if there is one."""

    def _take(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer
        self.calls += 1

    def _send(self, data: bytes) -> int:
        if self._peer is None:
            return 0
        try:
            return self._peer.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            self._hang_up()
            return 0

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None
            self.dropped_bytes += len(self._rest)
            self._rest = b""


class TcpServerPort(_Line):
    """A device at an address: one caller at a time, the next one waits or is told `busy`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self.where = _name(host, port)
        self.busy: Callable[[], bytes] | None = None
        """What a second caller hears before it is hung up on; None: it waits in the queue."""
        self._address = (host, port)
        self._listening: socket.socket | None = None

    def plug(self) -> None:
        """Listens at its address. Raises PortRefused."""
        if self._listening is not None:
            return
        host, _ = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listening = socket.create_server(
                self._address, family=family, backlog=CALLERS_WAITING_MAX
            )
        except OSError as error:
            raise PortRefused(f"cannot listen at {self.where}: {error.strerror}") from error
        self._listening.setblocking(False)

    def unplug(self) -> None:
        """Hangs up and refuses, as when a plug is pulled; harmless when it already has."""
        self._hang_up()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def heard(self) -> bool:
        """Whether somebody has called."""
        called = super().heard()
        if called and self.busy is not None and (other := self._accept()) is not None:
            with contextlib.suppress(OSError):
                other.send(self.busy(), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
            other.close()
        return called

    def _look(self) -> None:
        for _ in range(CALLERS_WAITING_MAX):
            caller = self._accept()
            if caller is None:
                return
            if not _events(caller, select.POLLRDHUP) & _GONE:
                self._take(caller)
                return
            caller.close()

    def _accept(self) -> socket.socket | None:
        if self._listening is None:
            return None
        try:
            return self._listening.accept()[0]
        except OSError:
            return None


class TcpCallerPort(_Line):
    """A device that calls an address, again and again until somebody answers."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        host = _EVERYWHERE.get(host, host)
        self.where = _name(host, port)
        self._address = (host, port)
        self._plugged = False
        self._calling: socket.socket | None = None
        self._since_s = 0.0

    def plug(self) -> None:
        """Begins to call; never raises: that nobody answers is no fault of its own."""
        self._plugged = True

    def unplug(self) -> None:
        """Hangs up and calls no more; harmless when it already has."""
        self._plugged = False
        self._hang_up()
        self._give_up()

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._calling is not None:
            self._answered(now_s)
        elif self._plugged and now_s - self._since_s >= CALL_AGAIN_S:
            self._since_s = now_s
            family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
            self._calling = socket.socket(family, socket.SOCK_STREAM)
            self._calling.setblocking(False)
            self._calling.connect_ex(self._address)
            self._answered(now_s)

    def _answered(self, now_s: float) -> None:
        calling = self._calling
        assert calling is not None
        if not _events(calling, select.POLLOUT):
            if now_s - self._since_s > CALL_LASTS_S:
                self._give_up()
            return
        # a call to a free port of this machine may be answered by its own caller
        if calling.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _own(calling):
            self._give_up()
            return
        self._calling = None
        self._take(calling)

    def _give_up(self) -> None:
        if self._calling is not None:
            self._calling.close()
            self._calling = None


def listens_here(host: str) -> bool:
    """Whether this machine can listen at a host: it has the address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _events(sock: socket.socket, mask: int) -> int:
    poll = select.poll()
    poll.register(sock, mask)
    events = poll.poll(0)
    return events[0][1] if events else 0


def _own(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return True


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
