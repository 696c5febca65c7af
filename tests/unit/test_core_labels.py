"""What labels stand for: cases, weights and prices inside numbers, logistic units."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.labels import Goods, Labels
from gateway.core.scans import QTY_MAX_MILLI, Scanner, ScannerRules
from gateway.core.serials import MEMORY_NS, Serials
from gateway.domain import gs1, rcn
from gateway.domain.ids import check_digit
from gateway.domain.observation import Dropped, ScanMove
from gateway.domain.rcn import RcnLayout
from gateway.domain.reading import Mode, Quantity, Scan
from gateway.domain.store import Case, Product

SECOND = 1_000_000_000
GS = "\x1d"


def number(body: str) -> str:
    return f"{body}{check_digit(body)}"


TIN, INNER, OUTER = number("0690123450001"), number("1690123450001"), number("2690123450001")
BISCUITS, SEED, BALLS = number("0210000100000"), number("0220000100000"), number("0290000010000")
PRODUCTS = {
    product.gtin: product
    for product in (
        Product(TIN, "Tin"),
        Product(BISCUITS, "Biscuits", "KGM"),
        Product(SEED, "Seed", "KGM", unit_price_minor=1990),
        Product(BALLS, "Balls"),
    )
}
CASES = (Case(INNER, TIN, 12), Case(OUTER, TIN, 48))
LAYOUTS = (
    RcnLayout("21", "mass_g"),
    RcnLayout("22", "price_minor", value_digits=4, value_check=True),
    RcnLayout("29", "count", item_digits=6, value_digits=4),
)
LABELS = Labels(CASES, LAYOUTS)


def goods(data: str, aim: str | None = None, labels: Labels = LABELS) -> Goods | None:
    item = gs1.parse(data, aim)
    assert isinstance(item, gs1.Item), item
    return labels.goods(item, PRODUCTS)


# --- cases ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "aim", "units"),
    [
        (TIN[1:], "]E0", 1),
        (INNER, "]I1", 12),
        (INNER, None, 12),
        (OUTER, "]I1", 48),
        (f"01{INNER}10L1", "]C1", 12),
        (f"02{INNER}3720", "]C1", 240),
        (f"00{number('10614141192837465')}02{OUTER}3702", "]C1", 96),
        (f"01{INNER}3003{GS}10L1", "]d2", 36),
        (f"https://id.gs1.org/01/{INNER}/10/L1", None, 12),
    ],
)
def test_a_case_is_its_units(data: str, aim: str | None, units: int) -> None:
    assert goods(data, aim) == Goods(TIN, units * 1000)


def test_the_first_digit_alone_gives_no_count() -> None:
    stranger = number("3690123450001")
    assert goods(stranger) == Goods(stranger, 1000)


def test_a_case_of_goods_by_mass_is_what_its_label_weighs() -> None:
    labels = Labels((Case(INNER, BISCUITS, 5),))
    assert goods(INNER, labels=labels) == Goods(BISCUITS, 5000)
    assert goods(f"01{INNER}3103004870", "]C1", labels) == Goods(BISCUITS, 4870, "KGM")


# --- numbers with a value inside --------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "aim", "said"),
    [
        (number("210000101234"), "]E0", Goods(BISCUITS, 1234, "KGM")),
        (number("210000101234"), None, Goods(BISCUITS, 1234, "KGM")),
        (f"01{number('0210000101234')}17261231", "]e0", Goods(BISCUITS, 1234, "KGM")),
        (number("210000100000"), None, Goods(BISCUITS, 0, "KGM")),  # nothing inside
        (number("210000901234"), None, Goods(number("0210000900000"), 0)),  # no such product
        (number("220000181990"), None, Goods(SEED, 1000, "KGM")),  # 19.90 of 19.90 a kilogram
        (number("220000132875"), None, None),  # the verifier of 2875 is 9
        (number("220000192875"), None, Goods(SEED, 1445, "KGM")),  # 1444.72 g
        (number("290000010012"), None, Goods(BALLS, 12_000)),
    ],
)
def test_values_inside_numbers(data: str, aim: str | None, said: Goods | None) -> None:
    assert goods(data, aim) == said


def test_a_upc_number_of_the_shop_has_a_layout_too() -> None:
    item = number("0020000100000")
    labels = Labels((), (RcnLayout("02", "mass_g"),))
    upc = number("20000100500")
    assert len(upc) == 12
    known = {item: Product(item, "Cheese", "KGM")}
    parsed = gs1.parse(upc, "]E0")
    assert isinstance(parsed, gs1.Item)
    assert labels.goods(parsed, known) == Goods(item, 500, "KGM")


def test_a_price_without_a_price_of_the_product_says_nothing() -> None:
    labels = Labels((), (RcnLayout("21", "price_minor"),))
    assert goods(number("210000101990"), labels=labels) == Goods(BISCUITS, 0, "KGM")


def test_a_price_that_is_no_whole_number_of_pieces_says_nothing() -> None:
    layouts = (RcnLayout("29", "price_minor", item_digits=6, value_digits=4),)
    product = Product(BALLS, "Balls", unit_price_minor=250)
    for price, milli in ((500, 2000), (499, 0), (250, 1000), (0, 0)):
        item = gs1.parse(number(f"29000001{price:04}"))
        assert isinstance(item, gs1.Item)
        assert Labels((), layouts).goods(item, {BALLS: product}) == Goods(BALLS, milli)


def test_the_verifier_is_that_of_the_general_specifications() -> None:
    """The weights of figures 7.9.2-1 to 7.9.2-4 by arithmetic: times n, less or plus the tens."""

    def minus(digit: int, by: int) -> int:
        tens, units = divmod(digit * by, 10)
        return (units - tens) % 10

    def plus(digit: int) -> int:
        return sum(divmod(digit * 5, 10)) % 10

    for value in range(10_000):
        a, b, c, d = map(int, f"{value:04}")
        total = minus(a, 2) + minus(b, 2) + 3 * c + minus(d, 5)
        assert rcn.value_check_digit(f"{value:04}") == 3 * total % 10
    for value in range(0, 100_000, 7):
        a, b, c, d, e = map(int, f"{value:05}")
        total = plus(a) + minus(b, 2) + minus(c, 5) + plus(d) + minus(e, 2)
        verifier = rcn.value_check_digit(f"{value:05}")
        assert (total + minus(verifier, 5)) % 10 == 0


@st.composite
def layouts(draw: st.DrawFn) -> RcnLayout:
    """A layout that `stockd check` accepts."""
    prefix = draw(st.sampled_from(["02", "04", "20", "21", "255", "2999"]))
    kind = draw(st.sampled_from(["mass_g", "price_minor", "count", "none"]))
    room = 12 - len(prefix)
    check = draw(st.booleans())
    size = draw(st.sampled_from([4, 5]) if check else st.integers(1, room - 1))
    decimals = draw(st.integers(-3, 3)) if kind in ("mass_g", "price_minor") else 0
    return RcnLayout(prefix, kind, room - size - check, size, check, decimals)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(layouts(), st.data())
def test_any_layout_gives_back_what_was_printed(layout: RcnLayout, data: st.DataObject) -> None:
    item = data.draw(st.integers(0, 10**layout.item_digits - 1))
    value = data.draw(st.integers(0, 10**layout.value_digits - 1))
    price = data.draw(st.integers(1, 10**6))
    printed = f"{value:0{layout.value_digits}}"
    verifier = str(rcn.value_check_digit(printed)) if layout.value_check else ""
    body = f"{layout.prefix}{item:0{layout.item_digits}}"
    label, key = number(f"{body}{verifier}{printed}"), number(body.ljust(12, "0"))
    assert len(label) == 13

    amount = Fraction(value) / Fraction(10) ** layout.decimals
    uom = "KGM" if layout.value in ("mass_g", "price_minor") else "EA"
    milli = {
        "mass_g": round(amount),
        "price_minor": round(amount * 1000 / price),
        "count": value * 1000,
        "none": 1000,
    }[layout.value]
    product = Product(f"0{key}", "x", uom, unit_price_minor=price)  # type: ignore[arg-type]
    said = gs1.parse(label, "]E0")
    assert isinstance(said, gs1.Item)
    told = "KGM" if uom == "KGM" else None
    want = Goods(product.gtin, milli, told)
    assert Labels((), (layout,)).goods(said, {product.gtin: product}) == want
    assert rcn.item_gtin(product.gtin, layout) == product.gtin
    if layout.value_check:
        wrong = str((int(verifier) + data.draw(st.integers(1, 9))) % 10)
        said = gs1.parse(number(f"{body}{wrong}{printed}"))
        assert isinstance(said, gs1.Item)
        assert Labels((), (layout,)).goods(said, {product.gtin: product}) is None


ITEMS = st.builds(
    gs1.Item,
    gtin=st.sampled_from([TIN, INNER, OUTER, BISCUITS, SEED, number("0210000101234")]),
    count=st.integers(1, 10**8),
    net_kg_milli=st.none() | st.integers(0, 10**9),
    restricted=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.sampled_from(["EA", "KGM", "LTR"]), st.integers(1, 9999))
def test_a_scan_is_a_whole_quantity_or_none(item: gs1.Item, uom: str, times: int) -> None:
    products = {gtin: Product(gtin, "x", uom) for gtin in (TIN, BISCUITS, SEED)}  # type: ignore[arg-type]
    said = LABELS.goods(item, products)
    assert said is None or (type(said.qty_milli) is int and said.qty_milli >= 0)
    scanner = a_scanner("receive")
    scanner.set_quantity(0, Quantity("s", times))
    (seen,) = scanner.scan(1, "1", Scan(f"01{item.gtin}30{min(item.count, 99_999_999)}"), products)
    if isinstance(seen, ScanMove):
        assert 0 < seen.qty_milli <= QTY_MAX_MILLI


# --- through a scanner ------------------------------------------------------------------------


def a_scanner(mode: Mode, serials: Serials | None = None) -> Scanner:
    rules = ScannerRules(device="s", location=None, mode=mode, quantity_s=10)
    return Scanner(rules, serials or Serials(), labels=LABELS)


def scan(scanner: Scanner, at_ns: int, data: str, aim: str | None = None) -> ScanMove | Dropped:
    (seen,) = scanner.scan(at_ns, str(at_ns), Scan(data, aim), PRODUCTS)
    assert isinstance(seen, ScanMove | Dropped)
    return seen


def test_a_case_at_the_till_sells_its_units_times_n() -> None:
    till = a_scanner("sale")
    till.set_quantity(0, Quantity("s", 3))
    sold = scan(till, SECOND, f"01{INNER}21CASE7", "]C1")
    assert isinstance(sold, ScanMove)
    assert (sold.gtin, sold.qty_milli, sold.serial) == (TIN, 36_000, None)
    again = scan(till, 2 * SECOND, f"01{INNER}21CASE7", "]C1")
    assert isinstance(again, Dropped)
    assert again.reason == "serial_repeat"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (number("210000901234"), "unknown_format"),
        (number("230000101234"), "unknown_format"),
        (number("220000132875"), "bad_check_digit"),
        (number("210000100000"), "unknown_format"),
    ],
)
def test_a_number_that_says_nothing_here_is_dropped(data: str, reason: str) -> None:
    seen = scan(a_scanner("sale"), SECOND, data)
    assert isinstance(seen, Dropped)
    assert (seen.reason, seen.data) == (reason, data)


def test_two_weights_of_one_item_are_no_echo() -> None:
    till = a_scanner("sale")
    grams = [700, 701, 701]
    seen = [scan(till, n, number(f"2100001{gram:05}")) for n, gram in enumerate(grams)]
    assert [one.qty_milli for one in seen if isinstance(one, ScanMove)] == [700, 701]
    assert isinstance(seen[2], Dropped)
    assert seen[2].reason == "echo"


def pallet(serial: int) -> str:
    return f"00{number(f'1061414119283{serial:04}')}02{INNER}3740"


@pytest.mark.parametrize("mode", ["receive", "transfer_in", "transfer_out", "restock"])
def test_a_logistic_unit_counts_once_a_day(mode: Mode) -> None:
    serials = Serials()
    first, second = a_scanner(mode, serials), a_scanner(mode, serials)
    seen = [
        scan(first, 0, pallet(1), "]C1"),
        scan(first, 3600 * SECOND, pallet(1), "]C1"),
        scan(second, 3601 * SECOND, pallet(1), "]C1"),
        scan(second, 3602 * SECOND, pallet(2), "]C1"),
        scan(second, MEMORY_NS, pallet(1), "]C1"),
    ]
    assert [type(one) for one in seen] == [ScanMove, Dropped, Dropped, ScanMove, ScanMove]
    assert [one.qty_milli for one in seen if isinstance(one, ScanMove)] == [480_000] * 3
    assert [one.duplicate_of for one in seen if isinstance(one, Dropped)] == ["0", "0"]


def test_what_came_in_on_a_pallet_may_go_out_on_it() -> None:
    serials = Serials()
    assert isinstance(scan(a_scanner("receive", serials), 0, pallet(1), "]C1"), ScanMove)
    assert isinstance(scan(a_scanner("transfer_out", serials), 1, pallet(1), "]C1"), ScanMove)
