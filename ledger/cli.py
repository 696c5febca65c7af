"""`stockd-ledger`: run the reference ledger, and ask it (CONTRACT.md section 3).

Here: arguments, printing, exit codes (0 done, 1 the answer is no, 2 wrong usage, 3 not reached).
Not here: the answers themselves (`ledger.fleet`, `ledger.verify`), the link (`ledger.link`).
"""

from __future__ import annotations

import argparse
import datetime
import logging
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain.ids import STORE_ID, gtin14
from ledger import fleet
from ledger.address import AddressError, Files, read_address
from ledger.books import AbsentError, Books, BooksError, open_to_read, path_of
from ledger.verify import verify

DONE, NO, USAGE, UNREACHED = 0, 1, 2, 3
DB_URL: Final = "sqlite:///var/ledger.db"
MQTT_URL: Final = "mqtt://127.0.0.1:1883"

Row = Sequence[object]
Command = Callable[[sqlite3.Connection, argparse.Namespace], int]


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        path = path_of(arguments.db)
        if arguments.command == "run":
            return _run(arguments, path)
        with closing(open_to_read(path)) as db:
            command: Command = arguments.answer
            return command(db, arguments)
    except AbsentError as error:
        return _complain(str(error), UNREACHED)
    except (BooksError, AddressError) as error:
        return _complain(str(error), USAGE)
    except (sqlite3.Error, OSError) as error:
        return _complain(f"{arguments.db}: {error}", UNREACHED)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"stockd-ledger: {text}\n")
    return code


# --- arguments --------------------------------------------------------------------------------


def _everywhere(*, before: bool) -> argparse.ArgumentParser:
    """Options that may stand before or after the command; only those before have defaults."""
    parser = argparse.ArgumentParser(add_help=False)
    unset = argparse.SUPPRESS
    parser.add_argument(
        "--db", default=DB_URL if before else unset, help=f"database URL (default {DB_URL})"
    )
    parser.add_argument(
        "--json", action="store_true", default=False if before else unset,
        help="one JSON document on stdout",
    )  # fmt: skip
    return parser


def _parser() -> argparse.ArgumentParser:
    common = _everywhere(before=False)
    of_store = argparse.ArgumentParser(add_help=False)
    of_store.add_argument("--store", type=_store, help="only this store")

    parser = argparse.ArgumentParser(
        prog="stockd-ledger",
        description="The reference central ledger of stockd.",
        parents=[_everywhere(before=True)],
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[common], help="take in what the stores send")
    run.add_argument("--mqtt", default=MQTT_URL, help=f"broker URL (default {MQTT_URL})")
    run.add_argument("--client-id", default="stockd-ledger", help="MQTT client id, one per broker")
    run.add_argument("--ca-file", type=Path, help="PEM: who may be the broker (mqtts)")
    run.add_argument("--cert-file", type=Path, help="PEM: our certificate (mqtts)")
    run.add_argument("--key-file", type=Path, help="PEM: our key (mqtts)")
    run.add_argument(
        "--allow-plaintext", action="store_true", help="mqtt:// to another host than this one"
    )
    answers: dict[str, tuple[str, Command]] = {
        "stores": ("every store: presence, streams, watermarks", _stores),
        "stock": ("stock of all stores as one pool", _stock),
        "devices": ("last word on every device", _devices),
        "alerts": ("what is open: alarms, devices, stores, findings", _alerts),
    }
    for name, (summary, answer) in answers.items():
        command = commands.add_parser(name, parents=[common, of_store], help=summary)
        command.set_defaults(answer=answer)
        if name == "stock":
            command.add_argument("--gtin", type=_gtin, help="only this product")
    check = commands.add_parser("verify", parents=[common], help="re-fold everything; 1 if wrong")
    check.set_defaults(answer=_verify)
    return parser


def _store(text: str) -> str:
    if not STORE_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no store id")
    return text


def _gtin(text: str) -> str:
    gtin = gtin14(text)
    if gtin is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no GTIN: length or check digit is wrong")
    return gtin


# --- run --------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace, path: Path) -> int:
    from ledger.link import Link, Stop  # the client library is needed by this command alone

    files = Files(arguments.ca_file, arguments.cert_file, arguments.key_file)
    address = read_address(arguments.mqtt, files, arguments.allow_plaintext)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    stop = Stop()
    stop.on_signals()
    books = Books(path)

    def connected() -> None:
        if arguments.json:
            _print_json({"connected": str(address), "db": str(path)})
        else:
            _say(f"ledger {path} connected to {address}")

    try:
        Link(address, books, arguments.client_id, connected).run(stop)
    finally:
        books.close()
    return DONE


# --- answers ----------------------------------------------------------------------------------


def _stores(db: sqlite3.Connection, arguments: argparse.Namespace) -> int:
    found = fleet.stores(db, arguments.store)
    rows = [
        (
            line.store,
            _presence(line.online),
            line.gw or "-",
            line.sw or "-",
            stream.stream,
            stream.epoch,
            stream.status,
            stream.watermark,
            stream.quarantined,
            stream.drifts,
            _time(stream.seen_ts),
        )
        for line in found
        for stream in line.streams or (fleet.StreamLine("-", 0, "-", 0, 0, 0, line.since or 0),)
    ]
    head = "store presence gateway software stream epoch status watermark quarantined drifts seen"
    return _show(arguments, {"stores": found}, head, rows)


def _stock(db: sqlite3.Connection, arguments: argparse.Namespace) -> int:
    pools = fleet.stock(db, arguments.store, arguments.gtin)
    rows: list[Row] = []
    for pool in pools:
        amounts = (pool.on_hand_milli, pool.sellable_milli, pool.basket_milli)
        rows.append((pool.gtin, pool.uom, "all", *map(_amount, amounts), ""))
        for line in pool.stores:
            places = " ".join(f"{at.location}:{_amount(at.qty_milli)}" for at in line.places)
            amounts = (line.on_hand_milli, line.sellable_milli, line.basket_milli)
            rows.append(("", "", line.store, *map(_amount, amounts), places))
    return _show(arguments, {"stock": pools}, "gtin uom store on_hand sellable basket places", rows)


def _devices(db: sqlite3.Connection, arguments: argparse.Namespace) -> int:
    found = fleet.devices(db, arguments.store)
    rows = [
        (
            line.store,
            line.device,
            line.driver,
            line.state if line.store_online is not False else f"{line.state}?",
            _time(line.ts),
            line.reason,
        )
        for line in found
    ]
    return _show(arguments, {"devices": found}, "store device driver state since reason", rows)


def _alerts(db: sqlite3.Connection, arguments: argparse.Namespace) -> int:
    found = fleet.alerts(db, arguments.store)
    rows = [
        (line.store, line.severity, line.code, line.device or "-", _time(line.ts), line.text)
        for line in found
    ]
    return _show(arguments, {"alerts": found}, "store severity code device since text", rows)


def _verify(db: sqlite3.Connection, arguments: argparse.Namespace) -> int:
    verdict = verify(db)
    if arguments.json:
        _print_json({"ok": verdict.found == 0, **msgspec.to_builtins(verdict)})
        return NO if verdict.found else DONE
    for problem in verdict.problems:
        _say(problem)
    counted = (
        f"{verdict.stores} stores, {verdict.epochs} epochs, {verdict.events} events,"
        f" {verdict.quarantined} in quarantine, {verdict.balances} balances"
    )
    well = "all right" + (" but for those in quarantine, not booked" * (verdict.quarantined > 0))
    _say(f"{counted}: " + (f"{verdict.found} problems" if verdict.found else well))
    return NO if verdict.found else DONE


def _show(
    arguments: argparse.Namespace, document: dict[str, list[Any]], head: str, rows: Sequence[Row]
) -> int:
    """Prints; 1 when one store or product was asked for and there is nothing of it."""
    if arguments.json:
        _print_json(document)
    elif rows:
        _print_table((tuple(head.replace("_", " ") for head in head.split()), *rows))
    else:
        _say("nothing")
    asked = arguments.store or getattr(arguments, "gtin", None)
    return NO if asked and not rows and arguments.command in ("stores", "stock") else DONE


def _print_json(document: dict[str, Any]) -> None:
    _say(msgspec.json.encode(document).decode())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _print_table(rows: Sequence[Row]) -> None:
    texts = [[_printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    numeric = [all(_is_number(row[column]) for row in texts[1:]) for column in range(len(texts[0]))]
    for row in texts:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        _say("  ".join(cells).rstrip())


def _printable(text: str) -> str:
    """What a store wrote cannot steer the terminal of whoever reads it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit() and len(text) != 14


def _presence(online: bool | None) -> str:
    return "?" if online is None else "online" if online else "offline"


def _amount(milli: int) -> str:
    """Thousandths as a decimal, exactly.

    >>> _amount(12_000), _amount(-742)
    ('12', '-0.742')
    """
    whole, rest = divmod(abs(milli), 1000)
    text = f"{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{text}" if milli < 0 else text


def _time(ms: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(ms // 1000, tz=datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"  # a clock gone mad is shown as it is
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())
