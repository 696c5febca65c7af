"""The words of the outbox: timers, limits, decisions, and what `stockd status` shows.

Here: frozen values alone. Not here: when which decision falls (`outbox`), how it is carried out
(`uplink`).
"""

from __future__ import annotations

from typing import Final, Literal

from gateway.domain import messages
from gateway.domain.messages import Alarm, Stream
from gateway.domain.reading import Word

BODIES_BYTES_MAX: Final = messages.BATCH_BYTES_MAX - messages.BATCH_OVERHEAD_BYTES - 100
"""What the bodies of one batch may take: less the envelope, and a comma for each event."""

_S: Final = 1_000_000_000

Why = Literal["connect", "timer", "timeout"]
Kind = Literal["hello", "batch", "replay"]
"""What a PUBACK answers."""
Phase = Literal["offline", "opening", "granting", "open", "absent", "stopped"]


class Timers(Word, frozen=True):
    """WIRE section 9, in ns; tests alone use others."""

    rto_ns: int = 5 * _S
    rto_max_ns: int = 60 * _S
    absent_rtos: int = 4
    gap_repeat_ns: int = 1 * _S
    stopped_ns: int = 300 * _S
    pending_ns: int = 60 * _S
    refused_ns: int = 300 * _S


class Limits(Word, frozen=True):
    """Bounds of one stream: WIRE section 9 for live batches, ours for replays."""

    batches: int = 16
    events: int = messages.BATCH_EVENTS_MAX
    bytes: int = BODIES_BYTES_MAX
    replays: int = 4
    """Requests kept; a further one is dropped and counted, the ledger asks again."""
    replay_batches: int = 2
    """Replayed batches without PUBACK, so that live traffic always finds room."""


class Cursor(Word, frozen=True):
    """Where a stream stands: the epoch granted to this journal (0 none), the watermark."""

    epoch: int = 0
    ack: int = 0


class SendHello(Word, frozen=True):
    """Publish a position report."""

    why: Why


class SendBatch(Word, frozen=True):
    """Read these events, then ask `Outbox.fill` whether they may leave."""

    first: int
    count: int
    """At most this many."""
    max_bytes: int
    """Of all bodies together; one event always fits."""
    only_full: bool
    """Something is in flight: a batch that could still grow waits (WIRE 9, rule 2)."""
    replay: bool


class OpenEpoch(Word, frozen=True):
    """Journal `epoch_open` durably, then call `Outbox.epoch_opened`."""

    epoch: int
    why: Literal["install", "reinstall"]


class ClearAlarm(Word, frozen=True):
    """The cause of an alarm has gone."""

    code: str


Decision = SendHello | SendBatch | OpenEpoch | Alarm | ClearAlarm


class OutboxStatus(Word, frozen=True):
    """One stream as `stockd status` shows it; totals count since the process began."""

    stream: Stream
    state: Phase
    reason: str
    """Why it is stopped; empty otherwise."""
    epoch: int
    ack: int
    next: int
    committed: int
    in_flight: int
    """Events sent and not acknowledged by the ledger."""
    window: int
    """Batches allowed in flight."""
    credit: int
    rto_ms: int
    absent: bool
    """The broker knows no subscriber for our messages: the ledger is away."""
    hellos_total: int
    batches_total: int
    events_total: int
    rewinds_total: int
    timeouts_total: int
    ignored_total: int
    """Messages for another journal or epoch, and gaps repeated within their second."""
    refused_total: int
    """PUBACKs of 0x80 and above."""
    rejected_total: int
    """Entries of `rej`: events that stand in the ledger's quarantine."""
    replayed_total: int
    replays_dropped_total: int


TOTALS: Final = tuple(name for name in OutboxStatus.__struct_fields__ if name.endswith("_total"))
