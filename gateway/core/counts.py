"""Counts: units tallied while the store is open, booked when the count ends.

Here: one count per scanner, the booking of differences, and the count that a command tells. Not
here: which scans are counts (`fuse`), counts of whole places (`stocktakes`), the arithmetic of a
count that holds at its own time (`tallies`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core import tallies
from gateway.core.book import Posting
from gateway.core.postings import Poster
from gateway.core.stocktakes import Stocktakes
from gateway.core.tallies import Tally
from gateway.domain.observation import Because, ScanMove
from gateway.domain.stock import ADJUST, Ref, Uom
from gateway.domain.units import NS_PER_MS, NS_PER_S


class Count(msgspec.Struct):
    """A running count of one scanner."""

    id: str
    until_ns: int
    tallies: list[Tally] = []


PutBack = Callable[[int, str, str, int, Because], int]
"""(at_ns, location, gtin, milli, because): how much of a surplus baskets and losses explain."""
Explain = Callable[[int, int, str, str, int], None]
"""(at_ns, counted_ns, location, gtin, milli): steps that waited are what makes a difference."""


class Counts:
    """The running counts. `changed(key)` is called after each change of a part.

    A count is known by its scanner, or by the number of its stocktake, which no scanner can bear.
    """

    def __init__(
        self,
        idle_s: int,
        poster: Poster,
        put_back: PutBack,
        explain: Explain,
        taken: Callable[[str, str], int | None],
        changed: Callable[[str], None],
    ) -> None:
        """`taken(location, gtin)`: when a unit of it was last taken from there into a basket."""
        self._idle_ns = idle_s * NS_PER_S
        self._poster, self._put_back, self._changed = poster, put_back, changed
        self._explain = explain
        self.counts: dict[str, Count] = {}
        self.stocktakes = Stocktakes(poster, self.settle, taken, changed)

    def deadline(self, name: str) -> int | None:
        """When a count that nobody ends is over."""
        count = self.counts.get(name)
        return self.stocktakes.deadline(name) if count is None else count.until_ns

    def scan(self, move: ScanMove, location: str, uom: Uom) -> None:
        """So many units more, counted at a place: for its stocktake, if one runs there."""
        if self.stocktakes.scan(move, location, uom):
            return
        count = self.counts.get(move.device)
        if count is None:
            count = Count(f"{move.device}-{move.at_ns // NS_PER_MS}", 0)
            self.counts[move.device] = count
        count.until_ns = move.at_ns + self._idle_ns
        book = self._poster.book.lots_at(location, move.gtin)
        tallies.add(count.tallies, move, location, uom, book)
        self._changed(f"count:{move.device}")

    def close(self, at_ns: int, name: str) -> None:
        """Ends a count: books a scanner's, gives up a stocktake that was left."""
        count = self.counts.pop(name, None)
        if count is None:
            self.stocktakes.expire(at_ns, name)
            return
        self.settle(at_ns, count.tallies, Ref("count", count.id))
        self._changed(f"count:{name}")

    def settle(self, at_ns: int, counted: list[Tally], ref: Ref) -> None:
        """Books the differences of a count, product by product, named lots first."""
        because = Because("count_closed")
        for tally in tallies.whole(counted):
            self._poster.uom_of(tally.gtin, tally.uom)
            if tally.lot is not None and tally.exp is not None:
                self._poster.book.learn_expiry(tally.gtin, tally.lot, tally.exp)
            apart = tallies.named(counted, tally)
            now = self._poster.book.lots_at(tally.location, tally.gtin)
            self.book(
                at_ns,
                tally.at_ns,
                tally.location,
                tally.gtin,
                tally.lot,
                tallies.there_now(tally, apart, now),
                because,
                apart if tally.lot is None else None,
                ref=ref,
                src=(),
            )

    def book(
        self,
        at_ns: int,
        counted_ns: int,
        location: str,
        gtin: str,
        lot: str | None,
        counted_milli: int,
        because: Because,
        apart: frozenset[str] | None = None,
        **members: object,
    ) -> None:
        """Books what a place was found to hold; a `stocktake` even where nothing differs.

        What a plate felt before people counted, and nobody could name, is in their count: it is
        the difference to the book, or was nothing.
        Without a lot the count is of all lots but those `apart`: each is told with what it holds
        now. A surplus of such a count is first looked for in baskets and among the lost (5.4), and
        else of no known lot; a shortage is taken as a customer would, first expired first.
        """
        self._poster.uom_of(gtin)
        whole = lot is None and not apart
        held = self._held(location, gtin, lot, apart)
        if whole:
            difference = counted_milli - sum(held.values())
            self._explain(at_ns, counted_ns, location, gtin, difference)
            held = self._held(location, gtin, lot, apart)
        surplus = counted_milli - sum(held.values())
        if surplus > 0 and whole:
            self._put_back(at_ns, location, gtin, surplus, because)
            held = self._held(location, gtin, lot, apart)
        difference = counted_milli - sum(held.values())
        changes = dict.fromkeys(held, 0)
        if difference > 0 or not changes:
            target = lot or ""
            changes[target] = changes.get(target, 0) + difference
        for part, there in self._poster.book.first_expired_first_out(location, gtin, 1 << 52):
            if difference < 0 and part in changes:
                take = min(there, -difference)
                changes[part] -= take
                difference += take
        postings = []
        for part, d in changes.items():
            postings.append(Posting(location, gtin, part or None, d, counted=True))
            postings.append(Posting(ADJUST, gtin, part or None, -d))
        self._poster.post("stocktake", at_ns, postings, because, **members)

    def _held(
        self, location: str, gtin: str, lot: str | None, apart: frozenset[str] | None
    ) -> dict[str, int]:
        lots = self._poster.book.lots_at(location, gtin)
        if lot is None:
            return {one: qty for one, qty in lots.items() if one not in (apart or ())}
        return {lot: lots.get(lot, 0)}
