"""`stockd devices list`, `probe` and `bind`: what is printed, what is written, exit statuses."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from usb_tree import Machine, Plug

from drivers import _hardware
from drivers.sim.ports import PtyPort
from gateway.cli import main
from gateway.discover import mdns, plugged, rules
from gateway.registry import open_link

STORE = """\
[store]
id = "s0001"
[[location]]
id = "a1"
kind = "shelf"
[[location]]
id = "a2"
kind = "shelf"
[[location]]
id = "dock"
kind = "receiving"
[[device]]
id = "scale-a1"
driver = "scale_sics"
link = "serial://{dev}/ttyUSB0?baud=4800"
location = "a1"
[[device]]
id = "scale-a2"
driver = "scale_sics"
link = "serial://{dev}/store/scale-a2"
location = "a2"
[[device]]
id = "scan-dock"
driver = "scanner_hid"
link = "evdev://{dev}/input/by-id/usb-Symbol_Scanner-event-kbd"
location = "dock"
[[device]]
id = "scan-net"
driver = "scanner_serial"
link = "tcp://192.168.1.30:5084"
location = "dock"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(_hardware, "SYS", made.sys)
    monkeypatch.setattr(_hardware, "DEV", made.dev)
    (tmp_path / "products.csv").write_text("gtin,name\n", "utf-8")
    (tmp_path / "planogram.csv").write_text("location,gtin\n", "utf-8")
    (tmp_path / "store.toml").write_text(STORE.format(dev=made.dev), "utf-8")
    monkeypatch.setenv("STOCKD_CONFIG", str(tmp_path / "store.toml"))
    return made


@pytest.fixture
def shop(machine: Machine) -> Machine:
    machine.plug("1-1", Plug("ttyUSB0", serial="A5XK3RJT"))
    machine.plug("1-2", Plug("ttyUSB1"))
    scanner = Plug("event5", vendor="05e0", product="1200", maker="Symbol", model="Scanner")
    machine.plug("1-3", scanner)
    return machine


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    said = capsys.readouterr()
    return said.out, said.err


def json(capsys: pytest.CaptureFixture[str], *command: str, status: int = 0) -> Any:
    assert main([*command, "--json"]) == status
    return msgspec.json.decode(told(capsys)[0])


def test_list_says_whose_each_thing_is(shop: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    seen = json(capsys, "devices", "list")
    assert [(Path(one["hardware"]["path"]).name, one["device"]) for one in seen["plugged"]] == [
        ("ttyUSB0", "scale-a1"), ("ttyUSB1", ""), ("event5", "scan-dock"),
    ]  # fmt: skip
    assert "vendor id of Zebra" in seen["plugged"][2]["hint"]
    assert {one["device"]: one["state"] for one in seen["configured"]} == {
        "scale-a1": "plugged_in", "scale-a2": "missing",
        "scan-dock": "plugged_in", "scan-net": "elsewhere",
    }  # fmt: skip
    assert seen["readers"] is None
    assert main(["devices", "list"]) == 0
    out, _ = told(capsys)
    assert "0403:6001 FTDI FT232R USB UART, serial A5XK3RJT   = scale-a1" in out
    assert "no serial number" in out
    assert "missing 缺失: scale-a2 at a2" in out


def test_list_of_nothing_and_without_a_configuration(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKD_CONFIG", str(machine.dev / "no.toml"))
    assert main(["devices", "list"]) == 0
    out, err = told(capsys)
    assert "Nothing is plugged in" in out
    assert err == ""
    assert main(["devices", "list", "--config", "no.toml"]) == 2


def test_list_with_a_broken_configuration_goes_on(
    shop: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store.toml").write_text("[store]\n", "utf-8")
    assert main(["devices", "list"]) == 0
    out, err = told(capsys)
    assert "ttyUSB0" in out
    assert "going on without it" in err


def test_list_asks_the_network_only_when_told(
    shop: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = mdns.Announced("Dock", "fx9600.local", 5084, ("192.168.1.30",))
    asked = 0

    async def ask() -> tuple[mdns.Announced, ...]:
        nonlocal asked
        asked += 1
        return (reader,)

    monkeypatch.setattr(mdns, "ask", ask)
    json(capsys, "devices", "list")
    assert asked == 0
    (found,) = json(capsys, "devices", "list", "--network")["readers"]
    assert (found["announced"]["name"], found["device"]) == ("Dock", "scan-net")
    main(["devices", "list", "--network"])
    assert "192.168.1.30:5084   Dock   = scan-net" in told(capsys)[0]


def test_bind_prints_rules_on_stdout_and_advice_on_stderr(
    shop: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "bind"]) == 1  # scale-a2 is nowhere
    out, err = told(capsys)
    assert [one.device for one in rules.bindings(out)] == ["scale-a1", "scan-dock"]
    assert 'scale-a1: link = "serial:///dev/store/scale-a1?baud=4800"' in err
    assert 'scan-dock: link = "evdev:///dev/store/scan-dock"' in err
    assert "scale-a2: missing, not plugged in; name its port: stockd devices bind" in err


def test_bind_writes_once_and_keeps_what_is_away(
    shop: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "60-stockd.rules"
    write = ("--write", str(file))
    done = json(capsys, "devices", "bind", "scale-a2", str(shop.dev / "ttyUSB1"), *write)
    assert [(one["device"], one["state"]) for one in done["devices"]] == [
        ("scale-a1", "bound"), ("scale-a2", "bound"), ("scan-dock", "bound"),
    ]  # fmt: skip
    assert "must stay in this socket" in done["devices"][1]["text"]
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o644
    before = file.stat().st_ino
    assert json(capsys, "devices", "bind", *write)["devices"][1]["state"] == "kept"
    assert (file.read_bytes(), file.stat().st_ino) == (first, before)
    shop.unplug("ttyUSB0")
    shop.unplug("event5")
    done = json(capsys, "devices", "bind", *write)
    assert [one["state"] for one in done["devices"]] == ["kept", "kept", "kept"]
    assert file.read_bytes() == first
    # the replacement, named by hand, takes lines and socket over
    shop.plug("1-1", Plug("ttyUSB3", serial="NEW1NEW2"))
    done = json(capsys, "devices", "bind", "scale-a1", str(shop.dev / "ttyUSB3"), *write)
    assert done["written"]
    assert b"A5XK3RJT" not in file.read_bytes()
    assert b"NEW1NEW2" in file.read_bytes()
    assert list(tmp_path.glob(".*.new")) == []


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (("scale-b1", "ttyUSB0"), 2, 'did you mean "scale-a1"?'),
        (("scale-a1",), 2, "give DEVICE and PORT"),
        (("scale-a1", "ttyUSB77"), 3, "is not plugged in"),
        (("--write", "scale-a1"), 2, "put it last"),
        (("--write", "/nowhere/60-stockd.rules"), 3, "cannot write"),
    ],
)
def test_bind_says_what_is_wrong(
    shop: Machine,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    assert main(["devices", "bind", *command]) == status
    assert says in told(capsys)[1]


def test_bind_without_the_right_names_the_command_of_root(
    shop: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refused)  # this test may run as root
    assert main(["devices", "bind", "--write"]) == 3
    err = told(capsys)[1]
    assert "needs root: sudo" in err
    assert "devices bind --write /etc/udev/rules.d/60-stockd.rules" in err
    assert f"--config {os.environ['STOCKD_CONFIG']}" in err


class Holder:
    """A program that has a port open, as a daemon has."""

    def __init__(self, path: Path) -> None:
        self._stop = threading.Event()
        self._open = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold(path)))
        self._thread.start()
        assert self._open.wait(10)

    async def _hold(self, path: Path) -> None:
        link = await open_link(f"serial://{path}")
        self._open.set()
        await asyncio.to_thread(self._stop.wait)
        link.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


@pytest.fixture
def held(machine: Machine) -> Iterator[PtyPort]:
    port = PtyPort(machine.dev / "ttyUSB0")
    port.plug()
    holder = Holder(port.path)
    yield port
    holder.close()
    port.unplug()


@pytest.mark.skipif(not plugged.LOCKS.exists(), reason="this kernel does not list its locks")
def test_probe_leaves_a_port_in_use_alone(
    held: PtyPort, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = json(capsys, "devices", "probe", str(held.path))
    assert (found["outcome"], found["device"]) == ("in_use", "scale-a1")
    assert main(["devices", "probe", str(held.path)]) == 0
    assert "in use by stockd as scale-a1" in told(capsys)[0]
    text = STORE.replace("{dev}/ttyUSB0", "/dev/elsewhere").format(dev=machine.dev)
    Path(os.environ["STOCKD_CONFIG"]).write_text(text, "utf-8")
    assert main(["devices", "probe", str(held.path)]) == 3
    assert "another program has it" in told(capsys)[0]
    assert held.read() == b""


def test_probe_of_what_names_itself_opens_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.plug("1-1", Plug("ttyACM0", maker="u-blox AG", model="u-blox 7 - GPS/GNSS Receiver"))
    assert main(["devices", "probe"]) == 0
    out, _ = told(capsys)
    assert "foreign   a GPS receiver by its own words: not opened" in out


def test_probe_exit_statuses(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "probe"]) == 1
    assert "No serial port is plugged in" in told(capsys)[0]
    assert main(["devices", "probe", str(machine.dev / "ttyUSB9")]) == 3
    assert "not plugged in" in told(capsys)[0]
    assert main(["devices", "probe", "--network", "host/path"]) == 2
    assert main(["devices", "probe", "serial:///dev/x?bud=1"]) == 2
    assert main(["devices", "probe", "--network", "127.0.0.1:1"]) == 3


def test_probe_tells_what_it_does_when_it_takes_long(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    port = PtyPort(machine.dev / "silent")
    port.plug()
    assert main(["devices", "probe", "--limit", "3", str(port.path)]) == 1
    out, err = told(capsys)
    assert "silent   nothing we know within 3 s" in out
    assert f"{port.path}: asks as" in err
    assert "listens" not in err
    port.unplug()
