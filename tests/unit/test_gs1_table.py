"""The table of application identifiers is the official dictionary, and nothing else."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from gateway.domain.gs1 import FAULTS, ais, lint
from gateway.label_words import FAULT_ZH, TITLE_ZH, title

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STOCKD_DATA") or ROOT.parent / "shared" / "data")
DICTIONARY = DATA / "gs1-syntax" / "gs1-syntax-dictionary.txt"
TABLE = ROOT / "gateway" / "domain" / "gs1" / "table.py"


def test_the_table_is_the_dictionary() -> None:
    if not DICTIONARY.exists():
        pytest.skip(f"no dictionary: {DICTIONARY} is not there (STOCKD_DATA names another folder)")
    spec = importlib.util.spec_from_file_location("gs1_table", ROOT / "tools" / "gs1_table.py")
    assert spec is not None and spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.table(DICTIONARY.read_text("utf-8")) == TABLE.read_text("utf-8")
    with pytest.raises(ValueError, match="no row"):
        generator.table("10  ?  Q..20  # BATCH")


def test_every_ai_is_there() -> None:
    found = ais.all_ais()
    assert len(found) == 541
    assert [ai.ai for ai in found if ai.most > 90 or not 0 < ai.least <= ai.most] == []
    serial = ais.find("21")
    assert serial == ais.Ai(
        "21",
        (ais.Part("X", 1, 20, False, ()),),
        least=1,
        most=20,
        separated=True,
        requires=((("01",), ("03",), ("8006",)),),
        excludes=("235",),
        title="SERIAL",
    )


def test_every_test_of_values_exists() -> None:
    named = {linter for ai in ais.all_ais() for part in ai.parts for linter in part.linters}
    assert named == set(lint.LINTERS)


def test_predefined_lengths_are_the_flagged_ones() -> None:
    """The table of General Specifications 7.8.5 and the dictionary's flags say the same."""
    for ai in ais.all_ais():
        unknown = ais.assumed(ai.ai[:2] + "9" * (len(ai.ai) - 2))
        assert unknown is not None
        assert unknown.separated == ai.separated, ai.ai
        if not ai.separated:
            assert (ai.least, ai.most) == (unknown.most, unknown.most), ai.ai


@pytest.mark.parametrize(
    ("text", "ai", "separated"),
    [
        ("0109506000134352", "01", False),
        ("3109000001", "3109", False),
        ("3999123", "3999", True),
        ("0412", "04", False),
        ("2461", "246", True),
    ],
)
def test_an_ai_begins(text: str, ai: str, separated: bool) -> None:
    found = ais.at(text, 0)
    assert found is not None
    assert (found.ai, found.separated) == (ai, separated)


@pytest.mark.parametrize("text", ["", "0", "31", "310", "31a0", "50123", "88", "１０A", "ABC"])
def test_no_ai_begins(text: str) -> None:
    assert ais.at(text, 0) is None


@pytest.mark.parametrize("ai", ["", "9", "999", "12345", "9a", "٩٩", "010"])
def test_no_such_ai(ai: str) -> None:
    assert ais.assumed(ai) is None


def test_words_in_both_languages() -> None:
    assert FAULT_ZH.keys() == FAULTS.keys()
    for code, sentence in FAULTS.items():
        fields = [f"{{{name}" for name in ("ai", "value", "rule") if f"{{{name}" in sentence]
        assert [name for name in fields if name not in FAULT_ZH[code]] == [], code
    for ai in TITLE_ZH:
        assert title(ai if len(ai) != 3 or ai in ("400", "410", "414", "422") else f"{ai}0", "en")
    assert title("90", "zh-CN") == "INTERNAL"
