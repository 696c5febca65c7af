"""How noisy the sensors and how careless the people are: ALGORITHMS table 7.2, as data.

Here: one `Level` per column of the table, and `Pace`, the compressed time scale of a demo. Not
here: what is done with the numbers (`plate`, `people`), and nothing of how anybody filters them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Level:
    """One column of ALGORITHMS table 7.2, with the shares of 7.1; shares are from 0 to 1."""

    name: str
    # the plate
    white_g: float
    thermal_g: float
    walk_g: float
    """Random walk, grams per square root of a second."""
    creep: float
    """Share of a load that the cell shows only after the creep's time constant."""
    hand_g: float
    ring_hz: float
    ring_damping: float
    spikes: float
    """Probability per sample."""
    touches_per_h: float
    bumps_per_h: float
    cross_talk: tuple[float, float]
    """Range of the share of a load that a neighbouring plate feels."""
    straddles: float
    """Share of items that rest partly on a neighbouring plate."""
    # the goods
    mass_off: float
    """Largest deviation of a product's true mean mass from the catalogue."""
    strangers: float
    """Share of products that deviate by 5 to 7 % instead."""
    mass_cv_clip: tuple[float, float]
    """Coefficient of variation within a product: log-normal, median 1.3 %, clipped to this."""
    # the people
    missed: float
    swapped: float
    doubled: float
    till_returns: float
    """Share of shoppers after whom a till with lines of its own takes something back."""
    theft: float
    misplaced: float
    """Share of put-backs."""
    silent_restocks: float
    wrong_deliveries: float
    collide: bool
    """Whether two people may reach onto one plate within seconds of each other."""
    # the scanners
    echoes: float
    echo_ms: tuple[int, int]
    repeat_ms: int
    """Nobody scans two units of one product faster than this."""


L1: Final = Level(
    name="L1",
    white_g=0.5,
    thermal_g=1.0,
    walk_g=0.01,
    creep=0.0002,
    hand_g=100.0,
    ring_hz=10.0,
    ring_damping=0.2,
    spikes=1e-6,
    touches_per_h=2.0,
    bumps_per_h=0.1,
    cross_talk=(0.0, 0.0),
    straddles=0.0,
    mass_off=0.01,
    strangers=0.0,
    mass_cv_clip=(0.01, 0.016),
    missed=0.001,
    swapped=0.001,
    doubled=0.001,
    till_returns=0.02,
    theft=0.015,
    misplaced=0.0,
    silent_restocks=0.2,
    wrong_deliveries=0.02,
    collide=True,
    echoes=0.01,
    echo_ms=(150, 150),
    repeat_ms=900,
)
L2: Final = replace(
    L1,
    name="L2",
    white_g=1.0,
    thermal_g=3.0,
    walk_g=0.02,
    creep=0.0005,
    hand_g=300.0,
    ring_hz=8.0,
    ring_damping=0.12,
    spikes=2e-5,
    touches_per_h=20.0,
    bumps_per_h=1.0,
    cross_talk=(0.01, 0.02),
    straddles=0.02,
    strangers=0.2,
    mass_cv_clip=(0.001, 0.1),
    missed=0.005,
    swapped=0.005,
    doubled=0.003,
    misplaced=0.2,
    echoes=0.03,
    echo_ms=(50, 350),
    repeat_ms=600,
)
L3: Final = replace(
    L2,
    name="L3",
    white_g=5.0,
    thermal_g=10.0,
    walk_g=0.05,
    creep=0.001,
    hand_g=600.0,
    ring_hz=5.0,
    ring_damping=0.08,
    spikes=1e-4,
    touches_per_h=60.0,
    bumps_per_h=5.0,
    straddles=0.04,
    missed=0.02,
    swapped=0.01,
    doubled=0.01,
    echoes=0.1,
    repeat_ms=450,
)
QUIET: Final = replace(
    L1,
    name="quiet",
    missed=0.0,
    swapped=0.0,
    doubled=0.0,
    till_returns=0.0,
    theft=0.0,
    silent_restocks=0.0,
    wrong_deliveries=0.0,
    collide=False,
)
"""The demo's default: the sensors of L1, people who make no mistakes and keep apart."""

LEVELS: Final[Mapping[str, Level]] = {level.name: level for level in (QUIET, L1, L2, L3)}

CREEP_S: Final = 300.0
VIBRATION_EVERY_S: Final = 30.0
VIBRATION_SIGMAS: Final = 2.5
VIBRATION_HZ: Final = (5.0, 20.0)
QUICK_S: Final = (0.25, 1.5)
"""How long a hand is at the plate."""
SLOW_S: Final = (3.0, 6.0)
SLOW_SHARE: Final = 0.05
QUANTITY_SHARES: Final = (0.80, 0.15, 0.05)
"""A pick is of 1, 2 or 3 units."""
PUTBACK_SHARE: Final = 0.08
UNKNOWN_MASS_LN_G: Final = (4.89, 0.99, 15.0, 1500.0)
"""Mass of a product whose catalogue gives none: log-normal, clipped."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The time scale of a shop. A real one is a hundred times slower than this demo's defaults."""

    doors_s: float = 2.0
    """Quiet before the first shopper."""
    arrival_s: float = 7.0
    """Mean time between shoppers (Poisson)."""
    more_lines: float = 1.0
    """A basket has 1 + Poisson(this) lines."""
    browse_s: tuple[float, float] = (1.8, 0.5)
    """Median and ln-sd of the time from line to line."""
    walk_s: tuple[float, float] = (6.0, 0.35)
    """Median and ln-sd of the way to the till, never below `walk_min_s`."""
    walk_min_s: float = 5.5
    scan_s: tuple[float, float] = (1.1, 0.3)
    """Median and ln-sd of the time from unit to unit at the till."""
    staff_s: tuple[float, float] = (2.2, 0.4)
    """Median and ln-sd of the pauses of staff between tasks and steps."""
    staff_scan_s: tuple[float, float] = (1.6, 0.2)
    """Median and ln-sd of the time from scan to scan of staff."""
    apart_s: float = 2.5
    """People who do not collide leave a plate alone for this long."""
    settle_s: float = 4.0
    """Nothing moves this long before the end, so that the truth is quiet when it is told."""


DEMO: Final = Pace()
