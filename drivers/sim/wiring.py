"""What the configuration says of one device: its options as this simulator reads them, its port.

Here: types out of `[device.options]`, links to ports. The defaults are those that the manuals of
the gateway name. Not here: what a device says, and judging a configuration (the gateway has).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from drivers.sim.ports import FifoPort, Port, PtyPort
from drivers.sim.tcp_ports import TcpCallerPort, TcpServerPort, listens_here
from gateway.domain.settings import DeviceSettings

RATE_HZ: Final = 20
RATES_HZ: Final = (1, 100)


class NotSimulated(Exception):
    """A device that this simulator cannot be; says why."""


def text(device: DeviceSettings, name: str, default: str = "") -> str:
    """An option that is text."""
    value = device.options.get(name, default)
    return value if isinstance(value, str) else default


def whole(device: DeviceSettings, name: str, default: int) -> int:
    """An option that is a whole number."""
    value = device.options.get(name, default)
    return value if isinstance(value, int) else default


def flag(device: DeviceSettings, name: str) -> bool:
    """An option that is on or off; off where it is not said."""
    return device.options.get(name) is True


def places(device: DeviceSettings, name: str) -> dict[int, str]:
    """An option that gives locations to numbers: channels, antennas."""
    value = device.options.get(name)
    return {int(n): place for n, place in value.items()} if isinstance(value, Mapping) else {}


def rate_hz(device: DeviceSettings, default: int = RATE_HZ) -> int:
    """How often it says something, from 1 to 100 times a second."""
    low, high = RATES_HZ
    return min(max(whole(device, "rate_hz", default), low), high)


def port_of(device: DeviceSettings) -> Port:
    """The port where others find a device. Raises NotSimulated."""
    link = urlsplit(device.link)
    if link.scheme == "serial":
        return PtyPort(Path(unquote(link.path)))
    if link.scheme == "evdev":
        return FifoPort(Path(unquote(link.path)))
    if link.scheme == "tcp":
        host, port = _address(device)
        if not listens_here(host):
            raise NotSimulated(f"{host} is no address of this machine")
        return TcpServerPort(host, port)
    raise NotSimulated(f"{device.driver} is not simulated on {link.scheme}://")


def caller_of(device: DeviceSettings) -> Port:
    """The port of a device that calls the gateway. Raises NotSimulated."""
    return TcpCallerPort(*_address(device))


def _address(device: DeviceSettings) -> tuple[str, int]:
    link = urlsplit(device.link)
    if link.scheme != "tcp" or link.hostname is None or link.port is None:
        raise NotSimulated(f"{device.driver} is simulated on tcp://HOST:PORT only")
    return link.hostname, link.port
