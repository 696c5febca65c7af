"""The daemon's local door: a Unix socket beside the journal, one JSON line in, one out.

Here: `status` and commands for people on this machine, readable by the daemon's own user and group
alone. Not here: what they do (`app`), HQ's signed commands, the console.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain.reading import OpenEpoch, Order, Word
from gateway.health import CommandResult, DaemonStatus

LINE_MAX: Final = 65_536
CONNECTIONS_MAX: Final = 16
SOCKET: Final = "stockd.sock"


class Request(Word, frozen=True):
    """Either a wish to see the status, or a command."""

    do: str
    order: Order | None = None


class Refusal(Word, frozen=True):
    """Why a request was not served."""

    error: str


class NotRunning(Exception):
    """No daemon listens; says where it was looked for."""


def _address(folder: Path) -> tuple[str, int]:
    """A name of the socket short enough for the kernel (108 bytes), however deep the folder."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{handle}/{SOCKET}", handle


class Control:
    """Serves the socket until closed."""

    def __init__(
        self,
        folder: Path,
        status: Callable[[], DaemonStatus],
        command: Callable[[str, Order], Awaitable[CommandResult]],
    ) -> None:
        self._folder, self._status, self._command = folder, status, command
        self._server: asyncio.Server | None = None
        self._open = 0
        self.refused_total = 0

    async def start(self) -> None:
        """Begins to listen. The journal's lock guarantees that an old socket is a dead one."""
        (self._folder / SOCKET).unlink(missing_ok=True)
        address, handle = _address(self._folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.bind(address)
        finally:
            os.close(handle)
        (self._folder / SOCKET).chmod(0o660)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_MAX)

    async def close(self) -> None:
        """Stops listening and removes the socket."""
        if self._server is not None:
            self._server.close()
        (self._folder / SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= CONNECTIONS_MAX:
            self.refused_total += 1
            writer.close()
            return
        self._open += 1
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            self.refused_total += 1  # a peer that went away, or a line beyond the limit
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, line: bytes) -> Any:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.MsgspecError as error:
            return Refusal(f"not a request: {error}")
        if request.do == "status":
            return self._status()
        if request.do == "command" and request.order is not None:
            if isinstance(request.order, OpenEpoch):
                return Refusal("an epoch is the ledger's to grant")
            return await self._command("console", request.order)
        return Refusal(f"unknown request {request.do!r}")


class Client:
    """A command's side of the socket; blocking."""

    def __init__(self, journal: Path, timeout_s: float = 10.0) -> None:
        """Raises NotRunning."""
        folder = journal.parent
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            address, handle = _address(folder)
            try:
                self._socket.connect(address)
            finally:
                os.close(handle)
        except OSError as error:
            self._socket.close()
            raise NotRunning(f"no stockd is running on {journal} ({error.strerror})") from None
        self._file = self._socket.makefile("rwb")

    def status(self) -> DaemonStatus:
        """The daemon's snapshot. Raises NotRunning when it goes away."""
        return msgspec.json.decode(self._ask(Request("status")), type=DaemonStatus)

    def command(self, order: Order) -> CommandResult | Refusal:
        """Gives a command and waits until its effect is on disk."""
        answer = self._ask(Request("command", order))
        try:
            return msgspec.json.decode(answer, type=CommandResult)
        except msgspec.ValidationError:
            return msgspec.json.decode(answer, type=Refusal)

    def _ask(self, request: Request) -> bytes:
        try:
            self._file.write(msgspec.json.encode(request) + b"\n")
            self._file.flush()
            answer = self._file.readline()
        except OSError as error:
            raise NotRunning(f"stockd did not answer: {error}") from None
        if not answer:
            raise NotRunning("stockd went away while it was asked")
        return answer

    def close(self) -> None:
        """Gives the socket back."""
        self._file.close()
        self._socket.close()
