"""The goods themselves: each item with its own true mass, which no catalogue knows.

Here: drawing items (ALGORITHMS 7.1) and the mass they bring onto plates. Not here: where they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, log
from random import Random
from typing import Final

from drivers.sim.actions import Load
from drivers.sim.levels import UNKNOWN_MASS_LN_G, Level
from gateway.domain.reading import Word
from gateway.domain.store import Product

CV_MEDIAN: Final = 0.013
CV_LN_SD: Final = 1.3
STRANGER: Final = (0.05, 0.07)
WITHIN_SDS: Final = 3.0
MG_PER_G: Final = 1000.0


class Item(Word, frozen=True):
    """One unit of a product."""

    gtin: str
    mass_mg: int
    lean: tuple[str, float] | None = None
    """The neighbouring plate it partly rests on, and the share of its mass there."""


class Goods:
    """Where items come from: a product's true mean and spread, drawn once per world."""

    def __init__(self, products: Iterable[Product], level: Level, rng: Random) -> None:
        self._rng = rng
        self._kinds: dict[str, tuple[float, float]] = {}
        for product in products:
            low, high = level.mass_cv_clip
            cv = min(max(rng.lognormvariate(log(CV_MEDIAN), CV_LN_SD), low), high)
            self._kinds[product.gtin] = (_mean_mg(product, level, rng), cv)

    def mean_mg(self, gtin: str) -> float:
        """The true mean mass of a product."""
        return self._kinds[gtin][0]

    def item(self, gtin: str) -> Item:
        """A new unit, as the factory made it."""
        mean_mg, cv = self._kinds[gtin]
        deviation = min(max(self._rng.gauss(0.0, 1.0), -WITHIN_SDS), WITHIN_SDS)
        return Item(gtin, max(1, round(mean_mg * (1.0 + cv * deviation))))


def _mean_mg(product: Product, level: Level, rng: Random) -> float:
    off = rng.uniform(-level.mass_off, level.mass_off)
    if rng.random() < level.strangers:
        off = rng.choice((-1.0, 1.0)) * rng.uniform(*STRANGER)
    if product.unit_mass_mg is not None:
        return product.unit_mass_mg * (1.0 + off)
    mean_ln, sd_ln, low_g, high_g = UNKNOWN_MASS_LN_G
    return min(max(exp(rng.gauss(mean_ln, sd_ln)), low_g), high_g) * MG_PER_G


def loads(
    items: Iterable[Item], location: str, sign: int, talk: Mapping[tuple[str, str], float]
) -> tuple[Load, ...]:
    """What items add (+1) to or take (-1) from plates: their own, leaned on, and beside it.

    `talk` is the share of a plate's load that another plate feels, by (plate, other).
    """
    masses_mg: dict[str, float] = {location: 0.0}
    for item in items:
        neighbour, share = item.lean or (location, 0.0)
        masses_mg[location] += item.mass_mg * (1.0 - share)
        masses_mg[neighbour] = masses_mg.get(neighbour, 0.0) + item.mass_mg * share
    for (plate, other), share in talk.items():
        if plate == location:
            masses_mg[other] = masses_mg.get(other, 0.0) + share * masses_mg[location]
    return tuple(Load(place, sign * round(mass)) for place, mass in masses_mg.items() if mass)
