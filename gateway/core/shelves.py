"""Weight steps to movements: what is posted, what waits for better evidence, what stays open.

Here: the decision over the steps of a bay, classes of belief, pending steps, guests of a plate
(ALGORITHMS 2.2 to 2.4, 2.7). Not here: how a step is detected (`weigh`), which products it may be
(`candidates`), how steps compete (`clusters`), what is booked (`flows`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.core import clusters, witnesses
from gateway.core.baskets import Baskets
from gateway.core.bays import WAIT_NS
from gateway.core.beside import OPEN_NS, Beside
from gateway.core.candidates import Candidates, of_all
from gateway.core.clusters import Happening, Steps, summed
from gateway.core.flows import Flows
from gateway.core.identify import (
    AUTO_PPM,
    PENDING_PPM,
    Candidate,
    identify,
    noise_mg2,
    parts_of,
)
from gateway.core.layout import Layout
from gateway.core.masses import LEARN_PPM, Masses
from gateway.core.places import GUEST_NS, Pending, Place
from gateway.core.postings import Posted, Poster
from gateway.core.proofs import Proofs
from gateway.core.shaking import Shaking
from gateway.core.waiting import Waiting
from gateway.core.weigh import THETA_MAX_MG
from gateway.domain.observation import Because, Row, WeightStep
from gateway.domain.settings import FusionSettings
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI

SESSION_OPENS_UNITS: Final = 4
COUNTS_NS: Final = 7_200 * NS_PER_S
"""A plate that counts says so at least every ten minutes, the reference cell's every hour."""


class Shelves:
    """The weighed locations. `changed(key)` is called after each change of a part."""

    def __init__(
        self,
        store: Store,
        settings: FusionSettings,
        poster: Poster,
        baskets: Baskets,
        changed: Callable[[str], None],
    ) -> None:
        self._poster, self._baskets = poster, baskets
        self._changed_key = changed
        self._layout = Layout(store)
        self.masses = Masses(
            store.products, lambda gtin: changed(f"mass:{gtin}"), self._note("mass_learned")
        )
        self.shaking = Shaking(lambda bay: changed(f"shaken:{bay}"), self._note("common_mode"))
        self.places: dict[str, Place] = {}
        self.waiting = Waiting(settings.pending_step_s * NS_PER_S, self.places, self._changed)
        self._beside = Beside(self._layout, self.places, self.waiting)
        self._candidates = Candidates(
            store, poster.book, baskets, self.masses, self.waiting.removed, self.waiting.came
        )
        self.flows = Flows(store, poster, baskets, self.place, self._changed)
        self.proofs = Proofs(poster, baskets, self.waiting, self.flows, self._changed)
        self.cross_talk: Callable[[WeightStep], None] = lambda step: None
        """Told each step that was no goods but the load of plates beside."""
        poster.listeners.append(self._heard)

    def _note(self, code: str) -> Callable[[int, str], None]:
        return lambda at_ns, text: self._poster.note(at_ns, code, text)

    def _heard(self, posted: Posted) -> None:
        event = posted.event
        for line in event.lines if event.reason == "missed_pick" else ():
            if line.d < 0:
                self.waiting.missed(line.loc, line.gtin, -line.d)

    def _changed(self, location: str) -> None:
        self._changed_key(f"place:{location}")

    def place(self, location: str) -> Place:
        """The memory of a location, made on first use."""
        return self.places.setdefault(location, Place())

    def seen(self, location: str, up: bool) -> None:
        """The plate of a location came or went."""
        place = self.place(location)
        place.live, place.counted_ns = up, place.counted_ns if up else 0
        self._changed(location)

    def counted(self, at_ns: int, location: str) -> None:
        """Its plate said how much lies there."""
        self.place(location).counted_ns = at_ns
        self._changed(location)

    def counts(self, at_ns: int, location: str) -> bool:
        """Whether its plate counted lately, and so will again."""
        place = self.places.get(location)
        return place is not None and bool(place.counted_ns) and at_ns < place.counted_ns + COUNTS_NS

    def live(self, location: str) -> bool:
        """Whether a plate there would have seen a pick."""
        place = self.places.get(location)
        return place is not None and place.live

    def only(self, at_ns: int, location: str) -> str | None:
        """The one product that lies on a plate; None when there may be others, or none."""
        strange = self._guests(at_ns, location) or self._candidates.strangers(location)
        return None if strange else self._candidates.only(location)

    def fire(self, at_ns: int, location: str) -> None:
        """Steps that waited long enough: the certain are posted, the others as they most probably
        are."""
        for pending in self.waiting.due(at_ns, location):
            if pending.until_ns is None:
                self._expire(at_ns, pending)
            else:
                self._beside.booked(pending.steps)
                self._certain(at_ns, pending)
                self._poster.because_of(None, ())
        self._changed(location)

    def _expire(self, at_ns: int, pending: Pending) -> None:
        best, step = self.waiting.likeliest(pending), pending.step
        if step.step_mg > 0 and self.flows.conjures(pending):
            text = (
                f"{step.location} holds more than the book, and nothing says of what: please count"
            )
            self._poster.note(at_ns, "step_unexplained", text, step.device)
            return  # of two doubtful things the more is not booked: a level or a count will tell
        because = Because("step_expired", pending.rows)
        self._poster.because_of(pending.cause, pending.sources)
        self.flows.post(at_ns, pending, best, because, "pending_expired")
        self._poster.because_of(None, ())

    # --- deciding -------------------------------------------------------------------------------

    def steps(self, at_ns: int, told: Steps, cause: int | None) -> None:
        """Plates side by side, or one alone, settled at another mass."""
        for step in told:
            self._meet(at_ns, step.location)
        real = clusters.real(told)
        # Told before all beside them were at rest: for a while more may come of it.
        early = at_ns - min(s.at_ns for s in real) >= WAIT_NS
        felt = [s for s in told if s not in real or self._beside.felt(s)]
        steps = [s for s in real if s not in felt and not self._came_back(s)]
        for run in self._layout.runs(steps):
            joined = self._beside.joined(run)
            goods = whole = clusters.real(joined)
            if not self.waiting.undone(whole):
                judged = self._judged(at_ns, whole)
                goods = [step for happening, _ in judged for step in happening.steps]
                for happening, filling in judged:
                    self._settle(at_ns, happening, filling, cause, early)
            felt += [step for step in joined if step not in goods]
        for step in felt:
            self.cross_talk(step)
        for step in told:
            self._changed(step.location)

    def _judged(self, at_ns: int, run: Steps) -> list[tuple[Happening, bool]]:
        """What a run of steps was, and whether staff were filling the shelf with it."""

        def candidates(steps: Steps) -> Sequence[Candidate]:
            kind = self._candidates.arriving
            if steps[0].step_mg < 0:
                kind = self._candidates.leaving
            elif self._in_session(steps):
                return self._brought(at_ns, steps)
            plates = [kind(s.location, self._guests(at_ns, s.location)) for s in steps]
            return of_all(plates, [s.step_mg for s in steps])

        if len(run) == 1:
            rows = identify(run[0].step_mg, run[0].sigma_mg, candidates(run))
            happenings = [Happening(tuple(run), rows)]
        else:
            happenings = clusters.judge(run, candidates)
        return [self._filled(at_ns, happening) for happening in happenings]

    def _filled(self, at_ns: int, happening: Happening) -> tuple[Happening, bool]:
        """More than a hand puts down and than baskets hold: somebody restocks unannounced."""
        steps, best = happening.steps, happening.rows[0]
        if steps[0].step_mg < 0:
            return happening, False
        if self._in_session(steps):
            return happening, True
        units = sum(part.units for part in parts_of(best))
        if _explained(best) and units < SESSION_OPENS_UNITS:
            return happening, False
        step = summed(steps)
        more = identify(step.step_mg, step.sigma_mg, self._brought(at_ns, steps))
        units, gtin = more[0].units, more[0].gtin
        beyond = units * PIECE_MILLI > self._baskets.in_basket(gtin)
        if _explained(more[0]) and units >= SESSION_OPENS_UNITS and beyond:
            return Happening(steps, more), True
        return happening, False

    def _brought(self, at_ns: int, steps: Steps) -> Sequence[Candidate]:
        """What staff may have put there."""
        plates = [
            self._candidates.filling(
                s.location,
                self._guests(at_ns, s.location),
                witnesses.left(self.place(s.location).scanned_in, s.at_ns),
            )
            for s in steps
        ]
        return of_all(plates, [s.step_mg for s in steps])

    def _settle(
        self, at_ns: int, one: Happening, filling: bool, cause: int | None, early: bool
    ) -> None:
        """Posts what is certain, keeps what is probable, leaves open what nothing explains."""
        step = summed(one.steps)
        rows = tuple(self._located(at_ns, one.steps, step, row) for row in one.rows)
        best = rows[0]
        certain = (
            best.ppm >= AUTO_PPM and not step.outage and not any(self._blind(s) for s in one.steps)
        )
        known = _explained(best)
        self._beside.remember(one.steps, booked=known and certain and not early)
        self._shaken(one.steps, known)
        if not known:
            self._swept(at_ns, step)
            return  # journalled as an observation, nothing is booked
        parts = one.steps if len(one.steps) > 1 else ()
        until_ns = step.at_ns + OPEN_NS if certain and early else None
        taken = self._taken(rows) if step.step_mg > 0 else {}
        pending = Pending(at_ns, step, rows, cause, filling, parts, taken, until_ns)
        if certain and (until_ns is None or until_ns <= at_ns):
            self._certain(at_ns, pending)
        elif (oldest := self.waiting.add(pending)) is not None:
            self._expire(at_ns, oldest)

    def _taken(self, rows: Sequence[Row]) -> dict[str, int]:
        """What baskets hold of products, with what pending removals may have taken, in milli."""
        removed = self.waiting.removed()
        none = Row("", 0, 0)
        return {
            part.gtin: self._baskets.in_basket(part.gtin)
            + removed.get(part.gtin, none).units * PIECE_MILLI
            for row in rows
            for part in parts_of(row)
        }

    def _swept(self, at_ns: int, step: WeightStep) -> None:
        """Tells people of more than a hand takes, from a plate of one product, unexplained."""
        gtin = self.only(at_ns, step.location)
        unit = None if gtin is None or step.outage else self.masses.of(gtin)
        if unit is not None and -step.step_mg >= SESSION_OPENS_UNITS * unit.mean_mg:
            grams = -step.step_mg // 1000
            text = f"{step.location} lost {grams} g at once, and nothing explains it: please count"
            self._poster.note(at_ns, "step_unexplained", text, step.device)

    def _certain(self, at_ns: int, one: Pending) -> None:
        """Posts it as what it is, and learns from it."""
        best, steps = one.rows[0], one.steps
        self._poster.because_of(one.cause, one.sources)
        self.flows.post(at_ns, one, best, Because("step", one.rows))
        for part in parts_of(best):
            self._lies(at_ns, steps, part.gtin, one.at(best).location)
        if not one.filling and best.units == 1 and len(steps) == 1 and best.ppm >= LEARN_PPM:
            noise = noise_mg2(0, [one.step.sigma_mg])
            self.masses.learn(at_ns, best.gtin, abs(one.step.step_mg), noise)

    def _shaken(self, steps: Steps, known: bool) -> None:
        for step in steps:
            bay = self._layout.bay(step.location)
            if bay is not None and known:
                self.shaking.explained(bay)
            elif bay is not None:
                self.shaking.unexplained(bay, step)

    def _blind(self, step: WeightStep) -> bool:
        """Whether the plate cannot resolve the lightest product that belongs on it."""
        lightest_mg = self._candidates.lightest_mg(step.location)
        return lightest_mg is not None and max(THETA_MAX_MG, 4 * step.sigma_mg) > lightest_mg // 2

    # --- the plates of a bay --------------------------------------------------------------------

    def _came_back(self, step: WeightStep) -> bool:
        bay = self._layout.bay(step.location)
        return bay is not None and self.shaking.returned(bay, step)

    # --- guests ---------------------------------------------------------------------------------

    def _meet(self, at_ns: int, location: str) -> None:
        """Takes note of products that the book holds where they do not belong."""
        place, balance = self.place(location), self._poster.book.balance
        for gtin, guest in list(place.guests.items()):
            if balance(guest.home, gtin) <= 0:
                del place.guests[gtin]
        for gtin in self._candidates.strangers(location):
            if gtin not in place.guests:
                place.welcome(at_ns, gtin, location)

    def _guests(self, at_ns: int, location: str) -> Mapping[str, str]:
        """Products that do not belong on a plate and may lie there, and where they are booked."""
        place = self.places.get(location)
        guests = {} if place is None else place.guests
        return {
            gtin: guest.home for gtin, guest in guests.items() if at_ns < guest.since_ns + GUEST_NS
        }

    def _lies(self, at_ns: int, steps: Steps, gtin: str, booked: str) -> None:
        """A product was seen on plates: where it does not belong it is a guest from now on."""
        for step in steps:
            if not self._candidates.belongs(step.location, gtin):
                self.place(step.location).welcome(at_ns, gtin, booked)

    def _located(self, at_ns: int, steps: Steps, main: WeightStep, row: Row) -> Row:
        """A row with the plate it is booked at: where it belongs, else where most of it lay."""
        homes = [s for s in steps if self._candidates.belongs(s.location, row.gtin)]
        if homes:
            balance = self._poster.book.balance
            short = row.units * PIECE_MILLI if main.step_mg < 0 else 0
            home = min(
                homes,
                key=lambda s: (balance(s.location, row.gtin) < short, -abs(s.step_mg)),
            ).location
        elif main.step_mg > 0:
            return row  # misplaced: it is where it was put
        else:
            known = (self._guests(at_ns, s.location).get(row.gtin) for s in steps)
            home = next((place for place in known if place is not None), main.location)
        return row if home == main.location else msgspec.structs.replace(row, loc=home)

    def _in_session(self, steps: Steps) -> bool:
        """Whether staff are filling this shelf."""
        return any(
            s.began_ns < place.session_until_ns or witnesses.left(place.scanned_in, s.began_ns)
            for s in steps
            if (place := self.places.get(s.location)) is not None
        )

    # --- what scans tell the plates -------------------------------------------------------------

    def restock_scanned(
        self, at_ns: int, location: str, gtin: str, qty_milli: int, source: str
    ) -> int:
        """A restock scan: how much of it the plate has already booked."""
        seen = self.flows.restock_scanned(at_ns, location, gtin, qty_milli, source)
        self._changed(location)
        return seen

    def awaited(self, location: str, gtin: str, most_milli: int) -> list[tuple[str, int]]:
        """Takes up to so much of what scans announced and the plate has not seen, however old.

        How much from where.
        """
        self._changed(location)
        held = self.place(location).scanned_in
        return witnesses.draw(held, gtin, most_milli, 0)

    def removal_scanned(
        self, at_ns: int, location: str, gtin: str, qty_milli: int
    ) -> list[tuple[str, int]]:
        """A write-off or transfer: lots and quantities of picks seen there that were this."""
        parts = self.flows.removal_scanned(at_ns, location, gtin, qty_milli)
        self._changed(location)
        return parts


def _explained(row: Row) -> bool:
    return bool(parts_of(row)) and row.ppm >= PENDING_PPM
