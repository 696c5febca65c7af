"""Numbers of EAN and UPC symbols: UPC-E in full, and which numbers only a store itself knows.

Here: digits alone. Not here: which symbol they came from (`label`, `scan`).
"""

from __future__ import annotations

from gateway.domain.ids import is_gs1_number


def is_restricted(gtin: str) -> bool:
    """Whether the number is of restricted circulation (General Specifications 1.4.5, 2.1.11).

    GTIN-13 prefixes 02, 04, 20-29 and GTIN-8 prefixes 0 and 2. Prefixes 40-49 are not among them:
    they are Germany and Japan.
    """
    if gtin.startswith("000000"):
        return gtin[6] in "02"
    return gtin[0] == "0" and (gtin[1:3] in ("02", "04") or gtin[1] == "2")


def expand_upc_e(digits: str) -> str | None:
    """The UPC-A number of eight UPC-E digits (General Specifications 5.2.2.4.2); None if none.

    >>> expand_upc_e("01234565")
    '012345000065'
    """
    if len(digits) != 8 or digits[0] not in "01" or not digits.isdigit():
        return None
    system, body, check = digits[0], digits[1:7], digits[7]
    last = body[5]
    if last in "012":
        middle = body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        middle = body[:3] + "00000" + body[3:5]
    elif last == "4":
        middle = body[:4] + "00000" + body[4]
    else:
        middle = body[:5] + "0000" + last
    full = system + middle + check
    return full if is_gs1_number(full) else None
