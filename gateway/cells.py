"""One cell of a sheet: what its text means in its column, or why it means nothing.

Here: GTINs, whole numbers, units of measure, names, and what spreadsheets do to them. Not here:
which columns a sheet has, how its rows fit together (`catalogue`).
"""

from __future__ import annotations

import re
from typing import Final, cast

from gateway.domain import ids, units
from gateway.domain.stock import UOMS, Uom
from gateway.problems import Problem, did_you_mean, quoted
from gateway.sheet import Row

QTY_MAX_MILLI: Final = 10**12
TEXT_MAX: Final = 200

_ROUNDED: Final = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_AS_TEXT: Final = "format the column as text and enter it again; 请将该列设为文本格式后重新输入"
_MASS: Final = re.compile(r"(\d+(?:\.\d+)?) ?(mg|g|kg|lb|oz)", re.IGNORECASE)


class Cells:
    """The cells of one row, each read as what its column holds; collects what is wrong."""

    def __init__(self, row: Row, file: str) -> None:
        self._row = row
        self._file = file
        self.problems: list[Problem] = []

    @property
    def row(self) -> int:
        """The row, as a spreadsheet numbers it."""
        return self._row.number

    def fault(self, column: str, message: str, remedy: str | None = None) -> None:
        """Notes what is wrong with one cell."""
        self.problems.append(
            Problem(self._file, message, row=self._row.number, key=column, remedy=remedy)
        )

    def empty(self, column: str) -> bool:
        """Whether there is nothing in the cell."""
        return not self._row.cells.get(column)

    def text(self, column: str) -> str:
        """The cell; empty when the sheet lacks the column."""
        text = self._row.cells.get(column, "")
        if len(text) > TEXT_MAX or not text.isprintable():
            self.fault(column, f"must be at most {TEXT_MAX} printable characters in one line")
        return text

    def name(self) -> str:
        """What people call the product."""
        name = self.text("name")
        if not name:
            self.fault("name", "is missing")
        elif not name.strip("? "):
            self.fault("name", "was lost when the sheet was saved", "save it as CSV UTF-8")
        return name

    def gtin(self, column: str = "gtin") -> str:
        """A GTIN-14; empty, with a fault, when the cell holds none."""
        text = self._row.cells.get(column, "")
        if why := gtin_fault(text):
            self.fault(column, *why)
            return ""
        return text.zfill(14)

    def uom(self) -> Uom:
        """The unit of measure; EA when empty."""
        text = self._row.cells.get("uom", "") or "EA"
        if text not in UOMS:
            meant = did_you_mean(text, UOMS)
            self.fault("uom", f"must be one of {', '.join(UOMS)}, not {quoted(text)}", meant)
            return "EA"
        return cast("Uom", text)

    def number(self, column: str, low: int, high: int) -> int | None:
        """A whole number; None when empty, and with a fault when the cell holds none."""
        text = self._row.cells.get(column, "")
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) <= 18:
            value = int(text)
            if low <= value <= high:
                return value
            self.fault(column, f"must be {low} to {high}, not {value}")
        elif text[0] in "-−" and text[1:].isdecimal():
            self.fault(column, f"must not be negative: {text}")
        elif _ROUNDED.fullmatch(text):
            self.fault(column, f"a spreadsheet has rounded it: {text}", _AS_TEXT)
        else:
            remedy = "digits alone, without point, separator or unit"
            mass = _MASS.fullmatch(text) if column.endswith("_mg") else None
            if mass is not None:
                remedy = f"in milligrams: {units.mass_mg(mass[1], mass[2].casefold())}"
            self.fault(column, f"must be a whole number, not {quoted(text)}", remedy)
        return None

    def qty(self, column: str, uom: Uom | None) -> int | None:
        """A quantity in thousandths of the unit; whole pieces for EA."""
        value = self.number(column, 0, QTY_MAX_MILLI)
        if uom == "EA" and value is not None and value % units.PIECE_MILLI:
            remedy = f"in thousandths: {value} pieces are {value * units.PIECE_MILLI}"
            self.fault(column, f"{value} is no whole number of pieces", remedy)
        return value


def gtin_fault(text: str) -> tuple[str, str | None] | None:
    """Why this cell is no GTIN, and what to do; None when it is one. Never raises.

    Check digit: GS1 General Specifications 7.9.

    >>> gtin_fault("6901234567892") is None, gtin_fault("6901234567893")
    (True, ('wrong check digit 3, it should be 2', 'did you mean "6901234567892"?'))
    """
    if not text:
        return "is missing", None
    if _ROUNDED.fullmatch(text):
        return f"a spreadsheet has rounded it: {text}", _AS_TEXT
    if not (text.isascii() and text.isdigit()):
        bare = re.sub(r"[\s'=\"-]|[.,]0*$", "", text)
        remedy = f"write {bare}" if ids.gtin14(bare) else None
        return f"must be digits alone, not {quoted(text)}", remedy
    if not text.strip("0"):
        return "is zero, which is no product", None
    if len(text) not in (8, 12, 13, 14):
        whole = next((n for n in (8, 12, 13) if n > len(text)), 0)
        remedy = None
        if whole and ids.is_gs1_number(text):
            remedy = f"a spreadsheet dropped zeros: write {text.zfill(whole)}, as text"
        return f"has {len(text)} digits; a GTIN has 8, 12, 13 or 14", remedy
    if not ids.is_gs1_number(text):
        right = ids.check_digit(text[:-1])
        message = f"wrong check digit {text[-1]}, it should be {right}"
        return message, f'did you mean "{text[:-1]}{right}"?'
    return None
