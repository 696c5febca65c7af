"""Element strings by the book: every AI known, every value tested, every separator in its place.

Here: the two ways to write a message, raw (`^011231...10ABC^21XYZ`, FNC1 written ^) and bracketed
(`(01)1231...(10)ABC(21)XYZ`), both directions. Not here: which AIs may stand together (`rules`),
what a store makes of it (`label`, which forgives).
Source: GS1 General Specifications 7.8; GS1 Barcode Syntax Dictionary; GS1 Barcode Syntax Engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.domain.gs1 import ais, lint
from gateway.domain.gs1.ais import Ai
from gateway.domain.gs1.words import Element, Fault

FNC1: Final = "^"
"""How FNC1 is written in a raw message; no character set of GS1 has it."""


def read_raw(message: str) -> tuple[Element, ...] | Fault:
    """The elements of a raw message, all tested, or the first thing wrong. Never raises.

    >>> [element.ai for element in read_raw("^0109506000134352" "10L2406^21S1")]
    ['01', '10', '21']
    """
    if not message.startswith(FNC1):
        return Fault("no_fnc1")
    if message == FNC1:
        return Fault("empty")
    found = []
    place = 1
    while place < len(message):
        ai = ais.at(message, place)
        if ai is None or not ai.known:
            return Fault("unknown_ai", value=message[place : place + 4])
        place += len(ai.ai)
        end = message.find(FNC1, place)
        value = message[place : end if end >= 0 else len(message)]
        taken = _consumed(ai, value)
        if isinstance(taken, Fault):
            return taken
        found.append(Element(ai.ai, value[:taken]))
        place += taken
        if ai.separated and taken < len(value):
            return Fault("unseparated", ai.ai)
        if message[place : place + 1] == FNC1:
            place += 1
    return tuple(found)


def write_raw(elements: Iterable[Element]) -> str:
    """The raw message of these elements; FNC1 only where it is needed."""
    text, needed = [], True
    for element in elements:
        ai = ais.assumed(element.ai)
        text.append(f"{FNC1 if needed else ''}{element.ai}{element.value}")
        needed = ai is None or ai.separated
    return "".join(text)


def read_bracketed(text: str, unknown: bool = False) -> tuple[Element, ...] | Fault:
    """The elements of a bracketed message, all tested, or the first thing wrong. Never raises.

    A bracket inside a value is written `\\(`. With `unknown`, AIs that the dictionary lacks pass.
    """
    elements = split_bracketed(text, unknown)
    return elements if isinstance(elements, Fault) else first_fault(elements) or elements


def split_bracketed(text: str, unknown: bool = False) -> tuple[Element, ...] | Fault:
    """As `read_bracketed`, with lengths tested and nothing else about the values."""
    found = []
    rest = text
    while rest:
        digits, close, rest = rest[1:].partition(")") if rest[0] == "(" else ("", "", rest)
        if not close:
            return Fault("brackets")
        ai = ais.assumed(digits)
        if ai is None or not (ai.known or unknown):
            return Fault("unknown_ai", value=digits[:4])
        end = _bracket(rest)
        value, rest = rest[:end].replace("\\(", "("), rest[end:]
        fault = check_length(ai, value)
        if fault is not None:
            return fault
        found.append(Element(ai.ai, value))
    return tuple(found) or Fault("brackets")


def _bracket(text: str) -> int:
    """Where the next bracket that is not escaped opens; the end if none does."""
    place = text.find("(")
    while place > 0 and text[place - 1] == "\\":
        place = text.find("(", place + 1)
    return place if place >= 0 else len(text)


def write_bracketed(elements: Sequence[Element]) -> str:
    """The elements for people: `(01)...(10)...`."""
    return "".join(
        f"({element.ai}){element.value.replace('(', chr(92) + '(')}" for element in elements
    )


def check_length(ai: Ai, value: str) -> Fault | None:
    """What is wrong with the length of a value, or that it holds FNC1."""
    if not value:
        return Fault("no_value", ai.ai)
    if len(value) < ai.least:
        return Fault("too_short", ai.ai, value)
    if len(value) > ai.most:
        return Fault("value_length", ai.ai, str(len(value)))
    return Fault("caret") if FNC1 in value else None


def check(element: Element) -> Fault | None:
    """What is wrong with one value: its components, character sets and tests."""
    ai = ais.assumed(element.ai)
    if ai is None:
        return Fault("unknown_ai", value=element.ai)
    taken = _consumed(ai, element.value)
    if isinstance(taken, Fault):
        return taken
    return None if taken == len(element.value) else Fault("unseparated", ai.ai)


def first_fault(elements: Iterable[Element]) -> Fault | None:
    """The first value that is wrong."""
    return next((fault for element in elements if (fault := check(element))), None)


def _consumed(ai: Ai, value: str) -> int | Fault:
    """How many characters of `value` its components take, each tested."""
    if not value:
        return Fault("no_value", ai.ai)
    place = 0
    for part in ai.parts:
        piece = value[place : place + part.most]
        if part.optional and not piece:
            continue
        if len(piece) < part.least:
            return Fault("too_short", ai.ai, value)
        if not lint.in_charset(part.charset, piece):
            return Fault("linter", ai.ai, piece, f"cset{part.charset}")
        for linter in part.linters:
            if not lint.passes(linter, piece):
                return Fault("linter", ai.ai, piece, linter)
        place += len(piece)
    return place
