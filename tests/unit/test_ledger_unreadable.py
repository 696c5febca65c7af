"""Messages that cannot be read, are not for us, or only say who is there (WIRE 4, 5.1, 10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.books import UNREAD_MAX, Books
from ledger.inbox import Reply, take

GOLDEN = Path(__file__).parents[2] / "docs" / "wire" / "golden" / "1.0"
STORE, INST, NOW = "s0001", "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7", 1_780_302_532_020
BATCH = (GOLDEN / "batch-stock.json").read_bytes()
STATE = (GOLDEN / "state.json").read_bytes()


def send(books: Books, name: str, payload: bytes, store: str = STORE) -> Reply:
    return take(books, f"stockd/v1/{store}/{name}", payload, NOW)


@pytest.fixture
def books() -> Books:
    """Books that have greeted the store of the examples."""
    books = Books(None)
    assert send(books, "up/stock/hello", (GOLDEN / "hello.json").read_bytes()).ack
    return books


def changed(**changes: Any) -> bytes:
    """The batch of the examples as our own gateway would print it, with other members."""
    return json.dumps(json.loads(BATCH) | changes, separators=(",", ":")).encode()


def rows(books: Books, sql: str) -> list[Any]:
    return books._db.execute(sql).fetchall()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'\xef\xbb\xbf{"v":"1.0"}',
        b"\xff\xfe",
        b"[" * 90_000,
        changed(store="s0002"),
        changed(stream="ops"),
        changed(v="2.0"),
        changed(epoch=1.0),
        changed(epoch=-1),
        changed(extra=0.5),
        changed(first=0),
        changed(first=2),
        changed(first=True),
        changed(prev="xy"),
        changed(inst="short"),
        changed(ev=[]),
        changed(ev="none"),
        changed(ev=[1]),
        changed(ev=[{}]),
        changed(ev=[{"seq": True}]),
        changed(ev=[{"seq": n} for n in range(1, 102)]),
        changed(pad="x" * 98_304),
        BATCH.replace(b'"seq":1,', b'"seq":1,"seq":1,'),
        BATCH.replace(b'"v":"1.0"', b'"v":"1.0","v":"1.0"'),
        BATCH.replace(b'"te":4,', b'"te":1e999,', 1),
        BATCH.replace(b'"why":"install"', b'"why":"\\ud800"'),
    ],
)
def test_unreadable_envelopes_apply_nothing(books: Books, payload: bytes) -> None:
    ack = send(books, "up/stock/batch", payload).ack
    assert ack is not None
    assert (ack.st, ack.ack, ack.inst) == ("gap", 0, INST)
    assert [(item.seq, item.code) for item in ack.rej] == [(None, "bad_envelope")]
    assert rows(books, "SELECT * FROM events") == []
    assert rows(books, "SELECT seq, code FROM quarantine") == [(None, "bad_envelope")]
    good = send(books, "up/stock/batch", BATCH).ack
    assert good is not None
    assert (good.st, good.ack) == ("ok", 5)


def test_an_unreadable_message_of_nobody_is_kept_and_not_answered(books: Books) -> None:
    for name in ("up/stock/batch", "up/ops/hello", "state"):
        reply = send(books, name, b"?", store="s0009")
        assert reply.ack is None
        assert reply.trouble is not None
    assert len(rows(books, "SELECT * FROM quarantine")) == 3


def test_unreadable_messages_are_bounded(books: Books) -> None:
    for number in range(UNREAD_MAX + 20):
        send(books, "up/stock/batch", b"%d" % number)
    kept = [raw for (raw,) in rows(books, "SELECT raw FROM quarantine")]
    assert len(kept) == UNREAD_MAX
    assert "19" not in kept


@pytest.mark.parametrize(
    "name",
    [
        "up/stock/snap",
        "up/cmd/result",
        "up/diag/rq-1",
        "up/other/batch",
        "down/stock/ack",
        "state/x",
    ],
)
def test_messages_of_phase_two_are_passed_over(books: Books, name: str) -> None:
    assert send(books, name, b"{}").ignored
    assert rows(books, "SELECT * FROM quarantine") == []


def test_presence_follows_the_newest_session(books: Books) -> None:
    def say(online: bool, sid: str) -> int:
        why = "connect" if online else "lost"
        state = json.loads(STATE) | {"online": online, "sid": sid, "why": why}
        send(books, "state", json.dumps(state).encode())
        found: int = rows(books, "SELECT online FROM presence")[0][0]
        return found

    steps = [(True, "a"), (True, "b"), (False, "a"), (False, "b"), (True, "c")]
    assert [say(*step) for step in steps] == [1, 1, 1, 0, 1]
    assert not send(books, "state", b"").trouble  # the retained message was cleared
