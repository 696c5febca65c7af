"""What staff carry about the shop by the scanner: to the shelves, and out for good.

Here: restocks, write-offs and transfers, and what a plate saw of the same goods (ALGORITHMS 5.6).
Not here: steps (`shelves`), which place is meant (`whereabouts`).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.missed import PROVEN_CONF
from gateway.core.orders import Removal, document_of
from gateway.core.postings import Poster
from gateway.core.shelves import Shelves
from gateway.core.whereabouts import Whereabouts
from gateway.domain.observation import Because, ScanMove
from gateway.domain.stock import BASKET, TRANSFER, WASTE


class Staff:
    """The movements that staff tell."""

    def __init__(
        self,
        poster: Poster,
        shelves: Shelves,
        where: Whereabouts,
        weighed: frozenset[str],
        learn: Callable[[ScanMove], None],
        drawn: Callable[[int, str, str, int], None],
        brought: Callable[[int, str, str, int], int],
    ) -> None:
        """`learn(scan)` takes note of what a label says, `drawn(at_ns, source, gtin, qty_milli)`
        of what is about to leave a place; `brought` is what tags were seen to carry to a shelf."""
        self._drawn, self._brought = drawn, brought
        self._poster, self._shelves, self._where = poster, shelves, where
        self._weighed, self._learn = weighed, learn

    def restock(self, s: ScanMove, told: str) -> None:
        """Goods that staff announce to carry to their shelf; `told` is where they come from."""
        home = self._where.home_with_room(s.gtin)
        if home is None:
            text = f"{s.gtin} has no place in the planogram: nothing moved"
            self._poster.note(s.at_ns, "no_home", text, s.device)
            return
        source = self._where.behind(told, home, s)
        if source is None:
            text = f"{s.gtin} is at home in {home}, and nothing lies behind it: nothing moved"
            self._poster.note(s.at_ns, "no_location", text, s.device)
            return
        qty = s.qty_milli
        if home in self._weighed:
            qty -= self._shelves.restock_scanned(s.at_ns, home, s.gtin, qty, source)
        qty -= self._brought(s.at_ns, home, s.gtin, qty)
        if not qty:
            return
        self._learn(s)
        self._drawn(s.at_ns, source, s.gtin, qty)
        parts = self._poster.supply(s.at_ns, source, s.gtin, qty, s.lot)
        self._poster.move(
            "restock", s.at_ns, source, home, s.gtin, parts, Because("scan"), ref=document_of(s)
        )

    def remove(self, at_ns: int, r: Removal, because: Because) -> None:
        """A write-off or transfer; where a plate saw the goods leave, that was no pick."""
        if r.loc in self._weighed:
            back = self._shelves.removal_scanned(at_ns, r.loc, r.gtin, r.qty_milli)
            if back:
                self._poster.move(
                    "putback",
                    at_ns,
                    BASKET,
                    r.loc,
                    r.gtin,
                    back,
                    Because("scan_proves_removal"),
                    conf=PROVEN_CONF,
                    reason="staff_removal",
                )
        parts = self._poster.supply(at_ns, r.loc, r.gtin, r.qty_milli, r.lot)
        target = WASTE if r.kind == "writeoff" else TRANSFER
        self._poster.move(
            r.kind, at_ns, r.loc, target, r.gtin, parts, because, ref=r.ref, reason=r.reason
        )
