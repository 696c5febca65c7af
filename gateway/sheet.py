"""A sheet as people save it: bytes to rows of named cells, whatever program wrote them.

Here: encodings, separators, the header, and what is wrong with them. Not here: what a cell of
which column may say (`catalogue`). Comma, semicolon and tab are told apart by the header. Text is
UTF-8 with or without BOM, UTF-16 with BOM ("Unicode text"), or GB18030, which Chinese Excel writes.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.problems import Problem, did_you_mean, quoted

_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS: Final = "save it as CSV UTF-8; 请另存为 CSV UTF-8"
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row below the header: its number in the spreadsheet, and its cells by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows that could be read, and what is wrong with the others."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    whole: bool
    """Whether every row could be read: what is not in `rows` is then not in the sheet."""


def read_sheet(data: bytes, file: str, columns: Sequence[str], needed: Sequence[str]) -> Sheet:
    """The rows of a file whose header names some of `columns`, among them all of `needed`.

    Cells come without the space around them; a column that the file lacks reads as empty, a row
    without any text is no row. Never raises.
    """
    text = _text(data)
    if text is None or not text.strip():
        return Sheet((), (_why_not(data, file, text),), whole=False)
    separator = _separator(text, columns)
    records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    whole = False
    try:
        header = [name.strip().casefold() for name in next(records)]
        problems += _header_problems(header, file, columns, needed)
        if set(needed) <= set(header):
            whole = True
            for number, record in enumerate(records, start=2):
                cells = [cell.strip() for cell in record]
                if any(cells[len(header) :]):
                    message = f"has {len(cells)} cells, the header has {len(header)}"
                    remedy = f'a name with "{separator}" in it needs quotes around it'
                    problems.append(Problem(file, message, row=number, remedy=remedy))
                    whole = False
                elif any(cells):
                    rows.append(Row(number, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        whole = False
        message, remedy = f"broken off: {error}", "a quote that opens must close"
        problems.append(Problem(file, message, line=records.line_num, remedy=remedy))
    return Sheet(tuple(rows), tuple(problems), whole)


def _text(data: bytes) -> str | None:
    if data.startswith(_WORKBOOKS):
        return None
    encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    # Western text in a Windows code page decodes as well, but to characters nobody writes.
    foreign = [char for char in text if not char.isascii()]
    usual = sum(len(char.encode("gb2312", "ignore")) == 2 for char in foreign)
    return text if 4 * usual >= 3 * len(foreign) else None


def _why_not(data: bytes, file: str, text: str | None) -> Problem:
    if data.startswith(_WORKBOOKS):
        message = "is an Excel workbook, which this version does not read"
        return Problem(file, message, remedy=_SAVE_AS)
    if text is not None:
        return Problem(file, "is empty", remedy="the first row names the columns")
    line = 1
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
    return Problem(file, "is neither UTF-8 nor GB18030 text", line=line, remedy=_SAVE_AS)


def _separator(text: str, columns: Sequence[str]) -> str:
    header = text.lstrip("\r\n").partition("\n")[0].casefold()

    def known(separator: str) -> int:
        return sum(cell.strip(' "\r') in columns for cell in header.split(separator))

    return max(",;\t", key=known)


def _header_problems(
    header: Sequence[str], file: str, columns: Sequence[str], needed: Sequence[str]
) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in filter(None, header):
        if name in seen:
            yield Problem(file, f'column "{name}" twice', row=1)
        elif name not in columns:
            meant = did_you_mean(name, [one for one in columns if one not in header])
            remedy = meant or f"the columns are {','.join(columns)}"
            yield Problem(file, f"unknown column {quoted(name)}", row=1, remedy=remedy)
        seen.add(name)
    for name in needed:
        if name not in seen:
            remedy = f"the first row names the columns: {','.join(columns)}"
            yield Problem(file, f'no column "{name}"', row=1, remedy=remedy)
