"""Each simulated device is set up by the options of its driver, which understands it then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from simulated import free_port

from drivers.sim.actions import Barcode
from drivers.sim.devices import Fleet, Voice
from drivers.sim.layout import layout_of
from drivers.sim.levels import LEVELS
from drivers.sim.scanning import HidScanner, SerialScanner
from drivers.sim.world import World
from gateway import registry
from gateway.domain.reading import Body, Scan, Weight
from gateway.domain.settings import DeviceSettings, ScanSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store

PLATES = ("a1", "a2", "a3")
WITHIN_S = 6.0
NOISE_MG = 8000


def _world(*devices: DeviceSettings) -> tuple[Settings, World]:
    places = (*(Location(p, "shelf") for p in PLATES), Location("till-1", "till"))
    products = tuple(
        Product(f"069012345000{n}{n}", p, unit_mass_mg=100_000 * n) for n, p in enumerate(PLATES, 1)
    )
    planogram = tuple(
        Facing(p, "1", product.gtin, capacity_milli=20_000)
        for p, product in zip(PLATES, products, strict=True)
    )
    settings = Settings(
        StoreSettings("s0001"), scan=ScanSettings("SIM"), location=places, device=devices
    )
    store = Store("s0001", places, products, planogram)
    return settings, World(store, layout_of(settings, store), 1, LEVELS["quiet"])


async def _speak(voice: Voice) -> None:
    loop = asyncio.get_running_loop()
    while True:
        voice.tick(loop.time())
        await asyncio.sleep(voice.every_s)


@asynccontextmanager
async def _heard(device: DeviceSettings, fleet: Fleet) -> AsyncIterator[AsyncIterator[Body]]:
    """What the real driver reads from a device that is plugged in."""
    driver = registry.load(device.driver)
    options = registry.build_options(driver, device.options)
    fleet.ports[device.id].plug()
    voices = [asyncio.create_task(_speak(voice)) for voice in fleet.voices]
    link = await registry.open_port(driver, device.link, options)
    try:
        async with aclosing(driver.read(link, options)) as bodies:
            yield bodies
    finally:
        link.close()
        fleet.ports[device.id].unplug()
        for voice in voices:
            voice.cancel()


def _device(folder: Path, scheme: str, driver: str, options: dict[str, Any]) -> DeviceSettings:
    link = f"{scheme}://{folder}/port"
    if scheme == "tcp":
        link = f"tcp://127.0.0.1:{free_port()}"
    return DeviceSettings("d1", driver, link, "a1", options)


ALL = {"1": "a1", "2": "a2", "3": "a3"}
SCALES: list[tuple[str, str, dict[str, Any]]] = [
    ("serial", "scale_sics", {}),
    ("tcp", "scale_sics", {"command": "SI", "rate_hz": 10}),
    ("serial", "scale_8217", {}),
    ("tcp", "scale_8217", {"command": "H", "decimals": 4, "rate_hz": 10}),
    ("serial", "scale_8217", {"unit": "lb"}),
    ("serial", "scale_line", {}),
    ("tcp", "scale_line", {"preset": "and"}),
    ("serial", "scale_line", {"preset": "and", "poll": r"Q\r\n"}),
    ("serial", "scale_line", {"preset": "cas"}),
    ("serial", "scale_line", {"preset": "ohaus"}),
    ("serial", "scale_line", {"preset": "sbi", "poll": r"\x1bP"}),
    ("serial", "scale_line", {"preset": "channels", "channels": ALL}),
    ("tcp", "scale_line", {"preset": "columns", "channels": ALL, "poll": r"W\r\n"}),
    ("serial", "scale_modbus", {}),
    ("serial", "scale_modbus", {"type": "float32", "unit_of_mass": "kg", "words": "little"}),
    ("serial", "scale_modbus", {"unit": 7, "type": "uint16", "function": "input", "register": 30}),
    ("serial", "scale_modbus", {"channels": {"3": "a1", "9": "a2"}}),
    ("tcp", "scale_modbus",
     {"framing": "tcp", "channels": ALL, "channel_by": "register", "channel_stride": 4,
      "status_register": 2, "status_bits": {"stable": "0", "over": "1"}, "scale_mg": 100}),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "driver", "options"), SCALES)
async def test_a_scale_says_what_lies_on_each_of_its_plates(
    tmp_path: Path, scheme: str, driver: str, options: dict[str, Any]
) -> None:
    device = _device(tmp_path, scheme, driver, options)
    settings, world = _world(device)
    fleet = Fleet(settings, world, LEVELS["quiet"], seed=1)
    assert fleet.left_out == []
    plates = options.get("channels", {"": "a1"})
    assert set(fleet.plates) == set(plates.values()) == set(world.layout.weighed)
    shown: dict[str, int] = {}
    async with _heard(device, fleet) as bodies, asyncio.timeout(WITHIN_S):
        async for body in bodies:
            if isinstance(body, Weight) and not body.flags:
                shown[str(body.channel) if "channels" in options else ""] = body.mass_mg
            if len(shown) == len(plates):
                break
    for channel, place in plates.items():
        assert shown[channel] == pytest.approx(world.load_g(place) * 1000, abs=NOISE_MG)


SCANNERS: list[tuple[str, str, dict[str, Any]]] = [
    ("serial", "scanner_serial", {}),
    ("tcp", "scanner_serial", {"terminator": "tab", "aim": True}),
    ("evdev", "scanner_hid", {"layout": "us"}),
    ("evdev", "scanner_hid", {"layout": "gb", "aim": True}),
    ("evdev", "scanner_hid", {"layout": "de", "caps_lock": True, "aim": True}),
    ("evdev", "scanner_hid", {"layout": "fr", "terminator": "tab", "aim": True}),
    ("evdev", "scanner_hid", {"layout": "cn", "terminator": "any"}),
]


@pytest.mark.parametrize(("scheme", "driver", "options"), SCANNERS)
async def test_a_scanner_says_what_is_on_the_label(
    tmp_path: Path, scheme: str, driver: str, options: dict[str, Any]
) -> None:
    device = _device(tmp_path, scheme, driver, options)
    settings, world = _world(device)
    fleet = Fleet(settings, world, LEVELS["quiet"], seed=1)
    scanner = fleet.scanners["d1"]
    assert isinstance(scanner, SerialScanner | HidScanner)
    labels = [Barcode("SIMMODE:restock", "]C0"), Barcode("4006381333931", "]E0")]
    if options.get("aim"):
        labels.append(Barcode("010400638133393110aB-1\x1d21Z", "]d2"))
    loop, scans = asyncio.get_running_loop(), []
    async with _heard(device, fleet) as bodies, asyncio.timeout(WITHIN_S):
        for label in labels:
            scanner.beam(label, loop.time(), loop.call_later)
        async for body in bodies:
            assert isinstance(body, Scan), body
            scans.append((body.data, body.aim))
            if len(scans) == len(labels):
                break
    assert scans == [(lab.text, lab.aim if options.get("aim") else None) for lab in labels]


@pytest.mark.parametrize(
    ("scheme", "driver", "options", "why"),
    [
        ("serial", "scale_8217", {"unit": "oz"}, "kg or lb"),
        ("serial", "scale_8217", {"decimals": 1}, "3 decimals"),
        ("serial", "scale_line", {"pattern": r"(?P<mass>\d+)"}, "pattern"),
        ("serial", "scale_line", {"preset": "channels"}, "no channels"),
        ("serial", "scale_line", {"preset": "and", "channels": ALL}, "one plate"),
        ("serial", "scale_line", {"preset": "cas", "poll": r"W\r"}, "know no command"),
        ("serial", "scale_line", {"preset": "and", "poll": "Q"}, "end of a line"),
        ("serial", "scale_modbus", {"preset": "laumas"}, "laumas"),
        ("serial", "scale_modbus", {"status_bits": {"stable": "5"}}, "status bits"),
        ("serial", "scale_modbus", {"channels": {"1": "a1", "2": "a1"}}, "under one place"),
        ("mqtt", "rfid_json", {}, "mqtt"),
        ("rtsp", "camera", {}, "no voice"),
    ],
)
def test_what_cannot_be_simulated_is_left_out_with_its_reason(
    tmp_path: Path, scheme: str, driver: str, options: dict[str, Any], why: str
) -> None:
    settings, world = _world(_device(tmp_path, scheme, driver, options))
    fleet = Fleet(settings, world, LEVELS["quiet"], seed=1)
    ((device, reason),) = fleet.left_out
    assert device == "d1"
    assert why in reason
    assert (fleet.ports, fleet.voices, fleet.plates) == ({}, [], {})


def test_a_second_scale_under_a_place_and_a_strange_address_are_left_out() -> None:
    settings, world = _world(
        DeviceSettings("one", "scale_sics", "serial:///nowhere/1", "a1"),
        DeviceSettings("two", "scale_sics", "serial:///nowhere/2", "a1"),
        DeviceSettings("far", "scanner_serial", "tcp://192.0.2.1:4001", "till-1"),
    )
    fleet = Fleet(settings, world, LEVELS["quiet"], seed=1)
    assert list(fleet.ports) == ["one"]
    assert dict(fleet.left_out) == {
        "two": "another scale lies under a1",
        "far": "192.0.2.1 is no address of this machine",
    }
