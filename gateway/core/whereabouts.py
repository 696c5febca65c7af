"""Where goods come from and go to when nobody says: homes, stores behind them, places of a pick.

Here: the rules of CONTRACT section 6 and ALGORITHMS 5.3 rule 1 d over planogram and book. Not here:
what moves (`fuse`, `baskets`).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.book import Book
from gateway.domain.observation import ScanMove
from gateway.domain.store import Store

CountedSince = Callable[[str, str, int], bool]


class Whereabouts:
    """Places by planogram and book; `live(location)` tells of a plate that would see a pick."""

    def __init__(self, store: Store, book: Book, live: Callable[[str], bool]) -> None:
        self._store, self._book, self._live = store, book, live
        self.counted_since: CountedSince = lambda location, gtin, since_ns: False
        """Whether a plate counted what the book holds, then or later."""

    def of_scan(self, s: ScanMove) -> str | None:
        """Receiving or backroom, else the home (CONTRACT 6); a removal is from the home first."""
        stores = self._store.first_of("receiving", "backroom")
        home = next(iter(self._store.homes(s.gtin)), None)
        if s.mode in ("writeoff", "transfer_out", "stocktake"):
            return home or stores
        return stores or home

    def behind(self, told: str, home: str, s: ScanMove) -> str | None:
        """Where restocked goods come from: the place told, else a store that has enough."""
        stores = [x.id for x in self._store.locations if x.kind in ("receiving", "backroom")]
        places = [place for place in (told, *stores) if place != home]
        enough = (p for p in places if self._book.balance(p, s.gtin) >= s.qty_milli)
        return next(enough, places[0] if places else None)

    def home_with_room(self, gtin: str) -> str | None:
        """The first home with room for more, else the first; None when it has no home."""
        homes = self._store.homes(gtin)
        return next((h for h in homes if self._has_room(h, gtin)), homes[0] if homes else None)

    def _has_room(self, location: str, gtin: str) -> bool:
        facings = self._store.facings.get(gtin, ())
        capacity = next((f.capacity_milli for f in facings if f.location == location), None)
        return capacity is None or self._book.balance(location, gtin) < capacity

    def of_pick(self, gtin: str, qty_milli: int, since_ns: int) -> list[tuple[str, int]]:
        """Where a pick that nobody saw most probably was, and how much: ALGORITHMS 5.3 rule 1 d.

        Each place in turn gives what it holds, the rest comes openly from the likeliest (negative
        guard). Empty in a shop without a place that holds goods; and where the shelf that holds it
        counted since the pick could have been, and lacks nothing: then it is the till that errs.
        """
        held = self._book.balance
        homes = self._store.homes(gtin)
        full = [home for home in homes if held(home, gtin) > 0]
        if full and all(self.counted_since(home, gtin, since_ns) for home in full):
            return []
        # A shelf with a living plate would have seen it.
        order = sorted(homes, key=self._live)
        order += [
            x.id
            for kind in ("shelf", "backroom", "receiving")
            for x in self._store.locations
            if x.kind == kind and x.id not in homes
        ]
        shares: dict[str, int] = {}
        for loc in order:
            part = min(qty_milli, max(0, held(loc, gtin)))
            if part:
                shares[loc] = part
                qty_milli -= part
        if qty_milli and order:
            shares[order[0]] = shares.get(order[0], 0) + qty_milli
        return list(shares.items())
