"""Claims of levels against the book: when they move it, and down which rungs.

Here: the beliefs of all places, what a booked flow does to them, rules 4 to 6 of ALGORITHMS 5.3,
and the ladders of 5.4 with what the book inferred by itself taken back first. Not here: the
arithmetic of a belief (`belief`), where a claim comes from (`levels`), baskets and losses
(`baskets`).

A claim that the book agrees with confirms what was inferred before it; what a level itself
inferred, only after goods moved: the same look again is no evidence. One that disagrees, twice
and with no motion in between, is booked as one happening whose evidence is the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from gateway.core.belief import Belief, Inferred, View, begun
from gateway.core.evidence import LEVEL_REASON, STEP_CODES, alternatives, inferred_from
from gateway.core.levels import ZERO_MG, Alone, counts_to
from gateway.core.postings import Posted, Poster
from gateway.core.shelves import Shelves
from gateway.core.witnesses import SESSION_NS
from gateway.domain.observation import Because, LevelClaim, Row, WeightStep
from gateway.domain.stock import ADJUST, Kind, Source, StockEvent
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI

CORRECT_MNAT: Final = 4_600
ALONE_MNAT: Final = 3_800
"""Of RFID or a camera where no plate weighs: a camera's bound alone carries 3,892."""
WEIGHT_NS: Final = 2 * NS_PER_S
OTHERS_NS: Final = 10 * NS_PER_S
ALONE_NS: Final = 60 * NS_PER_S
LARGE_UNITS: Final = 5
LEVEL_CONF: Final = 500
"""How many are missing is known; who took them is not."""
_PPM: Final = 1_000_000

Disagrees = Callable[[int, str, str, int, int | None], None]


class Corrections:
    """The beliefs by `location gtin`. `changed(key)` is called after each change of one."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        shelves: Shelves,
        weighed: frozenset[str],
        changed: Callable[[str], None],
    ) -> None:
        self._store, self._poster, self._shelves = store, poster, shelves
        self._weighed, self._changed = weighed, changed
        self._shelf = {loc.id for loc in store.locations if loc.kind == "shelf"}
        self._capacity: dict[str, dict[str, int]] = {}
        """Of the products that the planogram has at each place, in units."""
        for facing in store.planogram:
            here = self._capacity.setdefault(facing.location, {})
            units = (facing.capacity_milli or 0) // PIECE_MILLI
            here[facing.gtin] = here.get(facing.gtin, 0) + units
        self.beliefs: dict[str, Belief] = {}
        self._at: dict[str, dict[str, None]] = {}
        self._correcting = False
        self.disagrees: Disagrees = lambda at_ns, gtin, location, book, seen: None
        """Told a dispute: what the book and the likeliest claim say; `seen` None: it is over."""
        self.booked_at: dict[str, None] = {}
        """Places where the observation in hand was booked."""
        shelves.flows.left_to_count = self._left_to_count
        poster.listeners.append(self._booked)

    def restore(self, key: str, body: bytes) -> None:
        """A belief as it was kept."""
        self._keep(key, msgspec.json.decode(body, type=Belief))

    def _keep(self, key: str, belief: Belief) -> Belief:
        self.beliefs[key] = belief
        self._at.setdefault(key.partition(" ")[0], {})[key] = None
        return belief

    def _belief(self, key: str, book: int) -> Belief:
        """The belief of a place, begun on first use."""
        known = self.beliefs.get(key)
        return known or self._keep(key, begun(book, self._room(key)))

    def _room(self, key: str) -> int:
        """Units that a place is planned to hold; 0: nobody said."""
        location, _, gtin = key.partition(" ")
        return self._capacity.get(location, {}).get(gtin, 0)

    def _book(self, key: str) -> int:
        """Whole units that the book holds."""
        location, _, gtin = key.partition(" ")
        return self._poster.book.balance(location, gtin) // PIECE_MILLI

    def view(self, location: str, gtin: str) -> View | None:
        """What is believed of a product at a place; None where no sensor ever looked."""
        key = f"{location} {gtin}"
        belief = self.beliefs.get(key)
        return None if belief is None else belief.view(self._book(key))

    def alone(self, at_ns: int, location: str) -> Alone | None:
        """The one product of a plate, where planogram, book and guests know of no other."""
        gtin = self._shelves.only(at_ns, location)
        unit = None if gtin is None else self._shelves.masses.of(gtin)
        if gtin is None or unit is None or [*self._capacity.get(location, ())] != [gtin]:
            return None
        held = self._poster.book.products_at(location)
        return Alone(gtin, unit) if held in ([], [gtin]) else None

    # --- what is said ---------------------------------------------------------------------------

    def claimed(self, number: int, said: LevelClaim) -> None:
        """A sensor says what lies at a place."""
        piece = self._poster.known_uom(said.gtin) == "EA"
        if not piece or not said.likelihood_mnat or not self._poster.is_physical(said.location):
            return
        key = f"{said.location} {said.gtin}"
        book = self._book(key)
        belief = self._belief(key, book)
        belief.claim(said, number)
        if said.source == "weight":
            self._shelves.counted(said.at_ns, said.location)
        if all(held.best == book for held in belief.claims):
            belief.confirm()
            if said.source == "weight":
                self._shelves.awaited(said.location, said.gtin, 1 << 52)
                self._shelves.waiting.counted(said.location, said.at_ns)
        self._evaluate(said.at_ns, key)

    def stepped(self, at_ns: int, steps: Iterable[WeightStep]) -> None:
        """Plates settled at another mass: what they claimed before holds where that was booked."""
        for step in steps:
            self._unmoored(at_ns, step.location, booked=step.location in self.booked_at)

    def seen(self, at_ns: int, location: str, up: bool) -> None:
        """A plate that is away claims nothing."""
        if not up:
            self._unmoored(at_ns, location, booked=False)

    def _unmoored(self, at_ns: int, location: str, *, booked: bool) -> None:
        for key in self._at.get(location, ()):
            belief = self.beliefs[key]
            belief.stirred()
            if not booked:
                belief.drop("weight")
            belief.disagrees_ns = None
            self._evaluate(at_ns, key)

    def counted_since(self, location: str, gtin: str, since_ns: int) -> bool:
        """Whether a plate counted what the book holds, then or later."""
        key = f"{location} {gtin}"
        belief = self.beliefs.get(key)
        return belief is not None and belief.weighed_since(since_ns) == self._book(key)

    def _left_to_count(self, at_ns: int, location: str, gtin: str, qty: int, filling: bool) -> bool:
        """Units came from no basket, no loss and no scan, or beyond the room there is.

        A plate that counts tells soon whether they are there: until then that is half believed.
        """
        key, units = f"{location} {gtin}", qty // PIECE_MILLI
        belief, book, room = self.beliefs.get(key), self._book(key), self._room(key)
        if belief is None or self._correcting or not self._shelves.counts(at_ns, location):
            return False
        alone = self.alone(at_ns, location)
        most = counts_to(alone.unit, ZERO_MG) if alone is not None and alone.gtin == gtin else 0
        if most < book + units or (filling and (not room or book + units <= room)):
            return False
        belief.moved(0, book, ((0, _PPM // 2), (units, _PPM - _PPM // 2)))
        self._changed(key)
        return True

    # --- what is booked -------------------------------------------------------------------------

    def _booked(self, posted: Posted) -> None:
        """Every event: the beliefs of its places follow."""
        event, because = posted.event, posted.because
        moved: dict[str, int] = {}
        counted: dict[str, None] = {}
        for line in event.lines:
            if self._poster.is_physical(line.loc) and line.uom == "EA":
                key = f"{line.loc} {line.gtin}"
                moved[key] = moved.get(key, 0) + line.d
                if line.counted is not msgspec.UNSET:
                    counted[key] = None
                self.booked_at[line.loc] = None
        for key, d in moved.items():
            location, book = key.partition(" ")[0], self._book(key)
            if key in counted:
                if key in self.beliefs or location in self._weighed:
                    belief = self._belief(key, book)
                    if belief.told_dispute:
                        self.disagrees(event.at_ns, key.partition(" ")[2], location, book, None)
                    belief.counted(book)
                    self._changed(key)
            elif d:
                self._moved(event, because, key, d // PIECE_MILLI, book)

    def _moved(self, event: StockEvent, because: Because, key: str, units: int, book: int) -> None:
        location, _, gtin = key.partition(" ")
        belief = self.beliefs.get(key)
        if belief is None:
            if because.code not in STEP_CODES or location not in self._weighed:
                return
            belief = self._belief(key, book - units)
        if self._correcting:
            belief.look_at(book)
        else:
            points = alternatives(event, because, gtin, units)
            if units > 0 and because.code == "scan" and location in self._weighed:
                # announced, and the plate has yet to see it: there already, or still behind
                points = ((0, _PPM // 2), (-units, _PPM - _PPM // 2))
            belief.moved(units, book, points)
            belief.disagrees_ns = None
        account = inferred_from(event, location, units)
        if account is not None:
            belief.infer(Inferred(units, account, unmoved=self._correcting))
        if self._correcting:
            self._changed(key)
        else:
            self._evaluate(event.at_ns, key)

    # --- deciding -------------------------------------------------------------------------------

    def deadline(self, key: str) -> int | None:
        """When a disagreement that nothing disturbs is booked."""
        belief = self.beliefs.get(key)
        if belief is None or belief.disagrees_ns is None:
            return None
        location, _, gtin = key.partition(" ")
        _, wait_ns = self._needed(belief, location)
        return max(belief.disagrees_ns + wait_ns, self._busy_until(location, gtin))

    def _needed(self, belief: Belief, location: str) -> tuple[int, int]:
        """How much the claims must favour another count, and for how long."""
        if location not in self._weighed:
            return ALONE_MNAT, ALONE_NS
        weighs = any(held.source == "weight" for held in belief.claims)
        return CORRECT_MNAT, WEIGHT_NS if weighs else OTHERS_NS

    def _busy_until(self, location: str, gtin: str) -> int:
        """While staff fill or empty a shelf its book runs ahead of its plate."""
        place = self._shelves.places.get(location)
        if place is None:
            return 0
        told = (
            credit.at_ns + SESSION_NS + 1
            for credit in (*place.scanned_in, *place.scanned_out)
            if credit.gtin == gtin
        )
        return max(place.session_until_ns, *told, 0)

    def _wanted(self, belief: Belief, location: str, book: int) -> int:
        """The count that the book should hold by the claims; `book` where they do not insist."""
        best = belief.best(book)
        if best == book or not belief.claims or belief.disputed():
            return book
        least, _ = self._needed(belief, location)
        if belief.favour_mnat(best, book) < least:
            return book
        if location in self._weighed and not any(h.source == "weight" for h in belief.claims):
            agree = sum(held.of(best) > held.of(book) for held in belief.claims)
            return best if agree >= 2 else book  # rule 6: only jointly with another source
        return best

    def _evaluate(self, at_ns: int, key: str) -> None:
        belief, book = self.beliefs[key], self._book(key)
        location, _, gtin = key.partition(" ")
        wanted = self._wanted(belief, location, book)
        disputed = belief.disputed()
        if disputed and not belief.told_dispute:
            says = ", ".join(f"{h.source} {h.device} says {h.best}" for h in belief.claims)
            text = f"{gtin} at {location}: {says}; the book keeps {book} until somebody counts"
            self._poster.note(at_ns, "level_disputed", text)
        if disputed or belief.told_dispute:
            self.disagrees(at_ns, gtin, location, book, belief.best(book) if disputed else None)
        belief.told_dispute = disputed
        if wanted == book or (location not in self._shelf and wanted < book):
            belief.disagrees_ns = belief.wanted = None  # a back room's shortage waits for people
        elif belief.disagrees_ns is None or belief.wanted != wanted:
            belief.disagrees_ns, belief.wanted = at_ns, wanted
        self._changed(key)

    def fire(self, at_ns: int, key: str) -> None:
        """The second evaluation: a disagreement that lasted is booked."""
        belief, book = self.beliefs[key], self._book(key)
        due = self.deadline(key)
        if due is not None and due <= at_ns:
            wanted = self._wanted(belief, key.partition(" ")[0], book)
            if wanted != book:
                self._correct(at_ns, key, wanted - book)
            belief.disagrees_ns = None
        self._changed(key)

    # --- the ladders ----------------------------------------------------------------------------

    def _correct(self, at_ns: int, key: str, units: int) -> None:
        """Books a difference, and tells people of one so large that they should count."""
        belief, book = self.beliefs[key], self._book(key)
        location, _, gtin = key.partition(" ")
        speaks = [held for held in belief.claims if held.of(book + units) > held.of(book)]
        rows = tuple(
            Row(gtin, n, belief.ppm_of(n), location) for n in dict.fromkeys((book + units, book))
        )
        because = Because("level_claim", rows)
        self._poster.because_of(
            max(held.number for held in speaks), tuple(Source(h.device, h.ref) for h in speaks)
        )
        self._correcting = True
        if units > 0:
            self._surplus(at_ns, location, gtin, units * PIECE_MILLI, because)
        else:
            self._shortage(at_ns, location, gtin, -units * PIECE_MILLI, because)
        self._correcting = False
        self._poster.because_of(None, ())
        for held in speaks:
            if held.source == "weight":
                self._shelves.waiting.counted(location, held.at_ns)
        belief.collapse()
        if abs(units) > max(LARGE_UNITS, self._room(key) // 2):
            text = f"{gtin} at {location}: corrected by {units:+d} to {book + units}; please count"
            self._poster.note(at_ns, "large_correction", text)

    def _surplus(self, at_ns: int, loc: str, gtin: str, qty: int, because: Because) -> None:
        qty -= self._shelves.proofs.level(at_ns, loc, gtin, qty, because)
        qty -= self._take_back(at_ns, loc, gtin, qty, because)
        if qty > 0:
            self._shelves.flows.found_more(
                at_ns, at_ns, loc, gtin, qty, because, LEVEL_CONF, LEVEL_REASON, "unrecorded"
            )

    def _shortage(self, at_ns: int, loc: str, gtin: str, qty: int, because: Because) -> None:
        qty -= self._shelves.proofs.level(at_ns, loc, gtin, -qty, because)
        qty -= self._take_back(at_ns, loc, gtin, -qty, because)
        qty -= self._never_came(at_ns, loc, gtin, qty, because)
        if qty > 0:
            step = WeightStep(at_ns, "", "", loc, at_ns, 0, 0, 0, outage=True)  # when, nobody saw
            self._shelves.flows.pick(at_ns, step, gtin, qty, LEVEL_CONF, because, LEVEL_REASON)

    def _take_back(self, at_ns: int, loc: str, gtin: str, qty: int, because: Because) -> int:
        """What the book inferred here and no claim has confirmed goes back where it came from.

        `qty` > 0 is a surplus. How much it was, in milli.
        """
        belief, sign = self.beliefs[f"{loc} {gtin}"], 1 if qty > 0 else -1
        done = 0
        for one in belief.inferred[::-1]:
            part = min(abs(qty) - done, abs(one.units) * PIECE_MILLI)
            if part <= 0 or one.units * sign > 0:
                continue
            one.units += sign * part // PIECE_MILLI
            source, target = (one.account, loc) if sign > 0 else (loc, one.account)
            self._move_back(at_ns, source, target, gtin, part, because)
            self._poster.once()  # one claim is the source of one restock
            done += part
        belief.inferred = tuple(one for one in belief.inferred if one.units)
        return done

    def drawn(self, at_ns: int, source: str, gtin: str, qty: int) -> None:
        """A witness moves more out of a place than the book left there: what was only inferred to
        have left it, and no claim has confirmed, did not."""
        short = qty - self._poster.book.balance(source, gtin)
        for location in self._store.homes(gtin):
            belief = self.beliefs.get(f"{location} {gtin}")
            for one in () if belief is None else belief.inferred[::-1]:
                part = min(
                    short, one.units * PIECE_MILLI, self._poster.book.balance(location, gtin)
                )
                if one.account == source and part > 0:
                    one.units -= part // PIECE_MILLI
                    short -= part
                    because = Because("scan")
                    self._move_back(at_ns, location, source, gtin, part, because, src=())

    def _move_back(
        self,
        at_ns: int,
        source: str,
        target: str,
        gtin: str,
        qty: int,
        because: Because,
        **members: object,
    ) -> None:
        kind: Kind = "adjust" if ADJUST in (source, target) else "restock"
        parts = self._poster.supply(at_ns, source, gtin, qty, None)
        members |= {"conf": LEVEL_CONF, "reason": LEVEL_REASON}
        self._poster.move(kind, at_ns, source, target, gtin, parts, because, **members)

    def _never_came(self, at_ns: int, loc: str, gtin: str, qty: int, because: Because) -> int:
        """Goods that a restock scan announced and the plate never saw lie where they lay."""
        if qty <= 0:
            return 0
        parts = self._shelves.awaited(loc, gtin, qty)
        return self._shelves.flows.go_back(
            at_ns, loc, gtin, parts, because, conf=LEVEL_CONF, reason=LEVEL_REASON
        )
