"""What the gateway says on the ledger link, ready to publish: state, hello, batch.

Here: payloads and properties of WIRE sections 3 and 5. Not here: when to say it (`outbox`), the
connection (`mqtt`), both together (`uplink`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from gateway.domain import messages
from gateway.domain.messages import Stream
from gateway.domain.reading import Word
from gateway.domain.wire import Stamp
from gateway.mqtt_words import Publication
from gateway.outbox_words import Cursor, Why

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Identity(Word, frozen=True):
    """Who speaks."""

    store: str
    gw: str
    """Hardware id."""
    inst: str
    """Identity of the journal, hex128."""
    sw: str
    built_ms: int = 0
    """Build time of the software, UTC; the certificates' clock is never before it."""


class Presence(Word, frozen=True):
    """One connection: its nonce (hex128) and when it began."""

    sid: str
    since_ms: int


def rfc3339(at_ns: int) -> str:
    """UTC to the millisecond.

    >>> rfc3339(1_780_300_800_005_999_999)
    '2026-06-01T08:00:00.005Z'
    """
    moment = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state(
    who: Identity, presence: Presence, epoch: int, why: Literal["connect", "stop", "update", "lost"]
) -> Publication:
    """Retained presence; `lost` is the Will (WIRE 5.1)."""
    message = messages.State(
        v=messages.VERSION,
        online=why == "connect",
        store=who.store,
        gw=who.gw,
        inst=who.inst,
        epoch=epoch,
        sid=presence.sid,
        sw=who.sw,
        config=messages.ConfigVersions(),
        since=presence.since_ms,
        why=why,
    )
    topic = messages.state_topic(who.store)
    return Publication(topic, messages.encode(message), retain=True)


def hello(
    who: Identity,
    presence: Presence,
    stream: Stream,
    cursor: Cursor,
    span: tuple[int, int],
    why: Why,
    at_ns: int,
    stamp: Stamp,
) -> Publication:
    """Position report; `span` = oldest and newest seq in the journal (WIRE 5.2)."""
    message = messages.Hello(
        v=messages.VERSION,
        store=who.store,
        stream=stream,
        gw=who.gw,
        inst=who.inst,
        epoch=cursor.epoch,
        max=span[1],
        min=span[0],
        ack=cursor.ack,
        sid=presence.sid,
        boot=stamp.boot,
        sw=who.sw,
        schema=messages.VERSION,
        caps=(),
        why=why,
        ts=at_ns // 1_000_000,
        tq=stamp.tq,
        te=stamp.te,
    )
    topic = messages.topic(who.store, "up", stream, "hello")
    return Publication(topic, messages.encode(message))


def batch(
    who: Identity,
    stream: Stream,
    epoch: int,
    first: int,
    prev: bytes,
    bodies: list[bytes],
    at_ns: int,
) -> Publication:
    """Contiguous events as they were journalled, with CloudEvents properties (WIRE 5.4, 3)."""
    last = first + len(bodies) - 1
    return Publication(
        messages.topic(who.store, "up", stream, "batch"),
        messages.batch_payload(who.store, stream, who.inst, epoch, first, prev, bodies),
        user=(
            ("specversion", "1.0"),
            ("id", f"{who.store}/{stream}/{epoch}/{first}-{last}"),
            ("source", f"/stockd/{who.store}/{who.gw}"),
            ("type", f"stockd.{stream}.batch.v1"),
            ("time", rfc3339(at_ns)),
        ),
    )
