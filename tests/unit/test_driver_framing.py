"""Splitters: where frames end, what is too long, what is left over."""

from __future__ import annotations

import pytest

from drivers.framing import FrameDecoder, Lines, Records
from gateway.domain.reading import Body, Garbled, Scan

TOO_LONG = Garbled("too_long", b"12345678".hex())


@pytest.mark.parametrize(
    ("ends", "stream", "frames"),
    [
        ((b"\r", b"\n"), b"a\rb\nc\r\n\r\nd", [b"a", b"b", b"c", Garbled("cut", "64")]),
        ((b"\r\n",), b"a\rb\r\nc\r", [b"a\rb", Garbled("cut", b"c\r".hex())]),
        ((b"\r\n",), b"12345678\r\n1\r\n", [b"12345678", b"1"]),
        ((b"\r\n",), b"12345678\r\r\n1\r\n", [TOO_LONG, b"1"]),
        ((b"\r\n",), b"123456789\r\n1\r\n", [TOO_LONG, b"1"]),
        ((b"\r\n",), b"1234567890123456789\r\r\n1\r\n", [TOO_LONG, b"1"]),
        ((b"\r", b"\n"), b"1234567890" * 9, [TOO_LONG]),
        ((b"END",), b"aENDbENEND", [b"a", b"bEN"]),
        ((), b"a\rb", [b"a\rb"]),
        ((), b"123456789", [TOO_LONG]),
        ((b"\n",), b"", []),
    ],
)
def test_lines(ends: tuple[bytes, ...], stream: bytes, frames: list[bytes | Garbled]) -> None:
    for size in (len(stream) or 1, 1, 2, 3):
        split = Lines(ends, max_bytes=8)
        found = [
            frame
            for at in range(0, len(stream), size)
            for frame in split.feed(stream[at : at + size])
        ]
        assert found + split.end() == frames
        assert split.end() == []


def test_records() -> None:
    split = Records(3)
    assert split.feed(b"ab") == []
    assert split.feed(b"cdefg") == [b"abc", b"def"]
    assert split.end() == [Garbled("cut", b"g".hex())]
    assert split.end() == []


def test_a_frame_that_says_nothing_gives_no_reading() -> None:
    def decode(frame: bytes) -> Body | None:
        return None if frame == b"ok" else Scan(frame.decode())

    decoder = FrameDecoder(Lines((b"\n",), 8), decode)
    assert decoder.feed(b"ok\n1\n123456789") == [Scan("1"), Garbled("too_long", b"12345678".hex())]
    assert decoder.feed(b"\n2\nx") == [Scan("2")]
    assert decoder.end() == [Garbled("cut", b"x".hex())]
