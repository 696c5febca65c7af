"""The sheets of a shop (CONTRACT section 4) to the words of `domain.store`, row by row.

Here: products.csv, planogram.csv and packs.csv, how their rows fit together. Not here: what a
single cell may say (`cells`), encodings and separators (`sheet`), where the files are (`config`).
Every bad row is named; a good one beside it is still read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cells import Cells
from gateway.domain import rcn
from gateway.domain.stock import Uom
from gateway.domain.store import Case, Facing, Location, Product
from gateway.problems import Problem, did_you_mean, quoted
from gateway.sheet import read_sheet

PRODUCT_COLUMNS: Final = (
    "gtin",
    "name",
    "uom",
    "unit_mass_mg",
    "unit_mass_sd_mg",
    "low_stock_milli",
    "near_expiry_days",
    "category",
    "unit_price_minor",
)
PLANOGRAM_COLUMNS: Final = ("location", "slot", "gtin", "facings", "depth", "capacity_milli")
PACK_COLUMNS: Final = ("case_gtin", "gtin", "units")

MASS_MAX_MG: Final = 10**9
"""A tonne: heavier goods stand on no shelf."""
DAYS_MAX: Final = 3_660
PLACES_MAX: Final = 10_000
PRICE_MAX_MINOR: Final = 10**9
UNITS_MAX: Final = 10_000
"""Units of one case; of cases within cases together `CONTENT_MAX`."""
CONTENT_MAX: Final = 1_000_000
NESTED_MAX: Final = 8
"""Cases within cases: each, inner, outer, layer, pallet, and some to spare."""

_UOM_OF: Final = {"mass_g": "KGM", "count": "EA"}
"""The unit in which a value inside a number is a quantity."""


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


@dataclass(frozen=True, slots=True)
class PackSheet:
    """The sound rows of packs.csv, and what is wrong with the others."""

    cases: tuple[Case, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_products(data: bytes, file: str, layouts: Sequence[rcn.RcnLayout] = ()) -> ProductSheet:
    """The products of a sheet; `file` is how problems name it. Never raises, whatever the bytes.

    `layouts`: how labels of this shop carry a value; their items have a number without one.
    """
    sheet = read_sheet(data, file, PRODUCT_COLUMNS, needed=("gtin", "name"))
    problems = list(sheet.problems)
    products: list[Product] = []
    rows: dict[str, int] = {}
    for row in sheet.rows:
        cells = Cells(row, file)
        product = _product(cells, layouts)
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
        cells = Cells(row, file)
        facing = _facing(cells, places, sheet.gtins, uoms)
        key = (facing.location, facing.slot, facing.gtin)
        if all((facing.location, facing.gtin)) and rows.setdefault(key, row.number) != row.number:
            cells.fault("gtin", f"{facing.gtin} is here in row {rows[key]} already")
        problems += cells.problems
        if not cells.problems:
            facings.append(facing)
    return PlanogramSheet(tuple(facings), _by_row(problems))


def read_packs(data: bytes, file: str, sheet: ProductSheet) -> PackSheet:
    """The cases of a shop with these products, each down to its units. Never raises.

    Products whose `gtins` is None are not known, so no unit is unknown.
    """
    read = read_sheet(data, file, PACK_COLUMNS, needed=PACK_COLUMNS)
    problems = list(read.problems)
    packs = [_pack(Cells(row, file)) for row in read.rows]
    known = _Known({p.case_gtin: p for p in reversed(packs)}, sheet.gtins, whole=read.whole)
    cases = []
    for pack in packs:
        case = _case(pack, known)
        problems += pack.cells.problems
        if case is not None and not pack.cells.problems:
            cases.append(case)
    return PackSheet(tuple(cases), _by_row(problems))


@dataclass(frozen=True, slots=True)
class _Pack:
    """A row of packs.csv; an empty GTIN and 0 units where the cell has a fault."""

    cells: Cells
    case_gtin: str
    gtin: str
    units: int


def _pack(cells: Cells) -> _Pack:
    if cells.empty("units"):
        cells.fault("units", "is missing")
    units = cells.number("units", 1, UNITS_MAX) or 0
    return _Pack(cells, cells.gtin("case_gtin"), cells.gtin(), units)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a row of packs.csv may speak of."""

    packs: Mapping[str, _Pack]
    """By case; of two rows about one case the first."""
    gtins: Collection[str] | None
    """The products; None when they are not known."""
    whole: bool
    """Whether every row of packs.csv could be read."""


def _case(pack: _Pack, known: _Known) -> Case | None:
    """The case of a row, cases within it undone; notes what is wrong with this row."""
    fault, case, gtins = pack.cells.fault, pack.case_gtin, known.gtins
    if case and known.packs[case] is not pack:
        fault("case_gtin", f"{case} is in row {known.packs[case].cells.row} already")
    if gtins is not None and case in gtins:
        fault("case_gtin", f"{case} is a product too", "take it out of one of the two sheets")
    units, unit, chain = pack.units, pack.gtin, [case]
    while unit in known.packs and not (unit in (gtins or ()) or unit in chain):
        if len(chain) == NESTED_MAX:
            fault("gtin", f"over {NESTED_MAX} cases in one another")
            return None
        chain.append(unit)
        units, unit = units * known.packs[unit].units, known.packs[unit].gtin
    if unit in chain and unit:
        if unit == case:  # else it is told of those that are in the circle
            fault("gtin", f"the case is in itself: {' > '.join([*chain, unit][:4])}")
        return None
    if units > CONTENT_MAX:
        fault("units", f"{units} units in one case, over {CONTENT_MAX}")
    unknown = gtins is not None and unit not in gtins
    if unknown and unit == pack.gtin and unit and known.whole:
        fault("gtin", f"{unit} is neither a product nor a case", "add it to products.csv")
    return Case(case, unit, units) if unit and units and not unknown else None


def _by_row(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: problem.row or problem.line or 0))


def _product(cells: Cells, layouts: Sequence[rcn.RcnLayout]) -> Product:
    gtin, name, uom = cells.gtin(), cells.name(), cells.uom()
    mass_mg = cells.number("unit_mass_mg", 1, MASS_MAX_MG)
    sd_mg = cells.number("unit_mass_sd_mg", 0, MASS_MAX_MG)
    if sd_mg is not None and cells.empty("unit_mass_mg"):
        cells.fault("unit_mass_sd_mg", "without unit_mass_mg", "fill both, or neither")
    elif sd_mg is not None and mass_mg is not None and sd_mg >= mass_mg:
        cells.fault("unit_mass_sd_mg", f"{sd_mg} is not less than the mass itself, {mass_mg}")
    _carries(cells, gtin, uom, layouts)
    return Product(
        gtin=gtin,
        name=name,
        uom=uom,
        unit_mass_mg=mass_mg,
        unit_mass_sd_mg=sd_mg,
        low_stock_milli=cells.qty("low_stock_milli", uom),
        near_expiry_days=cells.number("near_expiry_days", 0, DAYS_MAX),
        category=cells.text("category"),
        unit_price_minor=cells.number("unit_price_minor", 1, PRICE_MAX_MINOR),
    )


def _carries(cells: Cells, gtin: str, uom: Uom, layouts: Sequence[rcn.RcnLayout]) -> None:
    """Notes what is wrong with the number of an item whose labels carry a value."""
    layout = rcn.layout_of(gtin, layouts)
    if layout is None:
        return
    item = rcn.item_gtin(gtin, layout)
    if item != gtin:
        text = f"{gtin} carries a value (prefix {layout.prefix} of [[scan.rcn]])"
        cells.fault("gtin", text, f"write {item}, the number of all its labels")
    wanted = _UOM_OF.get(layout.value, uom)
    if wanted != uom:
        text = f"is {uom}, but labels with prefix {layout.prefix} carry {layout.value}"
        cells.fault("uom", text, f"write {wanted}")


def _facing(
    cells: Cells,
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
