"""A port that listens: callers one after the other, and where the bytes of each end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from drivers import pos_lines
from drivers._port import BUFFER_MAX_BYTES
from drivers.base import DeviceLost, DeviceMisconfigured, Link
from drivers.link import open_link
from gateway.domain.reading import PosLine

LINE = b'{"receipt":"R1","line":%d,"gtin":"6901234500011","qty":1,"action":"sale"}'


@pytest.fixture
async def port() -> AsyncIterator[tuple[Link, int]]:
    number = free_port()
    link = await open_link(f"tcp://127.0.0.1:{number}", listen=True)
    yield link, number
    link.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def call(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5)


async def read(link: Link) -> bytes:
    return await asyncio.wait_for(link.read(), 5)


async def test_callers_are_heard_in_turn_and_each_end_is_told(port: tuple[Link, int]) -> None:
    link, number = port
    with call(number) as first, call(number) as second:
        second.sendall(b"two")
        first.sendall(b"one")
        assert await read(link) == b"one"
        assert await link.read_within(30) is None  # the second waits, however long it has spoken
        first.close()
        assert await read(link) == b""
        assert await read(link) == b"two"
    assert await read(link) == b""
    with call(number) as third:
        third.sendall(b"three")
        assert await link.read_within(5_000) == b"three"


async def test_last_bytes_come_before_the_end_even_of_a_reset(port: tuple[Link, int]) -> None:
    link, number = port
    with call(number) as caller:
        caller.sendall(b"last")
        assert await read(link) == b"last"
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert await link.read_within(5_000) == b""


async def test_a_slow_driver_holds_the_caller_back(port: tuple[Link, int]) -> None:
    link, number = port
    data = os.urandom(BUFFER_MAX_BYTES * 3 + 5)
    loop = asyncio.get_running_loop()
    with call(number) as caller:
        sent = loop.run_in_executor(None, caller.sendall, data)
        heard = b""
        while len(heard) < len(data):
            chunk = await read(link)
            assert len(chunk) <= BUFFER_MAX_BYTES
            heard += chunk
        await sent
        assert heard == data


async def test_a_listening_port_answers_its_caller_and_nobody(port: tuple[Link, int]) -> None:
    link, number = port
    link.write(b"into the void")
    with call(number) as caller:
        caller.sendall(b"?")
        await read(link)
        link.write(b"!")
        assert await asyncio.get_running_loop().run_in_executor(None, caller.recv, 9) == b"!"


async def test_closed_while_somebody_calls(port: tuple[Link, int]) -> None:
    link, number = port
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not files
    with call(number) as caller:
        caller.sendall(b"?")
        await read(link)
        link.close()
        link.close()
        with pytest.raises(DeviceLost):
            await link.read()
    assert len(os.listdir("/proc/self/fd")) < before  # noqa: PTH208
    again = await open_link(f"tcp://127.0.0.1:{number}", listen=True)
    again.close()


async def test_two_cannot_listen_at_one_address(port: tuple[Link, int]) -> None:
    with pytest.raises(DeviceLost, match=r"another program has it|in use"):
        await open_link(f"tcp://127.0.0.1:{port[1]}", listen=True)


async def test_an_address_of_another_machine_names_the_remedy() -> None:
    with pytest.raises(DeviceMisconfigured, match=r"0\.0\.0\.0"):
        await open_link("tcp://192.0.2.1:9100", listen=True)


async def test_a_till_that_calls_once_a_receipt(port: tuple[Link, int]) -> None:
    link, number = port
    lines = pos_lines.read(link, pos_lines.Options(listen=True))
    for n in (1, 2):
        with call(number) as till:
            till.sendall(LINE % n)  # no line feed: the end of the call ends the line
        said = await asyncio.wait_for(anext(lines), 5)
        assert said == PosLine("R1", n, "6901234500011", 1000, "sale")
