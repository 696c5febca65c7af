"""The books proved from their own events: chains, positions, balances (WIRE.md section 10).

Here: a re-fold that trusts nothing it can compute. Not here: how the books were written; on
purpose no line of `ledger.apply` is used. Read-only; memory grows with balances, not with events.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.domain.reading import Word
from gateway.domain.wire import canonical, chain_next, chain_start

PROBLEMS_MAX: Final = 100


class Verdict(Word, frozen=True):
    """What was looked at, and what is wrong (at most PROBLEMS_MAX; `found` counts all)."""

    stores: int
    epochs: int
    events: int
    quarantined: int
    balances: int
    found: int
    problems: tuple[str, ...]


class _Moved(msgspec.Struct):
    gtin: str
    lot: str | None
    loc: str
    uom: str
    d: int


class _Event(msgspec.Struct):
    seq: int
    id: str
    kind: str
    ts: int
    lines: list[_Moved] = []


_EVENT: Final = msgspec.json.Decoder(_Event)
_Key = tuple[str, str, str, str, str]
"""store, loc, gtin, lot, uom"""


class _Fold:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._qty: Counter[_Key] = Counter()
        self._found = 0
        self._problems: list[str] = []
        self.events = 0
        self.quarantined = 0

    def problem(self, where: str, what: str) -> None:
        self._found += 1
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(f"{where}: {what}")

    def epoch(self, row: tuple[str, str, int, str, int, str]) -> None:
        """One epoch from chain(0) to its watermark."""
        store, stream, epoch, inst, w, end = row
        where = f"{store} {stream} epoch {epoch}"
        chain = chain_start(inst)
        expected = 1
        for seq, body, stored, columns in self._positions(store, stream, epoch):
            if seq != expected:
                what = (
                    f"seq {seq} twice" if seq < expected else f"seq {expected} to {seq - 1} missing"
                )
                self.problem(where, what)
            expected = max(expected, seq + 1)
            chain = chain_next(chain, body.encode())
            if stored != chain.hex():
                self.problem(where, f"chain broken at seq {seq}")
                chain = bytes.fromhex(stored) if _is_hash(stored) else chain
            if columns is None:
                self.quarantined += 1
            else:
                self.events += 1
                self._event(where, store, stream, body, columns)
        if expected - 1 != w:
            self.problem(where, f"ends at seq {expected - 1}, watermark {w}")
        if chain.hex() != end:
            self.problem(where, "the chain at the watermark is not that of the stream")

    def _positions(
        self, store: str, stream: str, epoch: int
    ) -> Iterator[tuple[int, str, str, tuple[str, str, int] | None]]:
        where = "WHERE store = :store AND stream = :stream AND epoch = :epoch"
        for seq, body, chain, event_id, kind, ts in self._db.execute(
            f"SELECT seq, body, chain, id, kind, ts FROM events {where}"
            f" UNION ALL SELECT seq, raw, chain, NULL, code, 0 FROM quarantine {where}"
            " AND seq IS NOT NULL ORDER BY seq",
            {"store": store, "stream": stream, "epoch": epoch},
        ):
            yield seq, body, chain, None if event_id is None else (event_id, kind, ts)

    def _event(
        self, where: str, store: str, stream: str, body: str, columns: tuple[str, str, int]
    ) -> None:
        try:
            event = _EVENT.decode(body)
            if canonical(msgspec.json.decode(body)) != body.encode():
                self.problem(where, f"seq {event.seq} is not in canonical form")
        except (msgspec.MsgspecError, TypeError) as error:
            self.problem(where, f"unreadable event {columns[0]}: {error}")
            return
        if (event.id, event.kind, event.ts) != columns:
            self.problem(where, f"seq {event.seq}: columns differ from the body")
        if stream != "stock":
            return
        sums: Counter[tuple[str, str, str]] = Counter()
        for line in event.lines:
            lot = line.lot or ""
            sums[line.gtin, lot, line.uom] += line.d
            self._qty[store, line.loc, line.gtin, lot, line.uom] += line.d
        if any(sums.values()):
            self.problem(where, f"seq {event.seq} does not sum to zero")

    def balances(self) -> int:
        """Compares with the stored balances; how many there are."""
        stored: dict[_Key, int] = {}
        for *key, qty in self._db.execute("SELECT store, loc, gtin, lot, uom, qty FROM balances"):
            stored[tuple(key)] = qty
        for key in sorted(stored.keys() | self._qty.keys()):
            if stored.get(key, 0) != self._qty[key]:
                store, loc, gtin, lot, uom = key
                where = f"{store} {gtin} lot {lot or 'unknown'} at {loc}"
                self.problem(
                    where, f"balance {stored.get(key, 0)}, events say {self._qty[key]} {uom}"
                )
        sums: Counter[tuple[str, str, str, str]] = Counter()
        for (store, _loc, gtin, lot, uom), qty in stored.items():
            sums[store, gtin, lot, uom] += qty
        for (store, gtin, lot, _uom), total in sorted(sums.items()):
            if total:
                self.problem(f"{store} {gtin} lot {lot or 'unknown'}", f"accounts sum to {total}")
        return len(stored)

    def strays(self) -> None:
        """Events and quarantine that belong to no epoch."""
        for table in ("events", "quarantine"):
            sql = (
                f"SELECT DISTINCT store, stream, epoch FROM {table} AS t"
                " WHERE t.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM streams AS s"
                " WHERE s.store = t.store AND s.stream = t.stream AND s.epoch = t.epoch)"
            )
            for store, stream, epoch in self._db.execute(sql):
                self.problem(f"{store} {stream} epoch {epoch}", f"{table} without a stream")

    def verdict(self, rows: list[Any], balances: int) -> Verdict:
        return Verdict(
            len({row[0] for row in rows}),
            len(rows),
            self.events,
            self.quarantined,
            balances,
            self._found,
            tuple(self._problems),
        )


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def verify(db: sqlite3.Connection) -> Verdict:
    """Every epoch of every stream, then the balances. Raises sqlite3.Error alone."""
    fold = _Fold(db)
    db.execute("BEGIN")  # one moment, even while the ledger runs
    try:
        rows = db.execute(
            "SELECT store, stream, epoch, inst, w, chain FROM streams ORDER BY store, stream, epoch"
        ).fetchall()
        for row in rows:
            fold.epoch(row)
        fold.strays()
        return fold.verdict(rows, fold.balances())
    finally:
        db.execute("ROLLBACK")
