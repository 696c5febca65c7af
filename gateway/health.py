"""What the daemon says of itself: one frozen snapshot, for `stockd status`, the console and HQ.

Here: the shape of the snapshot. Not here: how it is carried (`control`), how it is printed (`cli`).
"""

from __future__ import annotations

from gateway.clock import ClockView
from gateway.core.readers import ReaderView
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


class DeviceStatus(Word, frozen=True):
    """A device and what it shows now."""

    health: DeviceHealth
    mode: str | None
    """Scanners: what the next scan means."""
    plates: tuple[PlateStatus, ...]
    """Scales: one, or one for each channel of a controller."""
    tags: ReaderView | None
    """RFID readers: what is before them."""


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
    link: UplinkStatus | None
    devices: tuple[DeviceStatus, ...]


class CommandResult(Word, frozen=True):
    """What came of a command."""

    events: tuple[int, ...]
    """Seqs it booked."""
    notes: tuple[str, ...]
    """Why it did not, or what people should know."""
