"""`stockd stocktake start|status|finish|cancel|report`: counts of whole places.

Here: what is asked of the daemon and what is printed. Not here: counting (`core.stocktakes`), the
report (`variance`, which reads the journal and needs no daemon).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unicodedata import east_asian_width
from zoneinfo import ZoneInfo

import msgspec

from gateway import variance_sheets, variance_words
from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.control import Client, NotRunning, Refusal
from gateway.core.stocktakes import StocktakeView
from gateway.domain.reading import Order, StocktakeCancel, StocktakeFinish, StocktakeStart
from gateway.health import CommandResult
from gateway.journal.reader import Reader
from gateway.journal.writer import JournalError
from gateway.variance import Variance, variance
from gateway.variance_words import COLUMNS, Sheet, written
from gateway.words import Lang

SHOWN: Final = ("location", "gtin", "lot", "book", "counted", "difference", "value", "name")
"""Columns of the report in a terminal; the name last, for it may be wide."""


def start(args: argparse.Namespace) -> int:
    """`stockd stocktake start`."""
    if bool(args.location) == args.all:
        raise UserError("say which places: --location L ..., or --all")
    loaded = load(config_path(args))
    result = _tell(loaded, StocktakeStart(tuple(args.location), args.by))
    if result.notes:
        return _answer(args, result)
    places = set(args.location) or {x.id for x in loaded.store.locations if x.physical}
    begun = [
        view
        for view in _running(loaded)
        if view.by == args.by and {place.location for place in view.places} == places
    ]
    if args.json:
        _print_json(begun[-1:])
    for view in begun[-1:]:
        if not args.json:
            _say(f"{view.id} has begun: {len(view.places)} places, by {view.by}")
            _say(f"stockd stocktake finish {view.id}   books the differences")
    return DONE


def status(args: argparse.Namespace) -> int:
    """`stockd stocktake status`."""
    running = _running(load(config_path(args)))
    if args.json:
        _print_json(running)
        return DONE
    if not running:
        _say("no stocktake is running")
    for view in running:
        counted = sum(place.counted for place in view.places)
        expected = sum(place.expected for place in view.places)
        _say(f"{view.id}  by {view.by}  {counted} of {expected} products")
        for place in view.places:
            if place.expected:
                _say(f"  {place.location:<16}{place.counted:>5} of {place.expected}")
    return DONE


def finish(args: argparse.Namespace) -> int:
    """`stockd stocktake finish ID`."""
    loaded = load(config_path(args))
    return _answer(args, _tell(loaded, StocktakeFinish(args.id, args.zero)))


def cancel(args: argparse.Namespace) -> int:
    """`stockd stocktake cancel ID`."""
    return _answer(args, _tell(load(config_path(args)), StocktakeCancel(args.id)))


def report(args: argparse.Namespace) -> int:
    """`stockd stocktake report [ID]`."""
    loaded = load(config_path(args))
    try:
        reader = Reader(Path(loaded.settings.journal.path))
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None
    count = args.id or reader.newest_count()
    told = None if count is None else variance(reader, loaded.store, count)
    if told is None:
        which = "no count" if count is None else f"nothing of a count {count}"
        raise UserError(f"{which} was booked: it runs still, was cancelled, or never was", NO)
    lang: Lang = args.lang or loaded.settings.store.locale
    places = {x.id: x.name for x in loaded.store.locations}
    shop = loaded.settings.store
    store = f"{shop.name} ({shop.id})" if shop.name else shop.id
    sheet = variance_words.sheet(told, store, places, ZoneInfo(shop.timezone), lang)
    _files(args, sheet, lang)
    if args.json:
        _print_json({**msgspec.to_builtins(told), "totals": dict(sheet.totals)})
    else:
        _table(told, sheet)
    return DONE


def _files(args: argparse.Namespace, sheet: Sheet, lang: Lang) -> None:
    made: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
        (args.csv, lambda: variance_sheets.csv_bytes(sheet)),
        (args.xlsx, lambda: variance_sheets.xlsx_bytes(sheet)),
        (args.html, lambda: variance_sheets.html_bytes(sheet, lang)),
    )
    for file, content in made:
        if file is None:
            continue
        try:
            file.write_bytes(content())
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from None


def _table(told: Variance, sheet: Sheet) -> None:
    for label, text in sheet.head:
        _say(f"{label}: {text}")
    _say()
    titles = dict(zip(COLUMNS, sheet.columns, strict=True))
    rows = [titles] + [
        {name: written(name, cell) for name, cell in zip(COLUMNS, row, strict=True)}
        for row in sheet.rows
    ]
    widths = {name: max(_cells(row[name]) for row in rows) for name in SHOWN}
    for row in rows:
        line = []
        for name in SHOWN:
            room = " " * (widths[name] - _cells(row[name]))
            number = name in variance_words.NUMBERS
            line.append(room + row[name] if number else row[name] + room)
        _say("  ".join(line).rstrip())
    _say()
    for label, text in sheet.totals:
        _say(f"{label}: {text}")
    if sheet.uncounted or told.uncounted is None:
        _say(f"\n{sheet.uncounted_title}")
    for left in sheet.uncounted:
        _say("  " + "  ".join(left).rstrip())


def _cells(text: str) -> int:
    """Columns that a terminal shows it in."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _tell(loaded: Loaded, order: Order) -> CommandResult:
    try:
        client = Client(Path(loaded.settings.journal.path))
        result = client.command(order)
        client.close()
    except NotRunning as error:
        raise UserError(f"{error}; start it with `stockd run`", UNREACHABLE) from None
    if isinstance(result, Refusal):
        raise UserError(result.error)
    return result


def _running(loaded: Loaded) -> tuple[StocktakeView, ...]:
    try:
        client = Client(Path(loaded.settings.journal.path))
        now = client.status()
        client.close()
    except NotRunning as error:
        raise UserError(f"{error}; start it with `stockd run`", UNREACHABLE) from None
    return now.stocktakes


def _answer(args: argparse.Namespace, result: CommandResult) -> int:
    if args.json:
        _print_json(result)
    else:
        if result.events:
            first, last = result.events[0], result.events[-1]
            _say(f"events {first} to {last}" if last > first else f"event {first}")
        for note in result.notes:
            _say(note)
        if not result.events and not result.notes:
            _say("nothing booked")
    return NO if result.notes and not result.events else DONE


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _say(text: str = "") -> None:
    print(text)  # noqa: T201 - the purpose of this module
