"""The shop: its locations, products and planogram. Facts that people configured, frozen.

Here: the look-ups the core needs. Not here: reading the files (`config`, `catalogue`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Literal

import msgspec

from gateway.domain.calendar import UTC, Calendar
from gateway.domain.reading import Word
from gateway.domain.stock import Uom

PHYSICAL: Final = ("shelf", "backroom", "receiving")
"""Kinds of location that hold stock; a till and an exit are passed, not stocked."""

LocationKind = Literal["shelf", "backroom", "receiving", "till", "exit"]


class Location(Word, frozen=True):
    """A place of the shop with a name that people use."""

    id: str
    kind: LocationKind
    name: str = ""
    bay: str | None = None
    position: int | None = None

    @property
    def physical(self) -> bool:
        """Whether goods can lie here."""
        return self.kind in PHYSICAL


class Product(Word, frozen=True):
    """A row of products.csv."""

    gtin: str
    name: str
    uom: Uom = "EA"
    unit_mass_mg: int | None = None
    """None: not weighable."""
    unit_mass_sd_mg: int | None = None
    low_stock_milli: int | None = None
    near_expiry_days: int | None = None
    category: str = ""
    unit_price_minor: int | None = None
    """Price of one unit in the smallest coin; None: no label with a price inside can be counted."""


class Case(Word, frozen=True):
    """What a row of packs.csv comes to: so many units of a product, cases within cases undone."""

    gtin: str
    unit_gtin: str
    units: int


class Facing(Word, frozen=True):
    """A row of planogram.csv: where a product belongs, and how much of it fits."""

    location: str
    slot: str
    gtin: str
    facings: int = 1
    depth: int = 1
    capacity_milli: int | None = None


class Store(msgspec.Struct, frozen=True, dict=True):
    """Everything configured about the goods and places of one shop."""

    id: str
    locations: tuple[Location, ...]
    products: tuple[Product, ...]
    planogram: tuple[Facing, ...]
    cases: tuple[Case, ...] = ()
    calendar: Calendar = UTC
    """Its local days: expiry ends at midnight."""

    def location_by_id(self) -> Mapping[str, Location]:
        """Locations by id, in the order of the configuration."""
        return {location.id: location for location in self.locations}

    def product_by_gtin(self) -> Mapping[str, Product]:
        """Products by GTIN-14."""
        return self._by_gtin

    @cached_property
    def _by_gtin(self) -> Mapping[str, Product]:
        return {product.gtin: product for product in self.products}

    def homes(self, gtin: str) -> tuple[str, ...]:
        """Locations whose planogram holds the product, in planogram order."""
        return self._homes.get(gtin, ())

    @cached_property
    def _homes(self) -> Mapping[str, tuple[str, ...]]:
        """By product; one tuple for all that share a place."""
        homes: dict[str, tuple[str, ...]] = {}
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for facing in self.planogram:
            known = homes.get(facing.gtin, ())
            if facing.location not in known:
                wider = (*known, facing.location)
                homes[facing.gtin] = shared.setdefault(wider, wider)
        return homes

    @cached_property
    def facings(self) -> Mapping[str, tuple[Facing, ...]]:
        """The rows of the planogram by product."""
        rows: dict[str, list[Facing]] = {}
        for facing in self.planogram:
            rows.setdefault(facing.gtin, []).append(facing)
        return {gtin: tuple(facings) for gtin, facings in rows.items()}

    def first_of(self, *kinds: LocationKind) -> str | None:
        """The first location of the first kind that the shop has; None when it has none."""
        for kind in kinds:
            for location in self.locations:
                if location.kind == kind:
                    return location.id
        return None
