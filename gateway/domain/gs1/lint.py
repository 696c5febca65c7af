"""GS1's own tests of values, by the names that the syntax dictionary gives them.

Here: one predicate per name; pure, total. Not here: which AI takes which test (`table`).
Source: GS1 Barcode Syntax Tests, and the sections of the General Specifications they cite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.domain.gs1 import codes, coupons
from gateway.domain.gs1.dates import days_in, is_yymmd0
from gateway.domain.ids import is_gs1_number

_SET82: Final = (
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
)
_SET32: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PRIMES: Final = (
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83,
)  # fmt: skip
"""Weights of the alphanumeric check pair (General Specifications 7.9.5): no key is longer."""

_CHARSETS: Final[Mapping[str, re.Pattern[str]]] = {
    "N": re.compile(r"[0-9]*"),
    "X": re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]*"),
    "Y": re.compile(r"[#\-/0-9A-Z]*"),
    "Z": re.compile(r"[\-0-9A-Z_a-z]*={0,2}"),
}
_POSITION: Final = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IBAN_LEAST: Final = 11


def in_charset(charset: str, value: str) -> bool:
    """Whether all characters are of the set N, X, Y or Z (General Specifications 7.11)."""
    if _CHARSETS[charset].fullmatch(value) is None:
        return False
    return charset != "Z" or not value.endswith("=") or len(value) % 3 == 0


def passes(linter: str, value: str) -> bool:
    """Whether the value passes the test of that name. Raises KeyError for a name GS1 lacks."""
    return LINTERS[linter](value)


def _digits(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _between(low: int, high: int) -> Callable[[str], bool]:
    return lambda value: _digits(value) and low <= int(value) <= high


def _csumalpha(value: str) -> bool:
    body, pair = value[:-2], value[-2:]
    if len(pair) < 2 or len(body) > len(_PRIMES) or any(char not in _SET82 for char in body):
        return False
    weighted = zip(reversed(body), _PRIMES, strict=False)
    total = sum(_SET82.index(char) * prime for char, prime in weighted) % 1021
    return pair == _SET32[total >> 5] + _SET32[total & 31]


def _gcp(value: str) -> bool:
    """Begins with a company prefix, of which the shortest has four digits."""
    return len(value) >= 4 and _digits(value[:4])


def _yymmdd(value: str) -> bool:
    return is_yymmd0(value) and value[4:] != "00"


def _yyyymmdd(value: str) -> bool:
    if not (len(value) == 8 and _digits(value)):
        return False
    return 1 <= int(value[6:]) <= days_in(int(value[:4]), int(value[4:6]))


def _hhmi(value: str) -> bool:
    return len(value) == 4 and LINTERS["hh"](value[:2]) and LINTERS["mi"](value[2:])


def _iban(value: str) -> bool:
    if len(value) < _IBAN_LEAST or value[:2] not in codes.COUNTRY_LETTERS:
        return False
    moved = value[4:] + value[:4]
    if not (moved.isascii() and moved.isalnum() and moved.upper() == moved):
        return False
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _pieceoftotal(value: str) -> bool:
    half = len(value) // 2
    if not _digits(value) or len(value) % 2:
        return False
    return 1 <= int(value[:half]) <= int(value[half:])


def _posinseqslash(value: str) -> bool:
    match = _POSITION.fullmatch(value)
    return match is not None and int(match[1]) <= int(match[2])


LINTERS: Final[Mapping[str, Callable[[str], bool]]] = {
    "couponcode": coupons.is_coupon,
    "couponposoffer": coupons.is_positive_offer,
    "csum": is_gs1_number,
    "csumalpha": _csumalpha,
    "gcppos1": _gcp,
    "gcppos2": lambda value: _gcp(value[1:]),
    "hasnondigit": lambda value: not _digits(value),
    "hh": _between(0, 23),
    "hhmi": _hhmi,
    "hyphen": lambda value: value.strip("-") == "",
    "iban": _iban,
    "importeridx": lambda value: len(value) == 1 and in_charset("Z", value) and value != "=",
    "iso3166": codes.COUNTRY_NUMBERS.__contains__,
    "iso3166999": lambda value: value == "999" or value in codes.COUNTRY_NUMBERS,
    "iso3166alpha2": codes.COUNTRY_LETTERS.__contains__,
    "iso4217": codes.CURRENCY_NUMBERS.__contains__,
    "iso5218": frozenset("0129").__contains__,
    "latitude": _between(0, 1_800_000_000),
    "longitude": _between(0, 3_600_000_000),
    "mediatype": lambda value: _between(1, 10)(value) or _between(80, 99)(value),
    "mi": _between(0, 59),
    "nonzero": lambda value: value.strip("0") != "",
    "nozeroprefix": lambda value: _digits(value) and value[0] != "0",
    "packagetype": codes.PACKAGE_TYPES.__contains__,
    "pcenc": lambda value: _BROKEN_PERCENT.search(value) is None,
    "pieceoftotal": _pieceoftotal,
    "posinseqslash": _posinseqslash,
    "ss": _between(0, 59),
    "winding": frozenset("019").__contains__,
    "yesno": frozenset("01").__contains__,
    "yymmd0": is_yymmd0,
    "yymmdd": _yymmdd,
    "yyyymmdd": _yyyymmdd,
    "zero": lambda value: value.strip("0") == "",
}
"""Every test that the dictionary names."""
