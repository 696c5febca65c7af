"""Dead, stuck and saturated cells: found where noise proves them, never where a digit hides it."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from gateway.core.vitals import Vitals
from gateway.domain.reading import Weight

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")
IDLE = DATA / "weight-aifi-idle"
S = 1_000_000_000
RATE = 20


def plates(*digits_and_noise: tuple[int, float]) -> list[Vitals]:
    return [Vitals("scale_sics", RATE) for _ in digits_and_noise]


def shown(noise: float, digit: int, rng: Random) -> int:
    """A cell's value in milligrams after rounding to the instrument's digit."""
    return round(rng.gauss(1_243_300, noise) / digit) * digit


def run(kinds: list[tuple[int, float]], seconds: int, seed: int = 1) -> list[Vitals]:
    """Scales with (digit, noise) in milligrams side by side; noise 0 is a dead cell."""
    rng, cells = Random(seed), [Vitals("scale_sics", RATE) for _ in kinds]
    for tick in range(seconds * RATE):
        for cell, (digit, noise) in zip(cells, kinds, strict=True):
            cell.heard(tick * S // RATE, Weight(shown(noise, digit, rng)), cells)
    return cells


def test_a_cell_without_noise_among_noisy_ones_is_dead() -> None:
    cells = run([(100, 300.0), (100, 800.0), (100, 0.0), (100, 300.0)], 25)
    assert [cell.trouble for cell in cells] == ["", "", "dead", ""]


@pytest.mark.parametrize("noise", [10.0, 100.0, 200.0, 300.0])
def test_a_coarse_digit_hides_the_noise_and_nobody_is_dead(noise: float) -> None:
    for seed in range(10):
        cells = run([(1000, noise)] * 8, 60, seed)
        assert [cell.trouble for cell in cells] == [""] * 8, seed


def test_two_scales_are_too_few_to_judge() -> None:
    assert [cell.trouble for cell in run([(100, 300.0), (100, 0.0)], 60)] == ["", ""]


def test_others_of_another_kind_prove_nothing() -> None:
    rng, cells = Random(1), [Vitals("scale_sics", RATE) for _ in range(4)]
    cells[0].driver = "scale_8217"
    for tick in range(60 * RATE):
        for n, cell in enumerate(cells):
            cell.heard(tick * S // RATE, Weight(shown(300.0 if n else 0.0, 100, rng)), cells)
    assert cells[0].trouble == ""


def test_a_scale_that_speaks_seldom_is_not_judged() -> None:
    rng, cells = Random(1), plates(*[(100, 1.0)] * 4)
    for tick in range(60 * RATE):
        for n, cell in enumerate(cells):
            if n or tick % 40 == 0:
                cell.heard(tick * S // RATE, Weight(shown(300.0 if n else 0.0, 100, rng)), cells)
    assert cells[0].trouble == ""


def test_flags_count_after_five_seconds_and_end_with_a_mass() -> None:
    cell = Vitals("scale_sics", RATE)
    told = [cell.heard(n * S, Weight(0, None, ("over",)), [cell]) for n in range(8)]
    assert told == [False] * 5 + [True, False, False]
    assert cell.trouble == "saturated"
    assert cell.heard(9 * S, Weight(5), [cell])
    assert cell.trouble == ""
    assert not cell.heard(10 * S, Weight(0, None, ("error",)), [cell])
    assert cell.heard(16 * S, Weight(0, None, ("error",)), [cell])
    assert cell.trouble == "error"


def test_a_scale_that_was_away_begins_anew() -> None:
    cell = Vitals("scale_sics", RATE)
    for n in range(8):
        cell.heard(n * S, Weight(0, None, ("under",)), [cell])
    cell.away()
    assert cell.trouble == ""
    assert not cell.heard(9 * S, Weight(0, None, ("under",)), [cell])


def samples(archive: Path) -> Iterator[tuple[int, str, int]]:
    with zipfile.ZipFile(archive) as folder:
        for name in folder.namelist():
            for at_s, grams in csv.reader(io.TextIOWrapper(folder.open(name))):
                yield round(float(at_s) * 1e9), name, round(float(grams) * 1000)


@pytest.mark.parametrize("gondola", ["gondola_4", "gondola_5"])
def test_the_dead_channels_of_a_real_store(gondola: str) -> None:
    archive = IDLE / f"{gondola}.zip"
    if not archive.exists():
        pytest.skip(f"no recordings: {archive} is not there (STOCKD_DATA names another folder)")
    heard = sorted(samples(archive))
    values: dict[str, set[int]] = {}
    for _, name, mass_mg in heard:
        values.setdefault(name, set()).add(mass_mg)
    cells = {name: Vitals("scale_line", 60) for name in values}
    for at_ns, name, mass_mg in heard:
        cells[name].heard(at_ns, Weight(mass_mg), cells.values())
    found = {name for name, cell in cells.items() if cell.trouble == "dead"}
    assert found == {name for name, seen in values.items() if len(seen) == 1}
    assert found
    assert all(len(values[n]) <= 5 for n, cell in cells.items() if cell.trouble == "stuck")
