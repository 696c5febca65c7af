"""The simulated till: every line once, again after a new connection, its mistakes taken back."""

from __future__ import annotations

import json
import socket
from collections import Counter
from typing import Any

import pytest
from simulated import free_port

from drivers.sim.actions import Beam, Moved, Rung
from drivers.sim.layout import layout_of
from drivers.sim.levels import DEMO, LEVELS
from drivers.sim.script import FOR_EVER_NS, begin
from drivers.sim.till import Till, till_of
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store

MINUTE_NS = 60 * 10**9
SOAP = "06901234500011"


def _device(number: int, listen: bool = False) -> DeviceSettings:
    link = f"tcp://127.0.0.1:{number}"
    return DeviceSettings("pos", "pos_lines", link, "till-1", {"listen": listen})


def _lines(sock: socket.socket, count: int) -> list[dict[str, Any]]:
    heard = b""
    while heard.count(b"\n") < count:
        heard += sock.recv(4096)
    assert heard.endswith(b"\n")
    return [json.loads(line) for line in heard.splitlines()]


def _rung(receipt: int, line: int) -> Rung:
    return Rung(0, "pos", receipt, line, SOAP, "sale")


def test_a_line_is_said_when_somebody_listens_and_the_last_receipt_again_to_the_next() -> None:
    number = free_port()
    till = till_of(_device(number), "20260601-141502")
    assert isinstance(till, Till)
    till.port.plug()
    till.ring(_rung(1, 1))
    till.ring(_rung(2, 1))
    with socket.create_connection(("127.0.0.1", number), timeout=5.0) as gateway:
        till.tick(0.0)
        first, second = _lines(gateway, 2)
        assert first == {
            "receipt": "20260601-141502-R0001",
            "line": 1,
            "gtin": SOAP[1:],
            "qty_milli": 1000,
            "action": "sale",
        }
        assert second["receipt"] == "20260601-141502-R0002"
        till.ring(_rung(2, 2))
        assert [line["line"] for line in _lines(gateway, 1)] == [2]
    till.port.unplug()
    till.tick(1.0)
    till.ring(_rung(2, 3))
    till.port.plug()
    with socket.create_connection(("127.0.0.1", number), timeout=5.0) as gateway:
        till.tick(2.0)
        assert [line["line"] for line in _lines(gateway, 3)] == [1, 2, 3]
    till.port.unplug()
    assert (till.port.dropped_bytes, till.lost_lines) == (0, 0)


def test_a_till_that_calls_the_gateway_says_the_same() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        listener.settimeout(5.0)
        till = Till(_device(listener.getsockname()[1], listen=True), "day")
        till.port.plug()
        till.ring(_rung(7, 1))
        gateway = listener.accept()[0]
        while not till.port.heard():
            till.tick(0.0)
        till.tick(0.0)
        assert _lines(gateway, 1)[0]["receipt"] == "day-R0007"
        gateway.close()
        till.port.unplug()


def _script(level: str, *drivers: str, seed: int = 1) -> list[Any]:
    places = (
        Location("dock", "receiving"),
        Location("a1", "shelf"),
        Location("a2", "shelf"),
        Location("till-1", "till"),
    )
    codes = (SOAP, "06901234500028")
    store = Store(
        "s0001",
        places,
        tuple(Product(code, code, unit_mass_mg=200_000) for code in codes),
        tuple(
            Facing(place, "1", code, capacity_milli=90_000)
            for place, code in zip(("a1", "a2"), codes, strict=True)
        ),
    )
    devices = tuple(
        DeviceSettings(driver, driver, f"tcp://127.0.0.1:{at}", "till-1")
        for at, driver in enumerate(drivers, 1)
    )
    settings = Settings(StoreSettings("s0001"), location=places, device=devices)
    layout = layout_of(settings, store)
    world = begin(store, layout, seed, LEVELS[level], DEMO, 20 * MINUTE_NS)
    return world.until(FOR_EVER_NS)


@pytest.mark.parametrize("drivers", [("pos_lines",), ("scanner_serial", "pos_lines")])
def test_scanner_and_till_lines_tell_of_the_same_sales(drivers: tuple[str, ...]) -> None:
    script = _script("quiet", *drivers)
    sold = Counter(act.gtin for act in script if isinstance(act, Moved) and act.what == "sale")
    rung = [act for act in script if isinstance(act, Rung)]
    assert Counter(act.gtin for act in rung) == sold
    assert {act.what for act in rung} == {"sale"}
    assert sum(sold.values()) > 50
    assert len({(act.receipt, act.line) for act in rung}) == len(rung)
    beams = [act for act in script if isinstance(act, Beam) and not act.echo]
    scanned = Counter("0" + act.barcode.text for act in beams)
    assert scanned == (sold if len(drivers) == 2 else Counter())


def test_what_is_printed_twice_is_taken_back_and_returns_go_to_the_dock() -> None:
    voids = returns = 0
    for seed in range(20):
        script = _script("L3", "scanner_serial", "pos_lines", seed=seed)
        rung = [act for act in script if isinstance(act, Rung)]
        sales = {(act.receipt, act.line): act.gtin for act in rung if act.what == "sale"}
        for act in rung:
            if act.what == "void":
                assert sales[act.receipt, act.line] == act.gtin
        moved = [act for act in script if isinstance(act, Moved) and act.what == "return"]
        assert {act.target for act in moved} <= {"dock"}
        assert len(moved) == sum(act.what == "return" for act in rung)
        paid = sum(isinstance(act, Moved) and act.what == "sale" for act in script)
        voids += len([act for act in rung if act.what == "void"])
        returns += len(moved)
        assert len(sales) - len([act for act in rung if act.what == "void"]) == paid
    assert voids > 5
    assert returns > 5
