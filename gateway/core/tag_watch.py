"""From presence to observations: which tags came and left, and what they count to.

Here: a tag heard by several readers is at one place; when a tag that is booked elsewhere has come,
when one has left; the look at levels every ten seconds. Not here: presence at one reader
(`presence`), what is booked (`tag_flows`), the likelihood of a count (`tag_levels`).

A reader that is down, an antenna lost, a gateway that has just begun: of such places nothing is
said, neither that a tag left them nor how many are there. Nothing here outlives a restart; what the
book knows of serials does (`tag_book`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.core.presence import MOBILITY_CDBM
from gateway.core.readers import CONFIRM_S, Reader
from gateway.core.tag_awaited import Awaited
from gateway.core.tag_book import TAGS_MAX, TagBook
from gateway.core.tag_levels import LISTENED_NS, SPACING_NS, Seen, TagLevels
from gateway.domain.epc import known_epc
from gateway.domain.observation import LevelClaim, MovedTag, TagsMoved
from gateway.domain.store import Store
from gateway.domain.units import NS_PER_S

DOUBT_NS: Final = 300 * NS_PER_S
"""A tag heard at a till or an exit, and still at its place, is remembered so long."""
_UNHEARD_CDBM: Final = -100_000


class TagWatch:
    """The readers of one shop whose tags move the stock."""

    def __init__(self, store: Store, readers: Mapping[str, Reader], book: TagBook) -> None:
        self._readers = {name: reader for name, reader in readers.items() if reader.stock}
        self._book = book
        self._physical = {x.id: x.physical for x in store.locations}
        self._products = store.product_by_gtin()
        self._cases = {
            case.gtin: (case.unit_gtin, case.units)
            for case in store.cases
            if self._piece(case.unit_gtin) is not None
        }
        self._open: dict[str, tuple[int, str, str]] = {}
        """Tags that came, and may be booked elsewhere: when, by which reader, to where."""
        kinds = {x.id: x.kind for x in store.locations}
        covered = [place for reader in self._readers.values() for place in reader.places()]
        confirm_s = {place: CONFIRM_S[kinds[place]] for place in covered}
        self._awaited = Awaited(book.at_rest(), confirm_s)
        self._levels = TagLevels()
        self._look_ns = 0

    def tick(self, at_ns: int) -> Iterator[TagsMoved | LevelClaim]:
        """After visits were closed: what is news. Each is to be booked before the next is asked."""
        news, silent = self._heard(at_ns)
        look = at_ns >= self._look_ns
        yield from self._moves(at_ns, silent, tuple(self._open) if look else news)
        if look:
            self._look_ns = at_ns + SPACING_NS
            listens = {
                place: name for place, physical in self._physical.items()
                if physical and (name := self._listens(at_ns, place)) is not None
            }  # fmt: skip
            if self._awaited:
                yield from self._missed(at_ns, listens)
            yield from self._claims(at_ns, listens)

    # --- what moved -----------------------------------------------------------------------------

    def _heard(self, at_ns: int) -> tuple[tuple[str, ...], list[tuple[str, str, str]]]:
        """What the readers say: tags that came, and tags that fell silent, by whom and where."""
        came: dict[str, None] = {}
        silent = []
        for name, reader in self._readers.items():
            for move in reader.moved():
                if self._item(move.tag) is None:
                    continue
                self._awaited.heard(move.tag)
                if move.to_antenna is not None:
                    if len(self._open) < TAGS_MAX:
                        self._open[move.tag] = (at_ns, name, reader.place(move.to_antenna))
                        came[move.tag] = None
                elif move.from_antenna is not None:
                    silent.append((move.tag, name, reader.place(move.from_antenna)))
        return tuple(came), silent

    def _moves(
        self, at_ns: int, silent: list[tuple[str, str, str]], news: tuple[str, ...]
    ) -> Iterator[TagsMoved]:
        groups: dict[tuple[str, str, bool], list[MovedTag]] = {}
        asked = dict.fromkeys(news)
        for epc, name, place in silent:
            elsewhere = self._elsewhere(epc)
            if elsewhere is not None:
                self._open[epc] = (at_ns, *elsewhere)
            if epc in self._open:
                asked[epc] = None
            elif self._book.where(epc) == place:
                self._add(groups, name, place, False, epc)
        for epc in asked:
            since_ns, name, place = self._open[epc]
            settled = self._settled(at_ns, epc, name, place, since_ns)
            if settled is not None:
                del self._open[epc]
                if settled:
                    self._add(groups, name, place, True, epc)
        yield from _told(at_ns, groups)

    def _add(
        self,
        groups: dict[tuple[str, str, bool], list[MovedTag]],
        name: str,
        place: str,
        came: bool,
        epc: str,
    ) -> None:
        item = self._item(epc)
        if item is not None:
            groups.setdefault((name, place, came), []).append(MovedTag(epc, *item))

    def _missed(self, at_ns: int, listens: Mapping[str, str]) -> Iterator[TagsMoved]:
        """Serials that nobody has heard since the gateway was started, long enough ago."""
        reads = {place: self._readers[name].reads_at(place) for place, name in listens.items()}
        groups: dict[tuple[str, str, bool], list[MovedTag]] = {}
        for epc, place in self._awaited.look(reads):
            if self._book.where(epc) == place:
                self._add(groups, listens[place], place, False, epc)
        yield from _told(at_ns, groups)

    def _settled(self, at_ns: int, epc: str, name: str, place: str, since_ns: int) -> bool | None:
        """Whether a tag that came is news; None while its own place may still have it."""
        booked = self._book.where(epc)
        if booked == place or (booked is None and not self._physical[place]):
            return False
        if not booked or not self._physical.get(booked, False):
            return True
        if not self._kept(at_ns, epc, name, booked):
            return True
        here = self._readers[name].place_of(epc)
        if here is not None and here[0] == place:
            return None
        passed = self._physical[place] or at_ns >= since_ns + DOUBT_NS
        return False if passed else None

    def _kept(self, at_ns: int, epc: str, name: str, booked: str) -> bool:
        """Whether a tag heard elsewhere may still be where it is booked."""
        here = self._readers[name]
        for reader in self._readers.values():
            if not reader.covers(booked):
                continue
            since_ns = reader.hears_all_since_ns(booked)
            if since_ns is None or at_ns < since_ns + LISTENED_NS:
                return True
            there = reader.place_of(epc)
            if there is not None and there == (booked, False):
                return not _far_stronger(here, reader, epc)
        return False

    def _elsewhere(self, epc: str) -> tuple[str, str] | None:
        """Who else hears a tag that fell silent, and where; a reader that it leaves comes last."""
        best: tuple[tuple[bool, int], str, str] | None = None
        for name, reader in self._readers.items():
            there = reader.place_of(epc)
            if there is not None:
                rssi = reader.strength_cdbm(epc)
                rank = (not there[1], _UNHEARD_CDBM if rssi is None else rssi)
                if best is None or rank > best[0]:
                    best = (rank, name, there[0])
        return None if best is None else best[1:]

    def _item(self, epc: str) -> tuple[str, int] | None:
        """Product and units of a tag; None for what the shop does not sell by the piece."""
        gtin = known_epc(epc).gtin
        return None if gtin is None else self._cases.get(gtin) or self._piece(gtin)

    def _piece(self, gtin: str) -> tuple[str, int] | None:
        product = self._products.get(gtin)
        return (product.gtin, 1) if product is not None and product.uom == "EA" else None

    # --- how many there are ---------------------------------------------------------------------

    def _claims(self, at_ns: int, who: Mapping[str, str]) -> Iterator[LevelClaim]:
        """What the tags that lie at each place count to, where all its antennas listen."""
        counts: dict[tuple[str, str], list[int]] = {}
        for epc, place, leaving in self._present():
            item = self._item(epc) if place in who else None
            if item is not None and self._book.where(epc) == place:
                counts.setdefault((place, item[0]), [0, 0])[leaving] += item[1]
        for place, name in who.items():
            if self._awaited.at(place):
                continue  # since the restart nobody knows yet how well it is heard
            for gtin in self._book.at(place):
                untagged, pending = self._book.standing(at_ns, place, gtin)
                present, silent = counts.get((place, gtin), (0, 0))
                going = min(pending, present)
                seen = Seen(untagged, present - going, silent + going)
                book = self._book.units(place, gtin)
                claim = self._levels.claim(at_ns, name, place, gtin, seen, book)
                if claim is not None:
                    yield claim

    def _present(self) -> Iterator[tuple[str, str, bool]]:
        """Every tag that is where it is booked, once: its place, and whether it is leaving."""
        readers = list(self._readers.values())
        for n, reader in enumerate(readers):
            others = [(m, other) for m, other in enumerate(readers) if m != n]
            for epc, place, leaving in reader.everywhere():
                if self._book.where(epc) != place:
                    continue
                heard = ((m, other.place_of(epc)) for m, other in others)
                better = ((x[1], m) < (leaving, n) for m, x in heard if x and x[0] == place)
                if not any(better):
                    yield epc, place, leaving

    def _listens(self, at_ns: int, place: str) -> str | None:
        """The first reader of a place, if all that cover it have listened long enough."""
        names = [name for name, reader in self._readers.items() if reader.covers(place)]
        for name in names:
            since_ns = self._readers[name].hears_all_since_ns(place)
            if since_ns is None or at_ns < since_ns + LISTENED_NS:
                return None
        return names[0] if names else None


def _told(
    at_ns: int, groups: Mapping[tuple[str, str, bool], list[MovedTag]]
) -> Iterator[TagsMoved]:
    for (name, place, came), tags in groups.items():
        yield TagsMoved(at_ns, name, "", place, came, tuple(tags))


def _far_stronger(here: Reader, there: Reader, epc: str) -> bool:
    """Whether one reader hears a tag so much better that another only overhears it."""
    new, old = here.strength_cdbm(epc), there.strength_cdbm(epc)
    return new is not None and old is not None and new > old + MOBILITY_CDBM
