"""The ledger's database: SQLite, one transaction per message, nothing told before it is durable.

Here: opening and migrating, the transaction, the SQL behind `records.View`, writing an `Outcome`.
Not here: what to decide (`ledger.apply`), questions of people (`ledger.fleet`), the re-fold
(`ledger.verify`). Only this file writes; one process writes at a time.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.domain.messages import State, Stream
from gateway.domain.wire import chain_start
from ledger.records import Account, Outcome, Row

SCHEMA: Final = Path(__file__).parent / "schema"
UNREAD_MAX: Final = 1000
"""Unreadable messages kept per store; the oldest go first."""
UNREAD_BYTES_MAX: Final = 98_304
_ONE_EACH: Final = frozenset(("fork", "rollback", "fenced"))
"""Repeated by every message of a box that does not stop: only the newest finding is kept."""
_VARIABLES: Final = 500

_ROW: Final = "SELECT store, stream, epoch, inst, w, chain, status, check_after FROM streams"


class BooksError(Exception):
    """The database cannot be used as asked; says why and what to do."""


class AbsentError(BooksError):
    """There is no database at that place."""


def path_of(url: str) -> Path:
    """The file of a database URL. Raises BooksError for what this version cannot open.

    Three slashes begin a relative path, four an absolute one, as in SQLAlchemy.

    >>> path_of("sqlite:///var/ledger.db"), path_of("sqlite:////var/ledger.db")
    (PosixPath('var/ledger.db'), PosixPath('/var/ledger.db'))
    """
    if re.match(r"postgres(ql)?(\+\w+)?://", url):
        raise BooksError("postgresql:// is not in this version; use sqlite:///FILE")
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise BooksError(f"{url!r} is no database URL; use sqlite:///FILE")
    return Path(url.removeprefix("sqlite:///"))


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises AbsentError, or BooksError for another schema."""
    if not path.is_file():
        raise AbsentError(f"no ledger at {path}")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise BooksError(f"{path}: {error}") from None
    if version != len(_migrations()):
        raise BooksError(f"{path}: schema {version}, this version reads {len(_migrations())}")
    return connection


def _migrations() -> list[Path]:
    return sorted(SCHEMA.glob("[0-9][0-9][0-9]_*.sql"))


class Books:
    """The open database; also the `View` that decisions read through.

    Any sqlite3.Error that leaves a method means: nothing of this message was kept.
    """

    def __init__(self, path: Path | None) -> None:
        """Opens, creates or migrates a file; None keeps everything in memory.

        Raises BooksError for a file of a newer version or of another program.
        """
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise BooksError(f"{path}: {error}") from None

    def _migrate(self) -> None:
        steps = _migrations()
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise BooksError(f"schema {version} is of a newer version; this one knows {len(steps)}")
        for number, step in enumerate(steps[version:], version + 1):
            sql = step.read_text(encoding="utf-8")
            self._db.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")

    def close(self) -> None:
        """Closes the file; the object is of no use afterwards."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is durable when this ends, or nothing of it is."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- the view ---------------------------------------------------------------------------

    def rows(self, store: str, stream: Stream) -> tuple[Row, ...]:
        found = self._db.execute(
            f"{_ROW} WHERE store = ? AND stream = ? ORDER BY epoch", (store, stream)
        )
        return tuple(map(_row, found))

    def active(self) -> list[Row]:
        """The running epoch of every stream of every store."""
        return [_row(found) for found in self._db.execute(f"{_ROW} WHERE status <> 'closed'")]

    def chain_at(self, row: Row, seq: int) -> bytes | None:
        if seq == 0:
            return chain_start(row.inst)
        key = (row.store, row.stream, row.epoch, seq)
        where = "WHERE store = ? AND stream = ? AND epoch = ? AND seq = ?"
        found = self._db.execute(
            f"SELECT chain FROM events {where} UNION ALL SELECT chain FROM quarantine {where}",
            key + key,
        ).fetchone()
        return bytes.fromhex(found[0]) if found else None

    def taken(self, store: str, ids: Iterable[str]) -> frozenset[str]:
        sql = "SELECT id FROM events WHERE store = ? AND id IN (%s)"
        return frozenset(found for (found,) in self._each(sql, store, ids))

    def original(self, store: str, event_id: str) -> bytes | None:
        found = self._db.execute(
            "SELECT body FROM events WHERE store = ? AND id = ? AND stream = 'stock'",
            (store, event_id),
        ).fetchone()
        return found[0].encode() if found else None

    def balances(self, store: str, gtins: Iterable[str]) -> Mapping[Account, int]:
        sql = (
            "SELECT loc, gtin, lot, uom, qty FROM balances INDEXED BY balances_gtin"
            " WHERE store = ? AND gtin IN (%s)"
        )
        return {
            Account(loc, gtin, lot, uom): qty
            for loc, gtin, lot, uom, qty in self._each(sql, store, gtins)
        }

    def has_balances(self, store: str) -> bool:
        sql = "SELECT 1 FROM balances WHERE store = ? AND qty <> 0 LIMIT 1"
        return self._db.execute(sql, (store,)).fetchone() is not None

    def _each(self, sql: str, store: str, values: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = sorted(values)
        for start in range(0, len(wanted), _VARIABLES):
            part = wanted[start : start + _VARIABLES]
            yield from self._db.execute(sql % ",".join("?" * len(part)), (store, *part))

    # --- writing ----------------------------------------------------------------------------

    def write(self, outcome: Outcome, now_ms: int) -> None:
        """Everything an outcome changes; inside a transaction."""
        if outcome.foreign:
            return
        row = outcome.row
        key = (row.store, row.stream, row.epoch)
        self._write_row(row, outcome.opened, now_ms)
        self._db.executemany(
            "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    *key,
                    new.seq,
                    new.id,
                    new.kind,
                    new.ts,
                    new.body.decode(),
                    new.chain.hex(),
                    now_ms,
                )
                for new in outcome.events
            ],
        )
        self._db.executemany(
            "INSERT INTO quarantine VALUES (NULL,?,?,?,?,?,?,?,?,?)",
            [
                (*key, bad.seq, bad.code, bad.detail, bad.body.decode(), bad.chain.hex(), now_ms)
                for bad in outcome.quarantine
            ],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO balances VALUES (?,?,?,?,?,?,?,?)",
            [
                (
                    row.store,
                    at.account.loc,
                    at.account.gtin,
                    at.account.lot,
                    at.account.uom,
                    at.qty,
                    row.epoch,
                    at.seq,
                )
                for at in outcome.balances
            ],
        )
        for finding in outcome.findings:
            if finding.code in _ONE_EACH:
                self._db.execute(
                    "DELETE FROM findings WHERE store = ? AND stream = ? AND code = ?",
                    (row.store, row.stream, finding.code),
                )
            self._db.execute(
                "INSERT INTO findings VALUES (NULL,?,?,?,?,?,?,?)",
                (*key, finding.seq, finding.code, finding.detail, now_ms),
            )

    def _write_row(self, row: Row, opened: bool, now_ms: int) -> None:
        if opened:
            self._db.execute(
                "UPDATE streams SET status = 'closed' WHERE store = ? AND stream = ?",
                (row.store, row.stream),
            )
        self._db.execute(
            "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,NULL,?,?)",
            (
                row.store,
                row.stream,
                row.epoch,
                row.inst,
                row.w,
                row.chain.hex(),
                row.status,
                row.check_after,
                now_ms,
            ),
        )

    def set_aside(
        self, store: str, stream: Stream | None, payload: bytes, why: str, now_ms: int
    ) -> None:
        """Keeps an unreadable message, at most UNREAD_MAX of a store; inside a transaction."""
        raw = payload[:UNREAD_BYTES_MAX].decode("utf-8", errors="backslashreplace")
        self._db.execute(
            "INSERT INTO quarantine VALUES (NULL,?,?,NULL,NULL,'bad_envelope',?,?,NULL,?)",
            (store, stream, why, raw, now_ms),
        )
        self._db.execute(
            "DELETE FROM quarantine WHERE seq IS NULL AND store = ? AND n <= ("
            "SELECT n FROM quarantine WHERE seq IS NULL AND store = ?"
            " ORDER BY n DESC LIMIT 1 OFFSET ?)",
            (store, store, UNREAD_MAX),
        )

    def note_presence(self, state: State, now_ms: int) -> None:
        """The newest presence; an offline of another session than the newest online is ignored."""
        self._db.execute(
            "INSERT INTO presence VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (store) DO UPDATE SET"
            " online = excluded.online, sid = excluded.sid, gw = excluded.gw,"
            " inst = excluded.inst, epoch = excluded.epoch, sw = excluded.sw,"
            " why = excluded.why, since = excluded.since, seen_ts = excluded.seen_ts"
            " WHERE excluded.online OR excluded.sid = presence.sid",
            (
                state.store,
                state.online,
                state.sid,
                state.gw,
                state.inst,
                state.epoch,
                state.sw,
                state.why,
                state.since,
                now_ms,
            ),
        )


def _row(found: Sequence[Any]) -> Row:
    store, stream, epoch, inst, w, chain, status, check_after = found
    return Row(
        store,
        stream,
        epoch,
        inst,
        w,
        bytes.fromhex(chain),
        status,
        bool(check_after),
    )
