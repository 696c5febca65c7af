"""From observations to movements: who witnesses what, and where goods come from and go to.

Here: the dispatch of every observation and command to the part that books it, and the deadlines of
those parts. FLOW sources post at once, each only the transfer it can witness (ALGORITHMS 5). Not
here: how a sensor is filtered (`scans`, `weigh`), how things are stored. Next: `baskets`,
`shelves`, `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

import msgspec

from gateway.core.baskets import Baskets, Trail
from gateway.core.book import BrokenInvariant, Posting
from gateway.core.counts import Count, Counts
from gateway.core.postings import Poster
from gateway.core.shelves import Place, Shelves
from gateway.domain.observation import (
    Because,
    DeviceSeen,
    ModeChanged,
    Observation,
    Ordered,
    ScanMove,
    WeightStep,
)
from gateway.domain.reading import Adjust, OpenEpoch, Stocktake, Void, Writeoff
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import (
    ADJUST,
    BASKET,
    SOLD,
    SUPPLIER,
    TRANSFER,
    WASTE,
    Kind,
    Opened,
    Ref,
    Source,
    StockEvent,
)
from gateway.domain.store import Store

Part = Trail | Place | Count


class Fusion:
    """All that decides what is booked. Fed in order of time; see `advance`."""

    def __init__(
        self,
        store: Store,
        settings: FusionSettings,
        poster: Poster,
        weighed: frozenset[str],
        saved: Mapping[str, bytes],
    ) -> None:
        self._store, self._poster = store, poster
        self._weighed = weighed
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._live: dict[str, bool] = {}
        self.changed: dict[str, None] = {}
        self._baskets = Baskets(
            settings, poster, self._place_of_pick, lambda gtin: self._touch(f"trail:{gtin}")
        )
        self._shelves = Shelves(
            store, settings, poster, self._baskets, lambda loc: self._touch(f"place:{loc}")
        )
        self._counts = Counts(
            settings.mode_idle_s, poster, lambda device: self._touch(f"count:{device}")
        )
        self._restore(saved)

    # --- time -----------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """The next time at which something happens by itself."""
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) == due:
                return due
            heappop(self._heap)
        return None

    def advance(self, at_ns: int) -> None:
        """Fires what is due at exactly `at_ns`, the earliest deadline, keys compared as text."""
        while (due := self.deadline()) is not None and due <= at_ns:
            _, key = heappop(self._heap)
            kind, _, name = key.partition(":")
            self._poster.because_of(None, ())
            if kind == "trail":
                self._baskets.fire(due, name)
            elif kind == "place":
                self._shelves.fire(due, name)
            else:
                self._counts.close(due, name)
            if self._due.get(key) == due:
                raise BrokenInvariant(f"deadline of {key} at {due} fired and did not move")

    def _deadline_of(self, key: str) -> int | None:
        kind, _, name = key.partition(":")
        if kind == "trail":
            return self._baskets.deadline(name)
        if kind == "place":
            return self._shelves.deadline(name)
        return self._counts.deadline(name)

    def _touch(self, key: str) -> None:
        self.changed[key] = None
        due = self._deadline_of(key)
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heappush(self._heap, (due, key))

    # --- state ----------------------------------------------------------------------------------

    def part(self, key: str) -> Part | None:
        """The state behind a key of `changed`; None when it is gone."""
        kind, _, name = key.partition(":")
        parts: Mapping[str, Part] = {
            "trail": self._baskets.trails,
            "place": self._shelves.places,
            "count": self._counts.counts,
        }[kind]  # type: ignore[assignment]
        return parts.get(name)

    def _restore(self, saved: Mapping[str, bytes]) -> None:
        for key, body in sorted(saved.items()):
            kind, _, name = key.partition(":")
            if kind == "trail":
                self._baskets.trails[name] = msgspec.json.decode(body, type=Trail)
            elif kind == "place":
                self._shelves.places[name] = msgspec.json.decode(body, type=Place)
            elif kind == "count":
                self._counts.counts[name] = msgspec.json.decode(body, type=Count)
            else:
                continue
            self._touch(key)
        self.changed.clear()

    # --- observations ---------------------------------------------------------------------------

    def observe(self, number: int, observation: Observation) -> None:
        """Books what an observation witnesses; `number` is its place in the journal."""
        if isinstance(observation, ScanMove):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._scan(observation)
        elif isinstance(observation, WeightStep):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._shelves.step(observation, number)
        elif isinstance(observation, Ordered):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._order(observation)
        elif isinstance(observation, ModeChanged):
            self._poster.because_of(number, ())
            if observation.before == "stocktake":
                self._counts.close(observation.at_ns, observation.device)
        elif isinstance(observation, DeviceSeen):
            self._live[observation.location] = observation.up

    def _scan(self, s: ScanMove) -> None:
        if s.uom is not None:
            self._poster.uom_of(s.gtin, s.uom)
        if s.lot is not None and s.exp is not None:
            self._poster.book.learn_expiry(s.gtin, s.lot, s.exp)
        if s.mode == "sale":
            self._baskets.sale(s.at_ns, s.gtin, s.qty_milli, s.lot, Source(s.device, s.ref), None)
            return
        if s.mode == "lookup":
            return
        place = self._place_of_scan(s)
        if place is None:
            self._poster.note(s.at_ns, "no_location", f"{s.mode} of {s.gtin}: no place for it")
        elif s.mode == "stocktake":
            self._counts.scan(s, place)
        elif s.mode == "restock":
            self._restock(s, place)
        elif s.mode in ("writeoff", "transfer_out"):
            self._remove(s, place)
        else:
            origin = {"return": SOLD, "receive": SUPPLIER, "transfer_in": TRANSFER}[s.mode]
            self._poster.move(
                s.mode,
                s.at_ns,
                origin,
                place,
                s.gtin,
                [(s.lot or "", s.qty_milli)],
                Because("scan"),
                ref=_document(s),
            )

    def _place_of_scan(self, s: ScanMove) -> str | None:
        """The scanner's own place, else receiving or backroom, else the home (CONTRACT 6)."""
        if s.location is not None and self._poster.is_physical(s.location):
            return s.location
        stores = self._store.first_of("receiving", "backroom")
        home = next(iter(self._store.homes(s.gtin)), None)
        if s.mode in ("writeoff", "transfer_out", "stocktake"):
            return home or stores
        return stores or home

    def _restock(self, s: ScanMove, source: str) -> None:
        homes = self._store.homes(s.gtin)
        if not homes:
            text = f"{s.gtin} has no place in the planogram: nothing moved"
            self._poster.note(s.at_ns, "no_home", text, s.device)
            return
        home = next((h for h in homes if self._has_room(h, s.gtin)), homes[0])
        qty = s.qty_milli
        if home in self._weighed:
            qty -= self._shelves.restock_scanned(s.at_ns, home, s.gtin, qty)
        if not qty or source == home:
            return
        if self._poster.book.balance(source, s.gtin) < qty:
            source = next(
                (
                    loc.id
                    for loc in self._store.locations
                    if loc.kind in ("receiving", "backroom")
                    and self._poster.book.balance(loc.id, s.gtin) >= qty
                ),
                source,
            )
        parts = self._poster.supply(s.at_ns, source, s.gtin, qty, s.lot)
        self._poster.move(
            "restock", s.at_ns, source, home, s.gtin, parts, Because("scan"), ref=_document(s)
        )

    def _has_room(self, location: str, gtin: str) -> bool:
        capacity = next(
            (
                f.capacity_milli
                for f in self._store.planogram
                if f.location == location and f.gtin == gtin
            ),
            None,
        )
        return capacity is None or self._poster.book.balance(location, gtin) < capacity

    def _remove(self, s: ScanMove, place: str) -> None:
        """A write-off or transfer: goods leave the shop for good, from where they lay."""
        if place in self._weighed:
            back = self._shelves.removal_scanned(s.at_ns, place, s.gtin, s.qty_milli)
            if back:
                self._poster.move(
                    "putback",
                    s.at_ns,
                    BASKET,
                    place,
                    s.gtin,
                    back,
                    Because("scan_proves_removal"),
                    conf=900,
                    reason="staff_removal",
                )
        parts = self._poster.supply(s.at_ns, place, s.gtin, s.qty_milli, s.lot)
        kind: Kind = "writeoff" if s.mode == "writeoff" else "transfer_out"
        target, reason = (WASTE, "other") if kind == "writeoff" else (TRANSFER, None)
        self._poster.move(
            kind,
            s.at_ns,
            place,
            target,
            s.gtin,
            parts,
            Because("scan"),
            ref=_document(s),
            reason=reason,
        )

    def _place_of_pick(self, gtin: str, qty_milli: int) -> str | None:
        """Where a pick that nobody saw most probably was: ALGORITHMS 5.3 rule 1 d."""
        for place in self._shelves.pending_places(gtin):
            self._shelves.resolve_pending(place, gtin)
            return place
        held = self._poster.book.balance
        homes = self._store.homes(gtin)
        # A shelf with a living plate would have seen it.
        order = sorted(homes, key=lambda loc: self._live.get(loc, False))
        order += [
            x.id
            for kind in ("shelf", "backroom", "receiving")
            for x in self._store.locations
            if x.kind == kind and x.id not in homes
        ]
        for enough in (qty_milli, 1):
            for loc in order:
                if held(loc, gtin) >= enough:
                    return loc
        return order[0] if order else None

    # --- commands -------------------------------------------------------------------------------

    def _order(self, ordered: Ordered) -> None:
        order, at_ns = ordered.order, ordered.at_ns
        because = Because("command")
        if isinstance(order, Stocktake):
            self._counts.book(
                at_ns, order.location, order.gtin, order.lot, order.qty_milli, because
            )
        elif isinstance(order, Writeoff):
            parts = self._poster.supply(
                at_ns, order.location, order.gtin, order.qty_milli, order.lot
            )
            self._poster.move(
                "writeoff",
                at_ns,
                order.location,
                WASTE,
                order.gtin,
                parts,
                because,
                reason=order.reason,
            )
        elif isinstance(order, Adjust):
            self._adjust(at_ns, order, because)
        elif isinstance(order, Void):
            self._void(at_ns, order, because)
        elif isinstance(order, OpenEpoch):
            self._poster.open_epoch(at_ns, Opened(order.baseline, order.sha256, order.why))

    def _adjust(self, at_ns: int, order: Adjust, because: Because) -> None:
        source, target, qty = ADJUST, order.location, order.qty_milli
        if qty < 0:
            source, target, qty = target, source, -qty
        if qty:
            parts = self._poster.supply(at_ns, source, order.gtin, qty, order.lot)
            self._poster.move(
                "adjust", at_ns, source, target, order.gtin, parts, because, reason=order.reason
            )

    def _void(self, at_ns: int, order: Void, because: Because) -> None:
        original = self._poster.lookup(order.event)
        if original is None or original.kind in ("void", "epoch_open"):
            self._poster.note(at_ns, "void_refused", f"{order.event} is no event to take back")
            return
        if self._poster.is_voided(original):
            self._poster.note(at_ns, "void_refused", f"{order.event} was taken back before")
            return
        self._cover(at_ns, original)
        mirror = [Posting(line.loc, line.gtin, line.lot, -line.d) for line in original.lines]
        event = self._poster.post(
            "void",
            at_ns,
            mirror,
            msgspec.structs.replace(because, seq=original.seq),
            corr=original.id,
            ref=original.ref,
        )
        for line in event.lines:
            if line.loc == BASKET:
                self._baskets.mirror(
                    at_ns, line.gtin, line.lot or "", line.d, original.seq, event.seq
                )

    def _cover(self, at_ns: int, original: StockEvent) -> None:
        """The mirror may take from a place what is no longer there: guard first, then void."""
        for line in original.lines:
            if line.d > 0 and self._poster.is_physical(line.loc):
                self._poster.supply(at_ns, line.loc, line.gtin, line.d, line.lot or "")


def _document(s: ScanMove) -> Ref | None:
    if s.doc is None:
        return None
    kinds = {
        "receive": "desadv",
        "return": "rma",
        "transfer_in": "transfer",
        "transfer_out": "transfer",
    }
    return Ref(kinds.get(s.mode, "ticket"), s.doc)  # type: ignore[arg-type]
