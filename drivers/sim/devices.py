"""The simulated devices of a configuration, each with its port: a voice for the world's acts.

Here: which devices can be simulated, and how they turn acts into bytes. Not here: when (`shop`),
what happens (`world`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from drivers.sim.actions import Barcode
from drivers.sim.levels import Level
from drivers.sim.plate import Plate
from drivers.sim.ports import FifoPort, Port, PtyPort
from drivers.sim.scales import SicsScale, range_kg
from drivers.sim.scanners import TERMINATORS, hid_keystrokes, serial_bytes
from drivers.sim.world import World
from gateway.domain.settings import DeviceSettings

RATE_HZ: Final = 20
RATES_HZ: Final = (1, 100)
SERIAL_TEXT_MS: Final = 20
"""A label at 9600 baud."""

Later = Callable[[float, Callable[[bytes], None], bytes], object]
"""Calls a function with bytes after so many seconds, as an event loop does."""


class NotSimulated(Exception):
    """A device that this simulator cannot be; says why."""


class Scale:
    """A scale under one shelf place, on its serial port."""

    def __init__(self, device: DeviceSettings, world: World, level: Level, seed: int) -> None:
        """Raises NotSimulated."""
        full_g = sum(
            home.capacity * world.goods.mean_mg(home.gtin) / 1000.0
            for home in world.homes
            if home.location == device.location
        )
        self.device = device.id
        self.location = device.location
        self.rate_hz = _rate_hz(device)
        self.port: Port = PtyPort(_path(device, "serial"))
        self.plate = Plate(
            level, world.load_g(device.location), Random(f"plate/{seed}/{device.id}")
        )
        self._scale = SicsScale(
            self.plate, range_kg(full_g), self.rate_hz, level.white_g, f"SIM-{device.id}"
        )

    def tick(self, at_s: float) -> None:
        """One sample, and all that the instrument has to say."""
        said = self._scale.tick(at_s, self.port.read())
        if said:
            self.port.write(said)


class Scanner(Protocol):
    """A scanner on its port."""

    device: str
    port: Port

    def beam(self, barcode: Barcode, at_s: float, later: Later) -> None:
        """Reads a label now."""


class SerialScanner:
    """A scanner that sends text and a terminator."""

    def __init__(self, device: DeviceSettings) -> None:
        """Raises NotSimulated."""
        self.device = device.id
        self.port: Port = PtyPort(_path(device, "serial"))
        self._aim = device.options.get("aim") is True
        self._terminator = _terminator(device, "cr")

    def beam(self, barcode: Barcode, at_s: float, later: Later) -> None:
        """Sends the label as one message; `at_s` and `later` are for slower scanners."""
        self.port.write(serial_bytes(barcode, self._aim, self._terminator))


class HidScanner:
    """A scanner that types; a label is typed to its end before the next begins."""

    def __init__(self, device: DeviceSettings, seed: int) -> None:
        """Raises NotSimulated."""
        if str(device.options.get("layout", "us")) != "us":
            raise NotSimulated("the simulated scanner types a US keyboard only")
        self.device = device.id
        self.port: Port = FifoPort(_path(device, "evdev"))
        self._aim = device.options.get("aim") is True
        self._terminator = _terminator(device, "enter")
        self._rng = Random(f"keys/{seed}/{device.id}")
        self._busy_until_s = 0.0

    def beam(self, barcode: Barcode, at_s: float, later: Later) -> None:
        """Types the label, key by key."""
        begin_s = max(at_s, self._busy_until_s)
        strokes = hid_keystrokes(
            barcode, self._aim, self._terminator, round(begin_s * 1e9), self._rng
        )
        for stroke in strokes:
            later(begin_s - at_s + stroke.after_ns / 1e9, self.port.write, stroke.records)
        self._busy_until_s = begin_s + strokes[-1].after_ns / 1e9 + SERIAL_TEXT_MS / 1000.0


def scale_of(device: DeviceSettings, world: World, level: Level, seed: int) -> Scale | None:
    """The scale that a configured device is; None for another kind. Raises NotSimulated."""
    return Scale(device, world, level, seed) if device.driver == "scale_sics" else None


def scanner_of(device: DeviceSettings, seed: int) -> Scanner | None:
    """The scanner that a configured device is; None for another kind. Raises NotSimulated."""
    if device.driver == "scanner_serial":
        return SerialScanner(device)
    return HidScanner(device, seed) if device.driver == "scanner_hid" else None


def _path(device: DeviceSettings, scheme: str) -> Path:
    link = urlsplit(device.link)
    if link.scheme != scheme:
        raise NotSimulated(f"{device.driver} is simulated on {scheme}:// only")
    return Path(unquote(link.path))


def _rate_hz(device: DeviceSettings) -> int:
    rate = device.options.get("rate_hz", RATE_HZ)
    low, high = RATES_HZ
    return min(max(rate if isinstance(rate, int) else RATE_HZ, low), high)


def _terminator(device: DeviceSettings, default: str) -> str:
    name = str(device.options.get("terminator", default))
    if name not in TERMINATORS:
        raise NotSimulated(f"unknown terminator {name!r}")
    return name
