"""Double entry: balances per account, product and lot, and the lines of an event.

Here: what every account holds, which lot goes first, and the check that each event sums to zero.
Not here: why something moves (`fuse`), where it is stored (`journal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway.domain.reading import Word
from gateway.domain.stock import BASKET, Line, Uom, imbalance

SHARED_MAX: Final = 3
"""Names in a tuple that is kept once for all."""
Key = tuple[str, str, str]
"""(loc, gtin, lot), with '' for the lot that is not known."""


class BrokenInvariant(Exception):
    """A programmer's error that memory cannot be trusted after: the process ends."""


class Balance(Word, frozen=True):
    """One account's quantity of one lot, as kept in the journal."""

    loc: str
    gtin: str
    lot: str
    """'' = not known."""
    uom: Uom
    exp: str | None
    qty_milli: int


class Posting(Word, frozen=True):
    """A signed change of one account before it has a balance behind it."""

    loc: str
    gtin: str
    lot: str | None
    d: int
    counted: bool = False


class Book:
    """The balances of one store. `lines` is the only way to change them."""

    def __init__(self, balances: Iterable[Balance] = ()) -> None:
        self._qty: dict[Key, int] = {}
        self._lots: dict[str, dict[str, tuple[str, ...]]] = {}
        """By place and product, in order of first receipt."""
        self._places: dict[str, tuple[str, ...]] = {}
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        """The few distinct ones of both: most products lie where many others do, without lots."""
        self._exp: dict[tuple[str, str], str] = {}
        self._uom: dict[str, Uom] = {}
        self.changed: dict[Key, None] = {}
        for b in balances:
            self._put((b.loc, b.gtin, b.lot), b.qty_milli)
            self._uom[b.gtin] = b.uom
            if b.exp is not None:
                self._exp[b.gtin, b.lot] = b.exp
        self.changed.clear()

    def uom(self, gtin: str) -> Uom | None:
        """The unit a product is booked in; None before its first event."""
        return self._uom.get(gtin)

    def learn_uom(self, gtin: str, uom: Uom) -> None:
        """A product has exactly one unit in a store: the first one stays."""
        self._uom.setdefault(gtin, uom)

    def learn_expiry(self, gtin: str, lot: str, exp: str) -> None:
        """A lot's expiry date, from the scan that brought it."""
        if self._exp.get((gtin, lot)) != exp:
            self._exp[gtin, lot] = exp
            for loc, products in self._lots.items():
                if lot in products.get(gtin, ()):
                    self.changed[loc, gtin, lot] = None

    def expiry(self, gtin: str, lot: str) -> str | None:
        """A lot's expiry date, YYYY-MM-DD; None when nobody told it."""
        return self._exp.get((gtin, lot))

    def products(self) -> tuple[str, ...]:
        """Products that any account holds or ever held."""
        return tuple(self._places)

    def places(self, gtin: str) -> tuple[str, ...]:
        """Accounts that hold or ever held a product, in order of first receipt."""
        return self._places.get(gtin, ())

    def lots_of(self, gtin: str) -> tuple[str, ...]:
        """Lots of a product that any account ever held, '' left out."""
        lots = (lot for loc in self._places.get(gtin, ()) for lot in self._lots[loc][gtin] if lot)
        return tuple(dict.fromkeys(lots))

    def lot_balance(self, loc: str, gtin: str, lot: str | None) -> int:
        """Balance of one lot of a product at one place, in milli."""
        return self._qty.get((loc, gtin, lot or ""), 0)

    def balance(self, loc: str, gtin: str) -> int:
        """Balance of a product at one place over all lots, in milli."""
        return sum(self._qty[loc, gtin, lot] for lot in self._held(loc, gtin))

    def products_at(self, loc: str) -> list[str]:
        """Products with a positive balance at a place, sorted."""
        return sorted(g for g in self._lots.get(loc, ()) if self.balance(loc, g) > 0)

    def lots_at(self, loc: str, gtin: str) -> dict[str, int]:
        """Lots of a product that a place holds or owes, in order of first receipt, in milli."""
        lots = self._held(loc, gtin)
        return {lot: qty for lot in lots if (qty := self._qty[loc, gtin, lot])}

    def first_expired_first_out(self, loc: str, gtin: str, qty_milli: int) -> list[tuple[str, int]]:
        """Which lots a removal takes: earliest expiry, then earliest receipt, the unknown last.

        What the place does not hold is taken from the unknown lot ''. ALGORITHMS 5.7.
        """
        order = sorted(
            (lot for lot in self._held(loc, gtin) if self._qty[loc, gtin, lot] > 0),
            key=lambda lot: (not lot, self._exp.get((gtin, lot), "9999-99-99")),
        )
        taken: list[tuple[str, int]] = []
        for lot in order:
            part = min(qty_milli, self._qty[loc, gtin, lot])
            if part > 0:
                taken.append((lot, part))
                qty_milli -= part
        if qty_milli > 0:
            if taken and not taken[-1][0]:
                taken[-1] = ("", taken[-1][1] + qty_milli)
            else:
                taken.append(("", qty_milli))
        return taken

    def lines(self, postings: Iterable[Posting], virtual: frozenset[str]) -> tuple[Line, ...]:
        """Applies postings and gives the lines of their event, one per (gtin, lot, loc).

        Raises BrokenInvariant when they do not sum to zero per product and lot.
        """
        sums: dict[tuple[str, str, str], list[int]] = {}
        for p in postings:
            cell = sums.setdefault((p.gtin, p.lot or "", p.loc), [0, 0])
            cell[0] += p.d
            cell[1] |= p.counted
        out = []
        for (gtin, lot, loc), (d, counted) in sums.items():
            after = self._qty.get((loc, gtin, lot), 0) + d
            self._put((loc, gtin, lot), after)
            told = after if loc == BASKET or loc not in virtual else None
            line = Line(
                gtin=gtin,
                lot=lot or None,
                exp=self._exp.get((gtin, lot)) if lot else None,
                loc=loc,
                d=d,
                uom=self._uom[gtin],
                after=told,
            )
            out.append(msgspec.structs.replace(line, counted=after) if counted else line)
        lines = tuple(out)
        wrong = imbalance(lines)
        if wrong is not None:
            raise BrokenInvariant(f"an event does not balance: {wrong}")
        return lines

    def take_changed(self) -> list[Balance]:
        """Balances changed since the last call, for the journal."""
        out = [
            Balance(
                loc=loc,
                gtin=gtin,
                lot=lot,
                uom=self._uom[gtin],
                exp=self._exp.get((gtin, lot)) if lot else None,
                qty_milli=self._qty.get((loc, gtin, lot), 0),
            )
            for loc, gtin, lot in self.changed
        ]
        self.changed.clear()
        return out

    def snapshot(self) -> Mapping[Key, int]:
        """All balances that are not zero, sorted."""
        return {key: qty for key, qty in sorted(self._qty.items()) if qty}

    def _put(self, key: Key, qty: int) -> None:
        self._qty[key] = qty
        self.changed[key] = None
        loc, gtin, lot = key
        lots = self._held(loc, gtin)
        if lot not in lots:
            self._lots.setdefault(loc, {})[gtin] = self._share((*lots, lot))
        places = self._places.get(gtin, ())
        if loc not in places:
            self._places[gtin] = self._share((*places, loc))

    def _held(self, loc: str, gtin: str) -> tuple[str, ...]:
        """Lots that a place holds or ever held of a product."""
        products = self._lots.get(loc)
        return () if products is None else products.get(gtin, ())

    def _share(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return self._shared.setdefault(names, names) if len(names) <= SHARED_MAX else names
