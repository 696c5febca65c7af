"""What a decided step books: picks, put-backs, restocks, and the ladder of a surplus.

Here: where units that came or went are booked from and to, and what scans told the plates before
(ALGORITHMS 5.4, 5.6). Not here: which product it was (`shelves`), baskets and losses (`baskets`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.core import witnesses
from gateway.core.baskets import Baskets
from gateway.core.identify import noise_mg2, parts_of
from gateway.core.places import Pending, Place
from gateway.core.postings import Poster
from gateway.core.trails import Entry, Weighed, merged
from gateway.core.witnesses import SESSION_NS
from gateway.domain.observation import Because, Row, WeightStep
from gateway.domain.stock import ADJUST, BASKET, LOST, Kind
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI, sqrt_floor

JUST_ADDED_NS: Final = 2 * NS_PER_S
"""A removal that begins this soon after an addition settled takes units back; a later one is a
shopper's (DECISIONS)."""

STAFF_CONF: Final = 800
"""That staff put what no scan announced, while baskets hold as much."""


Prove = Callable[[int, int, str, str, int], list[Entry]]
LeftToCount = Callable[[int, str, str, int, bool], bool]


class Flows:
    """The movements of weighed locations; `place(location)` is the memory of one."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        baskets: Baskets,
        place: Callable[[str], Place],
        changed: Callable[[str], None],
    ) -> None:
        self._changed = changed
        self._store, self._poster, self._baskets = store, poster, baskets
        self._place = place
        self.prove: Prove = lambda at_ns, seen_ns, location, gtin, qty_milli: []
        """Books a pending removal of what came back there by `seen_ns`."""
        self.left_to_count: LeftToCount = lambda at_ns, location, gtin, qty, filling: False
        """Asked of what came from nowhere: whether the plate itself will count it."""

    def post(
        self, at_ns: int, one: Pending, row: Row, because: Because, reason: str | None = None
    ) -> None:
        """Books a decided step as what a row says; two products at once as two movements."""
        step, parts, conf = one.at(row), parts_of(row), row.ppm // 1000
        for n, part in enumerate(parts):
            gtin, qty, left = part.gtin, part.units * PIECE_MILLI, one.left_milli(part)
            weighs = part.units if len(parts) == 1 else 0
            if n:
                self._poster.once()
            if left < qty:
                if left:
                    self.pick(at_ns, step, gtin, left, conf, because, reason, weighs)
            elif step.step_mg < 0:
                self._removed(at_ns, step, gtin, qty, conf, because, reason, weighs)
            elif one.filling:
                self._filled(at_ns, step, gtin, qty, conf, because, reason)
            else:
                qty -= self.put_back(
                    at_ns, step.at_ns, step.location, gtin, qty, because,
                    one.taken.get(gtin, 0), conf=conf, reason=reason,
                )  # fmt: skip
                if qty and not self.left_to_count(at_ns, step.location, gtin, qty, False):
                    self._surplus(at_ns, step.location, gtin, qty, conf, because, reason)
        self._changed(step.location)

    def found_more(
        self,
        at_ns: int,
        seen_ns: int,
        location: str,
        gtin: str,
        qty: int,
        because: Because,
        conf: int,
        reason: str | None,
        restocked: str | None,
        most: int | None = None,
    ) -> None:
        """The whole ladder of a surplus; `restocked` is the reason of its last rungs.

        Baskets held at most so much when it came: what is taken later is not put back before.
        """
        qty -= self.put_back(
            at_ns, seen_ns, location, gtin, qty, because, most, conf=conf, reason=reason
        )
        self._surplus(at_ns, location, gtin, qty, conf, because, restocked)

    def conjures(self, one: Pending) -> bool:
        """Whether what came, if it was the likeliest, came from nowhere that the book knows."""
        return any(self._conjures(one, part) for part in parts_of(one.rows[0]))

    def _conjures(self, one: Pending, row: Row) -> bool:
        gtin, qty, step = row.gtin, row.units * PIECE_MILLI, one.step
        held = min(self._baskets.in_basket(gtin), one.taken.get(gtin, 0))
        held += self._baskets.lately_lost(gtin)
        held += witnesses.left(self._place(step.location).scanned_in, step.at_ns).get(gtin, 0)
        held += sum(
            max(0, self._poster.book.balance(place.id, gtin))
            for place in self._store.locations
            if place.kind in ("receiving", "backroom")
        )
        return held < qty

    def _removed(
        self,
        at_ns: int,
        step: WeightStep,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
        weighs: int,
    ) -> None:
        location, place = step.location, self._place(step.location)
        qty -= witnesses.use(place.scanned_out, gtin, qty, step.at_ns)
        if qty and 0 <= step.began_ns - place.added_at_ns <= JUST_ADDED_NS:
            back = witnesses.draw(place.added, gtin, qty, at_ns, newest=True)
            qty -= self.go_back(at_ns, location, gtin, back, because, conf=conf, reason="reversal")
        if qty:
            self.pick(at_ns, step, gtin, qty, conf, because, reason, weighs)

    def go_back(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        parts: list[tuple[str, int]],
        because: Because,
        **members: object,
    ) -> int:
        """Units of a restock did not stay: each goes to where it came from. How much."""
        for source, qty in parts:
            kind: Kind = "adjust" if source == ADJUST else "restock"
            lots = self._poster.supply(at_ns, location, gtin, qty, None)
            self._poster.move(kind, at_ns, location, source, gtin, lots, because, **members)
            members["src"] = ()  # one reading is the source of one restock
        return sum(qty for _, qty in parts)

    def pick(
        self,
        at_ns: int,
        step: WeightStep,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
        units: int = 0,
        back: int = 0,
    ) -> list[Entry]:
        """Units that left a shelf into a basket; the step weighs so many, none when 0.

        Up to `back` of them, in milli, have come back and are returned.
        """
        parts = self._poster.supply(at_ns, step.location, gtin, qty, None)
        event = self._poster.move(
            "pick", at_ns, step.location, BASKET, gtin, parts, because, conf=conf, reason=reason
        )
        noise_mg = sqrt_floor(noise_mg2(abs(step.step_mg), [step.sigma_mg]))
        weighed = Weighed(abs(step.step_mg), units, noise_mg) if units else None
        return self._baskets.picked(
            at_ns, step.began_ns, gtin, step.location, parts, event.seq, weighed, back,
            untimed=step.outage,
        )  # fmt: skip

    def _filled(
        self,
        at_ns: int,
        step: WeightStep,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> None:
        """Units that staff put: what a scan announced is booked already."""
        location, place = step.location, self._place(step.location)
        came = witnesses.draw(place.scanned_in, gtin, qty, step.at_ns)
        rest = qty - sum(part for _, part in came)
        if not came and self._returned(place, step, gtin, qty):
            self.found_more(at_ns, step.at_ns, location, gtin, qty, because, conf, reason, reason)
            return
        if self._baskets.in_basket(gtin) >= rest:
            conf = min(conf, STAFF_CONF)
        if rest and not self.left_to_count(at_ns, location, gtin, rest, True):
            came += self._surplus(at_ns, location, gtin, rest, conf, because, reason)
        if reason is not None:
            return
        if rest:  # they carry more than was announced, and may go on
            place.session_until_ns = max(place.session_until_ns, at_ns + SESSION_NS)
        place.added_at_ns = at_ns
        for source, part in came:
            witnesses.add(place.added, gtin, part, at_ns, source)
        # A shelf is filled by handfuls, for minutes: each keeps the announcement alive (5.6).
        witnesses.renew(place.scanned_in, at_ns)
        witnesses.renew(place.weighed_in, at_ns)

    def _returned(self, place: Place, step: WeightStep, gtin: str, qty: int) -> bool:
        """Whether a shopper put what no scan announced: baskets hold all of it.

        While staff fill the shelf with what nobody announced, only what was taken from it since
        they last put something there.
        """
        if step.began_ns >= place.session_until_ns:
            return self._baskets.in_basket(gtin) >= qty
        since = place.added_at_ns
        return self._baskets.in_basket(gtin, step.location, since, step.began_ns) >= qty

    def put_back(
        self,
        at_ns: int,
        seen_ns: int,
        location: str,
        gtin: str,
        qty: int,
        because: Because,
        most: int | None = None,
        **members: object,
    ) -> int:
        """The first rungs of the surplus ladder: from a basket, else from the lost. How much.

        A removal that waits is proved only if it began before the surplus was seen. In baskets
        units are alike: a sale since may have taken the one that came back for another.
        """
        most = qty if most is None else min(qty, most)
        entries = self._baskets.newest(gtin, most)
        while short := most - sum(entry.qty_milli for entry in entries):
            more = self.prove(at_ns, seen_ns, location, gtin, short)
            if not more:
                break
            entries += more
        parts = merged((entry.lot, entry.qty_milli) for entry in entries)
        if parts:
            why = _resting(because, entries[0].seq)
            self._poster.move("putback", at_ns, BASKET, location, gtin, parts, why, **members)
        done = sum(part for _, part in parts)
        losses = self._baskets.unlose(at_ns, gtin, qty - done)
        lost = merged((x.lot, x.qty_milli) for x in losses)
        if lost:
            why = _resting(because, losses[0].seq)
            self._poster.move("found", at_ns, LOST, location, gtin, lost, why, **members)
        return done + sum(part for _, part in lost)

    def _surplus(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> list[tuple[str, int]]:
        """The last rungs: from the stores behind the shelf, else openly from `@adjust`.

        How much from where.
        """
        came: list[tuple[str, int]] = []
        if not qty:
            return came
        members: dict[str, object] = {"conf": conf, "reason": reason or "unrecorded"}
        for source in self._store.locations:
            part = min(qty, max(0, self._poster.book.balance(source.id, gtin)))
            if not part or source.kind not in ("receiving", "backroom") or source.id == location:
                continue
            parts = self._poster.supply(at_ns, source.id, gtin, part, None)
            self._poster.move(
                "restock", at_ns, source.id, location, gtin, parts, because, **members
            )
            members["src"] = ()  # one reading is the source of one restock
            came.append((source.id, part))
            qty -= part
        if qty:
            came.append((ADJUST, qty))
            members |= {"reason": "unrecorded"}
            self._poster.move(
                "adjust", at_ns, ADJUST, location, gtin, [("", qty)], because, **members
            )
        for loc, part in came:
            witnesses.add(self._place(location).weighed_in, gtin, part, at_ns, loc)
        self._changed(location)
        return came

    # --- what scans tell the plates -------------------------------------------------------------

    def restock_scanned(
        self, at_ns: int, location: str, gtin: str, qty_milli: int, source: str
    ) -> int:
        """A restock scan: a session until its goods are placed. How much of it the plate has
        already booked; what it booked from another store than the scan says goes back there."""
        place = self._place(location)
        seen = witnesses.draw(place.weighed_in, gtin, qty_milli, at_ns)
        wrong = [(loc, part) for loc, part in seen if loc not in (source, ADJUST, "")]
        back = self.go_back(
            at_ns, location, gtin, wrong, Because("scan"), src=(), reason="reversal"
        )
        qty_seen = sum(part for _, part in seen)
        if qty_milli > qty_seen:
            witnesses.add(place.scanned_in, gtin, qty_milli - qty_seen, at_ns, source)
        return qty_seen - back

    def removal_scanned(
        self, at_ns: int, location: str, gtin: str, qty_milli: int
    ) -> list[tuple[str, int]]:
        """A write-off or transfer from a weighed shelf: picks just seen there were this removal.

        The lots and quantities to take back out of the basket first; what no pick explains yet is
        expected to leave the plate.
        """
        since = at_ns - SESSION_NS
        entries = self._baskets.newest(gtin, qty_milli, location, since)
        parts = merged((entry.lot, entry.qty_milli) for entry in entries)
        rest = qty_milli - sum(part for _, part in parts)
        if rest:
            witnesses.add(self._place(location).scanned_out, gtin, rest, at_ns)
        return parts


def _resting(because: Because, seq: int) -> Because:
    """With the earlier event that it undoes, where none is told."""
    return because if because.seq is not None else msgspec.structs.replace(because, seq=seq)
