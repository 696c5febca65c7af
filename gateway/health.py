"""What the daemon says of itself: one frozen snapshot, for `stockd status`, the console and HQ.

Here: the shape of the snapshot. Not here: how it is carried (`control`), how it is printed (`cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.clock import ClockView
from gateway.core.readers import ReaderView
from gateway.core.stocktakes import StocktakeView
from gateway.domain.alert import Alert
from gateway.domain.reading import Word
from gateway.supervisor import DeviceHealth
from gateway.uplink_words import UplinkStatus


class JournalStatus(Word, frozen=True):
    """Where the journal stands."""

    path: str
    inst: str
    stock_seq: int
    ops_seq: int
    backlog: int
    """Transactions handed over and not yet on disk."""


class PlateStatus(Word, frozen=True):
    """A plate of a scale and what it shows now."""

    location: str
    mass_mg: int | None
    """The settled level; None before the first."""
    sigma_mg: int
    moving: bool
    trouble: str
    """`dead`, `stuck`, `saturated`, `error`: it books nothing; "" = it is well."""
    counts_to: int | None = None
    """Up to how many units it counts; None: never zeroed empty, or not of one product."""


class DeviceStatus(Word, frozen=True):
    """A device and what it shows now."""

    health: DeviceHealth
    mode: str | None
    """Scanners: what the next scan means."""
    plates: tuple[PlateStatus, ...]
    """Scales: one, or one for each channel of a controller."""
    tags: ReaderView | None
    """RFID readers: what is before them."""


class AlertCount(Word, frozen=True):
    """How many alerts of a code are open."""

    code: str
    sev: str
    open: int


class DaemonStatus(Word, frozen=True):
    """Everything `stockd status` shows."""

    store: str
    sw: str
    started_ns: int
    now_ns: int
    clock: ClockView
    readings_total: int
    intake_waiting: int
    intake_blocked_total: int
    """Readings that waited in their port because the queue was full."""
    control_refused_total: int
    trace_dropped_total: int
    """Readings that a full trace, or a full disk, left out of a recording."""
    journal: JournalStatus
    tasks: int
    """Tasks of the loop: one for each device, and a handful."""
    repeated_lines_total: int
    """Till lines that were said again, and booked once."""
    unsettled: int
    """Open sales, pending steps and running counts: what the book still waits for."""
    stocktakes: tuple[StocktakeView, ...]
    """Counts of whole places that run, and how far they are."""
    link: UplinkStatus | None
    devices: tuple[DeviceStatus, ...]
    alerts: tuple[AlertCount, ...] = ()
    """Open alerts by code; `stockd alerts` has each of them."""


def counted(alerts: Iterable[Alert]) -> tuple[AlertCount, ...]:
    """Open alerts by code, in order of the code."""
    found = Counter((alert.code, alert.severity) for alert in alerts)
    return tuple(AlertCount(code, sev, n) for (code, sev), n in sorted(found.items()))


class CommandResult(Word, frozen=True):
    """What came of a command."""

    events: tuple[int, ...]
    """Seqs it booked."""
    notes: tuple[str, ...]
    """Why it did not, or what people should know."""
