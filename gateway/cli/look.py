"""Commands that look: check, status, stock, events, why, verify; `command` asks and waits.

Here: what is printed, for people or as JSON. Not here: where it comes from (`journal`, `control`).
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from gateway import words
from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.control import Client, NotRunning, Refusal
from gateway.domain.ids import gtin14
from gateway.domain.reading import Order
from gateway.domain.stock import BASKET, VIRTUAL
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
    return f"{level} moving" if plate.moving else level


def stock(args: argparse.Namespace) -> int:
    """`stockd stock`."""
    loaded = load(config_path(args))
    wanted = None
    if args.gtin is not None:
        wanted = gtin14(args.gtin)
        if wanted is None:
            raise UserError(
                f"{args.gtin} is no GTIN: 8, 12, 13 or 14 digits, the last a check digit"
            )
    if args.location is not None and args.location not in loaded.store.location_by_id():
        raise UserError(f"there is no location {args.location!r} in {loaded.path}")
    names = loaded.store.product_by_gtin()
    reader = _reader(loaded)
    rows: dict[str, dict[str, Any]] = {}
    for b in reader.balances():
        if (b.loc in VIRTUAL and b.loc != BASKET) or (wanted and b.gtin != wanted):
            continue
        row = rows.setdefault(b.gtin, {
            "gtin": b.gtin, "name": names[b.gtin].name if b.gtin in names else "", "uom": b.uom,
            "on_hand_milli": 0, "sellable_milli": 0, "basket_milli": 0, "held_milli": 0,
            "by_location": {},
        })  # fmt: skip
        row["on_hand_milli"] += b.qty_milli
        if b.loc == BASKET:
            row["basket_milli"] += b.qty_milli
        else:
            row["sellable_milli"] += b.qty_milli
            row["by_location"][b.loc] = row["by_location"].get(b.loc, 0) + b.qty_milli
    if args.location is not None:
        for row in rows.values():
            row["by_location"] = {
                loc: qty for loc, qty in row["by_location"].items() if loc == args.location
            }
    chosen = [
        row
        for row in rows.values()
        if args.location is None or row["by_location"].get(args.location)
    ]
    chosen.sort(key=lambda row: row["gtin"])
    position = reader.bounds("stock")[1]
    if args.json:
        _print_json({"store": loaded.settings.store.id, "seq": position, "products": chosen})
        return DONE
    _say(f"{'GTIN':<16}{'on hand':>9}{'sellable':>10}{'basket':>8}  by location / product")
    for row in chosen:
        places = ", ".join(
            f"{loc} {words.quantity(qty, row['uom'])}"
            for loc, qty in row["by_location"].items()
            if qty
        )
        q = {
            k: words.quantity(row[f"{k}_milli"], row["uom"])
            for k in ("on_hand", "sellable", "basket")
        }
        _say(f"{row['gtin']:<16}{q['on_hand']:>9}{q['sellable']:>10}{q['basket']:>8}  "
             f"{places}   {row['name']}")  # fmt: skip
    return DONE


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


def why(args: argparse.Namespace) -> int:
    """`stockd why SEQ|ID`."""
    loaded = load(config_path(args))
    is_seq = args.event.isascii() and args.event.isdigit() and len(args.event) < len(str(INT_MAX))
    which: int | str = int(args.event) if is_seq else args.event
    found = _reader(loaded).evidence(which)
    if found is None:
        raise UserError(f"there is no event {args.event} in the journal", NO)
    lang: words.Lang = args.lang or loaded.settings.store.locale
    products = {p.gtin: p.name for p in loaded.store.products}
    places = {x.id: x.name for x in loaded.store.locations}
    event, because = found.event, found.because
    headline = words.headline(event, products, places, lang)
    chain = [words.reason(because, lang), words.evidence(found.observation, lang)]
    guesses = words.hypotheses(because, products, lang)
    if args.json:
        _print_json({
            "seq": event.seq, "id": event.id, "kind": event.kind, "text": headline,
            "why": chain, "hypotheses": guesses, "because": because,
            "observation": found.observation, "event": event,
        })  # fmt: skip
        return DONE
    zone = ZoneInfo(loaded.settings.store.timezone)
    moment = datetime.fromtimestamp(event.at_ns // 1_000_000_000, zone).strftime("%F %T")
    _say(f"#{event.seq}  {moment}  {headline}")
    for text in chain:
        _say(f"  {text}")
    if event.conf is not None:
        label = words.say(("把握", "confidence"), lang)
        _say(f"  {label}: {event.conf / 10:.1f} %")
    for guess in guesses:
        _say(f"    {guess}")
    return DONE


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
