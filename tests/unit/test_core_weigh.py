"""When a plate comes to rest: ringing, slow hands, noise that was not there before."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, pi
from random import Random

import pytest

from gateway.core.plate_words import PlateRules
from gateway.core.weigh import Plate
from gateway.domain.observation import WeightStep
from gateway.domain.units import NS_PER_S

Load = Callable[[float], float]
"""Grams at a time in seconds."""


def told(
    load: Load,
    until_s: float,
    noise: Load,
    *,
    rate_hz: int = 20,
    lightest_g: int = 53,
    seed: int = 1,
) -> list[WeightStep]:
    """The steps of a plate under that load, with normal noise of that deviation."""
    plate, chance = Plate(PlateRules("scale", "a1", rate_hz, lightest_g * 1000)), Random(seed)
    steps = []
    for tick in range(int(until_s * rate_hz)):
        at_s = tick / rate_hz
        mass_mg = round(1000.0 * (load(at_s) + chance.gauss(0.0, noise(at_s))))
        step = plate.weight(tick * NS_PER_S // rate_hz, mass_mg, None, ())
        steps += [] if step is None else [step]
    return steps


def steady(noise_g: float) -> Load:
    return lambda _: noise_g


def smooth(at_s: float, begin_s: float, lasts_s: float) -> float:
    part = min(max((at_s - begin_s) / lasts_s, 0.0), 1.0)
    return part * part * (3.0 - 2.0 * part)


def ringing(mass_g: float) -> Load:
    """At 10 s so much is taken, and the plate swings by a sixth of it, at 8 Hz for a second."""

    def load(at_s: float) -> float:
        since_s = at_s - 10.0
        if since_s < 0.0:
            return 5000.0
        return 5000.0 - mass_g + mass_g / 6.0 * exp(-6.0 * since_s) * cos(16.0 * pi * since_s)

    return load


@pytest.mark.parametrize("mass_g", [60.0, 400.0, 1500.0])
@pytest.mark.parametrize("rate_hz", [20, 60])
def test_a_heavy_thing_that_rings_is_told_as_soon_as_a_light_one(
    mass_g: float, rate_hz: int
) -> None:
    (step,) = told(ringing(mass_g), 14.0, steady(1.0), rate_hz=rate_hz)
    assert abs(step.step_mg + 1000.0 * mass_g) < 2500.0
    assert step.at_ns < 11.3 * NS_PER_S


@pytest.mark.parametrize("noise_g", [1.0, 3.0, 5.0])
def test_a_slow_removal_stays_one_step_in_any_noise(noise_g: float) -> None:
    whole = 0
    for seed in range(20):
        lasts_s = Random(seed).uniform(2.7, 5.4)

        def load(at_s: float, lasts_s: float = lasts_s) -> float:
            return 5000.0 - 53.0 * smooth(at_s, 20.0, lasts_s)

        steps = told(load, 30.0, steady(noise_g), seed=seed)
        whole += len(steps) == 1 and abs(steps[0].step_mg + 53_000) < 8000
    assert whole >= 19


@pytest.mark.parametrize("begins_s", [0.0, 30.0])
def test_a_plate_noisier_than_it_was_learns_it_and_finds_steps(begins_s: float) -> None:
    for seed in range(10):
        steps = told(
            lambda at_s: 5000.0 - (53.0 if at_s >= 90.0 else 0.0),
            100.0,
            lambda at_s: 5.0 if at_s >= begins_s else 0.5,
            seed=seed,
        )
        assert [abs(step.step_mg + 53_000) < 9000 for step in steps] == [True]


def test_hands_that_stay_are_not_taken_for_noise() -> None:
    chance = Random(2)
    presses = [chance.uniform(-200.0, 200.0) for _ in range(400)]

    def load(at_s: float) -> float:
        pressed = presses[int(at_s * 5.0)] if 20.0 <= at_s < 60.0 else 0.0
        return 5000.0 + pressed - (53.0 if at_s >= 40.0 else 0.0)

    (step,) = told(load, 65.0, steady(1.0))
    assert abs(step.step_mg + 53_000) < 2500
    assert step.sigma_mg < 1000


def test_a_hand_that_comes_and_goes_slowly_is_no_level() -> None:
    """Three seconds: at its height it is level for a moment only."""

    def load(at_s: float) -> float:
        return 5000.0 + (
            150.0 * (1.0 - cos(2.0 * pi * (at_s - 20.0) / 3.0)) if 20.0 <= at_s < 23.0 else 0.0
        )

    for seed in range(10):
        assert told(load, 26.0, steady(1.0), seed=seed) == []
