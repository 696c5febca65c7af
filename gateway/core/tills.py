"""Till lines to sales, returns and voids: each line of a receipt once (ALGORITHMS 1.3, 1.5).

Here: which lines were heard, what a void line takes back, and what a scanner at the same till adds
to a line (lot, expiry). A lane with a till has one owner, the till: its scanner's taps are evidence
and post nothing. Not here: what a sale does in the basket (`baskets`), bytes (`drivers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from gateway.domain.observation import ScanMove, TillLine
from gateway.domain.reading import PosLine
from gateway.domain.units import NS_PER_S

RECEIPTS_MAX: Final = 5000
"""Receipts remembered by the shop, the oldest goes first."""
MEMORY_NS: Final = 7 * 24 * 3600 * NS_PER_S
"""How long a line said again is the same line: a till may repeat its day after an outage."""
REUSED_NS: Final = 2 * 3600 * NS_PER_S
"""A receipt silent for so long that says something else is a new one with an old number."""
LINES_MAX: Final = 1000
TAPS_MAX: Final = 64
TAP_NS: Final = 300 * NS_PER_S
"""A scan belongs to the till's line of this product within so long."""

Verdict = Literal["new", "reused", "repeat", "conflict", "full"]


class Line(msgspec.Struct, array_like=True):
    """A line that was heard. `seq` is the event it became; None when it became none."""

    line: str
    action: str
    gtin: str
    qty_milli: int
    seq: int | None = None
    voided_milli: int = 0


class Receipt(msgspec.Struct):
    """One receipt of one till."""

    at_ns: int
    lines: list[Line] = []


class Tap(msgspec.Struct, array_like=True):
    """A scan at a till whose lines come from its software: timing, lot and expiry."""

    at_ns: int
    gtin: str
    qty_milli: int
    lot: str | None
    exp: str | None


class Taps(msgspec.Struct):
    """The scans of one lane that no line has claimed yet, oldest first."""

    waiting: list[Tap] = []


class Tills:
    """The receipts and lanes of the shop. `changed(key)` is called after each change of a part."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self.receipts: dict[str, Receipt] = {}
        self.lanes: dict[str, Taps] = {}

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """What was kept, in any order."""
        for key, body in sorted(saved.items()):
            kind, _, name = key.partition(":")
            if kind == "receipt":
                self.receipts[name] = msgspec.json.decode(body, type=Receipt)
            elif kind == "taps":
                self.lanes[name] = msgspec.json.decode(body, type=Taps)
        self.receipts = dict(
            sorted(self.receipts.items(), key=lambda item: (item[1].at_ns, item[0]))
        )

    def judge(self, at_ns: int, device: str, said: PosLine, gtin: str, qty_milli: int) -> Verdict:
        """What a line is: `new` ones and those of a `reused` receipt number are to be booked."""
        receipt = self.receipts.get(_key(device, said.receipt))
        if receipt is None:
            return "new"
        silent_ns = at_ns - receipt.at_ns
        known = _find(receipt, str(said.line), said.action)
        if known is None:
            return "full" if len(receipt.lines) >= LINES_MAX else "new"
        if silent_ns < MEMORY_NS and (known.gtin, known.qty_milli) == (gtin, qty_milli):
            return "repeat"
        return "conflict" if silent_ns < REUSED_NS else "reused"

    def heard(self, line: TillLine, seq: int | None) -> None:
        """A line was booked as event `seq`, or as none."""
        key = _key(line.device, line.receipt)
        receipt = self.receipts.pop(key, None)
        if receipt is None or _find(receipt, line.line, line.action) is not None:
            receipt = Receipt(line.at_ns)  # a number used again begins anew
        receipt.at_ns = line.at_ns
        receipt.lines.append(Line(line.line, line.action, line.gtin, line.qty_milli, seq))
        self.receipts[key] = receipt  # last: the dictionary is in the order of use
        self._changed(f"receipt:{key}")
        while len(self.receipts) > RECEIPTS_MAX:
            oldest = next(iter(self.receipts))
            del self.receipts[oldest]
            self._changed(f"receipt:{oldest}")

    def sale_to_void(self, void: TillLine) -> Line | None:
        """The sale that a void line takes back: the line itself, else the newest like it."""
        receipt = self.receipts.get(_key(void.device, void.receipt))
        if receipt is None:
            return None
        open_ = [
            line for line in receipt.lines
            if line.action == "sale" and line.seq is not None and line.gtin == void.gtin
            and line.qty_milli - line.voided_milli >= void.qty_milli
        ]  # fmt: skip
        own = next((line for line in open_ if line.line == void.line), None)
        return own or (open_[-1] if open_ else None)

    def voided(self, void: TillLine, sale: Line, seq: int | None) -> None:
        """So much of a sale was taken back; `seq` is the event that holds what is left of it."""
        sale.voided_milli += void.qty_milli
        sale.seq = seq
        self._changed(f"receipt:{_key(void.device, void.receipt)}")

    def tap(self, scan: ScanMove, lane: str) -> None:
        """A scan at a lane that the till owns."""
        if scan.lot is None:
            return  # timing alone changes no book
        taps = self.lanes.setdefault(lane, Taps())
        taps.waiting.append(Tap(scan.at_ns, scan.gtin, scan.qty_milli, scan.lot, scan.exp))
        del taps.waiting[:-TAPS_MAX]
        self._changed(f"taps:{lane}")

    def claim(self, at_ns: int, lane: str, gtin: str, qty_milli: int) -> Tap | None:
        """The scan behind a line: its lot, when the scans of all its pieces agree; else None."""
        taps = self.lanes.get(lane)
        if taps is None:
            return None
        mine: list[Tap] = []
        for tap in taps.waiting:
            if qty_milli > 0 and tap.gtin == gtin and tap.at_ns + TAP_NS > at_ns:
                mine.append(tap)
                qty_milli -= tap.qty_milli
        if not mine:
            return None
        taps.waiting = [t for t in taps.waiting if t not in mine and t.at_ns + TAP_NS > at_ns]
        self._changed(f"taps:{lane}")
        agree = qty_milli == 0 and len({(tap.lot, tap.exp) for tap in mine}) == 1
        return mine[0] if agree else None


def _key(device: str, receipt: str) -> str:
    return f"{device}/{receipt}"


def _find(receipt: Receipt, line: str, action: str) -> Line | None:
    return next((x for x in receipt.lines if x.line == line and x.action == action), None)
