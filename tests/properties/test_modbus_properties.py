"""Modbus streams as they come: cut anywhere, with noise between, asked or only overheard."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from drivers import scale_modbus
from drivers._modbus_weights import mass_mg
from drivers.scale_modbus import Options
from gateway.domain.reading import Body, Garbled, Weight

COUNTS = st.integers(-(2**31), 2**31 - 1)
UNITS_NG = (10**6, 10**9, 10**12, 453_592_370_000)
NOISE = st.binary(max_size=40)


def frame(unit: int, pdu: bytes) -> bytes:
    """A frame with the CRC of another library."""
    body = bytes((unit,)) + pdu
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def weight(count: int) -> bytes:
    return frame(1, b"\x03\x04" + struct.pack(">i", count))


def decoded(options: Options, data: bytes, cuts: list[int]) -> list[Body]:
    decoder = scale_modbus.decoder(options)
    said: list[Body] = []
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        said += decoder.feed(data[begin:end])
    return said + decoder.end()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_answer_between_noise_is_read_in_order(data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.tuples(NOISE, COUNTS), min_size=1, max_size=6))
    stream = b"".join(noise + weight(count) for noise, count in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    said = decoded(Options(scale_mg=1), stream, cuts)
    assert [body.mass_mg for body in said if isinstance(body, Weight)] == [c for _, c in pieces]


@settings(max_examples=150, deadline=None)
@given(count=COUNTS, flips=st.sets(st.integers(0, 71), min_size=1, max_size=2), after=COUNTS)
def test_a_wrong_bit_or_two_cost_that_answer_alone(count: int, flips: set[int], after: int) -> None:
    wrong = int.from_bytes(weight(count), "big") ^ sum(1 << flip for flip in flips)
    said = decoded(Options(scale_mg=1), wrong.to_bytes(9, "big") + weight(after), [])
    assert [body.mass_mg for body in said if isinstance(body, Weight)] == [after]
    assert isinstance(said[0], Garbled)


@settings(max_examples=300, deadline=None)
@given(
    bits=st.integers(0, 2**32 - 1), unit=st.sampled_from((10**6, 10**9, 10**12, 453_592_370_000))
)
def test_a_float_is_converted_exactly(bits: int, unit: int) -> None:
    raw = bits.to_bytes(4, "big")
    value = struct.unpack(">f", raw)[0]
    mass = mass_mg(raw, "float32", unit)
    if not math.isfinite(value):
        assert mass is None
        return
    exact = round(Fraction(value) * unit / 10**6)  # Fraction rounds half to even
    assert mass == (exact if abs(exact) <= 10**12 else None)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_only_the_answer_to_the_last_request_is_a_weight(data: st.DataObject) -> None:
    talk = scale_modbus.Conversation(
        Options(framing="tcp", channels={"1": "a", "2": "b"}, scale_mg=1)
    )
    asked: list[tuple[int, int]] = []
    for step in range(data.draw(st.integers(1, 12))):
        if not asked or data.draw(st.booleans()):
            unit = data.draw(st.sampled_from(talk.units))
            request = talk.ask(unit, talk.polls[0])
            asked.append((int.from_bytes(request[:2], "big"), unit))
            due = True
        transaction, unit = data.draw(st.sampled_from(asked))
        answer = struct.pack(">HHHBBBi", transaction, 0, 7, unit, 3, 4, step)
        (said,) = talk.feed(answer)
        if due and (transaction, unit) == asked[-1]:
            assert said == Weight(step, None, (), unit)
            due = False
        else:
            assert said == Garbled("late", answer.hex())
