"""A configuration with every kind of mistake: all of them in one run, and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WRONG = """\
[store]
id = "s0001"
colour = "red"

[journal]
path = "stockd.db"

[[location]]
id = "a1"
kind = "shelf"

[[device]]
id = "scale-a1"
driver = "scale_sics"
link = "serial:///dev/ttyUSB0"
location = "a1"

[[device]]
id = "scale-a2"
driver = "scale_sics"
link = "serial:///dev/ttyUSB0"
location = "moon"
"""
PRODUCTS = "gtin,name\n06901234567892,Jar\n06901234567893,Jar with a wrong check digit\n"
MISTAKES = {
    "an unknown key": "colour",
    "a wrong check digit": "products.csv row 3: gtin",
    "an unknown location": "moon",
    "two devices on one link": "/dev/ttyUSB0",
    "a missing file": "planogram.csv",
}


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    (tmp_path / "products.csv").write_text(PRODUCTS, "utf-8")
    config = tmp_path / "store.toml"
    config.write_text(WRONG, "utf-8")
    return config


def stockd(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--config", str(config), *arguments],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_mistake_is_told_in_one_run(wrong: Path, command: str) -> None:
    answer = stockd(wrong, command)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    for mistake, text in MISTAKES.items():
        assert text in answer.stderr, f"{mistake} is not told:\n{answer.stderr}"
    assert answer.stderr.splitlines()[-1] == f"{len(MISTAKES)} problems"
    assert not (wrong.parent / "stockd.db").exists(), "nothing was touched"


def test_every_mistake_is_in_the_document(wrong: Path) -> None:
    answer = stockd(wrong, "check", "--json")
    assert answer.returncode == 2
    told = json.loads(answer.stdout)
    assert told["ok"] is False
    assert len(told["problems"]) == len(MISTAKES)


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    for command in ("check", "run", "status", "verify"):
        answer = stockd(tmp_path / "none.toml", command)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "none.toml" in answer.stderr
        assert "Traceback" not in answer.stderr
