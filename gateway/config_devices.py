"""What the settings may say about devices: ids, drivers, links, options, places.

Here: every rule about `[[device]]`. A driver judges its own link and options, through `registry`.
Not here: opening a link (`supervisor`), whether the device is plugged in (`stockd doctor`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from gateway import registry
from gateway.config_rules import id_faults
from gateway.config_types import Fault
from gateway.domain import ids
from gateway.domain.settings import DeviceSettings, Settings
from gateway.problems import did_you_mean, quoted
from gateway.toml_text import KeyPath

RESERVED: Final = ("console", "hq", "ledger")
"""Names under which commands enter (CONTRACT section 6); a device would be taken for them."""

PLANNED: Final = ("camera",)
"""Drivers that CONTRACT section 4 names; each is refused until a version brings it."""


def faults(settings: Settings, faulty: Collection[KeyPath]) -> Iterator[Fault]:
    """Everything wrong with the devices; keys in `faulty` are not judged. Never raises.

    Imports the drivers that are named; opens nothing.
    """
    numbers: dict[str, int] = {}
    targets: dict[str, int] = {}
    places = [location.id for location in settings.location]
    for at, device in enumerate(settings.device):
        path: KeyPath = ("device", at)
        found = [*_identity(device, path), *_driver(device, path)]
        first = numbers.setdefault(device.id, at)
        if first != at:
            message = f'"{device.id}" is device[{first + 1}] already'
            found.append(Fault((*path, "id"), message, "give each device an id of its own"))
        first = targets.setdefault(_target(device), at)
        if first != at:
            message = f'"{settings.device[first].id}" is on this link already: {device.link}'
            found.append(Fault((*path, "link"), message, "one device on each link"))
        if device.location not in places and ("location",) not in faulty:
            message = f'unknown location "{device.location}"'
            meant = did_you_mean(device.location, places)
            found.append(Fault((*path, "location"), message, meant))
        if ("location",) not in faulty:
            found += _places(device, path, places)
        yield from (fault for fault in found if fault.path not in faulty)


def with_rates(settings: Settings) -> Settings:
    """Sound settings in which each scale tells its rate: the core sizes its windows by it."""

    def told(device: DeviceSettings) -> DeviceSettings:
        options = registry.build_options(registry.load(device.driver), device.options)
        rate_hz = getattr(options, "rate_hz", None)
        if rate_hz is None or "rate_hz" in device.options:
            return device
        return msgspec.structs.replace(device, options={**device.options, "rate_hz": rate_hz})

    return msgspec.structs.replace(settings, device=tuple(map(told, settings.device)))


def _places(device: DeviceSettings, path: KeyPath, places: Collection[str]) -> Iterator[Fault]:
    """Maps of numbers to locations: the plates of a controller, the antennas of a reader."""
    for name in ("channels", "antennas"):
        told = device.options.get(name)
        for number, place in told.items() if isinstance(told, Mapping) else ():
            key = (*path, "options", name, number)
            if not (number.isascii() and number.isdigit()):
                yield Fault(key, f"{quoted(number)} is no number", 'write it like 1 = "a1"')
            elif place not in places:
                yield Fault(key, f'unknown location "{place}"', did_you_mean(place, places))


def _identity(device: DeviceSettings, path: KeyPath) -> Iterator[Fault]:
    yield from id_faults((*path, "id"), device.id, ids.DEVICE_ID.fullmatch(device.id))
    if device.id in RESERVED:
        message = f'"{device.id}" is the name under which commands enter'
        yield Fault((*path, "id"), message, "choose another id")


def _driver(device: DeviceSettings, path: KeyPath) -> Iterator[Fault]:
    names = registry.driver_names()
    if device.driver not in names:
        if device.driver in PLANNED:
            message = f'"{device.driver}" is not in this version yet'
            yield Fault((*path, "driver"), message, f"there are {', '.join(names)}")
        else:
            meant = did_you_mean(device.driver, (*names, *PLANNED))
            yield Fault((*path, "driver"), f"unknown driver {quoted(device.driver)}", meant)
        return
    try:
        driver = registry.load(device.driver)
    except registry.DriverProblems as error:
        yield Fault((*path, "driver"), str(error))
        return
    try:
        registry.parse_port(driver, device.link)
    except registry.DeviceMisconfigured as error:
        yield Fault((*path, "link"), str(error))
    for name, value in device.options.items():
        try:
            registry.build_options(driver, {name: value})
        except registry.DriverProblems as error:
            yield Fault((*path, "options", name), str(error))


def _target(device: DeviceSettings) -> str:
    """What the link opens, in one spelling; the link itself where nobody can tell."""
    try:
        target = registry.parse_port(registry.load(device.driver), device.link).target
    except registry.DeviceMisconfigured:
        return device.link
    return posixpath.normpath(target) if target.startswith("/") else target
