"""The two sheets: encodings, separators, cells, and that no bytes ever raise."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import (
    PRODUCT_COLUMNS,
    PackSheet,
    ProductSheet,
    read_packs,
    read_planogram,
    read_products,
)
from gateway.cells import gtin_fault
from gateway.domain import ids
from gateway.domain.store import Case, Facing, Location, Product

NAME = "猫砂 膨润土，2.5 公斤"
SHEET = f'name,gtin\n"{NAME}",6901234500028\n'


def said(sheet: ProductSheet) -> list[str]:
    return [str(problem) for problem in sheet.problems]


@pytest.mark.parametrize(
    "data",
    [
        SHEET.encode(),
        SHEET.encode("utf-8-sig"),
        SHEET.encode("gb18030"),
        SHEET.encode("gb2312"),
        SHEET.encode("utf-16"),
        codecs.BOM_UTF16_BE + SHEET.encode("utf-16-be"),
        SHEET.replace(",", ";").encode("gbk"),
        SHEET.replace(",", "\t").encode("utf-16"),
        SHEET.replace("\n", "\r\n").encode(),
        SHEET.replace("\n", "\r").encode(),
        SHEET.replace("gtin", " GTIN ").encode(),
        SHEET.replace("name,gtin", "name,gtin,,").encode(),
        f"{SHEET},\n , \n".encode(),
    ],
)
def test_however_it_was_saved(data: bytes) -> None:
    assert read_products(data, "p.csv") == ProductSheet(
        (Product("06901234500028", NAME),), frozenset({"06901234500028"}), ()
    )


def test_western_text_is_not_taken_for_chinese() -> None:
    data = "gtin,name\n6901234500028,Müsli für große Hunde\n".encode("cp1252")
    assert data.decode("gb18030") != ""
    assert said(read_products(data, "p.csv")) == [
        "p.csv:2: is neither UTF-8 nor GB18030 text (save it as CSV UTF-8; 请另存为 CSV UTF-8)"
    ]


def test_every_column() -> None:
    data = f"{','.join(PRODUCT_COLUMNS)}\n12345670,Rope,MTR,50000,650,2500,90,tools,1990\n"
    (product,) = read_products(data.encode(), "p.csv").products
    assert product == Product("00000012345670", "Rope", "MTR", 50000, 650, 2500, 90, "tools", 1990)


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    data = 'gtin,name\n\n6901234500028,"two\nlines"\n1,x\n'
    assert [problem.row for problem in read_products(data.encode(), "p.csv").problems] == [3, 4]


def test_a_row_that_cannot_be_read_makes_no_product_unknown() -> None:
    products = read_products(b"gtin,name\n6901234500028,Lead, 1.2 m\n", "p.csv")
    assert products.gtins is None
    place = (Location("a1", "shelf"),)
    planogram = read_planogram(b"location,gtin\na1,6901234500028\n", "g.csv", place, products)
    assert planogram.facings == (Facing("a1", "", "06901234500028"),)
    assert planogram.problems == ()


def test_a_faulty_product_is_not_unknown_too() -> None:
    products = read_products(b"gtin,name,uom\n6901234500028,Sand,PCS\n", "p.csv")
    assert len(products.problems) == 1
    place = (Location("a1", "shelf"),)
    data = b"location,gtin\na1,6901234500028\n"
    assert read_planogram(data, "g.csv", place, products).problems == ()


def test_places_that_are_not_known_are_not_judged() -> None:
    data = b"location,gtin\na9,6901234500028\n"
    assert read_planogram(data, "g.csv", None, ProductSheet((), None, ())).problems == ()


@given(st.integers(1, 10**13 - 1), st.sampled_from([7, 11, 12, 13]))
@settings(max_examples=200)
def test_a_gtin_is_one_exactly_when_its_check_digit_is_right(number: int, length: int) -> None:
    body = str(number % 10**length).zfill(length)
    right = ids.check_digit(body)
    for digit in range(10):
        fault = gtin_fault(f"{body}{digit}")
        if not body.strip("0"):
            continue
        assert (fault is None) == (digit == right)
        if fault:
            assert fault[1] == f'did you mean "{body}{right}"?'


@given(st.text(max_size=20))
@settings(max_examples=300)
def test_any_text_is_a_gtin_or_a_fault(text: str) -> None:
    assert (gtin_fault(text) is None) == (ids.gtin14(text) is not None and text.strip("0") != "")


@given(
    st.lists(st.sampled_from(["", "0", "-5", "1,5", "1.5", "1E+05", "5 kg", "٣", "9" * 30, "x"]))
)
@settings(max_examples=200)
def test_a_cell_is_a_number_or_a_problem(cells: list[str]) -> None:
    data = "gtin;name;near_expiry_days\n" + "".join(
        f"{n}{ids.check_digit(str(n))};P;{cell}\n"
        for n, cell in enumerate(cells, start=690123450000)
    )
    sheet = read_products(data.encode(), "p.csv")
    bad = [row for row, cell in enumerate(cells, start=2) if cell not in ("", "0")]
    assert [problem.row for problem in sheet.problems] == bad
    assert len(sheet.products) == len(cells) - len(bad)


HEADS = st.sampled_from([b"", b"gtin,name\n", b"gtin;name;uom\n", b"location,gtin\n", b"\xff\xfe"])


@given(HEADS, st.binary(max_size=60))
@settings(max_examples=400)
def test_no_bytes_raise(head: bytes, data: bytes) -> None:
    products = read_products(head + data, "p.csv")
    planogram = read_planogram(head + data, "g.csv", (Location("a1", "shelf"),), products)
    for product in products.products:
        assert ids.is_gtin14(product.gtin)
        assert product.name
    assert all(facing.location == "a1" for facing in planogram.facings)
    assert products.products or products.problems or products.gtins == frozenset()


def test_a_case_of_products_that_are_not_known_is_not_judged() -> None:
    products = read_products(b"gtin,name\n6901234500028,Lead, 1.2 m\n", "p.csv")
    sheet = read_packs(
        b"case_gtin,gtin,units\n16901234500018,6901234500011,12\n", "k.csv", products
    )
    assert sheet == PackSheet((Case("16901234500018", "06901234500011", 12),))


CASE_GTINS = [f"{n}{ids.check_digit(str(n))}" for n in range(1690123450000, 1690123450006)]


@given(
    st.dictionaries(
        st.sampled_from(CASE_GTINS),
        st.tuples(st.sampled_from([*CASE_GTINS, "06901234500028"]), st.integers(1, 12)),
    )
)
@settings(max_examples=300)
def test_a_case_comes_to_units_of_a_product_or_to_a_problem(
    rows: dict[str, tuple[str, int]],
) -> None:
    products = read_products(b"gtin,name\n6901234500028,Lead\n", "p.csv")
    body = "".join(f"{case},{gtin},{units}\n" for case, (gtin, units) in rows.items())
    sheet = read_packs(f"case_gtin,gtin,units\n{body}".encode(), "k.csv", products)

    def units_in(gtin: str, deep: int = 0) -> int:
        """Units of the product in it; 0 when it leads nowhere."""
        if gtin == "06901234500028":
            return 1
        inner, units = rows.get(gtin, ("", 0))
        return units * units_in(inner, deep + 1) if inner and deep < len(rows) else 0

    wanted = {case: units_in(case) for case in rows}
    assert {case.gtin: case.units for case in sheet.cases} == {
        case: units for case, units in wanted.items() if units
    }
    assert {case.unit_gtin for case in sheet.cases} <= {"06901234500028"}
    assert bool(sheet.problems) == (0 in wanted.values())


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_are_cases_or_problems(data: bytes) -> None:
    head = b"case_gtin,gtin,units\n16901234500018,"
    for text in (data, head + data):
        sheet = read_packs(text, "k.csv", ProductSheet((), None, ()))
        assert all(case.units > 0 and ids.is_gtin14(case.unit_gtin) for case in sheet.cases)
