"""Modbus frames: those of a real manual, wrong ones, and what a stream does to them."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from drivers import _modbus, scale_modbus
from drivers._modbus import Answers, Frame, RtuFrames, TcpFrames, answer_length, crc16
from gateway.domain.reading import Garbled, Weight

DATA = Path(os.environ.get("STOCKD_DATA", Path(__file__).parents[3] / "shared" / "data"))
FRAMES = DATA / "scale-protocols" / "modbus_frames.json"

needs_data = pytest.mark.skipif(not FRAMES.exists(), reason=f"{FRAMES} is not there")

ANSWER = bytes.fromhex("01030400000084fa50")
ASKED = Answers((1,), 3, (4,))


def frames() -> list[dict[str, object]]:
    return json.loads(FRAMES.read_text())  # type: ignore[no-any-return]


def raw_of(frame: dict[str, object]) -> bytes:
    return bytes.fromhex(str(frame["hex"]))


@needs_data
def test_every_crc_of_the_manual_is_judged_as_it_is() -> None:
    judged = [(crc16(raw_of(frame)) == 0) is frame["crc_ok"] for frame in frames()]
    assert len(judged) == 70
    assert all(judged)


@needs_data
def test_every_frame_of_the_manual_is_as_long_as_its_head_says() -> None:
    for frame in frames():
        if frame["crc_ok"]:
            measure = {"request": _modbus.request_length, "response": answer_length}
            assert measure[str(frame["kind"])](raw_of(frame)) == len(raw_of(frame)), frame


@needs_data
def test_read_requests_of_the_manual_are_those_we_would_send() -> None:
    reads = [raw_of(f) for f in frames() if f["kind"] == "request" and raw_of(f)[1] in (3, 4)]
    assert len(reads) == 2
    for raw in reads:
        address, count = int.from_bytes(raw[2:4], "big"), int.from_bytes(raw[4:6], "big")
        assert _modbus.rtu_frame(raw[0], _modbus.read_pdu(raw[1], address, count)) == raw
        kind = "int16" if count == 1 else "int32"
        options = scale_modbus.Options(unit=raw[0], register=address, type=kind)
        talk = scale_modbus.Conversation(options)
        assert talk.ask(raw[0], talk.polls[0]) == raw


@needs_data
def test_answers_of_the_manual_are_taken_apart() -> None:
    for frame in frames():
        raw = raw_of(frame)
        if frame["kind"] == "response":
            stream = RtuFrames(ASKED)
            assert [*stream.feed(raw), *stream.end()] == [Frame(1, raw[1], raw[2:-2], raw)]


@needs_data
def test_the_manual_as_one_stream_is_judged_frame_by_frame() -> None:
    for frame in frames():
        decoder = scale_modbus.decoder(scale_modbus.Options(type="int16"))
        said = decoder.feed(raw_of(frame)) + decoder.end()
        if not frame["crc_ok"]:
            assert [body.reason for body in said if isinstance(body, Garbled)] == ["crc"], frame
        elif raw_of(frame)[1] != 3:
            assert [body.reason for body in said if isinstance(body, Garbled)] == ["function"]
        elif frame["kind"] == "request":
            assert said == []
        else:
            value = int.from_bytes(raw_of(frame)[3:5], "big")
            assert said == [Weight(value * 1000, None)]


def test_the_crc_of_the_specification() -> None:
    assert crc16(bytes.fromhex("0207")) == 0x1241  # Serial Line V1.02, appendix B
    assert crc16(b"") == 0xFFFF


@pytest.mark.parametrize("raw", [ANSWER, bytes.fromhex("018302c0f1")], ids=["answer", "exception"])
def test_no_single_or_double_bit_error_passes(raw: bytes) -> None:
    frame, bits = int.from_bytes(raw, "big"), range(8 * len(raw))
    assert crc16(raw) == 0
    for flips in itertools.chain(((b, b) for b in bits), itertools.combinations(bits, 2)):
        wrong = frame ^ (1 << flips[0] | 1 << flips[1])
        stream = RtuFrames(ASKED)
        said = stream.feed(wrong.to_bytes(len(raw), "big")) + stream.end()
        assert all(isinstance(one, Garbled) for one in said), flips


@pytest.mark.parametrize("noise_bytes", [0, 1, 7, 255, 256, 257, 511, 512, 513, 3000])
@pytest.mark.parametrize("noise", [0x00, 0x01, 0x03, 0x55, 0xFF])
def test_the_next_answer_is_found_behind_any_length_of_noise(noise: int, noise_bytes: int) -> None:
    decoder = scale_modbus.decoder(scale_modbus.Options())
    said = decoder.feed(bytes((noise,)) * noise_bytes + ANSWER)
    assert said[-1] == Weight(132_000, None)
    assert {body.reason for body in said[:-1] if isinstance(body, Garbled)} <= {"noise", "crc"}
    assert decoder.end() == []


def test_a_head_that_promises_much_does_not_hold_back_a_later_answer() -> None:
    stream = RtuFrames(Answers((1,), 3, (4, 250)))
    said = stream.feed(bytes.fromhex("0103fa") + ANSWER)
    assert said == [Garbled("noise", "0103fa"), Frame(1, 3, ANSWER[2:-2], ANSWER)]


def test_an_exception_has_its_name() -> None:
    assert Frame(1, 0x83, b"\x06", b"").exception == "busy"
    assert Frame(1, 0x83, b"\xff", b"").exception == "exception"
    assert Frame(1, 0x03, b"\x06", b"").exception == ""


def test_a_connection_is_followed_by_its_lengths_alone() -> None:
    inner = bytes.fromhex("0009000000070103040000000a")
    outer = _modbus.tcp_frame(5, 1, bytes((3, len(inner))) + inner)
    whole = Frame(1, 3, outer[8:], outer, 5)
    for cut in range(len(outer)):
        stream = TcpFrames()
        assert stream.feed(outer[:cut]) + stream.feed(outer[cut:] + outer) == [whole, whole]
        assert stream.end() == []


def test_noise_on_a_connection_is_told_in_pieces() -> None:
    stream = TcpFrames()
    said = stream.feed(b"\xff" * 600 + _modbus.tcp_frame(1, 1, b"\x03\x02\x00\x01"))
    assert [type(one) for one in said] == [Garbled, Garbled, Garbled, Frame]
    assert stream.end() == []
