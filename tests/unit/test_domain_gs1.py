"""Barcodes as the stock reads them: our own cases, and what GS1's engine reads in its vectors.

What GS1 refuses is `test_gs1_vectors`; the stock forgives some of it (`test_gs1_label`).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.gs1 import Item, NoItem, expiry_date, parse
from gateway.domain.ids import check_digit

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")
VECTORS = DATA / "gs1-syntax" / "vectors.json"
GTIN = "09506000134352"


def vectors(name: str) -> list[dict[str, Any]]:
    if not VECTORS.exists():
        pytest.skip(f"no GS1 vectors: {VECTORS} is not there (STOCKD_DATA names another folder)")
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))[name]
    return found


def elements(bracketed: str | None) -> dict[str, str]:
    return dict(re.findall(r"\((\d{2,4})\)((?:\\\(|[^(])*)", bracketed or ""))


def agrees(read: Item | NoItem, bracketed: str) -> None:
    """What GS1's engine reads and we read too: GTIN, lot, serial, expiry."""
    wanted = elements(bracketed)
    assert isinstance(read, Item), (bracketed, read)
    assert read.gtin == wanted["01"]
    assert read.lot == wanted.get("10")
    assert read.serial == wanted.get("21")
    assert read.expiry_yymmdd == wanted.get("17")


def test_scan_data_of_gs1() -> None:
    tried = 0
    for vector in vectors("processScanData"):
        read = parse(vector["scan"][3:], vector["scan"][:3])
        if vector["accept"] and "01" in elements(vector["engine_ai"]):
            agrees(read, vector["engine_ai"])
            tried += 1
    assert tried >= 5


def test_element_strings_of_gs1() -> None:
    tried = 0
    for vector in vectors("processAIdata"):
        read = parse(vector["raw"].replace("^", "\x1d"), "]C1")
        if vector["engine_accept_full_validation"] and "01" in elements(vector["engine_ai"]):
            agrees(read, vector["engine_ai"])
            tried += 1
    assert tried >= 4


def test_digital_links_of_gs1() -> None:
    tried = 0
    for vector in vectors("parseDLuri"):
        wanted = elements(vector["engine_ai"])
        # a link whose primary key is another than the GTIN names no trade item
        if vector["engine_accept_full_validation"] and next(iter(wanted), "") == "01":
            agrees(parse(vector["uri"]), vector["engine_ai"])
            tried += 1
    assert tried >= 20


@pytest.mark.parametrize(
    ("data", "aim", "item"),
    [
        ("9506000134352", "]E0", Item(GTIN)),
        ("9506000134352", None, Item(GTIN)),
        ("96385074", "]E4", Item("00000096385074")),
        ("012345000065", "]E0", Item("00012345000065")),
        ("01234565", None, Item("00012345000065")),
        (f"01{GTIN}10L2406\x1d21S1", "]d2", Item(GTIN, "L2406", "S1")),
        (f"\x1d01{GTIN}17260930", "]Q3", Item(GTIN, expiry_yymmdd="260930")),
        (f"01{GTIN}3012", "]C1", Item(GTIN, count=12)),
        (f"02{GTIN}3724", "]C1", Item(GTIN, count=24)),
        (f"01{GTIN}3103001256", "]e0", Item(GTIN, net_kg_milli=1256)),
        (f"01{GTIN}3105000150", "]e0", Item(GTIN, net_kg_milli=2)),
        (f"01{GTIN}10L2406", None, Item(GTIN, "L2406")),
        ("HTTPS://ID.GS1.ORG/01/9506000134352/10/A%2FB?17=260930", None, Item(GTIN, "A/B",
         expiry_yymmdd="260930")),
        ("2112345000008", "]E0", Item("02112345000008", restricted=True)),
        ("4006381333931", "]E0", Item("04006381333931")),
    ],
)  # fmt: skip
def test_labels(data: str, aim: str | None, item: Item) -> None:
    assert parse(data, aim) == item


@pytest.mark.parametrize(
    ("data", "aim", "reason"),
    [
        ("9506000134353", "]E0", "bad_check_digit"),
        ("01095060001343532", "]C1", "unknown_format"),
        ("0109506000134353", "]C1", "bad_check_digit"),
        ("9506000134352", "]C1", "unknown_format"),
        (f"01{GTIN}10" + "L" * 21, "]C1", "unknown_format"),
        (f"01{GTIN}10A\x1d10B", "]C1", "unknown_format"),
        (f"01{GTIN}17261301", "]C1", "unknown_format"),
        (f"01{GTIN}300", "]C1", "unknown_format"),
        (f"01{GTIN}3109000001", "]C1", "unknown_format"),
        (f"01{GTIN}10é", "]C1", "unknown_format"),
        ("10L2406", "]C1", "unknown_format"),
        ("", None, "unknown_format"),
        ("https://example.com/", None, "unknown_format"),
        ("https://id.gs1.org/01/9506000134353", None, "bad_check_digit"),
        ("１２３４５６７８", None, "unknown_format"),
    ],
)
def test_labels_that_say_nothing(data: str, aim: str | None, reason: str) -> None:
    read = parse(data, aim)
    assert isinstance(read, NoItem)
    assert read.reason == reason


@given(st.text(max_size=60), st.sampled_from([None, "]C1", "]d2", "]E0", "]E4", "]Q3", "]XX"]))
def test_no_text_raises(data: str, aim: str | None) -> None:
    assert isinstance(parse(data, aim), Item | NoItem)


@given(
    st.text("0123456789", min_size=13, max_size=13),
    st.text("ABCabc019!%/", min_size=1, max_size=20),
    st.text("XYZxyz019-_", min_size=1, max_size=20),
    st.integers(1, 9999),
    st.booleans(),
)
def test_what_is_written_is_read(
    body: str, lot: str, serial: str, count: int, serial_first: bool
) -> None:
    gtin = body + str(check_digit(body))
    parts = [f"10{lot}", f"21{serial}"]
    text = f"01{gtin}17260930" + "\x1d".join([*parts[:: -1 if serial_first else 1], f"30{count}"])
    read = parse(text, "]d2")
    assert isinstance(read, Item)
    assert (read.gtin, read.lot, read.serial, read.count) == (gtin, lot, serial, count)


@pytest.mark.parametrize(
    ("yymmdd", "year", "date"),
    [
        ("260930", 2026, "2026-09-30"),
        ("280200", 2026, "2028-02-29"),
        ("750101", 2026, "2075-01-01"),
        ("770101", 2026, "1977-01-01"),
        ("000101", 2099, "2100-01-01"),
        ("000200", 2099, "2100-02-28"),
        ("260931", 2026, None),
        ("26093", 2026, None),
    ],
)
def test_expiry(yymmdd: str, year: int, date: str | None) -> None:
    assert expiry_date(yymmdd, year) == date
