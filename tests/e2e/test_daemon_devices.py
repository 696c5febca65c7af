"""Plugs pulled and put back under a running daemon, and five hundred scans in one breath."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stack import Stack

BURST = 500
AWAY_S = 2.0
"""Long enough away that the daemon tries once a second."""
RESUMED_S = 2.0
SCHEDULING_S = 1.0
"""What a loaded machine may add to a promise."""


@pytest.fixture(scope="module")
def shop(make_stack: Callable[..., Stack]) -> Stack:
    stack = make_stack(fusion="pending_sale_s = 3600")
    stack.start()
    return stack


def boot_s() -> float:
    """The clock of `mono_us` on the wire."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_burst_is_booked_scan_by_scan(shop: Stack) -> None:
    shop.until(shop.till.port.heard, "the till open")
    codes = [shop.code(n) for n in range(1, BURST + 1)]
    began_s = time.monotonic()
    shop.till.scan(*codes)
    shop.until(lambda: len(sales(shop)) == BURST, "all sold")
    took_s = time.monotonic() - began_s
    shop.until(shop.delivered, "all acknowledged")
    print(f"{BURST} in the journal after {took_s:.2f} s, acknowledged after "
          f"{time.monotonic() - began_s:.2f} s")  # fmt: skip
    sold = sales(shop)
    assert [event["lines"][0]["gtin"] for event in sold] == [f"0{code}" for code in codes]
    assert len({event["src"][0]["ref"] for event in sold}) == BURST
    assert max(Counter(event["ts"] for event in sold).values()) >= 5, "many in one millisecond"
    rows = shop.books("SELECT body FROM events WHERE kind = 'sale' ORDER BY seq")
    assert [json.loads(body) for (body,) in rows] == sold
    shop.assert_same()


def sales(shop: Stack) -> list[dict[str, Any]]:
    return [event for event in shop.events() if event["kind"] == "sale"]


def on_the_table(shop: Stack, name: str) -> dict[str, Any]:
    """A device in `stockd status --json`."""
    devices = json.loads(shop.stockd("status", "--json").stdout)["devices"]
    health: dict[str, Any] = next(d["health"] for d in devices if d["health"]["id"] == name)
    return health


def told(shop: Stack, name: str) -> list[dict[str, Any]]:
    """What the operational stream says of a device."""
    rows = shop.journal(
        "SELECT body FROM ops_events WHERE kind LIKE 'device\\_%' ESCAPE '\\' ORDER BY seq"
    )
    return [event for (body,) in rows if (event := json.loads(body))["data"]["dev"] == name]


def test_plugs_are_pulled_and_put_back(shop: Stack) -> None:
    devices = {"scale-a1": shop.scale, "scan-till": shop.till, "scan-dock": shop.dock}
    shop.until(shop.heard, "every device open")
    shop.until(lambda: shop.device("scale-a1").readings_total, "weights")
    for device in devices.values():
        device.unplug()
    away_s = boot_s()
    for name in devices:
        shop.until(lambda name=name: "not plugged in" in shop.device(name).reason, "the loss told")
    shop.until(lambda: boot_s() > away_s + AWAY_S, "a while")
    down = {name: on_the_table(shop, name) for name in devices}
    table = shop.stockd("status").stdout.decode()
    for name, health in down.items():
        assert (health["state"], health["losses_total"]) == ("down", 1)
        assert "not plugged in" in health["reason"]
        assert health["reason"] in table
        assert told(shop, name)[-1]["kind"] == "device_down"

    since = shop.newest() + 1
    for device in devices.values():
        device.plug()
    back_s = boot_s()
    scanned: set[str] = set()
    resumed_s: dict[str, float] = {}

    def all_resumed() -> bool:
        for name, device in devices.items():
            health = shop.device(name)
            if health.readings_total > down[name]["readings_total"]:
                resumed_s.setdefault(name, boot_s() - back_s)
            elif health.state == "up" and name.startswith("scan") and name not in scanned:
                device.scan(shop.code(1_000_000))
                scanned.add(name)
        return len(resumed_s) == len(devices)

    shop.until(all_resumed, "readings of all three")
    for name, took_s in resumed_s.items():
        up = told(shop, name)[-1]
        opened_s = up["mono_us"] / 1e6 - back_s
        print(f"{name}: open {opened_s:.2f} s after its plug, readings {took_s:.2f} s")
        assert up["kind"] == "device_up"
        assert max(opened_s, took_s) < RESUMED_S + SCHEDULING_S
        assert on_the_table(shop, name)["state"] == "up"
    shop.until(lambda: len(shop.events(since)) == len(scanned), "both scans booked")
    for event in shop.events(since):
        assert event["kind"] in ("sale", "receive")
        assert event["mono_us"] / 1e6 - back_s < RESUMED_S + SCHEDULING_S
    assert shop.processes["gateway"].poll() is None
    assert "Traceback" not in shop.said("gateway")
