"""What one witness has booked and another may still see: scans and plates look at the same goods.

Here: short lists of credits that run out after a restock session's length. Not here: who books what
(`shelves`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.units import NS_PER_S

SESSION_NS: Final = 120 * NS_PER_S
"""A restock scan covers this long before and after; each positive step extends it (5.6)."""
CREDITS_MAX: Final = 64


class Credit(msgspec.Struct):
    """Units that one witness has booked and the other may still see."""

    gtin: str
    qty_milli: int
    at_ns: int


def add(held: list[Credit], gtin: str, qty_milli: int, at_ns: int) -> None:
    """One more; the oldest go when they are out of date or too many."""
    held.append(Credit(gtin, qty_milli, at_ns))
    while len(held) > CREDITS_MAX or held[0].at_ns + SESSION_NS < at_ns:
        del held[0]


def use(held: list[Credit], gtin: str, qty_milli: int, at_ns: int) -> int:
    """Takes up to so much of what is in date; how much it was."""
    used = 0
    for credit in held[:]:
        if credit.gtin != gtin or credit.at_ns + SESSION_NS < at_ns:
            continue
        part = min(qty_milli - used, credit.qty_milli)
        used += part
        credit.qty_milli -= part
        if credit.qty_milli == 0:
            held.remove(credit)
    return used
