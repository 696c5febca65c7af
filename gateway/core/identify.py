"""Which product a step is, and how many: exact comparison of all rows, "unexplained" among them.

Here: the hypotheses of one plate and their posterior in parts per million (ALGORITHMS 2.3),
integers only. Not here: what is in baskets and on shelves (`fuse` says), what gets posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.domain.observation import Row
from gateway.domain.reading import Word
from gateway.domain.units import div_half_even, exp_scaled, ln_mnat

AUTO_PPM: Final = 950_000
PENDING_PPM: Final = 600_000
UNEXPLAINED: Final = ""
"""The gtin of the row that stands for none of them."""

_PPM: Final = 1_000_000
_UNEXPLAINED_PRIOR_PPM: Final = 10_000
_PAIR_PRIOR_PPM: Final = 30_000
_UNEXPLAINED_MNAT: Final = ln_mnat(_UNEXPLAINED_PRIOR_PPM, _PPM) + ln_mnat(1, 2_000_000)
_TWO_PI_PPM: Final = 6_283_185
_UNMEASURED_CV_PERCENT: Final = 6
"""A catalogue mass never measured may be off by this much (ALGORITHMS 2.7)."""
_QUANTITY_PPM: Final = (800_000, 140_000, 40_000, 10_000, 5_000, 2_500, 1_250, 1_250)
"""Prior of 1, 2, 3 … units. ALGORITHMS stops at 4; two hands at once take more (DECISIONS)."""
_NOT_IN_BOOK_PPM: Final = 50_000
PAIR_UNITS: Final = 2
NEAR_UNITS: Final = 8
"""Quantities further from the mass than this many units hold no belief worth a row."""


class Candidate(Word, frozen=True):
    """A product that may have moved."""

    gtin: str
    mass_mg: int
    sd_mg: int | None
    share_ppm: int
    """Prior share among the candidates."""
    in_book: int
    """Units that the book holds where they would have come from."""
    units_max: int
    """Most units of one move."""
    flat: bool = False
    """Restock: any quantity up to the maximum is as likely as another."""

    @property
    def variance_mg2(self) -> int:
        """Of one unit, the error of the catalogue's mean included."""
        unmeasured = self.mass_mg * _UNMEASURED_CV_PERCENT // 100
        return max(self.sd_mg or 0, unmeasured) ** 2


def identify(
    step_mg: int, sigma_mg: int, candidates: Sequence[Candidate], *, pairs: bool = True
) -> tuple[Row, ...]:
    """The four best rows of |step|, best first, with posterior in ppm of all rows together.

    The row with gtin "" is "unexplained". The order of the candidates does not matter. Never
    raises; without candidates only it remains.
    """
    load = abs(step_mg)
    candidates = sorted(candidates, key=lambda c: c.gtin)
    noise = 2 * sigma_mg * sigma_mg + (load // 500) ** 2
    scored: list[tuple[int, str, int]] = [(_UNEXPLAINED_MNAT, UNEXPLAINED, 0)]
    pairs = pairs and len(candidates) > 1
    singles_ppm = _PPM - _UNEXPLAINED_PRIOR_PPM - (_PAIR_PRIOR_PPM if pairs else 0)
    for c in candidates:
        scored += _singles(load, noise, c, singles_ppm)
    if pairs:
        scored += _pairs(load, noise, candidates)
    best = max(score for score, _, _ in scored)
    weighed = [(exp_scaled(score - best), gtin, units) for score, gtin, units in scored]
    total = sum(weight for weight, _, _ in weighed)
    ranked = sorted(weighed, key=lambda row: (-row[0], row[1], row[2]))[:4]
    return tuple(Row(g, units, w * _PPM // total) for w, g, units in ranked if w)


def _singles(load: int, noise: int, c: Candidate, singles_ppm: int) -> list[tuple[int, str, int]]:
    rows = []
    near = load // max(1, c.mass_mg)
    for units in range(max(1, near - NEAR_UNITS), min(c.units_max, near + NEAR_UNITS) + 1):
        if c.flat:
            prior = _PPM // c.units_max
        elif units <= len(_QUANTITY_PPM):
            prior = _QUANTITY_PPM[units - 1]
        else:
            break
        if c.in_book < units:
            prior = prior * _NOT_IN_BOOK_PPM // _PPM
        prior = prior * c.share_ppm // _PPM * singles_ppm // _PPM
        if prior > 0:
            score = _density(load, units * c.mass_mg, units * c.variance_mg2 + noise)
            rows.append((score + ln_mnat(prior, _PPM), c.gtin, units))
    return rows


def _pairs(load: int, noise: int, cs: Sequence[Candidate]) -> list[tuple[int, str, int]]:
    """Two products at once: they compete, but such a step is for people to judge (`pair:`)."""
    hands = [
        (a, m, b, n)
        for i, a in enumerate(cs)
        for b in cs[i + 1 :]
        for m in range(1, PAIR_UNITS + 1)
        for n in range(1, PAIR_UNITS + 1)
        if a.gtin != b.gtin
    ]
    if not hands:
        return []
    prior = ln_mnat(max(1, _PAIR_PRIOR_PPM // len(hands)), _PPM)
    return [
        (
            prior
            + _density(
                load,
                m * a.mass_mg + n * b.mass_mg,
                m * a.variance_mg2 + n * b.variance_mg2 + noise,
            ),
            f"{m}x{a.gtin}+{n}x{b.gtin}",
            0,
        )
        for a, m, b, n in hands
    ]


def _density(load: int, mean: int, variance: int) -> int:
    """Logarithm of the normal density per milligram, in mnat."""
    variance = max(1, variance)
    off = load - mean
    return -div_half_even(500 * off * off, variance) - div_half_even(
        ln_mnat(_TWO_PI_PPM * variance, _PPM), 2
    )
