"""What a count came to, made again from the journal: book, movements, counted, difference, value.

Here: the rows of the report and their sums. Not here: how it is written down (`variance_words`,
`variance_sheets`), SQL (`journal.reader`). A count's number ends with the millisecond in which it
began; what was booked of it bears that number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.domain.observation import Ordered, Swept
from gateway.domain.reading import StocktakeFinish, StocktakeStart, Word
from gateway.domain.stock import VIRTUAL, StockEvent, Uom
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_MS, PIECE_MILLI, div_half_even
from gateway.journal.reader import Reader

CLOSED: Final = "count_closed"
BEGUN_WITHIN: Final = 1000
"""Observations looked through for the order that began a count."""
BACK_MAX: Final = 500_000
"""Events since the count that are undone at most, to see what the book held then."""

Key = tuple[str, str, str | None]
"""Location, product, lot."""


class Row(Word, frozen=True):
    """A lot of a product at a place, in milli."""

    location: str
    gtin: str
    name: str
    lot: str | None
    uom: Uom
    before: int
    """In the book when the count began."""
    moved: int
    """Booked there while it ran."""
    book: int
    """In the book when it ended."""
    counted: int
    difference: int
    price_minor: int | None
    value_minor: int | None
    """Of the difference; None where the catalogue has no price."""


class Uncounted(Word, frozen=True):
    """What the book held at a place of the count, and nobody counted."""

    location: str
    gtin: str
    name: str
    uom: Uom
    book: int
    why: str


class Variance(Word, frozen=True):
    """The whole report."""

    id: str
    by: str | None
    """`scan`, `rfid`, `weight`; None: one scanner counted for itself."""
    began_ns: int
    ended_ns: int
    locations: tuple[str, ...]
    rows: tuple[Row, ...]
    uncounted: tuple[Uncounted, ...] | None
    """None: too much was booked since to tell."""

    def units(self, uom: Uom) -> tuple[int, int]:
        """Surplus and shortage of all goods of a unit, in milli; the shortage is negative."""
        found = [row.difference for row in self.rows if row.uom == uom]
        return sum(d for d in found if d > 0), sum(d for d in found if d < 0)

    @property
    def values(self) -> tuple[int, int]:
        """Surplus and shortage in the smallest coin."""
        found = [row.value_minor for row in self.rows if row.value_minor is not None]
        return sum(v for v in found if v > 0), sum(v for v in found if v < 0)

    @property
    def unpriced(self) -> int:
        """Rows that differ and whose value is not known."""
        return sum(1 for row in self.rows if row.difference and row.value_minor is None)


def variance(reader: Reader, store: Store, count: str) -> Variance | None:
    """The report of a count; None when nothing was booked under that number."""
    stamp = count.rpartition("-")[2]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        return None
    began_ns = int(stamp) * NS_PER_MS
    first = reader.first_since(began_ns)
    booked = next((e for e in reader.counted_since(first) if _is_of(e, count)), None)
    if booked is None:
        return None
    closing = _closing(reader, booked, count)
    moved = _sums(e for e, _ in reader.booked(first, closing[0].seq - 1))
    rows = _rows(store, closing, moved)
    begun = _begun(reader, began_ns) if count == f"C-{stamp}" else None
    places = tuple(dict.fromkeys(row.location for row in rows))
    if begun is not None:
        places = begun.locations or tuple(x.id for x in store.locations if x.physical)
    uncounted: tuple[Uncounted, ...] | None = ()
    if begun is not None:
        uncounted = _uncounted(reader, store, places, rows, closing)
    return Variance(
        count, None if begun is None else begun.by, began_ns, booked.at_ns, places, rows, uncounted
    )


def _is_of(event: StockEvent, count: str) -> bool:
    return event.ref is not None and (event.ref.type, event.ref.id) == ("count", count)


def _closing(reader: Reader, booked: StockEvent, count: str) -> list[StockEvent]:
    """The events of the count's end: each stocktake, and what its surplus was found to be.

    Another count may end in the same moment: what was put back or found belongs to the stocktake
    that follows it.
    """
    first = reader.first_since(booked.at_ns)
    out: list[StockEvent] = []
    waiting: list[StockEvent] = []
    for event, code in reader.booked(first, reader.first_since(booked.at_ns + 1) - 1):
        if code != CLOSED:
            continue
        waiting.append(event)
        if event.kind == "stocktake":
            if _is_of(event, count):
                out += waiting
            waiting = []
    return out


def _sums(events: Iterable[StockEvent]) -> dict[Key, int]:
    sums: dict[Key, int] = {}
    for event in events:
        for line in event.lines:
            if line.loc not in VIRTUAL:
                key = line.loc, line.gtin, line.lot
                sums[key] = sums.get(key, 0) + line.d
    return sums


def _rows(store: Store, closing: list[StockEvent], moved: Mapping[Key, int]) -> tuple[Row, ...]:
    products = store.product_by_gtin()
    last = {(x.loc, x.gtin, x.lot): x for event in closing for x in event.lines}
    rows = []
    for key, difference in sorted(_sums(closing).items(), key=lambda x: (*x[0][:2], x[0][2] or "")):
        location, gtin, lot = key
        product, counted = products.get(gtin), last[key].after or 0
        price = None if product is None else product.unit_price_minor
        rows.append(Row(
            location=location,
            gtin=gtin,
            name="" if product is None else product.name,
            lot=lot,
            uom=last[key].uom,
            before=counted - difference - moved.get(key, 0),
            moved=moved.get(key, 0),
            book=counted - difference,
            counted=counted,
            difference=difference,
            price_minor=price,
            value_minor=None if price is None else div_half_even(price * difference, PIECE_MILLI),
        ))  # fmt: skip
    return tuple(rows)


def _begun(reader: Reader, began_ns: int) -> StocktakeStart | None:
    for seen in reader.observed_from(began_ns, BEGUN_WITHIN):
        if isinstance(seen, Ordered) and isinstance(seen.order, StocktakeStart):
            return seen.order
    return None


def _uncounted(
    reader: Reader,
    store: Store,
    places: tuple[str, ...],
    rows: tuple[Row, ...],
    closing: list[StockEvent],
) -> tuple[Uncounted, ...] | None:
    """What the book held at the places when the count ended, less what was counted."""
    newest, last = reader.bounds("stock")[1], closing[-1].seq
    if newest - last > BACK_MAX:
        return None
    held: dict[tuple[str, str], int] = {}
    uoms: dict[str, Uom] = {}
    for b in reader.balances():
        if b.loc in places:
            held[b.loc, b.gtin] = held.get((b.loc, b.gtin), 0) + b.qty_milli
            uoms[b.gtin] = b.uom
    for (loc, gtin, _), d in _sums(e for e, _ in reader.booked(last + 1, newest)).items():
        held[loc, gtin] = held.get((loc, gtin), 0) - d
    counted = {(row.location, row.gtin) for row in rows}
    names = {p.gtin: p.name for p in store.products}
    reasons = _reasons(reader, closing[-1].seq)
    return tuple(
        Uncounted(
            loc, gtin, names.get(gtin, ""), uoms[gtin], qty,
            reasons.get(f"{loc}/{gtin}") or reasons.get(loc, ""),
        )
        for (loc, gtin), qty in sorted(held.items())
        if qty > 0 and loc in places and (loc, gtin) not in counted
    )  # fmt: skip


def _reasons(reader: Reader, seq: int) -> dict[str, str]:
    """Why readers could not tell, by place or place and product."""
    found = reader.evidence(seq)
    if found is None or found.cause is None or not isinstance(found.observation, Ordered):
        return {}
    swept = reader.observation(found.cause - 1)
    if not isinstance(found.observation.order, StocktakeFinish) or not isinstance(swept, Swept):
        return {}
    out = {place.location: place.why_not for place in swept.places if place.why_not}
    for place in swept.places:
        for product in place.products:
            if product.leaving:
                out[f"{place.location}/{product.gtin}"] = f"tags just leaving: {product.leaving}"
    return out
