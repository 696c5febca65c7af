"""The words of the ledger link: what it asks of others, its timers, what `stockd status` shows.

Here: protocols and frozen values alone. Not here: what is done with them (`uplink`, `outbox`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from gateway.domain.messages import Stream
from gateway.domain.reading import Word
from gateway.domain.wire import Stamp
from gateway.mqtt_words import SessionTimers
from gateway.outbox_words import Cursor, OutboxStatus, Timers

_S: Final = 1_000_000_000

Sink = Callable[[str, Literal["warn", "page"], str], None]
"""Takes an alarm: code, severity, text. Called within `wake`: it must not commit in the call."""
Probe = Callable[[Stream, int, int], None]
"""Takes a stream, a seq and a moment in ns, for measurements."""


class Clock(Protocol):
    """What the link asks of time."""

    def now_ns(self) -> int:
        """Gateway time."""

    def wall_ms(self) -> int:
        """The wall clock as it is, for certificates."""

    def stamp(self, at_ns: int) -> Stamp:
        """Quality of the clock, for `hello`."""


class LinkJournal(Protocol):
    """What the link asks of the journal; everything it hands out is durable."""

    @property
    def inst(self) -> str:
        """Identity of the journal file, hex128."""

    def committed(self, stream: Stream) -> int:
        """Newest durable seq, 0 = none."""

    def oldest(self, stream: Stream) -> int:
        """Oldest seq kept; max + 1 when none."""

    def bodies(self, stream: Stream, first: int, count: int, max_bytes: int) -> list[bytes]:
        """Canonical bodies from `first` on: at most `count` and `max_bytes`, but one if kept."""

    def chain_at(self, stream: Stream, seq: int) -> bytes | None:
        """The chain at a seq (0 = its start); None when no longer known."""

    def cursor(self, stream: Stream) -> Cursor:
        """Position last kept."""

    def keep_cursor(self, stream: Stream, cursor: Cursor) -> None:
        """Store within seconds; losing it costs one `hello`."""

    async def open_epoch(self, stream: Stream, epoch: int, why: str) -> None:
        """Adopt the epoch and journal `epoch_open`; returns after the commit."""


class LinkTimers(Word, frozen=True):
    """WIRE sections 1, 3 and 9; tests alone use others."""

    session: SessionTimers = SessionTimers()
    outbox: Timers = Timers()
    audit_ns: int = 900 * _S
    backoff_max_s: float = 300.0
    backoff_unit_s: float = 1.0
    steady_ns: int = 60 * _S
    refused_s: float = 300.0
    taken_over_s: float = 60.0
    taken_over_jitter_s: float = 30.0
    stop_s: float = 2.0


class UplinkStatus(Word, frozen=True):
    """The link as `stockd status` shows it."""

    connected: bool
    broker: str
    """URL in use, or tried last."""
    since_ns: int | None
    """When this connection began; None = there is none."""
    reconnects_total: int
    failures_total: int
    """Attempts that led to no session."""
    malformed_total: int
    """Messages on our topics that are none."""
    last_error: str
    puback_us: int | None
    """Latency of the last PUBACK."""
    streams: tuple[OutboxStatus, ...]
