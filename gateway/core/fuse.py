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

from gateway.core.baskets import PROVEN_CONF, Baskets, Trail
from gateway.core.book import BrokenInvariant
from gateway.core.counts import Count, Counts
from gateway.core.orders import Orders, Removal
from gateway.core.postings import Poster
from gateway.core.shelves import Place, Shelves
from gateway.core.tills import Receipt, Taps, Tills
from gateway.domain.observation import (
    Because,
    DeviceSeen,
    ModeChanged,
    Observation,
    Ordered,
    ScanMove,
    TillLine,
    WeightStep,
)
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import BASKET, SOLD, SUPPLIER, TRANSFER, WASTE, Ref, Source
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI

Part = Trail | Place | Count | Receipt | Taps


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
        self._now_ns = 0
        self.changed: dict[str, None] = {}
        self._baskets = Baskets(
            settings,
            poster,
            self._places_of_pick,
            self._prove_pending,
            lambda gtin: self._touch(f"trail:{gtin}"),
        )
        self._shelves = Shelves(
            store, settings, poster, self._baskets, lambda loc: self._touch(f"place:{loc}")
        )
        self._counts = Counts(
            settings.mode_idle_s,
            poster,
            self._counted_surplus,
            lambda device: self._touch(f"count:{device}"),
        )
        self._orders = Orders(poster, self._baskets, self._counts, self._remove)
        self.tills = Tills(self._keep)
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
        """Fires what is due up to `at_ns`, the earliest first, keys compared as text.

        Each at its own time; what was due before it could be known, when it became known.
        """
        while (due := self.deadline()) is not None and due <= at_ns:
            _, key = heappop(self._heap)
            kind, _, name = key.partition(":")
            self._now_ns = max(self._now_ns, due)
            self._poster.because_of(None, ())
            if kind == "trail":
                self._baskets.fire(self._now_ns, name)
            elif kind == "place":
                self._shelves.fire(self._now_ns, name)
            else:
                self._counts.close(self._now_ns, name)
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

    def _keep(self, key: str) -> None:
        self.changed[key] = None

    def part(self, key: str) -> Part | None:
        """The state behind a key of `changed`; None when it is gone."""
        kind, _, name = key.partition(":")
        parts: Mapping[str, Part] = {
            "trail": self._baskets.trails,
            "place": self._shelves.places,
            "count": self._counts.counts,
            "receipt": self.tills.receipts,
            "taps": self.tills.lanes,
        }[kind]  # type: ignore[assignment]
        return parts.get(name)

    def unsettled(self) -> int:
        """How many open sales, pending steps and running counts there are."""
        return (
            sum(len(trail.open) for trail in self._baskets.trails.values())
            + sum(len(place.pending) for place in self._shelves.places.values())
            + len(self._counts.counts)
        )

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
        self.tills.restore(saved)
        self.changed.clear()

    # --- observations ---------------------------------------------------------------------------

    def observe(self, number: int, observation: Observation) -> None:
        """Books what an observation witnesses; `number` is its place in the journal."""
        self._now_ns = max(self._now_ns, observation.at_ns)
        if isinstance(observation, ScanMove):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._scan(observation)
        elif isinstance(observation, TillLine):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._till_line(observation)
        elif isinstance(observation, WeightStep):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._shelves.step(observation, number)
        elif isinstance(observation, Ordered):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._orders.obey(observation)
        elif isinstance(observation, ModeChanged):
            self._poster.because_of(number, ())
            if observation.before == "stocktake":
                self._counts.close(observation.at_ns, observation.device)
        elif isinstance(observation, DeviceSeen):
            self._shelves.seen(observation.location, observation.up)

    def _scan(self, s: ScanMove) -> None:
        if s.mode == "lookup":
            return
        known = self._poster.known_uom(s.gtin, s.uom)
        if (known == "KGM") != (s.uom == "KGM"):
            text = f"{s.gtin} is kept in {known}, and the label does not say how much of it"
            self._poster.note(s.at_ns, "refused", text, s.device)
            return
        if s.mode == "sale":
            self._learn(s)
            self._baskets.sale(s.at_ns, s.gtin, s.qty_milli, s.lot, Source(s.device, s.ref), None)
            return
        place = self._place_of_scan(s)
        if place is None:
            text = f"{s.mode} of {s.gtin}: no place for it"
            self._poster.note(s.at_ns, "no_location", text, s.device)
        elif s.mode == "stocktake":
            self._counts.scan(s, place, known)
        elif s.mode == "restock":
            self._restock(s, place)
        elif s.mode in ("writeoff", "transfer_out"):
            self._learn(s)
            reason = "other" if s.mode == "writeoff" else None
            removal = Removal(s.mode, place, s.gtin, s.qty_milli, s.lot, reason, _document(s))
            self._remove(s.at_ns, removal, Because("scan"))
        else:
            self._learn(s)
            origin = {"return": SOLD, "receive": SUPPLIER, "transfer_in": TRANSFER}[s.mode]
            parts = [(s.lot or "", s.qty_milli)]
            self._poster.move(
                s.mode, s.at_ns, origin, place, s.gtin, parts, Because("scan"), ref=_document(s)
            )

    def _till_line(self, line: TillLine) -> None:
        if self._poster.known_uom(line.gtin) == "EA" and line.qty_milli % PIECE_MILLI:
            text = f"line {line.ref}: {line.qty_milli} of {line.gtin} are no whole pieces"
            self._poster.note(line.at_ns, "refused", text, line.device)
            return
        self._learn(line)
        if line.action == "void":
            self._void_line(line)
        elif line.action == "sale":
            self.tills.heard(line, self._sell(line, line.qty_milli))
        else:
            place = self._store.first_of("receiving", "backroom")
            place = place or next(iter(self._store.homes(line.gtin)), None)
            if place is None:
                text = f"return of {line.gtin}: no place for it"
                self._poster.note(line.at_ns, "no_location", text, line.device)
                return
            event = self._poster.move(
                "return", line.at_ns, SOLD, place, line.gtin, [(line.lot or "", line.qty_milli)],
                Because("till_line"), ref=Ref("receipt", line.receipt),
            )  # fmt: skip
            self.tills.heard(line, event.seq)

    def _sell(self, line: TillLine, qty_milli: int) -> int:
        source, ref = Source(line.device, line.ref), Ref("receipt", line.receipt)
        return self._baskets.sale(
            line.at_ns, line.gtin, qty_milli, line.lot, source, ref, "till_line"
        )

    def _void_line(self, line: TillLine) -> None:
        """The sale goes back whole, and what is left of it is sold again (ALGORITHMS 1.3)."""
        sale = self.tills.sale_to_void(line)
        event = None if sale is None or sale.seq is None else self._poster.lookup(sale.seq)
        if sale is None or event is None or self._poster.is_voided(event):
            text = f"line {line.ref} takes back a sale that is not booked"
            self._poster.note(line.at_ns, "void_refused", text, line.device)
        else:
            self._orders.take_back(line.at_ns, event, Because("till_void", seq=event.seq))
            rest = sale.qty_milli - sale.voided_milli - line.qty_milli
            self.tills.voided(line, sale, self._sell(line, rest) if rest else None)
        self.tills.heard(line, None)

    def _learn(self, s: ScanMove | TillLine) -> None:
        """What the label says of unit and expiry; only what is booked is learned."""
        self._poster.uom_of(s.gtin, s.uom if isinstance(s, ScanMove) else None)
        if s.lot is not None and s.exp is not None:
            self._poster.book.learn_expiry(s.gtin, s.lot, s.exp)

    def _place_of_scan(self, s: ScanMove) -> str | None:
        """The scanner's own place, else receiving or backroom, else the home (CONTRACT 6)."""
        if s.location is not None and self._poster.is_physical(s.location):
            return s.location
        stores = self._store.first_of("receiving", "backroom")
        home = next(iter(self._store.homes(s.gtin)), None)
        if s.mode in ("writeoff", "transfer_out", "stocktake"):
            return home or stores
        return stores or home

    def _restock(self, s: ScanMove, told: str) -> None:
        homes = self._store.homes(s.gtin)
        if not homes:
            text = f"{s.gtin} has no place in the planogram: nothing moved"
            self._poster.note(s.at_ns, "no_home", text, s.device)
            return
        home = next((h for h in homes if self._has_room(h, s.gtin)), homes[0])
        source = self._source_of(told, home, s)
        if source is None:
            text = f"{s.gtin} is at home in {home}, and nothing lies behind it: nothing moved"
            self._poster.note(s.at_ns, "no_location", text, s.device)
            return
        qty = s.qty_milli
        if home in self._weighed:
            qty -= self._shelves.restock_scanned(s.at_ns, home, s.gtin, qty)
        if not qty:
            return
        self._learn(s)
        parts = self._poster.supply(s.at_ns, source, s.gtin, qty, s.lot)
        self._poster.move(
            "restock", s.at_ns, source, home, s.gtin, parts, Because("scan"), ref=_document(s)
        )

    def _source_of(self, told: str, home: str, s: ScanMove) -> str | None:
        """Where restocked goods come from: the place told, else a store that has enough."""
        stores = [x.id for x in self._store.locations if x.kind in ("receiving", "backroom")]
        places = [place for place in (told, *stores) if place != home]
        enough = (p for p in places if self._poster.book.balance(p, s.gtin) >= s.qty_milli)
        return next(enough, places[0] if places else None)

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

    def _remove(self, at_ns: int, r: Removal, because: Because) -> None:
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

    def _counted_surplus(
        self, at_ns: int, location: str, gtin: str, qty_milli: int, because: Because
    ) -> int:
        """More lies on a shelf than the book says: first it was put back, or found (5.4)."""
        if not any(x.id == location and x.kind == "shelf" for x in self._store.locations):
            return 0
        return self._shelves.put_back(
            at_ns, location, gtin, qty_milli, because, conf=PROVEN_CONF, reason="level_correction"
        )

    def _prove_pending(self, at_ns: int, gtin: str, until_ns: int, sale_seq: int) -> bool:
        return self._shelves.prove(at_ns, gtin, until_ns, sale_seq)

    def _places_of_pick(self, gtin: str, qty_milli: int) -> list[tuple[str, int]]:
        """Where a pick that nobody saw most probably was, and how much: ALGORITHMS 5.3 rule 1 d.

        Each place in turn gives what it holds, the rest comes openly from the likeliest (negative
        guard). Empty in a shop without a place that holds goods.
        """
        held = self._poster.book.balance
        homes = self._store.homes(gtin)
        # A shelf with a living plate would have seen it.
        order = sorted(homes, key=self._shelves.live)
        order += [
            x.id
            for kind in ("shelf", "backroom", "receiving")
            for x in self._store.locations
            if x.kind == kind and x.id not in homes
        ]
        shares: dict[str, int] = {}
        for loc in order:
            part = min(qty_milli, max(0, held(loc, gtin)))
            if part:
                shares[loc] = part
                qty_milli -= part
        if qty_milli and order:
            shares[order[0]] = shares.get(order[0], 0) + qty_milli
        return list(shares.items())


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
