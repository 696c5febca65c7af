"""Weight steps to movements: picks, put-backs, restocks; and what waits for better evidence.

Here: candidates and their priors, the surplus ladder, restock sessions, credits between scans and
plates that see the same goods, pending steps (ALGORITHMS 2.3, 2.4, 5.4, 5.6). Not here: how a step
is detected (`weigh`) or scored (`identify`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.core.baskets import Baskets, merged
from gateway.core.identify import AUTO_PPM, PENDING_PPM, Candidate, identify
from gateway.core.postings import Poster
from gateway.domain.observation import Because, Row, WeightStep
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import ADJUST, BASKET, LOST, Source
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI

SESSION_NS: Final = 120 * NS_PER_S
"""A restock scan covers this long before and after; each positive step extends it."""
JUST_ADDED_NS: Final = 5 * NS_PER_S
"""A removal this soon after a restock takes the units back, later it is a shopper's (DECISIONS)."""
SESSION_OPENS_UNITS: Final = 4
BASKET_SHARE_PPM: Final = 800_000
FOREIGN_SHARE_PPM: Final = 50_000
_PPM: Final = 1_000_000
_MANY: Final = 1_000_000
UNITS_MAX: Final = 8
CREDITS_MAX: Final = 64


class Credit(msgspec.Struct):
    """Units that one witness has booked and the other may still see."""

    gtin: str
    qty_milli: int
    at_ns: int


class Pending(msgspec.Struct):
    """A step that is probable, not certain; the book waits for other evidence."""

    at_ns: int
    step: WeightStep
    rows: tuple[Row, ...]
    cause: int | None


class Place(msgspec.Struct):
    """What a weighed location remembers between steps."""

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
        self._products = store.product_by_gtin()
        self._poster, self._baskets, self._changed = poster, baskets, changed
        self._pending_ns = settings.pending_step_s * NS_PER_S
        self.places: dict[str, Place] = {}

    def place(self, location: str) -> Place:
        """The memory of a location, made on first use."""
        return self.places.setdefault(location, Place())

    def deadline(self, location: str) -> int | None:
        """When the oldest pending step stops waiting."""
        place = self.places.get(location)
        if place is None:
            return None
        return min((p.at_ns + self._pending_ns for p in place.pending), default=None)

    def fire(self, at_ns: int, location: str) -> None:
        """Pending steps that waited long enough are posted as what they most probably are."""
        place = self.place(location)
        due = [p for p in place.pending if p.at_ns + self._pending_ns <= at_ns]
        for pending in due:
            place.pending.remove(pending)
            self._poster.because_of(pending.cause, (Source(pending.step.device, pending.step.ref),))
            self._post(at_ns, pending.step, pending.rows, "step_expired", "pending_expired")
        self._poster.because_of(None, ())
        self._changed(location)

    def step(self, step: WeightStep, cause: int | None) -> None:
        """A plate settled at another mass."""
        place = self.place(step.location)
        removal = step.step_mg < 0
        candidates = self._leaving(step) if removal else self._arriving(step, place)
        rows = identify(step.step_mg, step.sigma_mg, candidates)
        best = rows[0]
        if best.units == 0 or best.ppm < PENDING_PPM:
            return  # unexplained: journalled as an observation, nothing is booked
        if best.ppm < AUTO_PPM or step.outage:
            place.pending.append(Pending(step.at_ns, step, rows, cause))
        else:
            self._post(step.at_ns, step, rows, "step", None)
        self._changed(step.location)

    def resolve_pending(self, location: str, gtin: str) -> tuple[Row, ...] | None:
        """A sale proved a removal: the pending step that waited for it, its rows; or None."""
        place = self.places.get(location)
        for pending in place.pending if place else ():
            if pending.step.step_mg < 0 and pending.rows[0].gtin == gtin:
                self.place(location).pending.remove(pending)
                self._changed(location)
                return pending.rows
        return None

    def pending_places(self, gtin: str) -> list[str]:
        """Locations with a pending removal of this product."""
        return [
            location
            for location, place in self.places.items()
            if any(p.step.step_mg < 0 and p.rows[0].gtin == gtin for p in place.pending)
        ]

    # --- candidates -----------------------------------------------------------------------------

    def _homes(self, location: str) -> list[tuple[str, int]]:
        """Weighable products that belong on the plate, with their share of the prior."""
        home = dict.fromkeys(f.gtin for f in self._store.planogram if f.location == location)
        foreign = [g for g in self._poster.book.products_at(location) if g not in home]
        shares = [(g, _PPM // max(1, len(home))) for g in home]
        shares += [(g, FOREIGN_SHARE_PPM) for g in foreign]
        return [(g, s) for g, s in shares if g in self._products]

    def _leaving(self, step: WeightStep) -> list[Candidate]:
        return [
            c
            for gtin, share in self._homes(step.location)
            if (
                c := self._candidate(
                    gtin,
                    share,
                    self._poster.book.balance(step.location, gtin) // PIECE_MILLI,
                    UNITS_MAX,
                )
            )
            is not None
        ]

    def _arriving(self, step: WeightStep, place: Place) -> list[Candidate]:
        if self.in_session(step.location, step.began_ns):
            return [
                c
                for gtin, share in self._homes(step.location)
                if (
                    c := self._candidate(
                        gtin, share, _MANY, self._capacity(step.location, gtin), flat=True
                    )
                )
                is not None
            ]
        shares = dict.fromkeys((gtin for gtin, _ in self._homes(step.location)), 0)
        for gtin, share in self._homes(step.location):
            shares[gtin] += share * (_PPM - BASKET_SHARE_PPM) // _PPM
        basket = [g for g in self._baskets.products() if g in self._products]
        for gtin in basket:
            shares[gtin] = shares.get(gtin, 0) + BASKET_SHARE_PPM // len(basket)
        homes = {gtin for gtin, _ in self._homes(step.location)}
        return [
            c
            for gtin, share in shares.items()
            if (
                c := self._candidate(
                    gtin,
                    share,
                    _MANY if gtin in homes else self._baskets.in_basket(gtin) // PIECE_MILLI,
                    self._capacity(step.location, gtin) if gtin in homes else UNITS_MAX,
                )
            )
            is not None
        ]

    def _candidate(
        self, gtin: str, share_ppm: int, in_book: int, units_max: int, *, flat: bool = False
    ) -> Candidate | None:
        product = self._products[gtin]
        if product.unit_mass_mg is None or product.uom != "EA":
            return None
        return Candidate(
            gtin,
            product.unit_mass_mg,
            product.unit_mass_sd_mg,
            share_ppm,
            in_book,
            max(1, units_max),
            flat,
        )

    def _capacity(self, location: str, gtin: str) -> int:
        for facing in self._store.planogram:
            if facing.location == location and facing.gtin == gtin and facing.capacity_milli:
                return facing.capacity_milli // PIECE_MILLI
        return UNITS_MAX

    # --- posting --------------------------------------------------------------------------------

    def _post(
        self, at_ns: int, step: WeightStep, rows: tuple[Row, ...], code: str, reason: str | None
    ) -> None:
        best = rows[0]
        qty, conf = best.units * PIECE_MILLI, best.ppm // 1000
        because = Because(code, rows)
        if step.step_mg < 0:
            self._removed(at_ns, step, best.gtin, qty, conf, because, reason)
        else:
            self._arrived(at_ns, step, best.gtin, qty, conf, because, reason)

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
        qty -= _use(place.scanned_out, gtin, qty, at_ns)
        if qty and at_ns - place.added_at_ns <= JUST_ADDED_NS:
            back = _use(place.added, gtin, qty, at_ns)
            target = self._store.first_of("backroom", "receiving")
            if back and target is not None:
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
            parts = self._poster.supply(at_ns, location, gtin, qty, None)
            event = self._poster.move(
                "pick", at_ns, location, BASKET, gtin, parts, because, conf=conf, reason=reason
            )
            self._baskets.picked(at_ns, step.began_ns, gtin, location, parts, event.seq)

    def _arrived(
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
        session = self.in_session(location, step.began_ns)
        if session:
            place.session_until_ns = max(place.session_until_ns, at_ns + SESSION_NS)
            place.added_at_ns = at_ns
            _add(place.added, gtin, qty, at_ns)
        qty -= _use(place.scanned_in, gtin, qty, at_ns)
        if not session:
            qty -= self._put_back(at_ns, location, gtin, qty, conf, because, reason)
            if qty >= SESSION_OPENS_UNITS * PIECE_MILLI:
                place.session_until_ns = at_ns + SESSION_NS
                place.added_at_ns = at_ns
                _add(place.added, gtin, qty, at_ns)
                session = True
        if qty:
            self._surplus(
                at_ns,
                location,
                gtin,
                qty,
                conf,
                because,
                reason if session else reason or "unrecorded",
            )

    def _put_back(
        self,
        at_ns: int,
        location: str,
        gtin: str,
        qty: int,
        conf: int,
        because: Because,
        reason: str | None,
    ) -> int:
        """The first rungs of the surplus ladder: from a basket, else from the lost. How much."""
        entries = self._baskets.newest(gtin, qty)
        parts = merged((entry.lot, entry.qty_milli) for entry in entries)
        if parts:
            self._poster.move(
                "putback", at_ns, BASKET, location, gtin, parts, because, conf=conf, reason=reason
            )
        done = sum(part for _, part in parts)
        lost = merged((x.lot, x.qty_milli) for x in self._baskets.unlose(at_ns, gtin, qty - done))
        if lost:
            self._poster.move("found", at_ns, LOST, location, gtin, lost, because, conf=conf)
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
        _add(self.place(location).weighed_in, gtin, qty, at_ns)
        sources = [loc.id for loc in self._store.locations if loc.kind in ("receiving", "backroom")]
        moves = []
        for source in sources:
            part = min(qty, max(0, self._poster.book.balance(source, gtin)))
            if part:
                moves.append((source, part))
                qty -= part
        for n, (source, part) in enumerate(moves):
            parts = self._poster.supply(at_ns, source, gtin, part, None)
            extra = {} if n == 0 else {"src": ()}
            self._poster.move(
                "restock",
                at_ns,
                source,
                location,
                gtin,
                parts,
                because,
                conf=conf,
                reason=reason,
                **extra,
            )
        if qty:
            self._poster.move(
                "adjust",
                at_ns,
                ADJUST,
                location,
                gtin,
                [("", qty)],
                because,
                conf=conf,
                reason="unrecorded",
            )

    # --- what scans tell the plates -------------------------------------------------------------

    def in_session(self, location: str, at_ns: int) -> bool:
        """Whether staff are filling this shelf."""
        return at_ns <= self.place(location).session_until_ns

    def restock_scanned(self, at_ns: int, location: str, gtin: str, qty_milli: int) -> int:
        """A restock scan: opens the session. How much of it the plate has already booked."""
        place = self.place(location)
        place.session_until_ns = max(place.session_until_ns, at_ns + SESSION_NS)
        seen = _use(place.weighed_in, gtin, qty_milli, at_ns)
        if qty_milli > seen:
            _add(place.scanned_in, gtin, qty_milli - seen, at_ns)
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
            _add(self.place(location).scanned_out, gtin, rest, at_ns)
        self._changed(location)
        return parts


def _add(credits_: list[Credit], gtin: str, qty_milli: int, at_ns: int) -> None:
    credits_.append(Credit(gtin, qty_milli, at_ns))
    while len(credits_) > CREDITS_MAX or credits_[0].at_ns + SESSION_NS < at_ns:
        del credits_[0]


def _use(credits_: list[Credit], gtin: str, qty_milli: int, at_ns: int) -> int:
    """Takes up to so much of the credits that are not older than a session; how much it was."""
    used = 0
    for credit in credits_[:]:
        if credit.gtin != gtin or credit.at_ns + SESSION_NS < at_ns:
            continue
        part = min(qty_milli - used, credit.qty_milli)
        used += part
        credit.qty_milli -= part
        if credit.qty_milli == 0:
            credits_.remove(credit)
    return used
