"""Each rule of WIRE sections 3, 5.3, 5.5 and 9 that the outbox carries, one by one."""

from __future__ import annotations

import hashlib

import pytest

from gateway.domain.messages import Ack, Alarm, Rejected, Replay
from gateway.outbox import Outbox
from gateway.outbox_words import (
    BODIES_BYTES_MAX,
    ClearAlarm,
    Cursor,
    Decision,
    Limits,
    OpenEpoch,
    OutboxStatus,
    SendBatch,
    SendHello,
)

S = 1_000_000_000
INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
AUDIT_NS = 900 * S
GRANTED = Cursor(1, 0)


def chain(seq: int) -> bytes:
    return hashlib.sha256(b"%d" % seq).digest()


class Desk:
    """An outbox, the time, and a journal whose bodies all have `size` bytes."""

    def __init__(self, committed: int = 0, cursor: Cursor = GRANTED, size: int = 400) -> None:
        self.box = Outbox("stock", INST, cursor, committed)
        self.at = 1000 * S
        self.max = committed
        self.size = size
        self.oldest = 1
        self.room = 32

    @property
    def status(self) -> OutboxStatus:
        return self.box.status()

    def connect(self) -> list[Decision]:
        self.box.connected(self.at, AUDIT_NS, 262_144)
        return self.act()

    def act(self) -> list[Decision]:
        """What the shell does: everything decided now; batches only when they may leave."""
        done: list[Decision] = []
        self.box.advance(self.at)
        while (decision := self.box.decide(self.at, self.room)) is not None:
            if isinstance(decision, SendBatch):
                count = min(decision.count, max(1, decision.max_bytes // self.size))
                if not self.box.fill(decision, count, self.at):
                    continue
                decision = SendBatch(
                    decision.first, count, decision.max_bytes, decision.only_full, decision.replay
                )
            done.append(decision)
        return done

    def commit(self, count: int = 1) -> list[Decision]:
        self.max += count
        self.box.committed(self.max)
        return self.act()

    def wait(self, seconds: float) -> list[Decision]:
        self.at += int(seconds * S)
        return self.act()

    def hear(
        self,
        st: str,
        ack: int,
        *,
        epoch: int = 1,
        inst: str = INST,
        credit: int = 2000,
        rej: tuple[Rejected, ...] = (),
        own: bytes | None = None,
    ) -> list[Decision]:
        message = Ack(
            "1.0", "s0001", "stock", inst, epoch, ack, chain(ack).hex(), st, credit, rej
        )  # fmt: skip
        self.box.heard()
        known = chain(ack) if ack <= self.max else None
        self.box.hear_ack(message, own or known, self.oldest, self.at)
        return self.act()

    def puback(self, code: int, kind: str = "batch") -> list[Decision]:
        self.box.puback(kind, code, self.at)  # type: ignore[arg-type]
        return self.act()

    def replay(self, start: int, to: int | None = None) -> list[Decision]:
        message = Replay("1.0", "s0001", "stock", INST, 1, "events", start, to, "rq-1")
        self.box.hear_replay(message, self.oldest)
        return self.act()


def spans(decisions: list[Decision]) -> list[tuple[int, int]]:
    """First and last seq of each batch; anything else is a mistake."""
    assert all(isinstance(each, SendBatch) for each in decisions), decisions
    return [(b.first, b.first + b.count - 1) for b in decisions if isinstance(b, SendBatch)]


def live(committed: int = 0, size: int = 400) -> Desk:
    """Connected, everything acknowledged."""
    desk = Desk(committed, Cursor(1, committed), size)
    desk.connect()
    assert desk.hear("sync", committed) == []
    return desk


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


# --- gap and bad envelopes ------------------------------------------------------------------------


def test_gap_rewinds_at_once_and_not_again_within_a_second() -> None:
    desk = live()
    desk.commit(300)
    assert spans(desk.hear("gap", 0)) == [(1, 100), (101, 200), (201, 300)]
    desk.wait(0.5)
    assert desk.hear("gap", 0) == []
    desk.wait(0.5)
    assert spans(desk.hear("gap", 0)) == [(1, 100), (101, 200), (201, 300)]
    assert spans(desk.hear("gap", 100)) == [(101, 200), (201, 300)], "another position"
    assert desk.status.rewinds_total == 3


def test_three_bad_envelopes_at_one_position_halve_the_batch() -> None:
    desk = live()
    bad = (Rejected(None, "bad_envelope"),)
    assert spans(desk.commit(80)) == [(1, 80)]
    desk.hear("gap", 0, rej=bad)
    desk.wait(1)
    desk.hear("gap", 0, rej=bad)
    desk.wait(1)
    assert spans(desk.hear("gap", 0, rej=bad))[0] == (1, 40)
    desk.hear("ok", 40)
    desk.hear("ok", 80)
    assert spans(desk.commit(100)) == [(81, 180)], "whole again beyond the bad place"


def test_one_event_is_the_smallest_batch() -> None:
    desk = live()
    bad = (Rejected(None, "bad_envelope"),)
    desk.commit(2)
    for _ in range(12):
        desk.wait(1.1)
        desk.hear("gap", 0, rej=bad)
    assert spans(desk.hear("sync", 0))[0] == (1, 1)


def test_a_rejected_event_does_not_stop_the_stream() -> None:
    desk = live()
    desk.commit(3)
    assert desk.hear("ok", 3, rej=(Rejected(2, "unbalanced", "EA off by 1000"),)) == []
    assert (desk.status.ack, desk.status.rejected_total) == (3, 1)


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("st", "code", "pause"),
    [
        ("fork", "fork", 300),
        ("rollback", "rollback", 300),
        ("fenced", "fenced", 300),
        ("pending", "ledger_status", 60),
        ("pause", "ledger_status", 300),
        ("of_tomorrow", "ledger_status", 300),
    ],
)
def test_a_stopping_status_stops_alarms_and_asks_again(st: str, code: str, pause: int) -> None:
    desk = live(10)
    (raised,) = desk.hear(st, 10)
    assert isinstance(raised, Alarm)
    assert raised.code == code
    assert desk.commit(3) == [], "journals on, sends nothing"
    assert desk.wait(pause - 1) == []
    assert desk.wait(1) == [SendHello("timeout")]
    assert desk.hear(st, 10) == [], "the alarm stands, it is not repeated"
    assert spans(desk.hear("sync", 10)) == [(11, 13)]
    assert desk.hear("ok", 13) == [ClearAlarm(code)]


def test_rollback_names_a_seq_we_do_not_have() -> None:
    desk = Desk(committed=5)
    desk.connect()
    (raised,) = desk.hear("rollback", 9)
    assert isinstance(raised, Alarm)
    assert raised.code == "rollback"


def test_ok_ends_a_pause_but_no_fork() -> None:
    desk = live(10)
    desk.hear("pause", 10)
    desk.commit()
    assert spans(desk.hear("ok", 10)) == [(11, 11)]
    desk.hear("fork", 10)
    desk.hear("ok", 11)
    assert desk.commit() == []


# --- the broker's reason codes --------------------------------------------------------------------


def test_no_subscriber_means_absent_until_four_rtos_later() -> None:
    desk = live()
    desk.commit()
    assert desk.puback(0x10) == []
    assert (desk.status.absent, desk.status.state) == (True, "absent")
    assert desk.commit() == []
    assert desk.wait(19.9) == []
    assert desk.wait(0.1) == [SendHello("timeout")]
    assert desk.puback(0x10, "hello") == []
    assert spans(desk.wait(1) + desk.hear("sync", 0)) == [(1, 2)]
    assert not desk.status.absent


def test_any_message_of_the_ledger_ends_its_absence() -> None:
    desk = live()
    desk.puback(0x10, "hello")
    desk.box.heard()
    assert desk.act() == [SendHello("timeout")]
    assert not desk.status.absent


def test_a_ledger_that_wakes_up_is_not_kept_waiting() -> None:
    desk = Desk(committed=5)
    desk.connect()
    for pause in (5, 10, 20, 40):
        desk.wait(pause)
    desk.wait(6)
    assert desk.hear("ok", 0) == [SendHello("timeout")], "not only at the end of 60 s"


def test_quota_exceeded_halves_the_window_and_doubles_the_rto() -> None:
    desk = live()
    desk.commit(5000)
    assert desk.puback(0x97) == []
    assert (desk.status.window, desk.status.rto_ms) == (8, 10_000)
    for _ in range(5):
        desk.puback(0x97)
    assert (desk.status.window, desk.status.rto_ms) == (1, 60_000)
    desk.hear("ok", 100)
    assert (desk.status.window, desk.status.rto_ms) == (2, 5000), "progress gives it back"


def test_packet_too_large_halves_the_bytes_down_to_one_event() -> None:
    desk = live(size=9000)
    desk.box.packet_too_large()
    desk.connect()
    desk.hear("sync", 0)
    assert spans(desk.commit(20)) == [(1, 5), (6, 10), (11, 15)], "16 to 20 may still grow"
    for _ in range(20):
        desk.box.packet_too_large()
    desk.connect()
    assert spans(desk.hear("sync", 17)) == [(18, 18), (19, 19)]


def test_not_authorized_backs_off() -> None:
    desk = live()
    desk.commit()
    (raised,) = desk.puback(0x87)
    assert isinstance(raised, Alarm)
    assert raised.code == "not_authorized"
    assert desk.wait(299) == []
    assert desk.wait(1) == [SendHello("timeout")]
    assert spans(desk.hear("sync", 0)) == [(1, 1)], "nothing is dropped"


def test_any_other_refusal_alarms_once_and_counts_as_not_delivered() -> None:
    desk = live()
    desk.commit()
    (raised,) = desk.puback(0x99)
    assert isinstance(raised, Alarm)
    assert (raised.code, raised.sev) == ("publish_refused", "warn")
    assert desk.puback(0x83) == []
    assert desk.wait(5) == [SendHello("timeout")]
    assert spans(desk.hear("sync", 0)) == [(1, 1)]


def test_a_puback_alone_moves_nothing() -> None:
    desk = live()
    desk.commit()
    assert desk.puback(0x00) == []
    assert desk.status.in_flight == 1


# --- replay ---------------------------------------------------------------------------------------


def test_a_replay_is_sent_beside_live_traffic_and_bounded() -> None:
    desk = live(500)
    sent = desk.replay(101)
    assert spans(sent) == [(101, 200), (201, 300)], "two batches without PUBACK"
    assert all(isinstance(each, SendBatch) and each.replay for each in sent)
    assert spans(desk.commit()) == [(501, 501)], "live traffic does not wait"
    assert spans(desk.puback(0x00, "replay")) == [(301, 400)]
    assert (desk.status.ack, desk.status.next) == (500, 502)
    assert spans(desk.puback(0x00, "replay")) == [(401, 500)]
    assert desk.puback(0x00, "replay") == []


def test_a_replay_keeps_its_end_and_its_place_in_the_queue() -> None:
    desk = live(500)
    desk.room = 0
    for start in range(1, 7):
        desk.replay(start, start)
    assert desk.status.replays_dropped_total == 2
    desk.room = 32
    assert spans(desk.act()) == [(1, 1), (2, 2)]


def test_a_replay_of_pruned_events_is_a_retention_gap() -> None:
    desk = live(500)
    desk.oldest = 200
    (raised,) = desk.replay(199)
    assert isinstance(raised, Alarm)
    assert raised.code == "retention_gap"
    assert desk.status.state == "open"


def test_a_replay_before_the_session_is_open_waits_for_it() -> None:
    desk = Desk(committed=5, cursor=Cursor(1, 5))
    desk.connect()
    assert desk.replay(2, 3) == []
    assert spans(desk.hear("sync", 5)) == [(2, 3)]


# --- what is visible ------------------------------------------------------------------------------


def test_offline_wants_nothing() -> None:
    desk = live()
    desk.commit()
    desk.box.disconnected()
    assert desk.box.deadline() is None
    assert desk.wait(1000) == []
    assert desk.hear("ok", 1) == []
    assert (desk.status.state, desk.status.next) == ("offline", 1)


def test_the_default_limits_are_those_of_the_contract() -> None:
    limits = Limits()
    assert (limits.batches, limits.events) == (16, 100)
    assert limits.bytes < 98_304
