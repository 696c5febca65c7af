"""Commands on what is on goods: `barcode` says what a label says, `epc` what a tag is.

Here: text from the command line, sentences or JSON back. Not here: what a label means
(`domain.gs1`), what a tag is (`domain.epc`), the words (`label_words`, `tag_words`).
One function per command.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway import label_words, tag_words, words
from gateway.cli import DONE, NO, config_path
from gateway.clock import SystemClock
from gateway.domain import epc as tags
from gateway.domain import gs1
from gateway.domain.gs1 import rules

_AIM: Final = re.compile(r"\][A-Za-z][0-9A-Za-z]")


def barcode(args: argparse.Namespace) -> int:
    """`stockd barcode [--aim ID] [--caret] TEXT...|-`: what each label says, element by element."""
    lang = _lang(args)
    year = gs1.year_of(SystemClock(0).now_ns())
    documents = []
    understood = True
    for text in _texts(args.text):
        data, aim = _as_scanned(text, args.aim, args.caret)
        found, item = gs1.read(data, aim), gs1.parse(data, aim)
        elements = () if isinstance(found, gs1.NoItem) else found
        faults = tuple(rules.faults(elements))
        understood = understood and isinstance(item, gs1.Item)
        if args.json:
            documents.append(_document(data, aim, elements, item, faults))
        else:
            for line in _lines(text, elements, item, faults, year, lang):
                print(line)  # noqa: T201 - the purpose of this module
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode({"labels": documents}) + b"\n")
    return DONE if understood else NO


def _texts(texts: list[str]) -> Iterator[str]:
    """The labels named, or one a line of standard input."""
    for text in texts:
        if text == "-":
            lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
            yield from filter(None, (line.rstrip("\r\n") for line in lines))
        else:
            yield text


def _as_scanned(text: str, aim: str | None, caret: bool) -> tuple[str, str | None]:
    """The text as a scanner driver gives it: identifier apart, FNC1 as U+001D."""
    if aim is None and _AIM.match(text):
        aim, text = text[:3], text[3:]
    text = text.replace("{GS}", gs1.GS)
    return (text.replace("^", gs1.GS) if caret else text), aim


def _lang(args: argparse.Namespace) -> words.Lang:
    """As asked, else as the store has it, else English: a label can be read without a store."""
    if args.lang is not None:
        return "zh-CN" if args.lang == "zh-CN" else "en"
    if not config_path(args).is_file():
        return "en"
    from gateway.config import load
    from gateway.problems import ConfigError

    try:
        return load(config_path(args)).settings.store.locale
    except ConfigError:
        return "en"


def _document(
    data: str,
    aim: str | None,
    elements: tuple[gs1.Element, ...],
    item: gs1.Item | gs1.NoItem,
    faults: tuple[gs1.Fault, ...],
) -> dict[str, Any]:
    known = isinstance(item, gs1.Item)
    return {
        "data": data,
        "aim": aim,
        "elements": [
            {"ai": e.ai, "title": label_words.title(e.ai, "en"), "value": e.value} for e in elements
        ],
        "item": item if known else None,
        "reason": None if isinstance(item, gs1.Item) else item.reason,
        "detail": None if isinstance(item, gs1.Item) else item.detail,
        "breaches": [fault.text for fault in faults],
    }


def _lines(
    text: str,
    elements: tuple[gs1.Element, ...],
    item: gs1.Item | gs1.NoItem,
    faults: tuple[gs1.Fault, ...],
    year: int,
    lang: words.Lang,
) -> Iterator[str]:
    yield text.replace(gs1.GS, "{GS}")
    for element in elements:
        yield f"  {f'({element.ai})':<7}{element.value:<32}{label_words.title(element.ai, lang)}"
    if isinstance(item, gs1.Item):
        label = words.say(("一次扫描", "one scan is"), lang)
        yield f"  {label}: {label_words.item(item, year, lang)}"
    else:
        label = words.say(("不能入账", "nothing for the stock"), lang)
        yield f"  {label}: {label_words.fault(item.fault, lang)}"
    for fault in faults:
        label = words.say(("不合 GS1 规范", "against GS1's rules"), lang)
        yield f"  {label}: {label_words.fault(fault, lang)}"


def epc(args: argparse.Namespace) -> int:
    """`stockd epc [--pc HEX] HEX...|-`: what each RFID tag is, or why it is none of GS1."""
    lang = _lang(args)
    documents = []
    understood = True
    for digits in _texts(args.hex):
        found = tags.decode_epc(digits, args.pc)
        understood = understood and not isinstance(found, tags.NotGs1)
        if args.json:
            documents.append(_tag(digits, found))
        else:
            print(digits)  # noqa: T201 - the purpose of this module
            for name, value in tag_words.lines(found, lang):
                print(f"  {name}: {value}")  # noqa: T201
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode({"tags": documents}) + b"\n")
    return DONE if understood else NO


def _tag(digits: str, found: tags.Sgtin | tags.EpcIdentity | tags.NotGs1) -> dict[str, Any]:
    none = isinstance(found, tags.NotGs1)
    names = ("scheme", "filter", "gtin14", "serial", "date", "pure_identity", "tag_uri",
             "element_string", "digital_link", "hostname", "aidc", "reason", "detail")  # fmt: skip
    said = {name: getattr(found, "gtin" if name == "gtin14" else name, None) for name in names}
    return {"hex": digits, "gs1": not none, **said}
