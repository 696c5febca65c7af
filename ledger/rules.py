"""Whether one event can be booked, looking at nothing but the event (WIRE.md sections 6, 7, 10).

Here: shapes, codes of refusal, double entry. Not here: what needs the books to tell (an id used
before, the unit of a product, the original of a void): `ledger.apply`. Unknown members are
ignored, they are hashed all the same. Kinds of phase 2 have no lines and are kept without effect.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections import Counter
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.domain.ids import CSET82, LOCATION_ID, REASON, is_gtin14
from gateway.domain.messages import Stream
from gateway.domain.reading import Word
from gateway.domain.stock import BASKET, KINDS, UOMS, VIRTUAL, Line, imbalance
from ledger.envelope import Sent

LINES_MAX: Final = 200
EPCS_MAX: Final = 500
DETAIL_MAX: Final = 200

WITH_LINES: Final = frozenset(KINDS) - {"epoch_open"}
HOLDS: Final = frozenset(("hold", "hold_release"))
KNOWN: Final = frozenset(KINDS) | HOLDS | {"digest"}

Code = Literal[
    "bad_schema",
    "unknown_kind",
    "bad_gtin",
    "bad_uom",
    "bad_loc",
    "unbalanced",
    "number",
    "too_big",
    "dup_id",
    "bad_corr",
    "bad_hold",
]


class Movement(Word, frozen=True):
    """An event that is sound in itself; `lines` is empty for the kinds without lines."""

    id: str
    kind: str
    ts: int
    lines: tuple[Line, ...] = ()
    corr: str | None = None
    begins: bool = False
    """Whether it is an `epoch_open`."""


class Refused(Word, frozen=True):
    """Why an event goes to quarantine."""

    code: Code
    detail: str


class RefusedError(ValueError):
    """Carries a refusal out of the checks; never leaves `judge`."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(code, detail[:DETAIL_MAX])


# --- shapes -----------------------------------------------------------------------------------

_Natural = Annotated[int, Meta(ge=0)]
_Uuid = r"\A[0-9a-f]{8}-[0-9a-f]{4}-%s[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
_Uuid7 = Annotated[str, Meta(pattern=_Uuid % "7")]
_UUID: Final = re.compile(_Uuid % "[0-9a-f]")
_Hex64 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
_Hex256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _EveryEvent(msgspec.Struct, gc=False):
    seq: int
    id: _Uuid7
    kind: str
    ts: _Natural
    tq: Literal["sync", "holdover", "unsync"]
    te: Annotated[int, Meta(ge=-1)]
    mono_us: _Natural
    boot: _Hex64


class _Line(msgspec.Struct, gc=False):
    gtin: str
    lot: str | None
    exp: str | None
    loc: str
    d: int
    uom: str
    after: int | None
    counted: int | UnsetType = UNSET
    epc: list[str] | UnsetType = UNSET


class _Source(msgspec.Struct, gc=False):
    dev: str
    ref: str


class _Ref(msgspec.Struct, gc=False):
    type: Literal["receipt", "desadv", "po", "rma", "transfer", "count", "hold", "ticket"]
    id: str


class _Open(msgspec.Struct, gc=False):
    baseline: str | None
    sha256: _Hex256 | None
    why: Literal["install", "reinstall", "restore", "rollback", "fork"]


class _Hold(msgspec.Struct, gc=False):
    id: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]{1,64}\Z")]
    gtin: str
    d: int
    expires: _Natural
    why: Literal["pickup", "command", "expiry"] | UnsetType = UNSET


class _Digest(msgspec.Struct, gc=False):
    items: _Natural
    holds: _Natural
    sha256: _Hex256


class _Stock(_EveryEvent, gc=False):
    lines: list[_Line] | UnsetType = UNSET
    conf: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    src: list[_Source] | UnsetType = UNSET
    ref: _Ref | UnsetType = UNSET
    corr: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    op: str | UnsetType = UNSET
    open: _Open | UnsetType = UNSET
    hold: msgspec.Raw | UnsetType = UNSET
    digest: _Digest | UnsetType = UNSET


class _Ops(_EveryEvent, gc=False):
    data: dict[str, msgspec.Raw]


_is_gtin14: Final = functools.lru_cache(maxsize=8192)(is_gtin14)

_EVERY_EVENT: Final = msgspec.json.Decoder(_EveryEvent)
_STOCK: Final = msgspec.json.Decoder(_Stock)
_OPS: Final = msgspec.json.Decoder(_Ops)
_HOLD: Final = msgspec.json.Decoder(_Hold)


# --- judgement --------------------------------------------------------------------------------


def judge(stream: Stream, sent: Sent) -> Movement | Refused:
    """What an event moves, or the code it is refused with. Never raises, whatever the bytes.

    Operational events move nothing; of them only the common members and `data` are looked at.
    """
    if sent.odd:
        return Refused("number", "a fraction, an exponent or an integer beyond 2^53 - 1")
    try:
        return _ops(sent.body) if stream == "ops" else _stock(sent.body)
    except RefusedError as refusal:
        return refusal.refused
    except msgspec.MsgspecError as error:
        return Refused("bad_schema", str(error)[:DETAIL_MAX])


def _ops(body: bytes) -> Movement:
    event = _OPS.decode(body)
    return Movement(event.id, event.kind, event.ts, begins=event.kind == "epoch_open")


def _stock(body: bytes) -> Movement:
    try:
        event = _STOCK.decode(body)
    except msgspec.ValidationError:
        kind = _EVERY_EVENT.decode(body).kind
        if kind not in KNOWN:
            raise RefusedError("unknown_kind", kind) from None
        raise
    if event.kind not in KNOWN:
        raise RefusedError("unknown_kind", event.kind)
    lines = _lines(event)
    corr = None if event.corr is UNSET else event.corr
    if corr is not None and not _UUID.fullmatch(corr):
        raise RefusedError("bad_corr", "corr is no UUID")
    if event.kind == "void" and corr is None:
        raise RefusedError("bad_corr", "a void without corr")
    if event.reason is not UNSET and not REASON.fullmatch(event.reason):
        raise RefusedError("bad_schema", "reason is not 1 to 32 of a-z and _")
    _check_member_of_kind(event)
    return Movement(event.id, event.kind, event.ts, lines, corr, event.kind == "epoch_open")


def _check_member_of_kind(event: _Stock) -> None:
    if event.kind == "epoch_open" and event.open is UNSET:
        raise RefusedError("bad_schema", "epoch_open without open")
    if event.kind == "digest" and event.digest is UNSET:
        raise RefusedError("bad_schema", "digest without digest")
    if event.kind in HOLDS:
        if event.hold is UNSET:
            raise RefusedError("bad_hold", f"{event.kind} without hold")
        try:
            hold = _HOLD.decode(event.hold)
        except msgspec.MsgspecError as error:
            raise RefusedError("bad_hold", str(error)) from None
        if not is_gtin14(hold.gtin):
            raise RefusedError("bad_hold", f"{hold.gtin} is no GTIN-14")
        if (hold.d > 0) is not (event.kind == "hold") or hold.d == 0:
            raise RefusedError("bad_hold", f"{event.kind} of {hold.d}")


def _lines(event: _Stock) -> tuple[Line, ...]:
    if event.kind not in WITH_LINES:
        if event.lines is not UNSET:
            raise RefusedError("bad_schema", f"{event.kind} has no lines")
        return ()
    if event.lines is UNSET or len(event.lines) < 2:
        raise RefusedError("bad_schema", f"{event.kind} with less than 2 lines")
    if len(event.lines) > LINES_MAX:
        raise RefusedError("too_big", f"{len(event.lines)} lines, allowed are {LINES_MAX}")
    lines = tuple(_line(event.kind, line) for line in event.lines)
    _check_epcs(event.lines)
    if len({(line.gtin, line.lot, line.loc) for line in lines}) < len(lines):
        raise RefusedError("bad_schema", "two lines of one gtin, lot and loc")
    if len({(line.gtin, line.uom) for line in lines}) > len({line.gtin for line in lines}):
        raise RefusedError("bad_uom", "two units of one gtin")
    wrong = imbalance(lines)
    if wrong is not None:
        raise RefusedError("unbalanced", wrong)
    return lines


def _line(kind: str, line: _Line) -> Line:
    if not _is_gtin14(line.gtin):
        raise RefusedError("bad_gtin", f"{line.gtin} is no GTIN-14")
    if line.uom not in UOMS:
        raise RefusedError("bad_uom", f"{line.uom} is none of {' '.join(UOMS)}")
    physical = LOCATION_ID.fullmatch(line.loc) is not None
    if not physical and line.loc not in VIRTUAL:
        raise RefusedError("bad_loc", f"{line.loc} is no place and no account")
    if line.lot is not None and not CSET82.fullmatch(line.lot):
        raise RefusedError("bad_schema", "lot is not 1 to 20 characters of set 82")
    if line.exp is not None and not _is_date(line.exp):
        raise RefusedError("bad_schema", f"exp {line.exp} is no date")
    if line.d == 0 and kind != "stocktake":
        raise RefusedError("bad_schema", f"{kind} with d 0")
    if line.counted is not UNSET and not (physical and kind == "stocktake"):
        raise RefusedError("bad_schema", "counted belongs to the physical line of a stocktake")
    claimed = line.after if physical or line.loc == BASKET else None
    return Line(
        line.gtin,
        line.lot,
        line.exp,
        line.loc,
        line.d,
        line.uom,  # type: ignore[arg-type]
        claimed,
    )


def _is_date(text: str) -> bool:
    if len(text) != 10 or not text.isascii():
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return text[4] == "-"


def _check_epcs(lines: list[_Line]) -> None:
    total = 0
    for line in lines:
        if line.epc is not UNSET:
            total += len(line.epc)
            if abs(line.d) != 1000 * len(line.epc):
                raise RefusedError("bad_schema", f"{len(line.epc)} EPCs for d {line.d}")
    # Both sides of a movement carry the same EPCs.
    if total > 2 * EPCS_MAX:
        raise RefusedError("too_big", f"{total // 2} EPCs, allowed are {EPCS_MAX}")


def lines_of(body: bytes) -> tuple[Line, ...]:
    """The lines of an event that was accepted before. Raises msgspec.MsgspecError for others."""
    return _lines(_STOCK.decode(body))


def is_mirror(lines: tuple[Line, ...], original: tuple[Line, ...]) -> bool:
    """Whether these lines undo those exactly (WIRE.md section 6, kind `void`).

    A count that found what was booked is a line of 0: nothing of it can be undone, and only a
    stocktake may say it.
    """
    undone = Counter((line.gtin, line.lot, line.loc, line.uom, line.d) for line in lines)
    return undone == Counter(
        (line.gtin, line.lot, line.loc, line.uom, -line.d) for line in original if line.d
    )
