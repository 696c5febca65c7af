"""Clients that hang up and call again at once, and two readers of one shop."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from simulated import free_port

from drivers.sim.actions import Rung
from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.tagging import Reader
from drivers.sim.tags import RADIOS, TagField
from drivers.sim.tcp_ports import TcpServerPort
from drivers.sim.till import till_of
from drivers.sim.truth import Opening
from gateway.domain.settings import DeviceSettings

HOST = "127.0.0.1"
GTIN = "06901234500011"
OPENING = [Opening("a1", GTIN, 20_000)]
CONNECTED = bytes.fromhex("043f")


def _call(number: int) -> socket.socket:
    return socket.create_connection((HOST, number), timeout=5.0)


def test_a_reader_greets_whoever_calls_however_soon_after_the_last_one() -> None:
    number = free_port()
    field = TagField({1: "a1"}, RADIOS["quiet"], 1)
    talker = LlrpReader(1, field, reader_id="0016250100000001")
    port = TcpServerPort(HOST, number)
    port.busy = talker.refusal
    reader = Reader("rfid", port, field, talker)
    port.plug()
    try:
        for tick in range(5):
            # the one before has hung up, and both fall between two looks of the reader
            with closing(_call(number)) as client:
                reader.tick(tick * 0.02)
                assert client.recv(1000)[:2] == CONNECTED
    finally:
        port.unplug()


@pytest.mark.parametrize("calls", [1, 3])
def test_a_till_says_its_last_receipt_to_whoever_calls_however_soon(calls: int) -> None:
    number = free_port()
    till = till_of(DeviceSettings("pos", "pos_lines", f"tcp://{HOST}:{number}", "till-1"), "day")
    assert till is not None
    till.port.plug()
    try:
        till.ring(Rung(0, "pos", 7, 1, GTIN, "sale"))
        for _ in range(calls):
            with closing(_call(number)) as gateway:
                till.tick(0.0)
                assert gateway.recv(1000).startswith(b'{"receipt":"day-R0007","line":1,')
    finally:
        till.port.unplug()


def test_two_readers_see_the_same_tags_and_stall_each_on_its_own() -> None:
    fields = [TagField({1: "a1"}, RADIOS["L3"], 1, name) for name in ("rfid-a", "rfid-b")]
    for field in fields:
        field.populate(OPENING)
    assert fields[0].tags(1) == fields[1].tags(1) != frozenset()
    stalls = [[field.stalled(at_s) for at_s in range(3600)] for field in fields]
    assert all(any(one) and not all(one) for one in stalls)
    assert stalls[0] != stalls[1]
