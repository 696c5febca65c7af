"""The fold of `verify` begins in the middle of a record and must judge as the live core did."""

from __future__ import annotations

import asyncio
from pathlib import Path

from journalled import GOLDEN, journalled

from gateway.config import load
from gateway.core.engine import Engine
from gateway.domain.reading import Command, Order, Reading, Stocktake, Void
from gateway.domain.wire import Stamp, read_stock_body
from gateway.journal.journal import Journal
from gateway.journal.reader import Reader
from gateway.verify import verify

CONFIG = Path(__file__).parents[2] / "config" / "store.toml"


def stamp(at_ns: int) -> Stamp:
    return Stamp("sync", 0, at_ns // 1000, "0" * 16)


async def test_voids_are_judged_by_what_was_known_then(tmp_path: Path) -> None:
    loaded = load(CONFIG)
    facing = loaded.store.planogram[0]
    path = tmp_path / "stockd.db"
    journal = Journal(path, loaded.settings.store.id)
    engine = Engine(loaded.settings, loaded.store, journal.inst, journal.history())

    async def tell(at_ns: int, order: Order) -> None:
        engine.receive(Reading(at_ns, "console", Command(order)))
        journal.append(engine.take(), [], stamp)
        async with asyncio.timeout(10):
            await journal.durable()

    counted = [Stocktake(facing.location, facing.gtin, 1000 * n) for n in (5, 7, 9)]
    await tell(10**9, counted[0])
    await tell(2 * 10**9, Void(1))
    journal.configured(3 * 10**9, loaded.sha256)  # the fold begins here, at event 3
    await tell(4 * 10**9, Void(1))  # refused: it was taken back before
    await tell(5 * 10**9, Void(4))  # refused: there is no event 4 yet
    await tell(6 * 10**9, counted[1])
    await tell(7 * 10**9, counted[2])
    await tell(8 * 10**9, Void(4))
    assert journal.committed("stock") == 5
    journal.close()

    reader = Reader(path)
    verdict = verify(reader, loaded.settings, loaded.store, loaded.sha256)
    reader.close()
    assert (verdict.folded_events, verdict.findings) == (3, ())


def test_the_journal_takes_two_sales_of_one_line(tmp_path: Path) -> None:
    """The rest of a line that was voided in part, and a number that is used again."""
    script = (GOLDEN / "till_voids_a_part_of_its_line" / "script.txt").read_text("utf-8")
    again = "9000 line pos-1 R1/1 Cup 2 sale\n9010 line pos-1 R1/1 Cup 1 void\n9200 end\n"
    config = journalled(tmp_path, script.replace("200  end\n", again))
    loaded, reader = load(config), Reader(tmp_path / "stockd.db")
    kinds = [read_stock_body(body).kind for _, body, _ in reader.rows("stock")]
    verdict = verify(reader, loaded.settings, loaded.store, loaded.sha256)
    reader.close()
    assert (kinds.count("sale"), verdict.findings) == (5, ())
