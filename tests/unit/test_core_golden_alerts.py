"""Every folder of tests/golden/alerts: what is raised and cleared, in words, and over restarts.

STOCKD_REWRITE_GOLDEN=1 rewrites each `expected.txt`; the difference is reviewed: it is behaviour.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.alert_words import Names
from gateway.config import Loaded, load
from gateway.core.book import Balance
from gateway.core.engine import Engine
from gateway.core.outcome import EMPTY, Outcome, Saved
from gateway.domain.alert import Alert, Told
from gateway.domain.reading import Reading, Weight
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

GOLDEN = Path(__file__).parents[1] / "golden" / "alerts"
CASES = sorted(p.parent for p in GOLDEN.glob("*/script.txt"))
_SPEC = importlib.util.spec_from_file_location(
    "golden_alert_script", GOLDEN.parent / "stores" / "script.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
SCRIPT = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = SCRIPT
_SPEC.loader.exec_module(SCRIPT)


class Shop:
    """An engine with a journal of its own, that may be built again between any two readings."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.past = loaded, Past()
        self.position, self.parts = EMPTY.position, dict[str, bytes]()
        self.balances: dict[tuple[str, str, str], Balance] = {}
        self.engine = Engine(loaded.settings, loaded.store, ZERO_INST, self.past)

    def take(self) -> Outcome:
        outcome = self.engine.take()
        for posted in outcome.posted:
            self.past.add(posted.event)
        self.balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        self.parts |= {key: body for key, body in outcome.parts if body is not None}
        for key in (key for key, body in outcome.parts if body is None):
            self.parts.pop(key, None)
        self.position = outcome.position
        return outcome

    def restart(self) -> None:
        self.parts |= {key: body for key, body in self.engine.plate_parts() if body is not None}
        parts, loaded = dict(sorted(self.parts.items())), self.loaded
        saved = Saved(self.position, tuple(self.balances.values()), parts)
        self.engine = Engine(loaded.settings, loaded.store, ZERO_INST, self.past, saved)


def readings(case: Path, loaded: Loaded) -> list[Reading]:
    gtins = {product.name: product.gtin for product in loaded.store.products}
    text = (case / "script.txt").read_text("utf-8")
    found: list[Reading] = SCRIPT.Script(text, gtins).readings()
    return found


def told(shop: Shop, said: list[Reading], *, cut: bool) -> Iterator[Told]:
    for reading in said:
        if cut and not isinstance(reading.body, Weight):
            shop.restart()
        shop.engine.receive(reading)
        yield from shop.take().alerts


def kept(shop: Shop) -> dict[str, bytes]:
    ours = ("alert:", "watch:", "doubt:")
    return {key: body for key, body in shop.parts.items() if key.startswith(ours)}


def clock(at_ns: int) -> str:
    seconds = (at_ns - SCRIPT.START) // SCRIPT.SECOND
    days, second = divmod(seconds, 86_400)
    return f"{days:>2}d {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def page(alerts: list[Told], names: Names) -> str:
    lines = []
    for one in alerts:
        mark = "over" if one.over else one.alert.severity
        lines.append(f"{clock(one.at_ns)} {mark:<5}{names.sentence(one.alert, 'en')}")
        lines.append(f"{' ' * 18}{names.sentence(one.alert, 'zh-CN')}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_alerts(case: Path) -> None:
    loaded = load(GOLDEN / "_store" / "store.toml")
    said = readings(case, loaded)
    shop = Shop(loaded)
    alerts = list(told(shop, said, cut=False))
    text, expected = page(alerts, Names(loaded.store)), case / "expected.txt"
    if os.environ.get("STOCKD_REWRITE_GOLDEN"):
        expected.write_text(text, "utf-8")
    assert text == expected.read_text("utf-8")
    assert (case / "NOTE.md").read_text("utf-8").strip()

    cut = Shop(loaded)
    assert list(told(cut, said, cut=True)) == alerts
    assert cut.engine.alerts() == shop.engine.alerts()
    assert kept(cut) == kept(shop)
    still: dict[str, Alert] = {}
    for one in alerts:
        assert (one.alert.key in still) == one.over, "each is raised once, then cleared once"
        if one.over:
            del still[one.alert.key]
        else:
            still[one.alert.key] = one.alert
    assert sorted(still) == sorted(alert.key for alert in shop.engine.alerts())
