"""Weight steps to movements: picks, put-backs, restocks; and what waits for better evidence.

Here: classes of belief, pending steps, the surplus ladder, restock sessions (ALGORITHMS 2.3, 5.4,
5.6). Not here: how a step is detected (`weigh`), which products it may be (`candidates`), how it is
scored (`identify`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.core import witnesses
from gateway.core.baskets import PROVEN_CONF, Baskets, merged
from gateway.core.candidates import Candidates
from gateway.core.identify import AUTO_PPM, PENDING_PPM, identify
from gateway.core.postings import Poster
from gateway.core.weigh import THETA_MAX_MG
from gateway.core.witnesses import SESSION_NS, Credit
from gateway.domain.observation import Because, Row, WeightStep
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import ADJUST, BASKET, LOST, Source
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI

JUST_ADDED_NS: Final = 2 * NS_PER_S
"""A removal that begins this soon after an addition settled takes units back; a later one is a
shopper's (DECISIONS)."""
SESSION_OPENS_UNITS: Final = 4
PENDING_MAX: Final = 64
"""Steps that wait at one place; the oldest beyond it is posted at once."""


class Pending(msgspec.Struct):
    """A step that is probable, not certain; the book waits for other evidence."""

    at_ns: int
    step: WeightStep
    rows: tuple[Row, ...]
    cause: int | None
    filling: bool = False
    """Staff were filling the shelf, or this step says so itself."""


class Place(msgspec.Struct):
    """What a weighed location remembers between steps."""

    live: bool = False
    """Its plate is there and would have seen a pick."""
    session_until_ns: int = 0
    added_at_ns: int = 0
    added: list[Credit] = []
    """Units that came in this session, and may be taken back at once."""
    scanned_in: list[Credit] = []
    """Restock scans whose goods the plate has yet to see."""
    scanned_out: list[Credit] = []
    """Write-offs and transfers whose goods the plate has yet to see leave."""
    weighed_in: list[Credit] = []
    """Surpluses the plate has booked before anyone scanned."""
    pending: list[Pending] = []


class Shelves:
    """The weighed locations. `changed(location)` is called after each change."""

    def __init__(
        self,
        store: Store,
        settings: FusionSettings,
        poster: Poster,
        baskets: Baskets,
        changed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._poster, self._baskets, self._changed = poster, baskets, changed
        self._candidates = Candidates(store, poster.book, baskets)
        self._pending_ns = settings.pending_step_s * NS_PER_S
        self.places: dict[str, Place] = {}

    def place(self, location: str) -> Place:
        """The memory of a location, made on first use."""
        return self.places.setdefault(location, Place())

    def seen(self, location: str, up: bool) -> None:
        """The plate of a location came or went."""
        self.place(location).live = up
        self._changed(location)

    def live(self, location: str) -> bool:
        """Whether a plate there would have seen a pick."""
        place = self.places.get(location)
        return place is not None and place.live

    def deadline(self, location: str) -> int | None:
        """When the oldest pending step stops waiting."""
        place = self.places.get(location)
        if place is None:
            return None
        return min((p.at_ns + self._pending_ns for p in place.pending), default=None)

    def fire(self, at_ns: int, location: str) -> None:
        """Pending steps that waited long enough are posted as what they most probably are."""
        for pending in self.place(location).pending[:]:
            if pending.at_ns + self._pending_ns <= at_ns:
                self._expire(at_ns, pending)
        self._changed(location)

    def _expire(self, at_ns: int, pending: Pending) -> None:
        step, best = pending.step, pending.rows[0]
        self.place(step.location).pending.remove(pending)
        self._poster.because_of(pending.cause, (Source(step.device, step.ref),))
        because = Because("step_expired", pending.rows)
        self._post(at_ns, step, best, because, pending.filling, "pending_expired")
        self._poster.because_of(None, ())

    def step(self, step: WeightStep, cause: int | None) -> None:
        """A plate settled at another mass."""
        place = self.place(step.location)
        if self._undone(place, step):
            self._changed(step.location)
            return
        rows, filling = self._judge(step)
        best = rows[0]
        if not _explained(best):
            return  # journalled as an observation, nothing is booked
        lightest_mg = self._candidates.lightest_mg(step.location)
        blind = lightest_mg is not None and max(THETA_MAX_MG, 4 * step.sigma_mg) > lightest_mg // 2
        if best.ppm < AUTO_PPM or step.outage or blind:
            place.pending.append(Pending(step.at_ns, step, rows, cause, filling))
            if len(place.pending) > PENDING_MAX:
                self._expire(step.at_ns, place.pending[0])
        else:
            self._post(step.at_ns, step, best, Because("step", rows), filling, None)
        self._changed(step.location)

    def _judge(self, step: WeightStep) -> tuple[tuple[Row, ...], bool]:
        """The rows of a step, best first, and whether staff are filling the shelf with it."""
        location = step.location
        if step.step_mg < 0:
            return identify(step.step_mg, step.sigma_mg, self._candidates.leaving(location)), False
        filling = self._candidates.filling(location)
        if self.in_session(location, step.began_ns):
            return identify(step.step_mg, step.sigma_mg, filling), True
        rows = identify(step.step_mg, step.sigma_mg, self._candidates.arriving(location))
        best = rows[0]
        if not _explained(best) or best.units >= SESSION_OPENS_UNITS:
            # More than a hand puts down and than baskets hold: somebody restocks unannounced.
            more = identify(step.step_mg, step.sigma_mg, filling)
            units, gtin = more[0].units, more[0].gtin
            beyond = units * PIECE_MILLI > self._baskets.in_basket(gtin)
            if _explained(more[0]) and units >= SESSION_OPENS_UNITS and beyond:
                return more, True
        return rows, False

    def _undone(self, place: Place, step: WeightStep) -> bool:
        """Whether a step takes back a pending one exactly: the same thing came or went again."""
        near_mg = max(2 * step.sigma_mg, abs(step.step_mg) // 200)
        for pending in reversed(place.pending):
            if abs(pending.step.step_mg + step.step_mg) <= near_mg:
                place.pending.remove(pending)
                return True
        return False

    def prove(self, at_ns: int, gtin: str, until_ns: int, sale_seq: int) -> bool:
        """A sale tells what a pending removal was, if one began by then: it is posted as a pick."""
        found = [
            (-row.ppm, p.at_ns, location, p, row)
            for location, place in self.places.items()
            for p in place.pending
            if p.step.step_mg < 0 and p.step.began_ns <= until_ns
            for row in p.rows
            if row.gtin == gtin and row.units
        ]
        if not found:
            return False
        _, _, location, pending, row = min(found, key=lambda one: one[:3])
        self.place(location).pending.remove(pending)
        self._poster.because_of(pending.cause, (Source(pending.step.device, pending.step.ref),))
        because = Because("sale_proves_pick", pending.rows, sale_seq)
        self._pick(at_ns, pending.step, gtin, row.units * PIECE_MILLI, PROVEN_CONF, because, None)
        self._poster.because_of(None, ())
        self._changed(location)
        return True

    # --- posting --------------------------------------------------------------------------------

    def _post(
        self,
        at_ns: int,
        step: WeightStep,
        best: Row,
        because: Because,
        filling: bool,
        reason: str | None,
    ) -> None:
        qty, conf = best.units * PIECE_MILLI, best.ppm // 1000
        if step.step_mg < 0:
            self._removed(at_ns, step, best.gtin, qty, conf, because, reason)
        elif filling:
            self._filled(at_ns, step.location, best.gtin, qty, conf, because, reason)
        else:
            qty -= self.put_back(
                at_ns, step.location, best.gtin, qty, because, conf=conf, reason=reason
            )
            self._surplus(at_ns, step.location, best.gtin, qty, conf, because, reason)

    def _removed(
        self,
        at_ns: int,
        step: WeightStep,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> None:
        location, place = step.location, self.place(step.location)
        qty -= witnesses.use(place.scanned_out, gtin, qty, at_ns)
        target = self._store.first_of("backroom", "receiving")
        just_added = 0 <= step.began_ns - place.added_at_ns <= JUST_ADDED_NS
        if qty and target is not None and just_added:
            back = witnesses.use(place.added, gtin, qty, at_ns)
            if back:
                parts = self._poster.supply(at_ns, location, gtin, back, None)
                self._poster.move(
                    "restock",
                    at_ns,
                    location,
                    target,
                    gtin,
                    parts,
                    because,
                    conf=conf,
                    reason="reversal",
                )
                qty -= back
        if qty:
            self._pick(at_ns, step, gtin, qty, conf, because, reason)

    def _pick(
        self,
        at_ns: int,
        step: WeightStep,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> None:
        parts = self._poster.supply(at_ns, step.location, gtin, qty, None)
        event = self._poster.move(
            "pick", at_ns, step.location, BASKET, gtin, parts, because, conf=conf, reason=reason
        )
        self._baskets.picked(at_ns, step.began_ns, gtin, step.location, parts, event.seq)

    def _filled(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> None:
        """Units that staff put: what a scan announced is booked already."""
        place = self.place(location)
        if reason is None:
            place.session_until_ns = max(place.session_until_ns, at_ns + SESSION_NS)
            place.added_at_ns = at_ns
            witnesses.add(place.added, gtin, qty, at_ns)
        qty -= witnesses.use(place.scanned_in, gtin, qty, at_ns)
        self._surplus(at_ns, location, gtin, qty, conf, because, reason)

    def put_back(
        self, at_ns: int, location: str, gtin: str, qty: int, because: Because, **members: object
    ) -> int:
        """The first rungs of the surplus ladder: from a basket, else from the lost. How much."""
        entries = self._baskets.newest(gtin, qty)
        parts = merged((entry.lot, entry.qty_milli) for entry in entries)
        if parts:
            self._poster.move("putback", at_ns, BASKET, location, gtin, parts, because, **members)
        done = sum(part for _, part in parts)
        lost = merged((x.lot, x.qty_milli) for x in self._baskets.unlose(at_ns, gtin, qty - done))
        if lost:
            self._poster.move("found", at_ns, LOST, location, gtin, lost, because, **members)
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
    ) -> None:
        """The last rungs: from the stores behind the shelf, else openly from `@adjust`."""
        if not qty:
            return
        witnesses.add(self.place(location).weighed_in, gtin, qty, at_ns)
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
            qty -= part
        if qty:
            members |= {"reason": "unrecorded"}
            self._poster.move(
                "adjust", at_ns, ADJUST, location, gtin, [("", qty)], because, **members
            )

    # --- what scans tell the plates -------------------------------------------------------------

    def in_session(self, location: str, at_ns: int) -> bool:
        """Whether staff are filling this shelf."""
        place = self.places.get(location)
        return place is not None and at_ns < place.session_until_ns

    def restock_scanned(self, at_ns: int, location: str, gtin: str, qty_milli: int) -> int:
        """A restock scan: opens the session. How much of it the plate has already booked."""
        place = self.place(location)
        place.session_until_ns = max(place.session_until_ns, at_ns + SESSION_NS)
        seen = witnesses.use(place.weighed_in, gtin, qty_milli, at_ns)
        if qty_milli > seen:
            witnesses.add(place.scanned_in, gtin, qty_milli - seen, at_ns)
        self._changed(location)
        return seen

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
            witnesses.add(self.place(location).scanned_out, gtin, rest, at_ns)
        self._changed(location)
        return parts


def _explained(row: Row) -> bool:
    return row.units > 0 and row.ppm >= PENDING_PPM
