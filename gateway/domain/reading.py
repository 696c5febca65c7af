"""What a device said: the seven kinds of reading, and the commands people give.

Here: one frozen value per kind of CONTRACT section 6. A driver makes a *body*; intake adds when
and by whom, which makes it a `Reading`. Not here: what it means for the stock (`core`), how it is
written down (`wire`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

FLAGS: Final = ("over", "under", "zero", "motion", "error")
"""What a scale may say beside the number, in this order."""

MODES: Final = (
    "sale",
    "return",
    "receive",
    "transfer_out",
    "transfer_in",
    "restock",
    "stocktake",
    "writeoff",
    "lookup",
)
Mode = Literal[
    "sale",
    "return",
    "receive",
    "transfer_out",
    "transfer_in",
    "restock",
    "stocktake",
    "writeoff",
    "lookup",
]

GARBLED_BYTES_MAX: Final = 64


class Word(msgspec.Struct, frozen=True, gc=False, omit_defaults=False, forbid_unknown_fields=True):
    """Base of the frozen words: compared by value, never changed."""


class Scan(Word, frozen=True, tag_field="kind", tag="scan"):
    """A barcode as text; FNC1 as a separator is U+001D."""

    data: str
    aim: str | None = None
    """AIM symbology identifier, like `]d2`; None when the scanner does not send it."""
    mode: Mode | None = None
    """None: the mode the device is in."""


class Weight(Word, frozen=True, tag_field="kind", tag="weight"):
    """One value of a scale. With `over`, `under` or `error` the mass is 0 and means nothing."""

    mass_mg: int
    stable: bool | None = None
    """None: the scale does not say."""
    flags: tuple[str, ...] = ()
    channel: int | msgspec.UnsetType = msgspec.UNSET
    """Which plate of a controller that reads several; a scale of one plate never says it."""


class Tag(Word, frozen=True, tag_field="kind", tag="tag"):
    """One or more sightings of an RFID tag by one antenna."""

    epc: str
    antenna: int
    rssi_cdbm: int | None = None
    count: int = 1
    first_us: int | None = None
    last_us: int | None = None


class Slot(Word, frozen=True):
    """A place for one facing, as a camera sees it."""

    slot: str
    occupied: bool
    score_permille: int


class Facings(Word, frozen=True, tag_field="kind", tag="facings"):
    """What a camera says of its slots; `gated` are those without evidence in this frame."""

    slots: tuple[Slot, ...]
    gated: tuple[str, ...] = ()
    frame: int = 0


class PosLine(Word, frozen=True, tag_field="kind", tag="pos_line"):
    """One line of a till's receipt."""

    receipt: str
    line: str | int
    gtin: str
    qty_milli: int
    action: Literal["sale", "return", "void"]


GATEWAY_STARTED: Final = "gateway started"
"""Why every device is down when the daemon begins: nothing is known of the device itself."""


class DeviceState(Word, frozen=True, tag_field="kind", tag="device"):
    """A device came or went (said by the supervisor), or is up and has news (said by its driver).

    News is what people must know of a device that goes on: an antenna lost, a buffer overrun.
    """

    state: Literal["up", "down"]
    reason: str
    identity: str | msgspec.UnsetType = msgspec.UNSET
    """Which piece of hardware it is, `usb:…`, `llrp:…`, `sics:…`: another one is a swap."""


class Garbled(Word, frozen=True, tag_field="kind", tag="garbled"):
    """Bytes that are no message, with a reason of the driver's fixed list. A value, counted."""

    reason: str
    bytes: str
    """Hexadecimal, at most 64 bytes."""


def garbled(reason: str, raw: bytes) -> Garbled:
    """The reading for bytes that make no sense; keeps the first 64 of them. Never raises."""
    return Garbled(reason, raw[:GARBLED_BYTES_MAX].hex())


class Stocktake(Word, frozen=True, tag_field="name", tag="stocktake"):
    """The counted quantity at a place; the way opening stock is told."""

    location: str
    gtin: str
    qty_milli: int
    lot: str | None = None


CountBy = Literal["scan", "rfid", "weight"]
"""What counts in a stocktake: people with scanners, tags before readers, plates under goods."""


class StocktakeStart(Word, frozen=True, tag_field="name", tag="stocktake_start"):
    """A count of whole places begins, while the store is open; no places named = all of them."""

    locations: tuple[str, ...] = ()
    by: CountBy = "scan"


class StocktakeFinish(Word, frozen=True, tag_field="name", tag="stocktake_finish"):
    """A running count is over: the differences are booked, product by product."""

    id: str
    zero: bool = False
    """Products that the book holds there and nobody counted are none; else they stay as booked."""


class StocktakeCancel(Word, frozen=True, tag_field="name", tag="stocktake_cancel"):
    """A running count is forgotten; nothing is booked."""

    id: str


class SetMode(Word, frozen=True, tag_field="name", tag="set_mode"):
    """Scanner mode, and where its goods go to or come from."""

    device: str
    mode: Mode
    location: str | None = None
    ref: str | None = None


class Quantity(Word, frozen=True, tag_field="name", tag="quantity"):
    """The next scan of this device stands for n units; expires after 10 s."""

    device: str
    n: int


class Writeoff(Word, frozen=True, tag_field="name", tag="writeoff"):
    """Goods at a place that are no longer goods."""

    location: str
    gtin: str
    qty_milli: int
    reason: str
    lot: str | None = None


class Adjust(Word, frozen=True, tag_field="name", tag="adjust"):
    """A signed correction by authorised staff."""

    location: str
    gtin: str
    qty_milli: int
    reason: str
    lot: str | None = None


class Void(Word, frozen=True, tag_field="name", tag="void"):
    """Take an event back by its exact mirror; `event` is its seq or its id."""

    event: int | str


class Tare(Word, frozen=True, tag_field="name", tag="tare"):
    """What lies on the scale now is its new baseline. Software only; the legal zero stays."""

    device: str


class Zero(Word, frozen=True, tag_field="name", tag="zero"):
    """The scale is empty now."""

    device: str


class Hold(Word, frozen=True, tag_field="name", tag="hold"):
    """Units promised to an online order (WIRE section 13); refused until phase 2."""

    hold_id: str
    gtin: str
    qty: int
    expires: int


class HoldRelease(Word, frozen=True, tag_field="name", tag="hold_release"):
    """A hold that is over; refused until phase 2."""

    hold_id: str


class OpenEpoch(Word, frozen=True, tag_field="name", tag="open_epoch"):
    """The ledger granted an epoch to the stock stream (WIRE section 11); device `ledger`."""

    epoch: int
    why: Literal["install", "reinstall", "restore", "rollback", "fork"]
    baseline: str | None = None
    sha256: str | None = None


Order = (
    Stocktake
    | SetMode
    | Quantity
    | Writeoff
    | Adjust
    | Void
    | Tare
    | Zero
    | Hold
    | HoldRelease
    | OpenEpoch
    | StocktakeStart
    | StocktakeFinish
    | StocktakeCancel
)
"""What a command says, by its `name`."""


class Command(Word, frozen=True, tag_field="kind", tag="command"):
    """A person's, HQ's or the ledger's word that changes the core's state."""

    order: Order


Body = Scan | Weight | Tag | Facings | PosLine | DeviceState | Garbled | Command


class Reading(Word, frozen=True):
    """A body with its gateway time and its device: one line of a trace."""

    at_ns: int
    device: str
    body: Body
