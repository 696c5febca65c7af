"""The noise of a real store: idle plates book nothing, dead cells are told, steps are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plate_recordings import Recording, idle, injected, recordings

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="module")
def plates() -> list[Recording]:
    try:
        return recordings(DATA)
    except FileNotFoundError as absent:
        pytest.skip(f"no recordings: {absent.filename} is not there (STOCKD_DATA names another)")


def test_a_loop_has_no_seam() -> None:
    one = Recording("g1s1", 1, (0, 1, 2, 3), (10, 11, 12, 13))
    assert [one.looped_mg(tick) for tick in range(9)] == [10, 11, 12, 13, 12, 11, 10, 11, 12]


def test_idle_plates_book_nothing_and_dead_cells_are_told(plates: list[Recording]) -> None:
    found = idle(plates)
    assert found["real/idle.plates"] == 142
    assert found["real/idle.events"] == 0
    assert found["real/idle.steps"] == 0
    assert found["real/idle.told"] == found["real/idle.dead"] > 0
    assert found["real/idle.mistold"] == 0


@pytest.mark.parametrize("width", [1])
def test_injected_items_are_found(plates: list[Recording], width: int) -> None:
    found = injected(plates, width, seed=1)
    assert found[f"real/{width}.events"] >= 100
    assert found[f"real/{width}.precision"] >= 0.99
    assert found[f"real/{width}.recall"] >= 0.97
