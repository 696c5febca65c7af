"""The journal in one process: what waits, what a failing disk stops, what belongs together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.outcome import Outcome, Position
from gateway.domain.messages import Alarm
from gateway.domain.observation import DeviceSeen
from gateway.domain.stock import Opened
from gateway.domain.wire import Stamp
from gateway.journal import writer
from gateway.journal.journal import EPOCH_OPEN, Journal, OpsNote
from gateway.journal.reader import Reader
from gateway.journal.rows import PRUNED
from gateway.journal.writer import JournalError
from gateway.outbox_words import Cursor

DEADLINE_S = 10.0


def stamp(at_ns: int) -> Stamp:
    return Stamp("sync", 0, at_ns // 1000, "0" * 16)


def note(n: int) -> OpsNote:
    return OpsNote(n, "alarm", Alarm("clock", "warn", None, f"number {n}"))


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal(tmp_path / "stockd.db", "s0001")
    yield opened
    opened.close()


async def until_idle(journal: Journal) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await journal.durable()
    assert journal.backlog == 0


async def test_durable_waits_for_what_was_handed_over_and_for_nothing_else(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_idle(journal)
    monkeypatch.setattr(writer, "QUICK_NS", 10**12)  # the next one makes this disk a quick one
    journal.append(None, [note(1)], stamp)
    await until_idle(journal)
    journal.append(None, [note(2)], stamp, at_once=True)
    assert journal.committed("ops") == 2, "on disk when append returns"
    journal.append(None, [note(3)], stamp)
    await until_idle(journal)  # once, this waited for a batch that had long been done
    assert journal.committed("ops") == 3


async def test_after_a_failed_commit_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "stockd.db", "s0001")
    monkeypatch.setattr(writer, "QUICK_NS", 10**12)
    journal.append(None, [note(1)], stamp)
    await until_idle(journal)
    wall = sqlite3.connect(tmp_path / "stockd.db", isolation_level=None)
    wall.execute("CREATE TRIGGER full BEFORE INSERT ON ops_events WHEN NEW.at_ns = 2 "
                 "BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END")  # fmt: skip
    journal.append(None, [note(2)], stamp, at_once=True)
    journal.append(None, [note(3)], stamp)  # it would fit, and leave a gap
    with pytest.raises(JournalError, match="disk is full"):
        async with asyncio.timeout(DEADLINE_S):
            await journal.failed
    journal.close()
    assert wall.execute("SELECT seq FROM ops_events").fetchall() == [(1,)]
    assert journal.committed("ops") == 1
    wall.close()


async def test_an_epoch_and_its_first_event_are_one_transaction(
    journal: Journal, tmp_path: Path
) -> None:
    read = Reader(tmp_path / "stockd.db")
    journal.adopt("ops", 1)
    journal.flush()
    await until_idle(journal)
    assert (read.cursor("ops"), journal.cursor("ops")) == (Cursor(0, 0), Cursor(1, 0))
    journal.append(None, [OpsNote(1, EPOCH_OPEN, Opened(None, None, "install"))], stamp)
    await until_idle(journal)
    assert (read.bounds("ops"), read.cursor("ops")) == ((1, 1), Cursor(1, 0))
    read.close()


async def test_what_comes_while_old_rows_go_is_written_between_them(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PRUNE_ROWS", 1)
    seen = DeviceSeen(1, "scale-a1", "a1", up=True)
    outcome = Outcome(Position(), ((1, seen),), (), (), (), ())
    journal.append(outcome, [note(n) for n in range(1, 401)], stamp)
    journal.keep_cursor("ops", Cursor(1, 400))
    journal.flush()
    journal.checkpoint(401, 0)
    await until_idle(journal)
    assert (journal.oldest("ops"), journal.checkpointed_ns()) == (1, 401)
    with closing(sqlite3.connect(tmp_path / "stockd.db", isolation_level=None)) as db:
        db.execute("INSERT INTO checkpoints VALUES (0, 1, 1, x'', x'')")  # one of long ago
    told: list[int | str] = []
    journal.listen(
        lambda batches: told.extend(
            "pruned" if batch is PRUNED else batch.ops[-1].seq for batch in batches
        )
    )
    journal.checkpoint(2000, 1000)
    journal.append(None, [note(2001)], stamp)
    await until_idle(journal)
    assert told == [401, "pruned"]
    assert journal.oldest("ops") == 400, "the newest of the old ones stays"


async def test_a_closed_journal_can_be_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        again = Journal(tmp_path / "stockd.db", "s0001")
        with pytest.raises(JournalError, match="another stockd"):
            Journal(tmp_path / "stockd.db", "s0001")
        again.close()
