"""Which hardware is behind a port: a machine's /sys and /dev in a folder, read by us."""

from __future__ import annotations

import os
import time
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usb_tree import CONSUMER, Machine, Plug, write

from drivers import _hardware
from drivers._hardware import Usb, identity, plugged_in, tells_apart
from drivers.link import open_link


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_serial_adapter_with_all_its_names(machine: Machine) -> None:
    machine.plug("1-1.2", Plug("ttyUSB0", serial="A5XK3RJT"))
    (port,) = plugged_in(machine.sys, machine.dev)
    assert (port.kind, port.path, port.node) == ("serial", str(machine.dev / "ttyUSB0"), True)
    assert port.usb == Usb(
        "0403", "6001", "FTDI", "FT232R USB UART", "A5XK3RJT", place="1-1.2", interface="00"
    )
    assert [Path(name).name for name in port.by_id] == [
        "usb-FTDI_FT232R_USB_UART_A5XK3RJT-if00-port0"
    ]
    assert [Path(name).name for name in port.by_path] == [
        "pci-0000:00:14.0-usb-0:1.2:1.0-port0",
        "pci-0000:00:14.0-usbv2-0:1.2:1.0-port0",
    ]


def test_only_ports_that_a_board_has(machine: Machine) -> None:
    machine.board("ttyS0", "4")
    machine.board("ttyS1", "0")
    machine.board("ttyAMA0", "32")
    (machine.sys / "class" / "tty" / "tty1").mkdir()
    write(machine.sys / "class" / "tty" / "tty1", dev="4:1")
    (machine.sys / "class" / "tty" / "console").mkdir()
    write(machine.sys / "class" / "tty" / "console", active="tty0 ttyS0")
    found = plugged_in(machine.sys, machine.dev)
    assert [Path(one.path).name for one in found] == ["ttyAMA0", "ttyS0"]
    assert [one.console for one in found] == [False, True]
    assert [one.usb for one in found] == [None, None]


def test_ports_in_the_order_of_their_numbers(machine: Machine) -> None:
    for number in (10, 2, 1):
        machine.plug(f"1-{number}", Plug(f"ttyUSB{number}"))
    names = [Path(one.path).name for one in plugged_in(machine.sys, machine.dev)]
    assert names == ["ttyUSB1", "ttyUSB2", "ttyUSB10"]


def test_a_scanner_that_types_and_its_other_keys(machine: Machine) -> None:
    scanner = {"vendor": "05e0", "product": "1200", "maker": "Symbol", "model": "Bar Code Scanner"}
    machine.plug("1-3", Plug("event5", **scanner))
    machine.plug("1-3", Plug("event6", **scanner, interface=1, keys=CONSUMER))
    keyboard, buttons = plugged_in(machine.sys, machine.dev)
    assert (keyboard.kind, keyboard.keyboard, buttons.keyboard) == ("input", True, False)
    assert keyboard.name == "Symbol Bar Code Scanner"
    assert keyboard.usb is not None
    assert keyboard.usb.identity == "usb:05e0:1200"


def test_a_container_sees_hardware_without_its_node(machine: Machine) -> None:
    node = machine.plug("1-1", Plug("ttyUSB0"))
    node.unlink()
    assert [one.node for one in plugged_in(machine.sys, machine.dev)] == [False]
    assert plugged_in(machine.sys / "nothing", machine.dev) == ()


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        ("A5XK3RJT", "usb:0403:6001:A5XK3RJT"),
        ("S/N: 12 Rev B", "usb:0403:6001:S/N:_12_Rev_B"),
        ("", "usb:0403:6001"),
        ("0001", "usb:0403:6001"),
        ("0123456789", "usb:0403:6001"),
        ("00000000", "usb:0403:6001"),
        ("FFFFFFFF", "usb:0403:6001"),
        ('A"B', "usb:0403:6001"),
        ("序列号", "usb:0403:6001"),
    ],
)
def test_identity(machine: Machine, serial: str, expected: str) -> None:
    machine.plug("1-1.2", Plug("ttyUSB0", serial=serial))
    assert identity(os.makedev(188, 0), machine.sys) == expected


def test_identity_moves_with_the_device_and_not_with_the_socket(machine: Machine) -> None:
    machine.plug("1-1", Plug("ttyUSB0", serial="A5XK3RJT"))
    machine.plug("1-2", Plug("ttyUSB1", serial="B7"))
    machine.plug("2-4", Plug("ttyUSB2", serial="A5XK3RJT"))
    told = [identity(os.makedev(188, minor), machine.sys) for minor in range(3)]
    assert told == ["usb:0403:6001:A5XK3RJT", "usb:0403:6001:B7", "usb:0403:6001:A5XK3RJT"]


def test_identity_of_what_is_on_no_usb_or_gone(machine: Machine) -> None:
    machine.board("ttyS0", "4")
    assert identity(os.makedev(188, 0), machine.sys) == ""
    assert identity(os.makedev(188, 9), machine.sys) == ""
    assert identity(os.makedev(188, 9), machine.sys / "nothing") == ""


def test_identity_is_cheap(machine: Machine) -> None:
    machine.plug("1-1.2.3", Plug("ttyUSB0", serial="A5XK3RJT"))
    best_ns = min(_timed(machine) for _ in range(20))
    assert best_ns < 1_000_000


def _timed(machine: Machine) -> int:
    begun = time.perf_counter_ns()
    identity(os.makedev(188, 0), machine.sys)
    return time.perf_counter_ns() - begun


async def test_an_open_link_says_which_hardware_it_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    device = os.fstat(slave).st_rdev
    url = f"serial://{os.ttyname(slave)}"
    try:
        link = await open_link(url)
        assert link.identity == ""
        link.close()
        number = os.major(device), os.minor(device)
        machine.plug("1-4", Plug("ttyUSB0", serial="A5XK3RJT", number=number))
        monkeypatch.setattr(_hardware, "SYS", machine.sys)
        link = await open_link(url)
        assert link.identity == "usb:0403:6001:A5XK3RJT"
        link.close()
    finally:
        os.close(slave)
        os.close(master)


@given(st.text(max_size=20))
def test_any_serial_number_is_judged(serial: str) -> None:
    if tells_apart(serial):
        assert serial.isascii()
        assert not set(serial) & set('"\\*?[]|$%{}\n')
        assert len(set(serial)) > 1
