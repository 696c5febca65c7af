"""Docs are run: every command in them exists, and those that end by themselves are executed.

A fenced block marked `console` holds commands after `$ `. Commands of the daemon and the ledger
run in a folder where a short demo has left a journal, a trace and a ledger. TOML blocks are loaded.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOREVER = ("stockd run", "stockd-ledger run", "stockd demo", "stockd simulate", "stockd record")
"""Commands that run until they are told to end: the end-to-end tests run them."""
NEEDS_DAEMON = (
    "stockd status", "stockd command", "stockd stocktake start", "stockd stocktake status",
    "stockd stocktake finish", "stockd stocktake cancel",
)  # fmt: skip
"""Without a daemon they say so, with exit status 3."""
SAYS_NO = ("stockd stocktake report",)
"""The demo counts nothing: they say so, with exit status 1."""


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"```{language}\n(.*?)```", text, re.S):
            yield page.relative_to(ROOT).as_posix(), match[1]


def commands() -> list[tuple[str, str]]:
    return [
        (page, line[2:].split(" #")[0].strip())
        for page, block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    demo = ["gateway.cli", "demo", "--duration", "35", "--dir", str(folder), "--json"]
    subprocess.run([sys.executable, "-m", *demo], check=True, capture_output=True, timeout=150)
    return folder


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("page", "command"), [c for c in commands() if c[1].startswith("make")])
def test_make_targets_exist(page: str, command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M), page


@pytest.mark.parametrize(
    ("page", "command"),
    [
        c
        for c in commands()
        if re.match(r"stockd(-ledger)? ", c[1]) and not c[1].startswith(FOREVER)
    ],
)
def test_commands_run(page: str, command: str, shop: Path) -> None:
    words = shlex.split(command)
    module = "ledger.cli" if words[0] == "stockd-ledger" else "gateway.cli"
    done = subprocess.run(
        [sys.executable, "-m", module, *words[1:]], cwd=shop, capture_output=True, text=True,
        check=False, input="", timeout=60,
        env={**os.environ, "STOCKD_CONFIG": str(shop / "store.toml")},
    )  # fmt: skip
    expected = 3 if command.startswith(NEEDS_DAEMON) else 0
    expected = 1 if command.startswith(SAYS_NO) else expected
    assert done.returncode == expected, f"{page}: {command}\n{done.stderr}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", sorted({c[1] for c in commands() if c[1].startswith(FOREVER)}))
def test_commands_that_run_on_are_understood(command: str) -> None:
    words = shlex.split(command)
    module = "ledger.cli" if words[0] == "stockd-ledger" else "gateway.cli"
    done = subprocess.run(
        [sys.executable, "-m", module, *words[1:], "--help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("page", "block"), list(blocks("toml")))
def test_toml_samples_load(page: str, block: str) -> None:
    assert tomllib.loads(block), page


def test_every_driver_is_described() -> None:
    text = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
    for name in sorted(p.stem for p in (ROOT / "drivers").glob("*.py")):
        if name[0] != "_" and name not in ("base", "framing", "link"):
            assert f"`{name}`" in text


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_subcommand_is_in_a_page() -> None:
    from gateway.cli import parser

    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    choices = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    missing = [name for name in choices if f"stockd {name}" not in pages]
    assert missing == []
