"""The configuration of `stockd demo`: a pet shop with eight scales and two scanners.

Here: its files (package data in `demo_store/`) and how they move into a run's own folder. Not
here: starting anything (`demo`), what goes on in the shop (`drivers.sim`).
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Final

DEMO_RUN_DIR: Final = "/tmp/stockd-demo"
"""Where the links of the template lead: `ports/scan-till` below it, and so on."""
DEMO_URL: Final = "mqtt://127.0.0.1:1883"
DEMO_CONSOLE: Final = "127.0.0.1:8470"
DEMO_METRICS: Final = "127.0.0.1:9470"

_FILES: Final = ("store.toml", "products.csv", "planogram.csv")


def demo_text(
    template: str,
    run_dir: Path,
    url: str = DEMO_URL,
    console: str = DEMO_CONSOLE,
    metrics: str = DEMO_METRICS,
) -> str:
    """The demo's store.toml with its links under `run_dir` and its own addresses.

    Raises ValueError for a folder whose name a link cannot say.
    """
    folder = str(run_dir)
    if not run_dir.is_absolute() or not folder.isprintable() or set('"\\?#') & set(folder):
        raise ValueError(f"the demo needs an absolute folder without quotes and ?: {folder}")
    moved = {DEMO_RUN_DIR: folder, DEMO_URL: url, DEMO_CONSOLE: console, DEMO_METRICS: metrics}
    return re.sub("|".join(map(re.escape, moved)), lambda old: moved[old[0]], template)


def write_demo(
    run_dir: Path,
    url: str = DEMO_URL,
    console: str = DEMO_CONSOLE,
    metrics: str = DEMO_METRICS,
) -> Path:
    """Writes the demo's files into an existing folder; the path of its store.toml.

    Raises OSError when it cannot write, ValueError as `demo_text`.
    """
    for name in _FILES:
        text = resources.files("gateway").joinpath("demo_store", name).read_text("utf-8")
        if name == "store.toml":
            text = demo_text(text, run_dir, url, console, metrics)
        (run_dir / name).write_text(text, "utf-8")
    return run_dir / "store.toml"
