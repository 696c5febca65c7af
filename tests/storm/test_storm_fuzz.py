"""Every decoder under fire: what devices say, cut, mixed and mutated, for a while, from a seed.

Three rules for whatever comes: it never raises; any chunking gives the same readings; what it holds
stays bounded. A finding prints the bytes: make them a golden folder first.

`make storm` gives each decoder FUZZ_S seconds (default 30, all together about five minutes).
"""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from gateway import registry
from gateway.domain import gs1
from gateway.domain.reading import Body, Garbled
from gateway.domain.wire import body_line, read_reading

SEED: Final = os.environ.get("STORM_SEED", "1")
SECONDS: Final = float(os.environ.get("FUZZ_S", "30"))
CI_S: Final = 1.0
GOLDEN: Final = Path(__file__).parents[1] / "golden" / "drivers"
STREAM_MAX: Final = 6000
ENDLESS_BYTES: Final = 4_000_000
HELD_MAX_BYTES: Final = 1_000_000

pytestmark = pytest.mark.storm


def golden(name: str) -> list[tuple[dict[str, Any], bytes]]:
    """Options and stream of each golden folder of a driver."""
    cases = []
    for case in sorted((GOLDEN / name).iterdir()):
        options = json.loads((case / "options.json").read_text())
        if (case / "input.bin").exists():
            data = (case / "input.bin").read_bytes()
        else:
            rows = (case / "input.hex").read_text().splitlines()
            data = bytes.fromhex("".join(row.partition("#")[0] for row in rows))
        cases.append((options, data))
    return cases


class Mutator:
    """Streams near what a device says."""

    def __init__(self, rng: Random, corpus: list[bytes]) -> None:
        self._rng, self._corpus = rng, corpus

    def stream(self) -> bytes:
        rng, pieces = self._rng, bytearray()
        for _ in range(rng.randint(1, 6)):
            data = rng.choice(self._corpus)
            start = rng.randint(0, len(data))
            piece = bytearray(data[start : start + rng.choice((20, 200, 2000))])
            for _ in range(rng.choice((0, 0, 1, 3, 20)) if piece else 0):
                self._hurt(piece)
            pieces += piece
            if rng.random() < 0.2:
                pieces += rng.randbytes(rng.randint(1, 40))
        return bytes(pieces[:STREAM_MAX])

    def _hurt(self, piece: bytearray) -> None:
        rng = self._rng
        at = rng.randrange(len(piece))
        match rng.randrange(5):
            case 0:
                piece[at] ^= 1 << rng.randrange(8)
            case 1:
                piece[at] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            case 2:
                del piece[at : at + rng.randint(1, 8)]
                piece += b"\0" * (not piece)
            case 3:
                piece[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                piece[at:at] = piece[at : at + rng.randint(1, 64)]

    def chunks(self, data: bytes) -> list[bytes]:
        cuts = sorted(self._rng.choices(range(len(data) + 1), k=self._rng.randint(0, 12)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def decoded(driver: registry.LoadedDriver, options: object, chunks: list[bytes]) -> list[Body]:
    decoder = driver.decoder(options)
    return [body for chunk in chunks for body in decoder.feed(chunk)] + decoder.end()


@pytest.mark.parametrize("seconds", [pytest.param(CI_S, id="ci"), pytest.param(SECONDS, id="full")])
@pytest.mark.parametrize("name", registry.driver_names())
def test_a_decoder_under_fire(name: str, seconds: float) -> None:
    driver, cases = registry.load(name), golden(name)
    rng = Random(f"{SEED}/{name}/{seconds}")
    mutator = Mutator(rng, [data for _, data in cases])
    reasons = set(driver.module.REASONS)  # type: ignore[attr-defined]
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        options = registry.build_options(driver, rng.choice(cases)[0])
        data = mutator.stream()
        whole = decoded(driver, options, [data])
        assert decoded(driver, options, mutator.chunks(data)) == whole, data.hex()
        for body in whole:
            assert read_reading(body_line(body)).body == body, data.hex()
            assert not isinstance(body, Garbled) or body.reason in reasons, data.hex()
        count += 1
    print(f"{name}: {count} streams, seed {SEED}")
    assert count


@pytest.mark.parametrize("seconds", [pytest.param(0, id="ci")])
@pytest.mark.parametrize("name", registry.driver_names())
def test_endless_garbage_is_held_within_bounds(name: str, seconds: int) -> None:
    driver, cases = registry.load(name), golden(name)
    rng = Random(f"{SEED}/{name}/endless")
    mutator = Mutator(rng, [data for _, data in cases])
    decoder = driver.decoder(registry.build_options(driver, cases[0][0]))
    feed = [mutator.stream() or b"?" for _ in range(64)] + [rng.randbytes(4096), b"\0" * 4096]
    for chunk in feed:
        decoder.feed(chunk)  # what it learns once (caches, tables) is no leak
    tracemalloc.start()
    try:
        before, fed = tracemalloc.get_traced_memory()[0], 0
        while fed < ENDLESS_BYTES:
            chunk = rng.choice(feed)
            decoder.feed(chunk)
            fed += len(chunk)
        assert tracemalloc.get_traced_memory()[0] - before < HELD_MAX_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seconds", [pytest.param(CI_S, id="ci"), pytest.param(SECONDS, id="full")])
def test_labels_under_fire(seconds: float) -> None:
    rng = Random(f"{SEED}/labels/{seconds}")
    corpus = [
        b"010950600013435210L2406\x1d21S1", b"https://id.gs1.org/01/09506000134352/10/L1?17=270131",
        b"00106141412345678908", b"9506000134352", b"01234565", b"2112345007428",
        b"01095060001343523103000742\x1d392xx", b"8008210101\x1d8200http://x",
        b"(01)09506000134352",
    ]  # fmt: skip
    mutator = Mutator(rng, corpus)
    aims = (None, "]C1", "]d2", "]E0", "]E4", "]I1", "]Q3", "]e0", "]C0", "]zz")
    until, items = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        text = mutator.stream()[:200].decode("utf-8", "surrogateescape")
        items += isinstance(gs1.parse(text, rng.choice(aims)), gs1.Item)
    assert items
