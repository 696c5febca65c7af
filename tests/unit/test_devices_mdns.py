"""Readers that announce themselves: packets written by hand from RFC 1035 and 6763; a socket."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from gateway.discover import mdns
from gateway.discover.mdns import LLRP_SERVICE, Announced, announced, ask, query


def name(text: str) -> bytes:
    return b"".join(bytes((len(one.encode()),)) + one.encode() for one in text.split(".")) + b"\0"


def record(owner: bytes, type_: int, data: bytes, class_: int = 0x8001) -> bytes:
    head = type_.to_bytes(2) + class_.to_bytes(2) + (120).to_bytes(4)
    return owner + head + len(data).to_bytes(2) + data


def packet(*records: bytes, answers: int, questions: bytes = b"", flags: int = 0x8400) -> bytes:
    asked = 1 if questions else 0
    counts = (0, flags, asked, answers, 0, len(records) - answers)
    return b"".join(one.to_bytes(2) for one in counts) + questions + b"".join(records)


SERVICE = b"\xc0\x0c"  # the name in the question, at byte 12
QUESTION = name(LLRP_SERVICE) + b"\0\x0c\x80\x01"
INSTANCE = "SpeedwayR-11-22-33"
HOST = "speedwayr-11-22-33.local"


def reader(instance: str = INSTANCE, host: str = HOST, address: str = "192.168.1.30") -> bytes:
    """As a responder answers a one-shot question: PTR; SRV, A and AAAA as additional records."""
    label = bytes((len(instance),)) + instance.encode()
    owner = label + SERVICE
    return packet(
        record(SERVICE, 12, owner, 1),
        record(owner, 33, b"\0\0\0\0" + (5084).to_bytes(2) + name(host)),
        record(owner, 16, b"\x09txtvers=1"),
        record(name(host), 1, socket.inet_aton(address)),
        record(name(host), 28, socket.inet_pton(socket.AF_INET6, "fe80::216:25ff:fe11:2233")),
        answers=1,
        questions=QUESTION,
    )


FOUND = Announced(INSTANCE, HOST, 5084, ("192.168.1.30", "fe80::216:25ff:fe11:2233"))


def test_the_question_is_small_and_asks_for_a_private_answer() -> None:
    assert query(LLRP_SERVICE) == bytes(4) + b"\0\1" + bytes(6) + QUESTION
    assert len(query(LLRP_SERVICE)) == 34


def test_a_reader_with_all_its_records() -> None:
    assert announced([reader()], LLRP_SERVICE) == (FOUND,)
    assert announced([reader(), reader()], LLRP_SERVICE) == (FOUND,)


def test_several_readers_by_name_and_their_case() -> None:
    other = reader("Dock.2", "FX9600ABCDEF.local", "10.0.0.9")
    loud = reader(host="SpeedwayR-11-22-33.LOCAL").replace(b"\x05_llrp", b"\x05_LLRP")
    found = announced([other, loud], LLRP_SERVICE)
    assert [(one.name, one.port, one.addresses[0]) for one in found] == [
        ("Dock.2", 5084, "10.0.0.9"),
        (INSTANCE, 5084, "192.168.1.30"),
    ]


def test_what_is_no_answer_to_us() -> None:
    printer = reader().replace(b"_llrp", b"_http")
    assert announced([printer, query(LLRP_SERVICE), b"", b"\x84" * 11], LLRP_SERVICE) == ()


def test_names_that_go_in_circles_end() -> None:
    circle = packet(record(b"\xc0\x0c", 12, b"\xc0\x0c"), answers=1)
    chain = packet(record(b"\x3f" + b"a" * 63 + b"\xc0\x0c", 12, b"\0"), answers=1)
    assert announced([circle, chain], LLRP_SERVICE) == ()


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_any_packet_is_taken(packets: list[bytes]) -> None:
    announced(packets, LLRP_SERVICE)


@given(st.data())
def test_a_bent_answer_is_taken_and_a_cut_one_says_less(data: st.DataObject) -> None:
    whole = reader()
    cut = data.draw(st.integers(0, len(whole)))
    for one in announced([whole[:cut]], LLRP_SERVICE):
        assert one.name == INSTANCE
        assert set(one.addresses) <= set(FOUND.addresses)
    at, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    announced([whole[:at] + bytes((byte,)) + whole[at + 1 :]], LLRP_SERVICE)


async def test_asking_over_a_socket() -> None:
    heard: list[bytes] = []

    class Responder(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            heard.append(data)
            for one in (b"rubbish", reader()):
                self.transport.sendto(one, addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Responder, local_addr=("127.0.0.1", 0))
    try:
        to = transport.get_extra_info("sockname")
        found = await ask(to=to, wait_s=0.5, interfaces=[socket.if_nametoindex("lo")])
    finally:
        transport.close()
    assert found == (FOUND,)
    assert heard == [query(LLRP_SERVICE)]


async def test_a_silent_network_and_answers_without_end() -> None:
    answers = mdns._Answers()
    for _ in range(mdns.ANSWERS_MAX + 10):
        answers.datagram_received(b"x", None)
    assert len(answers.packets) == mdns.ANSWERS_MAX
    assert await ask(to=("127.0.0.1", 9), wait_s=0.05, interfaces=[999_999]) == ()
