"""Configured devices and the hardware they are at now; who holds a port.

Here: what a link leads to, which device is missing, locks. Not here: what is plugged in
(`registry.hardware`), talking to it (`probing`), names (`rules`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from gateway.domain.reading import Word
from gateway.domain.settings import DeviceSettings
from gateway.registry import DeviceMisconfigured, parse_link, probes
from gateway.registry import hardware as hw

LOCKS: Final = Path("/proc/locks")
LOCAL: Final = ("serial", "evdev")
SCANNER_MAKERS: Final = {
    "05e0": "Zebra (Symbol)",
    "0536": "Honeywell (Hand Held Products)",
    "05f9": "Datalogic (PSC)",
    "065a": "Opticon",
    "0745": "CipherLab",
    "080c": "Datalogic",
    "0c2e": "Honeywell (Metrologic)",
    "1eab": "Newland",
}
"""USB vendor ids of scanner makers: a hint; others make scanners too, and these other things."""

_SCANNER_NAME: Final = re.compile(r"scan|bar\s?code|imager", re.I)


class Place(Word, frozen=True):
    """A configured device, and what its link leads to now."""

    device: str
    driver: str
    link: str
    location: str
    state: Literal["plugged_in", "missing", "elsewhere"]
    """`elsewhere`: at an address in the network, or no port of this machine."""
    port: str = ""
    """The node or address behind its link; empty when missing."""


def places(devices: Sequence[DeviceSettings]) -> tuple[Place, ...]:
    """Where each configured device is, in the order of the configuration. Opens nothing."""
    return tuple(_place(device) for device in devices)


def _place(device: DeviceSettings) -> Place:
    try:
        address = parse_link(device.link)
    except DeviceMisconfigured:  # a link that is no port, such as a topic
        scheme, target = "", device.link
    else:
        scheme, target = address.scheme, address.target
    state: Literal["plugged_in", "missing", "elsewhere"] = "elsewhere"
    if scheme in LOCAL:
        node = real(target)
        state, target = ("plugged_in", node) if node else ("missing", "")
    return Place(device.id, device.driver, device.link, device.location, state, target)


def real(path: str) -> str:
    """The node that a name under /dev leads to; empty when there is none."""
    try:
        return str(Path(path).resolve(strict=True))
    except (OSError, RuntimeError):  # not there, or links in a circle
        return ""


def hint(hardware: hw.Hardware) -> str:
    """What it may be, as a hint for people, never as truth."""
    if not hardware.node:
        return "no node in /dev: a container must be given it"
    if hardware.console:
        return "the system's console, not probed"
    if foreign := probes.not_ours(hardware.usb):
        return f"{foreign} by its own words, not probed"
    usb = hardware.usb
    if usb and usb.vendor in SCANNER_MAKERS:
        return f"perhaps a scanner: vendor id of {SCANNER_MAKERS[usb.vendor]}"
    if _SCANNER_NAME.search(f"{hardware.name} {usb.model if usb else ''}"):
        return "perhaps a scanner, by its name"
    return "a keyboard, or a scanner that types" if hardware.keyboard else ""


def device_at(path: str, found: Sequence[Place]) -> str:
    """The configured device at a node; empty when none is."""
    node = real(path)
    return next((place.device for place in found if node and place.port == node), "")


def hardware_at(path: str, plugged: Sequence[hw.Hardware]) -> hw.Hardware | None:
    """The hardware behind any of its names."""
    node = real(path)
    return next((one for one in plugged if node and real(one.path) == node), None)


def locked(path: str, locks: Path = LOCKS) -> bool:
    """Whether a program holds the lock of a port: read from the kernel's list, not by opening.

    Opening alone may reset a device, by the lines that the port raises. False where the list
    cannot be read; the lock itself then refuses us.
    """
    try:
        node = Path(path).stat()
        text = locks.read_text("ascii", "replace")
    except OSError:
        return False
    file = f"{os.major(node.st_dev):02x}:{os.minor(node.st_dev):02x}:{node.st_ino}"
    return any(file in line.split() for line in text.splitlines())
