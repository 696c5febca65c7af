"""Exact arithmetic: milligrams, thousandths of a unit, nanoseconds. No float passes here.

Here: conversions, the one division that rounds half to even, and the logarithm and exponential
tables of ALGORITHMS section 6 item 6. Not here: what the numbers mean.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
PIECE_MILLI: Final = 1000
"""One piece, in thousandths of EA."""

UNIT_NG: Final = {
    "mg": 1_000_000,
    "g": 1_000_000_000,
    "kg": 1_000_000_000_000,
    "t": 1_000_000_000_000_000,
    "ct": 200_000_000,
    "lb": 453_592_370_000,
    "oz": 28_349_523_125,
    "ozt": 31_103_476_800,
}
"""Nanograms per unit; the pound, its ounce and the troy ounce by the International Yard and Pound
agreement, the metric carat by the Metre Convention: all exact."""


def div_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator, rounded half to even. Raises ZeroDivisionError.

    >>> [div_half_even(n, 2) for n in (1, 3, 5, -1, -3)]
    [0, 2, 2, 0, -2]
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def parse_decimal(text: str, scale: int) -> int | None:
    """A decimal numeral times `scale`, as an integer rounded half to even; None when it is none.

    Accepts an optional sign, digits, and one point with digits after it. Never raises.

    >>> parse_decimal("-1.2435", 1000), parse_decimal("1e3", 1000), parse_decimal(".5", 1000)
    (-1244, None, 500)
    """
    sign = 1
    if text[:1] in ("+", "-"):
        sign = -1 if text[0] == "-" else 1
        text = text[1:]
    whole, point, fraction = text.partition(".")
    if (point and not fraction) or not (whole or fraction):
        return None
    digits = whole + fraction
    if len(digits) > 24 or not (digits.isascii() and digits.isdigit()):
        return None
    return div_half_even(sign * int(digits) * scale, 10 ** len(fraction))


def mass_mg(number: str, unit: str) -> int | None:
    """A mass as a scale prints it, in integer milligrams; None for an unknown unit or numeral.

    >>> mass_mg("1.243", "kg"), mass_mg("-0.5", "lb"), mass_mg("1", "st")
    (1243000, -226796, None)
    """
    unit_ng = UNIT_NG.get(unit)
    return None if unit_ng is None else _ng_to_mg(number, unit_ng)


def _ng_to_mg(number: str, unit_ng: int) -> int | None:
    value_ng = parse_decimal(number, unit_ng)
    return None if value_ng is None else div_half_even(value_ng, 1_000_000)


_LN2_NNAT: Final = 693_147_181
_LN_STEPS: Final = 1024
_E_SCALE: Final = 1 << 20


def _ln_table() -> tuple[int, ...]:
    """ln(1 + i/1024) in nano-nats by the exact series of atanh; no float, so equal on every CPU."""
    table = []
    for i in range(_LN_STEPS + 1):
        # ln((1+y)/(1-y)) = 2 (y + y^3/3 + ...), y = i / (2*1024 + i)
        one = 10**24
        y = one * i // (2 * _LN_STEPS + i)
        term, total, n = y, 0, 1
        while term:
            total += term // n
            term = term * y // one * y // one
            n += 2
        table.append(div_half_even(2 * total, 10**15))
    return tuple(table)


_LN: Final = _ln_table()


def ln_mnat(value: int, over: int = 1) -> int:
    """ln(value / over) in thousandths of a nat, by table and shifts. Raises ValueError at <= 0.

    >>> ln_mnat(1), ln_mnat(1000), ln_mnat(1, 100)
    (0, 6908, -4605)
    """
    if value <= 0 or over <= 0:
        raise ValueError("the logarithm of nothing")
    return div_half_even(_ln_nnat(value) - _ln_nnat(over), 1_000_000)


def _ln_nnat(value: int) -> int:
    shift = value.bit_length() - 1
    # mantissa in [1, 2) as a fixed point of 10 + 20 bits, interpolated in the table
    mantissa = (value << 30) >> shift
    index, rest = divmod(mantissa - (1 << 30), 1 << 20)
    low, high = _LN[index], _LN[min(index + 1, _LN_STEPS)]
    return shift * _LN2_NNAT + low + (high - low) * rest // (1 << 20)


def _exp_table() -> tuple[int, ...]:
    """exp(-x/1000) scaled 2^20 for x in 0..14,000, by exact repeated multiplication."""
    one = 10**30
    # exp(-1/1000) by its series
    term, step, n = one, 0, 0
    while term:
        step += term if n % 2 == 0 else -term
        n += 1
        term = term // (1000 * n)
    value, table = one, []
    for _ in range(14_001):
        table.append(div_half_even(value * _E_SCALE, one))
        value = value * step // one
    return tuple(table)


_EXP: tuple[int, ...] = ()


def exp_scaled(mnat: int) -> int:
    """exp(mnat / 1000) scaled 2^20, for mnat <= 0; 0 below -14,000. Raises ValueError above 0."""
    global _EXP  # noqa: PLW0603 - built once, on first use: 30 ms that start-up need not pay
    if mnat > 0:
        raise ValueError("only exponentials of what is at most the best")
    if not _EXP:
        _EXP = _exp_table()
    return _EXP[-mnat] if mnat >= -14_000 else 0


def sqrt_floor(value: int) -> int:
    """Integer square root, rounded down. Raises ValueError below 0."""
    return isqrt(value)
