"""What shelf plates feel in a benchmark: goods, hands, and the cell of `drivers.sim.plate`.

Here: the masses of ALGORITHMS 7.1, what the catalogue believes of them, gestures of people, and
streams of samples with the truth beside them. Not here: how anybody detects a step, and no number
that a filter uses. Next: `weight`, which judges the detector on these streams; `booked`, which
judges the whole chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from random import Random
from typing import Final

from drivers.sim.goods import CV_LN_SD, CV_MEDIAN, STRANGER, WITHIN_SDS
from drivers.sim.levels import (
    L1,
    L2,
    L3,
    PUTBACK_SHARE,
    QUANTITY_SHARES,
    QUICK_S,
    SLOW_S,
    SLOW_SHARE,
    UNKNOWN_MASS_LN_G,
    Level,
)
from drivers.sim.plate import Plate
from gateway.domain.units import NS_PER_S

CV_CLIP: Final = (0.001, 0.1)
NOMINAL_SHARE: Final = 0.4
"""Products whose catalogue mass is the label's, never weighed; no spread is known of them."""
TAIL_SIGMAS: Final = 4.0
QUIET_S: Final = 10.0
"""Nobody touches a plate so long after it was switched on."""
APART_S: Final = 4.0
"""Least time from one shopper's release to the next one's reach onto the same plate."""
PAUSE_S: Final = 12.0
"""Mean of what is added to it: a busy shop, compressed; the physics of a plate is not."""
S_PER_H: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Channel:
    """A column of table 7.2 at a sample rate."""

    level: Level
    rate_hz: int
    tails: float = 0.0
    """Share of samples with noise of TAIL_SIGMAS on top: the tails of the model mismatch (7.6)."""

    @property
    def sigma_g(self) -> float:
        """White noise of one sample."""
        return self.level.white_g


CHANNELS: Final = {
    "L1": Channel(L1, 60),
    "L2": Channel(L2, 20),
    "L3": Channel(L3, 10),
    "L2/60": Channel(L2, 60),
    "L2/s5": Channel(replace(L2, name="L2/s5", white_g=5.0), 20),
}


@dataclass(frozen=True, slots=True)
class Sku:
    """A product as it is, and as the catalogue describes it."""

    gtin: str
    mean_g: float
    cv: float
    told_g: float
    told_sd_g: float | None

    def unit_g(self, rng: Random) -> float:
        """The mass of one unit, as the factory made it."""
        deviation = min(max(rng.gauss(0.0, 1.0), -WITHIN_SDS), WITHIN_SDS)
        return self.mean_g * (1.0 + self.cv * deviation)


def world_mass_g(rng: Random, at_least_g: float = 0.0) -> float:
    """A product's mean mass from the world's distribution, clipped as in 7.1."""
    mean_ln, sd_ln, low_g, high_g = UNKNOWN_MASS_LN_G
    while True:
        mass_g = min(max(exp(rng.gauss(mean_ln, sd_ln)), low_g), high_g)
        if mass_g >= at_least_g:
            return mass_g


def sku(gtin: str, mean_g: float, level: Level, rng: Random) -> Sku:
    """A product of that mean. Most were weighed once, some are nominal, and of those some are off.

    `strangers` of all products deviate by 5 to 7 %, all of them among the nominal ones.
    """
    cv = min(max(rng.lognormvariate(log(CV_MEDIAN), CV_LN_SD), CV_CLIP[0]), CV_CLIP[1])
    off = rng.uniform(-level.mass_off, level.mass_off)
    if rng.random() >= NOMINAL_SHARE:
        return Sku(gtin, mean_g, cv, mean_g * (1.0 + off), mean_g * cv)
    if rng.random() < level.strangers / NOMINAL_SHARE:
        off = rng.choice((-1.0, 1.0)) * rng.uniform(*STRANGER)
    return Sku(gtin, mean_g, cv, mean_g * (1.0 + off), None)


def quantity(rng: Random) -> int:
    """How many units one reach takes."""
    return rng.choices((1, 2, 3), QUANTITY_SHARES)[0]


@dataclass(frozen=True, slots=True)
class Gesture:
    """A hand at a plate; goods come or go while it is there."""

    begin_s: float
    lasts_s: float
    hand_g: float
    release_s: float = 0.0
    """From the begin until the goods move."""
    ramp_s: float = 0.05

    @property
    def released_s(self) -> float:
        """When nobody touches goods or plate any more: latency counts from here."""
        return self.begin_s + max(self.release_s + self.ramp_s, self.lasts_s)


def hand_g(level: Level, rng: Random) -> float:
    """Peak force of a hand that presses or lifts."""
    return rng.uniform(0.2, 1.0) * rng.choice((-1.0, 1.0)) * level.hand_g


def touch(level: Level, rng: Random, begin_s: float) -> Gesture:
    """A hand that takes nothing."""
    return Gesture(begin_s, rng.uniform(*QUICK_S), hand_g(level, rng))


def reach(level: Level, rng: Random, begin_s: float, units: int) -> Gesture:
    """A hand that takes or lays units: in a moment, and in 5 % of cases over three to six s."""
    if rng.random() < SLOW_SHARE:
        return slow(level, rng, begin_s)
    lasts_s = rng.uniform(*QUICK_S) + 0.25 * (units - 1)
    release_s, ramp_s = rng.uniform(0.3, 0.5) * lasts_s, min(0.25, 0.4 * lasts_s)
    return Gesture(begin_s, lasts_s, hand_g(level, rng), release_s, ramp_s)


def slow(level: Level, rng: Random, begin_s: float, *, held: bool = False) -> Gesture:
    """Goods that come or go over three to six s; the hand presses as briefly as ever.

    With `held` it presses all the while, which table 7.2 does not say and people do.
    """
    lasts_s = rng.uniform(*SLOW_S)
    pressed_s = lasts_s if held else rng.uniform(*QUICK_S)
    return Gesture(begin_s, pressed_s, hand_g(level, rng), 0.1 * lasts_s, 0.9 * lasts_s)


def poisson_s(rng: Random, per_h: float, until_s: float) -> Iterator[float]:
    """Times of independent events, after the quiet begin."""
    at_s = QUIET_S
    while per_h > 0.0:
        at_s += rng.expovariate(per_h / S_PER_H)
        if at_s >= until_s:
            return
        yield at_s


@dataclass(frozen=True, slots=True)
class Act:
    """What happens to one plate; a bump has a peak and no gesture."""

    begin_s: float
    gesture: Gesture | None
    load_g: float = 0.0
    peak_g: float = 0.0

    def befall(self, plate: Plate) -> None:
        """Tells the physics of it, at the latest when it begins."""
        g = self.gesture
        if g is None:
            plate.bump(self.begin_s, self.peak_g)
        else:
            plate.handle(g.begin_s, g.lasts_s, g.hand_g, self.load_g, g.release_s, g.ramp_s)


@dataclass(frozen=True, slots=True)
class Change:
    """A true step: so much came (+) or went (-), complete at this moment."""

    at_s: float
    mass_g: float


@dataclass(frozen=True, slots=True)
class Stream:
    """One plate for a while: what happened, and what its instrument said."""

    rate_hz: int
    changes: tuple[Change, ...]
    samples: tuple[tuple[int, int], ...]
    """Time in ns, mass in mg."""


def moves(
    channel: Channel, goods: Sku, count: int, rng: Random, *, single: bool, held: bool = False
) -> tuple[list[Act], list[Change]]:
    """So many picks and put-backs at one plate, by people who keep apart; `held`: all slow."""
    acts: list[Act] = []
    changes: list[Change] = []
    taken: list[float] = []
    at_s = QUIET_S
    for _ in range(count):
        at_s += APART_S + rng.expovariate(1.0 / PAUSE_S)
        if taken and rng.random() < PUTBACK_SHARE:
            units, mass_g = 1, taken.pop()
        else:
            units = 1 if single else quantity(rng)
            picked = [goods.unit_g(rng) for _ in range(units)]
            taken += picked
            mass_g = -sum(picked)
        gesture = (
            slow(channel.level, rng, at_s, held=True)
            if held
            else reach(channel.level, rng, at_s, units)
        )
        acts.append(Act(at_s, gesture, mass_g))
        changes.append(Change(gesture.released_s, mass_g))
        at_s = gesture.released_s
    return acts, changes


def disturbances(level: Level, until_s: float, rng: Random) -> list[Act]:
    """Touches of the plate and bumps of its bay, at the level's rates."""
    touches = [
        Act(at_s, touch(level, rng, at_s)) for at_s in poisson_s(rng, level.touches_per_h, until_s)
    ]
    bumps = [
        Act(at_s, None, peak_g=abs(hand_g(level, rng)))
        for at_s in poisson_s(rng, level.bumps_per_h, until_s)
    ]
    return touches + bumps


def sampled(
    channel: Channel, load_g: float, acts: Iterable[Act], until_s: float, rng: Random
) -> Iterator[tuple[int, int]]:
    """The plate's samples in time order, as (ns, mg)."""
    plate = Plate(channel.level, load_g, rng)
    waiting = sorted(acts, key=lambda act: act.begin_s, reverse=True)
    for tick in range(int(until_s * channel.rate_hz)):
        at_s = tick / channel.rate_hz
        while waiting and waiting[-1].begin_s <= at_s:
            waiting.pop().befall(plate)
        mass_g = plate.sample_g(at_s)
        if channel.tails and rng.random() < channel.tails:
            mass_g += rng.gauss(0.0, TAIL_SIGMAS * channel.sigma_g)
        yield tick * NS_PER_S // channel.rate_hz, round(mass_g * 1000.0)


def stream(
    channel: Channel, goods: Sku, count: int, rng: Random, *, single: bool, held: bool = False
) -> Stream:
    """A plate that loses and regains goods, among touches and bumps."""
    acts, changes = moves(channel, goods, count, rng, single=single, held=held)
    until_s = changes[-1].at_s + QUIET_S
    acts += disturbances(channel.level, until_s, rng)
    load_g = goods.mean_g * (1.5 if single else 2.0) * count
    samples = tuple(sampled(channel, load_g, acts, until_s, rng))
    return Stream(channel.rate_hz, tuple(changes), samples)


def touched(channel: Channel, goods: Sku, count: int, rng: Random) -> Stream:
    """A plate that is only touched, so many times: nothing comes or goes."""
    acts, at_s = [], QUIET_S
    for _ in range(count):
        at_s += APART_S + rng.expovariate(1.0 / APART_S)
        acts.append(Act(at_s, touch(channel.level, rng, at_s)))
    samples = tuple(sampled(channel, 20.0 * goods.mean_g, acts, at_s + QUIET_S, rng))
    return Stream(channel.rate_hz, (), samples)


def matched(truth: Sequence[Change], found: Sequence[Change], within_s: float = 5.0) -> list[int]:
    """For each true step the index of the raw step that found it, or -1 (rule 7.4).

    One-to-one, greedy in order of time; the right sign, and a mass within 6 g or 25 %.
    """
    free = list(range(len(found)))
    hits = []
    for true in truth:
        fits = (
            i
            for i in free
            if abs(found[i].at_s - true.at_s) <= within_s
            and (found[i].mass_g > 0.0) == (true.mass_g > 0.0)
            and abs(found[i].mass_g - true.mass_g) <= max(6.0, 0.25 * abs(true.mass_g))
        )
        hit = next(fits, -1)
        if hit >= 0:
            free.remove(hit)
        hits.append(hit)
    return hits
