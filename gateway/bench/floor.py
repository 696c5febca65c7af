"""The floor: one blocking thread reads a code, commits it, publishes it, waits for the PUBACK.

Here: the shortest honest chain on this machine, with no loop, no parsing and no book. Run as
`python -m gateway.bench.floor TERMINAL DATABASE PORT COUNT`; prints one CLOCK_BOOTTIME per code.
Not here: anything of the product, so that the floor cannot become slow with it.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
import tty

PAYLOAD = b"x" * 800
"""About the size of a batch with one sale."""


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT control packet with its remaining length (MQTT 5, 2.1)."""
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(encoded) + body


def connect(port: int) -> socket.socket:
    """A bare MQTT 5 session."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = f"floor-{os.getpid()}".encode()
    head = b"\x00\x04MQTT\x05\x02\x00\x3c\x00" + len(name).to_bytes(2, "big") + name
    link.sendall(packet(0x10, head))
    if link.recv(1024)[0] != 0x20:
        raise SystemExit("no CONNACK")
    return link


def main() -> None:
    """COUNT codes, one after the other."""
    terminal, database, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS floor (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    link = connect(port)
    topic = b"\x00\x0bbench/floor"
    fd = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    print("ready", flush=True)  # noqa: T201 - its protocol
    pending, done = b"", []
    for n in range(1, count + 1):
        while b"\r" not in pending:
            pending += os.read(fd, 4096)
        pending = pending.partition(b"\r")[2]
        db.execute("INSERT INTO floor (body) VALUES (?)", (PAYLOAD,))
        mid = (n % 65535 or 1).to_bytes(2, "big")
        link.sendall(packet(0x32, topic + mid + b"\x00" + PAYLOAD))
        answer = link.recv(1024)
        if answer[0] != 0x40:
            raise SystemExit("no PUBACK")
        done.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    print(" ".join(map(str, done)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
