"""Which serial the book holds where, and how many units of a place never had a tag.

Here: the memory of the shop for RFID serials (parts `tag:EPC`, `tagged:PLACE GTIN`), what flows of
other witnesses say of them, its bounds. Not here: what a tag that came or went books (`tag_flows`),
presence (`presence`).

    untagged = book + flows out whose tag is still heard - tags that lie here

Only what once had a tag here can go missing: a level of tags stands on the untagged units, so a
shop that tags some of its goods is never emptied by those it does not tag. A tag that fell silent
at a weighed place stays among `tags`, as `missing`, until a flow explains it: the plate books that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.core.postings import Posted, Poster
from gateway.core.witnesses import Credit, add, use
from gateway.domain.stock import BASKET
from gateway.domain.units import NS_PER_S, PIECE_MILLI

TAGS_MAX: Final = 50_000
"""Serials at rest in the shop."""
GONE_MAX: Final = 10_000
"""Serials remembered after they left; the oldest go first."""
DAY_NS: Final = 24 * 3600 * NS_PER_S
LEFT_NS: Final = 600 * NS_PER_S
"""A unit booked out whose tag was heard for so long after had none."""
LEFT_MAX: Final = 64
MISSING: Final = -1
_UNDONE: Final = ("putback", "found", "void")


class Serial(msgspec.Struct, array_like=True, gc=False):
    """Where one tag's unit is."""

    place: str
    """A place, or the account it left to."""
    seq: int = 0
    """The pick that took it; 0: none is known, MISSING: silent where a plate weighs."""
    at_ns: int = 0
    """When it left; 0 at rest."""


class Left(msgspec.Struct, array_like=True, gc=False):
    """Units that a flow took from a place, and of whose tags nothing is known yet."""

    at_ns: int
    units: int
    seq: int


class Tagged(msgspec.Struct, gc=False):
    """What is known of the tags of one product at one place, in units.

    Tuples: a store keeps twenty thousand of these, and an empty tuple costs none of them anything.
    """

    tags: int = 0
    """Tracked here, the missing included."""
    missing: tuple[tuple[str, int], ...] = ()
    """EPC and units of the silent ones that no flow explains yet, oldest first."""
    left: tuple[Left, ...] = ()
    written_off: int = 0
    """Of `tags`, what a level said is not here: nobody knows which."""
    brought: tuple[Credit, ...] = ()
    """Units that tags carried here and that a restock scan may still tell."""

    @property
    def here(self) -> int:
        """Units that lie here with a tag, as far as anybody knows."""
        return max(0, self.tags - self.written_off)

    def pending(self, at_ns: int) -> int:
        """Units booked out whose tags may still be heard."""
        return sum(one.units for one in self.left if one.at_ns + LEFT_NS > at_ns)

    def explained(self, at_ns: int, units: int) -> int | None:
        """The flow that took a tag which is leaving, used up; None when none did.

        0: the book holds it no longer, since a level or a count.
        """
        if self.pending(at_ns) < units:
            if self.written_off < units:
                return None
            self.written_off -= units
            return 0
        self.left = tuple(one for one in self.left if one.at_ns + LEFT_NS > at_ns)
        seq = self.left[0].seq
        while units:
            part = min(units, self.left[0].units)
            self.left[0].units -= part
            units -= part
            if not self.left[0].units:
                self.left = self.left[1:]
        return seq

    def undone(self, units: int) -> None:
        """Units came back that a flow had taken: newest first."""
        while units and self.left:
            part = min(units, self.left[-1].units)
            self.left[-1].units -= part
            units -= part
            if not self.left[-1].units:
                self.left = self.left[:-1]

    def bring(self, at_ns: int, gtin: str, qty_milli: int) -> None:
        """Tags carried units here that a restock scan may still tell."""
        brought = [*self.brought]
        add(brought, gtin, qty_milli, at_ns)
        self.brought = tuple(brought)

    def told(self, at_ns: int, gtin: str, qty_milli: int) -> int:
        """A restock scan tells what tags may have brought; how much of it they did."""
        brought = [*self.brought]
        used = use(brought, gtin, qty_milli, at_ns)
        self.brought = tuple(brought)
        return used


class Standing(NamedTuple):
    """What a level of tags stands on."""

    untagged: int
    pending: int
    """Units booked out whose tags may still be heard."""


class TagBook:
    """The serials of the shop. `changed(key)` is called after each change of a part."""

    def __init__(self, poster: Poster, changed: Callable[[str], None]) -> None:
        self._poster, self._changed = poster, changed
        self._at_rest: dict[str, Serial] = {}
        self._gone: dict[str, None] = {}
        self.serials: dict[str, Serial] = {}
        self.held: dict[str, Tagged] = {}
        """By `place gtin`."""
        self._at: dict[str, dict[str, None]] = {}
        self.over = 0
        """Tags beyond TAGS_MAX, not tracked."""
        self.mine = False
        """What is posted now follows a tag that is dealt with already."""
        poster.listeners.append(self._booked)

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """What was kept, in any order."""
        for key, body in saved.items():
            kind, _, name = key.partition(":")
            if kind == "tag":
                serial = msgspec.json.decode(body, type=Serial)
                self.serials[name] = serial if serial.at_ns else self._rest(serial)
            elif kind == "tagged":
                location, _, gtin = name.partition(" ")
                self._keep(location, gtin, msgspec.json.decode(body, type=Tagged))
        gone = [epc for epc, serial in self.serials.items() if serial.at_ns]
        gone.sort(key=lambda epc: (self.serials[epc].at_ns, epc))
        self._gone = dict.fromkeys(gone)

    def _rest(self, serial: Serial) -> Serial:
        """One value for all tags of a place: fifty thousand of them are kept."""
        return self._at_rest.setdefault(f"{serial.place} {serial.seq}", serial)

    # --- asking ---------------------------------------------------------------------------------

    def where(self, epc: str) -> str | None:
        """The place or account of a serial; empty: silent at a place; None: not known."""
        serial = self.serials.get(epc)
        if serial is None:
            return None
        return "" if serial.seq == MISSING else serial.place

    def at_rest(self) -> Iterable[tuple[str, str]]:
        """Every serial that lies at a place, and where."""
        return [(epc, one.place) for epc, one in self.serials.items() if not (one.at_ns or one.seq)]

    def at(self, location: str) -> Iterable[str]:
        """Products that ever had a tag at a place, sorted."""
        return sorted(self._at.get(location, ()))

    def units(self, location: str, gtin: str) -> int:
        """Whole units that the book holds at a place."""
        return self._poster.book.balance(location, gtin) // PIECE_MILLI

    def standing(self, at_ns: int, location: str, gtin: str) -> Standing:
        """What the tags of a product at a place stand on; of none there all are untagged."""
        held = self.held.get(f"{location} {gtin}", Tagged())
        pending = held.pending(at_ns)
        book = self.units(location, gtin)
        return Standing(max(0, book + pending - held.here), pending)

    def backs(self, location: str, gtin: str, units: int) -> bool:
        """Whether the book holds so many of a place's tagged units."""
        held = self.held.get(f"{location} {gtin}", Tagged())
        return self.units(location, gtin) >= max(held.here, units)

    # --- telling --------------------------------------------------------------------------------

    def tagged(self, location: str, gtin: str) -> Tagged:
        """The tags of a product at a place, which are about to change."""
        key = f"{location} {gtin}"
        self._changed(f"tagged:{key}")
        return self.held.get(key) or self._keep(location, gtin, Tagged())

    def _keep(self, location: str, gtin: str, held: Tagged) -> Tagged:
        self._at.setdefault(location, {})[gtin] = None
        self.held[f"{location} {gtin}"] = held
        return held

    def lies(self, epc: str, gtin: str, units: int, location: str) -> None:
        """A tag is at a place from now on."""
        if epc not in self.serials and len(self.serials) - len(self._gone) >= TAGS_MAX:
            self.over += 1
            return
        self._put(epc, self._rest(Serial(location)))
        held = self.tagged(location, gtin)
        if any(name == epc for name, _ in held.missing):
            self.leaves(epc, gtin, units, location)  # it was missed here, and is not any more
        held.tags += units

    def leaves(self, epc: str, gtin: str, units: int, location: str) -> None:
        """A tag is at a place no longer; `went` says where to."""
        held = self.tagged(location, gtin)
        held.tags = max(0, held.tags - units)
        held.missing = tuple(one for one in held.missing if one[0] != epc)
        held.written_off = min(held.written_off, held.tags)

    def misses(self, epc: str, gtin: str, units: int, location: str) -> None:
        """A tag fell silent at a place where a plate weighs, and nothing explains it yet."""
        self._put(epc, self._rest(Serial(location, MISSING)))
        held = self.tagged(location, gtin)
        held.missing = (*held.missing, (epc, units))

    def went(self, at_ns: int, epc: str, account: str, seq: int) -> None:
        """A unit left to an account by an event (0: none is known)."""
        self._put(epc, Serial(account, seq, max(1, at_ns)))
        self._gone[epc] = None
        while len(self._gone) > GONE_MAX:
            self.forget(next(iter(self._gone)))

    def forget(self, epc: str) -> None:
        """Nothing is known of it from now on."""
        self._gone.pop(epc, None)
        if self.serials.pop(epc, None) is not None:
            self._changed(f"tag:{epc}")

    def _put(self, epc: str, serial: Serial) -> None:
        self._gone.pop(epc, None)
        self.serials[epc] = serial
        self._changed(f"tag:{epc}")

    # --- what others book -----------------------------------------------------------------------

    def _booked(self, posted: Posted) -> None:
        """A flow of another witness at a place with tags: it took some of them, or will have."""
        if self.mine or not self.held:
            return
        event = posted.event
        moved: dict[str, int] = {}
        for line in event.lines:
            key = f"{line.loc} {line.gtin}"
            if key not in self.held:
                continue
            if line.counted is not msgspec.UNSET:
                self._counted(key, line.loc, line.gtin)
            else:
                moved[key] = moved.get(key, 0) + line.d
        for key, d in moved.items():
            held, units = self.held[key], abs(d) // PIECE_MILLI
            if not units or event.kind == "stocktake":
                continue
            self._changed(f"tagged:{key}")
            if posted.because.code == "level_claim":
                sign = 1 if d < 0 else -1
                held.written_off = min(max(0, held.written_off + sign * units), held.tags)
            elif d < 0:
                self._took(event.at_ns, held, units, event.seq)
            elif event.kind in _UNDONE:
                held.undone(units)

    def _took(self, at_ns: int, held: Tagged, units: int, seq: int) -> None:
        """The oldest silent tags are what a flow took; for the rest, some will fall silent."""
        while held.missing and held.missing[0][1] <= units:
            epc, part = held.missing[0]
            held.missing = held.missing[1:]
            units -= part
            held.tags = max(0, held.tags - part)
            serial = self.serials.get(epc)
            if serial is not None and serial.seq == MISSING:
                self.went(at_ns, epc, BASKET, seq)
        if units:
            held.left = (*held.left, Left(at_ns, units, seq))[-LEFT_MAX:]

    def _counted(self, key: str, location: str, gtin: str) -> None:
        """People counted: what was silent is gone, and no flow is owed a tag."""
        held = self.held[key]
        for epc, part in held.missing:
            held.tags = max(0, held.tags - part)
            serial = self.serials.get(epc)
            if serial is not None and serial.seq == MISSING:
                self.forget(epc)
        held.missing = held.left = ()
        held.written_off = max(0, held.tags - self.units(location, gtin))
        self._changed(f"tagged:{key}")
