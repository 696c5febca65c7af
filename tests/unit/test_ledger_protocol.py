"""Every row of WIRE sections 10 and 11, phase 1, through the inbox and real books.

The gateway here is written from the text alone: its chain and canonical form are not ours.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from gateway.domain.messages import Ack
from ledger.books import Books
from ledger.inbox import take
from ledger.verify import verify

STORE = "s0001"
INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
OTHER = "c0ffee5e9d3a4c7788e2b1a0c4d5e6f7"
GTIN = "09506000134352"
NOW = 1_780_302_532_020


class Box:
    """A gateway that keeps its journal as bodies and chain hashes."""

    def __init__(self, inst: str = INST, stream: str = "stock", salt: str = "") -> None:
        self.inst, self.stream, self.salt = inst, stream, salt
        self.bodies: list[bytes] = []
        self.chains = [hashlib.sha256(bytes.fromhex(inst)).digest()]
        self.epoch = 0
        self.shelf = 0

    def log(self, kind: str = "receive", **members: Any) -> dict[str, Any]:
        seq = len(self.bodies) + 1
        mark = hashlib.sha256(f"{self.inst}{self.stream}{seq}{self.salt}".encode()).hexdigest()
        ident = f"019e8246-8c67-7{mark[:3]}-8{mark[3:6]}-{mark[6:18]}"
        common: dict[str, Any] = {
            "seq": seq,
            "id": ident,
            "kind": kind,
            "ts": NOW,
            "tq": "sync",
            "te": 4,
        }
        event = common | {"mono_us": 1, "boot": "9c1f3e5a7b2d4c60"} | members
        body = rfc8785.dumps(event)
        self.bodies.append(body)
        self.chains.append(hashlib.sha256(self.chains[-1] + body).digest())
        return event

    def move(self, d: int = 1000, source: str = "@supplier", **members: Any) -> dict[str, Any]:
        self.shelf += d
        return self.log(lines=lines(d, source, after=self.shelf), **members)

    def cut(self, seq: int) -> None:
        """The disk image of an earlier day."""
        del self.bodies[seq:], self.chains[seq + 1 :]

    def hello(self, **changes: Any) -> tuple[str, bytes]:
        message = {
            "v": "1.0", "store": STORE, "stream": self.stream, "gw": "a4bb6d2f9c10",
            "inst": self.inst, "epoch": self.epoch, "max": len(self.bodies), "min": 1, "ack": 0,
            "sid": "0b7e41d2a95c4f30b6d8e17f2a3c9b54", "boot": "9c1f3e5a7b2d4c60", "sw": "1.0.0",
            "schema": "1.0", "caps": [], "why": "connect", "ts": NOW, "tq": "sync", "te": 4,
        }  # fmt: skip
        return f"stockd/v1/{STORE}/up/{self.stream}/hello", json.dumps(message | changes).encode()

    def batch(self, first: int, last: int | None = None, /, **changes: Any) -> tuple[str, bytes]:
        events = [json.loads(body) for body in self.bodies[first - 1 : last]]
        prev = self.chains[first - 1].hex() if first <= len(self.chains) else "0" * 64
        message = {
            "v": "1.0", "store": STORE, "stream": self.stream, "inst": self.inst,
            "epoch": self.epoch, "first": first, "prev": prev, "ev": events,
        }  # fmt: skip
        return f"stockd/v1/{STORE}/up/{self.stream}/batch", json.dumps(message | changes).encode()


def lines(d: int, source: str = "@supplier", after: int | None = None) -> list[dict[str, Any]]:
    common = {"gtin": GTIN, "lot": None, "exp": None, "uom": "EA"}
    return [
        common | {"loc": source, "d": -d, "after": None},
        common | {"loc": "a1", "d": d, "after": after},
    ]


def tell(books: Books, message: tuple[str, bytes]) -> Ack:
    ack = take(books, *message, NOW).ack
    assert ack is not None
    assert ack.credit == 2000
    assert (ack.baseline, ack.caps) == (None, ())
    return ack


def tables(books: Books) -> dict[str, list[Any]]:
    asked = {
        "events": "store, stream, epoch, seq, id, kind, ts, body, chain",
        "quarantine": "store, stream, epoch, seq, code, raw, chain",
        "balances": "*",
        "streams": "store, stream, epoch, inst, w, chain, status, baseline, check_after",
    }
    db = books._db
    return {
        name: db.execute(f"SELECT {what} FROM {name} ORDER BY 1, 2, 3, 4").fetchall()
        for name, what in asked.items()
    }


def findings(books: Books) -> list[str]:
    return [code for (code,) in books._db.execute("SELECT code FROM findings ORDER BY n")]


@pytest.fixture
def books() -> Books:
    return Books(None)


@pytest.fixture
def box(books: Books) -> Box:
    """A box that has been greeted and has five events, none of them sent."""
    box = Box()
    assert tell(books, box.hello()).st == "new_epoch"
    box.epoch = 1
    box.log("epoch_open", open={"baseline": None, "sha256": None, "why": "install"})
    for _ in range(4):
        box.move()
    return box


# --- section 11 -------------------------------------------------------------------------------


def test_first_contact_opens_epoch_one(books: Books) -> None:
    box = Box()
    ack = tell(books, box.hello())
    assert (ack.st, ack.epoch, ack.ack, ack.last) == ("new_epoch", 1, 0, None)
    assert ack.chain == box.chains[0].hex()
    assert ack.inst == INST


def test_a_known_inst_is_told_its_position(books: Books, box: Box) -> None:
    tell(books, box.batch(1, 3))
    ack = tell(books, box.hello())
    assert (ack.st, ack.epoch, ack.ack, ack.chain) == ("sync", 1, 3, box.chains[3].hex())


def test_the_two_streams_are_apart(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    ops = Box(stream="ops", salt="ops")
    ack = tell(books, ops.hello())
    assert (ack.st, ack.stream, ack.epoch, ack.ack) == ("new_epoch", "ops", 1, 0)
    ops.epoch = 1
    ops.log("start", data={"sw": "1.0.0", "why": "boot"})
    assert tell(books, ops.batch(1)).ack == 1
    assert tell(books, box.hello()).ack == 5


def test_reinstall_closes_the_old_epoch_and_drift_is_not_compared(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    new = Box(OTHER)
    ack = tell(books, new.hello())
    assert (ack.st, ack.epoch, ack.ack) == ("new_epoch", 2, 0)
    assert ack.last is not None
    assert (ack.last.epoch, ack.last.inst, ack.last.ack) == (1, INST, 5)
    new.epoch = 2
    new.move()
    assert tell(books, new.batch(1)).st == "ok"
    assert findings(books) == []
    assert [row.status for row in books.rows(STORE, "stock")] == ["closed", "active"]
    assert dict(books.balances(STORE, [GTIN])).popitem()[1] in (5000, -5000)


def test_old_box_after_a_swap_is_fenced(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    tell(books, Box(OTHER).hello())
    box.move()
    before = tables(books)
    for message in (box.hello(), box.batch(6), box.batch(1)):
        ack = tell(books, message)
        assert (ack.st, ack.inst, ack.epoch, ack.ack) == ("fenced", INST, 1, 5)
        assert ack.chain == box.chains[5].hex()
    assert tables(books) == before
    assert findings(books) == ["fenced"]


def test_a_batch_of_nobody_is_fenced_and_leaves_no_trace(books: Books, box: Box) -> None:
    before = tables(books)
    stranger = Box(OTHER)
    stranger.move()
    ack = tell(books, stranger.batch(1))
    assert (ack.st, ack.inst, ack.ack, ack.chain) == ("fenced", OTHER, 0, stranger.chains[0].hex())
    assert tables(books) == before


def test_a_batch_of_another_epoch_is_fenced(books: Books, box: Box) -> None:
    box.epoch = 2
    assert tell(books, box.batch(1)).st == "fenced"
    assert tables(books)["events"] == []


def test_ledger_that_lost_the_stream_takes_the_claimed_epoch(books: Books, box: Box) -> None:
    box.epoch = 3
    empty = Books(None)
    ack = tell(empty, box.hello())
    assert (ack.st, ack.epoch, ack.ack, ack.last) == ("sync", 3, 0, None)
    assert tell(empty, box.batch(1)).ack == 5
    assert findings(empty) == []  # from nothing on, every `after` is right


def test_a_claimed_epoch_that_is_known_is_not_believed(books: Books, box: Box) -> None:
    other = Box(OTHER)
    ack = tell(books, other.hello(epoch=1))
    assert (ack.st, ack.epoch) == ("new_epoch", 2)


def test_rolled_back_disk_stops_and_changes_nothing(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    before = tables(books)
    box.cut(3)
    ack = tell(books, box.hello())
    # Within what the gateway has, or it would have to ignore the message (section 5.3).
    assert (ack.st, ack.ack, ack.chain) == ("rollback", 3, box.chains[3].hex())
    after = tables(books)
    assert after.pop("streams")[0][6] == "rollback"
    assert before.pop("streams")[0][6] == "active"
    assert after == before
    assert findings(books) == ["rollback"]


@pytest.mark.parametrize("regrown", [1, 2, 4])
def test_rolled_back_and_regrown_is_a_fork(books: Books, box: Box, regrown: int) -> None:
    tell(books, box.batch(1))
    stored = tables(books)["events"], tables(books)["balances"]
    box.cut(3)
    box.salt = "another day"
    for _ in range(regrown):
        box.move()
    for first in {4, 3, min(6, len(box.bodies))}:
        ack = tell(books, box.batch(first))
        assert ack.st == "fork"
        assert ack.ack == min(5, len(box.bodies))
        assert ack.chain != box.chains[ack.ack].hex()
    assert (tables(books)["events"], tables(books)["balances"]) == stored
    assert findings(books) == ["fork"]


def test_a_clone_does_not_lock_out_the_right_box(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    clone = Box(salt="clone")
    clone.epoch = 1
    for _ in range(6):
        clone.move()
    assert tell(books, clone.batch(6)).st == "fork"
    box.move()
    assert (tell(books, box.batch(6)).st, books.rows(STORE, "stock")[0].status) == ("ok", "active")


def test_restored_backup_lowers_the_watermark_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    books, box = Books(path), Box()
    tell(books, box.hello())
    box.epoch = 1
    for _ in range(4):
        box.move()
    tell(books, box.batch(1, 2))
    books.close()
    shutil.copy(path, tmp_path / "backup.db")
    books = Books(path)
    tell(books, box.batch(3))
    expected = tables(books)
    books.close()
    path.with_suffix(".db-wal").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", path)
    books = Books(path)
    ack = tell(books, box.hello(ack=4))
    assert (ack.st, ack.ack, ack.chain) == ("sync", 2, box.chains[2].hex())
    assert tell(books, box.batch(3)).ack == 4
    assert tables(books) == expected


# --- section 10 -------------------------------------------------------------------------------


def test_gap_applies_nothing(books: Books, box: Box) -> None:
    ack = tell(books, box.batch(2))
    assert (ack.st, ack.ack, ack.chain) == ("gap", 0, box.chains[0].hex())
    assert tables(books)["events"] == []


def test_duplicates_and_overlaps_are_skipped(books: Books, box: Box) -> None:
    assert tell(books, box.batch(1, 3)).ack == 3
    before = tables(books)
    for message in (box.batch(1, 3), box.batch(1, 2), box.batch(2, 3), box.batch(3, 3)):
        ack = tell(books, message)
        assert (ack.st, ack.ack, ack.rej) == ("ok", 3, ())
    assert tables(books) == before
    assert tell(books, box.batch(2, 5)).ack == 5
    clean = Books(None)
    tell(clean, box.hello(epoch=0))
    tell(clean, box.batch(1))
    assert tables(books) == tables(clean)


def test_a_wrong_prev_is_a_fork(books: Books, box: Box) -> None:
    assert tell(books, box.batch(1, prev="ab" * 32)).st == "fork"
    assert tables(books)["events"] == []


def test_poison_is_passed_listed_and_covered_by_the_chain(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    box.log("pick", lines=lines(1000)[:1] + lines(2000)[1:])
    box.log("pick", lines=lines(1.5))  # type: ignore[arg-type]
    box.log("teleport")
    box.shelf = 4000
    box.move()
    ack = tell(books, box.batch(6))
    assert (ack.st, ack.ack, ack.chain) == ("ok", 9, box.chains[9].hex())
    assert [(bad.seq, bad.code) for bad in ack.rej] == [
        (6, "unbalanced"), (7, "number"), (8, "unknown_kind")
    ]  # fmt: skip
    assert ack.rej[0].detail == "EA of 09506000134352 lot unknown off by 1000"
    found = tables(books)
    assert [row[3] for row in found["events"]] == [1, 2, 3, 4, 5, 9]
    assert [row[3] for row in found["quarantine"]] == [6, 7, 8]
    assert verify(books._db).problems == ()
    again = tell(books, box.batch(6))
    assert (again.st, again.ack, again.rej) == ("ok", 9, ())


@pytest.mark.parametrize("apart", [True, False], ids=["across batches", "in one batch"])
def test_an_id_is_used_once_per_store(books: Books, box: Box, apart: bool) -> None:
    first = box.move()
    if apart:
        tell(books, box.batch(1))
    box.move(id=first["id"])
    ack = tell(books, box.batch(7 if apart else 1))
    assert [(bad.seq, bad.code) for bad in ack.rej] == [(7, "dup_id")]
    assert ack.ack == 7


def test_a_product_keeps_its_unit(books: Books, box: Box) -> None:
    tell(books, box.batch(1))
    box.log("receive", lines=[line | {"uom": "KGM"} for line in lines(1000)])
    ack = tell(books, box.batch(6))
    assert [(bad.seq, bad.code) for bad in ack.rej] == [(6, "bad_uom")]


@pytest.mark.parametrize("apart", [True, False], ids=["across batches", "in one batch"])
def test_a_void_is_the_mirror_of_its_original(books: Books, box: Box, apart: bool) -> None:
    first = box.move()
    if apart:
        tell(books, box.batch(1))
    nowhere = "019e824c-cd64-7374-bb9f-2454eaaf5a7c"
    box.log("void", corr=first["id"], lines=lines(-1000, after=box.shelf - 1000))
    box.log("void", corr=first["id"], lines=lines(-2000))
    box.log("void", corr=nowhere, lines=lines(-1000))
    ack = tell(books, box.batch(7 if apart else 1))
    assert [(bad.seq, bad.code) for bad in ack.rej] == [(8, "bad_corr"), (9, "bad_corr")]
    assert findings(books) == []


def test_a_void_says_nothing_of_a_line_that_found_what_was_booked(books: Books, box: Box) -> None:
    found = lines(1000, "@adjust", after=box.shelf + 1000)
    as_booked = [line | {"gtin": "06901234560015"} for line in lines(0, "@adjust", after=0)]
    count = box.log("stocktake", lines=found + as_booked)
    box.log("void", corr=count["id"], lines=lines(-1000, "@adjust", after=box.shelf))
    assert tell(books, box.batch(1)).rej == ()
    assert findings(books) == []


def test_a_balance_beyond_the_link_s_integers_is_refused(books: Books, box: Box) -> None:
    huge = 2**53 - 1
    box.log("receive", lines=lines(huge))
    ack = tell(books, box.batch(1))
    assert [(bad.seq, bad.code) for bad in ack.rej] == [(6, "number")]
    assert verify(books._db).problems == ()


def test_drift_is_a_finding_and_books_all_the_same(books: Books, box: Box) -> None:
    box.shelf += 7000
    box.move()
    assert tell(books, box.batch(1)).rej == ()
    assert findings(books) == ["drift"]
    assert verify(books._db).problems == ()


@pytest.mark.parametrize("table", ["events", "quarantine", "balances", "streams", "findings"])
def test_a_failing_database_keeps_nothing_and_says_nothing(
    books: Books, box: Box, table: str
) -> None:
    box.shelf += 1
    box.move()
    box.log("teleport")
    before = tables(books)
    books._db.execute(
        f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(sqlite3.Error):
        take(books, *box.batch(1), NOW)
    assert tables(books) == before
    books._db.execute("DROP TRIGGER full")
    assert tell(books, box.batch(1)).ack == 7
