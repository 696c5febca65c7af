"""The messages of the ledger link, phase 1: one frozen value each, and their bytes (WIRE 5).

Here: state, hello, ack, batch, replay, the words of the ops stream, topics and limits. Not here:
when to send which (`outbox`, `ledger.apply`), how (`uplink`).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from gateway.domain.reading import Word
from gateway.domain.wire import canonical

VERSION: Final = "1.0"
BATCH_EVENTS_MAX: Final = 100
BATCH_BYTES_MAX: Final = 98_304
CREDIT: Final = 2000
ROOT: Final = "stockd/v1"

Stream = Literal["stock", "ops"]
STREAMS: Final[tuple[Stream, ...]] = ("stock", "ops")


class Message(msgspec.Struct, frozen=True):
    """Base of the link's messages: unknown members are ignored (WIRE section 4)."""


class ConfigVersions(Message, frozen=True):
    """Bundle versions in `state`; 0 = none."""

    wanted: int = 0
    applied: int = 0


class State(Message, frozen=True):
    """Retained presence of a store; the Will is the same with online false, why `lost`."""

    v: str
    online: bool
    store: str
    gw: str
    inst: str
    epoch: int
    sid: str
    sw: str
    config: ConfigVersions
    since: int
    why: str


class Hello(Message, frozen=True):
    """Position report; opens or resumes a stream (WIRE 5.2)."""

    v: str
    store: str
    stream: Stream
    gw: str
    inst: str
    epoch: int
    max: int
    min: int
    ack: int
    sid: str
    boot: str
    sw: str
    schema: str
    caps: tuple[str, ...]
    why: str
    ts: int
    tq: str
    te: int


class Rejected(Message, frozen=True):
    """An event in quarantine; `seq` None when the whole envelope was bad."""

    seq: int | None
    code: str
    detail: str = ""


class LastEpoch(Message, frozen=True):
    """Where the previous epoch of this stream ended."""

    epoch: int
    inst: str
    ack: int


class Ack(Message, frozen=True):
    """The committed watermark, and what the ledger makes of us (WIRE 5.3)."""

    v: str
    store: str
    stream: Stream
    inst: str
    epoch: int
    ack: int
    chain: str
    st: str
    credit: int
    rej: tuple[Rejected, ...] = ()
    baseline: str | None = None
    last: LastEpoch | None = None
    caps: tuple[str, ...] = ()
    srv_ts: int = 0


class Replay(Message, frozen=True):
    """Send again from a seq; never moves the watermark (WIRE 5.5). `from` is `start` here."""

    v: str
    store: str
    stream: Stream
    inst: str
    epoch: int
    what: str
    start: int = msgspec.field(name="from")
    to: int | None
    req: str


def batch_payload(
    store: str, stream: Stream, inst: str, epoch: int, first: int, prev: bytes, bodies: list[bytes]
) -> bytes:
    """A batch as bytes, around event bodies that are sent exactly as they were journalled."""
    head = (
        f'{{"v":"{VERSION}","store":"{store}","stream":"{stream}","inst":"{inst}",'
        f'"epoch":{epoch},"first":{first},"prev":"{prev.hex()}","ev":['
    )
    return head.encode() + b",".join(bodies) + b"]}"


BATCH_OVERHEAD_BYTES: Final = 320
"""More than the envelope of a batch takes, so that its events may fill the rest."""


def topic(store: str, direction: Literal["up", "down"], stream: str, message: str) -> str:
    """Topic of a message of a stream (WIRE section 2)."""
    return f"{ROOT}/{store}/{direction}/{stream}/{message}"


def state_topic(store: str) -> str:
    """Topic of the retained presence of a store."""
    return f"{ROOT}/{store}/state"


def encode(message: Message) -> bytes:
    """A message as JSON bytes, members sorted."""
    return canonical(message)


def decode_ack(payload: bytes) -> Ack:
    """Raises msgspec.MsgspecError when it is no ack."""
    return msgspec.json.decode(payload, type=Ack)


def decode_replay(payload: bytes) -> Replay:
    """Raises msgspec.MsgspecError when it is no replay."""
    return msgspec.json.decode(payload, type=Replay)


# --- words of the ops stream (WIRE section 7) ---------------------------------------------------


class Started(Word, frozen=True):
    """data of `start`."""

    sw: str
    why: str


class Stopped(Word, frozen=True):
    """data of `stop`."""

    why: str


class DeviceChanged(Word, frozen=True):
    """data of `device_up` and `device_down`."""

    dev: str
    driver: str
    reason: str


class Alarm(Word, frozen=True):
    """data of `alarm` and `alarm_clear`; the members below `text` are there where they apply."""

    code: str
    sev: Literal["warn", "page"]
    dev: str | None
    text: str
    gtin: str | msgspec.UnsetType | None = msgspec.UNSET
    loc: str | msgspec.UnsetType | None = msgspec.UNSET
    lot: str | msgspec.UnsetType | None = msgspec.UNSET
    zh: str | msgspec.UnsetType = msgspec.UNSET
    """`text` in Chinese."""


class ClockSync(Word, frozen=True):
    """data of `clock_sync`."""

    boot: str
    mono_us: int
    wall_ts: int
    offset_ms: int
    err_ms: int


class ClockStep(Word, frozen=True):
    """data of `clock_step`."""

    before_ts: int
    after_ts: int
    step_ms: int


def members(message: msgspec.Struct) -> Any:
    """A message as plain members, for tests and printing."""
    return msgspec.to_builtins(message)
