"""The only reader of time: gateway time, the wall clock beside it, the kernel's opinion of it.

Gateway time is one integer of nanoseconds. At start it is the larger of the wall clock and the last
journalled time plus one; then it follows CLOCK_BOOTTIME and never goes back. Not here: what time is
used for.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final, Literal

from gateway.domain.messages import ClockStep, ClockSync
from gateway.domain.reading import Word
from gateway.domain.wire import Stamp

STEP_MS: Final = 500
"""A wall clock that jumps by more than this is reported (WIRE section 19)."""
_STA_UNSYNC: Final = 0x0040
_NS_PER_MS: Final = 1_000_000


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class ClockView(Word, frozen=True):
    """What is known of the clock, for the status view."""

    tq: Literal["sync", "holdover", "unsync"]
    te: int
    offset_ms: int
    """Wall clock minus gateway time: a health value, never a correction."""


def boot_id() -> str:
    """The kernel's boot, 16 hex digits."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return text.replace("-", "")[:16]


def hardware_id() -> str:
    """This machine, as it identifies itself to the ledger: 12 hex digits of its machine id."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()[:12] or "unknown"
    except OSError:
        return "unknown"


def wall_ns() -> int:
    """The wall clock of a command that looks at a journal; never for order."""
    return time.time_ns()


class SystemClock:
    """Gateway time of this process."""

    def __init__(self, last_ns: int) -> None:
        """`last_ns` is the last journalled time; 0 for a new journal."""
        self.boot = boot_id()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._start_ns = max(time.time_ns(), last_ns + 1)
        self._was_sync = False
        self.view = self._look()

    def now_ns(self) -> int:
        """Gateway time: never goes back."""
        return self._start_ns + time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._boot_ns

    def wall_ms(self) -> int:
        """The wall clock, for people and peers; never for order."""
        return time.time_ns() // _NS_PER_MS

    def stamp(self, at_ns: int) -> Stamp:
        """What only the machine knows about a moment (WIRE section 6)."""
        mono_us = max(0, (at_ns - self._start_ns + self._boot_ns) // 1000)
        return Stamp(self.view.tq, self.view.te, mono_us, self.boot)

    def tick(self) -> list[ClockSync | ClockStep]:
        """Looks at the wall clock again: what changed since the last look."""
        before, self.view = self.view, self._look()
        found: list[ClockSync | ClockStep] = []
        step_ms = self.view.offset_ms - before.offset_ms
        now_ms = self.now_ns() // _NS_PER_MS
        if abs(step_ms) > STEP_MS:
            found.append(
                ClockStep(now_ms + before.offset_ms, now_ms + self.view.offset_ms, step_ms)
            )
        if self.view.tq == "sync" and before.tq != "sync":
            mono_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
            found.append(
                ClockSync(self.boot, mono_us, self.wall_ms(), self.view.offset_ms, self.view.te)
            )
        return found

    def _look(self) -> ClockView:
        timex = _Timex()
        result = self._libc.adjtimex(ctypes.byref(timex))
        offset_ms = (time.time_ns() - self.now_ns()) // _NS_PER_MS
        if result >= 0 and not timex.status & _STA_UNSYNC:
            self._was_sync = True
            error_ms = -(-timex.maxerror // 1000) + abs(offset_ms)
            return ClockView("sync", error_ms, offset_ms)
        return ClockView("holdover" if self._was_sync else "unsync", -1, offset_ms)
