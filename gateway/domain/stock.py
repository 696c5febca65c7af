"""What moved: the stock event and its lines, in double entry.

Here: accounts, lines, the event, and the check that its lines sum to zero. Not here: which event
to post (`core.fuse`), balances (`core.book`), bytes (`wire`).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from gateway.domain.reading import Word

BASKET: Final = "@basket"
SOLD: Final = "@sold"
SUPPLIER: Final = "@supplier"
TRANSFER: Final = "@transfer"
WASTE: Final = "@waste"
LOST: Final = "@lost"
ADJUST: Final = "@adjust"
VIRTUAL: Final = frozenset((BASKET, SOLD, SUPPLIER, TRANSFER, WASTE, LOST, ADJUST))

UOMS: Final = ("EA", "KGM", "LTR", "MTR")
Uom = Literal["EA", "KGM", "LTR", "MTR"]

Kind = Literal[
    "pick",
    "putback",
    "sale",
    "return",
    "receive",
    "restock",
    "transfer_out",
    "transfer_in",
    "writeoff",
    "stocktake",
    "loss",
    "found",
    "adjust",
    "void",
    "epoch_open",
]
KINDS: Final[tuple[str, ...]] = get_args(Kind)


class Line(Word, frozen=True):
    """A signed change of one account, in thousandths of the unit of measure."""

    gtin: str
    lot: str | None
    """None: not known."""
    exp: str | None
    """Expiry date of the lot, YYYY-MM-DD; describes the lot, never a key."""
    loc: str
    d: int
    uom: Uom
    after: int | None
    """Balance after this event; None for virtual accounts other than `@basket`."""
    counted: int | msgspec.UnsetType = msgspec.UNSET
    """Stocktake only, on the physical line: the absolute count."""


class Source(Word, frozen=True):
    """The device, and its own reading, that an event rests on."""

    dev: str
    ref: str


class Ref(Word, frozen=True):
    """The business document of an event."""

    type: Literal["receipt", "desadv", "po", "rma", "transfer", "count", "hold", "ticket"]
    id: str


class Opened(Word, frozen=True):
    """The content of `epoch_open`."""

    baseline: str | None
    sha256: str | None
    why: str


class StockEvent(Word, frozen=True):
    """One physical movement, with balanced lines and a gapless seq (WIRE section 6).

    Carries no wall time, boot or epoch: those come from the machine and are added by `wire.stamp`.
    """

    seq: int
    id: str
    kind: Kind
    at_ns: int
    lines: tuple[Line, ...] = ()
    conf: int | None = None
    """Permille; set where fusion judged, None where a person or a document said so."""
    src: tuple[Source, ...] = ()
    ref: Ref | None = None
    corr: str | None = None
    reason: str | None = None
    op: str | None = None
    open: Opened | None = None


def imbalance(lines: tuple[Line, ...]) -> str | None:
    """What is wrong when the lines do not sum to zero per (gtin, lot, uom); None when they do.

    Never raises. The rule: WIRE section 6, double entry.
    """
    sums: dict[tuple[str, str | None, str], int] = {}
    for line in lines:
        key = (line.gtin, line.lot, line.uom)
        sums[key] = sums.get(key, 0) + line.d
    for (gtin, lot, uom), total in sums.items():
        if total:
            return f"{uom} of {gtin} lot {lot or 'unknown'} off by {total}"
    return None
