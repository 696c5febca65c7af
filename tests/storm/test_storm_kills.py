"""Under fire: gateway, broker and ledger killed at random while people scan and take (WIRE D1, D2).

The broker keeps everything in memory, so each of its deaths is a wiped broker too. The devices
belong to this process: what they say while nobody listens is lost, as in a shop; whatever reached
the journal must be in the ledger, once.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from stack import Stack

SEED: Final = os.environ.get("STORM_SEED", "1")
SETTLE_S: Final = 120.0
PATIENCE_S: Final = 7.0
"""Longer than the 5 s after which an unanswered `hello` is said again."""
CALM_SHARE: Final = 0.12
CALM_S: Final = 5.0
"""A lull now and then, long enough that the gateway lives from before a scan to well after it."""
STEADY_S: Final = 1.0
"""A device that has been open this long was heard; opening a port discards what was before."""
LATE_S: Final = 2.0
"""A scan whose gateway lived this much longer must be in the journal."""


class Said(NamedTuple):
    """A scan, and since when its port had been open."""

    device: str
    gtin: str
    at_s: float
    open_since_s: float


class Shop:
    """Scans codes that never repeat, and lifts jars, until it closes."""

    def __init__(self, stack: Stack, rng: Random) -> None:
        self._stack, self._rng = stack, rng
        self._end = threading.Event()
        self._open: dict[str, float] = {}
        self.said: list[Said] = []
        self.lifted = 0
        self._thread = threading.Thread(target=self._trade, daemon=True)
        self._thread.start()

    def _trade(self) -> None:
        stack, rng = self._stack, self._rng
        devices = {"scan-till": stack.till, "scan-dock": stack.dock}
        number, next_lift_s = 0, 0.0
        while not self._end.wait(rng.uniform(0.02, 0.12)):
            now_s = time.monotonic()
            for name, device in devices.items():
                if device.port.heard():
                    self._open.setdefault(name, now_s)
                else:
                    self._open.pop(name, None)
            name = rng.choice(tuple(devices))
            number += 1
            code = stack.code(number)
            if name in self._open:
                self.said.append(Said(name, f"0{code}", now_s, self._open[name]))
            devices[name].scan(code)
            if now_s >= next_lift_s:
                next_lift_s = now_s + rng.uniform(1.0, 3.0)
                units = rng.choice((-2, -1, -1, -1, 1, 2))
                stack.scale.grams = min(40, max(0, stack.scale.grams // 500 + units)) * 500
                self.lifted += 1

    def close(self) -> None:
        """Nobody comes any more."""
        self._end.set()
        self._thread.join()


class Storm:
    """Kills one after another; each victim is started again at once."""

    def __init__(self, stack: Stack, rng: Random) -> None:
        self._stack, self._rng = stack, rng
        self.killed: Counter[str] = Counter()
        self.gateway_deaths_s: list[float] = []
        self.recoveries_s: dict[str, list[float]] = {name: [] for name in stack.NAMES}

    def rage(self, kills: int) -> None:
        """So many kills, at random points in random order; the last three hit each part once.

        A dead broker makes both sides back off further and further; a fresh process begins again.
        """
        last = self._rng.sample(self._stack.NAMES, 3)
        for n in range(kills):
            victim = self._rng.choices(self._stack.NAMES, (20, 35, 45))[0]
            self._kill(last[n - kills] if n >= kills - 3 else victim)
            time.sleep(self._rng.uniform(0.0, 0.6))
            if self._rng.random() < CALM_SHARE:
                time.sleep(CALM_S)

    def _kill(self, victim: str) -> None:
        stack = self._stack
        began_s = time.monotonic()
        stack.kill(victim)
        stack.spawn(victim)
        self.killed[victim] += 1
        if victim == "gateway":
            self.gateway_deaths_s.append(began_s)
        if self._rng.random() < 0.4:
            return  # the next blow falls while this one is not overcome
        born_s = stack.newest()
        while time.monotonic() < began_s + PATIENCE_S:
            if stack.watermark() > born_s:
                self.recoveries_s[victim].append(time.monotonic() - began_s)
                return
            time.sleep(0.01)

    def report(self) -> str:
        """How long from a kill until the ledger had an event that was born after it."""
        lines = []
        for name, found in self.recoveries_s.items():
            spread = (
                f"recovery p50 {statistics.median(found):.2f} s, worst {max(found):.2f} s "
                f"({len(found)} awaited)" if found else "no recovery awaited"
            )  # fmt: skip
            lines.append(f"{name}: {self.killed[name]} kills, {spread}")
        return "\n".join(lines)


def expected(shop: Shop, deaths_s: list[float]) -> Iterator[Said]:
    """Scans that no excuse covers: heard by a gateway that lived on."""
    for said in shop.said:
        steady = said.at_s - said.open_since_s >= STEADY_S
        spared = all(not said.open_since_s <= dead <= said.at_s + LATE_S for dead in deaths_s)
        if steady and spared:
            yield said


def survive(stack: Stack, kills: int) -> None:
    """The whole storm, and the count of the damage, which is none."""
    print(f"\nSTORM_SEED={SEED}")
    rng = Random(f"{SEED} {kills}")
    began_s = time.monotonic()
    stack.start()
    shop = Shop(stack, Random(rng.random()))
    storm = Storm(stack, rng)
    try:
        storm.rage(kills)
        stack.until(stack.heard, "the gateway hears its devices again", SETTLE_S)
    finally:
        shop.close()
    calm_s = time.monotonic()
    stack.settle(SETTLE_S)
    print(storm.report())
    print(f"at rest {time.monotonic() - calm_s:.1f} s after the last scan")
    events = stack.assert_same()
    moved = [
        (event["kind"], event["src"][0]["dev"], event["src"][0]["ref"], event["lines"][0]["gtin"])
        for event in stack.events()
        if event.get("src")
    ]
    assert len({each[:3] for each in moved}) == len(moved), "a reading booked twice"
    scans = Counter(
        (dev, gtin)
        for kind, dev, _, gtin in moved
        if (kind, dev) in (("sale", "scan-till"), ("receive", "scan-dock"))
    )
    assert max(scans.values()) == 1, "a scan booked twice"
    due = list(expected(shop, storm.gateway_deaths_s))
    assert len(due) > kills, "the storm left too little to judge"
    missing = [said for said in due if scans[said.device, said.gtin] != 1]
    assert missing == []
    assert any(kind == "pick" and dev == "scale-a1" for kind, dev, _, _ in moved)
    assert sum(storm.killed.values()) == kills
    print(
        f"{events} events, {len(shop.said)} scans to an open port, {sum(scans.values())} booked, "
        f"{len(due)} of them due, {shop.lifted} lifts, {time.monotonic() - began_s:.0f} s"
    )


@pytest.mark.storm
def test_fifty_kills_lose_and_double_nothing_ci(make_stack: Callable[..., Stack]) -> None:
    survive(make_stack(fusion="pending_sale_s = 2\npending_step_s = 3"), kills=54)


@pytest.mark.storm
def test_three_hundred_kills_lose_and_double_nothing(make_stack: Callable[..., Stack]) -> None:
    survive(make_stack(fusion="pending_sale_s = 2\npending_step_s = 3"), kills=300)
