"""What one unit of each product really weighs, learned from units taken one by one.

Two things are uncertain: how units differ from each other, and where their mean lies. The first
averages out over several units in one hand, the second does not: it is common to all of them, and
it is what a catalogue gets wrong (ALGORITHMS 2.4, 2.5, 2.7). Here: the conjugate normal update of
the mean, in exact integers, and the bounds that keep a mistake small. Not here: which steps teach
(`shelves`: certain single units, never restocks, pairs or what expired).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from gateway.domain.reading import Word
from gateway.domain.store import Product
from gateway.domain.units import NS_PER_S, div_half_even, sqrt_floor

LEARN_PPM: Final = 990_000
UNMEASURED_CV_PERCENT: Final = 6
"""A catalogue mass never measured may be off by this much (ALGORITHMS 2.7)."""
MEASURED_PERMILLE: Final = 30
"""One that somebody measured, as a deviation in the catalogue tells: packages change."""
BATCH_PERMILLE: Final = 5
"""However many were weighed, the next delivery may differ by this much."""
WITHIN_PERMILLE: Final = 20
"""How units differ where the catalogue does not say."""
PRIOR_UNITS: Final = 5
"""The catalogue's deviation counts as so many units weighed."""
UNITS_MAX: Final = 256
"""With so many the older half of the evidence is let go: packages change."""
MOVE_PERMILLE: Final = 10
"""Of the mass, per day; or as far as the mean was uncertain when the day began."""
TOLD_PERMILLE: Final = 5
"""People are told when the mass moved by this much since they last were."""
DAY_NS: Final = 86_400 * NS_PER_S


class Learned(msgspec.Struct):
    """Sums of deviations from the catalogue's mass, and how far the mass in use may have moved."""

    catalogue_mg: int
    units: int = 0
    sum_mg: int = 0
    squares_mg2: int = 0
    noise_mg2: int = 0
    """Of the scales that weighed them, summed."""
    moved_mg: int = 0
    """The mass in use, less the catalogue's."""
    day: int = 0
    morning_mg: int = 0
    """`moved_mg` as the day began."""
    most_mg: int = 0
    """How far it may move from there today."""
    told_mg: int = 0


class UnitMass(Word, frozen=True):
    """What a unit is believed to weigh."""

    mean_mg: int
    sd_mg: int
    """Of units about their mean."""
    mean_sd_mg: int
    """Of the mean."""
    units: int
    """How many were weighed here."""


class Masses:
    """Unit masses by product. `changed(gtin)` and `tell(at_ns, text)` are called on changes."""

    def __init__(
        self,
        products: Iterable[Product],
        changed: Callable[[str], None] = lambda gtin: None,
        tell: Callable[[int, str], None] = lambda at_ns, text: None,
    ) -> None:
        self._catalogue = {
            p.gtin: p for p in products if p.unit_mass_mg is not None and p.uom == "EA"
        }
        self._changed, self._tell = changed, tell
        self.learned: dict[str, Learned] = {}

    def restore(self, gtin: str, body: bytes) -> None:
        """What was learned before; nothing of it when the catalogue says another mass now."""
        learned = msgspec.json.decode(body, type=Learned)
        product = self._catalogue.get(gtin)
        if product is not None and product.unit_mass_mg == learned.catalogue_mg:
            self.learned[gtin] = learned

    def of(self, gtin: str) -> UnitMass | None:
        """What a unit of a product is believed to weigh; None when it is not weighable."""
        product = self._catalogue.get(gtin)
        if product is None or product.unit_mass_mg is None:
            return None
        learned = self.learned.get(gtin)
        return _unit(product, learned or Learned(product.unit_mass_mg))

    def learn(self, at_ns: int, gtin: str, mass_mg: int, noise_mg2: int) -> None:
        """One unit of a product was weighed with so much noise, and it was surely one of it."""
        product = self._catalogue.get(gtin)
        if product is None or product.unit_mass_mg is None:
            return
        learned = self.learned.setdefault(gtin, Learned(product.unit_mass_mg))
        if learned.units >= UNITS_MAX:
            learned.units //= 2
            learned.sum_mg = div_half_even(learned.sum_mg, 2)
            learned.squares_mg2 = div_half_even(learned.squares_mg2, 2)
            learned.noise_mg2 = div_half_even(learned.noise_mg2, 2)
        if (day := at_ns // DAY_NS) != learned.day:
            least = learned.catalogue_mg * MOVE_PERMILLE // 1000
            learned.day, learned.morning_mg = day, learned.moved_mg
            learned.most_mg = max(least, _unit(product, learned).mean_sd_mg)
        off_mg = mass_mg - learned.catalogue_mg
        learned.units += 1
        learned.sum_mg += off_mg
        learned.squares_mg2 += off_mg * off_mg
        learned.noise_mg2 += noise_mg2
        mean, least = _mean(product, learned)[0], learned.morning_mg - learned.most_mg
        moved = min(max(mean, least), learned.morning_mg + learned.most_mg)
        learned.moved_mg = moved
        if abs(moved - learned.told_mg) * 1000 >= learned.catalogue_mg * TOLD_PERMILLE:
            learned.told_mg = moved
            self._tell(
                at_ns,
                f"a unit of {gtin} weighs {_grams(learned.catalogue_mg + moved)} by "
                f"{learned.units} taken one by one; the catalogue says "
                f"{_grams(learned.catalogue_mg)}",
            )
        self._changed(gtin)


def _within_mg2(product: Product, learned: Learned) -> int:
    """Variance of units about their mean, the catalogue's word counted as PRIOR_UNITS."""
    told_mg = product.unit_mass_sd_mg or learned.catalogue_mg * WITHIN_PERMILLE // 1000
    n = learned.units
    if n == 0:
        return told_mg * told_mg
    about = learned.squares_mg2 - div_half_even(learned.sum_mg**2, n) - learned.noise_mg2
    return max(1, div_half_even(PRIOR_UNITS * told_mg * told_mg + max(0, about), PRIOR_UNITS + n))


def _mean(product: Product, learned: Learned) -> tuple[int, int]:
    """The mean's deviation from the catalogue as the evidence says, and its variance."""
    mass_mg, n = learned.catalogue_mg, learned.units
    within = _within_mg2(product, learned)
    if product.unit_mass_sd_mg is None:
        prior = (mass_mg * UNMEASURED_CV_PERCENT // 100) ** 2
    else:
        prior = (mass_mg * MEASURED_PERMILLE // 1000) ** 2
        prior += product.unit_mass_sd_mg**2 // PRIOR_UNITS
    each = within + (learned.noise_mg2 // n if n else 0)
    total = max(1, n * prior + each)
    return div_half_even(learned.sum_mg * prior, total), div_half_even(prior * each, total)


def _unit(product: Product, learned: Learned) -> UnitMass:
    mean, variance = _mean(product, learned)
    variance += (mean - learned.moved_mg) ** 2  # where it may not move to yet
    variance += (learned.catalogue_mg * BATCH_PERMILLE // 1000) ** 2
    return UnitMass(
        mean_mg=learned.catalogue_mg + learned.moved_mg,
        sd_mg=sqrt_floor(_within_mg2(product, learned)),
        mean_sd_mg=sqrt_floor(variance),
        units=learned.units,
    )


def _grams(mass_mg: int) -> str:
    tenths = div_half_even(mass_mg, 100)
    return f"{tenths // 10}.{tenths % 10} g"
