"""Reading the journal: what the daemon looks up, and what commands print while it runs.

Here: SQL that reads, on a connection opened `mode=ro`. Not here: writing (`writer`), meaning.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.core.book import Balance
from gateway.core.outcome import Position, Saved
from gateway.domain.messages import Stream
from gateway.domain.observation import Because, Observation, read_observation
from gateway.domain.reading import Word
from gateway.domain.stock import Source, StockEvent
from gateway.domain.wire import chain_start, read_stock_body
from gateway.journal.writer import JournalError, WholeState, position_of
from gateway.outbox_words import Cursor

_TABLE: Final[dict[Stream, str]] = {"stock": "stock_events", "ops": "ops_events"}


SAME_MS_MAX: Final = 10_000
"""Events of one millisecond that a look-up by id goes through at most."""


TOGETHER_MAX: Final = 500
"""How far apart the events of one observation are looked for."""


class Evidence(Word, frozen=True):
    """A stock event with what led to it."""

    event: StockEvent
    because: Because
    observation: Observation | None
    cause: int | None = None
    """The observation's number."""


class Reader:
    """A read-only view of a journal. Raises JournalError when there is none."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise JournalError(f"there is no journal at {path}; start the daemon first")
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
            self._db.execute("SELECT 1 FROM meta LIMIT 1")
        except sqlite3.Error as error:
            raise JournalError(f"cannot read the journal {path}: {error}") from None

    def close(self) -> None:
        """Gives the file back."""
        self._db.close()

    def meta(self, key: str) -> str | None:
        """A fact about the journal: `inst`, `store`, `config`."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def bounds(self, stream: Stream) -> tuple[int, int]:
        """Oldest and newest seq; (1, 0) when the stream is empty."""
        table = _TABLE[stream]
        low, high = self._db.execute(  # one minimum or maximum each: SQLite seeks, never scans
            f"SELECT (SELECT min(seq) FROM {table}), (SELECT max(seq) FROM {table})"
        ).fetchone()
        return (1, 0) if high is None else (low, high)

    def bodies(self, stream: Stream, first: int, count: int) -> list[bytes]:
        """Canonical bodies from a seq on, at most `count`."""
        rows = self._db.execute(
            f"SELECT body FROM {_TABLE[stream]} WHERE seq >= ? ORDER BY seq LIMIT ?",
            (first, count),
        )
        return [row[0] for row in rows]

    def parts(self, prefix: str) -> dict[str, bytes]:
        """The parts of the state whose keys begin so, as they were kept last, by key."""
        rows = self._db.execute(
            "SELECT key, body FROM parts WHERE substr(key, 1, ?) = ? ORDER BY key",
            (len(prefix), prefix),
        )
        return {key: bytes(body) for key, body in rows}

    def chain_at(self, stream: Stream, seq: int) -> bytes | None:
        """The hash after a seq; None when it is not here any more."""
        if seq == 0:
            return chain_start(self.meta("inst") or "")
        row = self._db.execute(
            f"SELECT chain FROM {_TABLE[stream]} WHERE seq = ?",
            (seq,),
        ).fetchone()
        if row is None and stream == "stock":
            row = self._db.execute(
                "SELECT chain FROM checkpoints WHERE next_seq = ?", (seq + 1,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def rows(self, stream: Stream) -> Iterator[tuple[int, bytes, bytes]]:
        """All of a stream: seq, body, chain."""
        yield from self._db.execute(f"SELECT seq, body, chain FROM {_TABLE[stream]} ORDER BY seq")

    def cursor(self, stream: Stream) -> Cursor:
        """How far the ledger has acknowledged, as last stored."""
        row = self._db.execute(
            "SELECT epoch, ack FROM cursors WHERE stream = ?", (stream,)
        ).fetchone()
        return Cursor(0, 0) if row is None else Cursor(*row)

    def saved(self) -> Saved:
        """The state that the engine is built from."""
        return Saved(
            position=position_of(self._db),
            balances=tuple(self.balances()),
            parts=dict(self._db.execute("SELECT key, body FROM parts ORDER BY key")),
        )  # fmt: skip

    def checkpointed_ns(self) -> int:
        """When a whole state was last kept; 0 when never."""
        row = self._db.execute("SELECT max(at_ns) FROM checkpoints").fetchone()
        return int(row[0] or 0)

    def fold_start(self) -> tuple[Saved, bytes]:
        """Where the record can be folded from: the last change of configuration, else its begin.

        The state there, and the chain of the event before. Raises JournalError when the record
        was pruned and no checkpoint is left.
        """
        changed = (self.meta("config") or " 1").split(" ")[1]
        first = max(int(changed), self.bounds("stock")[0])
        row = self._db.execute(
            "SELECT next_seq, next_observation, at_ns, chain, body FROM checkpoints "
            "WHERE next_seq >= ? ORDER BY next_seq LIMIT 1",
            (first,),
        ).fetchone()
        if first == 1:
            return Saved(), chain_start(self.meta("inst") or "")
        if row is None:
            raise JournalError(f"no checkpoint at or after event {first}")
        body = msgspec.json.decode(row[4], type=WholeState)
        balances = tuple(
            Balance(loc=b[0], gtin=b[1], lot=b[2], uom=b[3], exp=b[4], qty_milli=b[5])  # type: ignore[arg-type]
            for b in body.balances
        )
        parts = {key: bytes(raw) for key, raw in body.parts.items()}
        return Saved(Position(row[0], row[1], row[2]), balances, parts), bytes(row[3])

    def balances(self) -> Iterator[Balance]:
        """All balances, in order of first receipt."""
        for row in self._db.execute(
            "SELECT loc, gtin, lot, uom, exp, qty_milli FROM balances ORDER BY rowid"
        ):
            yield Balance(
                loc=row[0], gtin=row[1], lot=row[2], uom=row[3], exp=row[4], qty_milli=row[5]
            )

    def observations(self) -> Iterator[tuple[int, Observation]]:
        """All observations, in order."""
        for n, body in self._db.execute("SELECT n, body FROM observations ORDER BY n"):
            yield n, read_observation(body)

    def evidence(self, which: int | str) -> Evidence | None:
        """An event by seq or id with its reasons; None when there is none."""
        seq = which if isinstance(which, int) else self._seq_of(which)
        row = self._db.execute(
            "SELECT body, at_ns, because, cause FROM stock_events WHERE seq = ?", (seq,)
        ).fetchone()
        if row is None:
            return None
        event = msgspec.structs.replace(read_stock_body(row[0]), at_ns=row[1])
        seen = self._db.execute("SELECT body FROM observations WHERE n = ?", (row[3],)).fetchone()
        return Evidence(
            event,
            msgspec.json.decode(row[2], type=Because),
            None if seen is None else read_observation(seen[0]),
            row[3],
        )

    def observation(self, n: int) -> Observation | None:
        """An observation by its number; None when it is not here."""
        row = self._db.execute("SELECT body FROM observations WHERE n = ?", (n,)).fetchone()
        return None if row is None else read_observation(row[0])

    def observed_from(self, at_ns: int, count: int) -> list[Observation]:
        """So many observations from a moment on."""
        low, high = self._db.execute("SELECT min(n), max(n) FROM observations").fetchone()
        if high is None:
            return []
        at = "SELECT at_ns FROM observations WHERE n <= ? ORDER BY n DESC LIMIT 1"
        while low < high:
            middle = (low + high) // 2
            if self._db.execute(at, (middle,)).fetchone()[0] < at_ns:
                low = middle + 1
            else:
                high = middle
        rows = self._db.execute(
            "SELECT body FROM observations WHERE n >= ? ORDER BY n LIMIT ?", (low, count)
        )
        return [read_observation(row[0]) for row in rows]

    def first_since(self, at_ns: int) -> int:
        """The first event of a moment or later; one beyond the newest when there is none."""
        low, high = self.bounds("stock")
        high += 1
        at = "SELECT at_ns FROM stock_events WHERE seq = ?"
        while low < high:
            middle = (low + high) // 2
            if self._db.execute(at, (middle,)).fetchone()[0] < at_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def booked(self, first: int, last: int) -> Iterator[tuple[StockEvent, str]]:
        """Events from one seq to another, each with the code of its reason."""
        for body, at_ns, code in self._db.execute(
            "SELECT body, at_ns, json_extract(because, '$.code') FROM stock_events "
            "WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (first, last),
        ):
            yield msgspec.structs.replace(read_stock_body(body), at_ns=at_ns), code

    def counted_since(self, first: int) -> Iterator[StockEvent]:
        """Stocktake events from a seq on."""
        for body, at_ns in self._db.execute(
            "SELECT body, at_ns FROM stock_events WHERE seq >= ? AND kind = 'stocktake' "
            "ORDER BY seq",
            (first,),
        ):
            yield msgspec.structs.replace(read_stock_body(body), at_ns=at_ns)

    def newest_count(self) -> str | None:
        """The number of the count that was booked last; None when there is none."""
        for (body,) in self._db.execute(
            "SELECT body FROM stock_events WHERE kind = 'stocktake' ORDER BY seq DESC"
        ):
            ref = read_stock_body(body).ref
            if ref is not None and ref.type == "count":
                return ref.id
        return None

    def booked_with(self, seq: int) -> list[int]:
        """Other events of the same observation, by seq."""
        rows = self._db.execute(
            "SELECT b.seq FROM stock_events a JOIN stock_events b ON b.cause = a.cause "
            "WHERE a.seq = ? AND b.seq BETWEEN a.seq - ? AND a.seq + ? AND b.seq != a.seq "
            "ORDER BY b.seq",
            (seq, TOGETHER_MAX, TOGETHER_MAX),
        )
        return [row[0] for row in rows]

    def resting(self, after: int, count: int) -> Iterator[tuple[int, int | None, str | None]]:
        """Of so many events after a seq those that rest on another: seq, its seq, or its id."""
        yield from self._db.execute(
            "SELECT seq, json_extract(because, '$.seq') AS earlier, corr FROM stock_events "
            "WHERE seq > ? AND seq <= ? AND (earlier IS NOT NULL OR corr IS NOT NULL) ORDER BY seq",
            (after, after + count),
        )

    def _seq_of(self, event_id: str) -> int | None:
        """An id begins with its event's millisecond, and times never decrease: halve, then look."""
        try:
            at_ms = int(event_id.replace("-", "")[:12], 16)
        except ValueError:
            return None
        low, high = self.bounds("stock")
        at = "SELECT at_ns / 1000000 FROM stock_events WHERE seq = ?"
        while low < high:
            middle = (low + high) // 2
            if self._db.execute(at, (middle,)).fetchone()[0] < at_ms:
                low = middle + 1
            else:
                high = middle
        row = self._db.execute(
            "SELECT seq FROM stock_events WHERE seq BETWEEN ? AND ? AND id = ?",
            (low, low + SAME_MS_MAX, event_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def event(self, which: int | str) -> StockEvent | None:
        """An event by seq or id (the engine's `History`)."""
        found = self.evidence(which)
        return None if found is None else found.event

    def voided(self, event_id: str) -> bool:
        """Whether a void of this event was booked (the engine's `History`)."""
        return self.void_of(event_id) is not None

    def named(self, source: Source) -> bool:
        """Whether an event was booked from this source (the engine's `History`)."""
        row = self._db.execute(
            "SELECT 1 FROM sources WHERE dev = ? AND ref = ? LIMIT 1", (source.dev, source.ref)
        ).fetchone()
        return row is not None

    def void_of(self, event_id: str) -> int | None:
        """The seq of the void of this event; None when there is none."""
        row = self._db.execute(
            "SELECT seq FROM stock_events WHERE corr = ? AND kind = 'void'", (event_id,)
        ).fetchone()
        return None if row is None else int(row[0])

    def data_version(self) -> int:
        """Changes whenever another connection has committed."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])
