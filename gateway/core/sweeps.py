"""A sweep of RFID readers over the places of a stocktake: how many tags of each product are there.

Here: which reader a tag belongs to when several hear it, and when readers cannot tell. Not here:
when a tag is present (`presence`), what is booked of it (`stocktakes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.core.readers import Reader, Sighting
from gateway.core.stocktakes import Stocktakes, StocktakeView
from gateway.domain.observation import Swept, SweptPlace, SweptProduct
from gateway.domain.reading import Order, StocktakeFinish
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S

LISTENED_NS: Final = 10 * NS_PER_S
"""A reader that has just come back has not heard everything yet."""
_UNHEARD_CDBM: Final = -100_000


class Sweeps:
    """The readers of the shop, as a stocktake asks them."""

    def __init__(self, store: Store, readers: Mapping[str, Reader]) -> None:
        self._readers = readers
        self._products = store.product_by_gtin()
        self._cases = {case.gtin: case for case in store.cases}

    def before(
        self, at_ns: int, device: str, order: Order, stocktakes: Stocktakes
    ) -> Iterable[Swept]:
        """What is observed before an order is obeyed: the sweep that a stocktake ends with."""
        places = stocktakes.sweeping(order.id) if isinstance(order, StocktakeFinish) else ()
        if not places:
            return ()
        return (Swept(at_ns, device, order.id, self.sweep(at_ns, places)),)  # type: ignore[union-attr]

    def sweep(self, at_ns: int, places: Sequence[str]) -> tuple[SweptPlace, ...]:
        """What is heard at each place, or why that cannot be told. Never raises."""
        heard: dict[str, dict[str, list[int]]] = {}
        for one in self._tags():
            case = self._cases.get(one.gtin)
            gtin, units = (one.gtin, 1) if case is None else (case.unit_gtin, case.units)
            if gtin in self._products:  # else what a shopper wears would be counted
                there = heard.setdefault(one.location, {})
                there.setdefault(gtin, [0, 0])[one.leaving] += units
        out = []
        for place in places:
            why = self._why_not(at_ns, place)
            there = {} if why else heard.get(place, {})
            found = [SweptProduct(gtin, *n) for gtin, n in sorted(there.items())]
            out.append(SweptPlace(place, tuple(found), why))
        return tuple(out)

    def _tags(self) -> Iterable[Sighting]:
        """Each tag once: where it is heard best."""
        best: dict[str, tuple[tuple[bool, int], Sighting]] = {}
        for reader in self._readers.values():
            for one in reader.sightings():
                strength = _UNHEARD_CDBM if one.rssi_cdbm is None else one.rssi_cdbm
                rank = (not one.leaving, strength)
                if one.epc not in best or best[one.epc][0] < rank:
                    best[one.epc] = (rank, one)
        return [one for _, one in best.values()]

    def _why_not(self, at_ns: int, place: str) -> str:
        names = [name for name, reader in self._readers.items() if reader.covers(place)]
        if not names:
            return "no RFID antenna looks there"
        for name in names:
            since_ns = self._readers[name].hears_since_ns(place)
            if since_ns is None:
                return f"reader {name} does not hear it now"
            if at_ns - since_ns < LISTENED_NS:
                return f"reader {name} listens only since {(at_ns - since_ns) // NS_PER_S} s"
        return ""

    def views(self, at_ns: int, stocktakes: Stocktakes) -> tuple[StocktakeView, ...]:
        """The running stocktakes; of a sweep, the products that are heard now."""
        return tuple(
            view if view.by != "rfid" else self._heard(at_ns, view) for view in stocktakes.views()
        )

    def _heard(self, at_ns: int, view: StocktakeView) -> StocktakeView:
        heard = self.sweep(at_ns, [place.location for place in view.places])
        places = tuple(
            msgspec.structs.replace(
                place,
                counted=len(now.products),
                expected=max(place.expected, len(now.products)),
            )
            for place, now in zip(view.places, heard, strict=True)
        )
        return msgspec.structs.replace(view, places=places)
