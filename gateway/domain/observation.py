"""What one place settled to, with its evidence; and why an event was booked.

Here: what the source filters (`core.scans`, `core.weigh`) tell `core.fuse`, and what is journalled
so that `stockd verify` can fold it again and `stockd why` can explain it. Not here: raw readings.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from gateway.domain.reading import Mode, Order, Word

DropReason = Literal[
    "echo",
    "serial_repeat",
    "bad_check_digit",
    "unknown_format",
    "mode_refused",
    "quantity_expired",
    "not_owner",
    "expired",
]


class ScanMove(Word, frozen=True, tag_field="obs", tag="scan"):
    """A scan that passed: so many units of a product, in a mode that it carries itself."""

    at_ns: int
    device: str
    ref: str
    mode: Mode
    gtin: str
    qty_milli: int
    uom: Literal["EA", "KGM"] | None
    """None: the product's own unit."""
    lot: str | None
    exp: str | None
    serial: str | None
    location: str | None
    """Where its goods go to or come from; None = by the rules of CONTRACT section 6."""
    doc: str | None
    """Reference of the business document, as the mode was set."""


class Dropped(Word, frozen=True, tag_field="obs", tag="dropped"):
    """A scan without an effect: a fact that an operator can look up (ALGORITHMS 1.5)."""

    at_ns: int
    device: str
    ref: str
    data: str
    mode: Mode
    reason: DropReason
    duplicate_of: str | None = None


class ModeChanged(Word, frozen=True, tag_field="obs", tag="mode"):
    """A scanner's mode ended and another began: by barcode, by command or by idling."""

    at_ns: int
    device: str
    before: Mode
    after: Mode
    why: Literal["barcode", "command", "idle"]


class TillLine(Word, frozen=True, tag_field="obs", tag="line"):
    """A line of a till's receipt, heard for the first time."""

    at_ns: int
    device: str
    ref: str
    receipt: str
    line: str
    action: Literal["sale", "return", "void"]
    gtin: str
    qty_milli: int
    lane: str
    """The location of the till."""
    lot: str | None = None
    """As the lane's scanner read it; None when it did not."""
    exp: str | None = None


class Swapped(Word, frozen=True, tag_field="obs", tag="swap"):
    """Another piece of hardware answers under a device's name: it takes over its place."""

    at_ns: int
    device: str
    before: str
    after: str


TRACE_MAX: Final = 64
"""Points of a plate's trace at most."""
Points = tuple[tuple[int, int], ...]
"""Milliseconds from the moment of the observation (0 or less), and milligrams; oldest first."""


class WeightStep(Word, frozen=True, tag_field="obs", tag="step"):
    """A plate settled at another mass."""

    at_ns: int
    """When it was known: the reading that settled it."""
    device: str
    ref: str
    location: str
    began_ns: int
    before_mg: int
    step_mg: int
    sigma_mg: int
    outage: bool
    """Found after the plate or the gateway was away: at most `pending`."""
    trace: Points | msgspec.UnsetType = msgspec.UNSET
    """What the plate showed around it, to be looked at; nothing is decided by it."""


def bare(step: WeightStep) -> WeightStep:
    """A step without its trace: what decisions remember of it."""
    if step.trace is msgspec.UNSET:
        return step
    return msgspec.structs.replace(step, trace=msgspec.UNSET)


class BayStep(Word, frozen=True, tag_field="obs", tag="bay"):
    """Steps of neighbouring plates that are one happening, to be decided together."""

    at_ns: int
    """When the last of them had settled, or was waited for no longer; each keeps its own time."""
    bay: str
    steps: tuple[WeightStep, ...]
    """In order of position; also what a quiet plate beside them shows of it."""


class LevelClaim(Word, frozen=True, tag_field="obs", tag="level"):
    """What a sensor says lies at a place now: a likelihood over whole units, never a bare number.

    A claim replaces the earlier one of the same source (ALGORITHMS 5.3 rule 3).
    """

    at_ns: int
    device: str
    ref: str
    location: str
    gtin: str
    source: Literal["weight", "rfid", "camera"]
    first_units: int
    """The count that the first entry of `likelihood_mnat` stands for."""
    likelihood_mnat: tuple[int, ...]
    """Log-likelihood of first_units, first_units + 1, ...; the best is 0."""
    floor_mnat: int
    """Of every count outside the table: sensors err in ways that no model holds."""


class MovedTag(Word, frozen=True, array_like=True):
    """One tag of `TagsMoved`."""

    epc: str
    gtin: str
    """Of the units: a tagged case is its content."""
    units: int


class TagsMoved(Word, frozen=True, tag_field="obs", tag="tags"):
    """Tags were heard where they had not been, or fell silent where they were (ALGORITHMS 3.4).

    Only of products of the catalogue, and only what is news to the book.
    """

    at_ns: int
    device: str
    ref: str
    location: str
    came: bool
    """False: they left, and no reader hears them anywhere."""
    tags: tuple[MovedTag, ...]


class SweptProduct(Word, frozen=True):
    """Tags of one product before the readers of a place."""

    gtin: str
    present: int
    leaving: int


class SweptPlace(Word, frozen=True):
    """What the readers of a place hear, or why they cannot tell."""

    location: str
    products: tuple[SweptProduct, ...] = ()
    why_not: str = ""


class Swept(Word, frozen=True, tag_field="obs", tag="swept"):
    """All tags at the places of a stocktake, as it is finished."""

    at_ns: int
    device: str
    stocktake: str
    places: tuple[SweptPlace, ...]


class DeviceSeen(Word, frozen=True, tag_field="obs", tag="device"):
    """A device that observes a location came or went."""

    at_ns: int
    device: str
    location: str
    up: bool


class Ordered(Word, frozen=True, tag_field="obs", tag="order"):
    """A command that reached the book; `ref` tells it from others of its device."""

    at_ns: int
    device: str
    ref: str
    order: Order


Observation = (
    ScanMove
    | Dropped
    | ModeChanged
    | TillLine
    | WeightStep
    | BayStep
    | LevelClaim
    | TagsMoved
    | Swept
    | DeviceSeen
    | Swapped
    | Ordered
)


class Row(Word, frozen=True):
    """A hypothesis about a step: n units of one product, and how much of the belief it holds."""

    gtin: str
    units: int
    ppm: int
    loc: str = ""
    """Where it is booked, when that is another plate than the one whose step was largest."""


BECAUSE: Final = (
    "scan",
    "command",
    "step",
    "step_expired",
    "scan_proves_removal",
    "till_line",
    "till_void",
    "sale_took_pick",
    "sale_found_lost",
    "sale_proves_pick",
    "return_proves_pick",
    "removal_proves_arrival",
    "count_proves_step",
    "basket_timeout",
    "negative_guard",
    "lot_swap",
    "surplus",
    "session",
    "count_closed",
    "level_claim",
    "tag_left",
    "tag_back",
    "tag_moved",
    "tag_exit",
    "ledger",
)


class Because(Word, frozen=True):
    """Why an event was booked: a code of BECAUSE, and the numbers behind it. Never on the wire."""

    code: str
    rows: tuple[Row, ...] = ()
    """Best hypotheses, best first; what they leave of a million is unexplained."""
    seq: int | None = None
    """The earlier event this one rests on, e.g. the pick behind a sale."""


class Note(Word, frozen=True):
    """Something people should know that moved no goods; becomes an alarm of the ops stream."""

    at_ns: int
    code: str
    device: str | None
    text: str


_DECODER: Final[msgspec.json.Decoder[Observation]] = msgspec.json.Decoder(Observation)
_ENCODER: Final = msgspec.json.Encoder()


def observation_bytes(observation: Observation) -> bytes:
    """An observation as JSON for the journal."""
    return _ENCODER.encode(observation)


def read_observation(body: bytes) -> Observation:
    """An observation back from the journal. Raises msgspec.ValidationError."""
    return _DECODER.decode(body)
