"""products.csv and planogram.csv (CONTRACT section 4) to the words of `domain.store`, row by row.

Here: what each cell may say, what a spreadsheet does to numbers and how to undo it. Not here:
encodings and separators (`sheet`), where the files are (`config`). Every bad row is named; a good
one beside it is still read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from gateway.domain import ids, units
from gateway.domain.stock import UOMS, Uom
from gateway.domain.store import Facing, Location, Product
from gateway.problems import Problem, did_you_mean, quoted
from gateway.sheet import Row, read_sheet

PRODUCT_COLUMNS: Final = (
    "gtin",
    "name",
    "uom",
    "unit_mass_mg",
    "unit_mass_sd_mg",
    "low_stock_milli",
    "near_expiry_days",
    "category",
)
PLANOGRAM_COLUMNS: Final = ("location", "slot", "gtin", "facings", "depth", "capacity_milli")

MASS_MAX_MG: Final = 10**9
"""A tonne: heavier goods stand on no shelf."""
QTY_MAX_MILLI: Final = 10**12
DAYS_MAX: Final = 3_660
PLACES_MAX: Final = 10_000
TEXT_MAX: Final = 200

_ROUNDED: Final = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_AS_TEXT: Final = "format the column as text and enter it again; 请将该列设为文本格式后重新输入"
_MASS: Final = re.compile(r"(\d+(?:\.\d+)?) ?(mg|g|kg|lb|oz)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProductSheet:
    """The sound rows of products.csv, and what is wrong with the others."""

    products: tuple[Product, ...]
    gtins: frozenset[str] | None
    """Every product that the sheet means, faulty rows too; None when a row could not be read."""
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class PlanogramSheet:
    """The sound rows of planogram.csv, and what is wrong with the others."""

    facings: tuple[Facing, ...]
    problems: tuple[Problem, ...]


def read_products(data: bytes, file: str) -> ProductSheet:
    """The products of a sheet; `file` is how problems name it. Never raises, whatever the bytes."""
    sheet = read_sheet(data, file, PRODUCT_COLUMNS, needed=("gtin", "name"))
    problems = list(sheet.problems)
    products: list[Product] = []
    rows: dict[str, int] = {}
    for row in sheet.rows:
        cells = _Cells(row, file)
        product = _product(cells)
        if product.gtin and rows.setdefault(product.gtin, row.number) != row.number:
            cells.fault("gtin", f"{product.gtin} is in row {rows[product.gtin]} already")
        problems += cells.problems
        if not cells.problems:
            products.append(product)
    gtins = frozenset(rows) if sheet.whole else None
    return ProductSheet(tuple(products), gtins, _by_row(problems))


def read_planogram(
    data: bytes, file: str, locations: Sequence[Location] | None, sheet: ProductSheet
) -> PlanogramSheet:
    """The planogram of a shop with these locations and products. Never raises.

    Locations None, or products whose `gtins` is None: not known, so none is unknown.
    """
    read = read_sheet(data, file, PLANOGRAM_COLUMNS, needed=("location", "gtin"))
    problems = list(read.problems)
    facings: list[Facing] = []
    rows: dict[tuple[str, str, str], int] = {}
    places = None if locations is None else {location.id: location for location in locations}
    uoms = {product.gtin: product.uom for product in sheet.products}
    for row in read.rows:
        cells = _Cells(row, file)
        facing = _facing(cells, places, sheet.gtins, uoms)
        key = (facing.location, facing.slot, facing.gtin)
        if all((facing.location, facing.gtin)) and rows.setdefault(key, row.number) != row.number:
            cells.fault("gtin", f"{facing.gtin} is here in row {rows[key]} already")
        problems += cells.problems
        if not cells.problems:
            facings.append(facing)
    return PlanogramSheet(tuple(facings), _by_row(problems))


def _by_row(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: problem.row or problem.line or 0))


def _product(cells: _Cells) -> Product:
    gtin, name, uom = cells.gtin(), cells.name(), cells.uom()
    mass_mg = cells.number("unit_mass_mg", 1, MASS_MAX_MG)
    sd_mg = cells.number("unit_mass_sd_mg", 0, MASS_MAX_MG)
    if sd_mg is not None and cells.empty("unit_mass_mg"):
        cells.fault("unit_mass_sd_mg", "without unit_mass_mg", "fill both, or neither")
    elif sd_mg is not None and mass_mg is not None and sd_mg >= mass_mg:
        cells.fault("unit_mass_sd_mg", f"{sd_mg} is not less than the mass itself, {mass_mg}")
    return Product(
        gtin=gtin,
        name=name,
        uom=uom,
        unit_mass_mg=mass_mg,
        unit_mass_sd_mg=sd_mg,
        low_stock_milli=cells.qty("low_stock_milli", uom),
        near_expiry_days=cells.number("near_expiry_days", 0, DAYS_MAX),
        category=cells.text("category"),
    )


def _facing(
    cells: _Cells,
    places: Mapping[str, Location] | None,
    gtins: Collection[str] | None,
    uoms: Mapping[str, Uom],
) -> Facing:
    place = cells.text("location")
    if not place:
        cells.fault("location", "is missing")
    elif places is not None and place not in places:
        cells.fault("location", f"unknown location {quoted(place)}", did_you_mean(place, places))
    elif places is not None and not places[place].physical:
        cells.fault("location", f'"{place}" is of kind {places[place].kind}: no goods lie there')
    gtin = cells.gtin()
    if gtin and gtins is not None and gtin not in gtins:
        cells.fault("gtin", f"{gtin} is not among the products", "add it to products.csv")
    return Facing(
        location=place,
        slot=cells.text("slot"),
        gtin=gtin,
        facings=cells.number("facings", 1, PLACES_MAX) or 1,
        depth=cells.number("depth", 1, PLACES_MAX) or 1,
        capacity_milli=cells.qty("capacity_milli", uoms.get(gtin)),
    )


class _Cells:
    """The cells of one row, each read as what its column holds; collects what is wrong."""

    def __init__(self, row: Row, file: str) -> None:
        self._row = row
        self._file = file
        self.problems: list[Problem] = []

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

    def gtin(self) -> str:
        """A GTIN-14; empty, with a fault, when the cell holds none."""
        text = self._row.cells.get("gtin", "")
        if why := gtin_fault(text):
            self.fault("gtin", *why)
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
