"""From observations to movements: who witnesses what, and where goods come from and go to.

Here: the dispatch of every observation and command to the part that books it, and the deadlines of
those parts. FLOW sources post at once, each only the transfer it can witness (ALGORITHMS 5). Not
here: how a sensor is filtered (`scans`, `weigh`), how things are stored. Next: `baskets`,
`shelves`, `counts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

import msgspec

from gateway.core.baskets import Baskets
from gateway.core.belief import View
from gateway.core.book import BrokenInvariant
from gateway.core.corrections import Corrections
from gateway.core.counts import Count, Counts
from gateway.core.levels import Alone
from gateway.core.missed import PROVEN_CONF
from gateway.core.orders import Orders, Removal, document_of
from gateway.core.parts import Part
from gateway.core.patience import Patience, Waits
from gateway.core.places import Place
from gateway.core.postings import Poster
from gateway.core.shaking import Shaken
from gateway.core.shelves import Shelves
from gateway.core.staff import Staff
from gateway.core.tag_book import TagBook
from gateway.core.tag_flows import TagFlows
from gateway.core.tills import Tills
from gateway.core.trails import Seen, Trail
from gateway.core.watches import Watches
from gateway.core.whereabouts import Whereabouts
from gateway.domain.observation import (
    BayStep,
    Because,
    DeviceSeen,
    LevelClaim,
    ModeChanged,
    Observation,
    Ordered,
    ScanMove,
    Swept,
    TagsMoved,
    TillLine,
    WeightStep,
    bare,
)
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import SOLD, SUPPLIER, TRANSFER, Ref, Source
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI

WAITS = "waits:shop"


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
        self._where = Whereabouts(store, poster.book, self._live)
        kept = saved.get(WAITS)
        waits = msgspec.json.decode(kept, type=Waits) if kept else None
        self._patience = Patience(settings.basket_timeout_s, waits, lambda: self._keep(WAITS))
        self._baskets = Baskets(
            settings,
            poster,
            self._where.of_pick,
            self._prove_pending,
            lambda gtin: self._touch(f"trail:{gtin}"),
            self._patience,
        )
        self._shelves = Shelves(store, settings, poster, self._baskets, self._touch)
        self._corrections = Corrections(
            store, poster, self._shelves, weighed, lambda key: self._touch(f"belief:{key}")
        )
        self._where.counted_since = self._corrections.counted_since
        self.tags = TagBook(poster, self._keep)
        self._tag_flows = TagFlows(store, poster, self._baskets, weighed, self.tags)
        self._staff = Staff(
            poster, self._shelves, self._where, weighed, self._learn, self._corrections.drawn,
            self._tag_flows.brought,
        )  # fmt: skip
        self._counts = Counts(
            settings.mode_idle_s,
            poster,
            self._counted_surplus,
            self._shelves.proofs.counted,
            self._baskets.last_pick_ns,
            self._touch,
        )
        self.stocktakes = self._counts.stocktakes
        self._orders = Orders(poster, self._baskets, self._counts, self._staff.remove)
        self.tills = Tills(self._keep)
        self.watches = Watches(store, poster, weighed, self._live, self._keep, self._schedule)
        self._corrections.disagrees = self.watches.disagrees
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
            elif kind == "shaken":
                self._shelves.shaking.fire(self._now_ns, name)
            elif kind == "belief":
                self._corrections.fire(self._now_ns, name)
            elif kind == "watch":
                self.watches.due(name)
            else:
                self._counts.close(self._now_ns, name)
            self.watches.settle(self._now_ns)
            if self._due.get(key) == due:
                raise BrokenInvariant(f"deadline of {key} at {due} fired and did not move")

    def _deadline_of(self, key: str) -> int | None:
        kind, _, name = key.partition(":")
        if kind == "trail":
            return self._baskets.deadline(name)
        if kind == "place":
            return self._shelves.waiting.deadline(name)
        if kind == "shaken":
            return self._shelves.shaking.deadline(name)
        if kind == "belief":
            return self._corrections.deadline(name)
        if kind == "watch":
            return self.watches.deadline(name)
        if kind == "mass":
            return None
        return self._counts.deadline(name)

    def _touch(self, key: str) -> None:
        self.changed[key] = None
        self._schedule(key)

    def _schedule(self, key: str) -> None:
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
            "waits": {"shop": self._patience.waits},
            "trail": self._baskets.trails,
            "place": self._shelves.places,
            "mass": self._shelves.masses.learned,
            "shaken": self._shelves.shaking.bays,
            "count": self._counts.counts,
            "stocktake": self.stocktakes.running,
            "tally": self.stocktakes.tallied,
            "receipt": self.tills.receipts,
            "taps": self.tills.lanes,
            "belief": self._corrections.beliefs,
            "alert": self.watches.alerts.open,
            "watch": self.watches.watches,
            "doubt": self.watches.doubts.of,
            "tag": self.tags.serials,
            "tagged": self.tags.held,
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
            elif kind == "mass":
                self._shelves.masses.restore(name, body)
            elif kind == "shaken":
                self._shelves.shaking.bays[name] = msgspec.json.decode(body, type=Shaken)
            elif kind == "belief":
                self._corrections.restore(name, body)
            elif kind == "count":
                self._counts.counts[name] = msgspec.json.decode(body, type=Count)
            elif kind in ("stocktake", "tally"):
                self.stocktakes.restore(key, body)
            else:
                continue
            self._touch(key)
        self.tags.restore(saved)
        self.tills.restore(saved)
        self.watches.restore(saved)
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
            self._stepped(observation.at_ns, (bare(observation),), number)
        elif isinstance(observation, BayStep):
            self._stepped(observation.at_ns, tuple(map(bare, observation.steps)), number)
        elif isinstance(observation, LevelClaim):
            self._corrections.claimed(number, observation)
            self.stocktakes.claimed(observation)
        elif isinstance(observation, TagsMoved):
            self._tag_flows.moved(number, observation)
        elif isinstance(observation, Swept):
            self.stocktakes.swept(observation)
        elif isinstance(observation, Ordered):
            self._poster.because_of(number, (Source(observation.device, observation.ref),))
            self._orders.obey(observation)
        elif isinstance(observation, ModeChanged):
            self._poster.because_of(number, ())
            if observation.before == "stocktake":
                self._counts.close(observation.at_ns, observation.device)
        elif isinstance(observation, DeviceSeen):
            self._shelves.seen(observation.location, observation.up)
            self._corrections.seen(observation.at_ns, observation.location, observation.up)
        self.watches.settle(self._now_ns)

    def _stepped(self, at_ns: int, steps: tuple[WeightStep, ...], number: int) -> None:
        self._corrections.booked_at.clear()
        self._shelves.steps(at_ns, steps, number)
        self._corrections.stepped(at_ns, steps)

    def tell(self, cross_talk: Callable[[WeightStep], None]) -> None:
        """Who is told the steps that were no goods but the load of plates beside."""
        self._shelves.cross_talk = cross_talk

    def alone(self, at_ns: int, location: str) -> Alone | None:
        """The one product that lies on a plate, as far as anybody knows."""
        return self._corrections.alone(at_ns, location)

    def view(self, location: str, gtin: str) -> View | None:
        """What is believed of a product at a place; None where no sensor ever looked."""
        return self._corrections.view(location, gtin)

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
            self._staff.restock(s, place)
        elif s.mode in ("writeoff", "transfer_out"):
            self._learn(s)
            reason = "other" if s.mode == "writeoff" else None
            removal = Removal(s.mode, place, s.gtin, s.qty_milli, s.lot, reason, document_of(s))
            self._staff.remove(s.at_ns, removal, Because("scan"))
        else:
            self._learn(s)
            origin = {"return": SOLD, "receive": SUPPLIER, "transfer_in": TRANSFER}[s.mode]
            parts = [(s.lot or "", s.qty_milli)]
            self._poster.move(
                s.mode, s.at_ns, origin, place, s.gtin, parts, Because("scan"), ref=document_of(s)
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
        return self._where.of_scan(s)

    def _counted_surplus(
        self, at_ns: int, location: str, gtin: str, qty_milli: int, because: Because
    ) -> int:
        """More lies on a shelf than the book says: first it was put back, or found (5.4)."""
        if not any(x.id == location and x.kind == "shelf" for x in self._store.locations):
            return 0
        return self._shelves.flows.put_back(
            at_ns, at_ns, location, gtin, qty_milli, because, conf=PROVEN_CONF,
            reason="level_correction",
        )  # fmt: skip

    def _live(self, location: str) -> bool:
        return self._shelves.live(location)

    def _prove_pending(self, at_ns: int, lines: Sequence[Seen]) -> bool:
        return self._shelves.proofs.sold(at_ns, lines)
