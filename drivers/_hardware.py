"""Which piece of hardware is behind a port: what Linux tells under /sys, read and never written.

Here: USB ids and serial numbers, stable names under /dev, what is plugged in. Not here: opening
anything (`link`), asking a device who it is (`_probe`), what people configured (gateway).
Source: Linux Documentation/ABI/stable/sysfs-bus-usb, testing/sysfs-tty; systemd 60-serial.rules.

    /sys/class/tty/ttyUSB0/device -> .../usb1/1-1/1-1.2/1-1.2:1.0/ttyUSB0
                                                  |     |         port_number (several on one cable)
                                                  |     bInterfaceNumber (several in one plug)
                                                  idVendor idProduct manufacturer product serial
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from gateway.domain.reading import Word

SYS: Final = Path("/sys")
DEV: Final = Path("/dev")
TEXT_MAX_BYTES: Final = 512
"""A USB string descriptor holds 126 characters."""
DEPTH_MAX: Final = 32

_SERIAL: Final = re.compile(r"(?! )[A-Za-z0-9 ._:;/+=@#()-]{1,127}(?<! )")
"""Serial numbers that udev rules can name without escapes."""
_COUNTING: Final = "123456789ABCDEF"
_HOT_PLUGGED: Final = re.compile(r"tty(USB|ACM)\d+|rfcomm\d+")
_NO_UART: Final = "0"  # include/uapi/linux/serial_core.h: PORT_UNKNOWN
_KEYBOARD: Final = (1 << 32) - 2
"""Keys 1 to 31, escape to S: what udev's input_id takes for a keyboard."""
_FOLDERS: Final = {"serial": "serial", "input": "input", "video": "v4l"}

Kind = Literal["serial", "input", "video"]


class Usb(Word, frozen=True):
    """A USB device as it describes itself; texts are empty where it says nothing."""

    vendor: str
    """Four hexadecimal digits, as `product`."""
    product: str
    maker: str = ""
    model: str = ""
    serial: str = ""
    place: str = ""
    """Bus and chain of sockets, as the kernel names it: `1-1.2`."""
    interface: str = ""
    """Two hexadecimal digits: which of its interfaces carries this port."""

    @property
    def identity(self) -> str:
        """`usb:0403:6001:A5XK3RJT`; without a serial number `usb:0403:6001`.

        An adapter without one cannot be told from another of its kind, and no socket is made up
        for it: moved to the next socket it would look like another device.
        """
        serial = self.serial.replace(" ", "_") if tells_apart(self.serial) else ""
        return ":".join(filter(None, ("usb", self.vendor, self.product, serial)))


class Hardware(Word, frozen=True):
    """One port or input device that is plugged in."""

    kind: Kind
    path: str
    """Its node, `/dev/ttyUSB0`: changes hands, so nothing is configured by it."""
    node: bool
    """Whether the node is there: a container sees its host's /sys, and only nodes it was given."""
    name: str = ""
    """What an input or video device calls itself."""
    usb: Usb | None = None
    port: str = ""
    """Number of the port on an adapter that has several on one interface."""
    by_id: tuple[str, ...] = ()
    by_path: tuple[str, ...] = ()
    keyboard: bool = False
    """It can type all that a keyboard can: a keyboard, or a scanner that types."""
    console: bool = False
    """The system writes its messages there."""


def tells_apart(serial: str) -> bool:
    """Whether a serial number is one: not empty, not what a maker left in every adapter.

    >>> tells_apart("A5XK3RJT"), tells_apart("0001"), tells_apart("0123456789AB"), tells_apart("")
    (True, False, False, False)
    """
    digits = serial.lstrip("0").upper()
    return (
        len(set(digits)) > 1
        and not _COUNTING.startswith(digits)
        and _SERIAL.fullmatch(serial) is not None
    )


def identity(device_number: int, sys: Path = SYS) -> str:
    """What is behind an open character device (its `st_rdev`), as `Usb.identity`.

    Empty when it is on no USB. Never raises; a few files of /sys are read.
    """
    number = f"{os.major(device_number)}:{os.minor(device_number)}"
    try:
        usb = _usb(sys / "dev" / "char" / number, sys)
    except OSError:  # a sandbox may hide all of /sys
        return ""
    return usb.identity if usb else ""


def plugged_in(sys: Path = SYS, dev: Path = DEV) -> tuple[Hardware, ...]:
    """Serial ports, input devices on USB or Bluetooth and cameras, in this order. Never raises."""
    console = _text(sys / "class" / "tty" / "console" / "active").split()
    found = [
        _hardware("serial", node, sys, dev, console=node.name in console)
        for node in _nodes(sys / "class" / "tty")
        if _is_serial(node)
    ]
    for node in _nodes(sys / "class" / "input", "event"):
        if _text(node / "device" / "id" / "bustype") in ("0003", "0005"):
            keys = _text(node / "device" / "capabilities" / "key")
            found.append(_hardware("input", node, sys, dev, keyboard=_types(keys)))
    found += [_hardware("video", node, sys, dev) for node in _nodes(sys / "class" / "video4linux")]
    return tuple(found)


def _hardware(
    kind: Kind, node: Path, sys: Path, dev: Path, *, keyboard: bool = False, console: bool = False
) -> Hardware:
    path = dev / ("input" if kind == "input" else "") / node.name
    names = _names(dev / _FOLDERS[kind], path)
    return Hardware(
        kind=kind,
        path=str(path),
        node=path.exists(),
        name=_text(node / "device" / "name") or _text(node / "name"),
        usb=_usb(node, sys),
        port=_text(node / "device" / "port_number"),
        by_id=names["by-id"],
        by_path=names["by-path"],
        keyboard=keyboard,
        console=console,
    )


def _is_serial(node: Path) -> bool:
    """Whether there is hardware behind a tty: the kernel names ports that no board has."""
    if not (node / "device").exists():
        return False
    if _HOT_PLUGGED.fullmatch(node.name):
        return True
    if uart := _text(node / "type"):
        return uart != _NO_UART
    # before Linux 5.8 only root may read the type; what a bus found is not on "platform"
    on_bus = (node / "device" / "subsystem").resolve().name not in ("platform", "subsystem")
    return (node / "type").exists() and on_bus


def _usb(node: Path, sys: Path) -> Usb | None:
    """The USB device above a node of /sys; None when it hangs on something else."""
    interface = ""
    place, top = node.resolve(), sys.resolve()
    for _ in range(DEPTH_MAX):
        if place in (top, place.parent):
            return None
        interface = interface or _text(place / "bInterfaceNumber")
        if vendor := _text(place / "idVendor"):
            return Usb(
                vendor=vendor,
                product=_text(place / "idProduct"),
                maker=_text(place / "manufacturer"),
                model=_text(place / "product"),
                serial=_text(place / "serial"),
                place=place.name,
                interface=interface,
            )
        place = place.parent
    return None


def _nodes(folder: Path, prefix: str = "") -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return []
    return sorted(found, key=lambda path: _natural(path.name))


def _natural(name: str) -> tuple[str, int]:
    """ttyUSB2 comes before ttyUSB10."""
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0)


def _names(folder: Path, path: Path) -> Mapping[str, tuple[str, ...]]:
    """The stable names that udev gave a node, by folder."""
    target = path.resolve()
    return {
        kind: tuple(str(link) for link in _nodes(folder / kind) if link.resolve() == target)
        for kind in ("by-id", "by-path")
    }


def _types(bitmap: str) -> bool:
    """Whether the capabilities, 64-bit words with the highest first, hold a keyboard's keys."""
    try:
        low = int(bitmap.rsplit(maxsplit=1)[-1], 16)
    except (ValueError, IndexError):
        return False
    return low & _KEYBOARD == _KEYBOARD


def _text(file: Path) -> str:
    """One line of /sys, or nothing: a plug may be pulled while it is read."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(TEXT_MAX_BYTES)
    except OSError:
        return ""
    text = raw.decode("utf-8", "replace").strip()
    return "".join(char if char.isprintable() else "?" for char in text)
