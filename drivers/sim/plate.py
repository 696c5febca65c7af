"""The physics of one shelf plate: what its load cell feels at a moment.

Here: load, hands, ringing, creep, thermal drift, random walk, vibration, spikes (ALGORITHMS 7.2).
Not here: the instrument that digitises it (`scales`), and no thought of how to undo it.
"""

from __future__ import annotations

from math import exp, pi, sin, sqrt
from random import Random
from typing import Final

from drivers.sim.levels import (
    CREEP_S,
    VIBRATION_EVERY_S,
    VIBRATION_HZ,
    VIBRATION_SIGMAS,
    Level,
)

BURST_S: Final = (1.0, 3.0)
RING_SHARE: Final = 0.15
"""First swing of the ringing, as a share of the mass that came or went."""
RING_HAND_SHARE: Final = 0.3
RING_S: Final = 3.0
THERMAL_S: Final = (1800.0, 5400.0)
SPIKE_G: Final = (50.0, 500.0)


class _Motion:
    """One act at the plate, from the first touch until its ringing has died."""

    __slots__ = ("begin_s", "hand_g", "lasts_s", "load_g", "ramp_s", "release_s", "swing_g")

    def __init__(
        self,
        begin_s: float,
        lasts_s: float,
        hand_g: float,
        load_g: float,
        release_s: float,
        ramp_s: float,
        swing_g: float,
    ) -> None:
        self.begin_s = begin_s
        self.lasts_s = lasts_s
        self.hand_g = hand_g
        self.load_g = load_g
        self.release_s = release_s
        self.ramp_s = ramp_s
        self.swing_g = swing_g

    def over(self, at_s: float) -> bool:
        return at_s > self.begin_s + max(self.lasts_s, self.release_s + self.ramp_s) + RING_S

    def load_part(self, at_s: float) -> float:
        part = (at_s - self.begin_s - self.release_s) / self.ramp_s
        part = min(max(part, 0.0), 1.0)
        return part * part * (3.0 - 2.0 * part)

    def hand_part(self, at_s: float) -> float:
        part = (at_s - self.begin_s) / self.lasts_s
        return sin(pi * part) ** 2 if 0.0 < part < 1.0 else 0.0


class Plate:
    """A load cell with goods on it; `sample_g` is called with times that never go back."""

    def __init__(self, level: Level, load_g: float, rng: Random) -> None:
        self._level = level
        self._rng = rng
        self._load_g = load_g
        self._shown_g = level.creep * load_g
        self._motions: list[_Motion] = []
        self._walk_g = 0.0
        self._thermal = (rng.uniform(*THERMAL_S), rng.uniform(0.0, 2.0 * pi))
        self._at_s: float | None = None
        self._burst_s = rng.uniform(0.0, VIBRATION_EVERY_S)
        self._burst = (0.0, 1.0, 0.0)

    def handle(
        self,
        begin_s: float,
        lasts_s: float,
        hand_g: float,
        load_g: float,
        release_s: float,
        ramp_s: float,
    ) -> None:
        """A hand at the plate; `load_g` comes (+) or goes (-) from `release_s` after the begin."""
        swing_g = RING_SHARE * (abs(load_g) + RING_HAND_SHARE * abs(hand_g))
        self._motions.append(_Motion(begin_s, lasts_s, hand_g, load_g, release_s, ramp_s, swing_g))

    def bump(self, at_s: float, peak_g: float) -> None:
        """Somebody runs into the bay: the plate swings, nothing comes or goes."""
        self._motions.append(_Motion(at_s, 0.05, 0.0, 0.0, 0.0, 0.05, peak_g))

    def sample_g(self, at_s: float) -> float:
        """What the cell feels at this moment, in grams."""
        elapsed_s = 0.0 if self._at_s is None else at_s - self._at_s
        self._at_s = at_s
        level, rng = self._level, self._rng
        load_g, disturbance_g = self._acts(at_s)
        # the cell shows a new load less its creep at once, and the rest within minutes
        full_g = level.creep * load_g
        self._shown_g += (full_g - self._shown_g) * (1.0 - exp(-elapsed_s / CREEP_S))
        self._walk_g += rng.gauss(0.0, level.walk_g * sqrt(elapsed_s)) if elapsed_s else 0.0
        period_s, phase = self._thermal
        felt_g = (
            load_g
            - full_g
            + self._shown_g
            + disturbance_g
            + self._walk_g
            + level.thermal_g * sin(2.0 * pi * at_s / period_s + phase)
            + self._vibration_g(at_s)
            + rng.gauss(0.0, level.white_g)
        )
        if rng.random() < level.spikes:
            felt_g += rng.choice((-1.0, 1.0)) * rng.uniform(*SPIKE_G)
        return felt_g

    def _acts(self, at_s: float) -> tuple[float, float]:
        """The load now, and what hands and ringing add to it."""
        if any(motion.over(at_s) for motion in self._motions):
            self._load_g += sum(m.load_g for m in self._motions if m.over(at_s))
            self._motions = [m for m in self._motions if not m.over(at_s)]
        load_g, disturbance_g = self._load_g, 0.0
        for motion in self._motions:
            load_g += motion.load_g * motion.load_part(at_s)
            disturbance_g += motion.hand_g * motion.hand_part(at_s) + self._ring_g(motion, at_s)
        return load_g, disturbance_g

    def _ring_g(self, motion: _Motion, at_s: float) -> float:
        """Damped swing after the goods, or the hand, have let go."""
        since_s = at_s - motion.begin_s - max(motion.release_s + motion.ramp_s, motion.lasts_s)
        if since_s <= 0.0:
            return 0.0
        damping = self._level.ring_damping
        omega = 2.0 * pi * self._level.ring_hz
        decay = exp(-damping * omega * since_s)
        return motion.swing_g * decay * sin(omega * sqrt(1.0 - damping * damping) * since_s)

    def _vibration_g(self, at_s: float) -> float:
        """A burst every half minute: a passing lorry, a compressor."""
        start_s, lasts_s, hz = self._burst
        if at_s >= self._burst_s:
            start_s, lasts_s = at_s, self._rng.uniform(*BURST_S)
            hz = self._rng.uniform(*VIBRATION_HZ)
            self._burst = (start_s, lasts_s, hz)
            self._burst_s = at_s + VIBRATION_EVERY_S
        since_s = at_s - start_s
        if hz == 0.0 or since_s > lasts_s:
            return 0.0
        amplitude_g = VIBRATION_SIGMAS * self._level.white_g * sin(pi * since_s / lasts_s)
        return amplitude_g * sin(2.0 * pi * hz * since_s)
