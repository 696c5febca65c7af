"""What a label stands for in this shop: which product of the catalogue, and how much of it.

Here: cases to units, weights, prices and counts inside numbers of restricted circulation, AI 30,
37 and 310n (ALGORITHMS 1.4). Not here: what the label says (`gs1`), how digits are laid out
(`rcn`), echoes and modes (`scans`). Nothing is guessed: what the catalogue cannot turn into a
quantity has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from gateway.domain import gs1, rcn
from gateway.domain.reading import Word
from gateway.domain.store import Case, Product
from gateway.domain.units import PIECE_MILLI, div_half_even


class Goods(Word, frozen=True):
    """So much of one product."""

    gtin: str
    qty_milli: int
    """0 where the label does not say how much."""
    uom: Literal["KGM"] | None = None
    """None: the product's own unit."""


class Labels:
    """The cases and layouts of one shop. Pure: the catalogue comes in with each question."""

    def __init__(self, cases: Sequence[Case] = (), layouts: Sequence[rcn.RcnLayout] = ()) -> None:
        self._cases = {case.gtin: case for case in cases}
        self._layouts = tuple(layouts)

    def goods(self, item: gs1.Item, products: Mapping[str, Product]) -> Goods | None:
        """What a label stands for; None when the verifier of the value inside it is wrong.

        Never raises, never less than 0.
        """
        case = self._cases.get(item.gtin)
        if case is not None:
            return _contents(item, case, products.get(case.unit_gtin))
        layout = rcn.layout_of(item.gtin, self._layouts) if item.restricted else None
        if layout is not None:
            return _inside(item, layout, products)
        product = products.get(item.gtin)
        if product is None and item.restricted:
            return Goods(item.gtin, 0)  # an item only where this shop says so
        by_mass = item.net_kg_milli is not None and (product is None or product.uom == "KGM")
        return Goods(item.gtin, _measure(item, product), "KGM" if by_mass else None)

    def article(self, gtin: str) -> tuple[str, int]:
        """Product, and units of it, that a till means by a number whose quantity it tells.

        A case is its units; a number with a value inside is its item.
        """
        case = self._cases.get(gtin)
        if case is not None:
            return case.unit_gtin, case.units
        layout = rcn.layout_of(gtin, self._layouts) if gs1.is_restricted(gtin) else None
        return (gtin, 1) if layout is None else (rcn.item_gtin(gtin, layout), 1)


def _measure(item: gs1.Item, product: Product | None) -> int:
    """Pieces, or the net mass that the label tells, in thousandths."""
    if product is None:
        return item.count * PIECE_MILLI if item.net_kg_milli is None else item.net_kg_milli
    if product.uom == "EA":
        return item.count * PIECE_MILLI
    return (item.net_kg_milli or 0) if product.uom == "KGM" else 0


def _contents(item: gs1.Item, case: Case, unit: Product | None) -> Goods:
    """A case: its units, or the net mass that its own label tells."""
    if item.net_kg_milli is not None and unit is not None and unit.uom == "KGM":
        return Goods(case.unit_gtin, item.net_kg_milli, "KGM")
    return Goods(case.unit_gtin, item.count * case.units * PIECE_MILLI)


def _inside(item: gs1.Item, layout: rcn.RcnLayout, products: Mapping[str, Product]) -> Goods | None:
    """A number of restricted circulation: its item, and the value it carries."""
    value = rcn.value_of(item.gtin, layout)
    if value is None:
        return None
    gtin = rcn.item_gtin(item.gtin, layout)
    product = products.get(gtin)
    if product is None:
        return Goods(gtin, 0)
    uom: Literal["KGM"] | None = "KGM" if product.uom == "KGM" else None
    if layout.value == "none":
        return Goods(gtin, _measure(item, product), uom)
    return Goods(gtin, item.count * _worth_milli(layout, value, product), uom)


def _worth_milli(layout: rcn.RcnLayout, value: int, product: Product) -> int:
    """A value in thousandths of the product's unit, rounded half to even; 0 where it has none."""
    over = 10 ** max(layout.decimals, 0)
    value *= 10 ** max(-layout.decimals, 0)
    if layout.value == "mass_g":
        return div_half_even(value, over) if product.uom == "KGM" else 0  # 1 g = 0.001 kg
    if layout.value == "count":
        return value * PIECE_MILLI if product.uom == "EA" else 0
    if product.unit_price_minor is None:
        return 0
    worth = div_half_even(value * 1000, product.unit_price_minor * over)
    part = product.uom == "EA" and worth % PIECE_MILLI
    return 0 if part else worth  # a price that is no whole number of pieces is another price
