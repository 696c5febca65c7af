"""Steps that are probable, not certain: they wait at their places for better evidence.

Here: which step waits where, what is known of those that wait, and who takes one out: a sale, a
put-back, a level, its opposite, or time (ALGORITHMS 2.3). Not here: what is booked then
(`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gateway.core.clusters import summed
from gateway.core.identify import PENDING_PPM
from gateway.core.places import PENDING_MAX, Pending, Place
from gateway.domain.observation import Row, WeightStep
from gateway.domain.units import PIECE_MILLI

PROVABLE_PPM: Final = 50_000


class Waiting:
    """The pending steps of all places. `changed(location)` is called after each change."""

    def __init__(
        self,
        pending_ns: int,
        places: Mapping[str, Place],
        changed: Callable[[str], None],
    ) -> None:
        self._pending_ns, self._places, self._changed = pending_ns, places, changed

    def deadline(self, location: str) -> int | None:
        """When the oldest step at a place stops waiting."""
        place = self._places.get(location)
        if place is None:
            return None
        return min((self._due_ns(pending) for pending in place.pending), default=None)

    def _due_ns(self, pending: Pending) -> int:
        return pending.until_ns or pending.at_ns + self._pending_ns

    def add(self, pending: Pending) -> Pending | None:
        """One more waits; the oldest of too many waits no longer, and is returned."""
        waiting = self._places[pending.step.location].pending
        waiting.append(pending)
        return self.take(waiting[0]) if len(waiting) > PENDING_MAX else None

    def take(self, pending: Pending) -> Pending:
        """It waits no longer."""
        location = pending.step.location
        self._places[location].pending.remove(pending)
        self._changed(location)
        return pending

    def due(self, at_ns: int, location: str) -> list[Pending]:
        """Takes what has waited long enough, the oldest first."""
        waiting = self._places[location].pending
        return [self.take(p) for p in waiting[:] if self._due_ns(p) <= at_ns]

    def undone(self, run: Sequence[WeightStep]) -> bool:
        """Whether steps take back one that waits exactly: the same thing came or went again."""
        step = summed(run)
        near_mg = max(2 * step.sigma_mg, abs(step.step_mg) // 200)
        for one in run:
            for pending in reversed(self._places[one.location].pending):
                if abs(pending.step.step_mg + step.step_mg) <= near_mg:
                    self.take(pending)
                    return True
        return False

    def of(self, step: WeightStep, near: Iterable[str]) -> Pending | None:
        """The decision that waits and that a step of one of these places was part of."""
        for location in near:
            place = self._places.get(location)
            for pending in () if place is None else place.pending:
                if step in pending.steps:
                    return pending
        return None

    def removed(self) -> dict[str, int]:
        """Units that pending removals most probably took, by product: they are in some basket."""
        units: dict[str, int] = {}
        for place in self._places.values():
            for pending in place.pending:
                best = pending.rows[0]
                if pending.step.step_mg < 0:
                    units[best.gtin] = units.get(best.gtin, 0) + best.units
        return units

    def proven(self, gtin: str, qty_milli: int, until_ns: int) -> tuple[Pending, Row] | None:
        """The removal begun by then that so much of a product, seen elsewhere, proves best."""
        found = [
            (-row.ppm, p.at_ns, location, p, row)
            for location, place in self._places.items()
            for p in place.pending
            if p.step.step_mg < 0 and p.step.began_ns <= until_ns
            for row in p.rows
            if row.gtin == gtin and row.units and row.ppm >= _proof_ppm(row, qty_milli)
        ]
        if not found:
            return None
        _, _, _, pending, row = min(found, key=lambda one: one[:3])
        return self.take(pending), row

    def counted(self, location: str, until_ns: int) -> None:
        """A count of the place agrees with the book: what it felt before is in there already."""
        place = self._places.get(location)
        for pending in [] if place is None else place.pending[:]:
            if pending.step.at_ns <= until_ns and not pending.parts:
                self.take(pending)

    def told(self, location: str, gtin: str, qty_milli: int) -> tuple[Pending, Row] | None:
        """The step that a level's difference to the book, with its sign, explains exactly."""
        place = self._places.get(location)
        for pending in () if place is None else place.pending:
            for row in pending.rows:
                units = row.units if pending.step.step_mg > 0 else -row.units
                here = (row.loc or pending.step.location) == location and row.gtin == gtin
                if here and units and units * PIECE_MILLI == qty_milli:
                    return self.take(pending), row
        return None


def _proof_ppm(row: Row, seen_milli: int) -> int:
    """What a row must hold for so much of a product to prove it, rather than a pick nobody saw.

    Against the two in a hundred that plates miss; and who takes more than he pays is rare.
    """
    return PROVABLE_PPM if row.units * PIECE_MILLI <= seen_milli else PENDING_PPM
