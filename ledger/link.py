"""The ledger's side of the link: MQTT 5, one thread, commit before ack before PUBACK.

Here: connections, subscriptions, pacing, reconnecting for ever. Not here: what a message means
(`ledger.inbox`). The order of WIRE.md section 10, item 8 is the order of the lines in `_answer`;
a database error leaves this module with neither ack nor PUBACK sent, so that the broker delivers
again. Every connection is a new client object: the books are the session.
"""

from __future__ import annotations

import logging
import random
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.domain.messages import ROOT, Ack, encode, topic
from ledger import apply
from ledger.address import Address
from ledger.books import Books
from ledger.inbox import take
from ledger.records import Row

FILTERS: Final = (f"{ROOT}/+/up/#", f"{ROOT}/+/state")
KEEP_ALIVE_S: Final = 30
SESSION_S: Final = 86_400
RECEIVE_MAX: Final = 100
PACKET_BYTES_MAX: Final = 262_144
ACK_EXPIRY_S: Final = 60
ACKS_IN_FLIGHT: Final = 20
"""Below the Receive Maximum of any broker we know; the client cannot change it once connected."""
ACKS_QUEUED_MAX: Final = 1_000
CONNECT_S: Final = 10.0
BACKOFF_MAX_S: Final = 30.0
SETTLED_S: Final = 60.0
TAKEN_OVER: Final = 0x8E
RESUME_TICK_S: Final = 0.01
RESUME_PER_TICK: Final = 5
"""Unasked `ok`s: at most 500 a second (WIRE.md section 10)."""

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
"""A broker with Nagle's algorithm waits for TCP's ACK; Linux forgets the wish at each read."""

_log = logging.getLogger("ledger")


class LinkLostError(Exception):
    """The connection is gone or was refused; another one will be tried."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s
        """At least this long before the next attempt."""


class Stop:
    """A wish to end that wakes whoever waits in `select`."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self.asked = False

    def ask(self) -> None:
        """End soon, after the message in hand. Safe from a signal handler or a thread."""
        self.asked = True
        self._write.send(b"!")

    def on_signals(self) -> None:
        """SIGTERM and SIGINT ask."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ask())

    def fileno(self) -> int:
        """Readable once asked."""
        return self._read.fileno()

    def sleep(self, seconds: float) -> None:
        """Waits, but not beyond being asked."""
        select.select([self], [], [], seconds)


class Counts(msgspec.Struct):
    """What passed since the start."""

    messages: int = 0
    events: int = 0
    acks: int = 0
    ignored: int = 0
    connections: int = 0


class Link:
    """The running ledger: takes messages from a broker until asked to stop."""

    def __init__(
        self, address: Address, books: Books, client_id: str, on_connected: Callable[[], None]
    ) -> None:
        """Connects nowhere yet. Raises AddressError for unusable certificates."""
        self._address = address
        self._tls = address.tls_context()
        self._books = books
        self._client_id = client_id
        self._on_connected = on_connected
        self.counts = Counts()

    def run(self, stop: Stop) -> None:
        """Serves until `stop` is asked. Raises sqlite3.Error when the database fails."""
        attempt = 0
        while not stop.asked:
            began = time.monotonic()
            try:
                self._serve(stop)
            except (LinkLostError, OSError) as error:
                attempt = 0 if time.monotonic() - began > SETTLED_S else attempt + 1
                pause_s = random.uniform(0.0, min(BACKOFF_MAX_S, 2.0**attempt))
                pause_s += error.pause_s if isinstance(error, LinkLostError) else 0.0
                _log.warning("%s: %s; again in %.1f s", self._address, error, pause_s)
                stop.sleep(pause_s)

    def _serve(self, stop: Stop) -> None:
        session = _Session(self._address, self._tls, self._client_id)
        try:
            session.open(stop)
            if stop.asked:
                return
            self.counts.connections += 1
            if self.counts.connections == 1:
                self._on_connected()
            else:
                _log.warning("%s: connected again", self._address)
            waiting = self._books.active()
            while not stop.asked:
                while session.inbox:
                    self._answer(session, session.inbox.popleft())
                waiting = self._resume(session, waiting)
                session.wait(stop, RESUME_TICK_S if waiting else 1.0)
        finally:
            session.close()

    def _answer(self, session: _Session, message: MQTTMessage) -> None:
        now_ms = time.time_ns() // 1_000_000
        reply = take(self._books, message.topic, bytes(message.payload), now_ms)
        if reply.ack is not None:
            session.publish(reply.ack)
            self.counts.acks += 1
        session.delivered(message)
        self.counts.messages += 1
        self.counts.events += reply.events
        self.counts.ignored += reply.ignored
        if reply.trouble:
            _log.warning("%s", reply.trouble)

    def _resume(self, session: _Session, waiting: list[Row]) -> list[Row]:
        """Tells gateways that wait for a ledger where it stands."""
        now_ms = time.time_ns() // 1_000_000
        for row in waiting[:RESUME_PER_TICK]:
            rows = self._books.rows(row.store, row.stream)
            if rows[-1].status == "active":
                session.publish(apply.resume(rows[-1], now_ms))
        return waiting[RESUME_PER_TICK:]


class _Session:
    """One connection and its client object, which is never used again."""

    def __init__(self, address: Address, tls: Any, client_id: str) -> None:
        self.inbox: deque[MQTTMessage] = deque()
        """Delivered by the broker and not yet answered: at most RECEIVE_MAX."""
        self._address = address
        self._ready = False
        self._lost: LinkLostError | None = None
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, manual_ack=True)
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(ACKS_IN_FLIGHT)
        client.max_queued_messages_set(ACKS_QUEUED_MAX)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        self._client = client

    def open(self, stop: Stop) -> None:
        """Connects and subscribes. Raises LinkLostError or OSError."""
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = SESSION_S
        wishes.ReceiveMaximum = RECEIVE_MAX
        wishes.MaximumPacketSize = PACKET_BYTES_MAX
        self._client.connect(
            self._address.host,
            self._address.port,
            KEEP_ALIVE_S,
            clean_start=False,
            properties=wishes,
        )
        self._tell_tcp(socket.TCP_NODELAY)
        deadline = time.monotonic() + CONNECT_S
        while not (self._ready or stop.asked):
            if time.monotonic() > deadline:
                raise LinkLostError(f"no answer within {CONNECT_S:.0f} s")
            self.wait(stop, 0.1)

    def wait(self, stop: Stop, seconds: float) -> None:
        """Reads and writes what is due, at most this long. Raises LinkLostError."""
        connection: Any = self._client.socket()
        if connection is not None:
            pending = hasattr(connection, "pending") and connection.pending() > 0
            writing = [connection] if self._client.want_write() else []
            readable, writable, _ = select.select(
                [connection, stop], writing, [], 0.0 if pending else seconds
            )
            if pending or connection in readable:
                self._client.loop_read()
                if _QUICKACK is not None:
                    self._tell_tcp(_QUICKACK)
            if writable:
                self._client.loop_write()
            self._client.loop_misc()
        if self._lost is None and self._client.socket() is None:
            self._lost = LinkLostError("connection closed")
        if self._lost is not None:
            raise self._lost

    def _tell_tcp(self, option: int) -> None:
        connection: Any = self._client.socket()
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)

    def publish(self, ack: Ack) -> None:
        """Sends an ack. Raises LinkLostError when the broker takes no more."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = ACK_EXPIRY_S
        properties.ContentType = "application/json"
        properties.PayloadFormatIndicator = 1
        info = self._client.publish(
            topic(ack.store, "down", ack.stream, "ack"), encode(ack), qos=1, properties=properties
        )
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkLostError(f"could not send an ack: {info.rc.name}")

    def delivered(self, message: MQTTMessage) -> None:
        """The PUBACK of a message whose effect is durable."""
        if message.qos > 0:
            self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Says good-bye where somebody still listens."""
        self._client.disconnect()

    # --- callbacks of the client ----------------------------------------------------------------

    def _connected(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        if code.is_failure:
            self._lost = LinkLostError(f"the broker refuses: {code}")
            return
        client.subscribe([(name, SubscribeOptions(qos=1)) for name in FILTERS])

    def _subscribed(
        self,
        _client: Client,
        _data: object,
        _mid: int,
        codes: list[ReasonCode],
        _properties: object,
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            self._lost = LinkLostError(f"the broker refuses the subscription: {refused[0]}")
        self._ready = not refused

    def _disconnected(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        if self._lost is None:
            pause_s = 60.0 if code.value == TAKEN_OVER else 0.0
            self._lost = LinkLostError(f"connection lost: {code}", pause_s)

    def _arrived(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.inbox.append(message)
