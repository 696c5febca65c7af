"""The simulated LLRP reader converses as the standard says, byte by byte, and is as bounded.

What it reports is in `test_sim_llrp_reports`; real clients on a connection, in
`test_sim_llrp_clients`.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llrp_client import (
    OK,
    READER_ID,
    SURE,
    ask,
    code,
    frames,
    reader,
    report_spec,
    request,
    rospec,
    running,
    ticked,
    tlv,
)

from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tags import TagField

# --- the conversation, by hand


SESSION = (
    # GET_READER_CONFIG, identification
    "0402 00000011 00000001 0000 01 0000 0000",
    "040c 00000021 00000001 011f000800000000 00da 000f 00 0008 00163efffe12ab34",
    # SET_READER_CONFIG: events of AISpecs and ROSpecs, a keepalive each second
    "0403 00000026 00000002 00 00f4 0012 00f5 0007 0006 80 00f5 0007 0002 8000dc 0009 01 000003e8",
    "040d 00000012 00000002 011f000800000000",
    # ADD_ROSPEC 1: antenna 1 for 250 ms; antenna, RSSI and count at the end of each AISpec
    "0414 0000004b 00000003 00b1 0041 00000001 00 00"
    "00b2 0012 00b3 0005 00 00b6 0009 00 00000000"
    "00b7 0018 0001 0001 00b8 0009 01 000000fa 00ba 0007 0001 01"
    "00ed 000d 01 0000 00ee 0006 1480",
    "041e 00000012 00000003 011f000800000000",
    # ENABLE_ROSPEC, START_ROSPEC
    "0418 0000000e 00000004 00000001",
    "0422 00000012 00000004 011f000800000000",
    "0416 0000000e 00000005 00000001",
    "0420 00000012 00000005 011f000800000000",
)
UNASKED = (
    # it began at 1 s
    "043f 00000027 00000002 00f6 001d 0080 000c 00040000000f4240 00f9 000d 00 00000001 00000000",
    "043d 00000023 00000003 00f0 0019 8d 3034257bf7194e4000001a85 81 0001 86 c9 88 0001",
    # the AISpec, and with it the ROSpec, was over at 1.25 s
    "043f 00000025 00000004 00f6 001b 0080 000c 00040000001312d0 00fe 000b 00 00000001 0001",
    "043f 00000027 00000005 00f6 001d 0080 000c 00040000001312d0 00f9 000d 01 00000001 00000000",
)


def test_a_session_byte_by_byte() -> None:
    """Packed by hand from LLRP 1.0.1 chapter 16, from greeting to farewell."""
    lies = TagField({1: "a1"}, SURE, 1)
    lies.put("a1", "80614141123458", 6789)
    made = LlrpReader(1, lies, reader_id=READER_ID, clock_offset_us=1 << 50)
    greeting = "043f 00000020 00000001 00f6 0016 0080 000c 00040000000f4240 0100 0006 0000"
    assert made.connected(1.0) == bytes.fromhex(greeting)
    for said, answer in zip(SESSION[::2], SESSION[1::2], strict=True):
        assert made.hear(1.0, bytes.fromhex(said)) == bytes.fromhex(answer)
    assert made.tick(1.3) == bytes.fromhex("".join(UNASKED))
    assert made.tick(2.0) == bytes.fromhex("043e 0000000a 00000006")
    assert made.hear(2.0, bytes.fromhex("0448 0000000a 00000006")) == b""
    assert not made.hangs_up
    farewell = made.hear(2.0, bytes.fromhex("040e 0000000a 00000006"))
    assert farewell == bytes.fromhex("0404 00000012 00000006 011f000800000000")
    assert made.hangs_up


def test_a_second_client_is_refused() -> None:
    ((kind, _, body),) = frames(reader().refusal())
    assert (kind, body[-6:]) == (63, bytes.fromhex("0100 0006 0002"))


def test_versions_are_agreed_on() -> None:
    made = reader()
    asked = request(46, version=2)
    assert made.hear(0.0, asked) == request(56, b"\1\2" + OK, version=2)
    assert made.hear(0.0, request(47, b"\2", version=2)) == request(57, OK, version=2)
    (late,) = frames(made.hear(0.0, request(47, b"\1", version=2)), version=2)
    assert code(late) == 112
    assert made.hear(0.0, request(26, version=2)) == request(36, OK, version=2)
    (wrong,) = frames(made.hear(0.0, request(26, version=1)), version=2)
    assert (wrong[0], code(wrong)) == (100, 110)
    made.connected(1.0)
    assert made.hear(1.0, request(26)) == request(36, OK)  # each connection agrees anew
    (newer,) = frames(made.hear(1.0, request(47, b"\3", version=2)), version=2)
    assert (newer[0], code(newer)) == (57, 110)


def test_a_1_0_1_reader_does_not_know_of_versions() -> None:
    made = reader(newest=1)
    for version, why in ((2, 110), (1, 109)):
        (answer,) = frames(made.hear(0.0, request(46, version=version)))
        assert (answer[0], answer[1], code(answer)) == (100, 7, why)


# --- the state machine


def state(made: LlrpReader) -> int | None:
    """The CurrentState of the one ROSpec, None without any."""
    _, _, body = ask(made, 26)
    return body[8 + 4 + 5] if len(body) > 8 else None


def test_the_states_of_a_rospec() -> None:
    made = reader()
    one = (1).to_bytes(4)
    for kind in (21, 22, 23, 24, 25):
        assert code(ask(made, kind, (9).to_bytes(4))) == 101  # none of that number
    assert (code(ask(made, 20, rospec())), state(made)) == (0, 0)
    assert code(ask(made, 20, rospec())) == 101  # a second of that number
    assert code(ask(made, 22, one)) == code(ask(made, 23, one)) == 101  # it is disabled
    assert (code(ask(made, 24, one)), state(made)) == (0, 1)
    assert code(ask(made, 23, one)) == 0
    ticked(made, 0.1)
    assert state(made) == 1
    assert code(ask(made, 22, one)) == 0
    ticked(made, 0.2, 0.1)
    assert state(made) == 2
    assert (code(ask(made, 23, one)), state(made)) == (0, 1)
    assert code(ask(made, 22, one)) == 0
    ticked(made, 0.3, 0.2)
    assert (code(ask(made, 25, one)), state(made)) == (0, 0)
    assert (code(ask(made, 21, bytes(4))), state(made)) == (0, None)


def test_get_rospecs_gives_back_what_was_added() -> None:
    made = reader()
    spec = rospec()
    ask(made, 20, spec)
    assert ask(made, 26)[2] == OK + spec


def test_so_many_rospecs_and_no_more() -> None:
    made = reader()
    codes = [code(ask(made, 20, rospec(number))) for number in range(1, 11)]
    assert codes == [0] * 8 + [105] * 2


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (rospec(0), 100),
        (rospec(start=3), 100),  # by an input that it does not have
        (rospec(visits=((3,),)), 100),
        (rospec(visits=((),)), 100),
        (rospec(visits=()), 103),
        (rospec(stop=struct.pack(">BI", 1, 0)), 100),
        (rospec(stop=struct.pack(">BI", 2, 9)), 100),
        (rospec(report=report_spec(3)), 100),  # a trigger of 1.1
        (rospec(report=tlv(237, bytes(3))), 103),
        (rospec(report=tlv(1023, bytes(8))), 100),
        (b"", 103),
        (tlv(186), 100),
    ],
)
def test_what_it_cannot_do_is_refused(spec: bytes, why: int) -> None:
    made = reader()
    answer = ask(made, 20, spec)
    assert (answer[0], code(answer)) == (30, why)
    assert state(made) is None


@pytest.mark.parametrize("cut", range(1, len(rospec()) - 4, 7))
def test_a_request_that_is_cut_inside_is_an_error_message(cut: int) -> None:
    answer = ask(reader(), 20, rospec()[:-cut])
    assert (answer[0], answer[1], code(answer)) == (100, 7, 100)


def test_messages_that_it_does_not_know() -> None:
    made = reader()
    for kind in (63, 1023, 999, 45):
        answer = ask(made, kind)
        assert (answer[0], code(answer)) == (100, 109)


def test_out_of_step_it_hangs_up() -> None:
    made = reader()
    said = frames(made.hear(0.0, b"GET / HTTP/1.1\r\n\r\n"))
    assert said[-1][2].endswith(tlv(257))
    assert made.hangs_up


@given(st.lists(st.integers(1, 60), max_size=12), st.sampled_from([1, 2]))
def test_requests_may_come_in_any_pieces(cuts: list[int], newest: int) -> None:
    session = b"".join(request(*one) for one in ((1, b"\0"), (20, rospec()), (26,), (99,)))
    whole = reader(newest=newest).hear(0.0, session)
    made, said = reader(newest=newest), b""
    for size in (*cuts, len(session)):
        said += made.hear(0.0, session[:size])
        session = session[size:]
    assert said == whole


@given(st.lists(st.tuples(st.integers(0, 1023), st.binary(max_size=40)), max_size=5), st.binary())
def test_no_bytes_make_it_fail(said: list[tuple[int, bytes]], tail: bytes) -> None:
    made = reader()
    running(made, rospec())
    for kind, body in said:
        made.hear(0.0, request(kind, body))
    made.hear(0.0, tail)
    for at in range(1, 9):
        made.tick(at / 4)
