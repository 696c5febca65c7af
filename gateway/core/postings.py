"""From a movement to its event: number it, balance it, and never let a place fall below nothing.

Here: seq and id of stock events, the negative guard and the relabelling of lots (ALGORITHMS 5.1,
5.7). Not here: which movement to post (`baskets`, `shelves`, `fuse`), bytes, the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gateway.core.book import Book, Posting
from gateway.domain.ids import event_id
from gateway.domain.observation import Because, Note
from gateway.domain.reading import Word
from gateway.domain.stock import ADJUST, VIRTUAL, Kind, Opened, Source, StockEvent, Uom
from gateway.domain.store import Store

RECENT_EVENTS: Final = 512
CERTAIN: Final = 1000
"""Confidence of what follows by arithmetic, in permille."""


class Posted(Word, frozen=True):
    """An event, why it was booked, and the observation that caused it (None: a deadline)."""

    event: StockEvent
    because: Because
    cause: int | None


class History(Protocol):
    """The record of the engine's own past events: the journal, or a replay's list."""

    def event(self, which: int | str) -> StockEvent | None:
        """An event by seq or id; None when there is none."""

    def voided(self, event_id: str) -> bool:
        """Whether a `void` of this event was booked."""

    def named(self, source: Source) -> bool:
        """Whether an event was booked from this source."""


Cause = tuple[int | None, tuple[Source, ...]]


class Poster:
    """Numbers and posts the events of the stock stream."""

    def __init__(
        self, store: Store, book: Book, inst: str, next_seq: int, history: History
    ) -> None:
        self.book = book
        self.store = store
        self._products = store.product_by_gtin()
        self._physical = frozenset(loc.id for loc in store.locations if loc.physical)
        self._inst = inst
        self.next_seq = next_seq
        self._history = history
        self._recent: dict[int, StockEvent] = {}
        self._recent_voids: dict[str, None] = {}
        self._cause: int | None = None
        self._source: tuple[Source, ...] = ()
        self.posted: list[Posted] = []
        self.notes: list[Note] = []
        self.arrivals: Callable[[int, str, str, int], None] = lambda at_ns, loc, gtin, qty: None
        """Called where the book holds less than leaves a place: books what came and waits yet."""
        self.listeners: list[Callable[[Posted], None]] = []
        """Called with each event as it is posted; they post none themselves."""

    def because_of(self, observation: int | None, source: tuple[Source, ...]) -> Cause:
        """What the next events rest on; what it was before is returned."""
        before = self._cause, self._source
        self._cause, self._source = observation, source
        return before

    def once(self) -> None:
        """The reading behind the last event is the source of no further one."""
        self._source = ()

    def sources_end(self) -> None:
        """The next events are many of one cause: no reading is the source of any of them."""
        self._source = ()

    def is_physical(self, loc: str) -> bool:
        """Whether goods can lie there; virtual accounts and tills are not."""
        return loc in self._physical

    def uom_of(self, gtin: str, told: Uom | None = None) -> Uom:
        """The unit this product is booked in, fixed by its first event."""
        known = self.known_uom(gtin, told)
        self.book.learn_uom(gtin, known)
        return known

    def known_uom(self, gtin: str, told: Uom | None = None) -> Uom:
        """The unit it would be booked in: the book's, else the catalogue's, else as told."""
        product = self._products.get(gtin)
        return self.book.uom(gtin) or (product.uom if product is not None else told or "EA")

    def post(
        self, kind: Kind, at_ns: int, postings: list[Posting], because: Because, **members: Any
    ) -> StockEvent:
        """Posts balanced postings as one event. `members` are optional fields of StockEvent."""
        for p in postings:
            self.uom_of(p.gtin)
        lines = self.book.lines(postings, VIRTUAL)
        members.setdefault("src", self._source)
        return self._append(kind, at_ns, because, {"lines": lines, **members})

    def open_epoch(self, at_ns: int, opened: Opened) -> StockEvent:
        """Journals that an epoch was granted."""
        return self._append("epoch_open", at_ns, Because("ledger"), {"open": opened})

    def _append(
        self, kind: Kind, at_ns: int, because: Because, members: Mapping[str, Any]
    ) -> StockEvent:
        seq = self.next_seq
        self.next_seq = seq + 1
        event = StockEvent(
            seq=seq, id=event_id(self._inst, "stock", seq, at_ns), kind=kind, at_ns=at_ns, **members
        )
        posted = Posted(event, because, self._cause)
        self.posted.append(posted)
        self._recent[seq] = event
        if kind == "void" and event.corr is not None:
            self._recent_voids[event.corr] = None
        for listener in self.listeners:
            listener(posted)
        return event

    def lookup(self, which: int | str) -> StockEvent | None:
        """One of our own events by seq or id, however old."""
        if isinstance(which, int):
            event = self._recent.get(which)
        else:
            event = next((e for e in self._recent.values() if e.id == which), None)
        return event or self._history.event(which)

    def is_voided(self, event: StockEvent) -> bool:
        """Whether it was taken back already."""
        return event.id in self._recent_voids or self._history.voided(event.id)

    def is_named(self, source: Source) -> bool:
        """Whether it is the source of an event already."""
        recent = any(source in event.src for event in self._recent.values())
        return recent or self._history.named(source)

    def note(self, at_ns: int, code: str, text: str, device: str | None = None) -> None:
        """Something for people."""
        self.notes.append(Note(at_ns, code, device, text))

    def move(
        self,
        kind: Kind,
        at_ns: int,
        source: str,
        target: str,
        gtin: str,
        parts: list[tuple[str, int]],
        because: Because,
        **members: Any,
    ) -> StockEvent:
        """One movement of some lots of a product from one account to another."""
        self.uom_of(gtin)
        postings = []
        for lot, qty in parts:
            postings.append(Posting(source, gtin, lot or None, -qty))
            postings.append(Posting(target, gtin, lot or None, qty))
        return self.post(kind, at_ns, postings, because, **members)

    def supply(
        self, at_ns: int, loc: str, gtin: str, qty_milli: int, lot: str | None
    ) -> list[tuple[str, int]]:
        """The lots that a removal from a place takes, after making sure that it holds them.

        A true movement is never refused: what the book lacks is first posted from `@adjust`,
        openly (negative guard, ALGORITHMS 5.1); a lot that a scan proves is relabelled.
        """
        if not self.is_physical(loc):
            return [(lot or "", qty_milli)]
        if self.book.balance(loc, gtin) < qty_milli:
            self.arrivals(at_ns, loc, gtin, qty_milli)
        if lot is None:
            parts = self.book.first_expired_first_out(loc, gtin, qty_milli)
            needed = dict(parts).get("", 0)
            self.guard(at_ns, loc, gtin, "", needed - self.book.lot_balance(loc, gtin, ""))
            return parts
        short = qty_milli - self.book.lot_balance(loc, gtin, lot)
        if short > 0:
            short -= self._borrow(at_ns, loc, gtin, lot, short)
        self.guard(at_ns, loc, gtin, lot, short)
        return [(lot, qty_milli)]

    def _borrow(self, at_ns: int, loc: str, gtin: str, lot: str, short: int) -> int:
        """Relabels stock of other lots, the unknown first, as the lot that a scan proves."""
        others = [
            (other, qty)
            for other, qty in self.book.first_expired_first_out(loc, gtin, 1 << 52)
            if other != lot
        ]
        others.sort(key=lambda part: part[0] != "")
        moved = 0
        for other, _ in others:
            qty = min(short - moved, self.book.lot_balance(loc, gtin, other))
            if qty > 0:
                self.relabel(at_ns, loc, gtin, other, lot, qty)
                moved += qty
        return moved

    def relabel(
        self, at_ns: int, loc: str, gtin: str, before: str, after: str, qty_milli: int
    ) -> None:
        """Says that units of one lot were of another: four lines through `@adjust` (WIRE 6)."""
        postings = [
            Posting(loc, gtin, before or None, -qty_milli),
            Posting(ADJUST, gtin, before or None, qty_milli),
            Posting(ADJUST, gtin, after or None, -qty_milli),
            Posting(loc, gtin, after or None, qty_milli),
        ]
        self.post(
            "adjust", at_ns, postings, Because("lot_swap"), src=(), reason="lot_swap", conf=CERTAIN
        )

    def guard(self, at_ns: int, loc: str, gtin: str, lot: str, short: int) -> None:
        """Posts from `@adjust` what a place gave and the book lacked, and says so."""
        if short <= 0:
            return
        parts = [(lot, short)]
        self.move(
            "adjust",
            at_ns,
            ADJUST,
            loc,
            gtin,
            parts,
            Because("negative_guard"),
            src=(),
            reason="negative_guard",
            conf=CERTAIN,
        )
        self.note(at_ns, "negative_guard", f"{loc} gave more of {gtin} than the book held")

    def take(self) -> tuple[list[Posted], list[Note]]:
        """Everything posted since the last call."""
        out = self.posted, self.notes
        self.posted, self.notes = [], []
        # What is given out now may not be in the history yet; what is older is.
        keep = RECENT_EVENTS + len(out[0])
        _shorten(self._recent, keep)
        _shorten(self._recent_voids, keep)
        return out


def _shorten(recent: dict[Any, Any], keep: int) -> None:
    while len(recent) > keep:
        del recent[next(iter(recent))]
