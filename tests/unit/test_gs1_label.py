"""What the stock takes from a label, and what it forgives: our own cases beside GS1's vectors."""

from __future__ import annotations

import pytest

from gateway.domain.gs1 import GS, LABEL_MAX, Element, Item, NoItem, parse, read

GTIN = "09506000134352"
SSCC = "106141412345678908"


@pytest.mark.parametrize(
    ("data", "aim", "item"),
    [
        # what the stock does not use is not tested: a bad date, a bad package type, no company
        (f"01{GTIN}8008991399{GS}10A", "]C1", Item(GTIN, "A")),
        (f"01{GTIN}11269999" + "15000000", "]C1", Item(GTIN)),
        (f"01{GTIN}240é{GS}10A", "]d2", Item(GTIN, "A")),
        (f"01{GTIN}99A{GS}99B", "]d2", Item(GTIN)),
        (f"01{GTIN}01{GTIN}10A", "]d2", Item(GTIN, "A")),
        (f"01{GTIN}235THIRD{GS}8200http://example.com{GS}21S", "]d2", Item(GTIN, serial="S")),
        # nor are associations: a lot may stand with a count of another symbol
        (f"01{GTIN}3712", "]C1", Item(GTIN, count=12)),
        # AIs that nobody has defined, by the length their first digits promise
        (f"01{GTIN}19261231" + "10A", "]C1", Item(GTIN, "A")),
        (f"01{GTIN}4399NEW{GS}10A", "]C1", Item(GTIN, "A")),
        # a separator too many behind a value of predefined length, and one at the end
        (f"{GS}01{GTIN}{GS}17260930{GS}10A{GS}", "]Q3", Item(GTIN, "A", expiry_yymmdd="260930")),
        (f"{GS}01{GTIN}", None, Item(GTIN)),
        # pallets
        (f"00{SSCC}02{GTIN}3724", "]C1", Item(GTIN, count=24, sscc=SSCC)),
        (f"02{GTIN}00{SSCC}370000024{GS}10A", "]C1", Item(GTIN, "A", count=24, sscc=SSCC)),
        (f"02{GTIN}3102001050", "]C1", Item(GTIN, net_kg_milli=10500)),
        (f"https://example.com/00/{SSCC}?02={GTIN}&37=24", "]Q1",
         Item(GTIN, count=24, sscc=SSCC)),
        # symbols
        ("19506000134359", "]I1", Item("19506000134359")),
        ("977123456700305", "]E3", Item("09771234567003")),
        ("950600013435212345", "]E3", Item(GTIN)),
        ("9506000134352|]e010A", "]E0", Item(GTIN, "A")),
        ("96385074|]e017260930", "]E4", Item("00000096385074", expiry_yymmdd="260930")),
        # links
        ("http://example.com/stem/01/9506000134352/22/V/10/A/21/S", "]Q1", Item(GTIN, "A", "S")),
        (f"https://example.com/01/{GTIN}/", None, Item(GTIN)),
        (f"https://user@example.com:8080/gtin/{GTIN}/lot/A?x=1;17=260930", None,
         Item(GTIN, "A", expiry_yymmdd="260930")),
        (f"https://example.com/8004/614141A/01/{GTIN}", None, Item(GTIN)),
        (f"https://example.com/01/{GTIN}?777=1&10=&99&3103=000742", None,
         Item(GTIN, net_kg_milli=742)),
        # numbers of a store
        ("2000000000008", "]E0", Item("02000000000008", restricted=True)),
        (f"0102000000000008{'3103000742'}", "]e0",
         Item("02000000000008", net_kg_milli=742, restricted=True)),
    ],
)  # fmt: skip
def test_items(data: str, aim: str | None, item: Item) -> None:
    assert parse(data, aim) == item


@pytest.mark.parametrize(
    ("data", "aim", "detail"),
    [
        (f"00{SSCC}", "]C1",
         f"a logistic unit (SSCC {SSCC}); its label does not say what is in it"),
        (f"https://example.com/00/{SSCC}", None,
         f"a logistic unit (SSCC {SSCC}); its label does not say what is in it"),
        (f"02{GTIN}", "]C1", "contents without a count (AI 02 without AI 37)"),
        (f"01{GTIN}02096385074000083712", "]C1",
         "09638507400008 ends in a wrong check digit, should be 2"),
        (f"01{GTIN}02000000963850743712", "]C1", "AI 01 and AI 02 exclude each other"),
        (f"00{SSCC[:-1]}902{GTIN}3724", "]C1",
         f"{SSCC[:-1]}9 ends in a wrong check digit, should be 8"),
        (f"00{SSCC}02{GTIN}37", "]C1", "AI 37 has no value"),
        (f"00{SSCC}02{GTIN}3700", "]C1", "AI 37: '00' fails the test nonzero"),
        (f"01{GTIN}7003260930120010A", "]C1", "AI 7003: 13 characters, separator lost?"),
        (f"01{GTIN}1726093", "]C1", "AI 17 needs 6 characters"),
        (f"01{GTIN}17260930{GS}{GS}10A", "]C1", "no application identifier at '\\x1d10A'"),
        (f"01{GTIN}10A{GS}1", "]C1", "no application identifier at '1'"),
        (f"01{GTIN}10A{GS}50A", "]C1", "no application identifier at '50A'"),
        ("01A9506000134352", "]C1", "AI 01: 'A9506000134352' fails the test csetN"),
        ("99A", "]C1", "no GTIN (AI 01 or 02)"),
        ("", "]C1", "no GTIN (AI 01 or 02)"),
        ("12345", "]E2", "5 digits are no GTIN"),
        ("9506000134352|]e010", "]E0", "AI 10 has no value"),
        ("950600013435", "]I1", "950600013435 ends in a wrong check digit, should be 9"),
        ("https://example.com/253/9526064000028", None,
         "a Digital Link of AI 253, which is no trade item"),
        (f"https://example.com/01/{GTIN}?37=99999999999999999999", None,
         "AI 37: '99999999999999999999' fails the test nonzero"),
        (f"https://example.com/01/{GTIN}/10/%00", None, "AI 10: '\\x00' fails the test csetX"),
        ("https://example.com/01/950600013435", None,
         "950600013435 ends in a wrong check digit, should be 9"),
        ("https://example.com/01/95060001343", None, "AI 01: '95060001343' fails the test csetN"),
        ("A" * (LABEL_MAX + 1), "]d2", "longer than any symbol holds"),
    ],
)  # fmt: skip
def test_no_items(data: str, aim: str | None, detail: str) -> None:
    read_as = parse(data, aim)
    assert isinstance(read_as, NoItem)
    assert read_as.detail == detail


def test_everything_on_a_label_is_read() -> None:
    label = f"01{GTIN}10A{GS}8008991399{GS}99X"
    assert read(label, "]d2") == (
        Element("01", GTIN), Element("10", "A"), Element("8008", "991399"), Element("99", "X"),
    )  # fmt: skip
    assert read("96385074", "]E4") == (Element("01", "00000096385074"),)
