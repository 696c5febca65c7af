"""The EPC schemes of TDS 2: "+" carries whole GS1 keys, "++" a host name behind them.

Source: GS1 EPC Tag Data Standard 2.3, sections 14.5 (methods) and 14.6 (schemes).

    8 header | 1 AIDC data follow | 3 filter | key, 4 bits a digit | serial | host | 0…

                     3 method | 5 length | characters          variable-length alphanumeric, 14.5.6
    4 bits a digit … 1111, or 1110 and the above for the rest  delimited numeric, 14.5.5
                                4 length | the number          numeric string, 14.5.13
    1 method | 6 length | units of 7 bits, or code 40          host name, 14.5.14 (`hostname`)

A key is on the tag with its check digit, so a wrong one is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.domain.epc.bits import SET_39, SET_82, Bits, Wrong, checked_text
from gateway.domain.epc.fixed import sgln_keys
from gateway.domain.epc.hostname import code_40, hostname
from gateway.domain.epc.words import DATES, Element, EpcIdentity, Sgtin
from gateway.domain.ids import check_digit

_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BASE_64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_HEX: Final = "0123456789ABCDEF"


def _digits(bits: Bits, count: int) -> str:
    """Fixed-length numeric (14.5.4): 4 bits a digit."""
    text = ""
    for _ in range(count):
        digit = bits.take(4)
        if digit > 9:
            raise Wrong("range", f"{digit:X} in the place of a digit")
        text += str(digit)
    return text


def _key(bits: Bits, count: int, checked: int | None = None) -> str:
    """A GS1 key whose digit number `checked`, the last unless told, is its check digit."""
    key = _digits(bits, count)
    end = count if checked is None else checked
    right = check_digit(key[: end - 1])
    if int(key[end - 1]) != right:
        raise Wrong("check_digit", f"{key[:end]} should end in {right}")
    return key


def _number(bits: Bits, length: int) -> str:
    """Digits as one number, in no more bits than they can need (table B)."""
    return bits.number((10**length).bit_length(), length)


def _alphanumeric(bits: Bits, most: int, allowed: re.Pattern[str] = SET_82) -> str:
    """Variable-length alphanumeric (14.5.6), each method of table E."""
    method, length = bits.take(3), bits.take(5)
    if method > 5:
        raise Wrong("encoding", f"method {method} has no meaning")
    if method == 0:
        text = _number(bits, length) if length else ""
    elif method == 3:
        text = "".join(_BASE_64[bits.take(6)] for _ in range(length))
    elif method == 4:
        text = "".join(chr(bits.take(7)) for _ in range(length))
    elif method == 5:
        text = code_40(bits, length)
    else:
        text = "".join(_HEX[bits.take(4)] for _ in range(length))
        text = text.lower() if method == 2 else text
    return checked_text(text, allowed, most)


def _delimited(bits: Bits, allowed: re.Pattern[str]) -> str:
    """Delimited numeric (14.5.5): digits, and behind a delimiter what else there is."""
    text = ""
    while (digit := bits.take(4)) < 10:
        text += str(digit)
    if digit < 14:
        raise Wrong("encoding", f"{digit:X} in the place of a digit or its end")
    if digit == 14:
        text += _alphanumeric(bits, 30, allowed)
    checked_text(text, allowed, 30)
    if len(text) < 5 or not text[:4].isdigit():
        raise Wrong("range", f"{text!r} begins with no company prefix")
    return text


def _numeric_string(bits: Bits) -> str:
    """Numeric string without method (14.5.13), of 1 to 12 digits."""
    length = bits.take(4)
    if not 1 <= length <= 12:
        raise Wrong("range", f"a serial number of {length} digits")
    return _number(bits, length)


def _date(bits: Bits) -> Element:
    """What kind of date (table 14-7), and the day (14.5.8): 7 year, 4 month, 5 day."""
    kind = bits.take(4)
    year, month, day = bits.take(7), bits.take(4), bits.take(5)
    if kind >= len(DATES) or year > 99 or not 1 <= month <= 12 or day > _MONTH_DAYS[month - 1]:
        raise Wrong("date", f"date {year:02d}-{month:02d}-{day:02d} of kind {kind}")
    return DATES[kind], f"{year:02d}{month:02d}{day:02d}"


_Keys = tuple[Element, ...]


def _sgln(bits: Bits) -> _Keys:
    gln = ("414", _key(bits, 13))
    return sgln_keys(gln, _alphanumeric(bits, 20))


def _grai(bits: Bits) -> _Keys:
    key = _key(bits, 14)
    if key[0] != "0":
        raise Wrong("range", f"a GRAI begins with 0, not with {key[0]}")
    return (("8003", key + _alphanumeric(bits, 16)),)


def _cpi(bits: Bits) -> _Keys:
    return ("8010", _delimited(bits, SET_39)), ("8011", _numeric_string(bits))


def _itip(bits: Bits) -> _Keys:
    return ("8006", _key(bits, 18, checked=14)), ("21", _alphanumeric(bits, 20))


_KEYS: Final[Mapping[str, Callable[[Bits], _Keys]]] = {
    "sscc": lambda bits: (("00", _key(bits, 18)),),
    "sgln": _sgln,
    "grai": _grai,
    "giai": lambda bits: (("8004", _delimited(bits, SET_82)),),
    "gsrn": lambda bits: (("8018", _key(bits, 18)),),
    "gsrnp": lambda bits: (("8017", _key(bits, 18)),),
    "gdti": lambda bits: (("253", _key(bits, 13) + _alphanumeric(bits, 17)),),
    "cpi": _cpi,
    "sgcn": lambda bits: (("255", _key(bits, 13) + _numeric_string(bits)),),
    "itip": _itip,
}

SCHEMES: Final[Mapping[int, str]] = {
    0xE6: "cpi++", 0xE7: "gsrn++", 0xE8: "gsrnp++", 0xE9: "sgln++", 0xEA: "gdti++",
    0xEB: "grai++", 0xEC: "sgcn++", 0xED: "itip++", 0xEE: "giai++", 0xEF: "sscc++",
    0xF0: "cpi+", 0xF1: "grai+", 0xF2: "sgln+", 0xF3: "itip+", 0xF4: "gsrn+", 0xF5: "gsrnp+",
    0xF6: "gdti+", 0xF7: "sgtin+", 0xF8: "sgcn+", 0xF9: "sscc+", 0xFA: "giai+", 0xFB: "dsgtin+",
    0xFC: "dsgtin++", 0xFD: "sgtin++",
}  # fmt: skip
"""Schemes by header (table 14-1)."""


def decode(scheme: str, bits: Bits) -> Sgtin | EpcIdentity:
    """What stands behind the header of one of `SCHEMES`. Raises Wrong."""
    aidc, which = bool(bits.take(1)), bits.take(3)
    name = scheme.rstrip("+")
    host = None
    if name in ("sgtin", "dsgtin"):
        date = _date(bits) if name == "dsgtin" else None
        gtin, serial = _key(bits, 14), _alphanumeric(bits, 20)
        host = hostname(bits) if scheme.endswith("++") else None
        return Sgtin(scheme, which, gtin, serial, date=date, hostname=host, aidc=aidc)
    keys = _KEYS[name](bits)
    host = hostname(bits) if scheme.endswith("++") else None
    return EpcIdentity(scheme, which, (), keys, hostname=host, aidc=aidc)
