"""A gateway that dies in the middle remembers who holds what; and the same over Mosquitto."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stack import Stack

SCANS = 20
ECHO_MS = 400


@pytest.fixture(scope="module")
def shop(make_stack: Callable[..., Stack]) -> Stack:
    stack = make_stack(fusion="pending_sale_s = 6\nbasket_age_s = 0")
    stack.start()
    answer = stack.stockd(
        "command", "stocktake", "location=a1", f"gtin={stack.JAR}", "qty_milli=20000"
    )
    assert answer.returncode == 0
    stack.until(lambda: calm(stack), "a calm plate")
    assert stack.end("gateway") == 0  # a clean end writes down what the plate shows
    rise(stack)
    return stack


def rise(shop: Stack) -> None:
    shop.spawn("gateway")
    shop.until(shop.heard, "every device open again")


def sell(shop: Stack) -> None:
    """Scans a jar; the same code within 400 ms of the last scan would be its echo."""
    shop.until(shop.till.port.heard, "the till open")
    last_ms = max((e["ts"] for e in shop.events() if e["kind"] == "sale"), default=0)
    shop.until(lambda: time.time_ns() // 1_000_000 > last_ms + ECHO_MS, "the echoes over")
    shop.till.scan(shop.JAR[1:])


def moved(shop: Stack, since: int) -> list[tuple[str, str]]:
    """Kind and first device of what was booked."""
    return [(e["kind"], e["src"][0]["dev"]) for e in shop.events(since) if e.get("src")]


def calm(shop: Stack) -> bool:
    """Whether the gateway has seen the plate settle at what lies on it, since it started."""
    now = shop.status()
    if now is None:
        return False
    plate = now.devices[0]
    return plate.plates[0].moving is False and plate.plates[0].mass_mg == shop.scale.grams * 1000


def basket(shop: Stack) -> int:
    (row,) = json.loads(shop.stockd("stock", "--gtin", shop.JAR, "--json").stdout)["products"]
    return int(row["basket_milli"])


def why(shop: Stack, seq: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(shop.stockd("why", str(seq), "--json").stdout)
    return told


def test_a_pick_before_the_kill_meets_its_sale_after_it(shop: Stack) -> None:
    shop.until(lambda: calm(shop), "a calm plate")
    since = shop.newest() + 1
    shop.scale.grams -= shop.JAR_G
    shop.until(lambda: moved(shop, since) == [("pick", "scale-a1")], "the pick")
    assert basket(shop) == 1000
    shop.kill("gateway")
    rise(shop)
    sell(shop)
    shop.until(lambda: len(moved(shop, since)) > 1, "the sale")
    shop.settle()
    assert moved(shop, since) == [("pick", "scale-a1"), ("sale", "scan-till")]
    assert basket(shop) == 0
    told = why(shop, since + 1)
    assert (told["because"]["code"], told["because"]["seq"]) == ("sale_took_pick", since)


def test_a_sale_before_the_kill_meets_the_pick_of_the_seconds_without_a_gateway(
    shop: Stack,
) -> None:
    since = shop.newest() + 1
    sell(shop)
    shop.until(lambda: moved(shop, since) == [("sale", "scan-till")], "the sale")
    assert basket(shop) == -1000
    shop.kill("gateway")
    shop.scale.grams -= shop.JAR_G
    rise(shop)
    shop.settle()
    assert moved(shop, since) == [("sale", "scan-till"), ("pick", "scale-a1")]
    assert basket(shop) == 0
    assert why(shop, since + 1)["because"]["code"] == "step"
    shop.assert_same()


def test_everything_arrives_through_mosquitto(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(fusion="pending_sale_s = 1", broker="mosquitto")
    stack.start()
    scan_all(stack, 1)
    stack.settle()
    stack.kill("broker")
    scan_all(stack, SCANS + 1)
    stack.spawn("broker")
    stack.settle()
    assert stack.assert_same() > 2 * SCANS
    assert stack.end("gateway") == 0
    assert stack.end("ledger") == 0


def scan_all(stack: Stack, first: int) -> None:
    codes = [stack.code(n) for n in range(first, first + SCANS)]
    stack.till.scan(*codes)
    sold = {f"0{code}" for code in codes}
    stack.until(
        lambda: sold <= {e["lines"][0]["gtin"] for e in stack.events() if e["kind"] == "sale"},
        "all sold",
    )
