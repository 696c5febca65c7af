"""A stocktake against a running daemon: begun, scanned, followed, finished, reported, verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stack import Stack


@pytest.fixture(scope="module")
def shop(make_stack: Callable[..., Stack]) -> Stack:
    stack = make_stack()
    stack.start()
    return stack


def told(shop: Stack, *arguments: str) -> Any:
    answer = shop.stockd(*arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_a_count_from_start_to_report(shop: Stack, tmp_path: Path) -> None:
    for place, units in (("a1", 20), ("dock", 5)):
        told(shop, "command", "stocktake", f"location={place}", f"gtin={shop.JAR}",
             f"qty_milli={units}000")  # fmt: skip
    (begun,) = told(shop, "stocktake", "start", "--location", "dock")
    count = begun["id"]
    again = shop.stockd("stocktake", "start", "--all")
    assert again.returncode == 1
    assert f"dock is being counted in {count}" in again.stdout.decode()

    told(shop, "command", "set_mode", "device=scan-dock", "mode=stocktake", "location=dock")
    shop.until(shop.dock.port.heard, "the dock open")
    shop.dock.scan(shop.JAR[1:])

    def counted() -> Any:
        (view,) = told(shop, "stocktake", "status")
        assert view["id"] == count
        (place,) = view["places"]
        return place["counted"] == place["expected"] == 1

    shop.until(counted, "one product counted")
    before = shop.newest()
    assert "1 of 1" in shop.stockd("stocktake", "status").stdout.decode()
    shop.kill("gateway")
    shop.spawn("gateway")
    shop.until(lambda: shop.status() is not None, "the daemon up again")
    result = told(shop, "stocktake", "finish", count)
    assert result == {"events": [before + 1], "notes": []}
    assert told(shop, "stocktake", "status") == []
    assert shop.stockd("stocktake", "finish", count).returncode == 1

    page = tmp_path / "count.html"
    report = told(shop, "stocktake", "report", "--html", str(page))
    (row,) = report["rows"]
    assert (report["id"], row["book"], row["counted"], row["difference"]) == (
        count, 5000, 1000, -4000,
    )  # fmt: skip
    assert count in page.read_text("utf-8")
    assert shop.stockd("verify").returncode == 0
