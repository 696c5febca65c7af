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
EXP_ONE: Final = 1 << 20
"""The scale of `exp_scaled`."""
Hypothesis = tuple[int, str, int]
"""Score in mnat, product, units."""
UNEXPLAINED: Final = ""
"""The gtin of the row that stands for none of them."""

_PPM: Final = 1_000_000
_UNEXPLAINED_PRIOR_PPM: Final = 10_000
_PAIR_PRIOR_PPM: Final = 30_000
_UNEXPLAINED_MNAT: Final = ln_mnat(_UNEXPLAINED_PRIOR_PPM, _PPM) + ln_mnat(1, 2_000_000)
_TWO_PI_PPM: Final = 6_283_185
_QUANTITY_PPM: Final = (800_000, 140_000, 40_000, 10_000, 5_000, 2_500, 1_250, 1_250)
"""Prior of 1, 2, 3 … units. ALGORITHMS stops at 4; two hands at once take more (DECISIONS)."""
_SWEPT_PPM: Final = 10_000
"""Prior of all that lies there at once, and of any other number that no hand takes, together."""
_NOT_IN_BOOK_PPM: Final = 50_000
_OFF_HOME_PPM: Final = 100_000
"""Of several plates: what belongs to one of them rests there, all but the larger part of one unit.
A facing that lies across the edge is the exception."""
PAIR_UNITS: Final = 2
NEAR_UNITS: Final = 8
"""Quantities further from the mass than this many units hold no belief worth a row."""


class Candidate(Word, frozen=True):
    """A product that may have moved."""

    gtin: str
    mass_mg: int
    sd_mg: int
    """Of units about their mean."""
    mean_sd_mg: int
    """Of the mean itself: common to all units of a step."""
    share_ppm: int
    """Prior share among the candidates."""
    in_book: int
    """Units that the book holds where they would have come from."""
    units_max: int
    """Most units of one move."""
    flat: bool = False
    """Restock: any quantity up to the maximum is as likely as another."""
    alone: bool = False
    """Nothing else lies there: all of it, as the book has it, may go in one sweep."""
    lies_mg: int | None = None
    """Of a load over several plates, what is on the one where most of it lies and it may lie; None:
    all of it."""

    def variance_mg2(self, units: int) -> int:
        """Of so many units together."""
        return units * self.sd_mg**2 + (units * self.mean_sd_mg) ** 2


def identify(
    step_mg: int, sigma_mg: int, candidates: Sequence[Candidate], *, pairs: bool = True
) -> tuple[Row, ...]:
    """The four best rows of |step|, best first, with posterior in ppm of all rows together.

    The row with gtin "" is "unexplained". The order of the candidates does not matter. Never
    raises; without candidates only it remains.
    """
    load = abs(step_mg)
    return believe(hypotheses(load, noise_mg2(load, [sigma_mg]), candidates, pairs=pairs))[0]


def noise_mg2(load_mg: int, sigmas_mg: Sequence[int]) -> int:
    """Variance of a step that is the sum of steps of plates with these noises."""
    return sum(2 * sigma * sigma for sigma in sigmas_mg) + (load_mg // 500) ** 2


def hypotheses(
    load_mg: int, noise: int, candidates: Sequence[Candidate], *, pairs: bool = True
) -> list[Hypothesis]:
    """All rows of a load with their scores: logarithm of prior times density per mg, in mnat."""
    candidates = sorted(candidates, key=lambda c: (c.gtin, -c.variance_mg2(1), c.mass_mg))
    scored: list[Hypothesis] = [(_UNEXPLAINED_MNAT, UNEXPLAINED, 0)]
    pairs = pairs and len(candidates) > 1
    singles_ppm = _PPM - _UNEXPLAINED_PRIOR_PPM - (_PAIR_PRIOR_PPM if pairs else 0)
    for c in candidates:
        scored += _singles(load_mg, noise, c, singles_ppm)
    if pairs:
        scored += _pairs(load_mg, noise, candidates)
    return scored


def believe(scored: Sequence[Hypothesis]) -> tuple[tuple[Row, ...], int]:
    """The four best rows with their posterior, and the logarithm of all rows' sum in mnat."""
    best = max(score for score, _, _ in scored)
    weighed: dict[tuple[str, int], int] = {}
    for score, gtin, units in scored:
        weighed[gtin, units] = weighed.get((gtin, units), 0) + exp_scaled(score - best)
    total = sum(weighed.values())
    ranked = sorted(weighed.items(), key=lambda row: (-row[1], row[0]))[:4]
    rows = tuple(Row(g, units, w * _PPM // total) for (g, units), w in ranked if w)
    return rows, best + ln_mnat(total, EXP_ONE)


def parts_of(row: Row) -> tuple[Row, ...]:
    """A row by product: two of a pair, none where nothing explains the step.

    >>> [(part.gtin, part.units) for part in parts_of(Row("1x5000112637939+2x96385074", 0, 70_000))]
    [('5000112637939', 1), ('96385074', 2)]
    """
    if row.units:
        return (row,)
    if "+" not in row.gtin:
        return ()
    each = (part.partition("x") for part in row.gtin.split("+"))
    return tuple(Row(gtin, int(units), row.ppm, row.loc) for units, _, gtin in each)


def _singles(load: int, noise: int, c: Candidate, singles_ppm: int) -> list[tuple[int, str, int]]:
    rows = []
    near = load // max(1, c.mass_mg)
    for units in range(max(1, near - NEAR_UNITS), min(c.units_max, near + NEAR_UNITS) + 1):
        prior = _quantity_ppm(c, units)
        if c.in_book < units:
            prior = prior * _NOT_IN_BOOK_PPM // _PPM
        if c.lies_mg is not None and 3 * c.lies_mg < (3 * units - 2) * c.mass_mg:
            prior = prior * _OFF_HOME_PPM // _PPM
        prior = prior * c.share_ppm // _PPM * singles_ppm // _PPM
        if prior > 0:
            score = density(load, units * c.mass_mg, c.variance_mg2(units) + noise)
            rows.append((score + ln_mnat(prior, _PPM), c.gtin, units))
    return rows


def _quantity_ppm(c: Candidate, units: int) -> int:
    """Prior of so many units of one product."""
    if c.flat:
        return _PPM // c.units_max
    hand = _QUANTITY_PPM[units - 1] if units <= len(_QUANTITY_PPM) else 0
    if not c.alone:
        return hand
    return max(hand, _SWEPT_PPM if units == c.in_book else _SWEPT_PPM // c.units_max)


def _pairs(load: int, noise: int, cs: Sequence[Candidate]) -> list[tuple[int, str, int]]:
    """Two products at once, as one row: `parts_of` tells them."""
    cs = list({c.gtin: c for c in reversed(cs)}.values())[::-1]  # the widest of each
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
            + density(
                load,
                m * a.mass_mg + n * b.mass_mg,
                a.variance_mg2(m) + b.variance_mg2(n) + noise,
            ),
            f"{m}x{a.gtin}+{n}x{b.gtin}",
            0,
        )
        for a, m, b, n in hands
    ]


def density(load: int, mean: int, variance: int) -> int:
    """Logarithm of the normal density per milligram, in mnat. Never raises."""
    variance = max(1, variance)
    off = load - mean
    return -div_half_even(500 * off * off, variance) - div_half_even(
        ln_mnat(_TWO_PI_PPM * variance, _PPM), 2
    )
