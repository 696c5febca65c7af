"""Every folder of tests/golden/drivers: the bytes, the options, the readings they must give.

A folder is <driver>/<case>/ with input.bin (or input.hex, # begins a comment), options.json,
expected.jsonl as `stockd decode` prints it, NOTE.md with where the bytes come from.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gateway import registry
from gateway.domain.reading import Body, Garbled
from gateway.domain.wire import body_line

GOLDEN = Path(__file__).parent.parent / "golden" / "drivers"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/options.json"))


def stream(case: Path) -> bytes:
    plain = case / "input.bin"
    if plain.exists():
        return plain.read_bytes()
    lines = (case / "input.hex").read_text().splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def decoded(case: Path, chunks: Iterable[bytes]) -> list[Body]:
    driver = registry.load(case.parent.name)
    options = registry.build_options(driver, json.loads((case / "options.json").read_text()))
    decoder = driver.decoder(options)
    return [body for chunk in chunks for body in decoder.feed(chunk)] + decoder.end()


def cut_at_random(data: bytes, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    while data:
        size = rng.randint(1, 60)
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_readings(case: Path, rewrite_golden: bool) -> None:
    data = stream(case)
    bodies = decoded(case, [data])
    assert decoded(case, (data[at : at + 1] for at in range(len(data)))) == bodies
    for seed in range(3):
        assert decoded(case, cut_at_random(data, seed)) == bodies
    said = [body_line(body).decode() for body in bodies]
    expected = case / "expected.jsonl"
    if rewrite_golden:
        expected.write_text("".join(f"{line}\n" for line in said))
    assert said == expected.read_text().splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_reasons_are_of_the_fixed_list(case: Path) -> None:
    reasons = registry.load(case.parent.name).module.REASONS  # type: ignore[attr-defined]
    garbled = [body for body in decoded(case, [stream(case)]) if isinstance(body, Garbled)]
    assert {body.reason for body in garbled} <= set(reasons)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_note_says_where_the_bytes_come_from(case: Path) -> None:
    assert len((case / "NOTE.md").read_text().strip().splitlines()) == 1


@pytest.mark.parametrize("name", registry.driver_names())
def test_every_driver_has_golden_folders(name: str) -> None:
    assert any(case.parent.name == name for case in CASES)
