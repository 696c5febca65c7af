"""Exact arithmetic against `fractions` and `decimal`, which share no table with it."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import check_digit, event_id, gtin14, is_gtin14
from gateway.domain.units import (
    UNIT_NG,
    div_half_even,
    exp_scaled,
    ln_mnat,
    mass_mg,
    parse_decimal,
    sqrt_floor,
)

BIG = st.integers(-(10**30), 10**30)


@given(BIG, BIG.filter(bool))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    assert div_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-(10**6), 10**6), st.integers(-(10**3), 10**3).filter(bool))
def test_division_of_small_numbers_meets_every_tie(numerator: int, denominator: int) -> None:
    assert div_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


def test_division_by_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        div_half_even(1, 0)


@given(st.integers(1, 10**30), st.integers(1, 10**12))
def test_logarithm(value: int, over: int) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = 1000 * (Decimal(value).ln() - Decimal(over).ln())
    assert abs(ln_mnat(value, over) - exact) <= Decimal("0.502")


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_logarithm_never_falls(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert ln_mnat(low) <= ln_mnat(high)
    assert ln_mnat(low, high) == -ln_mnat(high, low)


@pytest.mark.parametrize(("value", "over"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_logarithm_of_nothing(value: int, over: int) -> None:
    with pytest.raises(ValueError, match="nothing"):
        ln_mnat(value, over)


@pytest.mark.parametrize("mnat", [0, -1, -2, -500, -693, -1000, -6931, -13_863, -14_000])
def test_exponential(mnat: int) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = ((Decimal(mnat) / 1000).exp() * 2**20).to_integral_value(ROUND_HALF_EVEN)
    assert exp_scaled(mnat) == exact


def test_exponential_falls_and_ends() -> None:
    table = [exp_scaled(-x) for x in range(14_002)]
    assert table == sorted(table, reverse=True)
    assert table[0] == 2**20
    assert table[14_001] == 0
    with pytest.raises(ValueError, match="best"):
        exp_scaled(1)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9),
                   max_value=10**9), st.sampled_from([1, 1000, 453_592_370_000]))  # fmt: skip
def test_decimal_numerals(number: Decimal, scale: int) -> None:
    text = f"{number:f}"
    assert parse_decimal(text, scale) == round(Fraction(text) * scale)


@pytest.mark.parametrize(
    "text", ["", "+", "-", ".", "1.", "1e3", "1,5", " 1", "１", "--1", "9" * 25]
)
def test_what_is_no_numeral(text: str) -> None:
    assert parse_decimal(text, 1) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-9999,
                   max_value=9999), st.sampled_from(sorted(UNIT_NG)))  # fmt: skip
def test_masses(number: Decimal, unit: str) -> None:
    exact = Fraction(f"{number:f}") * UNIT_NG[unit] / 1_000_000
    told = mass_mg(f"{number:f}", unit)
    assert told is not None
    assert abs(told - exact) <= Fraction(1, 2)


@given(st.integers(0, 10**40))
def test_square_root(value: int) -> None:
    root = sqrt_floor(value)
    assert root * root <= value < (root + 1) * (root + 1)


@given(st.text("0123456789", min_size=1, max_size=17))
def test_check_digit_finds_every_wrong_digit_and_most_swaps(body: str) -> None:
    full = body + str(check_digit(body))
    total = sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(reversed(full)))
    assert total % 10 == 0
    for place in range(len(body)):
        wrong = str((int(body[place]) + 1) % 10)
        assert check_digit(body[:place] + wrong + body[place + 1 :]) != int(full[-1])


@given(st.text("0123456789", min_size=6, max_size=14))
def test_gtins_are_padded_or_refused(digits: str) -> None:
    full = gtin14(digits)
    assert (full is not None) == (
        len(digits) in (8, 12, 13, 14) and int(digits[-1]) == check_digit(digits[:-1])
    )
    assert full is None or (is_gtin14(full) and full.endswith(digits))


@given(st.integers(0, 2**62), st.integers(1, 2**40), st.sampled_from(["0" * 32, "5f" * 16]))
def test_event_ids_are_uuids_of_version_7(at_ns: int, seq: int, inst: str) -> None:
    text = event_id(inst, "stock", seq, at_ns)
    head, second, third, fourth, last = text.split("-")
    assert [len(part) for part in (head, second, third, fourth, last)] == [8, 4, 4, 4, 12]
    assert third[0] == "7"
    assert fourth[0] in "89ab"
    assert int(head + second, 16) == at_ns // 1_000_000
    assert text == event_id(inst, "stock", seq, at_ns)
    assert text != event_id(inst, "stock", seq + 1, at_ns)
    assert text != event_id(inst, "ops", seq, at_ns)
