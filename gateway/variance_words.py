"""The variance report of a count in Chinese and English: its columns, its cells, its head and foot.

Here: words, and what a cell holds. Not here: files (`variance_sheets`), numbers (`variance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway import words
from gateway.domain.reading import Word
from gateway.domain.stock import UOMS
from gateway.domain.units import NS_PER_S
from gateway.variance import Row, Uncounted, Variance
from gateway.words import Lang, say

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "location": ("库位", "Location"),
    "gtin": ("商品码", "GTIN"),
    "name": ("商品", "Product"),
    "lot": ("批次", "Lot"),
    "uom": ("单位", "Unit"),
    "before": ("盘点前账面", "Book before"),
    "moved": ("盘点期间变动", "Moved meanwhile"),
    "book": ("应有", "Book"),
    "counted": ("实盘", "Counted"),
    "difference": ("差异", "Difference"),
    "price": ("单价", "Price"),
    "value": ("差异金额", "Value"),
}
NUMBERS: Final = ("before", "moved", "book", "counted", "difference", "price", "value")
TITLE: Final = ("盘点差异表", "Stocktake variance report")
BY: Final[Mapping[str | None, tuple[str, str]]] = {
    "scan": ("扫码", "by scan"),
    "rfid": ("射频", "by RFID sweep"),
    "weight": ("货架秤", "by shelf scales"),
    None: ("单把扫码枪", "by one scanner"),
}
UNCOUNTED: Final = ("未盘点，保持账面", "Not counted, left as booked")
MANY: Final = (
    "盘点之后变动过多，无法列出未盘点的商品。",
    "Too much was booked since: what was not counted cannot be listed.",
)
SIGNED: Final = ("盘点人：", "Counted by:"), ("复核人：", "Checked by:"), ("日期：", "Date:")
_UOM: Final[Mapping[str, tuple[str, str]]] = {
    "EA": ("件", "pcs"),
    "KGM": ("千克", "kg"),
    "LTR": ("升", "l"),
    "MTR": ("米", "m"),
}

Cell = str | int | None
"""Text; thousandths of a unit, or hundredths of a coin, by its column; None: not known."""


class Sheet(Word, frozen=True):
    """The report as a table, in one language."""

    title: str
    head: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[tuple[str, str], ...]
    uncounted_title: str
    uncounted: tuple[tuple[str, ...], ...]
    """Location, GTIN, product, book, why."""
    signed: tuple[str, ...]


def sheet(
    told: Variance, store: str, places: Mapping[str, str], zone: ZoneInfo, lang: Lang
) -> Sheet:
    """A report in words."""

    def moment(at_ns: int) -> str:
        return datetime.fromtimestamp(at_ns // NS_PER_S, zone).strftime("%F %T")

    where = "、" if lang == "zh-CN" else ", "
    head = (
        (say(("门店", "Store"), lang), store),
        (say(("盘点号", "Number"), lang), told.id),
        (say(("方式", "Counted"), lang), say(BY[told.by], lang)),
        (say(("开始", "Began"), lang), moment(told.began_ns)),
        (say(("结束", "Ended"), lang), moment(told.ended_ns)),
        (
            say(("库位", "Locations"), lang),
            where.join(words.place(x, places, lang) for x in told.locations),
        ),
    )
    uncounted = () if told.uncounted is None else told.uncounted
    return Sheet(
        title=say(TITLE, lang),
        head=head,
        columns=tuple(say(name, lang) for name in COLUMNS.values()),
        rows=tuple(_cells(row, places, lang) for row in told.rows),
        totals=tuple(_totals(told, lang)),
        uncounted_title=say(MANY if told.uncounted is None else UNCOUNTED, lang),
        uncounted=tuple(_left(one, places, lang) for one in uncounted),
        signed=tuple(say(line, lang) for line in SIGNED),
    )


def _cells(row: Row, places: Mapping[str, str], lang: Lang) -> tuple[Cell, ...]:
    return (
        words.place(row.location, places, lang), row.gtin, row.name, row.lot or "",
        say(_UOM[row.uom], lang), row.before, row.moved, row.book, row.counted, row.difference,
        row.price_minor, row.value_minor,
    )  # fmt: skip


def _left(one: Uncounted, places: Mapping[str, str], lang: Lang) -> tuple[str, ...]:
    book = f"{milli(one.book)} {say(_UOM[one.uom], lang)}"
    return words.place(one.location, places, lang), one.gtin, one.name, book, one.why


def _totals(told: Variance, lang: Lang) -> list[tuple[str, str]]:
    differing = sum(1 for row in told.rows if row.difference)
    out = [(say(("盘点行数", "Lines counted"), lang), str(len(told.rows)))]
    out.append((say(("有差异", "Lines that differ"), lang), str(differing)))
    for uom in UOMS:
        if any(row.uom == uom for row in told.rows):
            more, less = told.units(uom)
            unit = say(_UOM[uom], lang)
            label = say(("盘盈 / 盘亏 / 净差", "Surplus / shortage / net"), lang)
            text = f"{milli(more)} / {milli(less)} / {milli(more + less)} {unit}"
            out.append((label, text))
    more, less = told.values
    label = say(("金额：盘盈 / 盘亏 / 净差", "Value: surplus / shortage / net"), lang)
    out.append((label, f"{coins(more)} / {coins(less)} / {coins(more + less)}"))
    if told.unpriced:
        out.append((say(("无单价的差异行", "Differing lines without a price"), lang),
                    str(told.unpriced)))  # fmt: skip
    return out


def milli(quantity_milli: int) -> str:
    """Thousandths as people write them.

    >>> milli(-1000), milli(2500)
    ('-1', '2.5')
    """
    return words.quantity(quantity_milli, "EA")


def coins(minor: int) -> str:
    """Hundredths of a coin as people write them.

    >>> coins(-1205), coins(7)
    ('-12.05', '0.07')
    """
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:02d}"


def written(column: str, cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    return coins(cell) if column in ("price", "value") else milli(cell)
