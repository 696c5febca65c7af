"""The noise of a real store: idle plates book nothing, dead cells are told, steps are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plate_recordings import Recording, idle, injected, recordings

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")

SEEDS = (11, 12)
"""Nobody looked at single cases of these."""


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


@pytest.fixture(scope="module")
def found(plates: list[Recording]) -> dict[str, float]:
    """Counts of items that rest on one, two and three plates."""
    counts: dict[str, float] = {}
    for width in (1, 2, 3):
        for seed in SEEDS:
            for name, value in injected(plates, width, seed).items():
                counts[name] = counts.get(name, 0.0) + value
    return counts


def shown(found: dict[str, float], widths: tuple[int, ...], kind: str = "") -> tuple[float, float]:
    """Precision and recall of items of these widths, printed."""
    right, posted, events = (
        sum(found[f"real/{width}{kind}.{part}"] for width in widths)
        for part in ("right", "posted", "events")
    )
    assert events >= 200 * len(widths)
    precision, recall = right / posted, right / events
    print(
        f"on {widths} plates{kind}: precision {precision:.4f}, recall {recall:.4f}, "
        f"{right:.0f} right of {posted:.0f} booked and {events:.0f} made"
    )
    return precision, recall


def test_injected_items_are_found(found: dict[str, float]) -> None:
    for width in (1, 2, 3):
        shown(found, (width,))
    precision, recall = shown(found, (1, 2, 3))
    assert precision >= 0.99
    assert recall >= 0.97


@pytest.mark.parametrize("widths", [(1,), (2,)])
def test_items_on_one_plate_and_on_two_are_found_each(
    found: dict[str, float], widths: tuple[int, ...]
) -> None:
    precision, recall = shown(found, widths)
    assert precision >= 0.99
    assert recall >= 0.97


def test_what_is_booked_at_once_is_right(found: dict[str, float]) -> None:
    precision, recall = shown(found, (1, 2, 3), "/auto")
    assert precision >= 0.99
    assert recall >= 0.95
