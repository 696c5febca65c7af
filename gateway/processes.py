"""Child processes that never outlive us: for the demo and the benches.

Here: starting, waiting for a line, ending. Not here: what they are.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
END_S: Final = 8.0


class ChildFailed(Exception):
    """A child ended or stayed silent; says which and what it said."""


def _die_with_parent() -> None:
    """Runs in the child: the kernel kills it when its parent dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """One process, its standard output read line by line, its log in a file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.process, self._log = name, process, log

    @classmethod
    async def start(cls, name: str, arguments: list[str], folder: Path,
                    environment: dict[str, str] | None = None) -> Child:  # fmt: skip
        """Starts `python -m …` of this environment. Its log is `folder/<name>.log`."""
        log = folder / f"{name}.log"
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=errors, start_new_session=True,
                preexec_fn=_die_with_parent, limit=8 << 20,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        return cls(name, process, log)

    async def line(self, timeout_s: float | None = None) -> bytes:
        """The next line of its output; b'' at the end. Raises ChildFailed when it stays silent."""
        assert self.process.stdout is not None
        try:
            return await asyncio.wait_for(self.process.stdout.readline(), timeout_s)
        except TimeoutError:
            raise ChildFailed(
                f"{self.name} said nothing for {timeout_s} s\n{self.said()}"
            ) from None

    async def tell(self, text: bytes) -> None:
        """Writes to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        await self.process.stdin.drain()

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def signal(self, number: int) -> None:
        """Sends a signal if it still lives."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self) -> int:
        """SIGTERM, and SIGKILL when that does not help; its exit status."""
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), END_S)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.process.wait()
