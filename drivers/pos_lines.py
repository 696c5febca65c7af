"""Till lines: JSON, one object a line, from a till's software or a small adapter beside it.

Source: CONTRACT.md sections 4 and 6; RFC 8259.

    {"receipt":"20260601-0031","line":1,"gtin":"6901234500011","qty":2,"action":"sale"} LF
    receipt   text of 1 to 64 characters, or a whole number: never used for another receipt
    line      its number or name in the receipt
    gtin      GTIN-8 to -14, or a number of restricted circulation, as text
    qty       pieces, kilograms, …: over 0, at most three decimals; or qty_milli, a whole number
    action    sale, return, void: takes back this line, or one of the receipt that says the same

Members beyond these (price, cashier) are not read. CR, LF or both end a line; so does the end of a
call. A till may say a line again, after a reconnect say: it is booked once (core).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import msgspec

from drivers import framing
from drivers.base import DeviceLost, Link
from gateway.domain.reading import Body, Garbled, PosLine, garbled

SCHEMES: Final = ("tcp",)
REASONS: Final = (
    *framing.REASONS,
    "json",  # no JSON object in UTF-8
    "receipt",  # no receipt number
    "line",  # no line number
    "gtin",  # no digits of an article number
    "quantity",  # not more than 0, finer than a thousandth, missing or said twice
    "action",  # none of sale, return, void
)

_LINE_MAX_BYTES: Final = 8192
_NAME_MAX_CHARS: Final = 64
_QTY_MAX_MILLI: Final = 10**12
_QTY_MAX_CHARS: Final = 24  # fewer digits than a Decimal keeps, so that none is rounded away
_ACTIONS: Final[tuple[Literal["sale", "return", "void"], ...]] = ("sale", "return", "void")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    listen: bool = False  # the till calls us at the link's address; else we call the till


class _Said(msgspec.Struct):
    """What is read of a line; each member is judged by itself, so that the reason is exact."""

    receipt: msgspec.Raw = msgspec.Raw(b"null")
    line: msgspec.Raw = msgspec.Raw(b"null")
    gtin: msgspec.Raw = msgspec.Raw(b"null")
    qty: msgspec.Raw = msgspec.Raw(b"")
    qty_milli: msgspec.Raw = msgspec.Raw(b"")
    action: msgspec.Raw = msgspec.Raw(b"null")


_SAID: Final = msgspec.json.Decoder(_Said)
_NAME: Final = msgspec.json.Decoder(str | int)
_TEXT: Final = msgspec.json.Decoder(str)
_EXACT: Final = msgspec.json.Decoder(Decimal)


def decode(frame: bytes, options: Options) -> PosLine | Garbled | None:
    """One line to one reading; None for white space. Never raises."""
    del options  # both ways to be called carry the same lines
    if not frame.strip():
        return None
    try:
        said = _SAID.decode(frame.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return garbled("json", frame)
    receipt, line = _name(said.receipt), _name(said.line)
    gtin, action = _text(said.gtin), _text(said.action)
    qty_milli = _quantity(said)
    if receipt is None:
        return garbled("receipt", frame)
    if line is None:
        return garbled("line", frame)
    if gtin is None or not (gtin.isascii() and gtin.isdigit() and len(gtin) <= 14):
        return garbled("gtin", frame)
    if qty_milli is None or not 0 < qty_milli <= _QTY_MAX_MILLI:
        return garbled("quantity", frame)
    for known in _ACTIONS:
        if action == known:
            return PosLine(str(receipt), line, gtin, qty_milli, known)
    return garbled("action", frame)


def _name(said: msgspec.Raw) -> str | int | None:
    try:
        name = _NAME.decode(said)
    except msgspec.MsgspecError:
        return None
    if isinstance(name, int):
        return name if 0 <= name < 1 << 53 else None
    return name if 0 < len(name) <= _NAME_MAX_CHARS and name.isprintable() else None


def _text(said: msgspec.Raw) -> str | None:
    try:
        return _TEXT.decode(said)
    except msgspec.MsgspecError:
        return None


def _quantity(said: _Said) -> int | None:
    """In thousandths; None when it is no such quantity."""
    qty, qty_milli = bytes(said.qty), bytes(said.qty_milli)
    if bool(qty) == bool(qty_milli) or max(len(qty), len(qty_milli)) > _QTY_MAX_CHARS:
        return None
    try:
        exact = _EXACT.decode(qty or qty_milli)
    except msgspec.MsgspecError:
        return None
    if not (exact.is_finite() and 0 < exact <= _QTY_MAX_MILLI):
        return None
    milli = exact.scaleb(3) if qty else exact
    return int(milli) if milli == int(milli) else None


def decoder(options: Options) -> framing.FrameDecoder:
    """Bytes in, till lines out."""
    split = framing.Lines((b"\r", b"\n"), _LINE_MAX_BYTES)
    return framing.FrameDecoder(split, lambda frame: decode(frame, options))


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Till lines until the link is lost; then raises DeviceLost."""
    lines = decoder(options)
    try:
        while True:
            # a till that hangs up after its last line may have left out the line feed
            for body in lines.feed(await link.read() or b"\n"):
                yield body
    except DeviceLost:
        for body in lines.end():
            yield body
        raise
