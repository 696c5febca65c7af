"""The tills: lines of their software become observations, once each; none sells expired goods.

Here: which lines are heard, that the scanner of such a lane posts no sale (ALGORITHMS 1.5), and
which scans a till refuses (5.7). Not here: what a line does in the book
(`fuse`, `tills`), where the tills are (`sensors`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.core.expiry import Expiry
from gateway.core.labels import Labels
from gateway.core.postings import Poster
from gateway.core.scans import QTY_MAX_MILLI
from gateway.core.tills import Tills
from gateway.domain.ids import gtin14
from gateway.domain.observation import Dropped, DropReason, Observation, ScanMove, TillLine
from gateway.domain.reading import PosLine
from gateway.domain.stock import Source

_REFUSED: Final = {
    "conflict": "the till said it before with other content",
    "full": "the receipt has too many lines",
}


class Lanes:
    """The lanes of the shop that have a till, and the scanners that stand at them."""

    def __init__(
        self,
        tills: Tills,
        poster: Poster,
        labels: Labels,
        lane_of: Mapping[str, str],
        scanners: Mapping[str, str],
    ) -> None:
        """`lane_of`: location by till; `scanners`: location by scanner at such a till."""
        self._tills, self._poster, self._labels = tills, poster, labels
        self._expiry = Expiry(poster.store, poster.book)
        self._lane_of, self._scanners = lane_of, scanners
        self.repeats_total = 0
        """Lines that were said again."""

    def scanned(self, device: str, data: str, seen: list[Observation]) -> list[Observation]:
        """What a scanner saw; at a lane with a till, a sale is evidence for the till's line."""
        lane = self._scanners.get(device)
        return [
            self._heard(lane, data, self._expiry.named(one)) if isinstance(one, ScanMove) else one
            for one in seen
        ]

    def _heard(self, lane: str | None, data: str, seen: ScanMove) -> Observation:
        """A sale of expired goods has no effect and a reason; where a line follows, that sells."""
        if seen.mode != "sale":
            return seen
        why = self._expiry.refuses(seen)
        if why is not None:
            self._poster.note(seen.at_ns, "expired", why, seen.device)
        elif lane is None:
            return seen
        if lane is not None:
            self._tills.tap(seen, lane)
        reason: DropReason = "not_owner" if why is None else "expired"
        return Dropped(seen.at_ns, seen.device, seen.ref, data, seen.mode, reason)

    def line(self, at_ns: int, device: str, body: PosLine, number: int) -> TillLine | None:
        """A till's line as observation `number`; None when it books nothing. Never raises."""
        lane, gtin = self._lane_of.get(device), gtin14(body.gtin)
        if lane is None:
            return self._refuse(at_ns, device, body, "this device is no till here")
        if gtin is None:
            return self._refuse(at_ns, device, body, f"{body.gtin} is no GTIN")
        product, units = self._labels.article(gtin)
        qty_milli, ref = body.qty_milli * units, f"{body.receipt}/{body.line}"
        if not 0 < qty_milli <= QTY_MAX_MILLI:
            text = f"line {ref}: {body.qty_milli} is no quantity: one piece is 1000"
            return self._refuse(at_ns, device, body, text)
        verdict = self._tills.judge(at_ns, device, body, product, qty_milli)
        if verdict == "repeat":
            self.repeats_total += 1
            return None
        if verdict in _REFUSED:
            return self._refuse(at_ns, device, body, _REFUSED[verdict])
        if self._poster.is_named(Source(device, ref)):
            ref = f"{ref}.{number}"  # a source is named once (WIRE 6)
        if verdict == "reused":
            text = f"receipt {body.receipt} was used before: put the date into its number"
            self._poster.note(at_ns, "receipt_reused", text, device)
        tap = self._tills.claim(at_ns, lane, product, qty_milli)
        return TillLine(
            at_ns=at_ns,
            device=device,
            ref=ref,
            receipt=body.receipt,
            line=str(body.line),
            action=body.action,
            gtin=product,
            qty_milli=qty_milli,
            lane=lane,
            lot=None if tap is None else tap.lot,
            exp=None if tap is None else tap.exp,
        )

    def _refuse(self, at_ns: int, device: str, body: PosLine, why: str) -> TillLine | None:
        text = f"line {body.receipt}/{body.line} is not booked: {why}"
        self._poster.note(at_ns, "refused", text, device)
        return None
