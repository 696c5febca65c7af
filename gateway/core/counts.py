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
from gateway.domain.stock import ADJUST, Ref, Uom
from gateway.domain.units import NS_PER_MS, NS_PER_S


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


class Count(msgspec.Struct):
    """A running count of one scanner."""

    id: str
    until_ns: int
    tallies: list[Tally] = []


PutBack = Callable[[int, str, str, int, Because], int]
"""(at_ns, location, gtin, milli, because): how much of a surplus baskets and losses explain."""


class Counts:
    """The running counts. `changed(device)` is called after each change."""

    def __init__(
        self, idle_s: int, poster: Poster, put_back: PutBack, changed: Callable[[str], None]
    ) -> None:
        self._idle_ns = idle_s * NS_PER_S
        self._poster, self._put_back, self._changed = poster, put_back, changed
        self.counts: dict[str, Count] = {}

    def deadline(self, device: str) -> int | None:
        """When a count that nobody ends is over."""
        count = self.counts.get(device)
        return None if count is None else count.until_ns

    def scan(self, move: ScanMove, location: str, uom: Uom) -> None:
        """So many units more, counted at a place."""
        count = self.counts.get(move.device)
        if count is None:
            count = Count(f"{move.device}-{move.at_ns // NS_PER_MS}", 0)
            self.counts[move.device] = count
        count.until_ns = move.at_ns + self._idle_ns
        for tally in count.tallies:
            if (tally.location, tally.gtin, tally.lot) == (location, move.gtin, move.lot):
                break
        else:
            tally = Tally(location, move.gtin, move.lot, move.exp, uom, 0, {})
            count.tallies.append(tally)
        tally.qty_milli += move.qty_milli
        tally.book = self._poster.book.lots_at(location, move.gtin)
        self._changed(move.device)

    def close(self, at_ns: int, device: str) -> None:
        """Books the differences of a count, product by product, named lots first."""
        count = self.counts.pop(device, None)
        if count is None:
            return
        ref = Ref("count", count.id)
        for tally in sorted(self._whole(count.tallies), key=lambda tally: tally.lot is None):
            named = frozenset(
                t.lot
                for t in count.tallies
                if t.lot is not None and (t.location, t.gtin) == (tally.location, tally.gtin)
            )
            self._poster.uom_of(tally.gtin, tally.uom)
            if tally.lot is not None and tally.exp is not None:
                self._poster.book.learn_expiry(tally.gtin, tally.lot, tally.exp)
            now = self._poster.book.lots_at(tally.location, tally.gtin)
            counted = tally.qty_milli + sum(
                now.get(lot, 0) - tally.book.get(lot, 0)
                for lot in now.keys() | tally.book.keys()
                if (lot not in named if tally.lot is None else lot == tally.lot)
            )
            self._book(at_ns, tally, named if tally.lot is None else None, max(0, counted), ref)
        self._changed(device)

    def _whole(self, tallies: list[Tally]) -> list[Tally]:
        """Who counts a product at a place counts all of it: lots that were not seen are 0."""
        seen: dict[tuple[str, str], dict[str | None, Tally]] = {}
        for tally in tallies:
            seen.setdefault((tally.location, tally.gtin), {})[tally.lot] = tally
        whole = list(tallies)
        for (location, gtin), lots in seen.items():
            last = next(reversed(lots.values()))
            unseen = any(qty for lot, qty in last.book.items() if lot not in lots)
            if None not in lots and unseen:
                whole.append(Tally(location, gtin, None, None, last.uom, 0, last.book))
        return whole

    def _book(
        self, at_ns: int, tally: Tally, apart: frozenset[str] | None, counted: int, ref: Ref
    ) -> None:
        because = Because("count_closed")
        self.book(
            at_ns, tally.location, tally.gtin, tally.lot, counted, because, apart, ref=ref, src=()
        )

    def book(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        lot: str | None,
        counted_milli: int,
        because: Because,
        apart: frozenset[str] | None = None,
        **members: object,
    ) -> None:
        """Books what a place was found to hold; a `stocktake` even where nothing differs.

        Without a lot the count is of all lots but those `apart`: each is told with what it holds
        now. A surplus of such a count is first looked for in baskets and among the lost (5.4), and
        else of no known lot; a shortage is taken as a customer would, first expired first.
        """
        self._poster.uom_of(gtin)
        held = self._held(location, gtin, lot, apart)
        surplus = counted_milli - sum(held.values())
        if surplus > 0 and lot is None and not apart:
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
