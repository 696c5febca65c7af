"""Stable names by udev: `/dev/store/<device>`, whatever socket and order things are plugged in.

Here: rules as text, read back from text, so that a device that is away keeps its lines. Pure. Not
here: which hardware is a device's (`plugged`), writing the file (`cli.devices`).
Source: udev(7): match and assignment keys, link_priority, builtins usb_id, path_id, input_id.

A device with a serial number of its own is known by it: it keeps its name in another socket. A
second line names the socket: other hardware plugged in there takes over the place. A device that is
known never takes the name of the socket it is in, else two swapped devices would each claim both
names: udev has one priority per device, not per name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final, Literal
from urllib.parse import quote

from gateway.domain.reading import Word
from gateway.registry import hardware as hw
from gateway.registry import parse_link

FILE: Final = "/etc/udev/rules.d/60-stockd.rules"
"""After the rules of systemd that find path and serial number out (60-serial.rules)."""
FOLDER: Final = "/dev/store"
RELOAD: Final = (
    "sudo udevadm control --reload && "
    "sudo udevadm trigger --subsystem-match=tty --subsystem-match=input"
)

_SUBSYSTEM: Final = {"serial": "tty", "input": "input"}
_NOT_KNOWN: Final = 'ENV{STOCKD_DEVICE}=="", '
_LINE: Final = re.compile(
    r'(?P<match>SUBSYSTEM=="(?:tty|input)", .+), SYMLINK\+="store/(?P<device>[a-z0-9-]+)", '
    r'ENV\{STOCKD_DEVICE\}="(?P=device)", OPTIONS\+="link_priority=(?:100|50)"'
)
_NOT_PATH: Final = re.compile(r"-port\d+$|-event(-[a-z]+)?$")
"""What the names under by-path have after ID_PATH."""

_HEAD: Final = f"""\
# Stable names for the devices of this store, {FOLDER}/<device>. Written by `stockd devices bind`,
# which keeps the lines of devices that are away. 由 stockd devices bind 生成。 After a change:
#   {RELOAD}
# brltty (a braille display service) takes USB serial adapters away: apt-get remove brltty.
# brltty 会占用 USB 串口线，请卸载。

ACTION=="remove", GOTO="stockd_end"
SUBSYSTEM!="tty|input", GOTO="stockd_end"
SUBSYSTEM=="input", KERNEL!="event*", GOTO="stockd_end"
SUBSYSTEMS=="usb", ENV{{ID_USB_INTERFACE_NUM}}=="", IMPORT{{builtin}}="usb_id"
ENV{{ID_PATH}}=="", IMPORT{{builtin}}="path_id"
SUBSYSTEM=="input", ENV{{ID_INPUT}}=="", IMPORT{{builtin}}="input_id"
SUBSYSTEMS=="usb-serial", ENV{{.STOCKD_PORT}}="$attr{{port_number}}"
ENV{{STOCKD_DEVICE}}=""
"""
_FOOT: Final = """
ENV{STOCKD_DEVICE}=="", GOTO="stockd_end"
SUBSYSTEM=="tty", GROUP="dialout", MODE="0660"
SUBSYSTEM=="input", GROUP="input", MODE="0660"
# no modem: ModemManager would send AT commands to it
SUBSYSTEM=="tty", ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1"

LABEL="stockd_end"
"""


class Binding(Word, frozen=True):
    """How udev knows one device: two matches, of which at least one is not empty."""

    device: str
    by_serial: str
    by_socket: str


class Unbindable(Exception):
    """Hardware that no rule can name; says why."""


def binding(device: str, port: hw.Hardware, plugged: Sequence[hw.Hardware]) -> Binding:
    """The matches for a device at a port, among all that is plugged in. Raises Unbindable."""
    if port.kind == "video":
        raise Unbindable(f"{port.path} is a camera")
    if port.kind == "input" and not (port.keyboard and port.usb):
        raise Unbindable(f"{port.path} ({port.name}) is nothing on USB that types")
    keys = [f'SUBSYSTEM=="{_SUBSYSTEM[port.kind]}"']
    if port.kind == "input":
        keys.append('ENV{ID_INPUT_KEYBOARD}=="1"')  # one plug may also have volume keys
    elif port.port and any(one.usb == port.usb and one.path != port.path for one in plugged):
        keys.append(f'ENV{{.STOCKD_PORT}}=="{port.port}"')  # several ports on one interface
    serial = _by_serial(port, plugged)
    return Binding(
        device,
        by_serial=", ".join((*keys, serial)) if serial else "",
        by_socket=", ".join((*keys, _by_socket(port))),
    )


def _by_serial(port: hw.Hardware, plugged: Sequence[hw.Hardware]) -> str:
    """A match by serial number; empty where it has none, or shares it with another."""
    usb = port.usb
    if usb is None or not hw.tells_apart(usb.serial):
        return ""
    others = (one.usb for one in plugged if one.usb and one.usb.place != usb.place)
    if any(other.identity == usb.identity for other in others):
        return ""
    return (
        f'ATTRS{{idVendor}}=="{usb.vendor}", ATTRS{{idProduct}}=="{usb.product}", '
        f'ATTRS{{serial}}=="{usb.serial}", ENV{{ID_USB_INTERFACE_NUM}}=="{usb.interface}"'
    )


def _by_socket(port: hw.Hardware) -> str:
    names = [PurePath(name).name for name in port.by_path]
    # udev gives a name for either USB revision; ID_PATH is the one that names none
    name = next((name for name in names if "-usbv" not in name), "")
    if name:
        return f'ENV{{ID_PATH}}=="{_NOT_PATH.sub("", name)}"'
    if port.usb is not None:
        interface = int(port.usb.interface or "0", 16)
        return f'SUBSYSTEMS=="usb", KERNELS=="{port.usb.place}:*.{interface}"'
    return f'KERNEL=="{PurePath(port.path).name}"'


def merged(
    kept: Iterable[Binding], fresh: Sequence[Binding], devices: Sequence[str]
) -> tuple[Binding, ...]:
    """What holds now, in the order of the configuration.

    A device that is away keeps its old lines, unless another has taken what they match; one that
    is no longer configured loses them.
    """
    taken = {match for one in fresh for match in (one.by_serial, one.by_socket)} - {""}
    now = {one.device: one for one in fresh}
    for old in kept:
        left = Binding(
            old.device,
            "" if old.by_serial in taken else old.by_serial,
            "" if old.by_socket in taken else old.by_socket,
        )
        if left.by_serial or left.by_socket:
            now.setdefault(old.device, left)
    return tuple(now[device] for device in devices if device in now)


def text(bindings: Sequence[Binding]) -> str:
    """The whole file; the same bindings give the same bytes."""
    lines = [_HEAD]
    if serials := [one for one in bindings if one.by_serial]:
        lines.append("# Known by its serial number, in whatever socket. 按序列号识别，换插口不变名")
        lines += [_rule(one.device, one.by_serial, 100) for one in serials]
        lines.append("")
    if sockets := [one for one in bindings if one.by_socket]:
        lines.append(
            "# What else is plugged in there takes over the place. 同一插口换新设备，沿用原名"
        )
        lines += [_rule(one.device, one.by_socket, 50) for one in sockets]
    return "\n".join(lines) + "\n" + _FOOT


def _rule(device: str, match: str, priority: int) -> str:
    if priority == 50:
        subsystem, rest = match.split(", ", 1)
        match = f"{subsystem}, {_NOT_KNOWN}{rest}"
    return (
        f'{match}, SYMLINK+="store/{device}", ENV{{STOCKD_DEVICE}}="{device}", '
        f'OPTIONS+="link_priority={priority}"'
    )


def bindings(rules: str) -> tuple[Binding, ...]:
    """The bindings of a file that `text` wrote; lines of other hands are not seen."""
    found: dict[str, dict[Literal["by_serial", "by_socket"], str]] = {}
    for line in rules.splitlines():
        if said := _LINE.fullmatch(line):
            match = said["match"].replace(_NOT_KNOWN, "", 1)
            key: Literal["by_serial", "by_socket"]
            key = "by_socket" if match != said["match"] else "by_serial"
            found.setdefault(said["device"], {})[key] = match
    return tuple(
        Binding(device, one.get("by_serial", ""), one.get("by_socket", ""))
        for device, one in found.items()
    )


def link(device: str, configured: str) -> str:
    """The link of a device under its stable name, its line settings kept.

    >>> link("scale-a1", "serial:///dev/ttyUSB0?baud=4800")
    'serial:///dev/store/scale-a1?baud=4800'
    """
    address = parse_link(configured)
    settings = configured.partition("?")[2]
    url = f"{address.scheme}://{quote(f'{FOLDER}/{device}')}"
    return f"{url}?{settings}" if settings else url
