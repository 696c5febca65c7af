"""What holds for every driver, whatever the bytes: total, blind to chunks, bounded, writable."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import registry
from gateway.domain.reading import Body, Garbled
from gateway.domain.wire import body_line, read_reading

GOLDEN = Path(__file__).parent.parent / "golden" / "drivers"
HELD_MAX_BYTES = 8192
"""More than the longest frame of any driver."""


def option_sets(name: str) -> list[dict[str, Any]]:
    """Options that golden folders use: each is a way the driver is really set up."""
    texts = {path.read_text() for path in sorted(GOLDEN.glob(f"{name}/*/options.json"))}
    return [json.loads(text) for text in sorted(texts)] or [{}]


def seeds(name: str) -> list[bytes]:
    """Golden streams, so that the noise is near what devices say."""
    plain = [path.read_bytes() for path in sorted(GOLDEN.glob(f"{name}/*/input.bin"))]
    lines = [path.read_text().splitlines() for path in sorted(GOLDEN.glob(f"{name}/*/input.hex"))]
    return plain + [bytes.fromhex("".join(row.partition("#")[0] for row in rows)) for rows in lines]


@st.composite
def streams(draw: st.DrawFn, name: str) -> bytes:
    """Pieces of what the device says, with noise between them and in them."""
    pieces = draw(st.lists(st.one_of(st.binary(max_size=48), _cuttings(name)), max_size=8))
    data = bytearray(b"".join(pieces))
    for _ in range(draw(st.integers(0, 3)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def _cuttings(draw: st.DrawFn, name: str) -> bytes:
    data = draw(st.sampled_from(seeds(name) or [b""]))
    start = draw(st.integers(0, len(data)))
    return data[start : start + draw(st.integers(0, 400))]


def decode(name: str, options: dict[str, Any], chunks: list[bytes]) -> list[Body]:
    driver = registry.load(name)
    decoder = driver.decoder(registry.build_options(driver, options))
    return [body for chunk in chunks for body in decoder.feed(chunk)] + decoder.end()


@pytest.mark.parametrize("name", registry.driver_names())
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_in_any_chunks_give_the_same_readings_that_survive_the_wire(
    name: str, data: st.DataObject
) -> None:
    options = data.draw(st.sampled_from(option_sets(name)))
    stream = data.draw(streams(name))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    whole = decode(name, options, [stream])
    assert decode(name, options, chunks) == whole
    assert decode(name, options, [stream[at : at + 1] for at in range(len(stream))]) == whole
    for body in whole:
        assert read_reading(body_line(body)).body == body
        if isinstance(body, Garbled):
            assert body.reason in registry.load(name).module.REASONS  # type: ignore[attr-defined]
            assert len(body.bytes) <= 128


@pytest.mark.parametrize("name", registry.driver_names())
@pytest.mark.parametrize("unit", [b"\xff", b"A", b"\x00", b"S", b"1234567890"])
def test_an_endless_stream_is_held_within_bounds(name: str, unit: bytes) -> None:
    driver = registry.load(name)
    for options in option_sets(name):
        decoder = driver.decoder(registry.build_options(driver, options))
        for _ in range(8):
            decoder.feed(unit * (40_000 // len(unit)))
        assert held_bytes(decoder) <= HELD_MAX_BYTES


@pytest.mark.parametrize("name", registry.driver_names())
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_after_its_end_a_decoder_is_as_new(name: str, data: st.DataObject) -> None:
    options = data.draw(st.sampled_from(option_sets(name)))
    first, second = data.draw(streams(name)), data.draw(streams(name))
    driver = registry.load(name)
    used = driver.decoder(registry.build_options(driver, options))
    used.feed(first)
    used.end()
    assert used.feed(second) + used.end() == decode(name, options, [second])


def held_bytes(value: object) -> int:
    """Bytes, characters and items an object keeps, as deep as its own attributes go."""
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, list | set | tuple | frozenset):
        return sum(1 + held_bytes(item) for item in value)
    if dataclasses.is_dataclass(value) or not hasattr(value, "__dict__"):
        return 0
    return sum(held_bytes(inner) for inner in vars(value).values())
