"""`stockd why`: the chain behind one event, with a small plot of the plate's weight around it.

Here: how it is laid out for a terminal, as JSON, as a picture. Not here: sentences (`why_words`),
dots (`plot`, `picture`), where it comes from (`lineage`).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from gateway import plot, words
from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import Loaded, load
from gateway.domain.stock import StockEvent
from gateway.domain.wire import INT_MAX
from gateway.journal.reader import Evidence, Reader
from gateway.journal.writer import JournalError
from gateway.lineage import Lineage, lineage
from gateway.plot import Curve
from gateway.why_words import HEADS, Teller, Told, captions, legend
from gateway.words import Lang, say

COLUMNS: Final = 80
"""Where the width of the terminal is not known."""
COLUMNS_MIN: Final = 40


def why(args: argparse.Namespace) -> int:
    """`stockd why SEQ|ID [--plot FILE.png]`."""
    loaded = load(config_path(args))
    is_seq = args.event.isascii() and args.event.isdigit() and len(args.event) < len(str(INT_MAX))
    try:
        reader = Reader(Path(loaded.settings.journal.path))
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None
    kin = lineage(reader, int(args.event) if is_seq else args.event)
    if kin is None:
        raise UserError(f"there is no event {args.event} in the journal", NO)
    lang: Lang = args.lang or loaded.settings.store.locale
    teller = _teller(loaded, lang)
    told = teller.tell(kin)
    seen, drawn = _weighed(kin)
    if args.plot is not None:
        _picture(args.plot, seen.event, drawn, teller, lang)
    if args.json:
        _print_json(kin, told, seen.event if drawn else None, drawn, lang, loaded)
    else:
        _print(kin, told, seen, drawn, lang)
    return DONE


def _teller(loaded: Loaded, lang: Lang) -> Teller:
    return Teller(
        {p.gtin: p.name for p in loaded.store.products},
        {x.id: x.name for x in loaded.store.locations},
        ZoneInfo(loaded.settings.store.timezone),
        loaded.settings.fusion,
        lang,
    )


def _weighed(kin: Lineage) -> tuple[Evidence, tuple[Curve, ...]]:
    """The nearest event that a plate witnessed, the asked one first, and what the plate showed."""
    for one in (kin.event, *kin.rests_on, *kin.beside, *kin.led_to):
        drawn = plot.curves(one.observation)
        if drawn:
            return one, drawn
    return kin.event, ()


def _picture(
    file: Path, event: StockEvent, drawn: tuple[Curve, ...], teller: Teller, lang: Lang
) -> None:
    if not drawn:
        raise UserError(f"no scale had a part in event {event.seq}: there is nothing to plot", NO)
    from gateway import picture

    font = picture.chinese_font() if lang == "zh-CN" else None
    title = teller.line(event)
    if font is None:
        lang, title = "en", title if title.isascii() else f"event {event.seq}: {event.kind}"
    try:
        file.write_bytes(picture.png(drawn, captions(title, lang), font))
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None


def _print_json(
    kin: Lineage, told: Told, drawn_of: StockEvent | None, drawn: tuple[Curve, ...], lang: Lang,
    loaded: Loaded,
) -> None:  # fmt: skip
    one = kin.event
    names = {p.gtin: p.name for p in loaded.store.products}
    document: dict[str, Any] = {
        "seq": one.event.seq, "id": one.event.id, "kind": one.event.kind,
        "text": told.headline.split("  ", 2)[2], "why": [told.judged[0], *told.heard],
        "hypotheses": words.hypotheses(one.because, names, lang),
        "because": one.because, "observation": one.observation, "event": one.event,
        "booked": told.booked, "instead": told.instead,
        "beside": [x.event.seq for x in kin.beside],
        "rests_on": [x.event.seq for x in kin.rests_on],
        "led_to": [x.event.seq for x in kin.led_to],
        "plot": None if drawn_of is None else {"seq": drawn_of.seq, "curves": drawn},
    }  # fmt: skip
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


def _print(kin: Lineage, told: Told, seen: Evidence, drawn: tuple[Curve, ...], lang: Lang) -> None:
    columns = max(COLUMNS_MIN, shutil.get_terminal_size((COLUMNS, 24)).columns)
    _say(told.headline)
    for name, head in HEADS.items():
        lines = getattr(told, name)
        if not lines:
            continue
        _say(f"\n{say(head, lang)}")
        for line in lines:
            _say(textwrap.fill(line, columns, initial_indent="  ", subsequent_indent="    "))
        if name == "heard" and seen is kin.event:
            _plots(drawn, columns, lang)
        elif name == "rests_on" and seen in kin.rests_on:
            _say(f"\n  #{seen.event.seq}")
            _plots(drawn, columns, lang)


def _plots(drawn: tuple[Curve, ...], columns: int, lang: Lang) -> None:
    ascii_only = not _writes("▲⣿")
    for curve in drawn:
        _say()
        for line in plot.text(curve, columns - 2, ascii_only=ascii_only):
            _say(f"  {line}")
        _say(f"  {legend(curve, plot.MARKS[ascii_only], lang)}")


def _writes(text: str) -> bool:
    """Whether the terminal can show it."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _say(text: str = "") -> None:
    print(text)  # noqa: T201 - the purpose of this module
