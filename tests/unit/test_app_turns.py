"""The turns of the daemon's loop: bounded, in order, and never back in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import app as app_module
from gateway.app import Daemon
from gateway.clock import SystemClock
from gateway.config import load
from gateway.domain.reading import Command, Quantity, Reading, Scan
from gateway.intake import TURN

STORE = """
[store]
id = "s0001"
[ledger_link]
url = ""
[journal]
path = "j.db"
[[location]]
id = "till"
kind = "till"
[[device]]
id = "scan"
driver = "scanner_serial"
link = "serial:///dev/nothing"
location = "till"
"""


class Hurried(SystemClock):
    """The system's clock, some time ahead."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


async def test_a_deadline_waits_for_what_came_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue longer than one turn, and a deadline that passed meanwhile: found by the bench."""
    (tmp_path / "store.toml").write_text(STORE)
    (tmp_path / "products.csv").write_text("gtin,name\n")
    (tmp_path / "planogram.csv").write_text("location,gtin\n")
    monkeypatch.setattr(app_module, "SystemClock", Hurried)
    daemon = Daemon(load(tmp_path / "store.toml"))
    clock = daemon.clock
    assert isinstance(clock, Hurried)
    daemon.engine.receive(Reading(clock.now_ns(), "console", Command(Quantity("scan", 3))))
    due = daemon.engine.deadline()
    assert due is not None
    for n in range(2 * TURN):
        daemon.intake.put_now("scan", Scan(f"no code {n}"))
    clock.ahead_ns = 60 * 1_000_000_000
    daemon._due()
    assert len(daemon.intake) == TURN
    assert daemon.engine.deadline() == due  # nothing in the queue is as late as that
    daemon._due()
    assert len(daemon.intake) == 0
    assert daemon.engine.deadline() is None
    daemon.journal.close()
