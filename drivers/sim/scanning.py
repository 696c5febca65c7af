"""Barcode scanners of the shop, each on its port: a label that is read becomes bytes.

Here: which scanner a configured device is, and when its bytes come. Not here: the bytes
(`scanners`, `keyboards`), who scans what (`people`, `staff`).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from drivers.sim import wiring
from drivers.sim.actions import Barcode
from drivers.sim.keyboards import Keyboard, presses
from drivers.sim.ports import Port
from drivers.sim.scanners import TERMINATORS, hid_keystrokes, serial_bytes
from drivers.sim.wiring import NotSimulated
from gateway.domain.settings import DeviceSettings

SERIAL_TEXT_S: Final = 0.02
"""A label at 9600 baud."""

Later = Callable[[float, Callable[[bytes], None], bytes], object]
"""Calls a function with bytes after so many seconds, as an event loop does."""


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
        self.port = wiring.port_of(device)
        self._aim = wiring.flag(device, "aim")
        self._terminator = _terminator(device, "cr")

    def beam(self, barcode: Barcode, at_s: float, later: Later) -> None:
        """Sends the label as one message; `at_s` and `later` are for slower scanners."""
        self.port.write(serial_bytes(barcode, self._aim, self._terminator))


class HidScanner:
    """A scanner that types; a label is typed to its end before the next begins."""

    def __init__(self, device: DeviceSettings, seed: int, prefix: str) -> None:
        """`prefix` of the shop's own labels, which it must be able to type. Raises NotSimulated."""
        self.device = device.id
        self.port = wiring.port_of(device)
        self._aim = wiring.flag(device, "aim")
        self._terminator = _terminator(device, "enter")
        layout = wiring.text(device, "layout", "us")
        self._keyboard = Keyboard(layout, "keys", wiring.flag(device, "caps_lock"))
        for char in prefix + ":]":
            try:
                presses(char, self._keyboard)
            except KeyError:
                raise NotSimulated(f"{char!r} is on no key of keyboard {layout}") from None
        self._rng = Random(f"keys/{seed}/{device.id}")
        self._busy_until_s = 0.0

    def beam(self, barcode: Barcode, at_s: float, later: Later) -> None:
        """Types the label, key by key."""
        begin_s = max(at_s, self._busy_until_s)
        strokes = hid_keystrokes(
            barcode, self._aim, self._terminator, round(begin_s * 1e9), self._rng, self._keyboard
        )
        for stroke in strokes:
            later(begin_s - at_s + stroke.after_ns / 1e9, self.port.write, stroke.records)
        self._busy_until_s = begin_s + strokes[-1].after_ns / 1e9 + SERIAL_TEXT_S


def scanner_of(device: DeviceSettings, seed: int, prefix: str) -> Scanner | None:
    """The scanner that a configured device is; None for another kind. Raises NotSimulated."""
    if device.driver == "scanner_serial":
        return SerialScanner(device)
    return HidScanner(device, seed, prefix) if device.driver == "scanner_hid" else None


def _terminator(device: DeviceSettings, default: str) -> str:
    name = wiring.text(device, "terminator", default)
    if name not in TERMINATORS:
        raise NotSimulated(f"unknown terminator {name!r}")
    return name
