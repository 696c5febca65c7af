"""Simulated devices on the network: called or calling, pulled and put back, never waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from simulated import free_port

from drivers.sim.ports import PortRefused
from drivers.sim.tcp_ports import TcpCallerPort, TcpServerPort, listens_here

HOST = "127.0.0.1"


def _until(true: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def _call(number: int) -> socket.socket:
    return socket.create_connection((HOST, number), timeout=5.0)


def _heard_by(port: TcpServerPort | TcpCallerPort, count: int) -> bytes:
    got = b""

    def enough() -> bool:
        nonlocal got
        got += port.read()
        return len(got) >= count

    _until(enough)
    return got


def test_a_called_device_speaks_and_hears_whoever_calls_one_after_the_other() -> None:
    number = free_port()
    port = TcpServerPort(HOST, number)
    assert port.where == f"{HOST}:{number}"
    port.plug()
    port.plug()
    assert not port.heard()
    port.write(b"to nobody")
    for _ in range(3):
        with _call(number) as caller:
            _until(port.heard)
            port.write(b"S S\r\n")
            assert caller.recv(100) == b"S S\r\n"
            caller.sendall(b"SI\r\n")
            assert _heard_by(port, 4) == b"SI\r\n"
        _until(lambda: not port.heard())
    assert port.dropped_bytes == len(b"to nobody")
    port.unplug()


def test_a_second_caller_waits_or_is_told_that_the_device_is_busy() -> None:
    number = free_port()
    port = TcpServerPort(HOST, number)
    port.plug()
    with _call(number) as first, _call(number) as second:
        _until(port.heard)
        port.write(b"one")
        assert first.recv(10) == b"one"
        first.close()
        port.read()
        port.write(b"two")
        assert second.recv(10) == b"two"
        port.busy = lambda: b"busy"
        with _call(number) as third:
            _until(port.heard)
            assert third.recv(10) == b"busy"
            assert third.recv(10) == b""
        port.write(b"still here")
        assert second.recv(20) == b"still here"
    port.unplug()


def test_a_pulled_listener_hangs_up_refuses_and_comes_back_at_its_address() -> None:
    number = free_port()
    port = TcpServerPort(HOST, number)
    for _ in range(5):
        port.plug()
        with _call(number) as caller:
            _until(port.heard)
            port.unplug()
            port.unplug()
            assert caller.recv(10) == b""
        assert not port.heard()
        assert port.read() == b""
        with pytest.raises(ConnectionRefusedError):
            _call(number)


def test_a_caller_who_sleeps_costs_bytes_but_never_half_a_line() -> None:
    number = free_port()
    port = TcpServerPort(HOST, number)
    port.plug()
    line = b"S S     12.345 kg\r\n" * 50
    with _call(number) as caller:
        _until(port.heard)
        while not port.dropped_bytes:
            port.write(line)
        assert port.dropped_bytes % len(line) == 0
        caller.settimeout(0.2)
        heard = b""
        try:
            while True:
                heard += caller.recv(1 << 20)
        except TimeoutError:
            port.write(line)
        caller.settimeout(5.0)
        heard += caller.recv(1 << 20)
        assert set(heard.split(b"\r\n")[:-1]) == {b"S S     12.345 kg"}
    port.unplug()


def test_a_taken_address_is_refused_and_named() -> None:
    with closing(socket.create_server((HOST, 0))) as other:
        number = other.getsockname()[1]
        with pytest.raises(PortRefused, match=f"{HOST}:{number}"):
            TcpServerPort(HOST, number).plug()
    assert listens_here(HOST)
    assert not listens_here("192.0.2.1")


def test_a_calling_device_calls_until_somebody_answers_and_again_after_its_plug() -> None:
    number = free_port()
    port = TcpCallerPort("0.0.0.0", number)
    assert port.where == f"{HOST}:{number}"
    assert not port.heard()
    port.plug()
    port.write(b"to nobody")
    assert port.dropped_bytes == len(b"to nobody")
    with closing(socket.create_server((HOST, number))) as listener:
        listener.settimeout(5.0)
        for _ in range(2):
            port.plug()
            _until(port.heard)
            answered = listener.accept()[0]
            port.write(b"line\n")
            assert answered.recv(10) == b"line\n"
            answered.close()
            _until(lambda: not port.heard() or port.read())
            _until(port.heard)
            answered = listener.accept()[0]
            port.unplug()
            assert answered.recv(10) == b""
            answered.close()
            assert not port.heard()
