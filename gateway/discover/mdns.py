"""RFID readers that announce themselves in the shop's network: one multicast DNS question.

Sources: RFC 6762 (5.1 one-shot queries, 6.7 legacy unicast answers, 18.12 unicast wish), RFC 6763
(4 service instances), RFC 1035 (4.1 message, 4.1.4 compression).

    id 2 | flags 2 | counts 4 x 2 | questions: name, type, class | records: name, type, class,
    ttl 4, length 2, data           name: length-prefixed labels, 0 at the end; C0h+: go on there

Here: the codec, bytes to bytes, and the socket around it. Never raises for what comes from the
network; answers are bounded. Not here: talking to the readers (`probing`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, NamedTuple

from gateway.domain.reading import Word

LLRP_SERVICE: Final = "_llrp._tcp.local"
GROUP: Final = ("224.0.0.251", 5353)
WAIT_S: Final = 2.0
ANSWERS_MAX: Final = 256
POINTERS_MAX: Final = 16
NAME_MAX_CHARS: Final = 255
RECORDS_MAX: Final = 128

_A, _PTR, _AAAA, _SRV, _IN = 1, 12, 28, 33, 1
_UNICAST: Final = 0x8000
"""The top bit of a question's class: answer to me alone."""


class Announced(Word, frozen=True):
    """A service instance in the network."""

    name: str
    host: str
    port: int
    addresses: tuple[str, ...]


class _Record(NamedTuple):
    name: str
    type: int
    data: tuple[str, int] | str
    """PTR: a name. SRV: host and port. A, AAAA: an address."""


class _Cut(Exception):
    """The packet ends, or goes in circles, before the name or record does."""


def query(service: str) -> bytes:
    """The question for all instances of a service.

    >>> query("_llrp._tcp.local").hex()
    '000000000001000000000000055f6c6c7270045f746370056c6f63616c00000c8001'
    """
    labels = b"".join(bytes((len(one),)) + one.encode() for one in service.split("."))
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + labels + struct.pack("!xHH", _PTR, _UNICAST | _IN)


def announced(packets: Iterable[bytes], service: str) -> tuple[Announced, ...]:
    """The instances that these answers name, by name. Whatever the bytes, it never raises."""
    records = [record for packet in packets for record in _records(packet)]
    names = sorted({
        record.data for record in records
        if record.type == _PTR and record.name == service and isinstance(record.data, str)
    })  # fmt: skip
    found = []
    for name in names:
        where = (r.data for r in records if r.type == _SRV and r.name == name.lower())
        host, port = next((data for data in where if isinstance(data, tuple)), ("", 0))
        ours = {
            record.data for record in records
            if record.type in (_A, _AAAA) and record.name == host.lower()
            and isinstance(record.data, str)
        }  # fmt: skip
        addresses = sorted(ours, key=lambda text: (ip_address(text).version, text))
        label = name[: -len(service) - 1] if name.lower().endswith(f".{service}") else name
        found.append(Announced(label, host, port, tuple(addresses)))
    return tuple(found)


def _records(packet: bytes) -> Iterator[_Record]:
    """The records of one answer, up to where it stops making sense."""
    with suppress(_Cut, struct.error):
        _, flags, questions, *counts = struct.unpack_from("!6H", packet)
        if not flags & 0x8000:
            return
        at = 12
        for _ in range(min(questions, RECORDS_MAX)):
            at = _name(packet, at)[1] + 4
        for _ in range(min(sum(counts), RECORDS_MAX)):
            name, at = _name(packet, at)
            type_, _, _, size = struct.unpack_from("!HHIH", packet, at)
            at += 10 + size
            if at > len(packet):
                return
            if (data := _data(packet, at - size, size, type_)) is not None:
                yield _Record(name.lower(), type_, data)


def _data(packet: bytes, at: int, size: int, type_: int) -> tuple[str, int] | str | None:
    if type_ == _PTR:
        return _name(packet, at)[0]
    if type_ == _SRV and size > 6:
        return _name(packet, at + 6)[0], int.from_bytes(packet[at + 4 : at + 6])
    if (type_, size) in ((_A, 4), (_AAAA, 16)):
        return str(ip_address(packet[at : at + size]))
    return None


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """A name and where the bytes after it begin. Raises _Cut."""
    labels: list[str] = []
    after = pointers = 0
    while True:
        if at >= len(packet):
            raise _Cut
        size = packet[at]
        if size >= 0xC0 and at + 1 < len(packet):
            after = after or at + 2
            at = int.from_bytes(packet[at : at + 2]) & 0x3FFF
            pointers += 1
        elif size == 0:
            return ".".join(labels), after or at + 1
        elif size < 0x40 and at + size < len(packet):
            labels.append(_shown(packet[at + 1 : at + 1 + size]))
            at += 1 + size
        else:
            raise _Cut
        if pointers > POINTERS_MAX or sum(map(len, labels)) > NAME_MAX_CHARS:
            raise _Cut


def _shown(label: bytes) -> str:
    text = label.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(self.packets) < ANSWERS_MAX:
            self.packets.append(data)

    def error_received(self, exc: Exception) -> None:
        """An interface without a network; others may have one."""


async def ask(
    service: str = LLRP_SERVICE,
    *,
    to: tuple[str, int] = GROUP,
    wait_s: float = WAIT_S,
    interfaces: Sequence[int] | None = None,
) -> tuple[Announced, ...]:
    """Who offers a service, asked once on every network interface. Raises OSError: no network.

    It sends one packet of 34 bytes on each, and hears answers for `wait_s`.
    """
    if interfaces is None:
        interfaces = [index for index, _ in socket.if_nameindex()]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("", 0))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    for index in interfaces:
        with suppress(OSError):  # a cable that is not plugged in
            there = struct.pack("@4s4si", b"", b"", index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, there)
            sock.sendto(query(service), to)
    answers = _Answers()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: answers, sock=sock
    )
    try:
        await asyncio.sleep(wait_s)
    finally:
        transport.close()
    return announced(answers.packets, service)
