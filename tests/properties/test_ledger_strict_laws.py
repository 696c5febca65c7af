"""Canonical bytes against an independent implementation of RFC 8785."""

from __future__ import annotations

import json
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import strict

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
LEAVES = st.none() | st.booleans() | WHOLE | TEXT | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_bytes_equal_the_oracle(value: Any) -> None:
    parsed = strict.parse(json.dumps(value).encode())
    assert strict.canonical_of(parsed) == rfc8785.dumps(value)


@given(VALUES)
def test_what_the_fast_path_takes_is_canonical_and_sound(value: Any) -> None:
    for body in (rfc8785.dumps(value), json.dumps(value, ensure_ascii=False).encode()):
        quick = strict.already_canonical(body)
        if quick is not None:
            assert body == rfc8785.dumps(value)
            assert not strict.forbidden_number(quick)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_reason(payload: bytes) -> None:
    try:
        strict.parse(payload)
    except strict.NotStrictError as error:
        assert str(error)
