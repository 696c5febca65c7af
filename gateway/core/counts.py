"""Stocktake by scan: units tallied while the store is open, booked when the count ends.

Here: one session per scanner, the difference to the book at the time of the scans, and the count
that a command tells. Not here: which scans are counts (`fuse`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.book import Posting
from gateway.core.postings import Poster
from gateway.domain.observation import Because, ScanMove
from gateway.domain.stock import ADJUST, Ref
from gateway.domain.units import NS_PER_MS, NS_PER_S


class Tally(msgspec.Struct):
    """What was counted of one product and lot at one place."""

    location: str
    gtin: str
    lot: str | None
    qty_milli: int
    book_milli: int
    """What the book held at the last scan: movements after it are applied on top."""


class Count(msgspec.Struct):
    """A running count of one scanner."""

    id: str
    until_ns: int
    tallies: list[Tally] = []


class Counts:
    """The running counts. `changed(device)` is called after each change."""

    def __init__(self, idle_s: int, poster: Poster, changed: Callable[[str], None]) -> None:
        self._idle_ns = idle_s * NS_PER_S
        self._poster, self._changed = poster, changed
        self.counts: dict[str, Count] = {}

    def deadline(self, device: str) -> int | None:
        """When a count that nobody ends is over."""
        count = self.counts.get(device)
        return None if count is None else count.until_ns

    def scan(self, move: ScanMove, location: str) -> None:
        """One more unit, counted at a place."""
        count = self.counts.get(move.device)
        if count is None:
            count = Count(f"{move.device}-{move.at_ns // NS_PER_MS}", 0)
            self.counts[move.device] = count
        count.until_ns = move.at_ns + self._idle_ns
        for tally in count.tallies:
            if (tally.location, tally.gtin, tally.lot) == (location, move.gtin, move.lot):
                break
        else:
            tally = Tally(location, move.gtin, move.lot, 0, 0)
            count.tallies.append(tally)
        tally.qty_milli += move.qty_milli
        tally.book_milli = self._held(tally)
        self._changed(move.device)

    def close(self, at_ns: int, device: str) -> None:
        """Books the differences of a count, product by product."""
        count = self.counts.pop(device, None)
        if count is None:
            return
        for tally in count.tallies:
            now = self._held(tally)
            counted = tally.qty_milli + now - tally.book_milli
            self.book(
                at_ns,
                tally.location,
                tally.gtin,
                tally.lot,
                counted,
                Because("count_closed"),
                ref=Ref("count", count.id),
                src=(),
            )
        self._changed(device)

    def _held(self, tally: Tally) -> int:
        if tally.lot is None:
            return self._poster.book.balance(tally.location, tally.gtin)
        return self._poster.book.lot_balance(tally.location, tally.gtin, tally.lot)

    def book(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        lot: str | None,
        counted_milli: int,
        because: Because,
        **members: object,
    ) -> None:
        """Books what a place was found to hold; a `stocktake` even where nothing differs.

        Without a lot the count is of all lots: a surplus is of no known lot, a shortage is taken
        as a customer would, first expired first.
        """
        self._poster.uom_of(gtin)
        book = self._poster.book
        if lot is None:
            difference = counted_milli - book.balance(location, gtin)
        else:
            difference = counted_milli - book.lot_balance(location, gtin, lot)
        if difference < 0 and lot is None:
            parts = [
                (part, -qty)
                for part, qty in book.first_expired_first_out(location, gtin, -difference)
            ]
        else:
            parts = [(lot or "", difference)]
        postings = []
        for part, d in parts:
            postings.append(Posting(location, gtin, part or None, d, counted=True))
            postings.append(Posting(ADJUST, gtin, part or None, -d))
        self._poster.post("stocktake", at_ns, postings, because, **members)
