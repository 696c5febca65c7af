"""What is wrong with a configuration, in words an installer can act on.

Here: one problem with its place and remedy, the exception that carries all of them, the guess at
what was meant. Not here: what a right configuration is (`config`, `catalogue`).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache

from gateway.domain.reading import Word

_ALIKE_PERCENT = 60
_SHORT_ALIKE_PERCENT = 50
"""Of words of up to three letters half must agree: "a9" may have meant "a1"."""


class Problem(Word, frozen=True):
    """One mistake in one file. `str()` is a line for people, msgspec encodes it as JSON."""

    file: str
    """The path as the user wrote it, or as the configuration leads to it."""
    message: str
    line: int | None = None
    """Of a text file, from 1; None where the mistake is in no line."""
    row: int | None = None
    """Of a sheet, as a spreadsheet numbers it: the header is row 1."""
    key: str = ""
    """`device[2].location` (the second device), or the column of a sheet; empty: the file."""
    remedy: str | None = None

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
        if self.row is not None:
            place += f" row {self.row}"
        key = f"{self.key}: " if self.key else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        line = f"{place}: {key}{self.message}{remedy}"
        return "".join(char if char.isprintable() else "�" for char in line)


class ConfigError(Exception):
    """A configuration that cannot run; `problems` names every mistake in it, at least one."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def quoted(text: str) -> str:
    """A text as a message shows it, cut where it would fill the screen. Never raises."""
    return f'"{text if len(text) <= 60 else text[:57] + "..."}"'


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """A question with the choice most like the word; None when none is like it. Never raises.

    >>> did_you_mean("basket_timout_s", ("basket_age_s", "basket_timeout_s"))
    'did you mean "basket_timeout_s"?'
    >>> did_you_mean("a9", ("a1", "a2")), did_you_mean("x", ("a1", "a2"))
    ('did you mean "a1"?', None)
    """
    best = _most_alike(word, tuple(choices))
    return None if best is None else f'did you mean "{best}"?'


@lru_cache(maxsize=256)  # a sheet repeats its mistake in every row
def _most_alike(word: str, choices: tuple[str, ...]) -> str | None:
    best, best_percent = None, (_SHORT_ALIKE_PERCENT if len(word) <= 3 else _ALIKE_PERCENT) - 1
    matcher = SequenceMatcher(b=word.casefold())
    for choice in choices:
        matcher.set_seq1(choice.casefold())
        if 100 * matcher.real_quick_ratio() <= best_percent:  # upper bounds, cheap to dear
            continue
        if 100 * matcher.quick_ratio() <= best_percent:
            continue
        percent = int(100 * matcher.ratio())
        if percent > best_percent:
            best, best_percent = choice, percent
    return best
