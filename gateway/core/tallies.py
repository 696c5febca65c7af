"""What was counted of a product at a place, and what that says of the place now.

Here: tallies and their arithmetic: a count holds when it was made, movements after it come on top.
Not here: who counts (`counts`, `stocktakes`), what is booked (`counts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain.observation import ScanMove
from gateway.domain.stock import Uom


class Tally(msgspec.Struct):
    """What was counted of one product and lot at one place."""

    location: str
    gtin: str
    lot: str | None
    exp: str | None
    uom: Uom
    qty_milli: int
    book: dict[str, int]
    """What the book held of each lot at the last scan: movements after it come on top."""
    at_ns: int
    """When that was."""


def add(
    tallies: list[Tally], move: ScanMove, location: str, uom: Uom, book: dict[str, int]
) -> None:
    """So many units more, scanned while the book held `book` of each lot."""
    for tally in tallies:
        if (tally.location, tally.gtin, tally.lot) == (location, move.gtin, move.lot):
            break
    else:
        tally = Tally(location, move.gtin, move.lot, move.exp, uom, 0, {}, move.at_ns)
        tallies.append(tally)
    tally.qty_milli += move.qty_milli
    tally.book, tally.at_ns = book, move.at_ns


def whole(tallies: Sequence[Tally]) -> list[Tally]:
    """Who counts a product at a place counts all of it: lots that were not seen are 0.

    Named lots come first.
    """
    seen: dict[tuple[str, str], dict[str | None, Tally]] = {}
    for tally in tallies:
        seen.setdefault((tally.location, tally.gtin), {})[tally.lot] = tally
    out = list(tallies)
    for (location, gtin), lots in seen.items():
        last = next(reversed(lots.values()))
        unseen = any(qty for lot, qty in last.book.items() if lot not in lots)
        if None not in lots and unseen:
            out.append(Tally(location, gtin, None, None, last.uom, 0, last.book, last.at_ns))
    return sorted(out, key=lambda tally: tally.lot is None)


def named(tallies: Sequence[Tally], of: Tally) -> frozenset[str]:
    """The lots of a product at a place that were counted by name."""
    return frozenset(
        t.lot
        for t in tallies
        if t.lot is not None and (t.location, t.gtin) == (of.location, of.gtin)
    )


def there_now(tally: Tally, apart: frozenset[str], now: Mapping[str, int]) -> int:
    """What a count says lies there now, by the lots that the book holds now; never below 0.

    A count without a lot is of all lots but those `apart`.
    """
    moved = sum(
        now.get(lot, 0) - tally.book.get(lot, 0)
        for lot in now.keys() | tally.book.keys()
        if (lot not in apart if tally.lot is None else lot == tally.lot)
    )
    return max(0, tally.qty_milli + moved)
