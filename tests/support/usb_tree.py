"""A machine's /sys and /dev as the kernel and udev lay them out, in a folder of the test.

Here: USB adapters in sockets, their ports, scanners that type. Not here: what is read from it.
Layout: a Debian 12 mini-PC with FTDI and CP210x adapters, a CDC-ACM scale and a HID scanner.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KEYBOARD = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"
CONSUMER = "3f000301ff 0 0 483ffff17aff32d bf54444600000000 1 130f938b17c007 ffff7bfad9415fff "
CONSUMER += "febeffdfffefffff 0"


@dataclass(frozen=True)
class Plug:
    """A USB device with one port or input device."""

    node: str
    """ttyUSB0, ttyACM0, event5"""
    vendor: str = "0403"
    product: str = "6001"
    serial: str = ""
    maker: str = "FTDI"
    model: str = "FT232R USB UART"
    interface: int = 0
    port: str = "0"
    keys: str = KEYBOARD
    number: tuple[int, int] | None = None


class Machine:
    """A folder with `sys` and `dev`."""

    def __init__(self, root: Path) -> None:
        self.sys, self.dev = root / "sys", root / "dev"
        for kind in ("tty", "input", "video4linux"):
            (self.sys / "class" / kind).mkdir(parents=True)
        (self.sys / "dev" / "char").mkdir(parents=True)
        self.dev.mkdir()
        self._minor = 0

    def plug(self, socket: str, plug: Plug) -> Path:
        """Plugs a device into a socket like `1-1.2`; its node."""
        device = self.sys / "devices/pci0000:00/0000:00:14.0/usb1" / socket
        interface = device / f"{socket}:1.{plug.interface}"
        interface.mkdir(parents=True, exist_ok=True)
        write(device, idVendor=plug.vendor, idProduct=plug.product)
        texts = {"manufacturer": plug.maker, "product": plug.model, "serial": plug.serial}
        write(device, **{name: text for name, text in texts.items() if text})
        write(interface, bInterfaceNumber=f"{plug.interface:02x}")
        path = f"pci-0000:00:14.0-usb-0:{socket.partition('-')[2]}:1.{plug.interface}"
        name = "_".join(f"{plug.maker} {plug.model} {plug.serial}".split()).replace("/", "_")
        if plug.node.startswith("event"):
            return self._types(interface, plug, path, name)
        parent = interface
        if plug.node.startswith("ttyUSB"):
            parent = interface / plug.node
            parent.mkdir()
            write(parent, port_number=plug.port)
            path += f"-port{plug.port}"
        self._class("tty", parent, plug)
        node = self.dev / plug.node
        node.touch()
        self._link("serial/by-path", path, node)
        self._link("serial/by-path", path.replace("-usb-", "-usbv2-"), node)
        self._link("serial/by-id", f"usb-{name}-if{plug.interface:02x}-port{plug.port}", node)
        return node

    def board(self, name: str, uart: str) -> None:
        """A port of the board; uart "0" is one that the kernel names and no board has."""
        parent = self.sys / "devices" / "pnp0" / name
        parent.mkdir(parents=True)
        self._class("tty", parent, Plug(name))
        write(self.sys / "class" / "tty" / name, type=uart)
        (self.dev / name).touch()

    def unplug(self, node: str) -> None:
        """Pulls a plug; the folders of the device stay, as nothing leads there any more."""
        for kind in ("tty", "input"):
            (self.sys / "class" / kind / node).unlink(missing_ok=True)
        for path in sorted(self.dev.rglob("*"), reverse=True):
            if path.name == node or (path.is_symlink() and path.readlink().name == node):
                path.unlink()

    def _types(self, interface: Path, plug: Plug, path: str, name: str) -> Path:
        parent = interface / "0003:05E0:1200.0001" / "input" / f"input{plug.node[5:]}"
        for folder in ("id", "capabilities"):
            (parent / folder).mkdir(parents=True)
        write(parent, name=f"{plug.maker} {plug.model}")
        write(parent / "id", bustype="0003")
        write(parent / "capabilities", key=plug.keys)
        self._class("input", parent, plug)
        node = self.dev / "input" / plug.node
        node.parent.mkdir(exist_ok=True)
        node.touch()
        if plug.keys == KEYBOARD:
            self._link("input/by-path", f"{path}-event-kbd", node)
            self._link("input/by-id", f"usb-{name}-event-kbd", node)
        return node

    def _class(self, kind: str, parent: Path, plug: Plug) -> None:
        folder = parent / (plug.node if kind == "input" else f"{kind}/{plug.node}")
        folder.mkdir(parents=True)
        (folder / "device").symlink_to(parent)
        (self.sys / "class" / kind / plug.node).symlink_to(folder)
        major, minor = plug.number or (188, self._minor)
        self._minor += 1
        (self.sys / "dev" / "char" / f"{major}:{minor}").symlink_to(folder)

    def _link(self, folder: str, name: str, node: Path) -> None:
        (self.dev / folder).mkdir(parents=True, exist_ok=True)
        link = self.dev / folder / name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(node, link.parent))


def write(folder: Path, **files: str) -> None:
    """Attributes as /sys has them: one line each."""
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n", "utf-8")
