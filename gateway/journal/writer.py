"""The one connection that writes, on its own thread: group commit, checkpoints, retention.

Here: SQL that writes, numbered migrations. Not here: what is worth writing (`journal`, `rows`),
reads. SQLite before 3.51.3 can corrupt a WAL file that two connections write and checkpoint at
once, so exactly one connection of one process ever writes (a lock file sees to it).
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from gateway.core.engine import Position
from gateway.journal.rows import Batch

GROUP_MAX: Final = 512
"""Batches of one transaction at most."""
PRUNE_ROWS: Final = 2000
"""Rows removed in one transaction at most, so that a sale never waits for housekeeping."""


class JournalError(Exception):
    """The journal cannot be opened; says why and what to do."""


class Checkpoint(msgspec.Struct, frozen=True):
    """Ask for a checkpoint, and drop what is older than `keep_from_ns` and acknowledged."""

    at_ns: int
    keep_from_ns: int
    config_sha256: str | None = None
    """The configuration that is in force from here on, when it has changed."""


class WholeState(msgspec.Struct):
    """The body of a checkpoint: balances in order of receipt, parts by key."""

    balances: list[tuple[str, str, str, str, str | None, int]]
    parts: dict[str, msgspec.Raw]


def _schemas() -> list[str]:
    folder = resources.files("gateway.journal") / "schema"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def connect(path: Path) -> sqlite3.Connection:
    """Opens (and makes, and migrates) the journal for writing. Raises JournalError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        schemas = _schemas()
        if version > len(schemas):
            raise JournalError(f"{path} is of a newer stockd (schema {version}); update stockd")
        for number, script in enumerate(schemas[version:], start=version + 1):
            db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"cannot open the journal {path}: {error}") from None
    return db


def lock(path: Path) -> int:
    """Takes the journal for this process until it ends. Raises JournalError when another has it."""
    file = os.open(
        path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise JournalError(f"another stockd is running on {path}; stop it first") from None
    return file


class Writer:
    """A thread that commits what is put to it, in order, as many at a time as are waiting.

    `done(batches)` is called on the writer's thread after each commit; `failed(error)` when a
    commit did not succeed, after which nothing is written any more.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        done: Callable[[list[Batch]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._db, self._done, self._failed = db, done, failed
        self._queue: queue.SimpleQueue[Batch | Checkpoint | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.commits_total = 0
        self._thread.start()

    def put(self, item: Batch | Checkpoint) -> None:
        """Hands over a batch; returns at once."""
        self._queue.put(item)

    def close(self) -> None:
        """Writes what was put before, then ends."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        try:
            while True:
                item = self._queue.get()
                if item is None:
                    return
                if isinstance(item, Checkpoint):
                    self._checkpoint(item)
                elif not self._commit(item):
                    return
        except sqlite3.Error as error:
            self._failed(error)

    def _commit(self, first: Batch) -> bool:
        """One transaction of this batch and those that wait behind it; False at the end."""
        batches: list[Batch] = [first]
        ending, checkpoint = False, None
        while len(batches) < GROUP_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, Batch):
                batches.append(item)
                continue
            ending, checkpoint = item is None, item
            break
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for batch in batches:
            self._write(batch)
        db.execute("COMMIT")
        self.commits_total += 1
        self._done(batches)
        if checkpoint is not None:
            self._checkpoint(checkpoint)
        return not ending

    def _write(self, batch: Batch) -> None:
        db = self._db
        for stock in batch.stock:
            row = stock.row
            db.execute(
                "INSERT INTO stock_events VALUES (?,?,?,?,?,?,?,?,?)",
                (row.seq, row.id, row.kind, row.at_ns, row.body, row.chain, stock.corr,
                 stock.cause, stock.because),
            )  # fmt: skip
            for dev, ref in stock.sources:
                db.execute("INSERT INTO sources VALUES (?,?,?,?)", (dev, ref, row.kind, row.seq))
        for row in batch.ops:
            db.execute(
                "INSERT INTO ops_events VALUES (?,?,?,?,?,?)",
                (row.seq, row.id, row.kind, row.at_ns, row.body, row.chain),
            )
        for seen in batch.observations:
            db.execute("INSERT INTO observations VALUES (?,?,?)", (seen.n, seen.at_ns, seen.body))
        for b in batch.balances:
            db.execute(
                "INSERT INTO balances VALUES (?,?,?,?,?,?) ON CONFLICT (loc, gtin, lot) "
                "DO UPDATE SET qty_milli = excluded.qty_milli, exp = excluded.exp",
                (b.loc, b.gtin, b.lot, b.uom, b.exp, b.qty_milli),
            )
        for key, body in batch.parts:
            if body is None:
                db.execute("DELETE FROM parts WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO parts VALUES (?,?)", (key, body))
        for stream, cursor in batch.cursors:
            db.execute(
                "INSERT OR REPLACE INTO cursors VALUES (?,?,?)", (stream, cursor.epoch, cursor.ack)
            )
        if batch.position is not None:
            db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('position', ?)",
                (msgspec.json.encode(batch.position).decode(),),
            )

    def _checkpoint(self, ask: Checkpoint) -> None:
        """Keeps the whole state, then drops what is old and acknowledged, a little at a time."""
        db = self._db
        row = db.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()
        position = Position() if row is None else msgspec.json.decode(row[0], type=Position)
        if ask.config_sha256 is not None:
            text = f"{ask.config_sha256} {position.next_seq}"
            db.execute("INSERT OR REPLACE INTO meta VALUES ('config', ?)", (text,))
        if row is None:
            return  # nothing was ever booked
        last = db.execute("SELECT chain FROM stock_events ORDER BY seq DESC LIMIT 1").fetchone()
        whole = WholeState(
            db.execute(
                "SELECT loc, gtin, lot, uom, exp, qty_milli FROM balances ORDER BY rowid"
            ).fetchall(),
            {key: msgspec.Raw(body) for key, body in db.execute("SELECT key, body FROM parts")},
        )
        db.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?,?,?,?,?)",
            (position.next_seq, position.next_observation, ask.at_ns,
             last[0] if last else b"", msgspec.json.encode(whole)),
        )  # fmt: skip
        base = db.execute(
            "SELECT max(next_seq), max(next_observation) FROM checkpoints WHERE at_ns < ? "
            "AND next_seq <= coalesce((SELECT ack FROM cursors WHERE stream = 'stock'), 0) + 1",
            (ask.keep_from_ns,),
        ).fetchone()
        if base[0] is None:
            return
        self._drop("checkpoints", "next_seq", base[0])
        self._drop("stock_events", "seq", base[0])
        self._drop("observations", "n", base[1])
        self._drop("sources", "seq", base[0])
        acked = db.execute("SELECT ack FROM cursors WHERE stream = 'ops'").fetchone()
        old = db.execute(
            "SELECT max(seq) FROM ops_events WHERE at_ns < ? AND seq <= ?",
            (ask.keep_from_ns, acked[0] if acked else 0),
        ).fetchone()[0]
        if old is not None:
            self._drop("ops_events", "seq", old + 1)

    def _drop(self, table: str, column: str, before: int) -> None:
        """Deletes rows below a number, PRUNE_ROWS of them per transaction."""
        key = "dev, ref, kind" if table == "sources" else column
        while True:
            done = self._db.execute(
                f"DELETE FROM {table} WHERE ({key}) IN "
                f"(SELECT {key} FROM {table} WHERE {column} < ? LIMIT {PRUNE_ROWS})",
                (before,),
            )
            if done.rowcount < PRUNE_ROWS:
                return
