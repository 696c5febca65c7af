"""A count of whole places while the store is open: begun, counted, then booked or forgotten.

Here: which places are being counted and by what (scanners, tags, plates), what was counted of each
product, what was not and why. Everything else goes on meanwhile; a count holds when it was made
(`tallies`). Not here: the booking of a difference (`counts`), what readers hear (`sweeps`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.core import tallies
from gateway.core.postings import Poster
from gateway.core.tallies import Tally
from gateway.domain.observation import LevelClaim, ScanMove, Swept, SweptPlace
from gateway.domain.reading import CountBy, StocktakeCancel, StocktakeFinish, StocktakeStart, Word
from gateway.domain.stock import Ref, Uom
from gateway.domain.units import NS_PER_MS, NS_PER_S, PIECE_MILLI

RUNNING_MAX: Final = 16
LEFT_NS: Final = 48 * 3600 * NS_PER_S
"""A stocktake that nobody works on for so long is given up; nothing is booked."""
ACTIVE_NS: Final = 3600 * NS_PER_S
"""How exactly it is kept when somebody last worked on it."""
SURE_MNAT: Final = 4600
"""A plate's claim counts when no other number is likelier than one in a hundred of the best."""
TAKEN_NS: Final = 60 * NS_PER_S
"""What a shopper took may be heard by a reader so long after: such a product is not counted."""
UNTOLD: Final[Mapping[CountBy, str]] = {
    "scan": "nobody scanned it",
    "rfid": "no tag of it is heard",
    "weight": "its plate made no sure claim",
}
NAMED_MAX: Final = 8
"""Products named in a note about what was not counted."""

Settle = Callable[[int, list[Tally], Ref], None]


class Running(msgspec.Struct):
    """A stocktake that has begun."""

    id: str
    by: CountBy
    locations: tuple[str, ...]
    began_ns: int
    active_ns: int
    not_counted: dict[str, str] = {}
    """`location` or `location/gtin` to the reason."""


class Tallied(msgspec.Struct):
    """What was counted of one product at one place, by lot."""

    lots: list[Tally] = []
    serials: dict[str, None] = {}
    """Units that were scanned one by one: each counts once."""


class PlaceProgress(Word, frozen=True):
    """How far a place is."""

    location: str
    counted: int
    """Products."""
    expected: int
    """Products that the book holds there, or that were counted there."""


class StocktakeView(Word, frozen=True):
    """A running stocktake, for the status."""

    id: str
    by: CountBy
    began_ns: int
    places: tuple[PlaceProgress, ...]


class Stocktakes:
    """The running stocktakes. `changed(key)` is called after each change of a part."""

    def __init__(
        self,
        poster: Poster,
        settle: Settle,
        taken: Callable[[str, str], int | None],
        changed: Callable[[str], None],
    ) -> None:
        self._poster, self._settle = poster, settle
        self._taken, self._changed = taken, changed
        self.running: dict[str, Running] = {}
        self.tallied: dict[str, Tallied] = {}
        """By `id/location/gtin`."""

    def restore(self, key: str, body: bytes) -> None:
        """A part as it was kept."""
        kind, _, name = key.partition(":")
        if kind == "stocktake":
            self.running[name] = msgspec.json.decode(body, type=Running)
        else:
            self.tallied[name] = msgspec.json.decode(body, type=Tallied)

    def deadline(self, name: str) -> int | None:
        """When a stocktake that nobody works on is given up; None when there is none."""
        running = self.running.get(name)
        return None if running is None else running.active_ns + LEFT_NS

    def expire(self, at_ns: int, name: str) -> None:
        """Gives up a stocktake that was left, and says so; nothing when none has that name."""
        if name not in self.running:
            return
        self._end(name)
        text = f"stocktake {name} was left for two days: it is given up, nothing is booked"
        self._poster.note(at_ns, "stocktake_left", text)

    # --- orders ---------------------------------------------------------------------------------

    def start(self, at_ns: int, device: str, order: StocktakeStart) -> None:
        """Begins to count places, or notes why not."""
        physical = [x.id for x in self._poster.store.locations if x.physical]
        places = tuple(dict.fromkeys(order.locations)) or tuple(physical)
        busy = {place: one.id for one in self.running.values() for place in one.locations}
        name = f"C-{at_ns // NS_PER_MS}"
        stray = next((place for place in places if place not in physical), None)
        taken = next((place for place in places if place in busy), None)
        if stray is not None:
            self._refuse(at_ns, device, f"{stray[:64]} is no place that holds goods")
        elif taken is not None:
            self._refuse(at_ns, device, f"{taken} is being counted in {busy[taken]}")
        elif len(self.running) >= RUNNING_MAX:
            self._refuse(at_ns, device, f"{RUNNING_MAX} run already: finish or cancel one")
        elif name in self.running:
            self._refuse(at_ns, device, f"{name} began this very millisecond: try again")
        else:
            self.running[name] = Running(name, order.by, places, at_ns, at_ns)
            self._changed(f"stocktake:{name}")

    def cancel(self, at_ns: int, device: str, order: StocktakeCancel) -> None:
        """Forgets a count."""
        if order.id in self.running:
            self._end(order.id)
        else:
            self._unknown(at_ns, device, order.id)

    def finish(self, at_ns: int, device: str, order: StocktakeFinish) -> None:
        """Books what was counted, and says what was not."""
        one = self.running.get(order.id)
        if one is None:
            self._unknown(at_ns, device, order.id)
            return
        if order.zero and one.by == "weight":
            self._refuse(at_ns, device, "a scale that does not tell is no empty place: not zero")
            return
        left = self._left(one)
        if order.zero:
            self._take_for_none(at_ns, one, left)
            left = self._left(one)
        keys = self._keys(one)
        if not keys and left:
            text = f"{one.id} goes on: nothing was counted; {_named(one.by, left)}"
            self._refuse(at_ns, device, text)
            return
        self._poster.sources_end()
        for key in keys:
            self._settle(at_ns, self.tallied[key].lots, Ref("count", one.id))
        self._end(one.id)
        if left:
            named = _named(one.by, left)
            text = f"stocktake {one.id}: {len(left)} not counted and left as booked: {named}"
            self._poster.note(at_ns, "stocktake_incomplete", text, device)

    def _take_for_none(self, at_ns: int, one: Running, left: Mapping[tuple[str, str], str]) -> None:
        for (location, gtin), why in left.items():
            if not why and gtin:
                uom = self._poster.known_uom(gtin)
                lots = self._lots(location, gtin)
                self._put(one, Tally(location, gtin, None, None, uom, 0, lots, at_ns))

    def _left(self, one: Running) -> dict[tuple[str, str], str]:
        """What the book holds at the places and nobody counted, and why if that is known.

        A place of which nothing could be told is named without a product.
        """
        left: dict[tuple[str, str], str] = {}
        for location in one.locations:
            there = self._poster.book.products_at(location)
            why = one.not_counted.get(location)
            if why is not None and there:
                left[location, ""] = why
                continue
            for gtin in there:
                if f"{one.id}/{location}/{gtin}" not in self.tallied:
                    left[location, gtin] = one.not_counted.get(f"{location}/{gtin}", "")
        return left

    def _keys(self, one: Running) -> list[str]:
        return sorted(key for key in self.tallied if key.startswith(f"{one.id}/"))

    def _end(self, name: str) -> None:
        one = self.running.pop(name)
        for key in self._keys(one):
            del self.tallied[key]
            self._changed(f"tally:{key}")
        self._changed(f"stocktake:{name}")

    def _unknown(self, at_ns: int, device: str, name: str) -> None:
        self._refuse(at_ns, device, f"no stocktake {name[:64]!r} is running")

    def _refuse(self, at_ns: int, device: str, why: str) -> None:
        self._poster.note(at_ns, "refused", f"stocktake: {why}", device)

    # --- counting -------------------------------------------------------------------------------

    def _of(self, location: str, by: CountBy) -> Running | None:
        for one in self.running.values():
            if one.by == by and location in one.locations:
                return one
        return None

    def _lots(self, location: str, gtin: str) -> dict[str, int]:
        return self._poster.book.lots_at(location, gtin)

    def _put(self, one: Running, tally: Tally) -> None:
        key = f"{one.id}/{tally.location}/{tally.gtin}"
        self.tallied[key] = Tallied([tally])
        self._changed(f"tally:{key}")

    def scan(self, move: ScanMove, location: str, uom: Uom) -> bool:
        """So many units more; False where no stocktake by scan runs."""
        one = self._of(location, "scan")
        if one is None:
            return False
        key = f"{one.id}/{location}/{move.gtin}"
        tallied = self.tallied.setdefault(key, Tallied())
        if move.serial is not None and move.serial in tallied.serials:
            return True
        if move.serial is not None:
            tallied.serials[move.serial] = None
        tallies.add(tallied.lots, move, location, uom, self._lots(location, move.gtin))
        self._changed(f"tally:{key}")
        if move.at_ns - one.active_ns > ACTIVE_NS:
            one.active_ns = move.at_ns
            self._changed(f"stocktake:{one.id}")
        return True

    def claimed(self, claim: LevelClaim) -> None:
        """A plate says how much lies on it: the last sure claim is the count."""
        one = self._of(claim.location, "weight") if claim.source == "weight" else None
        units = sure_units(claim)
        if one is None or units is None or self._poster.known_uom(claim.gtin) != "EA":
            return
        book = self._lots(claim.location, claim.gtin)
        qty_milli = units * PIECE_MILLI
        self._put(
            one, Tally(claim.location, claim.gtin, None, None, "EA", qty_milli, book, claim.at_ns)
        )

    def swept(self, seen: Swept) -> None:
        """All tags at the places, as the count is finished."""
        one = self.running.get(seen.stocktake)
        if one is None:
            return
        one.not_counted = {p.location: p.why_not for p in seen.places if p.why_not}
        for place in seen.places:
            self._sweep(seen.at_ns, one, place)
        self._changed(f"stocktake:{one.id}")

    def _sweep(self, at_ns: int, one: Running, place: SweptPlace) -> None:
        for product in place.products:
            taken_ns = self._taken(place.location, product.gtin)
            why = None
            if product.leaving:
                why = f"tags just leaving: {product.leaving}"
            elif taken_ns is not None and at_ns - taken_ns < TAKEN_NS:
                why = "was just taken: its tag may still be heard"
            elif self._poster.known_uom(product.gtin) != "EA":
                why = "is not kept in pieces"
            if why is not None:
                one.not_counted[f"{place.location}/{product.gtin}"] = why
                continue
            book = self._lots(place.location, product.gtin)
            qty_milli = product.present * PIECE_MILLI
            self._put(
                one,
                Tally(place.location, product.gtin, None, None, "EA", qty_milli, book, at_ns),
            )

    # --- looking --------------------------------------------------------------------------------

    def sweeping(self, name: str) -> tuple[str, ...]:
        """The places that readers are to be asked about when a stocktake is finished."""
        one = self.running.get(name)
        return one.locations if one is not None and one.by == "rfid" else ()

    def views(self) -> tuple[StocktakeView, ...]:
        """All that run."""
        counted: dict[tuple[str, str], dict[str, None]] = {}
        for key in self.tallied:
            name, location, gtin = key.split("/")
            counted.setdefault((name, location), {})[gtin] = None
        return tuple(
            StocktakeView(
                one.id,
                one.by,
                one.began_ns,
                tuple(
                    self._progress(location, counted.get((one.id, location), {}))
                    for location in one.locations
                ),
            )
            for one in self.running.values()
        )

    def _progress(self, location: str, counted: Mapping[str, None]) -> PlaceProgress:
        expected = counted.keys() | dict.fromkeys(self._poster.book.products_at(location)).keys()
        return PlaceProgress(location, len(counted), len(expected))


def sure_units(claim: LevelClaim) -> int | None:
    """The number of units that a claim leaves no doubt of; None when it does."""
    ranked = sorted(
        ((mnat, n) for n, mnat in enumerate(claim.likelihood_mnat)), key=lambda x: (-x[0], x[1])
    )
    if not ranked or claim.floor_mnat > ranked[0][0] - SURE_MNAT:
        return None
    if len(ranked) > 1 and ranked[1][0] > ranked[0][0] - SURE_MNAT:
        return None
    return claim.first_units + ranked[0][1]


def _named(by: CountBy, left: Mapping[tuple[str, str], str]) -> str:
    """What was not counted, in words; the first few of it."""
    named = [
        f"{gtin or 'everything'} at {location} ({why or UNTOLD[by]})"
        for (location, gtin), why in list(left.items())[:NAMED_MAX]
    ]
    more = len(left) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")
