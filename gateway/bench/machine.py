"""What a bench ran on, and how its samples are summed up.

Here: machine, versions, percentiles, the fsync shim, a scanner that writes codes at a rate. Not
here: what is measured.
"""

from __future__ import annotations

import asyncio
import os
import platform
import pty
import shutil
import sqlite3
import subprocess
import time
import tty
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from gateway import __version__
from gateway.domain.ids import check_digit
from gateway.domain.reading import Word


class Machine(Word, frozen=True):
    """The conditions of a figure."""

    cpu: str
    cores: int
    kernel: str
    python: str
    sqlite: str
    stockd: str


class Spread(Word, frozen=True):
    """Percentiles of samples, in microseconds."""

    samples: int
    p50_us: int
    p99_us: int
    p999_us: int


class BenchFailed(Exception):
    """A bench cannot run here; says what is missing."""


def machine() -> Machine:
    """This machine."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return Machine(cpu, os.cpu_count() or 1, platform.release(), platform.python_version(),
                   sqlite3.sqlite_version, __version__)  # fmt: skip


def spread(samples_ns: Sequence[int]) -> Spread:
    """Percentiles by rank. Raises BenchFailed without samples."""
    if not samples_ns:
        raise BenchFailed("no sample was taken: nothing arrived")
    ranked = sorted(samples_ns)
    at = [ranked[min(len(ranked) - 1, len(ranked) * p // 1000)] // 1000 for p in (500, 990, 999)]
    return Spread(len(ranked), *at)


def permille(value: int, floor: int) -> int:
    """A ratio in thousandths."""
    return value * 1000 // max(1, floor)


def slow_fsync(folder: Path, delay_ms: float) -> dict[str, str]:
    """The environment under which every fsync takes longer; empty without a delay."""
    if delay_ms <= 0:
        return {}
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchFailed("--fsync-ms needs a C compiler: apt-get install gcc")
    source = resources.files("gateway.bench") / "slow_fsync.c"
    shim = folder / "slow_fsync.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", str(shim), str(source), "-ldl"], check=True
    )
    return {"LD_PRELOAD": str(shim), "SLOW_FSYNC_US": str(int(delay_ms * 1000))}


def gtin13(number: int) -> str:
    """A valid GTIN-13 of this machine's own numbering, for codes that never repeat."""
    body = f"690{number:09d}"
    return f"{body}{check_digit(body)}"


class Scanners:
    """Serial scanners on pseudo-terminals: they take turns, and remember when each code left."""

    def __init__(self, *paths: Path) -> None:
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for path in paths:
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            path.symlink_to(os.ttyname(slave))
            self._masters.append(master)
            self._slaves.append(slave)
        self._number = 0
        self.written_ns: list[int] = []

    async def scan(self, rate_hz: int, seconds: float) -> None:
        """Codes at a rate; each write's CLOCK_BOOTTIME goes to `written_ns`."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for n in range(int(rate_hz * seconds)):
            await asyncio.sleep(max(0.0, begin + n / rate_hz - loop.time()))
            self._number += 1
            code = gtin13(self._number).encode() + b"\r"
            self.written_ns.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
            os.write(self._masters[n % len(self._masters)], code)

    def close(self) -> None:
        """Gives the terminals back."""
        for handle in (*self._masters, *self._slaves):
            os.close(handle)
