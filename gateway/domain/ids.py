"""Identifiers: how they look, and whether they are well-formed.

Here: patterns and check digits of GS1 keys, location and device ids, and the derived event id.
Not here: what a barcode carries (`gs1`), which products exist (`store`).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

STORE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,30}")
LOCATION_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
DEVICE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
REASON: Final = re.compile(r"[a-z_]{1,32}")
CSET82: Final = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,20}")
"""GS1 General Specifications 7.11, character set 82; lots and serials are 1 to 20 of these."""


def check_digit(digits: str) -> int:
    """GS1 check digit of a number given without it (General Specifications 7.9).

    Weights 3 and 1 alternate from the right. Raises ValueError unless all are ASCII digits.

    >>> check_digit("0950600013435")
    2
    """
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("only digits have a check digit")
    total = 0
    for place, char in enumerate(reversed(digits)):
        total += (ord(char) - 48) * (3 if place % 2 == 0 else 1)
    return -total % 10


def is_gs1_number(digits: str) -> bool:
    """Whether the last digit is the right check digit of those before it. Never raises."""
    return (
        len(digits) > 1
        and digits.isascii()
        and digits.isdigit()
        and check_digit(digits[:-1]) == ord(digits[-1]) - 48
    )


def is_gtin14(text: str) -> bool:
    """Whether this is a GTIN as stockd keeps it: 14 digits, zero-padded, check digit right.

    >>> is_gtin14("09506000134352"), is_gtin14("09506000134353"), is_gtin14("9506000134352")
    (True, False, False)
    """
    return len(text) == 14 and is_gs1_number(text)


def gtin14(digits: str) -> str | None:
    """A GTIN-8, -12, -13 or -14 as 14 digits; None when it is none of these. Never raises.

    >>> gtin14("9506000134352")
    '09506000134352'
    """
    if len(digits) not in (8, 12, 13, 14) or not is_gs1_number(digits):
        return None
    return digits.zfill(14)


def event_id(inst: str, stream: str, seq: int, at_ns: int) -> str:
    """The identity of an event for ever: a UUID version 7 derived, not drawn (WIRE section 6).

    Time part: `at_ns` in milliseconds. The other 74 bits: SHA-256 over inst, stream and seq, so
    that a replay of the same readings repeats the id. Raises ValueError for a time before 1970.
    """
    if at_ns < 0:
        raise ValueError("an event before 1970 has no UUID version 7")
    rest = int.from_bytes(hashlib.sha256(f"{inst}/{stream}/{seq}".encode()).digest()[:10], "big")
    value = (at_ns // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (rest >> 64 & 0xFFF) << 64
    value |= 0b10 << 62 | rest & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
