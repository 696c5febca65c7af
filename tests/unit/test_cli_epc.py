"""`stockd epc`: what a tag is, in words of both languages and as JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gateway import tag_words
from gateway.cli import main
from gateway.domain.epc import REASONS

SGTIN = "3066C4409047E140075BCD15"
FACTORY = "E28011700000020EC250695C"


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STOCKD_CONFIG", str(tmp_path / "none.toml"))


def test_a_tag_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["epc", SGTIN]) == 0
    assert capsys.readouterr().out.splitlines() == [
        SGTIN,
        "  scheme: sgtin-96, trade item",
        "  GTIN: 09506000134352",
        "  serial: 123456789",
        "  filter: 3",
        "  identity: urn:epc:id:sgtin:95060001343.05.123456789",
        "  tag: urn:epc:tag:sgtin-96:3.95060001343.05.123456789",
        "  element string: (01)09506000134352(21)123456789",
        "  Digital Link: https://id.gs1.org/01/09506000134352/21/123456789",
    ]
    assert main(["epc", SGTIN, "--lang", "zh-CN"]) == 0
    assert "  序列号: 123456789" in capsys.readouterr().out


def test_a_tag_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["epc", SGTIN, FACTORY]) == 1
    out = capsys.readouterr().out
    assert "  not a GS1 tag: E2: the chip's own number, not a GS1 one" in out
    assert main(["epc", FACTORY, "--lang", "zh-CN"]) == 1
    assert "  不是 GS1 标签: 芯片自带编号" in capsys.readouterr().out


def test_tags_as_json_from_standard_input(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"{SGTIN}\n\n{FACTORY}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["epc", "-", "--json"]) == 1
    first, second = json.loads(capsysbinary.readouterr().out)["tags"]
    assert first == {
        "hex": SGTIN, "gs1": True, "scheme": "sgtin-96", "filter": 3,
        "gtin14": "09506000134352", "serial": "123456789", "date": None,
        "pure_identity": "urn:epc:id:sgtin:95060001343.05.123456789",
        "tag_uri": "urn:epc:tag:sgtin-96:3.95060001343.05.123456789",
        "element_string": "(01)09506000134352(21)123456789",
        "digital_link": "https://id.gs1.org/01/09506000134352/21/123456789",
        "hostname": None, "aidc": False, "reason": None, "detail": None,
    }  # fmt: skip
    assert (second["gs1"], second["reason"], second["scheme"]) == (False, "tid", None)


def test_the_pc_word_tells_tags_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["epc", "--pc", "31A1", SGTIN]) == 1
    assert "ISO/IEC 15961" in capsys.readouterr().out
    assert main(["epc", "--pc", "3000", SGTIN]) == 0
    with pytest.raises(SystemExit) as wrong:
        main(["epc", "--pc", "30000", SGTIN])
    assert wrong.value.code == 2


def test_every_reason_has_its_chinese_words() -> None:
    assert set(tag_words.REASON_ZH) == set(REASONS)
