"""What a scale's display shows, as a mass: numerals and units the way makers print them.

Here: from text to integer milligrams, exact. Not here: which part of a line is the number (each
driver's `decode`), the units themselves (`gateway.domain.units`).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.units import UNIT_NG, mass_mg

DIGITS_MAX: Final = 10
"""Of a weight: ten places are what MT-SICS and SBI have for it, and no cell resolves more."""
MASS_MAX_MG: Final = 10**12
"""A thousand tonnes."""
DECIMALS_MAX: Final = 6

_NUMERAL: Final = re.compile(r"([+-]?) *(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:\[(\d+)\])?")


def shown_mg(number: str, unit: str, decimals: int = 0) -> int | None:
    """The mass of a numeral in a unit of UNIT_NG; None when it is none. Never raises.

    Digits in brackets are auxiliary ones, not verified but measured, and count like the others.
    `decimals`: places behind a point that the scale leaves out; a point in the numeral overrules.

    >>> shown_mg("12.34[5]", "g"), shown_mg("- 01243", "kg", 3), shown_mg("------", "g")
    (12345, -1243000, None)
    """
    if decimals == 0 and len(number) <= DIGITS_MAX:
        mass = mass_mg(number, unit)  # nearly always all there is to do
        if mass is not None:
            return mass if abs(mass) <= MASS_MAX_MG else None
    return _odd_mg(number, unit, decimals)


def _odd_mg(number: str, unit: str, decimals: int) -> int | None:
    found = _NUMERAL.fullmatch(number)
    if found is None or unit not in UNIT_NG or not number.isascii():
        return None
    sign, whole, part, bare, more = (group or "" for group in found.groups())
    fraction = part + bare + more
    if "." not in number:
        digits = (whole + more).rjust(decimals + 1, "0")
        point = len(digits) - decimals
        whole, fraction = digits[:point], digits[point:]
    if len(whole.lstrip("0")) + len(fraction) > DIGITS_MAX:
        return None
    mass = mass_mg(f"{sign}{whole or 0}.{fraction or 0}", unit)
    return mass if mass is not None and abs(mass) <= MASS_MAX_MG else None
