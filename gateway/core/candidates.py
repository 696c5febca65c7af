"""Which products a step may be, and how likely each is before the scale is believed.

Here: planogram, guests, baskets and book as the prior of a plate, or of several side by side
(ALGORITHMS 2.3, 2.4, 2.7). Not here: the likelihood (`identify`), what is posted (`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.core.baskets import Baskets
from gateway.core.book import Book
from gateway.core.identify import Candidate
from gateway.core.masses import Masses
from gateway.domain.observation import Row
from gateway.domain.store import Store
from gateway.domain.units import PIECE_MILLI, sqrt_floor

BASKET_SHARE_PPM: Final = 800_000
ANNOUNCED_SHARE_PPM: Final = 950_000
ASTRAY_PPM: Final = 200_000
"""Of what is put back so much is not put where it belongs (ALGORITHMS 7.1)."""
FOREIGN_SHARE_PPM: Final = 50_000
AGAIN_MAX: Final = 8
"""Entries of one product, the newest, that are compared with a put-back one by one."""
UNITS_MAX: Final = 8
"""Most units of one move, and of a place without a capacity."""
_PPM: Final = 1_000_000
_MANY: Final = 1_000_000

Guests = Mapping[str, str]
"""Products that lie on a plate without belonging there, and where the book holds each."""


class Candidates:
    """The prior of every plate of the shop."""

    def __init__(
        self,
        store: Store,
        book: Book,
        baskets: Baskets,
        masses: Masses | None = None,
        removed: Callable[[], Mapping[str, Row]] = dict,
        came: Callable[[str], Mapping[str, int]] = lambda location: {},
    ) -> None:
        """`removed()` is what pending removals may have taken, by product, and `came(location)`
        what pending arrivals most probably brought there, in units."""
        self._removed, self._came = removed, came
        self._book, self._baskets = book, baskets
        self._masses = Masses(store.products) if masses is None else masses
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

    def belongs(self, location: str, gtin: str) -> bool:
        """Whether the planogram holds a weighable product there."""
        return gtin in self._homes.get(location, ())

    def only(self, location: str) -> str | None:
        """The one weighable product that belongs there; None when there are more, or none."""
        home = self._homes.get(location, {})
        return next(iter(home)) if len(home) == 1 else None

    def strangers(self, location: str) -> list[str]:
        """Weighable products that the book holds at a place where they do not belong."""
        home = self._homes.get(location, {})
        held = self._book.products_at(location)
        return [gtin for gtin in held if gtin in self._weighable and gtin not in home]

    def leaving(self, location: str, guests: Guests | None = None) -> list[Candidate]:
        """What may have been taken: what belongs there, and its guests.

        Guests that are not told are what the book knows to lie there.
        """
        if guests is None:
            guests = dict.fromkeys(self.strangers(location), location)
        came = self._came(location)

        def held(gtin: str) -> int:
            booked = self._book.balance(guests.get(gtin, location), gtin) // PIECE_MILLI
            return booked + came.get(gtin, 0)

        shares = self._shares(location, guests)
        if len(shares) > 1:
            return self._made(shares, held, lambda gtin: UNITS_MAX)
        most = {gtin: max(UNITS_MAX, held(gtin)) for gtin in shares}
        return self._made(shares, held, most.__getitem__, alone=True)

    def arriving(self, location: str, guests: Guests | None = None) -> list[Candidate]:
        """What may have been put: the contents of baskets first, then what belongs there."""
        if guests is None:
            guests = dict.fromkeys(self.strangers(location), location)
        home = self._shares(location, guests)
        removed = self._removed()
        basket = self._basket_shares(home, removed)
        rest = _PPM - BASKET_SHARE_PPM if basket else _PPM
        shares = {gtin: share * rest // _PPM for gtin, share in home.items()}
        again: list[Candidate] = []
        for gtin, share in basket.items():
            units = self._weighed_before(gtin, share // 2)
            again += units
            shares[gtin] = shares.get(gtin, 0) + share - sum(c.share_ppm for c in units)

        def held(gtin: str) -> int:
            taken = removed[gtin].units if gtin in removed else 0
            taken += self._baskets.in_basket(gtin) // PIECE_MILLI
            return _MANY if gtin in home else taken

        return self._made(shares, held, lambda gtin: UNITS_MAX) + again

    def _basket_shares(self, home: Mapping[str, int], removed: Mapping[str, Row]) -> dict[str, int]:
        """What baskets hold, as the prior of a put-back: mostly to where it belongs.

        What may be in one counts as much as it is likely to be.
        """
        sure = dict.fromkeys(self._baskets.products(), _PPM)
        likely = {gtin: row.ppm for gtin, row in removed.items()} | sure
        basket = sorted(likely.keys() & self._weighable.keys())
        groups = [[g for g in basket if g in home], [g for g in basket if g not in home]]
        weights = (_PPM - ASTRAY_PPM, ASTRAY_PPM) if all(groups) else (_PPM, _PPM)
        return {
            gtin: BASKET_SHARE_PPM * weight // _PPM * likely[gtin] // sum(likely[g] for g in group)
            for group, weight in zip(groups, weights, strict=True)
            for gtin in group
        }

    def _weighed_before(self, gtin: str, share_ppm: int) -> list[Candidate]:
        """Units whose mass is known from their pick: a put-back weighs what was taken."""
        unit = self._masses.of(gtin)
        seen = [entry for entry in self._baskets.trail(gtin).basket if entry.weighed is not None]
        if unit is None:
            return []
        found = []
        for entry in seen[-AGAIN_MAX:]:
            taken, held = entry.weighed, entry.qty_milli // PIECE_MILLI
            if taken is None or not held:
                continue
            # The mean of so many is known; each of them deviates from it.
            sd_mg = sqrt_floor(unit.sd_mg**2 * (taken.units - 1) // taken.units)
            mean_mg, mean_sd_mg = taken.mass_mg // taken.units, taken.noise_mg // taken.units
            share = share_ppm // min(AGAIN_MAX, len(seen))
            found.append(Candidate(gtin, mean_mg, sd_mg, mean_sd_mg, share, held, held))
        return found

    def filling(
        self,
        location: str,
        guests: Guests | None = None,
        announced: Mapping[str, int] | None = None,
    ) -> list[Candidate]:
        """What staff may have put while they fill the shelf: any number up to the capacity.

        `announced` is what scans have told and the plate has not seen, in milli: most likely that.
        """
        if guests is None:
            guests = dict.fromkeys(self.strangers(location), location)
        shares = self._shares(location, guests)
        told = {gtin: milli for gtin, milli in (announced or {}).items() if gtin in shares}
        if told:
            rest = _PPM - ANNOUNCED_SHARE_PPM
            shares = {gtin: share * rest // _PPM for gtin, share in shares.items()}
            for gtin in told:
                shares[gtin] += ANNOUNCED_SHARE_PPM // len(told)
        capacity = self._homes.get(location, {})
        return self._made(
            shares, lambda gtin: _MANY, lambda gtin: capacity.get(gtin) or UNITS_MAX, flat=True
        )

    def _shares(self, location: str, guests: Guests) -> dict[str, int]:
        """Products that may lie on the plate, with their share of the prior."""
        home = self._homes.get(location, {})
        shares = dict.fromkeys(home, _PPM // max(1, len(home)))
        for gtin in guests:
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
        alone: bool = False,
    ) -> list[Candidate]:
        return [
            Candidate(
                gtin, unit.mean_mg, unit.sd_mg, unit.mean_sd_mg, share, held(gtin),
                units_max(gtin), flat, alone,
            )
            for gtin, share in shares.items()
            if (unit := self._masses.of(gtin)) is not None
        ]  # fmt: skip


def of_all(plates: Sequence[Sequence[Candidate]], loads_mg: Sequence[int]) -> list[Candidate]:
    """The candidates of several plates, each with such a load, as of one.

    Shares are averaged, and units that the book holds added.
    """
    if len(plates) == 1:
        return list(plates[0])
    merged: dict[tuple[str, int], Candidate] = {}
    for candidates, load_mg in zip(plates, loads_mg, strict=True):
        for c in candidates:
            had = merged.get((c.gtin, c.mass_mg))
            share = c.share_ppm // len(plates)
            merged[c.gtin, c.mass_mg] = msgspec.structs.replace(
                c,
                share_ppm=share + (had.share_ppm if had else 0),
                in_book=c.in_book + (had.in_book if had else 0),
                units_max=max(c.units_max, had.units_max if had else 0),
                lies_mg=max(abs(load_mg), (had.lies_mg or 0) if had else 0),
            )
    return list(merged.values())
