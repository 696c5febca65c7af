"""A store with one device of every driver: simulator and daemon, real bytes, a book that is true.

The daemon has no ledger; what it must book is known from the simulator alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated import Device, Simulated, until, write_store

from gateway import registry

PLACES = (
    ("dock", "receiving"),
    *((f"a{number}", "shelf") for number in range(1, 7)),
    ("till-1", "till"),
    ("till-2", "till"),
)
DEVICES = (
    Device("scale-a1", "scale_sics", "serial", "a1"),
    Device("scale-a2", "scale_8217", "serial", "a2"),
    Device("scale-a3", "scale_line", "tcp", "a3",
           {"preset": "channels", "channels": {"1": "a3", "2": "a4"}}),
    Device("scale-a5", "scale_modbus", "tcp", "a5",
           {"framing": "tcp", "channels": {"1": "a5", "2": "a6"}}),
    Device("scan-dock", "scanner_hid", "evdev", "dock", {"layout": "de"}),
    Device("scan-till", "scanner_serial", "tcp", "till-1"),
    Device("pos-1", "pos_lines", "tcp", "till-1", {"listen": True}),
    Device("pos-2", "pos_lines", "tcp", "till-2"),
    Device("rfid-a", "rfid_llrp", "tcp", "a1", {"antennas": {"1": "a1", "2": "a2"}}),
    Device("rfid-b", "rfid_json", "tcp", "a3"),
)  # fmt: skip
LISTENS = "pos-1"
"""The gateway listens for it: its port is up whether or not the till has called."""
SEED = 62
"""Both tills are busy soon."""
AWAY_S = 1.5
"""Long enough away that the daemon tries once a second."""
BACK_S = 2.0
SCHEDULING_S = 1.0
"""What a loaded machine may add to a promise."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder: Path = tmp_path_factory.mktemp("every")
    shop = Simulated(write_store(folder, PLACES, DEVICES))
    try:
        shop.start(seed=SEED)
        shop.count_opening()
        shop.order("go")
        yield shop
    finally:
        shop.close()


def moves(shop: Simulated, what: str) -> list[dict[str, Any]]:
    return [line for line in shop.told if line.get("what") == what]


def booked(shop: Simulated, kind: str) -> list[dict[str, Any]]:
    return [event for event in shop.events() if event["kind"] == kind]


def test_every_driver_is_there_and_found_where_the_table_says(shop: Simulated) -> None:
    assert {device.driver for device in DEVICES} == set(registry.driver_names())
    table = next(line["devices"] for line in shop.told if "devices" in line)
    assert [row["device"] for row in table] == [device.name for device in DEVICES]
    config = shop.config.read_text("utf-8")
    assert all(row["at"] in config for row in table)
    assert not moves(shop, "note")


@pytest.mark.parametrize(
    ("locale", "head"),
    [("en", "Simulated devices, and where they are:"), ("zh-CN", "模拟设备及其接口：")],
)
def test_people_are_told_where_the_devices_are(tmp_path: Path, locale: str, head: str) -> None:
    config = write_store(tmp_path, PLACES, DEVICES)
    config.write_text(config.read_text("utf-8").replace('"en"', f'"{locale}"'), "utf-8")
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "simulate", "--hold"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(b'{"ready"'):
            assert process.poll() is None
        process.terminate()
        _, said = process.communicate(timeout=20.0)
    table = said.decode("utf-8").splitlines()
    assert table[0] == head
    assert len(table) == 1 + len(DEVICES)
    assert table[1].split() == ["scale-a1", "scale_sics", f"{tmp_path}/ports/scale-a1"]
    assert process.returncode == 0


def test_every_device_says_readings_and_sales_are_booked_once(shop: Simulated) -> None:
    def all_heard() -> bool:
        tills = {event["src"][0]["dev"] for event in booked(shop, "sale")}
        return {"pos-1", "pos-2"} <= tills and all(
            health.readings_total for health in shop.devices().values()
        )

    until(all_heard, "a reading of every device, sales at both tills", 90.0)
    health = shop.devices()
    assert {name: one.garbled for name, one in health.items() if one.garbled} == {}
    assert {name for name, one in health.items() if one.state != "up"} == set()
    sources = [event["src"][0] for event in booked(shop, "sale")]
    assert {source["dev"] for source in sources} == {"pos-1", "pos-2"}
    assert len({source["ref"] for source in sources}) == len(sources)


def test_all_plugs_are_pulled_and_every_sale_is_still_booked_once(shop: Simulated) -> None:
    for device in DEVICES:
        shop.order(f"unplug {device.name}")
    away = {device.name: "down" for device in DEVICES} | {LISTENS: "up"}
    until(lambda: shop.states() == away, "every loss noticed")
    time.sleep(AWAY_S)
    for device in DEVICES:
        shop.order(f"plug {device.name}")
    began_s, took_s = time.monotonic(), dict[str, float]()

    def all_back() -> bool:
        for name, state in shop.states().items():
            if state == "up":
                took_s.setdefault(name, time.monotonic() - began_s)
        return len(took_s) == len(DEVICES)

    until(all_back, "every device back")
    worst = max(took_s, key=lambda name: took_s[name])
    print(f"worst of {len(took_s)}: {worst} up {took_s[worst]:.2f} s after its plug")
    assert took_s[worst] < BACK_S + SCHEDULING_S
    assert [line["device"] for line in moves(shop, "plug")] == [d.name for d in DEVICES]

    sold_after = len(moves(shop, "sale")) + 1
    until(lambda: len(moves(shop, "sale")) >= sold_after, "people go on buying", 60.0)
    truth = shop.truth()
    assert all(row["what"] != "theft" for row in truth["moves"])
    sold = Counter[str]()
    for line in moves(shop, "sale"):
        sold[line["gtin"]] += line["units"]

    def told() -> Counter[str]:
        lines = [line for event in booked(shop, "sale") for line in event["lines"]]
        return Counter({
            gtin: sum(line["d"] for line in lines
                      if (line["loc"], line["gtin"]) == ("@sold", gtin)) // 1000
            for gtin in sold
        })  # fmt: skip

    until(lambda: told() == sold, "each sale booked once")
