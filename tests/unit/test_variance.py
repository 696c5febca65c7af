"""The variance report of a count, from the journal: numbers, and the files it is written to."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from journalled import GOLDEN, journalled

from gateway.cli import main

AFTER = """
400  scan till-1 {Cup}
500  adjust a2 Tin 3 other
520  end
"""
COUNTED = "C-1780300805000"
NASTY = '=HYPERLINK("x")<b>'


def made(folder: Path, case: str, more: str = "", shop: str = "_store") -> Path:
    """The configuration of a shop whose journal holds a golden case; jars have a price."""
    folder.mkdir()
    script = (GOLDEN / case / "script.txt").read_text("utf-8").replace("320  end\n", "")
    config = journalled(folder, script + more, shop)
    sheet = folder / "products.csv"
    if sheet.exists():
        head, *rows = sheet.read_text("utf-8").splitlines()
        rows = [row + (",1290" if ",Jar," in row else ",") for row in rows]
        text = "\n".join([f"{head},unit_price_minor", *rows]) + "\n"
        sheet.write_text(text.replace(",Cup,", f',"{NASTY.replace(chr(34), chr(34) * 2)}",'))
    return config


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variance")
    extra = "0    count a1 Mint 7\n" + AFTER
    return made(folder / "shop", "stocktake_while_a_customer_takes_one", extra)


def told(shop: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["--config", str(shop), "--json", "stocktake", "report", *arguments]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_movements_during_the_count_are_no_difference(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = told(shop, capsys)
    assert (report["id"], report["by"], report["locations"]) == (COUNTED, "scan", ["a1", "b1"])
    jar, cup = report["rows"]
    names = ("before", "moved", "book", "counted", "difference", "value_minor")
    assert [jar[name] for name in names] == [10000, -1000, 9000, 8000, -1000, -1290]
    assert [cup[name] for name in names] == [6000, -1000, 5000, 4000, -1000, None]
    assert report["totals"]["Surplus / shortage / net"] == "0 / -2 / -2 pcs"
    assert report["totals"]["Differing lines without a price"] == "1"
    (left,) = report["uncounted"]
    assert (left["location"], left["name"], left["book"]) == ("a1", "Mint", 7000)
    assert report == told(shop, capsys, COUNTED)


def test_lots_are_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made(tmp_path / "lots", "stocktake_with_unseen_lots")
    report = told(config, capsys, "C-1780300810000")
    rows = {row["lot"]: (row["book"], row["counted"]) for row in report["rows"]}
    assert rows == {"NEW": (4000, 3000), "ODD": (0, 1000), "OLD": (1000, 0)}
    assert [one["name"] for one in report["uncounted"]] == ["Tin", "Box"]
    last = told(config, capsys)
    assert {row["name"]: row["difference"] for row in last["rows"] if row["lot"] is None} == {
        "Tin": 0, "Box": -3000,
    }  # fmt: skip
    assert last["uncounted"] == []


def test_what_was_put_back_is_part_of_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made(tmp_path / "rfid", "stocktake_by_rfid", shop="stocktake_by_rfid")
    report = told(config, capsys)
    jar = next(row for row in report["rows"] if row["name"] == "Jar")
    assert (jar["book"], jar["counted"], jar["difference"]) == (7000, 8000, 1000)
    first = told(config, capsys, "C-1780300860000")
    why = {one["gtin"]: one["why"] for one in first["uncounted"]}
    assert why == {"06901234560053": "tags just leaving: 1", "06901234560060": ""}


def test_a_scanner_that_counted_for_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made(tmp_path / "alone", "stocktake_by_scan")
    report = told(config, capsys)
    assert (report["id"], report["by"]) == ("hand-1-1780300810000", None)
    (row,) = report["rows"]
    assert (row["before"], row["moved"], row["counted"]) == (10000, -2000, 2000)
    for nobody in ("hand-1-1780300810001", "C-1", "C-", "nonsense", "C-99999999999999999999"):
        assert main(["--config", str(config), "stocktake", "report", nobody]) == 1
        assert "booked" in capsys.readouterr().err


def test_the_files(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("csv", "xlsx", "html")}
    arguments = [part for kind, file in files.items() for part in (f"--{kind}", str(file))]
    told(shop, capsys, "--lang", "zh-CN", *arguments)

    raw = files["csv"].read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    head, jar, cup = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
    assert dict(zip(head, jar, strict=True))["差异金额"] == "-12.90"
    assert cup[2] == f"'{NASTY}"

    with zipfile.ZipFile(files["xlsx"]) as book:
        page = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    assert page.findall(f".//{space}f") == []
    numbers = [v.text for c in page.iter(f"{space}c") if c.get("t") in (None, "n") for v in c]
    assert {"10", "-1", "12.9", "-12.9", "8"} <= set(filter(None, numbers))
    assert NASTY in {text.text for text in page.iter(f"{space}t")}

    text = files["html"].read_text("utf-8")
    assert '<html lang="zh-CN">' in text
    assert "盘点差异表" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "A4 landscape" in text
    assert "http" not in text


def test_a_terminal_shows_it(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(shop), "stocktake", "report"]) == 0
    out = capsys.readouterr().out
    assert "a1        06901234560015          9        8          -1  -12.90  Jar" in out
    assert "Not counted, left as booked\n  a1  06901234560046  Mint  7 pcs" in out
    assert main(["--config", str(shop), "stocktake", "report", "--csv", "/dev/null/x"]) == 2


def test_places_must_be_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ([], ["--all", "--location", "a1"]):
        assert main(["--config", str(shop), "stocktake", "start", *wrong]) == 2
        assert "--location L ..., or --all" in capsys.readouterr().err
    assert main(["--config", str(shop), "stocktake", "start", "--all"]) == 3
