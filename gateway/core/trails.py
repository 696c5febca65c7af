"""The words of a product's way through `@basket`, as they are kept in the journal.

Here: picks, losses and open sales of one product. Not here: what moves them
(`baskets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from gateway.domain.units import NS_PER_S

LATE_NS: Final = 5 * NS_PER_S
"""A pick heard by then after a sale may have been before it (ALGORITHMS 6.3; E3)."""


class Weighed(msgspec.Struct):
    """What plates said of units that were taken together."""

    mass_mg: int
    units: int
    noise_mg: int


class Entry(msgspec.Struct):
    """Units in somebody's basket."""

    at_ns: int
    qty_milli: int
    lot: str
    loc: str
    seq: int
    until_ns: int
    """When it is given up."""
    weighed: Weighed | None = None
    """If plates saw it go."""
    untimed: bool = False
    """`at_ns` is when it was missed: it was taken some time before."""

    def may_be(self, sale: OpenSale) -> bool:
        """Whether a sale that waits may be of it: nobody pays what is taken after."""
        return self.untimed or self.at_ns <= sale.at_ns + LATE_NS


class Lost(msgspec.Struct):
    """Units that left a basket unpaid and unseen; provisional for two days."""

    at_ns: int
    qty_milli: int
    lot: str
    seq: int
    picked_ns: int | None = None
    """When it went into the basket; None where no pick was seen."""


class OpenSale(msgspec.Struct):
    """Units sold whose pick nobody has seen yet."""

    at_ns: int
    qty_milli: int
    lot: str
    seq: int
    dev: str
    ref: str
    receipt: str = ""
    """Its number, where the till's software says one."""


class Seen(NamedTuple):
    """So much of a product was seen to be paid, or to be put back: somebody had taken it."""

    gtin: str
    qty_milli: int
    until_ns: int
    """By when it had been taken."""
    seq: int | None
    """The sale; None where it was no sale."""


class Trail(msgspec.Struct):
    """One product's way through `@basket`: entries minus open sales is its balance there."""

    basket: list[Entry] = []
    lost: list[Lost] = []
    open: list[OpenSale] = []


def merged(parts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Parts of the same lot added up, in order of first appearance."""
    sums: dict[str, int] = {}
    for lot, qty in parts:
        sums[lot] = sums.get(lot, 0) + qty
    return list(sums.items())
