"""Which AIs may stand together: associations, exclusions, repetitions.

Here: one function per rule, and all of them. Not here: the values (`elements`), the table (`ais`).
The rules hold for all messages on one physical thing together (General Specifications 4.14).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.domain.gs1 import ais, elements
from gateway.domain.gs1.words import Element, Fault

_SERIALISED: Final = {"253": 13, "255": 13, "8003": 14}
"""Keys whose serial part is optional, and their length without it."""


def excluded(found: Sequence[Element]) -> Fault | None:
    """The first two AIs that exclude each other."""
    for ai in _ais(found):
        known = ais.find(ai)
        for pattern in known.excludes if known else ():
            other = _match(found, pattern, ai)
            if other is not None:
                return Fault("excluded", ai, other)
    return None


def missing(found: Sequence[Element]) -> Fault | None:
    """The first AI that lacks what it must be associated with."""
    for ai in _ais(found):
        known = ais.find(ai)
        for choices in known.requires if known else ():
            if not any(all(_match(found, one, ai) for one in group) for group in choices):
                return Fault("missing", ai, " / ".join("+".join(group) for group in choices))
    return None


def repeated(found: Sequence[Element]) -> Fault | None:
    """The first AI that stands there twice with different values."""
    first: dict[str, str] = {}
    for element in found:
        if first.setdefault(element.ai, element.value) != element.value:
            return Fault("repeated", element.ai)
    return None


def unserialised(found: Sequence[Element]) -> Fault | None:
    """The first key without a serial part although a digital signature (8030) is there."""
    if "8030" not in _ais(found):
        return None
    for element in found:
        if len(element.value) == _SERIALISED.get(element.ai):
            return Fault("unserialised", element.ai)
    return None


def check(found: Sequence[Element]) -> Fault | None:
    """The first rule that these elements break together."""
    return repeated(found) or excluded(found) or missing(found) or unserialised(found)


def faults(found: Sequence[Element]) -> Iterator[Fault]:
    """All that is wrong with a label by the book: values first, then one of each rule."""
    for element in found:
        fault = elements.check(element)
        if fault is not None:
            yield fault
    for rule in (repeated, excluded, missing, unserialised):
        fault = rule(found)
        if fault is not None:
            yield fault


def _ais(found: Sequence[Element]) -> list[str]:
    return [element.ai for element in found]


def _match(found: Sequence[Element], pattern: str, but: str) -> str | None:
    """The AI that fits the pattern, where n is any digit, and is another than `but`."""
    stem = pattern.rstrip("n")
    for ai in _ais(found):
        if ai != but and len(ai) == len(pattern) and ai.startswith(stem):
            return ai
    return None
