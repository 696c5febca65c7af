"""A step that waits is proven: by a sale, by a put-back, by what is taken there, by a level.

Here: what it is booked as then, and on what that rests (ALGORITHMS 2.3). Not here: which steps wait
and which of them a proof fits best (`waiting`), how a step is judged (`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.core.baskets import Baskets
from gateway.core.flows import Flows
from gateway.core.identify import parts_of
from gateway.core.missed import PROVEN_CONF
from gateway.core.places import Pending
from gateway.core.postings import Poster
from gateway.core.trails import Entry, Seen
from gateway.core.waiting import Waiting
from gateway.domain.observation import Because, Row


class Proofs:
    """What waits in the shop, as other evidence comes. `changed(location)` after each booking."""

    def __init__(
        self,
        poster: Poster,
        baskets: Baskets,
        waiting: Waiting,
        flows: Flows,
        changed: Callable[[str], None],
    ) -> None:
        self._poster, self._baskets, self._waiting = poster, baskets, waiting
        self._flows, self._changed = flows, changed
        poster.arrivals, flows.prove = self.arrived, self.returned

    def sold(self, at_ns: int, lines: Sequence[Seen]) -> bool:
        """The lines of a receipt tell what a removal was: it is posted as a pick."""
        found = self._waiting.sold(lines)
        if found is None:
            return False
        seqs = {line.gtin: line.seq for line in reversed(lines)}
        self._took(at_ns, *found, "sale_proves_pick", seqs, {})
        return True

    def returned(
        self, at_ns: int, seen_ns: int, here: str, gtin: str, qty_milli: int
    ) -> list[Entry]:
        """What comes back tells what a removal was; what of it is back is returned."""
        found = self._waiting.returned(gtin, qty_milli, seen_ns, here)
        if found is None:
            return []
        return self._took(at_ns, *found, "return_proves_pick", {}, {gtin: qty_milli})

    def _took(
        self,
        at_ns: int,
        pending: Pending,
        row: Row,
        code: str,
        seqs: Mapping[str, int | None],
        back: Mapping[str, int],
    ) -> list[Entry]:
        """A removal is booked as one of its rows; up to `back` of it, by product, came back."""
        # What proves it says that it is old enough.
        began_ns = min(pending.step.began_ns, at_ns - self._baskets.age_ns)
        step = msgspec.structs.replace(pending.at(row), began_ns=began_ns)
        before = self._poster.because_of(pending.cause, pending.sources)
        parts, entries = parts_of(row), []
        for part in parts:
            gtin, qty = part.gtin, pending.left_milli(part)
            because, weighs = Because(code, pending.rows, seqs.get(gtin)), part.units
            if qty:
                entries += self._flows.pick(
                    at_ns, step, gtin, qty, PROVEN_CONF, because, None,
                    weighs if len(parts) == 1 else 0, back.get(gtin, 0),
                )  # fmt: skip
                self._poster.once()
        self._poster.because_of(*before)
        self._changed(step.location)
        return entries

    def arrived(self, at_ns: int, location: str, gtin: str, qty_milli: int) -> None:
        """More of a product is taken than the book holds: arrivals that wait were that product."""
        while self._poster.book.balance(location, gtin) < qty_milli:
            found = self._waiting.arrived(location, gtin)
            if found is None:
                return
            pending, row = found
            before = self._poster.because_of(pending.cause, pending.sources)
            because = Because("removal_proves_arrival", pending.rows)
            sure = msgspec.structs.replace(row, ppm=PROVEN_CONF * 1000)
            self._flows.post(at_ns, pending, sure, because)
            self._poster.because_of(*before)

    def counted(self, at_ns: int, counted_ns: int, location: str, gtin: str, qty: int) -> None:
        """People counted a product: `qty`, in milli, more than the book says.

        A step before that tells exactly this much is posted; another of this product is in the
        count already, and is not booked any more.
        """
        found = self._waiting.told(location, gtin, qty, counted_ns) if qty else None
        if found is not None:
            pending, row = found
            before = self._poster.because_of(pending.cause, pending.sources)
            sure = msgspec.structs.replace(row, ppm=PROVEN_CONF * 1000)
            self._flows.post(at_ns, pending, sure, Because("count_proves_step", pending.rows))
            self._poster.because_of(*before)
        self._waiting.counted(location, counted_ns, gtin)

    def level(self, at_ns: int, location: str, gtin: str, qty: int, because: Because) -> int:
        """A level tells what a step was: it is posted. How much of `qty`, in milli.

        `qty` > 0 when the plate holds more than the book.
        """
        found = self._waiting.told(location, gtin, qty)
        if found is None:
            return 0
        self._flows.post(at_ns, *found, because)
        return abs(qty)
