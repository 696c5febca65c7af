"""The command `stockd devices bind`: stable names for the devices of a store.

Here: which hardware is meant, the rules file, what store.toml should say. Not here: the rules
(`discover.rules`), what is plugged in (`registry.hardware`).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.discover import plugged, rules
from gateway.domain.reading import Word
from gateway.problems import did_you_mean
from gateway.registry import hardware as hw


class Bound(Word, frozen=True):
    """What `stockd devices bind` did for one device."""

    device: str
    state: str
    """bound, kept (it is away; its lines stay), missing, unbindable"""
    text: str
    link: str
    """What store.toml should say."""


def _say(text: str = "") -> None:
    print(text)  # noqa: T201 - the purpose of this module


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def bind(args: argparse.Namespace) -> int:
    """`stockd devices bind`."""
    if (args.device is None) != (args.port is None):
        raise UserError("give DEVICE and PORT, or neither of them")
    if args.write is not None and not args.write.endswith(".rules"):
        raise UserError(f"--write {args.write}: udev reads files that end with .rules; put it last")
    loaded = load(config_path(args))
    ports = hw.plugged_in(hw.SYS, hw.DEV)
    at = _ports_by_device(args, loaded, ports)
    file = Path(args.write or rules.FILE)
    old = _old(file)
    fresh: list[rules.Binding] = []
    troubles: dict[str, str] = {}
    for name, port in at.items():
        try:
            fresh.append(rules.binding(name, port, ports))
        except rules.Unbindable as error:
            troubles[name] = str(error)
    local = [one for one in loaded.settings.device if one.link.startswith(("serial:", "evdev:"))]
    bindings = rules.merged(rules.bindings(old), fresh, [one.id for one in local])
    new = rules.text(bindings)
    bound = []
    for device in local:
        lines = next((one for one in bindings if one.device == device.id), None)
        hardware = at.get(device.id)
        bound.append(_bound(device.id, device.link, hardware, lines, troubles.get(device.id, "")))
    if args.write is not None and new != old:
        _write(file, new, args)
    if args.json:
        _print_json({
            "file": str(file), "written": args.write is not None, "rules": new, "devices": bound,
        })  # fmt: skip
    else:
        _advise(file, new, bound, written=args.write is not None)
    asked = [one for one in bound if args.device in (None, one.device)]
    return DONE if all(one.state in ("bound", "kept") for one in asked) else NO


def _ports_by_device(
    args: argparse.Namespace, loaded: Loaded, ports: Sequence[hw.Hardware]
) -> dict[str, hw.Hardware]:
    """The hardware of each device that is there; the one named on the command line is first."""
    devices = loaded.settings.device
    found: dict[str, hw.Hardware] = {}
    if args.device is not None:
        if args.device not in (names := [one.id for one in devices]):
            guess = did_you_mean(args.device, names) or f"there are: {', '.join(names)}"
            raise UserError(f"no device is called {args.device}; {guess}")
        named = args.port if "/" in args.port else f"/dev/{args.port}"
        hardware = plugged.hardware_at(named, ports)
        if hardware is None:
            hint = "`stockd devices list` shows what is"
            raise UserError(f"{named} is not plugged in; {hint}", UNREACHABLE)
        found[args.device] = hardware
    for place in plugged.places(devices):
        hardware = plugged.hardware_at(place.port, ports) if place.port else None
        if hardware is not None and hardware not in found.values():
            found.setdefault(place.device, hardware)
    return found


def _bound(
    device: str, link: str, hardware: hw.Hardware | None, lines: rules.Binding | None, trouble: str
) -> Bound:
    if lines is None:
        text = trouble or f"not plugged in; name its port: stockd devices bind {device} PORT"
        return Bound(device, "unbindable" if trouble else "missing", text, link)
    how = "by serial number and socket" if lines.by_serial else (
        "by socket: it has no serial number of its own, so it must stay in this socket"
    )  # fmt: skip
    if hardware is None or trouble:
        return Bound(device, "kept", f"away; its name stays, {how}", rules.link(device, link))
    return Bound(device, "bound", f"{hardware.path} {how}", rules.link(device, link))


def _old(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}", UNREACHABLE) from None


def _write(file: Path, text: str, args: argparse.Namespace) -> None:
    """Whole or not at all; udev ignores the name it has while it is being written."""
    half = file.with_name(f".{file.name}.new")
    try:
        half.write_text(text, "utf-8")
        half.chmod(0o644)
        half.replace(file)
    except PermissionError:
        words = ["sudo", sys.argv[0], "--config", str(config_path(args).absolute()), "devices"]
        words += ["bind", *filter(None, (args.device, args.port)), "--write", str(file)]
        raise UserError(f"{file} needs root: {shlex.join(words)}", UNREACHABLE) from None
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}", UNREACHABLE) from None


def _advise(file: Path, text: str, bound: Sequence[Bound], *, written: bool) -> None:
    tell: Callable[[str], None] = _say if written else _tell
    if not written:
        sys.stdout.write(text)
        sys.stdout.flush()
    for one in bound:
        tell(f"{one.device}: {one.state}, {one.text}")
    if links := [one for one in bound if one.state in ("bound", "kept")]:
        tell("In store.toml 请在 store.toml 中写:")
        for one in links:
            tell(f'  {one.device}: link = "{one.link}"')
    if written:
        tell(f"{file} is up to date. Now 然后: {rules.RELOAD}")
    else:
        tell("Nothing was written; add --write to do it. 尚未写入，加 --write 写入。")
