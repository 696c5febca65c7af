"""WIRE sections 3, 5 and 10 of the outbox, rule by rule: gaps, stops, reason codes, replay."""

from __future__ import annotations

import pytest
from outbox_desk import Desk, live, spans

from gateway.domain.messages import Alarm, Rejected
from gateway.outbox_words import (
    ClearAlarm,
    Cursor,
    Limits,
    SendBatch,
    SendHello,
)

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
