"""Baselines of presence: fixed timeouts, and SMURF (Jeffery, Garofalakis and Franklin 2006).

Here: each as ALGORITHMS 7.5 defines it, on the reports that the core gets. An epoch of SMURF is a
second in which the reader said anything: a dead reader ends no window, which is kinder to it than
its wall-clock epochs would be. Where the paper takes the mean read rate of the reader's tag list,
here is the mean of read or not over the last 50 epochs or so in which the tag was held present: a
single visit gives no rate. Not here: truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, log, sqrt
from typing import Final

from gateway.bench.store.tags import Report

_MEMORY: Final = 0.98
_RATE: Final = 0.8
_RATE_MIN: Final = 0.05
_SEEN: Final = (1 << 160) - 1
"""Longer than any window."""

Change = tuple[float, str, int | None]
"""When, which tag, the zone that it is held to be in from now on."""


class Timeout:
    """Present where it was read last, absent after so many seconds unread."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._last: dict[str, tuple[float, int]] = {}
        self._due: list[tuple[float, str]] = []

    def until(self, at_s: float) -> Iterator[Change]:
        """What runs out by now."""
        while self._due and self._due[0][0] <= at_s:
            due_s, key = heappop(self._due)
            end_s = self._last[key][0] + self._timeout_s
            if end_s > due_s:
                heappush(self._due, (end_s, key))
            else:
                del self._last[key]
                yield due_s, key, None

    def heard(self, report: Report) -> Iterator[Change]:
        """What this report changes."""
        for key, _, _ in report.tags:
            was = self._last.get(key)
            self._last[key] = report.at_s, report.zone
            if was is None:
                heappush(self._due, (report.at_s + self._timeout_s, key))
            if was is None or was[1] != report.zone:
                yield report.at_s, key, report.zone


@dataclass(slots=True)
class _Window:
    zone: int
    rate: float = _RATE
    size: int = 1
    seen: int = 0
    """One bit for each epoch, the newest lowest."""
    read: bool = False
    present: bool = False


class Smurf:
    """Adaptive window per tag: grows for completeness, halves when fewer reads come than should."""

    def __init__(self, delta: float) -> None:
        self._need = log(1 / delta)
        self._epoch: int | None = None
        self._tags: dict[str, _Window] = {}

    def until(self, _at_s: float) -> Iterator[Change]:
        """Nothing: no epoch ends by itself."""
        return iter(())

    def heard(self, report: Report) -> Iterator[Change]:
        """What this report changes: the epoch before it is over when it begins another."""
        epoch = int(report.at_s)
        if epoch != self._epoch:
            yield from self._close(report.at_s)
            self._epoch = epoch
        for key, _, _ in report.tags:
            window = self._tags.get(key)
            if window is None:
                window = self._tags[key] = _Window(report.zone)
            elif window.zone != report.zone:
                window.zone = report.zone
                if window.present:
                    yield report.at_s, key, report.zone
            window.read = True

    def _close(self, at_s: float) -> Iterator[Change]:
        gone = []
        for key, window in self._tags.items():
            window.seen = (window.seen << 1 | window.read) & _SEEN
            if window.present or window.read:
                window.rate = _MEMORY * window.rate + (1 - _MEMORY) * window.read
            window.read = False
            self._resize(window)
            present = bool(window.seen & ((1 << window.size) - 1))
            if present != window.present:
                window.present = present
                yield at_s, key, window.zone if present else None
            if not window.seen:
                gone.append(key)
        for key in gone:
            del self._tags[key]

    def _resize(self, window: _Window) -> None:
        rate = max(_RATE_MIN, window.rate)
        full = ceil(self._need / rate)
        reads = (window.seen & ((1 << window.size) - 1)).bit_count()
        expected = window.size * rate
        if abs(reads - expected) > 2 * sqrt(max(0.0, expected * (1 - rate))):
            window.size = max(1, min(window.size // 2, full))
        else:
            window.size = min(window.size + 2, full)
