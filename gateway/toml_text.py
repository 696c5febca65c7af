"""TOML text to its tree, and the line where each key stands.

Here: syntax alone. Not here: which keys there are and what they may say (`config_types`,
`config_rules`). tomllib drops the positions, so the text is walked a second time, once it is known
to be valid: that keeps the walk to strings, brackets and line ends.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

KeyPath = tuple[str | int, ...]
"""Keys and, within arrays of tables, positions from 0: `("device", 1, "location")`."""

_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}=.\n]"
    r"|[A-Za-z0-9_-]+",
    re.DOTALL,
)
_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END: Final = " (at end of document)"
_FULL_WIDTH: Final = "“”‘’＝，．：［］｛｝＃"


class NotToml(Exception):
    """Text that is no TOML; says why, in which line (None: unknown), and what would help."""

    def __init__(self, message: str, line: int | None, remedy: str | None) -> None:
        super().__init__(message)
        self.message, self.line, self.remedy = message, line, remedy


@dataclass(frozen=True, slots=True)
class TomlText:
    """A parsed file: its tree and the line of each key and table, from 1."""

    tree: Mapping[str, object]
    lines: Mapping[KeyPath, int]

    def line_of(self, path: KeyPath) -> int | None:
        """The line of this key, else of the nearest table around it; None for the whole file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def parse(text: str) -> TomlText:
    """The tree and line index of a TOML document. Raises NotToml, whatever the text.

    >>> parse("[store]\\nid = 's0001'\\n").line_of(("store", "id"))
    2
    """
    text = text.replace("\r\n", "\n")  # as tomllib does; only so are its positions ours
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise NotToml("nested too deeply", None, None) from None
    except ValueError as error:  # also what int() says of a number of 5,000 digits
        raise _not_toml(str(error), text) from None
    lines: dict[KeyPath, int] = {}
    for path, line in _index(text):
        lines.setdefault(path, line)
    return TomlText(tree, lines)


def _not_toml(message: str, text: str) -> NotToml:
    line = None
    if found := _AT_LINE.search(message):
        line, message = int(found[1]), message[: found.start()]
    elif message.endswith(_AT_END):
        line, message = text.rstrip("\n").count("\n") + 1, message.removesuffix(_AT_END)
    remedy = None
    here = text.split("\n")[line - 1] if line else ""
    if any(char in here for char in _FULL_WIDTH):
        remedy = 'type half-width punctuation: " = , [ ]; 请用英文半角标点'
    elif "overwrite" in message:
        remedy = "it is written twice"
    elif "\\" in here:
        remedy = "a backslash needs single quotes: 'C:\\path'"
    return NotToml(f"not valid TOML: {message[:1].lower()}{message[1:]}", line, remedy)


def _index(text: str) -> Iterator[tuple[KeyPath, int]]:
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        if statement[0] != "[":
            keys = _keys(statement[: statement.index("=")])
            for depth in range(len(table) + 1, len(table) + len(keys) + 1):
                yield (table + keys)[:depth], line
            continue
        is_array = statement[1] == "["
        keys = _keys(statement[: statement.index("]")])
        table = ()
        for place, key in enumerate(keys):
            table = (*table, key)
            yield table, line
            if is_array and place == len(keys) - 1:
                counts[table] = counts.get(table, 0) + 1
            if table in counts:
                table = (*table, counts[table] - 1)
                yield table, line


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """The tokens of each table header and each `key = value`, with the line they begin in."""
    depth, line, begin = 0, 1, 1
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n" and depth == 0 and tokens:
            yield begin, tokens
            tokens = []
        elif token != "\n" and token[0] != "#":
            if not tokens:
                begin = line
            tokens.append(token)
            depth += (token in "[{") - (token in "]}")
        line += token.count("\n")
    if tokens:
        yield begin, tokens


def _keys(tokens: list[str]) -> KeyPath:
    return tuple(
        tomllib.loads(f"key = {token}")["key"] if token[0] in "\"'" else token
        for token in tokens
        if token not in ("[", ".")
    )
