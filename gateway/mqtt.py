"""One MQTT 5 session over paho: opened, subscribed, spoken through, lost once.

Here: paho in external-loop mode on the running asyncio loop (uvloop too), its socket, TLS, and the
broker's receive window. Every connection is a new object: paho would resend from a queue of its own
(WIRE section 1). Not here: topics, messages, what to do about a reason code (`uplink`). What
arrives waits in `inbox`, so a mistake in handling it reaches the task that asked, not paho.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.endpoint import Address, Tls, judge, tls_context
from gateway.mqtt_words import ConnectFailed, Lost, Message, Puback, Publication, SessionTimers

RECEIVE_MAX: Final = 32
PACKET_BYTES_MAX: Final = 262_144
MID_MAX: Final = 60_000
"""Our message ids; SUBSCRIBE, which paho numbers, is answered before the first of them."""
_UNSUPPORTED_PROTOCOL: Final = 0x84
_REFUSED: Final = 0x80
_JSON_PROPERTIES: Final = b"\x01\x01\x03\x00\x10application/json"
"""Payload Format Indicator 1, Content Type."""
_NOT_AUTHORIZED: Final = 0x87


class _Client(paho.Client):
    """paho on a socket that is already open: its own connect() would block the loop."""

    def __init__(self, client_id: str, opened: socket.socket) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        self._opened = opened
        self.on_puback: Callable[[int, int], None] = lambda mid, code: None

    def _create_socket(self) -> Any:
        return self._opened

    def send_publish(self, head: int, packet: bytes, mid: int) -> None:
        """A finished PUBLISH on its way: paho's own would cost the shop's fastest path 30 us.

        What the socket does not take at once goes to paho's queue, which writes bytes in order.
        """
        sent = 0
        if not self.want_write():
            with contextlib.suppress(OSError):  # full, or gone: paho's own write says which
                sent = self._opened.send(packet)
        if sent < len(packet):
            self._packet_queue(head, packet[sent:], mid, 1)

    def _handle_pubackcomp(self, cmd: Any) -> Any:
        packet = self._in_packet["packet"]
        if cmd == "PUBACK" and len(packet) >= 2:
            self.on_puback(int.from_bytes(packet[:2], "big"), packet[2] if len(packet) > 2 else 0)
        return paho.MQTT_ERR_SUCCESS


class MqttSession:
    """One connection from CONNECT to its loss; never used twice. The owner closes it, always."""

    def __init__(
        self,
        client_id: str,
        will: Publication | None,
        now_ns: Callable[[], int],
        timers: SessionTimers,
    ) -> None:
        self._client_id, self._will = client_id, will
        self._now_ns, self._timers = now_ns, timers
        self._loop = asyncio.get_running_loop()
        self._client: _Client | None = None
        self._socket: socket.socket | None = None
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self._suback: asyncio.Future[None] = self._loop.create_future()
        self._misc: asyncio.TimerHandle | None = None
        self._writing = False
        self._owed: dict[int, int] = {}  # message id to when it left, oldest first
        self._window = RECEIVE_MAX
        self._mid = 0
        self._lost: Lost | None = None
        self.packet_max = PACKET_BYTES_MAX
        """Bytes of the largest packet the server takes."""
        self.inbox: deque[Message | Puback | Lost] = deque()
        """What has come, in order; bounded by what one turn of the loop reads."""
        self.stirred = asyncio.Event()
        """Set whenever `inbox` has grown."""

    # --- opening ------------------------------------------------------------------------------

    async def open(self, address: Address, tls: Tls | None) -> None:
        """TCP, TLS, CONNECT, CONNACK within the timeout. Raises ConnectFailed."""
        try:
            async with asyncio.timeout(self._timers.connect_s):
                self._socket = await self._dial(address, tls)
                self._connect(address)
                await self._connack
        except TimeoutError:
            raise ConnectFailed(0, "no answer in time") from None
        except (OSError, ValueError) as error:  # ssl.CertificateError is both
            raise ConnectFailed(0, str(error)) from error

    async def _dial(self, address: Address, tls: Tls | None) -> socket.socket:
        found = await self._loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        problem: OSError | None = None
        for family, kind, protocol, _, where in found:
            plain = socket.socket(family, kind, protocol)
            self._socket = plain
            plain.setblocking(False)
            try:
                await self._loop.sock_connect(plain, where)
            except OSError as error:
                problem = error
                plain.close()
                continue
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return await self._secure(plain, address, tls) if address.tls else plain
        raise problem or OSError("the name has no address")

    async def _secure(
        self, plain: socket.socket, address: Address, tls: Tls | None
    ) -> socket.socket:
        if tls is None:
            raise ValueError("mqtts:// needs ca_file, cert_file and key_file")
        secure = tls_context(tls, address.port).wrap_socket(
            plain, server_hostname=address.host, do_handshake_on_connect=False
        )
        self._socket = secure
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await self._ready(secure, self._loop.add_reader, self._loop.remove_reader)
            except ssl.SSLWantWriteError:
                await self._ready(secure, self._loop.add_writer, self._loop.remove_writer)
            else:
                break
        judge(secure.getpeercert(), tls)
        return secure

    async def _ready(
        self, sock: socket.socket, add: Callable[..., None], remove: Callable[..., object]
    ) -> None:
        """Until the socket can go on, in the direction of `add`."""
        ready = self._loop.create_future()

        def on_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        add(sock, on_ready)
        try:
            await ready
        finally:
            remove(sock)

    def _connect(self, address: Address) -> None:
        assert self._socket is not None
        client = self._client = _Client(self._client_id, self._socket)
        client.max_inflight_messages_set(0)  # the window is ours; paho must keep no queue
        if self._will is not None:
            client.will_set(
                self._will.topic, self._will.payload, 1, self._will.retain,
                _Packed(self._will),
            )  # fmt: skip
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_puback = self._on_puback
        client.on_message = self._on_message
        # Before paho closes it: a loop that still knows a dead descriptor fails on its next owner.
        client.on_socket_close = lambda *_: self._unregister()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = RECEIVE_MAX
        properties.MaximumPacketSize = PACKET_BYTES_MAX
        client.connect(
            address.host, address.port, self._timers.keepalive_s,
            clean_start=True, properties=properties,
        )  # fmt: skip
        self._loop.add_reader(self._socket, self._on_readable)
        self._misc = self._loop.call_later(self._timers.misc_s, self._on_misc)
        self._write()

    async def subscribe(self, topic: str) -> None:
        """QoS 1, No Local, Retain Handling 0, until SUBACK. Raises ConnectFailed."""
        assert self._client is not None
        options = SubscribeOptions(qos=1, noLocal=True, retainHandling=0)
        self._client.subscribe(topic, options=options)
        self._write()
        try:
            async with asyncio.timeout(self._timers.connect_s):
                await self._suback
        except TimeoutError:
            raise ConnectFailed(0, f"no SUBACK for {topic}") from None

    # --- speaking -----------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Messages the broker takes now: its receive maximum, at most 32, less what it owes."""
        return 0 if self._lost else self._window - len(self._owed)

    def publish(self, publication: Publication) -> int:
        """Hands a QoS 1 message to the socket before returning; its id comes back in a Puback.

        Raises RuntimeError beyond `room`: the caller counts, the wire does not queue.
        """
        if self._client is None or self.room <= 0:
            raise RuntimeError("published without room")
        at_ns = self._now_ns()
        mid = self._mid = self._mid % MID_MAX + 1
        head = 0x32 | publication.retain
        body = _string(publication.topic) + mid.to_bytes(2, "big")
        body += _Packed(publication).pack() + publication.payload
        self._owed[mid] = at_ns
        self._client.send_publish(head, bytes((head,)) + _length(len(body)) + body, mid)
        if self._client.want_write():
            self._write()
        return mid

    def disconnect(self) -> None:
        """DISCONNECT 0x00, the clean end; the Will is not sent. Never raises."""
        if self._client is not None and not self._lost:
            # No reason byte means 0x00 too, and rumqttd takes a lone one for malformed.
            self._client.disconnect()
            self._write()
        self.close()

    def close(self) -> None:
        """Drop the connection without a word; the broker will send the Will. Never raises."""
        self._lose(0, "closed here")
        if self._socket is not None:
            self._socket.close()

    # --- the loop's side ----------------------------------------------------------------------

    def _on_readable(self) -> None:
        client, sock = self._client, self._socket
        assert client is not None and sock is not None
        client.loop_read()
        while isinstance(sock, ssl.SSLSocket) and not self._lost and sock.pending():
            client.loop_read()  # decrypted bytes do not make a socket readable again
        if not self._lost:
            # Linux falls back to delayed acknowledgements after a few packets.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self._write()

    def _write(self) -> None:
        """Write now; wait for the socket only with what it would not take."""
        client, sock = self._client, self._socket
        assert client is not None and sock is not None
        if client.want_write() and not self._lost:
            client.loop_write()
        stuck = client.want_write() and not self._lost
        if stuck and not self._writing:
            self._loop.add_writer(sock, self._write)
        elif self._writing and not stuck and not self._lost:
            self._loop.remove_writer(sock)
        self._writing = stuck

    def _on_misc(self) -> None:
        assert self._client is not None
        self._misc = self._loop.call_later(self._timers.misc_s, self._on_misc)
        self._client.loop_misc()
        if self._lost:
            return
        self._write()
        oldest_ns = next(iter(self._owed.values()), None)
        if oldest_ns is not None and self._now_ns() - oldest_ns > self._timers.puback_s * 1e9:
            self._lose(0, "the broker owes a PUBACK for too long")

    # --- paho's side --------------------------------------------------------------------------

    def _on_connect(
        self, _client: Any, _user: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._connack.done():
            return
        if reason.value == _UNSUPPORTED_PROTOCOL:
            self._connack.set_exception(
                ConnectFailed(reason.value, "the broker does not speak MQTT 5; it must")
            )
        elif reason.value >= _REFUSED:
            self._connack.set_exception(
                ConnectFailed(reason.value, f"refused: {reason} ({reason.value:#04x})")
            )
        else:
            self._window = min(getattr(properties, "ReceiveMaximum", RECEIVE_MAX), RECEIVE_MAX)
            limit = getattr(properties, "MaximumPacketSize", PACKET_BYTES_MAX)
            self.packet_max = min(limit, PACKET_BYTES_MAX)
            self._connack.set_result(None)

    def _on_subscribe(
        self, _client: Any, _user: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if self._suback.done():
            return
        code = max((reason.value for reason in reasons), default=_REFUSED)
        if code >= _REFUSED:
            # Whatever the code, the broker's access rules are wrong (WIRE section 3).
            text = f"subscription refused: {code:#04x}"
            self._suback.set_exception(ConnectFailed(_NOT_AUTHORIZED, text))
        else:
            self._suback.set_result(None)

    def _on_puback(self, mid: int, code: int) -> None:
        sent_ns = self._owed.pop(mid, None)
        if sent_ns is not None:
            at_ns = self._now_ns()
            self._hear(Puback(mid, code, at_ns, at_ns - sent_ns))

    def _on_message(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        self._hear(Message(message.topic, bytes(message.payload)))

    def _on_disconnect(
        self, _client: Any, _user: Any, flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(reason.value, f"the broker disconnected: {reason} ({reason.value:#04x})")
        else:
            self._lose(0, f"connection lost: {reason}")

    def _unregister(self) -> None:
        if self._socket is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    def _hear(self, what: Message | Puback | Lost) -> None:
        self.inbox.append(what)
        self.stirred.set()

    def _lose(self, code: int, text: str) -> None:
        if self._lost:
            return
        self._lost = Lost(code, text)
        if self._misc is not None:
            self._misc.cancel()
        self._unregister()
        for answer in (self._connack, self._suback):
            if not answer.done():
                answer.set_exception(ConnectFailed(code, text))
                answer.exception()  # nobody may be waiting for it
        self._hear(self._lost)


class _Packed(Properties):
    """Properties of WIRE section 3 as bytes: paho needs 120 us to build and pack its own."""

    def __init__(self, publication: Publication) -> None:
        body = _JSON_PROPERTIES + b"".join(
            b"\x26" + _string(name) + _string(value) for name, value in publication.user
        )
        object.__setattr__(self, "packed", _length(len(body)) + body)

    def pack(self) -> bytes:
        packed: bytes = object.__getattribute__(self, "packed")
        return packed


def _string(text: str) -> bytes:
    """A UTF-8 string of MQTT 5.0, section 1.5.4."""
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(value: int) -> bytes:
    """A variable byte integer of MQTT 5.0, section 1.5.5."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
