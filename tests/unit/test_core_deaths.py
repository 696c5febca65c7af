"""A machine that dies right after it booked a movement of a bay does not book it again.

What is lost then is what `Journal.keep` had put aside for up to five seconds; the plates speak on.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from journalled import GOLDEN, script_readings

from gateway.bench.store.days import Kept
from gateway.config import Loaded, load
from gateway.domain.reading import Reading

CASES = sorted(path.parent for path in GOLDEN.glob("bay_*/expected.txt"))
FLUSH_NS = 5_000_000_000


def balances(shop: Loaded, said: list[Reading], death: int | None) -> tuple[object, int]:
    kept = Kept(shop.settings, shop.store)
    booked, flushed_ns = 0, 0
    for reading in said:
        if reading.at_ns >= flushed_ns + FLUSH_NS:
            kept.flush()
            flushed_ns = reading.at_ns
        kept.engine.receive(reading)
        outcome = kept.engine.take()
        if not outcome.urgent:
            kept.keep(outcome.parts)
            continue
        kept.write(outcome)
        if outcome.posted:
            if booked == death:
                kept.crash()
            booked += 1
    return kept.engine.balances(), booked


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_booked_once(case: Path) -> None:
    own = case / "store.toml"
    shop = load(own if own.exists() else GOLDEN / "_bay" / "store.toml")
    said = script_readings((case / "script.txt").read_text("utf-8"), shop)
    whole, turns = balances(shop, said, None)
    assert [n for n in range(turns) if balances(shop, said, n)[0] != whole] == []
