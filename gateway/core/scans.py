"""One scanner: from a scan's text to so many units in a mode, or to a reason why not.

Here: normalising, the refractory window, the mode machine (ALGORITHMS 1). Not here: which product
and how much of it a label stands for (`labels`), what a move does to the book (`fuse`), bytes
(`drivers`). Time comes in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.labels import Goods, Labels
from gateway.core.serials import Seen, Serials
from gateway.domain import gs1
from gateway.domain.observation import Dropped, DropReason, ModeChanged, Observation, ScanMove
from gateway.domain.reading import Mode, Quantity, Scan, SetMode, Word
from gateway.domain.store import Product
from gateway.domain.units import NS_PER_MS, NS_PER_S

WINDOW_MS: Final[Mapping[Mode, int]] = {
    "sale": 400,
    "return": 1000,
    "receive": 1000,
    "transfer_in": 1000,
    "transfer_out": 1000,
    "restock": 1000,
    "stocktake": 700,
    "writeoff": 2000,
    "lookup": 400,
}
"""Refractory windows, ALGORITHMS 1.2."""

REARMED_MS: Final = 200
"""How long an echo holds the window of a presentation scanner open: it reads a code that stays in
view ten times a second, and an echo at 350 ms may not cost the repeat at 600 (DECISIONS)."""

_LONGEST_NS: Final = max(WINDOW_MS.values()) * NS_PER_MS
SEEN_MAX: Final = 256
"""Codes of the last two seconds; a flood beyond it loses echoes' memory, never a scan."""
QUANTITY_MAX: Final = 9999
QTY_MAX_MILLI: Final = 1_000_000_000
"""A million pieces or a tonne a thousand times over: no scan and no command means more."""
_QUANTITY: Final = re.compile(r"[1-9][0-9]{0,3}")


class ScannerRules(Word, frozen=True):
    """What the configuration says of one scanner."""

    device: str
    location: str | None
    """Where its goods lie; None at a till or an exit, which hold no stock."""
    mode: Mode
    modes: tuple[Mode, ...] = ()
    """Modes that barcodes may switch it to; none by default, since customers can print barcodes."""
    presentation: bool = False
    """A presentation scanner repeats while the code is in view: an echo re-arms the window."""
    mode_prefix: str = ""
    mode_idle_s: int = 120
    quantity_s: int = 10


class ScannerState(msgspec.Struct):
    """What a scanner remembers across a restart."""

    mode: Mode
    mode_until_ns: int | None = None
    location: str | None = None
    doc: str | None = None
    quantity: int | None = None
    quantity_until_ns: int | None = None
    count_from_ns: int = 0
    count_until_ns: int = 0
    """The running count: a serial is counted once in it."""


NO_LABELS: Final = Labels()
"""No cases and no values inside numbers."""


class Scanner:
    """The state machine of one scanner; `serials` and `labels` are shared by all scanners."""

    def __init__(
        self,
        rules: ScannerRules,
        serials: Serials,
        state: ScannerState | None = None,
        seen: dict[str, Seen] | None = None,
        labels: Labels = NO_LABELS,
    ) -> None:
        self._rules = rules
        self._serials = serials
        self._labels = labels
        self.state = state or ScannerState(rules.mode)
        if self.state.mode_until_ns is None:
            self.state.mode = rules.mode  # its own mode, whatever the configuration called it then
        self.seen = seen if seen is not None else {}
        """Codes whose echoes may still come, oldest first."""

    def deadline(self) -> int | None:
        """When it changes by itself: idle mode or unused quantity."""
        ends = (self.state.mode_until_ns, self.state.quantity_until_ns)
        return min((end for end in ends if end is not None), default=None)

    def advance(self, at_ns: int) -> list[Observation]:
        """What ends at exactly this deadline."""
        out: list[Observation] = []
        state = self.state
        if state.quantity_until_ns is not None and state.quantity_until_ns <= at_ns:
            out.append(self._drop(at_ns, str(at_ns), f"{state.quantity} x", "quantity_expired"))
            state.quantity = state.quantity_until_ns = None
        if state.mode_until_ns is not None and state.mode_until_ns <= at_ns:
            out += self._switch(at_ns, self._rules.mode, None, None, "idle")
        return out

    def set_mode(self, at_ns: int, order: SetMode) -> list[Observation]:
        """A person set the mode at the console."""
        return self._switch(at_ns, order.mode, order.location, order.ref, "command")

    def set_quantity(self, at_ns: int, order: Quantity) -> list[Observation]:
        """The next scan stands for n units."""
        if 1 <= order.n <= QUANTITY_MAX:
            self.state.quantity = order.n
            self.state.quantity_until_ns = at_ns + self._rules.quantity_s * NS_PER_S
        return []

    def scan(
        self, at_ns: int, ref: str, scan: Scan, products: Mapping[str, Product]
    ) -> list[Observation]:
        """One scan. Never raises: what means nothing becomes a `Dropped` with its reason."""
        prefix = self._rules.mode_prefix
        if prefix and scan.data.startswith(prefix):
            return self._control(at_ns, ref, scan.data, scan.data[len(prefix) :])
        mode = scan.mode or self.state.mode
        if self.state.mode_until_ns is not None:
            self.state.mode_until_ns = at_ns + self._rules.mode_idle_s * NS_PER_S
        item = gs1.parse(scan.data, scan.aim)
        if isinstance(item, gs1.NoItem):
            wrong: DropReason = (
                "bad_check_digit" if item.reason == "bad_check_digit" else "unknown_format"
            )
            return [self._drop(at_ns, ref, scan.data, wrong, mode=mode)]
        goods = self._labels.goods(item, products)
        if goods is None:
            return [self._drop(at_ns, ref, scan.data, "bad_check_digit", mode=mode)]
        qty_milli = goods.qty_milli * (self.state.quantity or 1)
        if not 0 < qty_milli <= QTY_MAX_MILLI:
            return [self._drop(at_ns, ref, scan.data, "unknown_format", mode=mode)]
        repeat = self._repeat(at_ns, ref, mode, item)
        if repeat is not None:
            reason, original = repeat
            return [self._drop(at_ns, ref, scan.data, reason, original, mode)]
        self.state.quantity = self.state.quantity_until_ns = None
        return [self._move(at_ns, ref, mode, item, goods, qty_milli)]

    def _move(
        self, at_ns: int, ref: str, mode: Mode, item: gs1.Item, goods: Goods, qty_milli: int
    ) -> ScanMove:
        expiry = item.expiry_yymmdd
        return ScanMove(
            at_ns=at_ns,
            device=self._rules.device,
            ref=ref,
            mode=mode,
            gtin=goods.gtin,
            qty_milli=qty_milli,
            uom=goods.uom,
            lot=item.lot,
            exp=None if expiry is None else gs1.expiry_date(expiry, gs1.year_of(at_ns)),
            serial=item.serial if goods.gtin == item.gtin else None,  # a case's is not its units'
            location=self.state.location or self._rules.location,
            doc=self.state.doc,
        )

    def _repeat(
        self, at_ns: int, ref: str, mode: Mode, item: gs1.Item
    ) -> tuple[DropReason, str] | None:
        seen = self.seen
        while seen and seen[next(iter(seen))].at_ns + _LONGEST_NS <= at_ns:
            del seen[next(iter(seen))]
        key = _payload(item)
        last = seen.get(key)
        if last is not None and at_ns - last.at_ns < WINDOW_MS[mode] * NS_PER_MS:
            if self._rules.presentation and mode == "sale":
                held_ns = at_ns - (WINDOW_MS[mode] - REARMED_MS) * NS_PER_MS
                del seen[key]
                seen[key] = Seen(max(last.at_ns, held_ns), last.ref)
            return "echo", last.ref
        if mode == "stocktake":
            if at_ns >= self.state.count_until_ns:
                self.state.count_from_ns = at_ns
            self.state.count_until_ns = at_ns + self._rules.mode_idle_s * NS_PER_S
        identity = _identity(item)
        if identity is not None:
            since_ns = self.state.count_from_ns if mode == "stocktake" else 0
            first = self._serials.repeats(at_ns, ref, mode, self._rules.device, identity, since_ns)
            if first is not None:
                return "serial_repeat", first
        seen.pop(key, None)
        seen[key] = Seen(at_ns, ref)
        if len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]
        return None

    def _control(self, at_ns: int, ref: str, data: str, text: str) -> list[Observation]:
        """A mode or quantity barcode: `MODE:receive`, `QTY:6`, after the store's prefix."""
        verb, _, value = text.partition(":")
        if verb == "MODE":
            for mode in (self._rules.mode, *self._rules.modes):
                if mode == value:
                    return self._switch(at_ns, mode, None, None, "barcode")
        elif verb == "QTY" and self._rules.modes and _QUANTITY.fullmatch(value):
            return self.set_quantity(at_ns, Quantity(self._rules.device, int(value)))
        return [self._drop(at_ns, ref, data, "mode_refused")]

    def _switch(
        self, at_ns: int, mode: Mode, location: str | None, doc: str | None, why: str
    ) -> list[Observation]:
        before = self.state.mode
        self.state = ScannerState(
            mode,
            location=location,
            doc=doc,
            quantity=self.state.quantity,
            quantity_until_ns=self.state.quantity_until_ns,
        )
        if mode != self._rules.mode or location is not None or doc is not None:
            self.state.mode_until_ns = at_ns + self._rules.mode_idle_s * NS_PER_S
        return [ModeChanged(at_ns, self._rules.device, before, mode, why)]  # type: ignore[arg-type]

    def _drop(
        self,
        at_ns: int,
        ref: str,
        data: str,
        reason: DropReason,
        duplicate_of: str | None = None,
        mode: Mode | None = None,
    ) -> Dropped:
        return Dropped(
            at_ns, self._rules.device, ref, data, mode or self.state.mode, reason, duplicate_of
        )


def _payload(item: gs1.Item) -> str:
    """All that a code says: labels that differ anywhere are no echoes of each other."""
    parts = (
        item.gtin, item.lot, item.serial, item.expiry_yymmdd, item.count, item.net_kg_milli,
        item.sscc,
    )  # fmt: skip
    return "|".join("" if part is None else str(part) for part in parts)


def _identity(item: gs1.Item) -> str | None:
    """What there is one of in the world: a logistic unit (AI 00) or an item (AI 21)."""
    if item.sscc is not None:
        return f"sscc.{item.sscc}"
    return None if item.serial is None else f"{item.gtin}.{item.serial}"
