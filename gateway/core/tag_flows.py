"""What tags that came or went book: picks, put-backs, moves, losses at the exit (ALGORITHMS 3.4).

Here: serial flows at places where no plate weighs, the rules of exit and till. Not here: which
serial is where (`tag_book`), when a tag has come or left (`tag_watch`), levels (`tag_levels`).

A serial's first sighting adopts a unit of the book and moves nothing. At a weighed place the plate
books what goes and comes; the tag only says which serial it was. What another witness booked
already (a scan, a sale, a count) is not booked again.
"""

from __future__ import annotations

from typing import Final

from gateway.core.baskets import Baskets
from gateway.core.postings import Poster
from gateway.core.tag_book import DAY_NS, MISSING, Serial, TagBook
from gateway.core.trails import merged
from gateway.domain.observation import Because, MovedTag, TagsMoved
from gateway.domain.stock import BASKET, LOST, SOLD, Source
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI

TAG_CONF: Final = 950
EXIT_CONF: Final = 900
"""Somebody carried it out; that nobody paid is what the book knows."""


class TagFlows:
    """The serial flows of one shop; `weighed` are the places where plates book."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        baskets: Baskets,
        weighed: frozenset[str],
        book: TagBook,
    ) -> None:
        self._poster, self._baskets, self._weighed, self._book = poster, baskets, weighed, book
        self._kinds = {location.id: location.kind for location in store.locations}

    def moved(self, number: int, seen: TagsMoved) -> None:
        """Tags came to a place or left it; observation `number`."""
        if seen.location not in self._kinds:
            return
        for n, tag in enumerate(seen.tags):
            if self._poster.known_uom(tag.gtin) != "EA" or tag.units < 1:
                continue
            self._poster.because_of(number, (Source(seen.device, f"{seen.ref}.{n}"),))
            self._book.mine = True
            self._one(seen, tag)
            self._book.mine = False

    def _one(self, seen: TagsMoved, tag: MovedTag) -> None:
        serial, place = self._book.serials.get(tag.epc), seen.location
        if not seen.came:
            if serial is not None and self._lies_at(serial) == place and serial.seq != MISSING:
                self._leaves(seen.at_ns, tag, place)
        elif self._kinds[place] == "exit":
            self._out(seen, tag)
        elif self._kinds[place] == "till":
            if serial is not None and (lay := self._lies_at(serial)) and serial.seq != MISSING:
                self._leaves(seen.at_ns, tag, lay)
        else:
            self._arrives(seen.at_ns, tag, serial, place)

    def _lies_at(self, serial: Serial) -> str:
        """The place where a serial lies or was missed; empty when it left."""
        return "" if serial.at_ns else serial.place

    # --- leaving --------------------------------------------------------------------------------

    def _leaves(self, at_ns: int, tag: MovedTag, place: str) -> None:
        """A tag is at its place no longer."""
        held = self._book.tagged(place, tag.gtin)
        seq = held.explained(at_ns, tag.units)
        if seq is not None:
            self._book.leaves(tag.epc, tag.gtin, tag.units, place)
            self._book.went(at_ns, tag.epc, BASKET, seq)
        elif place in self._weighed:
            self._book.misses(tag.epc, tag.gtin, tag.units, place)
        else:
            self._pick(at_ns, tag, place, at_ns)

    def _pick(self, at_ns: int, tag: MovedTag, place: str, began_ns: int) -> int:
        """Books that a unit left a place, if the book holds it there; the event, 0 for none."""
        backed = self._book.backs(place, tag.gtin, tag.units)
        self._book.leaves(tag.epc, tag.gtin, tag.units, place)
        if not backed:
            self._book.forget(tag.epc)
            return 0
        parts = self._poster.supply(at_ns, place, tag.gtin, tag.units * PIECE_MILLI, None)
        event = self._poster.move(
            "pick", at_ns, place, BASKET, tag.gtin, parts, Because("tag_left"), conf=TAG_CONF
        )
        self._book.went(at_ns, tag.epc, BASKET, event.seq)
        self._baskets.picked(
            at_ns, began_ns, tag.gtin, place, parts, event.seq, untimed=True
        )  # a tag is missed some time after it went
        return event.seq

    # --- coming ---------------------------------------------------------------------------------

    def _arrives(self, at_ns: int, tag: MovedTag, serial: Serial | None, place: str) -> None:
        if serial is not None and serial.seq != MISSING:  # else the plate owes an explanation
            lay = self._lies_at(serial)
            if lay == place:
                return
            if lay:
                self._carried(at_ns, tag, lay, place)
            elif serial.place == SOLD and at_ns < serial.at_ns + DAY_NS:
                return  # a till or an exit may hear it again on its way out
            elif serial.place != SOLD and place not in self._weighed:
                self._comes_back(at_ns, tag, serial, place)
        self._book.lies(tag.epc, tag.gtin, tag.units, place)

    def _carried(self, at_ns: int, tag: MovedTag, lay: str, place: str) -> None:
        """A serial booked at one place lies at another."""
        both_silent = lay not in self._weighed and place not in self._weighed
        told = self._book.tagged(lay, tag.gtin).pending(at_ns) >= tag.units
        if not both_silent or told or not self._book.backs(lay, tag.gtin, tag.units):
            self._leaves(at_ns, tag, lay)
            return
        qty = tag.units * PIECE_MILLI
        self._book.leaves(tag.epc, tag.gtin, tag.units, lay)
        parts = self._poster.supply(at_ns, lay, tag.gtin, qty, None)
        self._poster.move(
            "restock", at_ns, lay, place, tag.gtin, parts, Because("tag_moved"), conf=TAG_CONF
        )
        self._book.tagged(place, tag.gtin).bring(at_ns, tag.gtin, qty)

    def _comes_back(self, at_ns: int, tag: MovedTag, serial: Serial, place: str) -> None:
        """A unit that was taken from a shelf lies on one again, where no plate weighs."""
        qty, because = tag.units * PIECE_MILLI, Because("tag_back", seq=serial.seq or None)
        mine = self._baskets.own(tag.gtin, qty, serial.seq) if serial.seq else []
        parts = merged((entry.lot, entry.qty_milli) for entry in mine)
        if parts:
            self._poster.move(
                "putback", at_ns, BASKET, place, tag.gtin, parts, because, conf=TAG_CONF
            )
        if not serial.seq:
            return
        lost = self._baskets.unlose(at_ns, tag.gtin, qty - sum(part for _, part in parts))
        found = merged((one.lot, one.qty_milli) for one in lost)
        if found:
            self._poster.move("found", at_ns, LOST, place, tag.gtin, found, because, conf=TAG_CONF)

    def brought(self, at_ns: int, place: str, gtin: str, qty_milli: int) -> int:
        """How much of a restock scan to a place the tags have booked already."""
        if f"{place} {gtin}" not in self._book.held:
            return 0
        return self._book.tagged(place, gtin).told(at_ns, gtin, qty_milli)

    # --- the exit -------------------------------------------------------------------------------

    def _out(self, seen: TagsMoved, tag: MovedTag) -> None:
        """A serial at an exit: paid, or a loss; each serial once."""
        serial = self._book.serials.get(tag.epc)
        if serial is None or serial.place in (SOLD, LOST):
            return
        at_ns, seq, lay = seen.at_ns, serial.seq, self._lies_at(serial)
        if lay:
            held = self._book.tagged(lay, tag.gtin)
            told = None if seq == MISSING else held.explained(at_ns, tag.units)
            if told is not None:
                self._book.leaves(tag.epc, tag.gtin, tag.units, lay)
                seq = told
            elif not (seq := self._pick(at_ns, tag, lay, at_ns - self._baskets.age_ns)):
                return
        unpaid = seq > 0 and self._baskets.unpaid(tag.gtin, seq)
        if not unpaid or self._baskets.waits(tag.gtin):
            self._book.went(at_ns, tag.epc, SOLD, max(0, seq))
            return
        self._baskets.gone_out(
            at_ns, tag.gtin, tag.units * PIECE_MILLI, seq, conf=EXIT_CONF, reason="exit_unpaid"
        )
        self._book.went(at_ns, tag.epc, LOST, seq)
        text = f"{tag.gtin} (tag {tag.epc}) left by {seen.location}, and no sale was made of it"
        self._poster.note(at_ns, "exit_unpaid", text, seen.device)
