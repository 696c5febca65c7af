"""What one transaction of the journal holds, ready to be written.

Here: frozen rows and the hash chain of each stream. Not here: SQL (`writer`), when to commit.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.book import Balance
from gateway.domain.messages import Stream
from gateway.domain.observation import Because, Observation, observation_bytes
from gateway.domain.reading import Word
from gateway.domain.stock import StockEvent
from gateway.domain.wire import chain_next
from gateway.outbox_words import Cursor


class EventRow(Word, frozen=True):
    """An event of either stream with its hash."""

    stream: Stream
    seq: int
    id: str
    kind: str
    at_ns: int
    body: bytes
    chain: bytes


class StockRow(Word, frozen=True):
    """A stock event with its evidence and its source keys."""

    row: EventRow
    corr: str | None
    cause: int | None
    because: bytes
    sources: tuple[tuple[str, str], ...]


class ObservationRow(Word, frozen=True):
    """An observation by its number."""

    n: int
    at_ns: int
    body: bytes


class Batch(Word, frozen=True):
    """Everything of one transaction: all of it becomes durable, or none."""

    stock: tuple[StockRow, ...] = ()
    ops: tuple[EventRow, ...] = ()
    observations: tuple[ObservationRow, ...] = ()
    balances: tuple[Balance, ...] = ()
    parts: tuple[tuple[str, bytes | None], ...] = ()
    cursors: tuple[tuple[Stream, Cursor], ...] = ()


PRUNED: Final = Batch()
"""Stands for a checkpoint that is done: old rows may be gone."""

_BECAUSE: Final = msgspec.json.Encoder()


def stock_row(
    event: StockEvent, body: bytes, previous: bytes, because: Because, cause: int | None
) -> StockRow:
    """A stock event as its row, chained to the one before."""
    row = EventRow(
        "stock", event.seq, event.id, event.kind, event.at_ns, body, chain_next(previous, body)
    )
    sources = tuple((s.dev, s.ref) for s in event.src)
    return StockRow(row, event.corr, cause, _BECAUSE.encode(because), sources)


def observation_row(n: int, observation: Observation) -> ObservationRow:
    """An observation as its row."""
    return ObservationRow(n, observation.at_ns, observation_bytes(observation))
