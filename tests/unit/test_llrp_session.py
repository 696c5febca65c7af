"""The conversation with a reader, without ports and time: what is said, and what answers mean."""

from __future__ import annotations

import struct

import pytest
from llrp_reader import (
    EPC,
    Reader,
    attempt,
    capabilities,
    event,
    identification,
    message,
    report,
    requests,
    rospec_event,
    status,
    tlv,
)

from drivers._llrp_rospec import Wish
from drivers._llrp_session import Session
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent
from gateway.domain.reading import Body, DeviceState, Garbled, Tag

SET_UP = [46, 1, 2, 2, 3, 21, 20, 24, 22, 64]
IDENTIFIED = DeviceState("up", "identified", "llrp:00163efffe12ab34")
UNSUPPORTED = message(100, status(109, "what is that?"))


def opened(wish: Wish | None = None, *, impinj: bool = True, newest: int = 2) -> Session:
    return Session(wish or Wish(), impinj=impinj, newest=newest)


def talk(session: Session, reader: Reader, first: bytes = attempt()) -> list[Body]:
    """Until one of the two has no more to say."""
    said = session.receive(first)
    while (sent := session.to_send()) and session.ended is None:
        said += session.receive(reader.answers(sent))
    return said


def test_a_reader_is_set_up_and_its_tags_are_heard() -> None:
    session, reader = opened(), Reader()
    assert session.to_send() == b""  # nothing before the reader has spoken
    assert talk(session, reader) == [IDENTIFIED]
    assert reader.heard == SET_UP
    assert not session.waiting
    assert session.receive(report((EPC, 2, -61))) == [Tag(EPC, 2, -6100)]


def test_a_keepalive_is_answered_at_any_time() -> None:
    session = opened()
    session.receive(message(62, mid=41))
    assert requests(session.to_send()) == [(1, 72, 41, b"")]
    talk(session, Reader())
    session.receive(message(62, mid=42))
    assert requests(session.to_send()) == [(1, 72, 42, b"")]


@pytest.mark.parametrize(
    ("current", "asked", "after"),
    [(1, [46, 47, 1], 2), (2, [46, 1, 2], 2)],
)
def test_a_reader_of_1_1_is_spoken_to_in_1_1(current: int, asked: list[int], after: int) -> None:
    versions = message(56, bytes((current, 2)) + tlv(287, bytes(4)), version=2)
    reader = Reader(t46=versions)
    session = opened()
    assert talk(session, reader) == [IDENTIFIED]
    assert reader.heard[:3] == asked
    assert set(reader.versions[:2]) == {2}
    assert set(reader.versions[2:]) == {after}
    assert requests(session.farewell())[0][:2] == (after, 14)


@pytest.mark.parametrize(
    "answer",
    [
        UNSUPPORTED,
        message(56, b"\x01\x01" + tlv(287, bytes(4))),
        message(56, b"\x01\x02" + status(110, "no"), version=2),
    ],
)
def test_a_reader_of_1_0_1_is_spoken_to_in_1_0_1(answer: bytes) -> None:
    reader = Reader(t46=answer)
    assert talk(opened(), reader) == [IDENTIFIED]
    assert set(reader.versions[1:]) == {1}


def test_a_reader_that_refuses_1_1_after_all_stays_at_1_0_1() -> None:
    versions = message(56, b"\x01\x02" + tlv(287, bytes(4)), version=2)
    reader = Reader(t46=versions, t47=UNSUPPORTED)
    assert talk(opened(), reader) == [IDENTIFIED]
    assert set(reader.versions[2:]) == {1}


def test_a_reader_that_ignores_the_question_is_spoken_to_in_1_0_1() -> None:
    session, reader = opened(), Reader(t46=b"")
    assert talk(session, reader) == []
    session.no_answer()
    assert talk(session, reader, b"") == [IDENTIFIED]
    assert set(reader.versions[1:]) == {1}


def test_the_version_is_not_asked_for_where_the_shop_says_so() -> None:
    reader = Reader()
    talk(opened(newest=1), reader)
    assert reader.heard == SET_UP[1:]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "another program is connected"),
        (2, "another program is connected"),
        (3, "failed reason other than"),
    ],
)
def test_a_reader_that_is_taken_says_so(code: int, words: str) -> None:
    session = opened()
    session.receive(attempt(code))
    assert isinstance(session.ended, DeviceLost)
    assert words in str(session.ended)
    assert session.to_send() == b""


def test_a_port_that_never_speaks_is_silent() -> None:
    session = opened()
    assert session.waiting
    session.no_answer()
    assert isinstance(session.ended, DeviceSilent)


@pytest.mark.parametrize(
    ("kind", "code", "error", "words"),
    [
        (1, 401, DeviceLost, "R_DeviceError: radio is hot; restart the reader"),
        (
            3,
            109,
            DeviceLost,
            "SET_READER_CONFIG: the reader says M_UnsupportedMessage: radio is hot",
        ),
        (20, 201, DeviceMisconfigured, "P_FieldError: radio is hot; check antennas, power_dbm"),
        (20, 401, DeviceLost, "ADD_ROSPEC: the reader says R_DeviceError"),
        (24, 100, DeviceMisconfigured, "ENABLE_ROSPEC"),
        (24, 999, DeviceMisconfigured, "999: radio is hot"),
    ],
)
def test_a_refusal_is_told_in_the_readers_own_words(
    kind: int, code: int, error: type[Exception], words: str
) -> None:
    session = opened()
    talk(session, Reader(**{f"t{kind}": message(kind + 10, status(code, "radio\nis hot"))}))
    assert type(session.ended) is error
    assert words in str(session.ended)


@pytest.mark.parametrize("kind", [1, 3, 20, 24])
def test_an_answer_that_does_not_come_is_a_silent_reader(kind: int) -> None:
    session = opened()
    talk(session, Reader(**{f"t{kind}": b""}))
    assert session.waiting
    session.no_answer()
    assert type(session.ended) is DeviceSilent
    assert "no answer within 5 s" in str(session.ended)


@pytest.mark.parametrize("kind", [2, 21, 22])
def test_what_a_reader_need_not_know_is_passed_over(kind: int) -> None:
    session, reader = opened(), Reader(**{f"t{kind}": UNSUPPORTED})
    said = talk(session, reader)
    assert session.ended is None
    assert not session.waiting
    assert len(said) == 1
    assert reader.heard[-1] == 64


def test_rospecs_that_are_left_over_go_even_where_zero_is_not_all() -> None:
    reader = Reader(t21=message(31, status(100, "no ROSpec 0")))
    talk(opened(), reader)
    assert reader.heard.count(21) == 2


def test_the_answer_to_events_and_reports_is_survived() -> None:
    """Readers in the field answer ENABLE_EVENTS_AND_REPORTS, which has no answer, like this."""
    session, reader = opened(), Reader(t64=UNSUPPORTED)
    said = talk(session, reader)
    assert [type(body) for body in said] == [DeviceState, Garbled]
    assert isinstance(said[1], Garbled) and said[1].reason == "error_message"
    assert session.ended is None
    assert session.receive(report((EPC, 1, -40))) == [Tag(EPC, 1, -4000)]


def test_a_late_error_is_no_answer_to_the_present_request() -> None:
    session = opened()
    session.receive(attempt())
    session.to_send()
    late = message(100, status(109), mid=77)
    said = session.receive(late)
    assert session.waiting
    assert [body.reason for body in said if isinstance(body, Garbled)] == ["error_message"]


def test_tags_and_news_are_heard_between_the_answers() -> None:
    session, reader = opened(), Reader()
    early = attempt() + report((EPC, 1, -50)) + event(tlv(255, b"\x00\x00\x02"))
    said = talk(session, reader, early)
    assert said == [Tag(EPC, 1, -5000), DeviceState("up", "antenna 2 lost"), IDENTIFIED]


def test_an_antenna_that_is_not_there_is_told_at_once() -> None:
    properties = b"".join(
        tlv(221, struct.pack(">BHh", 0x80 if up else 0, number, 600))
        for number, up in ((1, True), (2, False), (3, False))
    )
    config = message(12, identification() + properties)
    said = talk(opened(Wish(antennas=(1, 2))), Reader(t2=config))
    assert said == [IDENTIFIED, DeviceState("up", "antenna 2 lost")]


def test_a_reader_without_a_name_is_told() -> None:
    said = talk(opened(), Reader(t2=message(12, tlv(287, bytes(4)))))
    assert said == [DeviceState("up", "reader without identification")]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (event(tlv(257, b"")), "the reader closed the connection"),
        (b"HTTP/1.1 400", "no LLRP message: 485454502f312e312034"),
        (message(62, version=3), "no LLRP message"),
    ],
)
def test_what_ends_a_connection(last: bytes, words: str) -> None:
    session = opened()
    talk(session, Reader())
    said = session.receive(report((EPC, 1, -50)) + last + report((EPC, 1, -50)))
    assert said[0] == Tag(EPC, 1, -5000)
    assert not any(isinstance(body, Tag) for body in said[1:])
    assert isinstance(session.ended, DeviceLost)
    assert words in str(session.ended)


@pytest.mark.parametrize("mode", ["shelf", "till", "stocktake"])
def test_a_rospec_that_is_over_is_started_again(mode: str) -> None:
    session, reader = opened(Wish(mode=mode)), Reader()
    talk(session, reader)
    for passes in range(2, 5):
        talk(session, reader, rospec_event(0))
        talk(session, reader, rospec_event(1))
        assert reader.heard.count(22) == passes


def test_a_rospec_that_begins_again_by_itself_is_left_alone() -> None:
    session, reader = opened(), Reader(t22=message(32, status(100, "it runs")))
    talk(session, reader, attempt() + rospec_event(0))
    for _ in range(3):
        talk(session, reader, rospec_event(1) + rospec_event(0))
    assert reader.heard.count(22) == 1
    talk(session, reader, rospec_event(1))  # and a START that comes too late is refused
    assert reader.heard.count(22) == 2
    assert session.ended is None


def test_the_end_of_an_earlier_rospec_is_not_of_ours() -> None:
    session, reader = opened(), Reader()
    talk(session, reader, attempt() + rospec_event(1))
    talk(session, reader, rospec_event(1))
    assert reader.heard.count(22) == 1


def test_a_rospec_over_before_its_start_was_answered_is_started_again() -> None:
    session, reader = opened(), Reader(t22=b"")
    talk(session, reader)
    session.receive(rospec_event(0) + rospec_event(1))
    del reader.instead[22]
    talk(session, reader, message(32, tlv(287, bytes(4))))
    assert reader.heard.count(22) == 2


def test_a_stock_take_that_cannot_be_started_is_lost() -> None:
    session, reader = opened(Wish(mode="stocktake")), Reader()
    talk(session, reader)
    reader.instead[22] = message(32, status(401, "radio"))
    session.receive(rospec_event(0) + rospec_event(1))
    talk(session, reader, b"")
    assert "START_ROSPEC: the reader says R_DeviceError: radio" in str(session.ended)


def test_impinjs_extensions_are_used_on_impinjs_readers_alone() -> None:
    theirs = message(11, capabilities(maker=25882))
    for reader, impinj, asked in (
        (Reader(t1=theirs), True, True),
        (Reader(t1=theirs), False, False),
        (Reader(), True, False),
    ):
        talk(opened(impinj=impinj), reader)
        assert (1023 in reader.heard) == asked
        exact_rssi = struct.pack(">HHIIH", 1023, 14, 25882, 53, 1)
        assert (exact_rssi in reader.bodies[20]) == asked


@pytest.mark.parametrize(
    "answer", [UNSUPPORTED, message(1023, struct.pack(">IB", 25882, 22) + status(401)), b""]
)
def test_an_impinj_reader_that_refuses_them_is_set_up_without(answer: bytes) -> None:
    session = opened()
    reader = Reader(t1=message(11, capabilities(maker=25882)), t1023=answer)
    talk(session, reader)
    if not answer:
        session.no_answer()
        talk(session, reader, b"")
    assert reader.heard[-1] == 64
    assert struct.pack(">I", 25882) not in reader.bodies[20]


def test_a_setting_the_reader_does_not_have_names_what_it_has() -> None:
    session = opened(Wish(antennas=(1, 5)))
    talk(session, Reader())
    assert isinstance(session.ended, DeviceMisconfigured)
    assert str(session.ended) == "antenna 5: this reader has 4"
