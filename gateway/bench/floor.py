"""The floor: one blocking thread reads a code, commits it, publishes it, waits for the PUBACK.

Here: the shortest honest chain on this machine, with no loop, no parsing and no book; once with the
MQTT client that the product is bound to (`client`), once with MQTT bytes written by hand on a bare
socket (`bare`). Run as `python -m gateway.bench.floor HOW TERMINAL DATABASE PORT COUNT`; prints one
CLOCK_BOOTTIME per code. Not here: anything of the product, so that the floor cannot become slow
with it.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
import tty
from collections.abc import Callable

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

PAYLOAD = b"x" * 800
"""About the size of a batch with one sale."""
TOPIC = "bench/floor"


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT control packet with its remaining length (MQTT 5, 2.1)."""
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(encoded) + body


def bare(port: int) -> Callable[[], None]:
    """Publish and PUBACK on a bare socket: what no client library can beat."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = f"floor-{os.getpid()}".encode()
    head = b"\x00\x04MQTT\x05\x02\x00\x3c\x00" + len(name).to_bytes(2, "big") + name
    link.sendall(packet(0x10, head))
    if link.recv(1024)[0] != 0x20:
        raise SystemExit("no CONNACK")
    topic = len(TOPIC).to_bytes(2, "big") + TOPIC.encode()

    def publish() -> None:
        link.sendall(packet(0x32, topic + b"\x00\x01\x00" + PAYLOAD))
        if link.recv(1024)[0] != 0x40:
            raise SystemExit("no PUBACK")

    return publish


def client(port: int) -> Callable[[], None]:
    """Publish and PUBACK through paho, blocking, in this thread."""
    link = paho.Client(CallbackAPIVersion.VERSION2, f"floor-{os.getpid()}", protocol=paho.MQTTv5)
    link.connect("127.0.0.1", port)
    while not link.is_connected():
        link.loop(1.0)
    opened = link.socket()
    assert isinstance(opened, socket.socket)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def publish() -> None:
        info = link.publish(TOPIC, PAYLOAD, 1)
        while not info.is_published():
            link.loop(1.0)

    return publish


def main() -> None:
    """COUNT codes, one after the other."""
    how, terminal, database, port, count = sys.argv[1:]
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS floor (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    publish = {"bare": bare, "client": client}[how](int(port))
    fd = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    print("ready", flush=True)  # noqa: T201 - its protocol
    pending, done = b"", []
    for _ in range(int(count)):
        while b"\r" not in pending:
            pending += os.read(fd, 4096)
        pending = pending.partition(b"\r")[2]
        db.execute("INSERT INTO floor (body) VALUES (?)", (PAYLOAD,))
        publish()
        done.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    print(" ".join(map(str, done)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
