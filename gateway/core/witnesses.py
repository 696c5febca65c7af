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
KEPT_NS: Final = 1800 * NS_PER_S
"""A step that waited for better evidence is booked later, as of its own time."""
CREDITS_MAX: Final = 64


class Credit(msgspec.Struct):
    """Units that one witness has booked and the other may still see."""

    gtin: str
    qty_milli: int
    at_ns: int
    loc: str = ""
    """Where they were booked from; empty where that does not matter."""


def add(held: list[Credit], gtin: str, qty_milli: int, at_ns: int, loc: str = "") -> None:
    """One more; the oldest go when they are out of date or too many."""
    held.append(Credit(gtin, qty_milli, at_ns, loc))
    while len(held) > CREDITS_MAX or held[0].at_ns + KEPT_NS < at_ns:
        del held[0]


def renew(held: list[Credit], at_ns: int) -> None:
    """The session goes on: what is in date stays so for as long again."""
    for credit in held:
        if credit.at_ns + SESSION_NS >= at_ns:
            credit.at_ns = at_ns


def use(held: list[Credit], gtin: str, qty_milli: int, at_ns: int) -> int:
    """Takes up to so much of what is in date, the oldest first; how much it was."""
    return sum(part for _, part in draw(held, gtin, qty_milli, at_ns))


def draw(
    held: list[Credit],
    gtin: str,
    qty_milli: int,
    at_ns: int,
    *,
    newest: bool = False,
) -> list[tuple[str, int]]:
    """The same, and where it was booked from."""
    drawn: dict[str, int] = {}
    for credit in held[::-1] if newest else held[:]:
        part = min(qty_milli, credit.qty_milli)
        if part <= 0 or credit.gtin != gtin or credit.at_ns + SESSION_NS < at_ns:
            continue
        drawn[credit.loc] = drawn.get(credit.loc, 0) + part
        qty_milli -= part
        credit.qty_milli -= part
        if credit.qty_milli == 0:
            held.remove(credit)
    return list(drawn.items())


def left(held: list[Credit], at_ns: int) -> dict[str, int]:
    """What is in date, in milli by product."""
    sums: dict[str, int] = {}
    for credit in held:
        if credit.at_ns + SESSION_NS >= at_ns:
            sums[credit.gtin] = sums.get(credit.gtin, 0) + credit.qty_milli
    return sums
