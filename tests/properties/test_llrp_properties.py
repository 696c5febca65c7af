"""LLRP: arbitrary and damaged bytes, megabytes in one report, any cut of the stream."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llrp_reader import EPC, Reader, attempt, message, report, tlv

from drivers import _llrp
from drivers._llrp import Malformed
from drivers._llrp_rospec import Wish
from drivers._llrp_session import Session
from drivers._llrp_stream import LAYOUTS_MAX, Stream
from gateway.domain.reading import Garbled, Tag

TYPES = sorted(_llrp.MESSAGE_TYPES)


def tag(number: int, *extra: bytes) -> bytes:
    body = b"\x8d" + struct.pack(">8sI", b"\x30\x34\x25\x7b", number) + b"\x81\x00\x02\x86\xc4"
    return tlv(240, body + b"".join(extra))


PARAMETERS = st.one_of(
    st.binary(max_size=12),
    st.builds(tlv, st.sampled_from([128, 240, 241, 246, 255, 287, 1023]), st.binary(max_size=40)),
    st.integers(0, 99).map(tag),
)
FRAMES = st.builds(
    lambda kind, parts, version: message(kind, b"".join(parts), version=version),
    st.sampled_from([*TYPES, 61, 61, 63, 900]),
    st.lists(PARAMETERS, max_size=5),
    st.sampled_from([1, 1, 2]),
)


@settings(max_examples=400, deadline=None)
@given(FRAMES)
def test_what_is_decoded_is_encoded_to_the_same_bytes(frame: bytes) -> None:
    try:
        tree = _llrp.decode(frame)
    except Malformed:
        return
    assert _llrp.encode(tree) == frame


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_malformed_or_a_message(frame: bytes) -> None:
    try:
        assert _llrp.encode(_llrp.decode(frame)) == frame
    except Malformed as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(FRAMES, max_size=6),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.lists(st.integers(1, 90), max_size=30),
)
@example([report((EPC, 1, -50))] * 3, [(20, 255)], [1] * 30)
def test_a_damaged_conversation_never_raises(
    frames: list[bytes], damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(b"".join(frames))
    for at, value in damage:
        if at < len(data):
            data[at] = value
    session = Session(Wish(), impinj=True, newest=2)
    reader = Reader()
    session.receive(attempt())
    rest = bytes(data)
    for size in cuts:
        session.receive(reader.answers(session.to_send()))
        session.receive(rest[:size])
        rest = rest[size:]
    session.no_answer()
    session.receive(rest)
    session.finish()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([11, 11, 12, 63, 30]),
    st.lists(st.tuples(st.integers(10, 500), st.integers(0, 255)), min_size=1, max_size=5),
    st.sampled_from(["shelf", "till", "stocktake"]),
)
def test_damaged_answers_never_raise(kind: int, damage: list[tuple[int, int]], mode: str) -> None:
    """What a reader says of itself is used to build what it is told; none of it may be trusted."""
    session, reader = Session(Wish(mode=mode), impinj=True, newest=2), Reader()
    answer = attempt()
    while answer and session.ended is None:
        data = bytearray(answer)
        if int.from_bytes(data[:2]) & 0x3FF == kind:
            for at, value in damage:
                data[at % (len(data) - 10) + 10] = value
        session.receive(bytes(data))
        answer = reader.answers(session.to_send())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"", b"\x88\x00\x07", b"\x8e\x00\x01"]), min_size=1, max_size=20))
def test_tags_of_any_layout_are_each_read(extras: list[bytes]) -> None:
    """Layouts are kept by size; others of the same size must not be taken for them."""
    stream = Stream()
    items = stream.feed(message(61, b"".join(tag(i, extra) for i, extra in enumerate(extras))))
    assert items == [
        Tag(f"3034257b00000000{i:08x}", 2, -6000, 7 if extra[:1] == b"\x88" else 1)
        for i, extra in enumerate(extras)
    ]


def test_a_report_of_megabytes_is_streamed() -> None:
    """6 MiB of tags arrive in one message; neither it nor what is kept of it is ever held."""
    block = b"".join(tag(number) for number in range(2000))
    blocks = (6 << 20) // len(block)
    stream = Stream()
    stream.feed(struct.pack(">HII", 1 << 10 | 61, 10 + blocks * len(block), 1))
    stream.feed(block)  # what the first ones cost for ever: the layout
    tracemalloc.start()
    tags = 2000
    for _ in range(blocks - 1):
        for at in range(0, len(block), 16_384):
            tags += len(stream.feed(block[at : at + 16_384]))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tags == blocks * 2000
    assert peak < 1 << 20
    assert held < 1 << 17
    assert stream.end() == []


def test_the_longest_parameter_is_held_and_no_more() -> None:
    longest = tlv(1023, bytes(65_531))
    inner = tlv(240, b"\x8d" + bytes.fromhex(EPC) + tlv(1023, bytes(65_535 - 4 - 13 - 4)))
    stream = Stream()
    said = []
    for at in range(0, len(data := message(61, longest + inner + tag(1))), 1000):
        said += stream.feed(data[at : at + 1000])
        assert len(stream._buffer) <= 65_535 + 1000
    assert [one.epc for one in said if isinstance(one, Tag)] == [EPC, "3034257b0000000000000001"]


@pytest.mark.parametrize("kind", [12, 63, 1023])
def test_a_message_too_long_is_told_and_skipped(kind: int) -> None:
    stream = Stream()
    data = message(kind, bytes(70_000)) + report((EPC, 1, -50))
    said = [one for at in range(0, len(data), 500) for one in stream.feed(data[at : at + 500])]
    assert said == [Garbled("too_long", data[:10].hex()), Tag(EPC, 1, -5000)]


def test_layouts_are_bounded() -> None:
    stream = Stream()
    for size in range(500):
        (one,) = stream.feed(message(61, tag(size, tlv(1023, bytes(8 + size)))))
        assert isinstance(one, Tag)
    assert len(stream._layouts) <= LAYOUTS_MAX
