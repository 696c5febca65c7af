"""Numbers of restricted circulation with a weight, price or count inside: layouts and digits.

Here: how a layout of the configuration cuts such a number (ALGORITHMS 1.4; GS1 General
Specifications 2.1.11 and 7.9.3). Not here: what the value is worth (`core.labels`), which prefixes
are restricted (`gs1`).

    2 1 | 0 0 1 2 3 |  6  | 1 4 6 8 5 |  C        prefix, item, verifier of the value (where
    prefix item     verifier  value    check      value_check), value, check digit: 13 digits

The wire carries GTINs alone, so the item is known by the same number with value and verifier
zero and its check digit right: that is its `gtin` in products.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from gateway.domain.ids import check_digit
from gateway.domain.reading import Word

ValueKind = Literal["mass_g", "price_minor", "count", "none"]
VERIFIED_DIGITS: Final = (4, 5)
"""Lengths of a value for which the General Specifications define a verifier."""
DIGITS: Final = 13

_TWO_MINUS: Final = (0, 2, 4, 6, 8, 9, 1, 3, 5, 7)
_THREE: Final = (0, 3, 6, 9, 2, 5, 8, 1, 4, 7)
_FIVE_PLUS: Final = (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)
_FIVE_MINUS: Final = (0, 5, 9, 4, 8, 3, 7, 2, 6, 1)
"""A digit times 2, 3 or 5, less or plus its tens (figures 7.9.2-1 to 7.9.2-4)."""


class RcnLayout(Word, frozen=True):
    """[[scan.rcn]]"""

    prefix: str
    value: ValueKind
    item_digits: int = 5
    value_digits: int = 5
    value_check: bool = False
    """Whether a verifier of the value stands before it."""
    decimals: int = 0
    """Digits of the value behind its point; below 0, zeros that are left out."""

    @property
    def digits(self) -> int:
        """How long a number of this layout is, its check digit included."""
        return len(self.prefix) + self.item_digits + self.value_check + self.value_digits + 1

    @property
    def item_end(self) -> int:
        """Where the item ends in a GTIN-14, which begins with a 0."""
        return 1 + len(self.prefix) + self.item_digits


def layout_of(gtin: str, layouts: Sequence[RcnLayout]) -> RcnLayout | None:
    """The layout of a GTIN-14; None where none is configured. No prefix begins another."""
    if not gtin.startswith("0"):
        return None
    return next((one for one in layouts if gtin.startswith(one.prefix, 1)), None)


def item_gtin(gtin: str, layout: RcnLayout) -> str:
    """The GTIN-14 by which the catalogue knows the item of a number of this layout.

    >>> item_gtin("02100123146857", RcnLayout("21", "mass_g"))
    '02100123000005'
    """
    bare = gtin[: layout.item_end].ljust(DIGITS, "0")
    return f"{bare}{check_digit(bare)}"


def value_of(gtin: str, layout: RcnLayout) -> int | None:
    """The digits of the value in a GTIN-14 of this layout; None when its verifier is wrong."""
    digits = gtin[layout.item_end : DIGITS]
    if layout.value_check:
        verifier, digits = digits[0], digits[1:]
        if int(verifier) != value_check_digit(digits):
            return None
    return int(digits or "0")


def value_check_digit(digits: str) -> int:
    """The verifier of a value of 4 or 5 digits (General Specifications 7.9.3 and 7.9.4).

    Raises ValueError for any other length.

    >>> value_check_digit("2875"), value_check_digit("14685")
    (9, 6)
    """
    a, b, c, d, *rest = map(int, digits)
    if not rest:
        return 3 * (_TWO_MINUS[a] + _TWO_MINUS[b] + _THREE[c] + _FIVE_MINUS[d]) % 10
    (e,) = rest
    total = _FIVE_PLUS[a] + _TWO_MINUS[b] + _FIVE_MINUS[c] + _FIVE_PLUS[d] + _TWO_MINUS[e]
    return _FIVE_MINUS.index(-total % 10)
