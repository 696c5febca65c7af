"""Steps that are probable, not certain: they wait at their places for better evidence.

Here: which step waits where, what is known of those that wait, and who takes one out: a sale, a
put-back, a level, its opposite, or time (ALGORITHMS 2.3). Not here: what is booked then
(`shelves`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gateway.core.clusters import summed
from gateway.core.identify import PENDING_PPM, parts_of
from gateway.core.places import PENDING_MAX, Pending, Place
from gateway.core.receipts import PROVABLE_PPM, fit_mnat
from gateway.core.trails import Seen
from gateway.domain.observation import Row, WeightStep
from gateway.domain.units import PIECE_MILLI

SHORT_PPM: Final = 250_000
"""What a row of an arrival must hold for a shortage to prove it: a book may be short for another
reason."""


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

    def removed(self) -> dict[str, Row]:
        """What pending removals may have taken, by product: it is in some basket.

        Units in all, and the most that any removal holds for it.
        """
        taken: dict[str, Row] = {}
        for place in self._places.values():
            for row in (r for p in place.pending if p.step.step_mg < 0 for r in p.rows):
                for part in parts_of(row) if row.ppm >= PROVABLE_PPM else ():
                    had = taken.get(part.gtin, Row(part.gtin, 0, 0))
                    units, ppm = had.units + part.units, max(had.ppm, row.ppm)
                    taken[part.gtin] = Row(part.gtin, units, ppm)
        return taken

    def came(self, location: str) -> dict[str, int]:
        """Units that pending arrivals most probably brought to a place, by product."""
        units: dict[str, int] = {}
        place = self._places.get(location)
        for pending in () if place is None else place.pending:
            for part in parts_of(pending.rows[0]) if pending.step.step_mg > 0 else ():
                units[part.gtin] = units.get(part.gtin, 0) + part.units
        return units

    def arrived(self, location: str, gtin: str) -> tuple[Pending, Row] | None:
        """The arrival that most probably brought a product which was taken from a place."""
        found = [
            (-row.ppm, p.at_ns, where, p, row)
            for where, place in self._places.items()
            for p in place.pending
            if p.step.step_mg > 0
            for row in p.rows
            if row.ppm >= SHORT_PPM and (row.loc or p.step.location) == location
            and any(part.gtin == gtin for part in parts_of(row))
        ]  # fmt: skip
        if not found:
            return None
        _, _, _, pending, row = min(found, key=lambda one: one[:3])
        return self.take(pending), row

    def sold(self, lines: Sequence[Seen]) -> tuple[Pending, Row] | None:
        """The removal that the lines of a receipt prove best, taken out; and what it was."""
        found = []
        for location, place in self._places.items():
            for p in (p for p in place.pending if p.step.step_mg < 0):
                seen = [line for line in lines if p.may_be(line.until_ns)]
                for row in p.rows:
                    left = {x.gtin: p.left_milli(x) // PIECE_MILLI for x in parts_of(row)}
                    back = {g: _returning(place, g, p.step.at_ns) // PIECE_MILLI for g in left}
                    fit = fit_mnat(row.ppm, left, seen, back)
                    if fit is not None:
                        found.append((-fit, p.at_ns, location, p, row))
        if not found:
            return None
        *_, pending, row = min(found, key=lambda one: one[:3])
        return self.take(pending), row

    def returned(
        self, gtin: str, qty_milli: int, until_ns: int, here: str
    ) -> tuple[Pending, Row] | None:
        """The removal begun by then that so much of a product, put back here, proves best.

        It was most probably part of what was taken here last.
        """
        found = []
        for location, place in self._places.items():
            for p in place.pending:
                if p.step.step_mg >= 0 or not p.may_be(until_ns):
                    continue
                for row, part in ((r, x) for r in p.rows for x in parts_of(r) if x.gtin == gtin):
                    if not p.left_milli(part):
                        continue
                    home = (row.loc or location) == here
                    units = sum(x.units for x in parts_of(row))
                    least_ppm = (_part_ppm if home else _proof_ppm)(units, qty_milli)
                    if row.ppm >= least_ppm:
                        age_ns = until_ns - p.at_ns if home else 0
                        found.append((not home, age_ns, -row.ppm, p.at_ns, location, p, row))
        if not found:
            return None
        *_, pending, row = min(found, key=lambda one: one[:5])
        return self.take(pending), row

    def missed(self, location: str, gtin: str, qty_milli: int) -> None:
        """A sale proved a pick there that no plate saw: a removal that waits may be it in part."""
        place = self._places.get(location)
        for pending in () if place is None else place.pending:
            rows = pending.rows if pending.step.step_mg < 0 else ()
            parts = (x for row in rows if row.ppm >= PROVABLE_PPM for x in parts_of(row))
            left = (pending.left_milli(part) for part in parts if part.gtin == gtin)
            part = min(qty_milli, next((milli for milli in left if milli), 0))
            if part > 0:
                pending.booked[gtin] = pending.booked.get(gtin, 0) + part
                qty_milli -= part
                self._changed(location)

    def likeliest(self, pending: Pending) -> Row:
        """What one was, most probably: of a removal rather what is on its way back from there."""
        place = self._places[pending.step.location]
        if pending.step.step_mg < 0:
            for row in pending.rows:
                parts = parts_of(row)
                units = sum(part.units for part in parts)
                back = (_returning(place, part.gtin, pending.step.at_ns) for part in parts)
                if any(milli and row.ppm >= _part_ppm(units, milli) for milli in back):
                    return row
        return pending.rows[0]

    def counted(self, location: str, until_ns: int, gtin: str | None = None) -> None:
        """A count of the place agrees with the book: what it felt before is in there already.

        A count of one product: what most probably was that alone.
        """
        place = self._places.get(location)
        for pending in [] if place is None else place.pending[:]:
            of_it = gtin is None or pending.rows[0].gtin == gtin
            if of_it and pending.step.at_ns <= until_ns and not pending.parts:
                self.take(pending)

    def told(
        self, location: str, gtin: str, qty_milli: int, until_ns: int | None = None
    ) -> tuple[Pending, Row] | None:
        """The step by then that a count's difference to the book, with its sign, tells exactly."""
        place = self._places.get(location)
        for pending in () if place is None else place.pending:
            if until_ns is not None and pending.step.at_ns > until_ns:
                continue
            for row in pending.rows:
                milli = pending.left_milli(row)
                here = (row.loc or pending.step.location) == location and row.gtin == gtin
                if here and milli and qty_milli == (milli if pending.step.step_mg > 0 else -milli):
                    return self.take(pending), row
        return None


def _returning(place: Place, gtin: str, since_ns: int) -> int:
    """How much of a product came there since, most probably, by what waits; in milli."""
    late = [p for p in place.pending if p.step.step_mg > 0 and p.step.at_ns > since_ns]
    best = [part for p in late for part in parts_of(p.rows[0])]
    return sum(part.units * PIECE_MILLI for part in best if part.gtin == gtin)


def _part_ppm(units: int, back_milli: int) -> int:
    """What a row of so many units must hold for what comes back to where it was taken to prove it:
    half of two often does, one of eight hardly ever."""
    least_ppm = PROVABLE_PPM * units * PIECE_MILLI // back_milli
    return min(PENDING_PPM, max(PROVABLE_PPM, least_ppm))


def _proof_ppm(units: int, seen_milli: int) -> int:
    """The same for what comes back elsewhere: who puts back less than he took is rare."""
    return PROVABLE_PPM if units * PIECE_MILLI <= seen_milli else PENDING_PPM
