"""What the settings may say about devices: ids, drivers, links, options, places.

Here: every rule about `[[device]]`. A driver judges its own options, through `registry`. Not here:
opening a link (`drivers.link`), whether the device is plugged in (`stockd doctor`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from typing import Final

from gateway import registry
from gateway.config_rules import id_faults, split_address
from gateway.config_types import Fault, shown
from gateway.domain import ids
from gateway.domain.settings import DeviceSettings, Settings
from gateway.problems import did_you_mean
from gateway.toml_text import KeyPath

RESERVED: Final = ("console", "hq", "ledger")
"""Names under which commands enter (CONTRACT section 6); a device would be taken for them."""

PLANNED: Final = (
    "scale_8217",
    "scale_modbus",
    "scale_line",
    "rfid_llrp",
    "camera",
    "pos_lines",
)
"""Drivers that CONTRACT section 4 names and that a later version brings."""

_EXAMPLES: Final = {
    "serial": "serial:///dev/store/scale-a1?baud=9600",
    "tcp": "tcp://192.168.1.20:4001",
    "evdev": "evdev:///dev/input/by-id/usb-scanner-event-kbd",
    "v4l2": "v4l2:///dev/video0",
    "rtsp": "rtsp://192.168.1.30/stream1",
    "file": "file:///var/clips/clip.mp4",
}
_SERIAL: Final = {
    "baud": None,
    "bytesize": ("5", "6", "7", "8"),
    "parity": ("N", "E", "O", "M", "S"),
    "stopbits": ("1", "1.5", "2"),
}
"""Query keys of a serial link and what each may say; None: a positive whole number."""


def faults(settings: Settings, faulty: Collection[KeyPath]) -> Iterator[Fault]:
    """Everything wrong with the devices; keys in `faulty` are not judged. Never raises."""
    devices: dict[str, int] = {}
    links: dict[str, str] = {}
    places = [location.id for location in settings.location]
    for at, device in enumerate(settings.device):
        path: KeyPath = ("device", at)
        found = [*_identity(device, path), *_link(device, path), *_driver(device, path, faulty)]
        if devices.setdefault(device.id, at) != at:
            message = f'"{device.id}" is device[{devices[device.id] + 1}] already'
            found.append(Fault((*path, "id"), message, "give each device an id of its own"))
        other = links.setdefault(same_link(device.link), device.id)
        if other != device.id:
            message = f'"{other}" is on this link already: {device.link}'
            found.append(Fault((*path, "link"), message, "one device on each link"))
        if device.location not in places:
            message = f'unknown location "{device.location}"'
            meant = did_you_mean(device.location, places)
            found.append(Fault((*path, "location"), message, meant))
        yield from (fault for fault in found if fault.path not in faulty)


def same_link(link: str) -> str:
    """The port behind a link: equal for two spellings of one port. Never raises.

    A serial port is the same at another baud rate, so its query does not count; a stream's does.

    >>> same_link("serial:///dev//a?baud=9600") == same_link("serial:///dev/a?parity=N&baud=4800")
    True
    """
    scheme, _, rest = link.partition("://")
    target, _, query = rest.partition("?")
    if target.startswith("/"):
        target = posixpath.normpath("/" + target.lstrip("/"))
    else:
        host, slash, path = target.partition("/")
        target = host.casefold() + slash + path
    kept = "&".join(sorted(query.split("&"))) if scheme in ("rtsp", "file") else ""
    return f"{scheme.casefold()}://{target}?{kept}"


def _identity(device: DeviceSettings, path: KeyPath) -> Iterator[Fault]:
    yield from id_faults((*path, "id"), device.id, ids.DEVICE_ID.fullmatch(device.id))
    if device.id in RESERVED:
        message = f'"{device.id}" is the name under which commands enter'
        yield Fault((*path, "id"), message, "choose another id")


def _driver(device: DeviceSettings, path: KeyPath, faulty: Collection[KeyPath]) -> Iterator[Fault]:
    names = registry.driver_names()
    if device.driver not in names:
        if device.driver in PLANNED:
            message = f'"{device.driver}" is not in this version yet'
            remedy: str | None = "this version has " + ", ".join(names)
        else:
            message = f"unknown driver {shown(device.driver)}"
            remedy = did_you_mean(device.driver, (*names, *PLANNED))
        yield Fault((*path, "driver"), message, remedy)
        return
    driver = registry.load(device.driver)
    scheme = device.link.partition("://")[0]
    if scheme in _EXAMPLES and scheme not in driver.SCHEMES:
        message = f"{device.driver} cannot use {scheme}://"
        usable = ", ".join(f"{scheme}://" for scheme in driver.SCHEMES)
        yield Fault((*path, "link"), message, f"it uses {usable}")


def _link(device: DeviceSettings, path: KeyPath) -> Iterator[Fault]:
    path = (*path, "link")
    scheme, found, rest = device.link.partition("://")
    example = _EXAMPLES.get(scheme)
    if not found or example is None:
        meant = did_you_mean(scheme, _EXAMPLES) if found else None
        remedy = meant or f'as in "{_EXAMPLES["serial"]}"'
        yield Fault(path, f"is no link: {shown(device.link)}", remedy)
        return
    target, _, query = rest.partition("?")
    if scheme == "tcp":
        host, port = split_address(target)
        sound = bool(host) and bool(port) and not query
    elif scheme == "rtsp":
        sound = not target.startswith("/") and target != ""
    else:
        sound = target.startswith("/") and target.strip("/") != ""
    if not sound:
        yield Fault(path, f"is no {scheme} link: {shown(device.link)}", f'as in "{example}"')
    elif scheme == "serial" and query:
        for pair in query.split("&"):
            yield from _serial_setting(path, *pair.partition("=")[::2])


def _serial_setting(path: KeyPath, key: str, value: str) -> Iterator[Fault]:
    if key not in _SERIAL:
        yield Fault(path, f'unknown setting "{key}" of a serial port', did_you_mean(key, _SERIAL))
        return
    allowed = _SERIAL[key]
    if allowed is None:
        if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) and len(value) < 9):
            yield Fault(path, f'{key} must be a whole number, not "{value}"')
    elif value not in allowed:
        yield Fault(path, f'{key} must be one of {", ".join(allowed)}, not "{value}"')
