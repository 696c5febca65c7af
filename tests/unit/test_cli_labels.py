"""`stockd barcode`: what a label says, in words of both languages and as JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gateway.cli import main

GTIN = "09506000134352"
SSCC = "106141412345678908"


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STOCKD_CONFIG", str(tmp_path / "none.toml"))


def test_a_label_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    label = f"]d201{GTIN}10L2406{{GS}}17260930"
    assert main(["barcode", label]) == 0
    assert capsys.readouterr().out.splitlines() == [
        label,
        f"  (01)   {GTIN}                  GTIN",
        "  (10)   L2406                           BATCH/LOT",
        "  (17)   260930                          USE BY or EXPIRY",
        f"  one scan is: 1 × {GTIN}, lot L2406, expires 2026-09-30",
    ]
    assert main(["barcode", label, "--lang", "zh-CN"]) == 0
    assert f"  一次扫描: 1 × {GTIN}，批号 L2406，有效期至 2026-09-30" in capsys.readouterr().out


def test_a_pallet_and_a_mass(capsys: pytest.CaptureFixture[str]) -> None:
    pallet = f"^00{SSCC}02{GTIN}3724^21S1"
    weighed = "^0102000000000008" + "3103000742"
    assert main(["barcode", "--caret", pallet, weighed, "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert f"one scan is: 24 × {GTIN}, serial S1, on logistic unit {SSCC}" in said
    known = "a number only this store's catalogue knows"
    assert f"one scan is: 0.742 kg × 02000000000008, {known}" in said
    assert main(["barcode", "--caret", pallet, weighed, "--lang", "zh-CN"]) == 0
    assert "店内码" in capsys.readouterr().out


def test_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barcode", "9506000134353", "--lang", "zh-CN"]) == 1
    assert "  不能入账: 9506000134353 的校验位不对，应为 2" in capsys.readouterr().out
    assert main(["barcode", "--aim", "]C1", f"00{SSCC}"]) == 1
    assert "nothing for the stock: a logistic unit" in capsys.readouterr().out


def test_rules_that_the_stock_forgives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barcode", f"01{GTIN}8008991399{{GS}}3712"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "  against GS1's rules: AI 8008: '991399' fails the test yymmdd",
        "  against GS1's rules: AI 01 and AI 37 exclude each other",
        "  against GS1's rules: AI 37 needs 00+02 / 00+8026 beside it",
    ]


def test_lines_to_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = f"]Q1https://id.gs1.org/01/{GTIN}/10/A\r\n\nbad\xff\n".encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["barcode", "--json", "-"]) == 1
    first, second = json.loads(capsys.readouterr().out)["labels"]
    assert first == {
        "data": f"https://id.gs1.org/01/{GTIN}/10/A", "aim": "]Q1",
        "elements": [
            {"ai": "01", "title": "GTIN", "value": GTIN},
            {"ai": "10", "title": "BATCH/LOT", "value": "A"},
        ],
        "item": {
            "gtin": GTIN, "lot": "A", "serial": None, "expiry_yymmdd": None, "count": 1,
            "net_kg_milli": None, "restricted": False, "sscc": None,
        },
        "reason": None, "detail": None, "breaches": [],
    }  # fmt: skip
    assert (second["item"], second["reason"]) == (None, "unknown_format")
    assert second["detail"] == "neither a GTIN, an element string nor a Digital Link"


def test_the_language_of_the_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = Path(__file__).parents[2] / "config" / "store.toml"
    monkeypatch.chdir(config.parent)
    assert main(["--config", str(config), "barcode", "9506000134352"]) == 0
    assert "一次扫描" in capsys.readouterr().out
    broken = tmp_path / "broken.toml"
    broken.write_text("[store]\nid = 7\n", "utf-8")
    assert main(["--config", str(broken), "barcode", "9506000134352"]) == 0
    assert "one scan is" in capsys.readouterr().out
