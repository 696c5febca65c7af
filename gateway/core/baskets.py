"""What was taken and not yet paid: picks wait for their sale, sales for their pick.

Here: the trail of one product through `@basket`: entries, losses, open sales, and their deadlines
(ALGORITHMS 5.3 rules 1 and 2). Not here: how a pick or a sale is sensed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.core.missed import Places, missed_pick
from gateway.core.patience import Patience
from gateway.core.postings import Poster
from gateway.core.receipts import lines_of
from gateway.core.trails import Entry, Lost, OpenSale, Seen, Trail, Weighed, merged
from gateway.domain.observation import Because
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import BASKET, LOST, SOLD, Ref, Source
from gateway.domain.units import NS_PER_S

HEAL_BY_SALE_NS = 24 * 3600 * NS_PER_S
HEAL_BY_RETURN_NS = 48 * 3600 * NS_PER_S
LOSS_CONF = 500
FOUND_CONF = 700


class Baskets:
    """The trails of all products. `changed(gtin)` is called after each change."""

    def __init__(
        self,
        settings: FusionSettings,
        poster: Poster,
        places_of_pick: Places,
        prove: Callable[[int, Sequence[Seen]], bool],
        changed: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        """`prove(at_ns, lines)` posts what the lines of a receipt prove of a pick in doubt."""
        self._poster = poster
        self._prove_pending = prove
        self._age_ns = settings.basket_age_s * NS_PER_S
        self._open_ns = settings.pending_sale_s * NS_PER_S
        self.patience = patience or Patience(settings.basket_timeout_s)
        self._places_of_pick = places_of_pick
        self._changed = changed
        self.trails: dict[str, Trail] = {}

    def trail(self, gtin: str) -> Trail:
        """The trail of a product, made on first use."""
        trail = self.trails.get(gtin)
        if trail is None:
            trail = self.trails[gtin] = Trail()
        return trail

    def deadline(self, gtin: str) -> int | None:
        """When a trail next changes by itself."""
        trail = self.trails.get(gtin)
        if trail is None:
            return None
        due = [entry.until_ns for entry in trail.basket]
        if trail.open:
            due += [sale.at_ns + self._open_ns for sale in trail.open]
            due += [
                entry.at_ns + self._age_ns
                for entry in trail.basket
                if any(entry.may_be(sale) for sale in trail.open)
            ]
        return min(due, default=None)

    def fire(self, at_ns: int, gtin: str) -> None:
        """What is due at exactly this time: open sales first, then timeouts."""
        self._match_open(at_ns, gtin)
        trail = self.trail(gtin)
        for entry in [e for e in trail.basket if e.until_ns <= at_ns]:
            trail.basket.remove(entry)
            because = Because("basket_timeout", seq=entry.seq)
            self._lose(at_ns, gtin, entry, because, src=(), conf=LOSS_CONF,
                       reason="unpaid_or_unsensed")  # fmt: skip
        trail.lost = [x for x in trail.lost if x.at_ns + HEAL_BY_RETURN_NS > at_ns]
        self._changed(gtin)

    def _lose(
        self, at_ns: int, gtin: str, entry: Entry, because: Because, **members: object
    ) -> None:
        """Units are given up, until they are seen again."""
        parts = [(entry.lot, entry.qty_milli)]
        event = self._poster.move("loss", at_ns, BASKET, LOST, gtin, parts, because, **members)
        lost = Lost(at_ns, entry.qty_milli, entry.lot, event.seq, entry.at_ns)
        self.trail(gtin).lost.append(lost)

    def gone_out(self, at_ns: int, gtin: str, qty_milli: int, seq: int, **members: object) -> None:
        """Units of a pick were seen to leave the shop unpaid."""
        for entry in self.own(gtin, qty_milli, seq):
            self._lose(at_ns, gtin, entry, Because("tag_exit", seq=seq), **members)

    def own(self, gtin: str, qty_milli: int, seq: int) -> list[Entry]:
        """Takes up to so much of what a pick put into the basket and nobody paid yet."""
        trail = self.trail(gtin)
        order = [entry for entry in trail.basket if entry.seq == seq]
        taken = self._take(trail, order, qty_milli)
        self._changed(gtin)
        return taken

    def unpaid(self, gtin: str, seq: int) -> bool:
        """Whether what a pick took is still in a basket."""
        return any(entry.seq == seq for entry in self.trails.get(gtin, Trail()).basket)

    def waits(self, gtin: str) -> bool:
        """Whether a sale of the last moments still waits for its pick."""
        return bool(self.trails.get(gtin, Trail()).open)

    @property
    def age_ns(self) -> int:
        """How old a pick is before a sale takes it."""
        return self._age_ns

    def picked(
        self,
        at_ns: int,
        began_ns: int,
        gtin: str,
        loc: str,
        parts: Iterable[tuple[str, int]],
        seq: int,
        weighed: Weighed | None = None,
        back_milli: int = 0,
        *,
        untimed: bool = False,
    ) -> list[Entry]:
        """A pick was posted: its units wait for their sale, or meet one that waits.

        Up to `back_milli` are on the shelf again, as known by now: they are returned.
        """
        trail, until_ns = self.trail(gtin), began_ns + self.patience.timeout_ns
        new = [
            Entry(began_ns, qty, lot, loc, seq, until_ns, weighed, untimed) for lot, qty in parts
        ]
        trail.basket += new
        trail.basket.sort(key=lambda entry: (entry.at_ns, entry.seq))
        back = self._take(trail, new[::-1], back_milli)
        self._match_open(at_ns, gtin)
        self._changed(gtin)
        return back

    def sale(
        self,
        at_ns: int,
        gtin: str,
        qty_milli: int,
        lot: str | None,
        source: Source,
        ref: Ref | None,
        code: str = "scan",
    ) -> int:
        """A sale is booked at once, as the event returned; its pick is found now or soon.

        A lot on the label is the lot: what was attributed to another is relabelled (5.7).
        """
        trail = self.trail(gtin)
        taken = self._oldest(at_ns, trail, trail.basket, qty_milli, lot)
        for entry in taken:
            self.patience.paired(entry.at_ns, at_ns)
        parts = [(entry.lot, entry.qty_milli) for entry in taken]
        rest = qty_milli - sum(qty for _, qty in parts)
        healed = self._heal(at_ns, gtin, rest)
        rest -= sum(qty for _, qty in healed)
        if lot is not None:
            for entry in taken:
                self._swap(at_ns, gtin, entry, lot)
            for found, qty in healed:
                self._relabel(at_ns, gtin, found, lot, qty)
            parts = [(lot, qty_milli - rest)] if rest < qty_milli else []
        else:
            parts += healed
        if rest:
            parts.append((lot or "", rest))
        because = Because("sale_took_pick", seq=taken[0].seq) if taken else Because(code)
        event = self._poster.move(
            "sale", at_ns, BASKET, SOLD, gtin, merged(parts), because, src=(source,), ref=ref
        )
        if rest:
            receipt = "" if ref is None else ref.id
            trail.open.append(
                OpenSale(at_ns, rest, lot or "", event.seq, source.dev, source.ref, receipt)
            )
        self._changed(gtin)
        return event.seq

    def _oldest(
        self, at_ns: int, trail: Trail, of: list[Entry], qty_milli: int, lot: str | None
    ) -> list[Entry]:
        """Takes up to so much of these, if old enough: the proven lot, then the oldest."""
        aged = [entry for entry in of if entry.at_ns + self._age_ns <= at_ns]
        if lot:
            aged.sort(key=lambda entry: entry.lot != lot)
        return self._take(trail, aged, qty_milli)

    def _swap(self, at_ns: int, gtin: str, taken: Entry, lot: str) -> None:
        """The basket held another lot than the pick took: so the shelf it came from holds that."""
        if taken.lot == lot:
            return
        self._relabel(at_ns, gtin, taken.lot, lot, taken.qty_milli)
        there = min(taken.qty_milli, self._poster.book.lot_balance(taken.loc, gtin, lot))
        if there > 0 and self._poster.is_physical(taken.loc):
            self._poster.relabel(at_ns, taken.loc, gtin, lot, taken.lot, there)

    def _relabel(self, at_ns: int, gtin: str, before: str, after: str, qty_milli: int) -> None:
        if before != after:
            self._poster.relabel(at_ns, BASKET, gtin, before, after, qty_milli)

    def _take(self, trail: Trail, order: list[Entry], qty_milli: int) -> list[Entry]:
        taken = []
        for entry in order:
            if qty_milli <= 0:
                break
            part = min(qty_milli, entry.qty_milli)
            qty_milli -= part
            taken.append(msgspec.structs.replace(entry, qty_milli=part))
            entry.qty_milli -= part
            if entry.qty_milli == 0:
                trail.basket.remove(entry)
        return taken

    def _heal(self, at_ns: int, gtin: str, qty_milli: int) -> list[tuple[str, int]]:
        """A sale heals the newest loss of the last day: `found`, back into the basket."""
        healed = self._unlose(at_ns, gtin, qty_milli, HEAL_BY_SALE_NS)
        for lost in healed:
            if lost.picked_ns is not None:
                self.patience.paired(lost.picked_ns, at_ns)
        parts = merged((lost.lot, lost.qty_milli) for lost in healed)
        if parts:
            because = Because("sale_found_lost", seq=healed[0].seq)
            self._poster.move(
                "found", at_ns, LOST, BASKET, gtin, parts, because, src=(), conf=FOUND_CONF
            )
        return parts

    def _unlose(self, at_ns: int, gtin: str, qty_milli: int, within_ns: int) -> list[Lost]:
        trail, out = self.trail(gtin), []
        for lost in reversed(trail.lost[:]):
            if qty_milli <= 0 or lost.at_ns + within_ns <= at_ns:
                break
            part = min(qty_milli, lost.qty_milli)
            qty_milli -= part
            out.append(msgspec.structs.replace(lost, qty_milli=part))
            lost.qty_milli -= part
            if lost.qty_milli == 0:
                trail.lost.remove(lost)
        return out

    def unlose(self, at_ns: int, gtin: str, qty_milli: int) -> list[Lost]:
        """Losses of the last two days that units seen again on a shelf explain, newest first."""
        if gtin not in self.trails:
            return []
        out = self._unlose(at_ns, gtin, qty_milli, HEAL_BY_RETURN_NS)
        self._changed(gtin)
        return out

    def newest(
        self, gtin: str, qty_milli: int, loc: str | None = None, since_ns: int = 0
    ) -> list[Entry]:
        """Takes up to so much out of the basket, newest first: it was put back."""
        trail = self.trails.get(gtin, Trail())
        order = [
            entry
            for entry in reversed(trail.basket)
            if entry.at_ns >= since_ns and loc in (None, entry.loc)
        ]
        taken = self._take(trail, order, qty_milli)
        if taken:
            self._changed(gtin)
        return taken

    def last_pick_ns(self, loc: str, gtin: str) -> int | None:
        """When the newest unit that is still in a basket left a place; None when none did."""
        basket = self.trails.get(gtin, Trail()).basket
        return max((entry.at_ns for entry in basket if entry.loc == loc), default=None)

    def in_basket(
        self, gtin: str, loc: str | None = None, since_ns: int = 0, until_ns: int = 1 << 63
    ) -> int:
        """Milli units in baskets that a put-back could bring back: all, or of then and there."""
        return sum(
            entry.qty_milli
            for entry in self.trails.get(gtin, Trail()).basket
            if since_ns <= entry.at_ns <= until_ns and loc in (None, entry.loc)
        )

    def lately_lost(self, gtin: str) -> int:
        """Milli units among the lost that may still be found."""
        return sum(lost.qty_milli for lost in self.trails.get(gtin, Trail()).lost)

    def products(self) -> list[str]:
        """Products with something in a basket, sorted."""
        return sorted(gtin for gtin, trail in self.trails.items() if trail.basket)

    def _match_open(self, at_ns: int, gtin: str) -> None:
        trail = self.trail(gtin)
        for sale in trail.open[:]:
            self._settle_known(at_ns, gtin, sale)
            if sale.qty_milli and sale.at_ns + self._open_ns <= at_ns:
                while sale.qty_milli and self._prove_pending(
                    at_ns, lines_of(self.trails, gtin, sale)
                ):
                    self._settle_known(at_ns, gtin, sale)
                if sale.qty_milli:
                    self._prove(at_ns, gtin, sale)
        trail.open = [sale for sale in trail.open if sale.qty_milli]

    def _settle_known(self, at_ns: int, gtin: str, sale: OpenSale) -> None:
        """What baskets hold, then what was lost, goes to a sale that waits."""
        trail = self.trail(gtin)
        before = [entry for entry in trail.basket if entry.may_be(sale)]
        for entry in self._oldest(at_ns, trail, before, sale.qty_milli, sale.lot):
            if sale.lot:
                self._swap(at_ns, gtin, entry, sale.lot)
            else:
                self._relabel(at_ns, gtin, entry.lot, "", entry.qty_milli)
            sale.qty_milli -= entry.qty_milli
        for lot, qty in self._heal(at_ns, gtin, sale.qty_milli):
            self._relabel(at_ns, gtin, lot, sale.lot, qty)
            sale.qty_milli -= qty

    def _prove(self, at_ns: int, gtin: str, sale: OpenSale) -> None:
        """The sale proves a pick that nobody saw."""
        since_ns = sale.at_ns - self._age_ns
        for lot, qty in missed_pick(
            self._poster, self._places_of_pick, at_ns, gtin, sale, since_ns
        ):
            self._relabel(at_ns, gtin, lot, sale.lot, qty)
        sale.qty_milli = 0

    def mirror(
        self, at_ns: int, gtin: str, lot: str, d_milli: int, voided_seq: int, seq: int
    ) -> None:
        """A void moved units in (+) or out (-) of the basket: the trail follows."""
        if d_milli < 0:
            self._withdraw(at_ns, gtin, lot, -d_milli, voided_seq, seq)
        else:
            self._readmit(at_ns, gtin, lot, d_milli, voided_seq, seq)
        self._changed(gtin)

    def _withdraw(
        self, at_ns: int, gtin: str, lot: str, qty_milli: int, voided_seq: int, seq: int
    ) -> None:
        trail = self.trail(gtin)
        newest = trail.basket[::-1]
        newest.sort(key=lambda entry: (entry.seq != voided_seq, entry.lot != lot))
        for entry in self._take(trail, newest, qty_milli):
            self._relabel(at_ns, gtin, entry.lot, lot, entry.qty_milli)
            qty_milli -= entry.qty_milli
        if qty_milli:
            # Paid meanwhile: the sale is open again and will prove its own pick.
            trail.open.append(OpenSale(at_ns, qty_milli, lot, seq, "", ""))

    def _readmit(
        self, at_ns: int, gtin: str, lot: str, qty_milli: int, voided_seq: int, seq: int
    ) -> None:
        trail = self.trail(gtin)
        for sale in trail.open:
            if sale.seq == voided_seq and sale.lot == lot:
                part = min(sale.qty_milli, qty_milli)
                sale.qty_milli -= part
                qty_milli -= part
        trail.open = [sale for sale in trail.open if sale.qty_milli]
        if qty_milli:
            until_ns = at_ns + self.patience.timeout_ns
            trail.basket.append(Entry(at_ns, qty_milli, lot, "", seq, until_ns, untimed=True))
            trail.basket.sort(key=lambda entry: (entry.at_ns, entry.seq))

    def mirror_lost(
        self, at_ns: int, gtin: str, lot: str, d_milli: int, voided_seq: int, seq: int
    ) -> None:
        """A void took a loss back (-), or a healing (+): what may be found again follows."""
        trail = self.trail(gtin)
        if d_milli > 0:
            trail.lost.append(Lost(at_ns, d_milli, lot, seq))
        else:
            rest = -d_milli
            order = trail.lost[::-1]
            order.sort(key=lambda lost: (lost.seq != voided_seq, lost.lot != lot))
            for lost in order:
                part = min(rest, lost.qty_milli)
                lost.qty_milli -= part
                rest -= part
            trail.lost = [lost for lost in trail.lost if lost.qty_milli]
        self._changed(gtin)
