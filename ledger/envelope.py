"""What arrived on a topic: hello, batch or state, read strictly, or why it cannot be.

Here: topics and envelopes of WIRE.md sections 2 and 5, canonical bytes per event. Not here: what
an event means (`ledger.rules`), whether it follows what we have (`ledger.apply`).
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeVar

import msgspec

from gateway.domain.ids import STORE_ID
from gateway.domain.messages import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    ROOT,
    VERSION,
    Hello,
    State,
    Stream,
    batch_payload,
)
from gateway.domain.wire import INT_MAX
from ledger import strict

HEX128: Final = r"^[0-9a-f]{32}$"
HEX256: Final = r"^[0-9a-f]{64}$"
_INST: Final = re.compile(HEX128)
_MAJOR: Final = re.compile(r"1\.[0-9]{1,9}")


class Topic(msgspec.Struct, frozen=True):
    """Where a message of a gateway arrived."""

    store: str
    message: Literal["state", "hello", "batch"]
    stream: Stream = "stock"
    """Of no meaning for `state`."""


class Sent(msgspec.Struct, frozen=True):
    """One event of a batch: its canonical bytes, and whether a forbidden number is in it."""

    body: bytes
    odd: bool = False


class Batch(msgspec.Struct, frozen=True):
    """Contiguous events, seqs `first` onwards; `prev` is the chain hash before them."""

    inst: str
    epoch: int
    first: int
    prev: bytes
    events: tuple[Sent, ...]

    @property
    def last(self) -> int:
        """Seq of the last event."""
        return self.first + len(self.events) - 1


class EnvelopeError(ValueError):
    """A message nothing of which can be applied; says why (WIRE.md section 10, item 1)."""


_Known = TypeVar("_Known", Hello, State)


class _Head(msgspec.Struct):
    v: str
    store: str
    stream: str
    inst: str
    epoch: int
    first: int
    prev: str


class _Envelope(_Head):
    ev: list[msgspec.Raw]


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def read_topic(topic: str) -> Topic | None:
    """The message of a topic of phase 1; None for any other topic. Never raises.

    >>> read_topic("stockd/v1/s0001/up/ops/batch")
    Topic(store='s0001', message='batch', stream='ops')
    """
    parts = topic.removeprefix(ROOT + "/").split("/")
    if not topic.startswith(ROOT + "/") or not STORE_ID.fullmatch(parts[0]):
        return None
    match parts[1:]:
        case ["state"]:
            return Topic(parts[0], "state")
        case ["up", ("stock" | "ops") as stream, ("hello" | "batch") as message]:
            return Topic(parts[0], message, stream)
    return None


def read_batch(topic: Topic, payload: bytes) -> Batch:
    """A batch, every event in canonical bytes. Raises EnvelopeError."""
    if len(payload) > BATCH_BYTES_MAX:
        raise EnvelopeError(f"{len(payload)} bytes, allowed are {BATCH_BYTES_MAX}")
    quick = _read_canonical(payload)
    head, events, seqs = quick if quick is not None else _read_any(payload)
    _check_head(topic, head)
    if not 1 <= len(events) <= BATCH_EVENTS_MAX:
        raise EnvelopeError(f"{len(events)} events, allowed are 1 to {BATCH_EVENTS_MAX}")
    for place, seq in enumerate(seqs):
        if type(seq) is not int or seq != head.first + place:
            raise EnvelopeError(f"ev[{place}].seq is not {head.first + place}")
    return Batch(head.inst, head.epoch, head.first, bytes.fromhex(head.prev), events)


_Parts = tuple[_Head, tuple[Sent, ...], list[Any]]


def _read_canonical(payload: bytes) -> _Parts | None:
    """The fast path for what our own gateway sends; None where only the strict parser can tell."""
    try:
        head = _ENVELOPE.decode(payload)
        bodies = [bytes(raw) for raw in head.ev]
        stream: Stream = "ops" if head.stream == "ops" else "stock"
        prev = bytes.fromhex(head.prev)
        again = batch_payload(head.store, stream, head.inst, head.epoch, head.first, prev, bodies)
        if again != payload:
            return None
        values = [strict.already_canonical(body) for body in bodies]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if None in values:
        return None
    return (
        head,
        tuple(map(Sent, bodies)),
        [value.get("seq") for value in values if value is not None],
    )


def _read_any(payload: bytes) -> _Parts:
    value = _object(payload)
    events = value.pop("ev", None)
    if not isinstance(events, list):
        raise EnvelopeError("ev is not an array")
    try:
        if strict.forbidden_number(value):
            raise EnvelopeError("a fraction, an exponent or an integer beyond 2^53 - 1")
        sent = tuple(
            Sent(strict.canonical_of(event), strict.forbidden_number(event)) for event in events
        )
        head = msgspec.convert(value, _Head)
    except (msgspec.MsgspecError, strict.NotStrictError) as error:
        raise EnvelopeError(str(error)) from None
    return head, sent, [event.get("seq") if isinstance(event, dict) else None for event in events]


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = strict.parse(payload)
    except strict.NotStrictError as error:
        raise EnvelopeError(str(error)) from None
    if not isinstance(value, dict):
        raise EnvelopeError("not a JSON object")
    return value


def _check_head(topic: Topic, head: _Head) -> None:
    _check_sender(topic, head.v, head.store, head.inst)
    if head.stream != topic.stream:
        raise EnvelopeError(f"stream {head.stream!r} on a topic of {topic.stream}")
    if not re.fullmatch(HEX256, head.prev):
        raise EnvelopeError("prev is not 64 hexadecimal digits")
    if not 0 <= head.epoch <= INT_MAX or not 1 <= head.first <= INT_MAX - BATCH_EVENTS_MAX:
        raise EnvelopeError("epoch or first out of range")


def _check_sender(topic: Topic, version: str, store: str, inst: str) -> None:
    if not _MAJOR.fullmatch(version):
        raise EnvelopeError(f"version {version!r}, this is {VERSION}")
    if store != topic.store:
        raise EnvelopeError(f"store {store!r} on a topic of {topic.store}")
    if not _INST.fullmatch(inst):
        raise EnvelopeError("inst is not 32 hexadecimal digits")


def read_hello(topic: Topic, payload: bytes) -> Hello:
    """A position report. Raises EnvelopeError."""
    hello = _message(payload, Hello)
    _check_sender(topic, hello.v, hello.store, hello.inst)
    if hello.stream != topic.stream:
        raise EnvelopeError(f"stream {hello.stream!r} on a topic of {topic.stream}")
    if min(hello.epoch, hello.max, hello.min, hello.ack) < 0:
        raise EnvelopeError("a negative position")
    return hello


def read_state(topic: Topic, payload: bytes) -> State:
    """The presence of a store. Raises EnvelopeError."""
    state = _message(payload, State)
    _check_sender(topic, state.v, state.store, state.inst)
    return state


def _message(payload: bytes, kind: type[_Known]) -> _Known:
    value = _object(payload)
    if strict.forbidden_number(value):
        raise EnvelopeError("a fraction, an exponent or an integer beyond 2^53 - 1")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise EnvelopeError(str(error)) from None


def claimed_inst(payload: bytes) -> str | None:
    """The `inst` of a message that is otherwise unreadable, so that it can be answered."""
    try:
        inst = _object(payload).get("inst")
    except EnvelopeError:
        return None
    return inst if isinstance(inst, str) and _INST.fullmatch(inst) else None
