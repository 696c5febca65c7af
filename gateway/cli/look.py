"""Commands that look: check, status, events, verify; `command` asks and waits.

Here: what is printed, for people or as JSON. Not here: where it comes from (`journal`, `control`).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.control import Client, NotRunning, Refusal
from gateway.domain.reading import Order
from gateway.domain.wire import INT_MAX
from gateway.health import DaemonStatus, PlateStatus
from gateway.journal.reader import Reader
from gateway.journal.writer import JournalError
from gateway.problems import did_you_mean
from gateway.verify import verify as verify_journal

COMMANDS: Final = (
    "stocktake",
    "set_mode",
    "quantity",
    "writeoff",
    "adjust",
    "void",
    "tare",
    "zero",
)


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _say(text: str = "") -> None:
    print(text)  # noqa: T201 - the purpose of this module


def _reader(loaded: Loaded) -> Reader:
    try:
        return Reader(Path(loaded.settings.journal.path))
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None


def check(args: argparse.Namespace) -> int:
    """`stockd check`."""
    loaded = load(config_path(args))
    store = loaded.store
    if args.json:
        _print_json({"ok": True, "problems": [], "sha256": loaded.sha256})
    else:
        _say(
            f"{loaded.path}: ok. 配置正确。 {len(store.locations)} locations, "
            f"{len(loaded.settings.device)} devices, {len(store.products)} products, "
            f"{len(store.planogram)} planogram rows"
        )
    return DONE


def status(args: argparse.Namespace) -> int:
    """`stockd status`."""
    loaded = load(config_path(args))
    try:
        client = Client(Path(loaded.settings.journal.path))
        now = client.status()
        client.close()
    except NotRunning as error:
        raise UserError(f"{error}; start it with `stockd run`", UNREACHABLE) from None
    if args.json:
        _print_json(now)
    else:
        _status_table(now)
    return DONE


def _status_table(now: DaemonStatus) -> None:
    up_s = (now.now_ns - now.started_ns) // 1_000_000_000
    _say(f"store {now.store}   stockd {now.sw}   up {up_s} s   clock {now.clock.tq}")
    _say(
        f"journal: event {now.journal.stock_seq}, {now.journal.backlog} waiting for the disk; "
        f"{now.readings_total} readings"
    )
    link = now.link
    if link is None:
        _say("ledger: none configured (journal only)")
    else:
        state = "connected" if link.connected else f"not connected ({link.last_error})"
        _say(f"ledger: {link.broker} {state}")
        for stream in link.streams:
            behind = stream.committed - stream.ack
            _say(
                f"  {stream.stream:<5} {stream.state:<8} acknowledged {stream.ack} of "
                f"{stream.committed}{f', {behind} to go' if behind else ''} {stream.reason}"
            )
    alerts = ", ".join(f"{count.open} {count.code}" for count in now.alerts)
    _say(f"alerts: {alerts} (see `stockd alerts`)" if alerts else "alerts: none")
    _say()
    _say(f"{'device':<14}{'at':<10}{'driver':<16}{'state':<7}{'readings':>9}{'garbled':>9}  now")
    for d in now.devices:
        h = d.health
        shows = d.mode or ""
        if d.plates:
            shows = ", ".join(_plate(plate) for plate in d.plates)
        if d.tags is not None:
            present = sum(count.present for count in d.tags.tags)
            shows = f"{present} tags, {d.tags.non_gs1_present} not of GS1"
        if h.state != "up":
            shows = h.reason
        _say(
            f"{h.id:<14}{h.location:<10}{h.driver:<16}{h.state:<7}{h.readings_total:>9}"
            f"{h.garbled_total:>9}  {shows}"
        )


def _plate(plate: PlateStatus) -> str:
    if plate.trouble:
        return plate.trouble
    level = "-" if plate.mass_mg is None else f"{plate.mass_mg / 1000:.0f} g"
    if plate.counts_to is not None:
        level += f" counts up to {plate.counts_to} 可数至{plate.counts_to}件"
    return f"{level} moving" if plate.moving else level


def events(args: argparse.Namespace) -> int:
    """`stockd events`."""
    reader = _reader(load(config_path(args)))
    out, since = sys.stdout.buffer, min(max(1, args.since), INT_MAX)
    while True:
        bodies = reader.bodies("stock", since, 500)
        if bodies:
            low = reader.bounds("stock")[0]
            since = max(since, low) + len(bodies)
            out.write(b"".join(body + b"\n" for body in bodies))
            out.flush()
        elif not args.follow:
            return DONE
        else:
            time.sleep(0.1)


def verify(args: argparse.Namespace) -> int:
    """`stockd verify`."""
    loaded = load(config_path(args))
    verdict = verify_journal(_reader(loaded), loaded.settings, loaded.store, loaded.sha256)
    if args.json:
        _print_json({"ok": not verdict.findings, **msgspec.to_builtins(verdict)})
    else:
        fold = (
            f"{verdict.folded_events} events folded again from {verdict.observations} observations"
        )
        if not verdict.folded:
            fold = "not folded: the configuration changed since the daemon last started with it"
        _say(
            f"{verdict.stock_events} stock events, {verdict.ops_events} operational events; {fold}"
        )
        for finding in verdict.findings:
            _say(f"  WRONG {finding}")
        _say("verified" if not verdict.findings else "NOT verified")
    return NO if verdict.findings else DONE


def command(args: argparse.Namespace) -> int:
    """`stockd command NAME KEY=VALUE...`."""
    loaded = load(config_path(args))
    if args.name not in COMMANDS:
        remedy = did_you_mean(args.name, COMMANDS) or f"there are: {', '.join(COMMANDS)}"
        raise UserError(f"no command is called {args.name!r}; {remedy}")
    members: dict[str, Any] = {"name": args.name}
    for pair in args.args:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"{pair!r}: write KEY=VALUE, e.g. location=a1 gtin=… qty_milli=12000")
        members[key] = value
    try:
        order = msgspec.convert(members, Order, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"command {args.name}: {error}") from None
    try:
        client = Client(Path(loaded.settings.journal.path))
        result = client.command(order)
        client.close()
    except NotRunning as error:
        raise UserError(f"{error}; start it with `stockd run`", UNREACHABLE) from None
    if isinstance(result, Refusal):
        raise UserError(result.error)
    if args.json:
        _print_json(result)
    else:
        _say(f"events {', '.join(map(str, result.events))}" if result.events else "nothing booked")
        for note in result.notes:
            _say(note)
    return NO if result.notes and not result.events else DONE
