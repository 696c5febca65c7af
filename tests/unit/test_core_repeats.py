"""Samples that a link delivers twice, and those that only look so."""

from __future__ import annotations

from random import Random

import pytest

from gateway.core.plate_words import PlateRules
from gateway.core.plates import Plates
from gateway.core.repeats import Repeats
from gateway.domain.observation import WeightStep
from gateway.domain.reading import Weight
from gateway.domain.store import Location

MS = 1_000_000
Sample = tuple[int, int]
"""Milliseconds and grams."""


def heard(samples: list[Sample], rate_hz: int = 10) -> list[Sample]:
    repeats = Repeats(rate_hz)
    return [(ms, g) for ms, g in samples if not repeats.again(ms * MS, Weight(g * 1000))]


def steps(samples: list[tuple[int, int]]) -> list[WeightStep]:
    """What a plate makes of milliseconds and milligrams."""
    plates = Plates()
    rules = PlateRules("scale", "a1", 10, 90_000)
    plates.add("scale", Weight(0).channel, "scale_sics", rules, Location("a1", "shelf"), {}, 0)
    told = []
    for ms, mass_mg in samples:
        told += [s for s in plates.weight(ms * MS, "scale", Weight(mass_mg)) if s.at_ns >= 0]
    return [s for s in told if isinstance(s, WeightStep)]


@pytest.mark.parametrize("seed", range(8))
def test_a_plate_settles_the_same_whether_its_samples_come_once_or_twice(seed: int) -> None:
    chance = Random(seed)
    once = [
        (ms, round(chance.gauss(5_000_000 - 90_000 * (ms > 20_000), 2_000)))
        for ms in range(0, 40_000, 100)
    ]
    twice = [s for s in once for _ in range(1 + (s[0] > 0 and chance.random() < 0.3))]
    assert steps(twice) == steps(once) != []


def test_what_a_stalled_link_held_back_is_heard_in_full() -> None:
    stalled = [(0, 500), (3000, 500), *[(3000, 500)] * 20, *[(3000, 300)] * 9, (3100, 300)]
    assert heard(stalled) == stalled


def test_two_samples_of_one_packet_are_two() -> None:
    packets = [(ms, 500) for ms in range(0, 2000, 200) for _ in range(2)]
    assert heard(packets) == packets


def test_another_value_at_once_is_another_sample() -> None:
    samples = [(0, 500), (100, 500), (100, 501), (100, 500)]
    assert heard(samples) == samples


def test_a_scale_quicker_than_configured_is_heard() -> None:
    samples = [(ms, 500) for ms in range(0, 2000, 10)]
    assert len(heard(samples)) >= len(samples) - 1
