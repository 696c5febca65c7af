"""Twenty devices of every kind, each dropped again and again, at any moment, many at a time.

Nothing of the daemon may leak, and every device is up within two seconds of its return. Plugs are
pulled by the simulator; the daemon is watched from outside. A device that calls the gateway is
never lost: there the gateway listens, and only the caller goes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import Final

import pytest
from simulated import Device, Simulated, until, write_store

SEED: Final = os.environ.get("STORM_SEED", "1")
SHELVES: Final = 12
PLACES: Final = (
    ("dock", "receiving"),
    *((f"a{number}", "shelf") for number in range(1, SHELVES + 1)),
    ("till-1", "till"),
    ("till-2", "till"),
)
DEVICES: Final = (
    *(Device(f"sics-{n}", "scale_sics", "serial", f"a{n}") for n in range(1, 4)),
    Device("sics-4", "scale_sics", "tcp", "a4"),
    Device("retail-1", "scale_8217", "serial", "a5"),
    Device("retail-2", "scale_8217", "tcp", "a6"),
    Device("line-1", "scale_line", "serial", "a7", {"preset": "and"}),
    Device("hub-1", "scale_line", "tcp", "a8",
           {"preset": "columns", "channels": {"1": "a8", "2": "a9"}}),
    Device("cells-1", "scale_modbus", "serial", "a10"),
    Device("cells-2", "scale_modbus", "tcp", "a11",
           {"framing": "tcp", "channels": {"1": "a11", "2": "a12"}}),
    *(Device(f"hid-{n}", "scanner_hid", "evdev", "dock") for n in range(1, 4)),
    Device("serial-1", "scanner_serial", "serial", "till-1"),
    Device("serial-2", "scanner_serial", "tcp", "till-2"),
    Device("calls", "pos_lines", "tcp", "till-1", {"listen": True}),
    Device("pos-2", "pos_lines", "tcp", "till-2"),
    Device("llrp-1", "rfid_llrp", "tcp", "a1", {"antennas": {"1": "a1", "2": "a2"}}),
    Device("llrp-2", "rfid_llrp", "tcp", "a5"),
    Device("json-1", "rfid_json", "tcp", "a8"),
)  # fmt: skip
LISTENED: Final = "calls"
LOOK_S: Final = 0.05
BACK_S: Final = 2.0
SCHEDULING_S: Final = 1.0
"""What a loaded machine may add to a promise."""
RSS_MAX_KIB: Final = 8192

pytestmark = pytest.mark.storm


class Plug:
    """One device, pulled once in every round, at a moment of its own."""

    def __init__(self, shop: Simulated, name: str, rng: Random, round_s: float) -> None:
        self.name, self.took_s = name, list[float]()
        self._shop, self._rng, self._round_s = shop, rng, round_s
        self._began_s = time.monotonic()
        self._phase, self._due_s = "up", self._began_s + rng.uniform(0.0, round_s / 3)

    def look(self, state: str) -> None:
        """Goes on as the daemon's view of the device allows."""
        now_s = time.monotonic()
        if self._phase == "up" and now_s >= self._due_s:
            self._shop.order(f"unplug {self.name}")
            self._phase = "pulled"
        elif self._phase == "pulled" and (state == "down" or self.name == LISTENED):
            self._due_s = now_s + self._rng.uniform(0.1, self._round_s / 3)
            self._phase = "away"
        elif self._phase == "away" and now_s >= self._due_s:
            self._shop.order(f"plug {self.name}")
            self._due_s, self._phase = now_s, "back"
        elif self._phase == "back" and state == "up":
            self.took_s.append(now_s - self._due_s)
            ends_s = self._began_s + self._round_s * len(self.took_s)
            self._due_s = max(now_s, ends_s + self._rng.uniform(0.0, self._round_s / 3))
            self._phase = "up"


@pytest.mark.parametrize(
    ("drops", "round_s"), [pytest.param(2, 6.0, id="ci"), pytest.param(20, 15.0, id="full")]
)
def test_plugs_in_a_storm(tmp_path: Path, drops: int, round_s: float) -> None:
    rng = Random(f"{SEED}/{drops}")
    shop = Simulated(write_store(tmp_path, PLACES, DEVICES))
    try:
        shop.start()
        shop.order("go")
        until(lambda: all(h.readings_total for n, h in shop.devices().items()
                          if n.startswith(("sics", "llrp", "cells"))), "readings")  # fmt: skip
        descriptors, tasks = shop.descriptors(), shop.tasks()
        storm(shop, [Plug(shop, d.name, rng, round_s) for d in DEVICES], 1)
        rss_kib = shop.rss_kib()
        plugs = [Plug(shop, d.name, rng, round_s) for d in DEVICES]
        storm(shop, plugs, drops - 1)
        until(lambda: shop.descriptors() <= descriptors, f"{descriptors} descriptors as before")
        until(lambda: shop.tasks() <= tasks, f"{tasks} tasks as before")
        grown_kib = shop.rss_kib() - rss_kib
        health = shop.devices()
        worst = max(plugs, key=lambda plug: max(plug.took_s))
        print(f"{len(plugs)} devices, {drops} drops each: worst {worst.name} up "
              f"{max(worst.took_s):.2f} s after its plug; descriptors {descriptors}, then "
              f"{shop.descriptors()}; tasks {tasks}, then {shop.tasks()}; memory {rss_kib} KiB, "
              f"{grown_kib:+} KiB")  # fmt: skip
        assert max(worst.took_s) < BACK_S + SCHEDULING_S
        assert grown_kib < RSS_MAX_KIB
        lost = {name: one.losses_total for name, one in health.items()}
        assert lost == {d.name: 0 if d.name == LISTENED else drops for d in DEVICES}
        assert sum(one.errors_total for one in health.values()) == 0
        assert shop.daemon is not None and shop.daemon.poll() is None
        assert "Traceback" not in (tmp_path / "daemon.log").read_text("utf-8")
    finally:
        shop.close()


def storm(shop: Simulated, plugs: list[Plug], drops: int) -> None:
    """Until each was dropped so often."""

    def over() -> bool:
        states = shop.states()
        for plug in plugs:
            if len(plug.took_s) < drops:
                plug.look(states[plug.name])
        time.sleep(LOOK_S)
        return all(len(plug.took_s) >= drops for plug in plugs)

    until(over, f"{drops} drops of each", 60.0 + 30.0 * drops)
