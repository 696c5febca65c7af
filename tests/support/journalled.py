"""A shop of the golden stores with a journal: a script's readings through the engine, onto disk."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

from gateway.config import Loaded, load
from gateway.core.engine import Engine
from gateway.domain.reading import Reading
from gateway.domain.wire import Stamp
from gateway.journal.journal import Journal

GOLDEN = Path(__file__).parents[1] / "golden" / "stores"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_script", GOLDEN / "script.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def journalled(folder: Path, script: str, shop: str = "_store", locale: str = "en") -> Path:
    """The `store.toml` of a golden shop or a case of its own; its journal holds the script."""
    for source in ("_store", shop):
        for file in (GOLDEN / source).iterdir():
            shutil.copy(file, folder / file.name)
    config = folder / "store.toml"
    text = (
        config.read_text("utf-8")
        .replace("../_store/", "")
        .replace("[store]\n", f'[store]\nlocale = "{locale}"\n')
    )
    config.write_text(text + '\n[journal]\npath = "stockd.db"\n', "utf-8")
    asyncio.run(_keep(config, script))
    return config


def script_readings(text: str, shop: Loaded) -> list[Reading]:
    """What a script tells, with the names of a shop's catalogue."""
    gtins = {product.name: product.gtin for product in shop.store.products}
    readings: list[Reading] = _script().Script(text, gtins).readings()
    return readings


async def _keep(config: Path, script: str) -> None:
    loaded = load(config)
    journal = Journal(Path(loaded.settings.journal.path), loaded.settings.store.id)
    engine = Engine(loaded.settings, loaded.store, journal.inst, journal.history())
    journal.configured(1, loaded.sha256)
    for reading in script_readings(script, loaded):
        engine.receive(reading)
        outcome = engine.take()
        if outcome.urgent:
            journal.append(outcome, [], lambda at_ns: Stamp("sync", 0, at_ns // 1000, "0" * 16))
        else:
            journal.keep(outcome.parts)
    async with asyncio.timeout(20):
        await journal.durable()
    journal.close()
