"""The pick that nobody saw: a sale proves it (ALGORITHMS 5.3 rule 1 d).

Here: where its units are booked from. Not here: which sale waits, and how long (`baskets`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.core.book import Posting
from gateway.core.postings import Poster
from gateway.core.trails import OpenSale, merged
from gateway.domain.observation import Because
from gateway.domain.stock import BASKET, Source

PROVEN_CONF: Final = 900

Places = Callable[[str, int, int], list[tuple[str, int]]]


def missed_pick(
    poster: Poster, places_of_pick: Places, at_ns: int, gtin: str, sale: OpenSale, since_ns: int
) -> list[tuple[str, int]]:
    """Books it from the places most likely to have had it; the lots, none where no place holds any.

    `places_of_pick(gtin, qty_milli, since_ns)` are those places, and how much of it each gives, if
    it was picked at `since_ns` or later.
    """
    places = places_of_pick(gtin, sale.qty_milli, since_ns)
    if not places:
        poster.guard(at_ns, BASKET, gtin, sale.lot, sale.qty_milli)
        return []
    postings, parts = [], []
    for loc, qty_milli in places:
        for lot, qty in poster.supply(at_ns, loc, gtin, qty_milli, sale.lot or None):
            postings += [
                Posting(loc, gtin, lot or None, -qty), Posting(BASKET, gtin, lot or None, qty),
            ]  # fmt: skip
            parts.append((lot, qty))
    poster.post(
        "pick",
        at_ns,
        postings,
        Because("sale_proves_pick", seq=sale.seq),
        src=(Source(sale.dev, sale.ref),) if sale.dev else (),
        conf=PROVEN_CONF,
        reason="missed_pick",
    )
    return merged(parts)
