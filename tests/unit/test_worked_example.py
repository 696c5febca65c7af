"""The driver of docs/drivers.md, put where the page says: a file, an entry, a golden folder."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import drivers
from gateway import config, registry
from gateway.domain.reading import Body, Weight
from gateway.domain.wire import body_line

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"
NAME = "scale_hx711"
STORE = '[store]\nid = "s0001"\n[ledger_link]\nurl = ""\n[[location]]\nid = "a1"\nkind = "shelf"\n'


def files() -> dict[str, str]:
    """The files that the page shows, by the path before each."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```$", text, re.S | re.M))


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    page = files()
    (tmp_path / f"{NAME}.py").write_text(page[f"drivers/{NAME}.py"])
    monkeypatch.setattr(drivers, "__path__", [*drivers.__path__, str(tmp_path)])
    yield page
    sys.modules.pop(f"drivers.{NAME}", None)


def decoded(options: dict[str, object], chunks: list[bytes]) -> list[Body]:
    driver = registry.load(NAME)
    decoder = driver.decoder(registry.build_options(driver, options))
    return [body for chunk in chunks for body in decoder.feed(chunk)] + decoder.end()


def test_its_golden_folder_holds(shown: dict[str, str]) -> None:
    folder = f"tests/golden/drivers/{NAME}/shelf"
    rows = shown[f"{folder}/input.hex"].splitlines()
    data = bytes.fromhex("".join(row.partition("#")[0] for row in rows))
    options = json.loads(shown[f"{folder}/options.json"])
    whole = decoded(options, [data])
    assert [body_line(body).decode() for body in whole] == (
        shown[f"{folder}/expected.jsonl"].splitlines()
    )
    assert decoded(options, [data[n : n + 1] for n in range(len(data))]) == whole
    assert isinstance(whole[0], Weight)


def test_its_entry_is_all_that_the_configuration_needs(
    shown: dict[str, str], tmp_path: Path
) -> None:
    entry = re.search(r"Its entry in `store.toml`:\n\n```toml\n(.*?)```", PAGE.read_text(), re.S)
    assert entry is not None
    (tmp_path / "store.toml").write_text(STORE + entry[1])
    (tmp_path / "products.csv").write_text("gtin,name\n")
    (tmp_path / "planogram.csv").write_text("location,gtin\n")
    assert NAME in registry.driver_names()
    loaded = config.load(tmp_path / "store.toml")
    assert loaded.settings.device[0].driver == NAME
    wrong = (tmp_path / "store.toml").read_text().replace("rate_hz = 10", "rate_hz = 100")
    (tmp_path / "store.toml").write_text(wrong)
    with pytest.raises(Exception, match="not from 1 to 80"):
        config.load(tmp_path / "store.toml")


def test_the_page_shows_a_driver_that_the_house_would_keep(shown: dict[str, str]) -> None:
    text = shown[f"drivers/{NAME}.py"]
    assert max(len(line) for line in text.splitlines()) <= 100
    assert set(registry.load(NAME).module.REASONS) > {"noise", "checksum"}  # type: ignore[attr-defined]
