"""The one connection that writes, and its thread: group commit, checkpoints, retention.

Here: SQL that writes, numbered migrations. Not here: what is worth writing (`journal`, `rows`),
reads. SQLite before 3.51.3 can corrupt a WAL file that two connections write and checkpoint at
once, so exactly one connection of one process ever writes (a lock file sees to it).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from gateway.core.outcome import Position
from gateway.journal.rows import PRUNED, Batch

GROUP_MAX: Final = 512
"""Batches of one transaction at most."""
QUICK_NS: Final = 2_000_000
"""A disk whose last commit took less is quick: waking a thread and being woken by it would cost
more than it saves, so the caller may commit on its own. A slow disk always gets the thread."""
WAL_PAGES: Final = 4000
"""Pages between SQLite's own checkpoints: 16 MiB, so that one commit in 500 pays for one."""
PRUNE_ROWS: Final = 2000
"""Rows removed in one transaction at most; what was put meanwhile is committed before the next."""


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
        db.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        schemas = _schemas()
        if version > len(schemas):
            raise JournalError(f"{path} is of a newer stockd (schema {version}); update stockd")
        for number, script in enumerate(schemas[version:], start=version + 1):
            db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"cannot open the journal {path}: {error}") from None
    return db


def position_of(db: sqlite3.Connection) -> Position:
    """Where the record ends: it says so itself, and no row needs to be written for it."""
    seq, seen, event_ns, seen_ns = db.execute(
        "SELECT (SELECT max(seq) FROM stock_events), (SELECT max(n) FROM observations), "
        "(SELECT at_ns FROM stock_events ORDER BY seq DESC LIMIT 1), "
        "(SELECT at_ns FROM observations ORDER BY n DESC LIMIT 1)"
    ).fetchone()
    return Position((seq or 0) + 1, (seen or 0) + 1, max(event_ns or 0, seen_ns or 0))


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

    `done(batches)` is called on the writer's thread after each commit, with PRUNED after a
    checkpoint; `failed(error)`, on whichever thread committed, when a commit did not succeed, after
    which nothing is written any more. The connection has one user at a time: the thread while
    anything put is not done, the caller of `commit_now` otherwise.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        done: Callable[[list[Batch]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._db, self._done, self._failed = db, done, failed
        self._queue: queue.SimpleQueue[Batch | Checkpoint | None] = queue.SimpleQueue()
        self._drops: deque[tuple[str, str, int] | None] = deque()  # None: a checkpoint is done
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.commits_total = 0
        self.quick = False
        """Whether the last commit was fast enough for `commit_now`."""
        self._thread.start()

    def put(self, item: Batch | Checkpoint) -> None:
        """Hands over a batch; returns at once."""
        self._queue.put(item)

    def commit_now(self, batch: Batch) -> bool:
        """Commits on the caller's thread; only when everything put before is done.

        False when it did not succeed: `failed` was called, and what is put later is not written.
        """
        try:
            self._transaction([batch])
        except sqlite3.Error as error:
            self._queue.put(None)  # SQLite may have rolled back: a later batch would leave a gap
            self._failed(error)
            return False
        return True

    def close(self) -> None:
        """Writes what was put before, then ends."""
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(sqlite3.Error):  # a failed journal is closed as it is
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                if isinstance(item, Checkpoint):
                    self._checkpoint(item)
                elif not self._commit(item):
                    return
        except sqlite3.Error as error:
            self._failed(error)

    def _next(self) -> Batch | Checkpoint | None:
        """What was put first; while nothing is, old rows go."""
        while self._drops:
            try:
                return self._queue.get_nowait()
            except queue.Empty:
                self._drop()
        return self._queue.get()

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
        self._transaction(batches)
        self._done(batches)
        if checkpoint is not None:
            self._checkpoint(checkpoint)
        return not ending

    def _transaction(self, batches: list[Batch]) -> None:
        begin_ns = time.monotonic_ns()
        self._db.execute("BEGIN IMMEDIATE")
        for batch in batches:
            self._write(batch)
        self._db.execute("COMMIT")
        self.commits_total += 1
        self.quick = time.monotonic_ns() - begin_ns < QUICK_NS

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

    def _checkpoint(self, ask: Checkpoint) -> None:
        """Keeps the whole state; what is old and acknowledged is then dropped bit by bit."""
        self._keep_state(ask)
        self._drops += [*self._old(ask.keep_from_ns), None]

    def _keep_state(self, ask: Checkpoint) -> None:
        db = self._db
        position = position_of(db)
        if ask.config_sha256 is not None:
            text = f"{ask.config_sha256} {position.next_seq}"
            db.execute("INSERT OR REPLACE INTO meta VALUES ('config', ?)", (text,))
        if position == Position():
            return  # nothing was ever seen
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

    def _old(self, keep_from_ns: int) -> Iterator[tuple[str, str, int]]:
        """Tables, their numbers, and the first number of each that is kept."""
        db = self._db
        base = db.execute(
            "SELECT max(next_seq), max(next_observation) FROM checkpoints WHERE at_ns < ? "
            "AND next_seq <= coalesce((SELECT ack FROM cursors WHERE stream = 'stock'), 0) + 1",
            (keep_from_ns,),
        ).fetchone()
        if base[0] is None:
            return
        yield "checkpoints", "next_seq", base[0]
        # The newest row of each stays, however old: numbers and chain go on from it.
        yield "stock_events", "seq", base[0] - 1
        yield "observations", "n", base[1] - 1
        yield "sources", "seq", base[0]
        acked = db.execute("SELECT ack FROM cursors WHERE stream = 'ops'").fetchone()
        old = db.execute(
            "SELECT max(seq) FROM ops_events WHERE at_ns < ? AND seq <= ?",
            (keep_from_ns, acked[0] if acked else 0),
        ).fetchone()[0]
        if old is not None:
            yield "ops_events", "seq", old

    def _drop(self) -> None:
        """One transaction of what is to go, at most PRUNE_ROWS rows."""
        if self._drops[0] is None:
            self._drops.popleft()
            self._done([PRUNED])
            return
        table, column, before = self._drops[0]
        key = "dev, ref, kind" if table == "sources" else column
        done = self._db.execute(
            f"DELETE FROM {table} WHERE ({key}) IN "
            f"(SELECT {key} FROM {table} WHERE {column} < ? LIMIT {PRUNE_ROWS})",
            (before,),
        )
        if done.rowcount < PRUNE_ROWS:
            self._drops.popleft()
