"""The daemon's journal: numbers and chains events, hands them to the writer, tells when durable.

Here: the heads of both streams, what is durable, the recent bodies that the link sends. Not here:
SQL (`writer`, `reader`), what to book (`core`), what to send when (`outbox`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.core.outcome import FLEETING, Outcome, Saved
from gateway.core.postings import History
from gateway.domain.ids import event_id
from gateway.domain.messages import STREAMS, Stream
from gateway.domain.stock import BASKET, VIRTUAL
from gateway.domain.wire import Stamp, chain_next, chain_start, ops_body, stock_body
from gateway.journal.reader import Reader
from gateway.journal.rows import PRUNED, Batch, EventRow, StockRow, observation_row, stock_row
from gateway.journal.writer import Checkpoint, JournalError, Writer, connect, lock
from gateway.outbox_words import Cursor

TAIL_EVENTS: Final = 2000
"""Newest bodies kept in memory per stream: the ledger's credit, so a live link never reads disk."""
_UNKEPT: Final = VIRTUAL - {BASKET}
"""Accounts without a balance of their own: what they took in is the sum of the events."""
BACKLOG_MAX: Final = 4096
"""Batches waiting for the disk at most; beyond it intake stops taking readings."""
EPOCH_OPEN: Final = "epoch_open"


class OpsNote(msgspec.Struct, frozen=True):
    """An operational event before it has a number."""

    at_ns: int
    kind: str
    data: msgspec.Struct


class _Head(msgspec.Struct):
    seq: int
    chain: bytes
    durable: int


class Journal:
    """One store's journal, open for writing. Everything here runs on the event loop's thread."""

    def __init__(self, path: Path, store: str) -> None:
        """Opens or makes the journal. Raises JournalError."""
        self._lock = lock_after_mkdir(path)
        db = connect(path)
        if db.execute("SELECT count(*) FROM meta WHERE key = 'inst'").fetchone()[0] == 0:
            db.executemany(
                "INSERT INTO meta VALUES (?,?)", [("inst", secrets.token_hex(16)), ("store", store)]
            )
        self._reader = Reader(path)
        self.path = path
        self.inst = self._reader.meta("inst") or ""
        if self._reader.meta("store") != store:
            raise JournalError(
                f"{path} is the journal of store {self._reader.meta('store')!r}, not {store!r}; "
                "set journal.path to another file"
            )
        self._heads: dict[Stream, _Head] = {s: self._head(s) for s in STREAMS}
        self._cursors: dict[Stream, Cursor] = {s: self._reader.cursor(s) for s in STREAMS}
        self._unkept: dict[Stream, Cursor] = {}
        self._oldest: dict[Stream, int] = {}
        self._lazy: dict[str, bytes | None] = {}
        self._tail: dict[Stream, deque[EventRow]] = {s: deque(maxlen=TAIL_EVENTS) for s in STREAMS}
        self._listeners: list[Callable[[list[Batch]], None]] = []
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._handed = self._finished = 0  # transactions given to the writer, and done by it
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._writer = Writer(db, self._committed_elsewhere, self._failed_elsewhere)

    def _head(self, stream: Stream) -> _Head:
        high = self._reader.bounds(stream)[1]
        chain = self._reader.chain_at(stream, high) or chain_start(self.inst)
        return _Head(high, chain, high)

    def saved(self) -> Saved:
        """The state to build the engine from."""
        return self._reader.saved()

    def history(self) -> History:
        """The engine's look-up of its own past events."""
        return self._reader

    @property
    def backlog(self) -> int:
        """Transactions handed over and not yet on disk."""
        return self._handed - self._finished

    # --- writing ------------------------------------------------------------------------------

    def append(
        self,
        outcome: Outcome | None,
        ops: list[OpsNote],
        stamp: Callable[[int], Stamp],
        *,
        at_once: bool = False,
    ) -> Batch:
        """Numbers and chains one transaction and hands it over; it may not be durable yet.

        With `at_once` a quick and idle disk commits it before this returns, and listeners have
        been called: that spares two wake-ups of an idle processor. Not from within a listener.
        """
        stock: list[StockRow] = []
        head = self._heads["stock"]
        for posted in outcome.posted if outcome else ():
            body = stock_body(posted.event, stamp(posted.event.at_ns))
            row = stock_row(posted.event, body, head.chain, posted.because, posted.cause)
            head.seq, head.chain = row.row.seq, row.row.chain
            stock.append(row)
        rows = tuple(self._ops_row(note, stamp(note.at_ns)) for note in ops)
        opened = [row.stream for row in (*(s.row for s in stock), *rows) if row.kind == EPOCH_OPEN]
        batch = Batch(
            stock=tuple(stock),
            ops=rows,
            observations=tuple(observation_row(n, seen) for n, seen in outcome.observations)
            if outcome else (),
            balances=tuple(b for b in outcome.balances if b.loc not in _UNKEPT) if outcome else (),
            parts=self._urgent(outcome.parts) if outcome else (),
            cursors=tuple((stream, self._cursors[stream]) for stream in opened),
        )  # fmt: skip
        self._handed += 1
        if not (at_once and self.backlog == 1 and self._writer.quick):
            self._writer.put(batch)
        elif self._writer.commit_now(batch):
            self._committed([batch])
        return batch

    def _urgent(
        self, parts: tuple[tuple[str, bytes | None], ...]
    ) -> tuple[tuple[str, bytes | None], ...]:
        """The parts that belong to this transaction; the fleeting ones are set aside."""
        urgent = []
        for key, body in parts:
            if key.startswith(FLEETING):
                self._lazy[key] = body
            else:
                self._lazy.pop(key, None)
                urgent.append((key, body))
        return tuple(urgent)

    def keep(self, parts: tuple[tuple[str, bytes | None], ...]) -> None:
        """State that may reach the disk later, or be lost: `flush` writes it."""
        self._lazy.update(parts)

    def flush(self) -> None:
        """Writes what was kept, and the watermarks: a commit of its own every few seconds.

        Riding on every event's commit they would make each of them write two more pages.
        """
        if self._lazy or self._unkept:
            batch = Batch(parts=tuple(self._lazy.items()), cursors=tuple(self._unkept.items()))
            self._lazy.clear()
            self._unkept.clear()
            self._handed += 1
            self._writer.put(batch)

    def _ops_row(self, note: OpsNote, stamp: Stamp) -> EventRow:
        head = self._heads["ops"]
        seq = head.seq + 1
        body = ops_body(self.inst, seq, note.at_ns, note.kind, note.data, stamp)
        head.seq, head.chain = seq, chain_next(head.chain, body)
        ident = event_id(self.inst, "ops", seq, note.at_ns)
        return EventRow("ops", seq, ident, note.kind, note.at_ns, body, head.chain)

    async def durable(self) -> None:
        """Returns once everything handed over so far is on disk."""
        if self.backlog:
            future = self._loop.create_future()
            self._waiting.append((self._handed, future))
            await future

    def checkpoint(self, at_ns: int, keep_from_ns: int) -> None:
        """Keeps a whole state, and drops what is acknowledged and older than `keep_from_ns`."""
        self._handed += 1
        self._writer.put(Checkpoint(at_ns, keep_from_ns))

    def checkpointed_ns(self) -> int:
        """When a whole state was last kept, in this process or an earlier one; 0 when never."""
        return self._reader.checkpointed_ns()

    def configured(self, at_ns: int, sha256: str) -> None:
        """From here on this configuration is in force; `verify` folds from its beginning."""
        if (self._reader.meta("config") or "").split(" ")[0] != sha256:
            self._handed += 1
            self._writer.put(Checkpoint(at_ns, 0, sha256))

    def listen(self, listener: Callable[[list[Batch]], None]) -> None:
        """Called on the loop after each commit, in order, with what became durable."""
        self._listeners.append(listener)

    def _committed_elsewhere(self, batches: list[Batch]) -> None:
        self._loop.call_soon_threadsafe(self._committed, batches)

    def _failed_elsewhere(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(JournalError(f"the journal cannot be written: {error}"))

    def _committed(self, batches: list[Batch]) -> None:
        self._finished += len(batches)
        if batches[0] is PRUNED:
            self._oldest.clear()
        for batch in batches:
            for stock in batch.stock:
                self._durable_row(stock.row)
            for row in batch.ops:
                self._durable_row(row)
        while self._waiting and self._waiting[0][0] <= self._finished:
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener(batches)

    def _durable_row(self, row: EventRow) -> None:
        self._heads[row.stream].durable = row.seq
        self._tail[row.stream].append(row)

    def close(self) -> None:
        """Commits what was handed over, and gives the files back."""
        self._writer.close()
        self._reader.close()
        os.close(self._lock)

    # --- what the link reads (see `uplink.LinkJournal`) ------------------------------------------

    def committed(self, stream: Stream) -> int:
        """Newest durable seq, 0 when none."""
        return self._heads[stream].durable

    def oldest(self, stream: Stream) -> int:
        """Oldest seq still here; newest + 1 when none."""
        if stream not in self._oldest:
            low, high = self._reader.bounds(stream)
            if not high:
                return 1
            self._oldest[stream] = low
        return self._oldest[stream]

    def bodies(self, stream: Stream, first: int, count: int, max_bytes: int) -> list[bytes]:
        """Durable bodies from `first` on: at most so many, and so many bytes with their commas."""
        tail = self._tail[stream]
        count = min(count, self._heads[stream].durable - first + 1)
        if count <= 0:
            return []
        if tail and tail[0].seq <= first:
            start = first - tail[0].seq
            found = [tail[start + i].body for i in range(count)]
        else:
            found = self._reader.bodies(stream, first, count)
        size = 0
        for n, body in enumerate(found):
            size += len(body) + 1
            if size > max_bytes and n:
                return found[:n]
        return found

    def chain_at(self, stream: Stream, seq: int) -> bytes | None:
        """The hash after a durable seq; None when it is not here."""
        tail = self._tail[stream]
        if tail and tail[0].seq <= seq <= tail[-1].seq:
            return tail[seq - tail[0].seq].chain
        return self._reader.chain_at(stream, seq)

    def cursor(self, stream: Stream) -> Cursor:
        """How far the ledger has acknowledged."""
        return self._cursors[stream]

    def keep_cursor(self, stream: Stream, cursor: Cursor) -> None:
        """Remembers it until the next `flush`: losing it costs one `hello`, an fsync more."""
        self._cursors[stream] = cursor
        self._unkept[stream] = cursor

    def adopt(self, stream: Stream, epoch: int) -> None:
        """A granted epoch: it reaches the disk with its `epoch_open`, in one transaction.

        One without the other would open the epoch twice, or never.
        """
        self._cursors[stream] = Cursor(epoch, 0)
        self._unkept.pop(stream, None)


def lock_after_mkdir(path: Path) -> int:
    """Makes the journal's folder and takes its lock. Raises JournalError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lock(path)
    except OSError as error:
        raise JournalError(f"cannot use {path.parent}: {error.strerror}") from None
