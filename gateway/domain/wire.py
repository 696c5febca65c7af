"""The only encoder: words to bytes and back. Canonical form, hash chain, traces, stock events.

Here: RFC 8785 bytes, the chain of WIRE section 8, trace lines of CONTRACT section 6, the event
body of WIRE section 6. Not here: the messages of the link (`messages`), who sends what and when.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec

from gateway.domain.ids import event_id
from gateway.domain.reading import (
    Body,
    Command,
    DeviceState,
    Facings,
    Garbled,
    PosLine,
    Reading,
    Scan,
    Tag,
    Weight,
    Word,
)
from gateway.domain.stock import Line, Opened, Ref, Source, StockEvent

INT_MAX: Final = 2**53 - 1
ZERO_INST: Final = "0" * 32
ZERO_BOOT: Final = "0" * 16

_SORTED: Final = msgspec.json.Encoder(order="sorted")
_COMPACT: Final = msgspec.json.Encoder()


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a value without floats.

    Raises TypeError for a float: none passes the ledger link (WIRE section 4).

    >>> canonical({"b": 1, "a": [None, True, "é"]})
    b'{"a":[null,true,"\\xc3\\xa9"],"b":1}'
    """
    if isinstance(value, msgspec.Struct):
        return _SORTED.encode(value)
    return _SORTED.encode(_utf16_sorted(value))


def _utf16_sorted(value: Any) -> Any:
    """msgspec sorts names by UTF-8; RFC 8785 by UTF-16. They differ beyond U+FFFF only."""
    if isinstance(value, float):
        raise TypeError("no float passes the ledger link")
    if isinstance(value, dict):
        if any(max(name, default="") > "\ud7ff" for name in value):
            pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
            inner = ",".join(
                f"{_SORTED.encode(name).decode()}:{canonical(item).decode()}"
                for name, item in pairs
            )
            return msgspec.Raw(b"{" + inner.encode() + b"}")
        return {name: _utf16_sorted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_utf16_sorted(item) for item in value]
    return value


def chain_start(inst: str) -> bytes:
    """chain(0): SHA-256 of the 16 bytes of the journal's identity (WIRE section 8)."""
    return hashlib.sha256(bytes.fromhex(inst)).digest()


def chain_next(previous: bytes, body: bytes) -> bytes:
    """chain(n) from chain(n - 1) and the canonical bytes of event n (WIRE section 8)."""
    return hashlib.sha256(previous + body).digest()


# --- stock and operational events -------------------------------------------------------------


class Stamp(Word, frozen=True):
    """What only the machine knows about the moment of an event (WIRE section 6)."""

    tq: Literal["sync", "holdover", "unsync"]
    te: int
    """Error bound of the clock in milliseconds, -1 unknown."""
    mono_us: int
    boot: str


def replay_stamp(at_ns: int) -> Stamp:
    """The constants of `stockd replay` (WIRE section 6)."""
    return Stamp(tq="sync", te=-1, mono_us=at_ns // 1000, boot=ZERO_BOOT)


class _EventBody(msgspec.Struct, omit_defaults=True):
    seq: int
    id: str
    kind: str
    ts: int
    tq: str
    te: int
    mono_us: int
    boot: str
    lines: tuple[Line, ...] = ()
    conf: int | None = None
    src: tuple[Source, ...] = ()
    ref: Ref | None = None
    corr: str | None = None
    reason: str | None = None
    op: str | None = None
    open: Opened | None = None


class _OpsBody(msgspec.Struct):
    seq: int
    id: str
    kind: str
    ts: int
    tq: str
    te: int
    mono_us: int
    boot: str
    data: Any


def stock_body(event: StockEvent, stamp: Stamp) -> bytes:
    """A stock event as canonical bytes, complete with its stamp."""
    return _SORTED.encode(
        _EventBody(
            event.seq,
            event.id,
            event.kind,
            event.at_ns // 1_000_000,
            stamp.tq,
            stamp.te,
            stamp.mono_us,
            stamp.boot,
            event.lines,
            event.conf,
            event.src,
            event.ref,
            event.corr,
            event.reason,
            event.op,
            event.open,
        )
    )


def ops_body(
    inst: str, seq: int, at_ns: int, kind: str, data: msgspec.Struct, stamp: Stamp
) -> bytes:
    """An operational event as canonical bytes (WIRE section 7); `data` is one of `ops`' words."""
    return _SORTED.encode(
        _OpsBody(
            seq,
            event_id(inst, "ops", seq, at_ns),
            kind,
            at_ns // 1_000_000,
            stamp.tq,
            stamp.te,
            stamp.mono_us,
            stamp.boot,
            data,
        )
    )


_EVENT_DECODER: Final = msgspec.json.Decoder(_EventBody)


def read_stock_body(body: bytes) -> StockEvent:
    """A journalled event back; its `at_ns` is its millisecond. Raises msgspec.ValidationError."""
    raw = _EVENT_DECODER.decode(body)
    return StockEvent(
        seq=raw.seq,
        id=raw.id,
        kind=raw.kind,  # type: ignore[arg-type]
        at_ns=raw.ts * 1_000_000,
        lines=raw.lines,
        conf=raw.conf,
        src=raw.src,
        ref=raw.ref,
        corr=raw.corr,
        reason=raw.reason,
        op=raw.op,
        open=raw.open,
    )


# --- traces -----------------------------------------------------------------------------------


class TraceHead(Word, frozen=True):
    """The first line of a trace."""

    trace: Literal[1]
    store: str
    config_sha256: str | None


_BOM_UTF8: Final = b"\xef\xbb\xbf"
HEAD_LIKE: Final = '{"trace":1,"store":"s0001","config_sha256":null}'


class TraceError(ValueError):
    """A line of a trace that is none; says what is wrong with it."""


class _Envelope(msgspec.Struct):
    at_ns: int
    device: str
    kind: str


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_KINDS: Final[dict[str, type[Body]]] = {
    "scan": Scan,
    "weight": Weight,
    "tag": Tag,
    "facings": Facings,
    "pos_line": PosLine,
    "device": DeviceState,
    "garbled": Garbled,
    "command": Command,
}


def body_line(body: Body, at_ns: int = 0, device: str = "-") -> bytes:
    """One reading as a trace line, without the line feed; by default as `stockd decode` prints.

    >>> body_line(Weight(1_243_000, True))
    b'{"at_ns":0,"device":"-","kind":"weight","mass_mg":1243000,"stable":true,"flags":[]}'
    """
    head = f'{{"at_ns":{at_ns},"device":{_COMPACT.encode(device).decode()},'
    if isinstance(body, Command):
        args = msgspec.to_builtins(body.order)
        name = args.pop("name")
        return (head + '"kind":"command",').encode() + _COMPACT.encode(
            {"name": name, "args": args}
        )[1:]
    return head.encode() + _COMPACT.encode(body)[1:]


def reading_line(reading: Reading) -> bytes:
    """A reading as a trace line, without the line feed."""
    return body_line(reading.body, reading.at_ns, reading.device)


def read_reading(line: bytes) -> Reading:
    """A trace line back to its reading. Raises TraceError with what is wrong.

    >>> read_reading(b'{"at_ns":5,"device":"s","kind":"scan","data":"96385074"}').body.aim is None
    True
    """
    try:
        envelope = _ENVELOPE.decode(line)
        kind = _KINDS.get(envelope.kind)
        if kind is None:
            raise TraceError(f"unknown kind {envelope.kind!r}; known: {', '.join(_KINDS)}")
        members = msgspec.json.decode(line)
        del members["at_ns"], members["device"]
        if kind is Command:
            members = {"order": {"name": members.get("name"), **members.get("args", {})}}
        return Reading(envelope.at_ns, envelope.device, msgspec.convert(members, kind))
    except UnicodeDecodeError:
        raise TraceError("this is no UTF-8") from None
    except (msgspec.MsgspecError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise TraceError(str(error).replace("$.order", "$.args")) from None


def read_trace_head(line: bytes) -> TraceHead:
    """The first line of a trace. Raises TraceError."""
    try:
        return msgspec.json.decode(line.removeprefix(_BOM_UTF8), type=TraceHead)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TraceError(f"a trace begins with {HEAD_LIKE}; this does not: {error}") from None
