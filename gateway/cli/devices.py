"""Commands that look at ports: `stockd devices list` and `stockd devices probe`.

Here: which ports may be probed, what is printed. Not here: what hardware there is
(`registry.hardware`), asking it (`discover.probing`), naming it (`bind`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.control import Client, NotRunning
from gateway.discover import mdns, plugged
from gateway.discover.plugged import Place
from gateway.discover.probing import Finding, Target, candidates, probe_all
from gateway.domain.reading import Word
from gateway.problems import ConfigError
from gateway.registry import DeviceMisconfigured, parse_link, probes
from gateway.registry import hardware as hw

QUIET_S = 2.0
"""A probe that takes longer says what it is doing."""


class Seen(Word, frozen=True):
    """A piece of hardware, whose it is, and what it may be."""

    hardware: hw.Hardware
    device: str
    hint: str


class Reader(Word, frozen=True):
    """An RFID reader that announces itself in the network, and whose it is."""

    announced: mdns.Announced
    device: str


class Inventory(Word, frozen=True):
    """What `stockd devices list` shows."""

    plugged: tuple[Seen, ...]
    readers: tuple[Reader, ...] | None
    """None: not asked for."""
    configured: tuple[Place, ...]


def _say(text: str = "") -> None:
    print(text)  # noqa: T201 - the purpose of this module


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _configuration(args: argparse.Namespace) -> Loaded | None:
    """The configuration, if there is a sound one: ports can be looked at before there is."""
    path = config_path(args)
    if not path.exists():
        if args.config is not None:
            raise UserError(f"no such file: {path}")
        return None
    try:
        return load(path)
    except ConfigError as error:
        count = len(error.problems)
        _tell(f"stockd: {path} has {count} problem(s), see `stockd check`; going on without it")
        return None


def listed(args: argparse.Namespace) -> int:
    """`stockd devices list`."""
    loaded = _configuration(args)
    places = plugged.places(loaded.settings.device if loaded else ())
    seen = tuple(
        Seen(one, plugged.device_at(one.path, places), plugged.hint(one))
        for one in hw.plugged_in(hw.SYS, hw.DEV)
    )
    readers = None
    if args.network:
        try:
            found = asyncio.run(mdns.ask())
        except OSError as error:
            raise UserError(f"cannot ask the network: {error.strerror}", UNREACHABLE) from None
        readers = tuple(Reader(one, _reader_device(one, places)) for one in found)
    inventory = Inventory(seen, readers, places)
    if args.json:
        _print_json(inventory)
    else:
        _inventory(inventory)
    return DONE


def _reader_device(reader: mdns.Announced, places: Sequence[Place]) -> str:
    hosts = {*reader.addresses, reader.host.lower(), reader.host.lower().removesuffix(".local")}
    ports = {f"{host}:{reader.port}" for host in hosts} | {
        f"[{address}]:{reader.port}" for address in reader.addresses
    }
    return next((one.device for one in places if one.port.lower() in ports), "")


def _inventory(inventory: Inventory) -> None:
    for kind, title in (
        ("serial", "Serial ports 串口"),
        ("input", "Input devices 输入设备"),
        ("video", "Cameras 摄像头"),
    ):
        rows = [one for one in inventory.plugged if one.hardware.kind == kind]
        _say(title if rows else f"{title}: none 无")
        for one in rows:
            _seen(one)
    if inventory.readers is not None:
        _say("RFID readers 读写器" if inventory.readers else "RFID readers 读写器: none 无")
        for reader in inventory.readers:
            at = ", ".join(reader.announced.addresses) or reader.announced.host
            whose = f"   = {reader.device}" if reader.device else ""
            _say(f"  {at}:{reader.announced.port}   {reader.announced.name}{whose}")
    missing = [one for one in inventory.configured if one.state == "missing"]
    for place in missing:
        _say(f"missing 缺失: {place.device} at {place.location}, {place.link}")
    if not inventory.plugged:
        _say("Nothing is plugged in; a container sees only what it is given. 没有发现设备。")


def _seen(one: Seen) -> None:
    hardware, usb = one.hardware, one.hardware.usb
    whose = f"   = {one.device}" if one.device else ""
    what = hardware.name
    if usb:
        serial = f"serial {usb.serial}" if usb.serial else "no serial number"
        what = f"{usb.vendor}:{usb.product} {usb.maker} {usb.model}, {serial}"
    _say("  " + f"{hardware.path}   {what}{whose}".rstrip())
    for name in (*hardware.by_id, *hardware.by_path):
        _say(f"      {name}")
    if one.hint:
        _say(f"      {one.hint}")


# --- probe ------------------------------------------------------------------------------------


def probe(args: argparse.Namespace) -> int:
    """`stockd devices probe`."""
    loaded = _configuration(args)
    places = plugged.places(loaded.settings.device if loaded else ())
    running = _running(loaded)
    ports = hw.plugged_in(hw.SYS, hw.DEV)
    if args.network:
        wanted = [_host(text, places, running) for text in args.network]
    else:
        names = args.port or [
            one.path for one in ports if one.kind == "serial" and one.node and not one.console
        ]
        wanted = [_port(name, ports, places, running) for name in names]
    if args.port and args.network:
        wanted += [_port(name, ports, places, running) for name in args.port]
    findings = asyncio.run(_probe([one for one in wanted if isinstance(one, Target)], args.limit))
    found = iter(findings)
    result = [next(found) if isinstance(one, Target) else one for one in wanted]
    if args.json:
        _print_json(result)
    elif not result:
        _say("No serial port is plugged in. 没有插入串口设备。")
    else:
        for finding in result:
            _finding(finding)
    if any(one.outcome == "unreachable" for one in result):
        return UNREACHABLE
    known = all(one.outcome in ("found", "in_use", "foreign") for one in result)
    return DONE if result and known else NO


async def _probe(targets: Sequence[Target], limit_s: int) -> list[Finding]:
    now = asyncio.get_running_loop().time
    begun = now()

    def progress(port: str, doing: str) -> None:
        if now() - begun >= QUIET_S:
            _tell(f"{port}: {doing}")

    return await probe_all(targets, candidates(), progress, limit_s)


def _running(loaded: Loaded | None) -> frozenset[str]:
    """Devices whose port the daemon has open now."""
    if loaded is None:
        return frozenset()
    try:
        client = Client(Path(loaded.settings.journal.path), timeout_s=2.0)
        status = client.status()
        client.close()
    except NotRunning:
        return frozenset()
    return frozenset(one.health.id for one in status.devices if one.health.state == "up")


def _port(
    name: str, ports: Sequence[hw.Hardware], places: Sequence[Place], running: frozenset[str]
) -> Target | Finding:
    """What to do with a port: probe it, or say at once why not."""
    path, setting = name, ""
    if "://" in name:
        try:
            address = parse_link(name)
        except DeviceMisconfigured as error:
            raise UserError(str(error)) from None
        if address.scheme == "tcp":
            return _host(address.target, places, running)
        path, setting = address.path, name.partition("?")[2]
    elif "/" not in name:
        path = f"/dev/{name}"
    hardware = plugged.hardware_at(path, ports)
    device = plugged.device_at(path, places)
    if not plugged.real(path):
        return Finding(path, "unreachable", "not plugged in")
    if device in running or (device and plugged.locked(path)):
        return Finding(path, "in_use", f"in use by stockd as {device}", device=device)
    if plugged.locked(path):
        return Finding(path, "unreachable", "another program has it")
    if hardware and hardware.kind != "serial":
        return Finding(path, "unknown", f"{hardware.name}: no port that can be asked")
    if foreign := probes.not_ours(hardware.usb if hardware else None):
        return Finding(path, "foreign", f"{foreign} by its own words: not opened")
    return Target(path, f"serial://{path}", setting)


def _host(text: str, places: Sequence[Place], running: frozenset[str]) -> Target | Finding:
    try:
        address = parse_link(f"tcp://{text}")
    except DeviceMisconfigured:
        try:
            address = parse_link(f"tcp://{text}:{probes.LLRP_PORT}")
        except DeviceMisconfigured:
            raise UserError(f"{text}: write HOST or HOST:PORT") from None
    device = next((one.device for one in places if one.port == address.target), "")
    if device in running:
        return Finding(address.target, "in_use", f"in use by stockd as {device}", device=device)
    return Target(address.target, f"tcp://{address.target}")


def _finding(finding: Finding) -> None:
    what = finding.driver or finding.outcome
    options = "".join(f" {key}={value}" for key, value in finding.options.items())
    _say(f"{finding.port}   {what}{options}   {finding.text}")
    if finding.link:
        _say(f'    driver = "{finding.driver}"   link = "{finding.link}"')
