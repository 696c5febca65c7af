"""WIRE sections 5, 9 and 11 of the outbox, rule by rule: opening, sending, the watermark."""

from __future__ import annotations

import pytest
from outbox_desk import AUDIT_NS, Desk, S, chain, live, spans

from gateway.domain.messages import Alarm
from gateway.outbox_words import (
    BODIES_BYTES_MAX,
    Cursor,
    OpenEpoch,
    SendHello,
)

# --- opening --------------------------------------------------------------------------------------


def test_nothing_but_hello_before_the_ack_of_this_session() -> None:
    desk = Desk(committed=5)
    assert desk.connect() == [SendHello("connect")]
    assert desk.commit() == []
    assert spans(desk.hear("sync", 2)) == [(3, 6)]
    assert desk.connect() == [SendHello("connect")]
    assert desk.commit() == [], "an ack of the last session opens nothing"


def test_an_unasked_ok_opens_nothing() -> None:
    desk = Desk(committed=5)
    desk.connect()
    assert desk.hear("ok", 3) == [SendHello("timeout")], "our hello may have met nobody"
    assert desk.hear("ok", 3) == [], "but an old ack may be on its way too: once"
    assert (desk.status.state, desk.status.ack) == ("opening", 3)


def test_an_unanswered_hello_repeats_at_a_doubling_rto() -> None:
    desk = Desk(committed=5)
    desk.connect()
    for pause in (5, 10, 20, 40, 60, 60):
        assert desk.wait(pause - 0.001) == []
        assert desk.wait(0.001) == [SendHello("timeout")]


def test_a_full_window_delays_the_hello_and_loses_none() -> None:
    desk = Desk()
    desk.room = 0
    assert desk.connect() == []
    desk.room = 1
    assert desk.act() == [SendHello("connect")]


def test_a_new_epoch_is_journalled_before_anything_is_sent() -> None:
    desk = Desk(committed=3, cursor=Cursor())
    desk.connect()
    assert desk.hear("new_epoch", 0) == [OpenEpoch(1, "install")]
    assert desk.hear("new_epoch", 0) == [], "a doubled grant opens nothing twice"
    assert desk.commit() == [], "its own epoch_open is in the journal, but not yet told"
    desk.box.epoch_opened(1, desk.at)
    assert spans(desk.act()) == [(1, 4)]
    assert desk.box.cursor == Cursor(1, 0)


def test_a_second_epoch_is_a_reinstall() -> None:
    desk = Desk(cursor=Cursor())
    desk.connect()
    assert desk.hear("new_epoch", 0, epoch=2) == [OpenEpoch(2, "reinstall")]


def test_a_grant_outlives_its_session_and_is_used_once() -> None:
    desk = Desk(cursor=Cursor())
    desk.connect()
    desk.hear("new_epoch", 0)
    desk.connect()
    assert desk.hear("sync", 0) == [], "the same epoch, still being journalled"
    desk.commit()
    desk.box.epoch_opened(1, desk.at)
    assert spans(desk.act()) == [(1, 1)]


def test_a_lost_grant_is_taken_from_sync() -> None:
    desk = Desk(cursor=Cursor())
    desk.connect()
    assert desk.hear("sync", 0) == [OpenEpoch(1, "install")]


def test_the_journal_neither_shrinks_nor_opens_unasked() -> None:
    desk = live(5)
    with pytest.raises(ValueError, match="shrank"):
        desk.box.committed(4)
    with pytest.raises(ValueError, match="epoch 2"):
        desk.box.epoch_opened(2, desk.at)


# --- sending (section 9) --------------------------------------------------------------------------


def test_an_idle_stream_sends_at_once_and_then_coalesces() -> None:
    desk = live()
    assert spans(desk.commit()) == [(1, 1)]
    assert desk.commit(99) == [], "in flight: only full batches"
    assert spans(desk.commit()) == [(2, 101)]
    assert desk.commit(7) == []
    assert desk.hear("ok", 1) == [], "still in flight"
    assert spans(desk.hear("ok", 101)) == [(102, 108)], "the remainder goes when nothing is"


def test_a_batch_is_full_when_the_next_event_would_pass_96_kib() -> None:
    desk = live(size=9000)
    assert spans(desk.commit()) == [(1, 1)]
    fit = BODIES_BYTES_MAX // 9000
    assert desk.commit(fit) == []
    assert spans(desk.commit()) == [(2, fit + 1)]


def test_at_most_sixteen_batches_are_in_flight() -> None:
    desk = live()
    assert len(spans(desk.commit(5000))) == 16
    assert desk.status.in_flight == 1600
    assert spans(desk.hear("ok", 100)) == [(1601, 1700)]


def test_credit_bounds_what_is_beyond_the_watermark() -> None:
    desk = live()
    desk.hear("ok", 0, credit=150)
    assert spans(desk.commit(300)) == [(1, 100)], "the next would not be full within credit"
    assert spans(desk.hear("ok", 100, credit=60)) == [(101, 160)]
    assert desk.hear("ok", 160, credit=0) == []
    assert desk.wait(100) == []
    assert spans(desk.hear("ok", 160, credit=2000)) == [(161, 260)]


def test_no_room_no_batch() -> None:
    desk = live()
    desk.room = 0
    assert desk.commit() == []
    desk.room = 1
    assert spans(desk.act()) == [(1, 1)]


def test_no_progress_for_rto_asks_and_rewinds_after_sync() -> None:
    desk = live()
    desk.commit()
    assert desk.box.deadline() == desk.at + 5 * S
    assert desk.wait(5) == [SendHello("timeout")]
    assert desk.commit() == [], "waits for sync"
    assert spans(desk.hear("sync", 0)) == [(1, 2)]
    assert desk.wait(9) == [], "twice the patience without progress"
    assert desk.wait(1) == [SendHello("timeout")]


def test_progress_restarts_the_rto() -> None:
    desk = live()
    desk.commit(200)
    desk.wait(4)
    assert desk.hear("ok", 100) == []
    assert desk.wait(4.9) == []
    assert desk.wait(0.1) == [SendHello("timeout")]
    desk.hear("ok", 150)
    assert desk.status.rto_ms == 5000


def test_an_idle_stream_is_audited() -> None:
    desk = live(3)
    assert desk.box.deadline() == desk.at + AUDIT_NS
    assert desk.wait(899) == []
    assert desk.wait(1) == [SendHello("timer")]
    assert spans(desk.commit()) == [(4, 4)], "the stream stays open meanwhile"
    assert spans(desk.hear("sync", 3)) == [(4, 4)]


# --- watermark ------------------------------------------------------------------------------------


def test_only_sync_lowers_the_watermark() -> None:
    desk = live(10)
    assert desk.hear("ok", 7) == [SendHello("timeout")]
    assert desk.status.ack == 10
    assert desk.hear("gap", 7) == [], "at most once per RTO"
    assert desk.wait(5) == [SendHello("timeout")]
    assert spans(desk.hear("sync", 7)) == [(8, 10)]
    assert desk.status.ack == 7


def test_an_ack_above_max_changes_nothing_and_is_answered() -> None:
    desk = live(10)
    assert desk.hear("ok", 11) == [SendHello("timeout")]
    assert desk.status.ack == 10


def test_an_ack_of_another_epoch_changes_nothing_and_is_answered() -> None:
    desk = live(10)
    desk.commit()
    assert desk.hear("ok", 11, epoch=2) == [SendHello("timeout")]
    assert desk.status.ack == 10


def test_an_ack_for_another_inst_is_ignored() -> None:
    desk = live(10)
    assert desk.hear("fork", 10, inst="0" * 32) == []
    assert desk.hear("ok", 3, inst="0" * 32) == []
    assert (desk.status.state, desk.status.ignored_total) == ("open", 2)


@pytest.mark.parametrize("st", ["sync", "ok", "gap"])
def test_a_foreign_chain_is_a_fork(st: str) -> None:
    desk = live(10)
    raised = desk.hear(st, 10, own=chain(99))
    assert isinstance(raised[0], Alarm)
    assert (raised[0].code, raised[0].sev, desk.status.reason) == ("fork", "page", "fork")


def test_sync_above_max_is_a_rollback() -> None:
    desk = Desk(committed=5)
    desk.connect()
    (raised,) = desk.hear("sync", 6)
    assert isinstance(raised, Alarm)
    assert (raised.code, desk.status.state) == ("rollback", "stopped")


def test_a_ledger_that_needs_pruned_events_is_a_retention_gap() -> None:
    desk = Desk(committed=50, cursor=Cursor(1, 40))
    desk.oldest = 30
    desk.connect()
    (raised,) = desk.hear("sync", 10)
    assert isinstance(raised, Alarm)
    assert raised.code == "retention_gap"
    assert spans(desk.hear("sync", 29)) == [(30, 50)]
