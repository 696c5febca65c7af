"""What is worth an alert, product by product: levels, dates, sales that fail to come, losses.

Here: after each event the products it moved are looked at again, and at midnights those with a date
that comes due; never all of them. An alert is a function of the book, of what is kept here as part
`watch:GTIN`, and of the time, so a restart finds the same ones open. Not here: the register
(`alerts`), what is said of plates (`doubts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.core.alerts import Alerts
from gateway.core.doubts import DAY_NS, Doubt, Doubts
from gateway.core.expiry import Expiry
from gateway.core.postings import Posted, Poster
from gateway.domain.alert import Alert, Code
from gateway.domain.calendar import date_of
from gateway.domain.stock import LOST, SOLD, Line, StockEvent
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI, div_half_even

NO_SALE_DAYS: Final = 30
MISSES_MIN: Final = 3
MISSES_MAX: Final = 16
MISSES_SHARE: Final = 5
"""A basket is called negative when of a day's sales one in so many had no pick behind it."""
_DERIVED: Final[frozenset[Code]] = frozenset((
    "low_stock", "empty_facing", "out_of_stock", "near_expiry", "expired", "expired_sold",
    "no_sale_30d", "suspected_loss", "negative_basket", "sensor_disagrees",
))  # fmt: skip
"""Codes that are decided here; `book_shelf_disagree` is raised and cleared by who finds it."""


class Tally(msgspec.Struct, array_like=True, gc=False):
    """Units of one local day; it is shown until the next day is over."""

    code: Code
    day: int
    qty_milli: int


class Miss(msgspec.Struct, array_like=True, gc=False):
    """A pick that a plate should have seen and only a sale proved."""

    at_ns: int
    sales: int
    """Sales of the product from its own on."""


class Dated(NamedTuple):
    """So much of a lot that has a date."""

    lot: str
    exp: str
    qty_milli: int


class Watch(msgspec.Struct, gc=False):
    """What the book does not say of a product. Tuples: most products never have any of either."""

    since_day: int | None = None
    """Local day since which it is in stock without a break; None: it is not."""
    sold_day: int | None = None
    """Local day of its last sale."""
    tallies: tuple[Tally, ...] = ()
    """Units of `suspected_loss` and `expired_sold`, one of each."""
    misses: tuple[Miss, ...] = ()


class Watches:
    """The alerts of one store; `changed(key)` and `schedule(key)` as in `fuse`."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        weighed: frozenset[str],
        live: Callable[[str], bool],
        changed: Callable[[str], None],
        schedule: Callable[[str], None],
    ) -> None:
        self._poster, self._book, self._calendar = poster, poster.book, store.calendar
        self._weighed, self._live = weighed, live
        self._changed, self._schedule = changed, schedule
        self._products = store.product_by_gtin()
        self._homes = store.homes
        self._shelves = frozenset(x.id for x in store.locations if x.kind == "shelf")
        self._expiry = Expiry(store, poster.book)
        self.alerts = Alerts(changed)
        self.doubts = Doubts(self._doubted)
        self.watches: dict[str, Watch] = {}
        self._last_sold_day = -1
        self._days: dict[int, int] = {}
        self._midnights: dict[int, int] = {}
        self._due: dict[str, int] = {}
        """When a product's alerts next change by themselves."""
        self._dirty: dict[str, None] = {}
        self._doubtful: dict[str, None] = {}
        poster.listeners.append(self.heard)

    # --- events ---------------------------------------------------------------------------------

    def heard(self, posted: Posted) -> None:
        """An event was posted: what it tells, and which products are to be looked at again."""
        event = posted.event
        for line in event.lines:
            self._dirty[line.gtin] = None
            if line.loc == SOLD:
                self._sold(event, line)
            elif line.loc == LOST:
                self._count(event, line, "suspected_loss")
        if event.kind == "pick":
            self._picked(event)
        elif event.kind == "loss" and posted.because.seq is not None:
            self._lost(posted.because.seq)

    def _watch(self, gtin: str) -> Watch:
        """What is kept of a product, about to be changed."""
        self._changed(f"watch:{gtin}")
        return self.watches.setdefault(gtin, Watch())

    def _sold(self, event: StockEvent, line: Line) -> None:
        if self._expiry.expired(event.at_ns, line.exp):
            self._count(event, line, "expired_sold")
        if event.kind != "sale":
            return
        day = self._day(event.at_ns)
        self._last_sold_day = max(self._last_sold_day, day)
        known = self.watches.get(line.gtin)
        if known is None or known.sold_day != day or known.misses:
            watch = self._watch(line.gtin)
            watch.sold_day = day
            for miss in watch.misses:
                miss.sales += 1
        self.doubts.paid((*self._homes(line.gtin), *self._book.places(line.gtin)))

    def _count(self, event: StockEvent, line: Line, code: Code) -> None:
        """So many more or less in a product's tally; the first of a day begins another alert."""
        day, watch = self._day(event.at_ns), self._watch(line.gtin)
        tally = next((one for one in watch.tallies if one.code == code), None)
        if line.d > 0 and (tally is None or tally.day != day):
            self.alerts.clear(event.at_ns, code, line.gtin)
            if tally is None:
                watch.tallies = (*watch.tallies, Tally(code, day, line.d))
            else:
                tally.day, tally.qty_milli = day, line.d
        elif tally is not None:
            tally.qty_milli += line.d
            watch.tallies = tuple(one for one in watch.tallies if one.qty_milli > 0)

    def _picked(self, event: StockEvent) -> None:
        taken = {(x.loc, x.gtin): None for x in event.lines if x.d < 0 and x.loc in self._weighed}
        for loc, gtin in taken:
            product = self._products.get(gtin)
            if event.reason != "missed_pick":
                self.doubts.saw(loc)
            elif product is not None and product.unit_mass_mg and self._live(loc):
                watch = self._watch(gtin)
                watch.misses = (*watch.misses, Miss(event.at_ns, 1))[-MISSES_MAX:]
                if self._homes(gtin) == (loc,):
                    self.doubts.missed(event.at_ns, loc)

    def _lost(self, pick_seq: int) -> None:
        """A pick was never paid: that speaks against its plate, on a day when the shop sold."""
        pick = self._poster.lookup(pick_seq)
        if pick is None or self._last_sold_day < self._calendar.day(pick.at_ns):
            return
        for line in pick.lines:
            if line.d < 0 and line.loc in self._weighed:
                self.doubts.unpaid(line.loc)

    def _doubted(self, location: str) -> None:
        self._doubtful[location] = None
        self._changed(f"doubt:{location}")

    # --- alerts ---------------------------------------------------------------------------------

    def due(self, gtin: str) -> None:
        """A date of a product has come: `settle` looks at it."""
        self._dirty[gtin] = None

    def begin(self, at_ns: int) -> None:
        """Looks at every product once, as of the last moment before a restart.

        Where thresholds are the same nothing is raised or cleared: that was told then.
        """
        for subject in (*self._book.products(), *self.alerts.subjects()):
            place = subject.removeprefix("@")
            (self._dirty if place == subject else self._doubtful)[place] = None
        self.settle(at_ns)

    def disagrees(self, at_ns: int, gtin: str, location: str, book: int, seen: int | None) -> None:
        """Sensors exclude each other at a place: the book's units and the likeliest; None: over."""
        code: Code = "book_shelf_disagree"
        if seen is None:
            self.alerts.clear(at_ns, code, gtin, location)
            return
        book_milli, seen_milli = book * PIECE_MILLI, seen * PIECE_MILLI
        alert = Alert(code, gtin, location, qty_milli=book_milli, other_milli=seen_milli)
        self.alerts.raise_(at_ns, alert)

    def settle(self, at_ns: int) -> None:
        """Raises and clears what the events since the last call, and the time, have changed."""
        if not (self._dirty or self._doubtful):
            return
        dirty, self._dirty = self._dirty, {}
        doubtful, self._doubtful = self._doubtful, {}
        for gtin in dirty:
            self._look(at_ns, gtin)
        for location in doubtful:
            wanted = self.doubts.wanted(location) if location in self._weighed else ()
            self.alerts.settle(at_ns, f"@{location}", wanted, _DERIVED)

    def _look(self, at_ns: int, gtin: str) -> None:
        held, lots = self._there(gtin)
        watch = self.watches.get(gtin) or self._watch(gtin)
        if bool(held) != (watch.since_day is not None):
            self._watch(gtin).since_day = self._day(at_ns) if held else None
        if any(self._over_ns(tally) <= at_ns for tally in watch.tallies):
            kept = tuple(tally for tally in watch.tallies if self._over_ns(tally) > at_ns)
            self._watch(gtin).tallies = kept
        if watch.misses and watch.misses[0].at_ns + DAY_NS <= at_ns:
            watch = self._watch(gtin)
            watch.misses = tuple(miss for miss in watch.misses if miss.at_ns + DAY_NS > at_ns)
        wanted = [*self._of_levels(gtin, held), *self._of_dates(at_ns, gtin, lots)]
        wanted += self._of_sales(at_ns, gtin, watch, sum(held.values()))
        self.alerts.settle(at_ns, gtin, wanted, _DERIVED)
        due_ns = self._next_ns(gtin, watch, lots)
        if due_ns != self._due.get(gtin):
            if due_ns is None:
                del self._due[gtin]
            else:
                self._due[gtin] = due_ns
            self._schedule(f"watch:{gtin}")

    def _there(self, gtin: str) -> tuple[dict[str, int], list[Dated]]:
        """What lies of a product at each place, and of each lot that has a date, in milli."""
        held: dict[str, int] = {}
        lots: dict[str, int] = {}
        for loc in self._book.places(gtin):
            if not self._poster.is_physical(loc):
                continue
            for lot, qty in self._book.lots_at(loc, gtin).items():
                held[loc] = held.get(loc, 0) + qty
                lots[lot] = lots.get(lot, 0) + qty
        dated = [
            Dated(lot, exp, qty) for lot, qty in lots.items()
            if qty > 0 and (exp := self._book.expiry(gtin, lot)) is not None
        ]  # fmt: skip
        return {loc: qty for loc, qty in held.items() if qty > 0}, dated

    def _day(self, at_ns: int) -> int:
        """The local day; one value for the many products that share it."""
        day = self._calendar.day(at_ns)
        return self._days.setdefault(day, day)

    def _begins_ns(self, day: int) -> int:
        """When a local day begins; one value likewise."""
        begins_ns = self._midnights.get(day)
        if begins_ns is None:
            begins_ns = self._midnights[day] = self._calendar.begins_ns(day)
        return begins_ns

    def _over_ns(self, tally: Tally) -> int:
        return self._begins_ns(tally.day + 2)

    def _no_sale_ns(self, watch: Watch) -> int | None:
        """From when a product in stock has not been sold for so many whole days."""
        if watch.since_day is None:
            return None
        last = max(watch.since_day, watch.since_day if watch.sold_day is None else watch.sold_day)
        return self._begins_ns(last + NO_SALE_DAYS + 1)

    def _of_levels(self, gtin: str, held: Mapping[str, int]) -> Iterator[Alert]:
        """What it deserves for what lies where."""
        total, product = sum(held.values()), self._products.get(gtin)
        limit = None if product is None else product.low_stock_milli
        if limit is not None and total < limit:
            yield Alert("low_stock", gtin, qty_milli=total, other_milli=limit)
        shelves = [home for home in self._homes(gtin) if home in self._shelves]
        if shelves and not held:
            yield Alert("out_of_stock", gtin)
        for home in shelves:
            if held and home not in held:
                yield Alert("empty_facing", gtin, home, qty_milli=total)

    def _of_dates(self, at_ns: int, gtin: str, lots: Iterable[Dated]) -> Iterator[Alert]:
        for lot, exp, qty in lots:
            if self._expiry.expired(at_ns, exp):
                yield Alert("expired", gtin, lot=lot, date=exp, qty_milli=qty)
            elif self._expiry.near_ns(gtin, exp) <= at_ns:
                yield Alert("near_expiry", gtin, lot=lot, date=exp, qty_milli=qty)

    def _of_sales(self, at_ns: int, gtin: str, watch: Watch, total: int) -> Iterator[Alert]:
        """What it deserves for sales that did not come, or came without a pick, and for losses."""
        no_sale_ns = self._no_sale_ns(watch)
        if no_sale_ns is not None and no_sale_ns <= at_ns:
            sold = None if watch.sold_day is None else date_of(watch.sold_day)
            never = "never" if sold is None else ""
            yield Alert("no_sale_30d", gtin, date=sold, qty_milli=total, why=never)
        for tally in watch.tallies:
            yield self._tallied(gtin, tally)
        misses = len(watch.misses)
        if misses >= MISSES_MIN and misses * MISSES_SHARE >= watch.misses[0].sales:
            yield Alert("negative_basket", gtin, count=misses)

    def _tallied(self, gtin: str, tally: Tally) -> Alert:
        product, value = self._products.get(gtin), None
        if product is not None and product.unit_price_minor is not None:
            value = div_half_even(tally.qty_milli * product.unit_price_minor, PIECE_MILLI)
        day = date_of(tally.day)
        return Alert(tally.code, gtin, qty_milli=tally.qty_milli, value_minor=value, date=day)

    # --- time and state -------------------------------------------------------------------------

    def deadline(self, gtin: str) -> int | None:
        """When a product's alerts next change by themselves."""
        return self._due.get(gtin)

    def _next_ns(self, gtin: str, watch: Watch, lots: Iterable[Dated]) -> int | None:
        due = [self._over_ns(tally) for tally in watch.tallies]
        if watch.misses:
            due.append(watch.misses[0].at_ns + DAY_NS)
        no_sale_ns = self._no_sale_ns(watch)
        if no_sale_ns is not None and not self.alerts.is_open(Alert("no_sale_30d", gtin)):
            due.append(no_sale_ns)
        for lot, exp, _ in lots:
            if self.alerts.is_open(Alert("expired", gtin, lot=lot)):
                continue
            near = self.alerts.is_open(Alert("near_expiry", gtin, lot=lot))
            due.append(self._expiry.ends_ns(exp) if near else self._expiry.near_ns(gtin, exp))
        return min(due, default=None)

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """What was kept of alerts, watches and doubts, in any order; `begin` follows."""
        for key, body in sorted(saved.items()):
            kind, _, name = key.partition(":")
            if kind == "watch":
                self.watches[name] = msgspec.json.decode(body, type=Watch)
            elif kind == "doubt":
                self.doubts.of[name] = msgspec.json.decode(body, type=Doubt)
        self.alerts.restore(body for key, body in saved.items() if key.startswith("alert:"))
        for watch in self.watches.values():
            if watch.sold_day is not None:
                self._last_sold_day = max(self._last_sold_day, watch.sold_day)
