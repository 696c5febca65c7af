"""Which products a step may be, and how likely each is before the scale is believed.

Here: planogram, baskets and book as the prior of one plate (ALGORITHMS 2.3, 2.4). Not here: the
likelihood (`identify`), what is posted (`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.core.baskets import Baskets
from gateway.core.book import Book
from gateway.core.identify import Candidate
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI

BASKET_SHARE_PPM: Final = 800_000
FOREIGN_SHARE_PPM: Final = 50_000
UNITS_MAX: Final = 8
"""Most units of one move, and of a place without a capacity."""
_PPM: Final = 1_000_000
_MANY: Final = 1_000_000


class Candidates:
    """The prior of every plate of the shop."""

    def __init__(self, store: Store, book: Book, baskets: Baskets) -> None:
        self._book, self._baskets = book, baskets
        self._weighable = {
            p.gtin: p for p in store.products if p.unit_mass_mg is not None and p.uom == "EA"
        }
        self._homes: dict[str, dict[str, int]] = {}
        for facing in store.planogram:
            if facing.gtin in self._weighable:
                home = self._homes.setdefault(facing.location, {})
                units = (facing.capacity_milli or 0) // PIECE_MILLI
                home[facing.gtin] = home.get(facing.gtin, 0) + units

    def lightest_mg(self, location: str) -> int | None:
        """The lightest product that belongs on the plate."""
        masses = [self._weighable[gtin].unit_mass_mg for gtin in self._homes.get(location, ())]
        return min((mass for mass in masses if mass is not None), default=None)

    def leaving(self, location: str) -> list[Candidate]:
        """What may have been taken: what belongs there, and what the book knows to lie there."""
        held = self._held(location)
        return self._made(self._shares(location), held, lambda gtin: UNITS_MAX)

    def arriving(self, location: str) -> list[Candidate]:
        """What may have been put: the contents of baskets first, then what belongs there."""
        home = self._shares(location)
        basket = [gtin for gtin in self._baskets.products() if gtin in self._weighable]
        rest = _PPM - BASKET_SHARE_PPM if basket else _PPM
        shares = {gtin: share * rest // _PPM for gtin, share in home.items()}
        for gtin in basket:
            shares[gtin] = shares.get(gtin, 0) + BASKET_SHARE_PPM // len(basket)

        def held(gtin: str) -> int:
            return _MANY if gtin in home else self._baskets.in_basket(gtin) // PIECE_MILLI

        return self._made(shares, held, lambda gtin: UNITS_MAX)

    def filling(self, location: str) -> list[Candidate]:
        """What staff may have put while they fill the shelf: any number up to the capacity."""
        capacity = self._homes.get(location, {})
        return self._made(
            self._shares(location),
            lambda gtin: _MANY,
            lambda gtin: capacity.get(gtin) or UNITS_MAX,
            flat=True,
        )

    def _held(self, location: str) -> Callable[[str], int]:
        return lambda gtin: self._book.balance(location, gtin) // PIECE_MILLI

    def _shares(self, location: str) -> dict[str, int]:
        """Products that may lie on the plate, with their share of the prior."""
        home = self._homes.get(location, {})
        shares = dict.fromkeys(home, _PPM // max(1, len(home)))
        for gtin in self._book.products_at(location):
            if gtin in self._weighable:
                shares.setdefault(gtin, FOREIGN_SHARE_PPM)
        return shares

    def _made(
        self,
        shares: dict[str, int],
        held: Callable[[str], int],
        units_max: Callable[[str], int],
        *,
        flat: bool = False,
    ) -> list[Candidate]:
        return [
            Candidate(
                gtin,
                product.unit_mass_mg,
                product.unit_mass_sd_mg,
                share,
                held(gtin),
                units_max(gtin),
                flat,
            )
            for gtin, share in shares.items()
            if (product := self._weighable[gtin]).unit_mass_mg is not None
        ]
