"""What staff, HQ and the ledger order: checked as a stranger's word, then booked.

Here: the rules of each command's arguments (CONTRACT 6), write-offs, adjustments, voids. Not here:
scanner modes and tares (`engine`), what scans order (`fuse`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.core.baskets import Baskets
from gateway.core.book import Posting
from gateway.core.counts import Counts
from gateway.core.postings import Poster
from gateway.core.scans import QTY_MAX_MILLI
from gateway.domain.ids import CSET82, REASON, gtin14
from gateway.domain.observation import Because, Ordered, ScanMove
from gateway.domain.reading import (
    Adjust,
    Hold,
    HoldRelease,
    OpenEpoch,
    Order,
    Stocktake,
    StocktakeCancel,
    StocktakeFinish,
    StocktakeStart,
    Void,
    Word,
    Writeoff,
)
from gateway.domain.stock import ADJUST, BASKET, LOST, Opened, Ref, StockEvent
from gateway.domain.units import PIECE_MILLI

Goods = Stocktake | Writeoff | Adjust


class Removal(Word, frozen=True):
    """Goods that leave the shop for good, from where they lay."""

    kind: Literal["writeoff", "transfer_out"]
    loc: str
    gtin: str
    qty_milli: int
    lot: str | None
    reason: str | None = None
    ref: Ref | None = None


Remove = Callable[[int, Removal, Because], None]

_COMMAND: Final = Because("command")


class Orders:
    """The commands that reach the book."""

    def __init__(self, poster: Poster, baskets: Baskets, counts: Counts, remove: Remove) -> None:
        self._poster, self._baskets, self._counts = poster, baskets, counts
        self._remove = remove

    def obey(self, ordered: Ordered) -> None:
        """Books a command, or notes why not. Never raises, whatever the arguments."""
        order, at_ns = ordered.order, ordered.at_ns
        if isinstance(order, Goods):
            self._goods(at_ns, ordered.device, order)
        elif isinstance(order, Void):
            self._void(at_ns, order)
        elif isinstance(order, Hold | HoldRelease):
            self._poster.note(at_ns, "refused", "holds are not in this version", ordered.device)
        elif isinstance(order, StocktakeStart):
            self._counts.stocktakes.start(at_ns, ordered.device, order)
        elif isinstance(order, StocktakeFinish):
            self._counts.stocktakes.finish(at_ns, ordered.device, order)
        elif isinstance(order, StocktakeCancel):
            self._counts.stocktakes.cancel(at_ns, ordered.device, order)
        elif isinstance(order, OpenEpoch):
            self._poster.open_epoch(at_ns, Opened(order.baseline, order.sha256, order.why))

    def _goods(self, at_ns: int, device: str, order: Goods) -> None:
        why = self._fault(order)
        gtin = gtin14(order.gtin)
        if why is not None or gtin is None:
            text = f"{_name(order)} refused: {why or f'{order.gtin} is no GTIN'}"
            self._poster.note(at_ns, "refused", text, device)
        elif isinstance(order, Stocktake):
            self._counts.book(
                at_ns, at_ns, order.location, gtin, order.lot, order.qty_milli, _COMMAND
            )
        elif isinstance(order, Writeoff):
            lost = Removal(
                "writeoff", order.location, gtin, order.qty_milli, order.lot, order.reason
            )
            self._remove(at_ns, lost, _COMMAND)
        else:
            source, target, qty = ADJUST, order.location, order.qty_milli
            if qty < 0:
                source, target, qty = target, source, -qty
            parts = self._poster.supply(at_ns, source, gtin, qty, order.lot)
            self._poster.move(
                "adjust", at_ns, source, target, gtin, parts, _COMMAND, reason=order.reason
            )

    def _fault(self, order: Goods) -> str | None:
        """What is wrong with the arguments; None when nothing is."""
        if not self._poster.is_physical(order.location):
            return f"{order.location} is no place that holds goods"
        if order.lot and not CSET82.fullmatch(order.lot):
            return f"{order.lot!r} is no lot"
        if abs(order.qty_milli) > QTY_MAX_MILLI:
            return f"{order.qty_milli} is too much"
        gtin = gtin14(order.gtin)
        if gtin and self._poster.known_uom(gtin) == "EA" and order.qty_milli % PIECE_MILLI:
            return f"{order.qty_milli} are no whole pieces: 4 pieces are 4000"
        if isinstance(order, Stocktake):
            return "a count is never below 0" if order.qty_milli < 0 else None
        if not REASON.fullmatch(order.reason):
            return f"{order.reason!r} is no reason: 1 to 32 of a-z and _"
        if isinstance(order, Writeoff):
            return None if order.qty_milli > 0 else "a write-off is of more than 0"
        return None if order.qty_milli else "an adjustment of 0 changes nothing"

    def _void(self, at_ns: int, order: Void) -> None:
        which = order.event
        if isinstance(which, str) and which.isascii() and which.isdigit():
            which = int(which[:18])  # a seq, as people type it
        original = self._poster.lookup(which)
        why = None
        if original is None:
            why = "is no event of this store"
        elif not any(line.d for line in original.lines) or original.kind == "void":
            why = f"is a {original.kind} that cannot be taken back"
        elif self._poster.is_voided(original):
            why = "was taken back before"
        if original is None or why is not None:
            self._poster.note(at_ns, "void_refused", f"{order.event} {why}")
            return
        self.take_back(at_ns, original, msgspec.structs.replace(_COMMAND, seq=original.seq))

    def take_back(self, at_ns: int, original: StockEvent, because: Because) -> None:
        """Posts the exact mirror of an event that was not taken back before."""
        self._cover(at_ns, original)
        mirror = [
            Posting(line.loc, line.gtin, line.lot, -line.d) for line in original.lines if line.d
        ]
        event = self._poster.post(
            "void",
            at_ns,
            mirror,
            because,
            corr=original.id,
            ref=original.ref,
        )
        for line in event.lines:
            if line.loc in (BASKET, LOST):
                follow = self._baskets.mirror if line.loc == BASKET else self._baskets.mirror_lost
                follow(at_ns, line.gtin, line.lot or "", line.d, original.seq, event.seq)

    def _cover(self, at_ns: int, original: StockEvent) -> None:
        """The mirror may take from a place what is no longer there: guard first, then void."""
        for line in original.lines:
            if line.d > 0 and self._poster.is_physical(line.loc):
                held = self._poster.book.lot_balance(line.loc, line.gtin, line.lot)
                self._poster.guard(at_ns, line.loc, line.gtin, line.lot or "", line.d - held)


def _name(order: Order) -> str:
    return type(order).__name__.lower()


def document_of(s: ScanMove) -> Ref | None:
    """The business document that a scan was made under."""
    if s.doc is None:
        return None
    kinds = {
        "receive": "desadv",
        "return": "rma",
        "transfer_in": "transfer",
        "transfer_out": "transfer",
    }
    return Ref(kinds.get(s.mode, "ticket"), s.doc)  # type: ignore[arg-type]
