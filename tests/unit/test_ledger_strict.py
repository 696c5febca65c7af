"""JSON as the ledger link allows it."""

from __future__ import annotations

import pytest

from ledger import strict


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":{"b":1,"b":2}}', "twice"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":1} x', "not JSON"),
        (b"", "not JSON"),
        (b"[" * 60_000, "nested"),
    ],
)
def test_what_json_libraries_forgive_is_refused(payload: bytes, why: str) -> None:
    with pytest.raises(strict.NotStrictError, match=why):
        strict.parse(payload)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (b"1.5", b"1.5"),
        (b"1000.0", b"1000"),
        (b"1e3", b"1000"),
        (b"-0.0", b"0"),
        (b"-0", b"0"),
        (b"1e21", b"1e+21"),
        (b"123456789012345680000.0", b"123456789012345680000"),
        (b"0.000001", b"0.000001"),
        (b"1e-7", b"1e-7"),
        (b"5e-324", b"5e-324"),
        (b"9007199254740993", b"9007199254740993"),
    ],
)
def test_the_chain_covers_forbidden_numbers(text: bytes, canonical: bytes) -> None:
    assert strict.canonical_of(strict.parse(b'{"d":%s}' % text)) == b'{"d":%s}' % canonical


def test_a_number_beyond_doubles_has_no_canonical_form() -> None:
    with pytest.raises(strict.NotStrictError):
        strict.canonical_of(strict.parse(b'{"d":1e400}'))


@pytest.mark.parametrize(
    "body",
    [
        b'{"b":1,"a":2}',  # order
        b'{"a": 1}',  # space
        b'{"a":1,"a":1}',  # a name twice
        b'{"a":1.0}',
        b'{"a":[1e5]}',
        b'{"a":9007199254740993}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',  # escape where none is needed
        '{"\U0001f600":1,"\ufb33":2}'.encode(),  # UTF-16 order, RFC 8785 section 3.2.3
    ],
)
def test_the_fast_path_leaves_the_doubtful_to_the_strict_one(body: bytes) -> None:
    assert strict.already_canonical(body) is None


def test_the_fast_path_takes_our_own_bodies() -> None:
    body = '{"exp":"2026-09-30","id":"019e8232-6000","n":-742,"text":"货架秤"}'.encode()
    assert strict.already_canonical(body) == strict.parse(body)
