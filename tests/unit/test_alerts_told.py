"""From an alert to people: the ops stream, `stockd alerts`, and every sentence in two languages."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from gateway.alarms import Alarms
from gateway.alert_words import NAME, TEXT, Names
from gateway.cli import main
from gateway.config import Loaded, load
from gateway.core.alerts import Alerts
from gateway.core.engine import Engine
from gateway.domain.alert import Alert, Code
from gateway.domain.reading import Reading, Scan
from gateway.domain.store import Product, Store
from gateway.domain.wire import canonical, replay_stamp
from gateway.health import AlertCount, counted
from gateway.journal.journal import Journal
from gateway.journal.reader import Reader

GOLDEN = Path(__file__).parents[1] / "golden" / "alerts" / "_store"
DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"
START, SECOND = 1_780_300_800_000_000_000, 1_000_000_000
CUP, BAG = "06901234560053", "06901234560077"


def shop(folder: Path) -> Loaded:
    for name in ("products.csv", "planogram.csv"):
        (folder / name).write_bytes((GOLDEN / name).read_bytes())
    text = '[journal]\npath = "j.db"\n' + (GOLDEN / "store.toml").read_text("utf-8")
    (folder / "store.toml").write_text(text, "utf-8")
    return load(folder / "store.toml")


async def journalled(loaded: Loaded) -> None:
    """A day on which a lot comes that is expired, is sold by the till beside, and goes."""
    journal = Journal(Path(loaded.settings.journal.path), "s0001")
    engine = Engine(loaded.settings, loaded.store, journal.inst, journal.history())
    alarms = Alarms(loaded.store)
    said = ((f"01{BAG}1726050110B1", "receive"), (f"01{CUP}10L1\x1d302", "receive"),
            (f"01{BAG}1726050110B1", "writeoff"))  # fmt: skip
    for n, (text, mode) in enumerate(said):
        scan = Scan(text, "]d2", mode)  # type: ignore[arg-type]
        engine.receive(Reading(START + n * SECOND, "dock-1", scan))
        outcome = engine.take()
        assert outcome.urgent
        journal.append(outcome, alarms.of(outcome), replay_stamp)
    await journal.durable()
    journal.close()


async def test_the_ops_stream_and_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = shop(tmp_path)
    await journalled(loaded)
    reader = Reader(Path(loaded.settings.journal.path))
    events = [json.loads(body) for body in reader.bodies("ops", 1, 100)]
    reader.close()
    told = [(e["kind"], e["data"]["code"], e["data"].get("loc")) for e in events]
    assert ("alarm", "expired", None) in told
    assert ("alarm_clear", "expired", None) in told
    (alarm,) = [e["data"] for e in events if (e["kind"], e["data"]["code"]) == ("alarm", "expired")]
    assert alarm == {
        "code": "expired", "sev": "warn", "dev": None, "gtin": BAG, "lot": "B1",
        "text": f"Bag ({BAG}), lot B1: expired on 2026-05-01, 1 still here; "
                "take it away and write it off",
        "zh": f"Bag ({BAG})，批次 B1：2026-05-01 已到期，店内还有 1，请下架报损",
    }  # fmt: skip

    assert main(["alerts", "--json", "--config", str(loaded.path)]) == 0
    rows = json.loads(capsys.readouterr().out)["alerts"]
    assert [(row["code"], row["location"]) for row in rows] == [
        ("empty_facing", "a3"), ("empty_facing", "b1"), ("low_stock", None), ("out_of_stock", None)
    ]  # fmt: skip
    assert rows[2]["qty_milli"] == 2000
    assert rows[2]["since_ts"] == START // 10**6 + 1000
    assert main(["alerts", "--lang", "zh-CN", "--config", str(loaded.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"  2026-06-01 16:00  库存不足  Cup ({CUP})：还有 2，低于 4"
    assert lines[-1] == "共 4 条未解除的提醒"


def test_every_code_has_its_words_and_its_page() -> None:
    codes = get_args(Code)
    assert set(NAME) == set(codes)
    assert {key.partition(".")[0] for key in TEXT} == set(codes)
    page = DOCS.read_text("utf-8")
    for code in codes:
        assert re.search(rf"^\| `{code}` \|", page, re.M), code
        assert NAME[code][0] in page, code


def test_both_languages_say_the_same_things() -> None:
    def members(text: str) -> list[str]:
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)

    for key, (zh, en) in TEXT.items():
        assert members(zh) == members(en), key


def test_a_sentence_never_fails_and_never_says_none() -> None:
    store = Store("s0001", (), (Product(CUP, "Cup", "KGM"),), ())
    for key in TEXT:
        code, _, why = key.partition(".")
        for gtin in (CUP, BAG, None):
            said = Names(store).sentence(Alert(code, gtin, why=why), "en")  # type: ignore[arg-type]
            assert said


def test_an_alert_of_another_finder_is_raised_once_until_cleared() -> None:
    """`book_shelf_disagree` is told by who compares claims: no look at the product ends it."""
    kept: list[str] = []
    alerts = Alerts(kept.append)
    wrong = Alert("book_shelf_disagree", CUP, "b1", qty_milli=5000, other_milli=3000)
    alerts.raise_(1, wrong)
    alerts.raise_(2, wrong)
    alerts.raise_(3, Alert("book_shelf_disagree", CUP, "b1", qty_milli=4000, other_milli=3000))
    alerts.settle(4, CUP, (), frozenset(("low_stock",)))
    alerts.clear(5, "book_shelf_disagree", CUP, "a3")
    (told,) = alerts.take()
    assert (told.at_ns, told.over) == (1, False)
    (now,) = alerts.listed()
    assert (now.since_ns, now.qty_milli) == (1, 4000)
    again = Alerts(kept.append)
    again.restore([canonical(now)])
    again.clear(6, "book_shelf_disagree", CUP, "b1")
    again.clear(7, "book_shelf_disagree", CUP, "b1")
    assert [(one.at_ns, one.over) for one in again.take()] == [(6, True)]
    assert kept == [f"alert:{wrong.key}"] * 3


def test_counted_by_code() -> None:
    alerts = [Alert("low_stock", CUP), Alert("expired_sold", CUP), Alert("low_stock", BAG)]
    assert counted(alerts) == (
        AlertCount("expired_sold", "page", 1),
        AlertCount("low_stock", "warn", 2),
    )
