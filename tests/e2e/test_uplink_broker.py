"""The ledger link over a real broker process, with a scripted ledger at the other end.

Covers WIRE section 3 (order of a connect, Will, clean stop), D2 and D3 of section 20 (broker killed
and wiped, PUBACK without ledger), a peer that swallows everything, and both event loops.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any

import paho.mqtt.client as paho
import pytest
import uvloop
from paho.mqtt.enums import CallbackAPIVersion

from gateway.domain.messages import Stream
from gateway.domain.wire import Stamp
from gateway.endpoint import address_of
from gateway.letters import Identity
from gateway.mqtt_words import SessionTimers
from gateway.outbox_words import Cursor, Timers
from gateway.uplink import Uplink
from gateway.uplink_words import LinkTimers, UplinkStatus

INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
STORE = "s0001"
MS = 1_000_000
QUICK = LinkTimers(
    session=SessionTimers(connect_s=1.0, keepalive_s=1, misc_s=0.05),
    outbox=Timers(rto_ns=200 * MS, rto_max_ns=800 * MS),
    backoff_unit_s=0.02,
    backoff_max_s=0.2,
)
DEADLINE_S = 15.0


def chain_start() -> bytes:
    return hashlib.sha256(bytes.fromhex(INST)).digest()


class Clock:
    def now_ns(self) -> int:
        return time.time_ns()

    def wall_ms(self) -> int:
        return time.time_ns() // MS

    def stamp(self, at_ns: int) -> Stamp:
        return Stamp(tq="sync", te=4, mono_us=at_ns // 1000, boot="9c1f3e5a7b2d4c60")


class MemoryJournal:
    """Everything durable the moment it is appended."""

    inst = INST

    def __init__(self) -> None:
        self.events: dict[Stream, list[bytes]] = {"stock": [], "ops": []}
        self.chains: dict[Stream, list[bytes]] = {s: [chain_start()] for s in self.events}
        self.cursors: dict[Stream, Cursor] = {s: Cursor() for s in self.events}
        self.opened: list[tuple[Stream, int, str]] = []

    def append(self, stream: Stream, kind: str = "pick") -> int:
        chain, seq = self.chains[stream], len(self.events[stream]) + 1
        body = json.dumps({"kind": kind, "seq": seq}, separators=(",", ":")).encode()
        self.events[stream].append(body)
        chain.append(hashlib.sha256(chain[-1] + body).digest())
        return seq

    def committed(self, stream: Stream) -> int:
        return len(self.events[stream])

    def oldest(self, stream: Stream) -> int:
        return 1

    def bodies(self, stream: Stream, first: int, count: int, max_bytes: int) -> list[bytes]:
        return self.events[stream][first - 1 : first - 1 + count]

    def chain_at(self, stream: Stream, seq: int) -> bytes | None:
        return self.chains[stream][seq]

    def cursor(self, stream: Stream) -> Cursor:
        return self.cursors[stream]

    def keep_cursor(self, stream: Stream, cursor: Cursor) -> None:
        self.cursors[stream] = cursor

    async def open_epoch(self, stream: Stream, epoch: int, why: str) -> None:
        self.opened.append((stream, epoch, why))
        self.append(stream, "epoch_open")


class Ledger:
    """Grants, checks the chain, applies, acknowledges; in paho's own thread."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lock = threading.Lock()
        self.books: dict[str, list[bytes]] = {"stock": [], "ops": []}
        self.chains: dict[str, list[bytes]] = {s: [chain_start()] for s in self.books}
        self.known: set[str] = set()
        self.heard: list[tuple[str, dict[str, Any], paho.MQTTMessage]] = []
        self.client = self.fresh()

    def fresh(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, "ledger", protocol=paho.MQTTv5)
        client.reconnect_delay_set(1, 1)
        client.on_connect = self.on_connect
        client.on_message = self.on_message
        return client

    def start(self) -> None:
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([("stockd/v1/+/up/#", 1), ("stockd/v1/+/state", 1)])

    def on_message(self, client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        with self.lock:
            self.heard.append((message.topic, body, message))
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "hello":
            known = body["stream"] in self.known
            self.known.add(body["stream"])
            self.say(body["stream"], "sync" if known else "new_epoch")
        elif kind == "batch":
            self.apply(body, message.payload)

    def apply(self, batch: dict[str, Any], payload: bytes) -> None:
        book, chain = self.books[batch["stream"]], self.chains[batch["stream"]]
        if batch["first"] > len(book) + 1:
            self.say(batch["stream"], "gap")
            return
        assert chain[batch["first"] - 1].hex() == batch["prev"]
        for event in batch["ev"]:
            body = json.dumps(event, separators=(",", ":")).encode()
            assert body in payload
            if event["seq"] == len(book) + 1:
                book.append(body)
                chain.append(hashlib.sha256(chain[-1] + body).digest())
        self.say(batch["stream"], "ok")

    def say(self, stream: str, status: str) -> None:
        w = len(self.books[stream])
        ack = {
            "v": "1.0", "store": STORE, "stream": stream, "inst": INST, "epoch": 1, "ack": w,
            "chain": self.chains[stream][w].hex(), "st": status, "credit": 2000, "rej": [],
            "baseline": None, "last": None, "caps": [], "srv_ts": 0, "unknown": "ignored",
        }  # fmt: skip
        self.client.publish(f"stockd/v1/{STORE}/down/{stream}/ack", json.dumps(ack), qos=1)

    def states(self) -> list[tuple[bool, str]]:
        with self.lock:
            return [(b["online"], b["why"]) for t, b, _ in self.heard if t.endswith("/state")]


class Broker:
    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.broker", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Proxy:
    """A TCP relay that remembers what the client said, and can swallow both directions."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.swallow = False
        self.said: list[bytearray] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0

    async def __aenter__(self) -> Proxy:
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.cut()
        await until(lambda: self.open == 0, "the relay at rest")

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray()
        self.said.append(said)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.writers += [writer, far_writer]
        self.open += 1
        await asyncio.gather(
            self.pump(reader, far_writer, said), self.pump(far_reader, writer, bytearray())
        )
        self.open -= 1

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray
    ) -> None:
        try:
            while data := await reader.read(65_536):
                said += data
                if not self.swallow:
                    writer.write(data)
        except OSError:
            pass
        finally:
            if not self.swallow:
                writer.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


class Link:
    """An uplink with its journal, its alarms and what it measured."""

    def __init__(self, ports: list[int], timers: LinkTimers = QUICK) -> None:
        self.journal = MemoryJournal()
        self.alarms: list[str] = []
        self.pubacks: list[tuple[Stream, int]] = []
        self.acks: list[tuple[Stream, int]] = []
        self.uplink = Uplink(
            Identity(STORE, "a4bb6d2f9c10", INST, "1.0.0"),
            [address_of(f"mqtt://127.0.0.1:{port}") for port in ports],
            None,
            self.journal,
            Clock(),
            Random(7),
            alarm=lambda code, _sev, _text: self.alarms.append(code),
            on_puback=lambda stream, seq, _at: self.pubacks.append((stream, seq)),
            on_ack=lambda stream, seq, _at: self.acks.append((stream, seq)),
            timers=timers,
        )

    async def __aenter__(self) -> Link:
        self.task = asyncio.create_task(self.uplink.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.uplink.stop()
        await asyncio.wait_for(self.task, 5)

    def commit(self, stream: Stream, count: int = 1) -> None:
        for _ in range(count):
            self.journal.append(stream)
        self.uplink.wake()

    @property
    def status(self) -> UplinkStatus:
        return self.uplink.status()

    def settled(self) -> bool:
        return all(s.state == "open" and s.ack == s.committed for s in self.status.streams)


async def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


def on_uvloop(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


@pytest.fixture
def broker() -> Iterator[Broker]:
    one = Broker()
    yield one
    one.kill()


@pytest.fixture
def ledger(broker: Broker) -> Iterator[Ledger]:
    one = Ledger(broker.port)
    one.start()
    yield one
    one.stop()


def packets(said: bytearray) -> list[tuple[int, bytes]]:
    """MQTT control packets: type and flags, and the rest."""
    found, at = [], 0
    while at < len(said):
        first, length, shift, at = said[at], 0, 0, at + 1
        while True:
            length |= (said[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not said[at - 1] & 128:
                break
        found.append((first, bytes(said[at : at + length])))
        at += length
    return found


def topic_of(publish: bytes) -> str:
    return publish[2 : 2 + int.from_bytes(publish[:2], "big")].decode()


async def a_connect_is_in_order(broker: Broker, ledger: Ledger) -> None:
    async with Proxy(broker.port) as proxy, Link([proxy.port], LinkTimers()) as link:
        await until(link.settled, "both streams open and acknowledged")
        assert sorted(link.journal.opened, reverse=True) == [
            ("stock", 1, "install"),
            ("ops", 1, "install"),
        ]
        assert link.status.connected and link.status.puback_us is not None
    sent = packets(proxy.said[0])
    connect, subscribe, *rest = sent
    assert connect[0] == 0x10
    body = connect[1]
    assert body[:7] == b"\x00\x04MQTT\x05"
    assert body[7] == 0b0010_1110, "Will retained at QoS 1, clean start"
    assert body[8:10] == (30).to_bytes(2, "big")
    options = body[11 : 11 + body[10]]
    assert b"\x11\x00\x00\x00\x00" in options
    assert b"\x21\x00\x20" in options
    assert b"\x27\x00\x04\x00\x00" in options
    assert b'"online":false' in body
    assert b'"why":"lost"' in body
    assert subscribe[0] == 0x82
    assert subscribe[1].endswith(f"stockd/v1/{STORE}/down/#".encode() + bytes([0b0000_0101]))
    published = [topic_of(body) for first, body in rest if first >> 4 == 3]
    assert published[0] == f"stockd/v1/{STORE}/state"
    assert sorted(published[1:3]) == [
        f"stockd/v1/{STORE}/up/ops/hello",
        f"stockd/v1/{STORE}/up/stock/hello",
    ]
    assert all("batch" in topic for topic in published[3:-1])
    assert published[-1] == f"stockd/v1/{STORE}/state"
    assert sent[-1][0] == 0xE0, "a clean end"


async def test_a_connect_is_in_order(broker: Broker, ledger: Ledger) -> None:
    await a_connect_is_in_order(broker, ledger)
    await until(lambda: len(ledger.states()) == 2, "the clean end")
    assert ledger.states() == [(True, "connect"), (False, "stop")]


def test_a_connect_is_in_order_on_uvloop(broker: Broker, ledger: Ledger) -> None:
    on_uvloop(a_connect_is_in_order(broker, ledger))


async def test_an_event_leaves_in_the_turn_of_its_commit(broker: Broker, ledger: Ledger) -> None:
    async with Proxy(broker.port) as proxy, Link([proxy.port]) as link:
        await until(link.settled, "both streams open")
        before = link.status.streams[0]
        link.commit("stock")
        after = link.status.streams[0]
        assert (after.in_flight, after.batches_total) == (1, before.batches_total + 1)
        await until(link.settled, "the event acknowledged")
        await until(lambda: ("stock", 2) in link.pubacks, "the PUBACK")
        assert ("stock", 2) in link.acks
    topic, body, message = next(
        each for each in ledger.heard if each[0].endswith("stock/batch") and each[1]["first"] == 2
    )
    assert topic == f"stockd/v1/{STORE}/up/stock/batch"
    assert body["prev"] == link.journal.chains["stock"][1].hex()
    properties = message.properties
    assert properties.ContentType == "application/json"
    assert properties.PayloadFormatIndicator == 1
    user = dict(properties.UserProperty)
    assert user.pop("time").endswith("Z")
    assert user == {
        "specversion": "1.0",
        "id": f"{STORE}/stock/1/2-2",
        "source": f"/stockd/{STORE}/a4bb6d2f9c10",
        "type": "stockd.stock.batch.v1",
    }


async def test_a_backlog_goes_in_full_batches(broker: Broker, ledger: Ledger) -> None:
    async with Link([broker.port]) as link:
        link.commit("stock", 1050)
        link.commit("ops", 250)
        await until(link.settled, "the backlog acknowledged")
        assert ledger.books == link.journal.events
        assert link.journal.cursors["stock"] == Cursor(1, link.journal.committed("stock"))


async def test_a_killed_broker_loses_nothing(broker: Broker, ledger: Ledger) -> None:
    async with Link([broker.port]) as link:
        await until(link.settled, "both streams open")
        broker.kill()
        link.commit("stock", 7)
        await until(lambda: not link.status.connected, "the loss noticed")
        link.commit("stock", 3)
        broker.start()
        await until(link.settled, "caught up with a wiped broker")
        assert ledger.books == link.journal.events
        assert link.status.reconnects_total >= 1


async def test_a_puback_without_ledger_proves_nothing(broker: Broker) -> None:
    async with Link([broker.port]) as link:
        await until(lambda: link.status.streams[0].timeouts_total > 1, "hellos without answer")
        link.commit("stock", 5)
        assert link.status.streams[0].ack == 0
        ledger = Ledger(broker.port)
        ledger.start()
        try:
            await until(link.settled, "delivered once there is a ledger")
            assert ledger.books == link.journal.events
        finally:
            ledger.stop()


async def test_a_black_hole_is_noticed_and_left(broker: Broker, ledger: Ledger) -> None:
    async with Proxy(broker.port) as proxy, Link([proxy.port]) as link:
        await until(link.settled, "both streams open")
        proxy.swallow = True
        link.commit("stock", 2)
        await until(lambda: not link.status.connected, "keep-alive found nobody")
        assert "eep" in link.status.last_error
        await until(
            lambda: link.status.failures_total > 0, "connecting into the hole fails in time"
        )
        proxy.swallow = False
        proxy.cut()
        await until(link.settled, "through again")
        assert ledger.books == link.journal.events


async def test_the_will_speaks_for_a_cut_line(broker: Broker, ledger: Ledger) -> None:
    async with Proxy(broker.port) as proxy, Link([proxy.port]) as link:
        await until(link.settled, "both streams open")
        proxy.cut()
        await until(lambda: (False, "lost") in ledger.states(), "the Will")
        await until(link.settled, "connected again")
    await until(lambda: ledger.states()[-1] == (False, "stop"), "the clean end")
    online = [why for is_online, why in ledger.states() if is_online]
    assert online == ["connect", "connect"]
