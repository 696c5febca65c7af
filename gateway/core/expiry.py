"""Expiry: when a lot is near it and past it, which lot a date names, and what no till may sell.

Here: the rules of ALGORITHMS 5.7 over the book and the shop's calendar. A lot is expired from the
local midnight after its date. Not here: which lot a removal takes (`book`), alerts.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.book import Book
from gateway.domain.calendar import day_of
from gateway.domain.observation import ScanMove
from gateway.domain.stock import BASKET, VIRTUAL
from gateway.domain.store import Store

NEAR_DAYS: Final = 90
"""Days before expiry at which people are told, where the catalogue says nothing: pet food."""
_NAMED_BY_DATE: Final = ("sale", "return", "restock", "writeoff", "transfer_out")
"""Modes whose goods were here before: a lot with the date of the label is the lot."""


class Expiry:
    """The dates of one store's lots."""

    def __init__(self, store: Store, book: Book) -> None:
        self._calendar, self._book = store.calendar, book
        self._ends_ns: dict[str, int] = {}
        """By date, of which labels can print a century's."""
        self._near_days = {
            p.gtin: p.near_expiry_days for p in store.products if p.near_expiry_days is not None
        }

    def ends_ns(self, exp: str) -> int:
        """From when goods of this date are expired."""
        ends_ns = self._ends_ns.get(exp)
        if ends_ns is None:
            ends_ns = self._ends_ns[exp] = self._calendar.begins_ns(day_of(exp) + 1)
        return ends_ns

    def near_ns(self, gtin: str, exp: str) -> int:
        """From when goods of this date are near it; the same as `ends_ns` for 0 days."""
        days = self._near_days.get(gtin, NEAR_DAYS)
        return self._calendar.begins_ns(day_of(exp) + 1 - days)

    def expired(self, at_ns: int, exp: str | None) -> bool:
        """Whether goods of this date are expired; goods without a date never are."""
        return exp is not None and self.ends_ns(exp) <= at_ns

    def on_hand(self, gtin: str) -> dict[str, int]:
        """Lots that lie in the shop or in a basket, in milli."""
        lots: dict[str, int] = {}
        for loc in self._book.places(gtin):
            if loc == BASKET or loc not in VIRTUAL:
                for lot, qty in self._book.lots_at(loc, gtin).items():
                    lots[lot] = lots.get(lot, 0) + qty
        return {lot: qty for lot, qty in lots.items() if qty > 0}

    def refuses(self, move: ScanMove) -> str | None:
        """Why a till must not sell what was scanned; None when it may.

        By the date on the label; without one by the date of its lot; without a lot, when all that
        is on hand of the product is expired.
        """
        at_ns, gtin = move.at_ns, move.gtin
        if move.exp is not None or move.lot is not None:
            exp = move.exp or self._book.expiry(gtin, move.lot or "")
            return f"{gtin} expired on {exp}: not sold" if self.expired(at_ns, exp) else None
        dates = [self._book.expiry(gtin, lot) for lot in self.on_hand(gtin)]
        if not dates or not all(self.expired(at_ns, exp) for exp in dates):
            return None
        last = max(exp for exp in dates if exp is not None)
        return f"{gtin}: all that is on hand expired, the last on {last}: not sold"

    def named(self, move: ScanMove) -> ScanMove:
        """The scan with its lot, where its date alone says which it is."""
        if move.lot is not None or move.exp is None or move.mode not in _NAMED_BY_DATE:
            return move
        lots = self._book.lots_of(move.gtin)
        same = [lot for lot in lots if self._book.expiry(move.gtin, lot) == move.exp]
        return msgspec.structs.replace(move, lot=same[0]) if len(same) == 1 else move
