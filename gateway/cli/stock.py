"""`stockd stock`: what is on hand, what may be sold, and where it lies.

Here: the balances of the journal, product by product. Not here: what is booked (`core`), holds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway import words
from gateway.cli import DONE, UNREACHABLE, UserError, config_path
from gateway.clock import wall_ns
from gateway.config import Loaded, load
from gateway.core.belief import Belief, View
from gateway.core.book import Balance
from gateway.domain.calendar import day_of
from gateway.domain.ids import gtin14
from gateway.domain.stock import BASKET, VIRTUAL
from gateway.domain.units import PIECE_MILLI
from gateway.journal.reader import Reader
from gateway.journal.writer import JournalError


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the purpose of this module


class Row(msgspec.Struct):
    """One product; quantities in thousandths of its unit."""

    gtin: str
    name: str
    uom: str
    on_hand_milli: int = 0
    sellable_milli: int = 0
    """At places, less holds: what the wire reports."""
    basket_milli: int = 0
    held_milli: int = 0
    expired_milli: int = 0
    """At places, of lots past their date."""
    strict_sellable_milli: int = 0
    """What may be promised: also less expired lots and less what baskets owe."""
    by_location: dict[str, int] = {}
    beliefs: dict[str, View] = {}
    """Of the places that a sensor looks at: how sure it is (ALGORITHMS 5.3 rule 4)."""

    def add(self, b: Balance, *, expired: bool) -> None:
        """One balance more."""
        self.on_hand_milli += b.qty_milli
        if b.loc == BASKET:
            self.basket_milli += b.qty_milli
        else:
            self.sellable_milli += b.qty_milli
            self.by_location[b.loc] = self.by_location.get(b.loc, 0) + b.qty_milli
            self.expired_milli += max(0, b.qty_milli) if expired else 0
        left = self.sellable_milli - self.expired_milli + min(0, self.basket_milli)
        self.strict_sellable_milli = max(0, left - self.held_milli)


def stock(args: argparse.Namespace) -> int:
    """`stockd stock`."""
    loaded = load(config_path(args))
    wanted = None
    if args.gtin is not None:
        wanted = gtin14(args.gtin)
        if wanted is None:
            raise UserError(
                f"{args.gtin} is no GTIN: 8, 12, 13 or 14 digits, the last a check digit"
            )
    if args.location is not None and args.location not in loaded.store.location_by_id():
        raise UserError(f"there is no location {args.location!r} in {loaded.path}")
    try:
        reader = Reader(Path(loaded.settings.journal.path))
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None
    rows = _rows(loaded, list(reader.balances()), wanted)
    _believe(rows, reader.parts("belief:"))
    if args.location is not None:
        for row in rows:
            row.by_location = {
                loc: qty for loc, qty in row.by_location.items() if loc == args.location
            }
            row.beliefs = {loc: x for loc, x in row.beliefs.items() if loc == args.location}
    chosen = [row for row in rows if args.location is None or row.by_location.get(args.location)]
    position = reader.bounds("stock")[1]
    if args.json:
        _print_json({"store": loaded.settings.store.id, "seq": position, "products": chosen})
    else:
        _table(chosen)
    return DONE


def _rows(loaded: Loaded, balances: list[Balance], wanted: str | None) -> list[Row]:
    """The products with a balance, by GTIN; what is expired now, by the shop's calendar."""
    names = {product.gtin: product.name for product in loaded.store.products}
    calendar, now_ns = loaded.store.calendar, wall_ns()
    rows: dict[str, Row] = {}
    for b in balances:
        if (b.loc in VIRTUAL and b.loc != BASKET) or (wanted and b.gtin != wanted):
            continue
        row = rows.setdefault(b.gtin, Row(b.gtin, names.get(b.gtin, ""), b.uom))
        expired = b.exp is not None and calendar.begins_ns(day_of(b.exp) + 1) <= now_ns
        row.add(b, expired=expired)
    return sorted(rows.values(), key=lambda row: row.gtin)


def _believe(rows: list[Row], parts: Mapping[str, bytes]) -> None:
    by_gtin = {row.gtin: row for row in rows}
    for key, body in parts.items():
        location, _, gtin = key.removeprefix("belief:").partition(" ")
        row = by_gtin.get(gtin)
        if row is not None:
            book = row.by_location.get(location, 0) // PIECE_MILLI
            row.beliefs[location] = msgspec.json.decode(body, type=Belief).view(book)


def _doubt(view: View | None) -> str:
    """What is added to a quantity that is not certain.

    >>> _doubt(View("uncertain", 4, 620_000, 3, 5)), _doubt(View("certain", 4, 990_000, 4, 4))
    (' (3 to 5?)', '')
    """
    if view is None or view.state == "certain":
        return ""
    return " (disputed 待盘点)" if view.state == "disputed" else f" ({view.low} to {view.high}?)"


def _table(rows: list[Row]) -> None:
    _say(
        f"{'GTIN':<16}{'on hand':>9}{'sellable':>10}{'strict':>8}{'expired':>9}{'basket':>8}"
        "  by location / product"
    )
    for row in rows:
        places = ", ".join(
            f"{loc} {words.quantity(qty, row.uom)}{_doubt(row.beliefs.get(loc))}"
            for loc, qty in row.by_location.items()
            if qty
        )
        cells = (
            (row.on_hand_milli, 9), (row.sellable_milli, 10), (row.strict_sellable_milli, 8),
            (row.expired_milli, 9), (row.basket_milli, 8),
        )  # fmt: skip
        numbers = "".join(f"{words.quantity(qty, row.uom):>{wide}}" for qty, wide in cells)
        _say(f"{row.gtin:<16}{numbers}  {places}   {row.name}")
