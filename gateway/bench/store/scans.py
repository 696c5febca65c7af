"""Echoes and deliberate repeats of scans, through the engine: ALGORITHMS 8, rows S1 and S2.

Figures: `S1.suppressed` of `S1.echoes` said 0-350 ms after a scan; `S2.lost` of `S2.repeats`, the
same by kind of scanner behind the row; `_after_echo` are repeats whose original had an echo, by
which a presentation scanner's window is armed anew. `S2.first_lost`: other scans that were lost.

Here: cashiers and staff who scan a product again as soon as they lawfully may, and scanners that
say a code twice, in every mode. Not here: how a scanner filters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from drivers.sim.levels import LEVELS
from gateway.bench.store.aisle import gtin
from gateway.core.engine import Engine
from gateway.domain.observation import Dropped
from gateway.domain.reading import Mode, Reading, Scan
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_MS, NS_PER_S
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

START_NS: Final = 1_780_300_800 * NS_PER_S
SCANS: Final = 400
"""Deliberate scans of one mode at one scanner."""
PRODUCTS: Final = 6
AGAIN: Final = 0.7
"""Share of scans that repeat the product before: the hard case."""
ECHO_MS: Final = (0, 350)
ECHOES: Final = 0.3
"""Ten times the share of L2: an echo beside a repeat is what the filter must tell apart."""
LEAST_MS: Final[dict[Mode, int]] = {
    "sale": 600, "return": 1100, "receive": 1100, "transfer_in": 1100, "transfer_out": 1100,
    "restock": 1100, "stocktake": 800, "writeoff": 2100,
}  # fmt: skip
"""Nobody repeats faster: the gate's bound, in sale mode 600 ms, else the window and 100 ms."""
PLACES: Final = (Location("a1", "shelf"), Location("back", "backroom"), Location("till", "till"))


@dataclass(frozen=True, slots=True)
class Shot:
    """One reading of a scanner."""

    at_ms: int
    gtin: str
    echo: bool
    again: bool
    """A deliberate scan of the same product as the one before."""
    after_echo: bool


def measure(seed: int, level: str) -> dict[str, float]:
    """S1 and S2 of one seed. Raises KeyError for another level."""
    floor_ms = LEVELS[level].repeat_ms
    counts: Counter[str] = Counter()
    for kind in ("triggered", "presentation"):
        modes: tuple[Mode, ...] = tuple(LEAST_MS) if kind == "triggered" else ("sale",)
        for mode in modes:
            least_ms = max(LEAST_MS[mode], floor_ms)
            rng = Random(f"{seed}/{level}/{kind}/{mode}")
            _judge(counts, kind, mode, tuple(shots(least_ms, rng)))
    return {name: float(value) for name, value in counts.items()}


def shots(least_ms: int, rng: Random) -> Iterator[Shot]:
    """A person's scans and the scanner's echoes, in order of time."""
    at_ms, last, echoed_ms = 1000, "", -1
    for _ in range(SCANS):
        again = bool(last) and rng.random() < AGAIN
        code = last if again else gtin(1 + rng.randrange(PRODUCTS))
        again = code == last
        # half of the time as fast as it may be, else at leisure
        at_ms += least_ms + (rng.randint(0, 60) if rng.random() < 0.5 else rng.randint(60, 2000))
        yield Shot(at_ms, code, echo=False, again=again, after_echo=again and echoed_ms >= 0)
        echoed_ms = -1
        if rng.random() < ECHOES:
            echoed_ms = rng.randint(*ECHO_MS)
            yield Shot(at_ms + echoed_ms, code, echo=True, again=False, after_echo=False)
        last = code


def _judge(counts: Counter[str], kind: str, mode: Mode, told: tuple[Shot, ...]) -> None:
    engine = _engine(kind == "presentation")
    for shot in told:
        scan = Scan(shot.gtin[1:], "]E0", mode)
        engine.receive(Reading(START_NS + shot.at_ms * NS_PER_MS, "scanner", scan))
        passed = not any(isinstance(one, Dropped) for _, one in engine.take().observations)
        if shot.echo:
            counts["S1.echoes"] += 1
            counts["S1.suppressed"] += not passed
            continue
        counts[f"S2/{kind}.scans"] += 1
        counts["S2.first_lost"] += not shot.again and not passed
        if shot.again:
            row = f"S2/{kind}_after_echo" if shot.after_echo else f"S2/{kind}"
            counts[f"{row}.repeats"] += 1
            counts[f"{row}.lost"] += not passed
            counts["S2.repeats"] += 1
            counts["S2.lost"] += not passed


def _engine(presentation: bool) -> Engine:
    products = tuple(Product(gtin(1 + n), f"product {n}") for n in range(PRODUCTS))
    store = Store("bench", PLACES, products, tuple(Facing("a1", "1", p.gtin) for p in products))
    scanner = DeviceSettings(
        "scanner", "scanner_serial", "", "till", {"presentation": presentation}
    )
    settings = Settings(StoreSettings("bench"), location=PLACES, device=(scanner,))
    return Engine(settings, store, ZERO_INST, Past())
