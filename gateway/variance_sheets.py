"""The variance report as files: CSV for any program, a workbook, a page to print and sign.

Here: their bytes. Not here: words and cells (`variance_words`). What a cell says is never a
formula, whatever a product is called. openpyxl (also named for reading catalogues) writes the
workbook, imported only for it. The page is one HTML file of A4 without anything from outside.
"""

from __future__ import annotations

import csv
import io
from html import escape
from typing import Final

from gateway.variance_words import COLUMNS, NUMBERS, Cell, Sheet, written
from gateway.words import Lang

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of one."""
_WIDE: Final = {"name": 28, "location": 22, "gtin": 17}
_STYLE: Final = """
@page { size: A4 landscape; margin: 12mm }
body { font: 10pt/1.4 "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", Arial, sans-serif }
h1 { font-size: 16pt; margin: 0 0 4mm }
h2 { font-size: 11pt; margin: 6mm 0 2mm }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 4mm; margin: 0 0 4mm }
.sums { margin-top: 6mm }
dt { color: #555 } dd { margin: 0 }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 0.2mm solid #999; padding: 1mm 1.5mm; text-align: left }
th { border-bottom: 0.4mm solid #000; vertical-align: bottom }
.n { text-align: right; font-variant-numeric: tabular-nums }
.off td { font-weight: bold }
thead { display: table-header-group } tr { break-inside: avoid }
.signed { display: flex; gap: 10mm; margin-top: 14mm }
.signed p { flex: 1; border-top: 0.2mm solid #000; padding-top: 1mm }
"""


def csv_bytes(sheet: Sheet) -> bytes:
    """The rows alone, UTF-8 with a mark that spreadsheets know it by."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(sheet.columns)
    for row in sheet.rows:
        writer.writerow([_safe(name, cell) for name, cell in zip(COLUMNS, row, strict=True)])
    return out.getvalue().encode("utf-8-sig")


def _safe(column: str, cell: Cell) -> str:
    text = written(column, cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA) else text


def xlsx_bytes(sheet: Sheet) -> bytes:
    """A workbook: head, rows with true numbers, sums, what was not counted."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    page = book.active
    page.title = sheet.title[:31]
    bold = Font(bold=True)

    def put(row: int, column: int, value: str | float, *, strong: bool = False) -> None:
        square = page.cell(row, column)
        square.value = value
        if isinstance(value, str):
            square.data_type = "s"  # never a formula
        if strong:
            square.font = bold

    put(1, 1, sheet.title, strong=True)
    for at, (label, text) in enumerate(sheet.head, 2):
        put(at, 1, label)
        put(at, 2, text)
    at = len(sheet.head) + 3
    for column, title in enumerate(sheet.columns, 1):
        put(at, column, title, strong=True)
    page.freeze_panes = page.cell(at + 1, 1)
    for row in sheet.rows:
        at += 1
        for column, (name, cell) in enumerate(zip(COLUMNS, row, strict=True), 1):
            if isinstance(cell, int):
                put(at, column, cell / (100 if name in ("price", "value") else 1000))
            else:
                put(at, column, cell or "")
    at += 1
    for label, text in sheet.totals:
        at += 1
        put(at, 1, label, strong=True)
        put(at, 3, text)
    if sheet.uncounted:
        at += 2
        put(at, 1, sheet.uncounted_title, strong=True)
    for left in sheet.uncounted:
        at += 1
        for column, text in enumerate(left, 1):
            put(at, column, text)
    for column, name in enumerate(COLUMNS, 1):
        page.column_dimensions[get_column_letter(column)].width = _WIDE.get(name, 13)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def html_bytes(sheet: Sheet, lang: Lang) -> bytes:
    """A page to print: A4, the head of the table on every sheet, lines to sign on."""
    head = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in sheet.head)
    titles = "".join(
        f"<th{_right(name)}>{escape(title)}</th>"
        for name, title in zip(COLUMNS, sheet.columns, strict=True)
    )
    rows = "".join(_html_row(row) for row in sheet.rows)
    totals = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in sheet.totals)
    left = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in one) + "</tr>"
        for one in sheet.uncounted
    )
    if left:
        left = f"<h2>{escape(sheet.uncounted_title)}</h2><table>{left}</table>"
    signed = "".join(f"<p>{escape(line)}</p>" for line in sheet.signed)
    return (
        f'<!doctype html>\n<html lang="{lang}"><meta charset="utf-8">'
        f"<title>{escape(sheet.title)}</title><style>{_STYLE}</style>\n"
        f"<body><h1>{escape(sheet.title)}</h1><dl>{head}</dl>\n"
        f"<table><thead><tr>{titles}</tr></thead><tbody>\n{rows}</tbody></table>\n"
        f'<dl class="sums">{totals}</dl>{left}\n<div class="signed">{signed}</div></body></html>\n'
    ).encode()


def _html_row(row: tuple[Cell, ...]) -> str:
    by_name = dict(zip(COLUMNS, row, strict=True))
    cells = "".join(
        f"<td{_right(name)}>{escape(written(name, cell))}</td>" for name, cell in by_name.items()
    )
    differs = ' class="off"' if by_name["difference"] else ""
    return f"<tr{differs}>{cells}</tr>\n"


def _right(name: str) -> str:
    return ' class="n"' if name in NUMBERS else ""
