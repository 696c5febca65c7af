"""What each application identifier is: format, separator, associations, place in a Digital Link.

Here: the rows of `table` as values, made when the first one is asked for, and the rules of lengths
that hold for AIs nobody has defined yet (General Specifications 7.8.5). Not here: values of AIs.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from gateway.domain.reading import Word

_PREDEFINED: Final = {
    "00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "11": 6, "12": 6, "13": 6, "14": 6,
    "15": 6, "16": 6, "17": 6, "18": 6, "19": 6, "20": 2,
    "31": 6, "32": 6, "33": 6, "34": 6, "35": 6, "36": 6, "41": 13,
}  # fmt: skip
"""Lengths of values by the first two digits of the AI, for ever (figure 7.8.5-2): no FNC1."""

_UNASSIGNED: Final = ("04", "14", "18", "19")
"""Prefixes of predefined length that no AI has yet; their AIs have two digits."""

_PART: Final = re.compile(r"(\[?)([NXYZ])(\.\.)?(\d+)\]?((?:,\w+)*)")


class Part(Word, frozen=True):
    """One component of a value: so many characters of a set, and the tests they must pass."""

    charset: str
    """N digits, X set 82, Y set 39, Z set 64."""
    least: int
    most: int
    optional: bool
    linters: tuple[str, ...]


class Ai(Word, frozen=True):
    """One application identifier."""

    ai: str
    parts: tuple[Part, ...]
    least: int
    """The shortest value."""
    most: int
    """The longest value."""
    separated: bool
    """Its value ends at FNC1, or at the end of the message."""
    attribute: bool = False
    """May stand behind the question mark of a Digital Link."""
    requires: tuple[tuple[tuple[str, ...], ...], ...] = ()
    """Of each, one alternative must be there whole; a trailing n stands for any digit."""
    excludes: tuple[str, ...] = ()
    qualifiers: tuple[tuple[str, ...], ...] = ()
    """Of a primary key of Digital Links: the sequences its qualifiers may come in, one of which is
    empty where it takes none; of any other AI nothing."""
    title: str = ""
    known: bool = True
    """Whether the dictionary has it."""


class _Dictionary(NamedTuple):
    by_ai: dict[str, Ai]
    digits: dict[str, int]
    """How many digits an AI has, by its first two (figure 7.8.1-1)."""


def all_ais() -> tuple[Ai, ...]:
    """Every AI of the dictionary, in its order."""
    return tuple(_dictionary().by_ai.values())


def find(ai: str) -> Ai | None:
    """The AI of exactly these digits, as the dictionary has it; None if it has none."""
    return _dictionary().by_ai.get(ai)


def assumed(ai: str) -> Ai | None:
    """The AI as the dictionary has it, else what its first digits promise; None if impossible.

    An AI nobody has defined carries up to 90 characters, with FNC1 behind it unless its prefix is
    of predefined length.
    """
    known = find(ai)
    if known is not None:
        return known
    if not (2 <= len(ai) <= 4 and ai.isascii() and ai.isdigit()):
        return None
    if _dictionary().digits.get(ai[:2], len(ai)) != len(ai):
        return None
    fixed = _PREDEFINED.get(ai[:2])
    least, most = fixed or 1, fixed or 90
    part = Part("X", least, most, False, ())
    return Ai(ai, (part,), least, most, separated=fixed is None, known=False)


def at(text: str, start: int) -> Ai | None:
    """The AI that begins there, known or by its prefix; None where no AI can begin."""
    dictionary = _dictionary()
    digits = dictionary.digits.get(text[start : start + 2])
    if digits is None:
        return None
    ai = text[start : start + digits]
    return dictionary.by_ai.get(ai) or (assumed(ai) if len(ai) == digits else None)


@cache
def _dictionary() -> _Dictionary:
    from gateway.domain.gs1 import table  # not before a label asks: it is long

    by_ai: dict[str, Ai] = {}
    digits = dict.fromkeys(_UNASSIGNED, 2)
    for ais, flags, spec, attributes, title in table.ROWS:
        first, _, last = ais.partition("-")
        parts = tuple(_part(text) for text in spec.split())
        named = [text.partition("=")[::2] for text in attributes.split()]
        keys = [value for name, value in named if name == "dlpkey"]
        for number in range(int(first), int(last or first) + 1):
            ai = f"{number:0{len(first)}d}"
            digits[ai[:2]] = len(ai)
            by_ai[ai] = Ai(
                ai,
                parts,
                least=sum(part.least for part in parts if not part.optional),
                most=sum(part.most for part in parts),
                separated="*" not in flags,
                attribute="?" in flags,
                requires=tuple(_groups(value) for name, value in named if name == "req"),
                excludes=tuple(
                    ai for name, value in named if name == "ex" for ai in value.split(",")
                ),
                qualifiers=_sequences(keys[0]) if keys else (),
                title=title,
            )
    return _Dictionary(by_ai, digits)


def _part(text: str) -> Part:
    match = _PART.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no component of an AI")
    optional, charset, dots, most, linters = match.groups()
    least = 1 if dots else int(most)
    return Part(charset, least, int(most), bool(optional), tuple(linters.split(",")[1:]))


def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split("+")) for group in text.split(","))


def _sequences(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(one.split(",")) if one else () for one in text.split("|"))
