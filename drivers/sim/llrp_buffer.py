"""The report buffer of an LLRP reader: tags heard and not yet told, in reports that are due.

Source: LLRP 1.0.1 chapters 6.5 and 11.2. Here: what goes into which report, the bound. Not here:
when a report is due (`llrp_inventory`), its bytes (`llrp_reports`). Times are the simulator's
microseconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from drivers.sim.llrp_specs import Report
from drivers.sim.tags import Heard

WARN_SHARE: Final = 0.8
COUNT_MAX: Final = 65_535
WARNING, OVERFLOW = "warning", "overflow"


@dataclass(slots=True)
class Read:
    """A tag of the report buffer."""

    heard: Heard
    rospec_id: int
    index: int
    inventory_id: int
    antenna: int
    report: Report
    first_us: int
    last_us: int
    rssi_dbm: float
    count: int = 1


class Buffer:
    """Tags heard and not yet reported; a tag heard again by the same antenna is counted up."""

    def __init__(self, tags_max: int, *, merges: bool) -> None:
        self._tags_max, self._merges = tags_max, merges
        self._sealed: deque[list[Read]] = deque()
        self._open: list[Read] = []
        self._known: dict[tuple[int, int, int, bytes], Read] = {}
        self._tags = 0
        self._warned = self._overflowed = False

    @property
    def open_tags(self) -> int:
        """How many tags the next report has so far."""
        return len(self._open)

    @property
    def percent(self) -> int:
        """How full it is."""
        return 100 * self._tags // self._tags_max

    def add(self, read: Read) -> str:
        """Keeps a read; WARNING or OVERFLOW where that has to be told, "" otherwise."""
        key = (read.rospec_id, read.index, read.antenna, read.heard.epc)
        known = self._known.get(key)
        if known is not None and known.count < COUNT_MAX:
            known.first_us = min(known.first_us, read.first_us)
            known.last_us = max(known.last_us, read.last_us)
            known.rssi_dbm = max(known.rssi_dbm, read.rssi_dbm)
            known.count += 1
            return ""
        if self._tags == self._tags_max:
            told, self._overflowed = self._overflowed, True
            return "" if told else OVERFLOW
        self._tags += 1
        self._open.append(read)
        if self._merges:
            self._known[key] = read
        if not self._warned and self._tags >= WARN_SHARE * self._tags_max:
            self._warned = True
            return WARNING
        return ""

    def seal(self) -> bool:
        """Nothing more goes into the report of now; whether anything is in it."""
        if not self._open:
            return False
        self._sealed.append(self._open)
        self._open, self._known = [], {}
        return True

    def take(self) -> list[Read]:
        """The oldest report that is sealed; empty without one."""
        reads = self._sealed.popleft() if self._sealed else []
        self._tags -= len(reads)
        if not self._tags:
            self._warned = self._overflowed = False
        return reads

    def take_all(self) -> list[Read]:
        """Everything, sealed or not."""
        self.seal()
        reads = []
        while batch := self.take():
            reads += batch
        return reads
