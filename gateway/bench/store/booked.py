"""The whole weight chain: an aisle of plates through the engine, and what it booked (W6, W8).

Rows, each per variant; `is_count` and `derived` tell how they pool:

* W6: decisions posted at once: precision from right, posted; coverage from right, events (rule
  7.4 on product, place, sign and quantity). W6/all: those that waited for evidence counted too,
  at the time of their step.
* W8.ece from n, right and conf of each bin: how far belief in the best row is from its being right.

Not here: physics and people (`aisle`, `plates`). Nothing here looks into the core's decisions: it
reads stock events, and why they were booked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.bench.store.aisle import (
    OPENING_UNITS,
    Movement,
    Script,
    Shelf,
    Shelving,
    script_of,
    shelves_of,
)
from gateway.bench.store.plates import Channel, Sku
from gateway.core.baskets import Baskets
from gateway.core.book import Balance, Book
from gateway.core.candidates import Candidates
from gateway.core.engine import Engine
from gateway.core.identify import identify, parts_of
from gateway.core.postings import Posted, Poster
from gateway.domain.observation import Row, WeightStep
from gateway.domain.reading import Command, Reading, Scan, Stocktake, Weight
from gateway.domain.settings import DeviceSettings, FusionSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

START_NS: Final = 1_767_225_600 * NS_PER_S
EVENTS: Final = 400
LATE: Final = (
    "step_expired", "sale_proves_pick", "return_proves_pick", "removal_proves_arrival",
)  # fmt: skip
"""Why a decision was booked that had to wait."""
WITHIN_S: Final = 5.0
BINS_PPM: Final = (600_000, 700_000, 800_000, 900_000, 950_000, 980_000, 990_000, 1_000_001)
"""Upper ends of the bins of belief; finer where most decisions are."""
_BIN_COUNT: Final = re.compile(r"(n|right|conf)\d")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the engine made of one observation of a plate, and what it believed at that time."""

    booked: Movement
    believed: Movement
    ppm: int
    at_once: bool


def asker(goods: Sequence[Sku]) -> Callable[[int, int], tuple[Row, ...]]:
    """The core's judgement of (step_mg, sigma_mg) at a plate that holds plenty of these goods."""
    store = store_of([Shelf("a1", "a", 1, tuple(goods))])
    many = OPENING_UNITS * PIECE_MILLI
    book = Book(Balance("a1", one.gtin, "", "EA", None, many) for one in goods)
    baskets = Baskets(
        FusionSettings(),
        Poster(store, book, ZERO_INST, 1, Past()),
        lambda _gtin, _qty, _since_ns: [],
        lambda _at_ns, _lines: False,
        lambda _gtin: None,
    )
    candidates = Candidates(store, book, baskets)
    return lambda step_mg, sigma_mg: identify(step_mg, sigma_mg, candidates.leaving("a1"))


def store_of(shelves: Iterable[Shelf]) -> Store:
    """The catalogue and planogram of these shelves, and a till."""
    shelves = list(shelves)
    goods = {one.gtin: one for shelf in shelves for one in shelf.goods}
    return Store(
        id="bench",
        locations=(
            *(Location(s.location, "shelf", "", s.bay, s.position) for s in shelves),
            Location("till", "till"),
        ),
        products=tuple(
            Product(
                one.gtin,
                one.gtin,
                unit_mass_mg=round(one.told_g * 1000.0),
                unit_mass_sd_mg=None if one.told_sd_g is None else round(one.told_sd_g * 1000.0),
            )
            for one in goods.values()
        ),
        planogram=tuple(
            Facing(s.location, str(n), one.gtin, capacity_milli=2 * OPENING_UNITS * PIECE_MILLI)
            for s in shelves
            for n, one in enumerate(s.goods)
        ),
    )


class Desk:
    """An engine over these shelves, opened with stock, that keeps what it decided."""

    def __init__(self, shelves: Sequence[Shelf], rate_hz: int, driver: str = "scale_sics") -> None:
        store = store_of(shelves)
        scales = [
            DeviceSettings(f"scale-{s.location}", driver, "", s.location, {"rate_hz": rate_hz})
            for s in shelves
        ]
        till = DeviceSettings("till", "scanner_serial", "", "till")
        settings = Settings(
            StoreSettings("bench"), location=store.locations, device=(*scales, till)
        )
        self._past = Past()
        self.engine = Engine(settings, store, ZERO_INST, self._past)
        self.told: list[tuple[str, str | None]] = []
        """Code and device of everything people were told."""
        self.steps_total = 0
        self._posted: list[Posted] = []
        for shelf in shelves:
            for one in shelf.goods:
                count = Stocktake(shelf.location, one.gtin, OPENING_UNITS * PIECE_MILLI)
                self.engine.receive(Reading(START_NS, "console", Command(count)))
        self.take()
        self._posted.clear()

    @property
    def events_total(self) -> int:
        """Stock events since the opening."""
        return len(self._posted)

    def weighed(self, at_ns: int, location: str, mass_mg: int) -> None:
        """One sample of the plate at a location; `at_ns` since the start."""
        self.engine.receive(Reading(START_NS + at_ns, f"scale-{location}", Weight(mass_mg)))

    def scanned(self, at_ns: int, gtin: str) -> None:
        """A unit is sold."""
        scan = Scan(gtin.removeprefix("0"), "]E0", "sale")
        self.engine.receive(Reading(START_NS + at_ns, "till", scan))

    def take(self) -> None:
        """Collects what was booked; to be called often enough."""
        outcome = self.engine.take()
        for posted in outcome.posted:
            self._past.add(posted.event)
        self._posted += outcome.posted
        self.told += [(note.code, note.device) for note in outcome.notes]
        self.steps_total += sum(isinstance(one, WeightStep) for _, one in outcome.observations)

    def decisions(self, at_ns: int) -> list[Decision]:
        """Everything judged until then, what waits given its time to expire."""
        self.engine.advance(START_NS + at_ns + 2 * FusionSettings().pending_step_s * NS_PER_S)
        self.take()
        return decisions(self._posted)


def decisions(posted: Iterable[Posted]) -> list[Decision]:
    """Stock events that rest on a plate; those of one observation, place and product as one."""
    parts: dict[tuple[int | None, str, str], list[Posted]] = {}
    milli: dict[tuple[int | None, str, str], int] = defaultdict(int)
    for one in posted:
        for line in one.event.lines:
            if one.because.rows and not line.loc.startswith("@"):
                key = (one.cause, line.loc, line.gtin)
                parts.setdefault(key, []).append(one)
                milli[key] += line.d
    return [_decision(key[1], key[2], milli[key], of) for key, of in parts.items()]


def _decision(location: str, gtin: str, milli: int, parts: Sequence[Posted]) -> Decision:
    first, because = parts[0].event, parts[0].because
    refs = [source.ref for part in parts for source in part.event.src]
    settled_ns = int(refs[0].partition(".")[0]) if refs else first.at_ns
    at_once = because.code not in LATE
    seen_s = (settled_ns - START_NS) / NS_PER_S
    posted_s = (first.at_ns - START_NS) / NS_PER_S if at_once else seen_s
    best = because.rows[0]
    of = next((part for part in parts_of(best) if part.gtin == gtin), best)
    units = of.units if milli > 0 else -of.units
    return Decision(
        Movement(posted_s, location, gtin, milli // PIECE_MILLI),
        Movement(seen_s, location, of.gtin, units),
        best.ppm,
        at_once,
    )


def right(truth: Sequence[Movement], found: Sequence[Movement]) -> list[bool]:
    """Which of the found movements are true: one-to-one, greedy in order of time (rule 7.4)."""
    waiting: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for i in sorted(range(len(found)), key=lambda i: found[i].at_s):
        waiting[found[i].location, found[i].gtin, found[i].units].append(i)
    hits = [False] * len(found)
    for true in sorted(truth, key=lambda one: one.at_s):
        queue = waiting[true.location, true.gtin, true.units]
        near = (i for i in queue if abs(found[i].at_s - true.at_s) <= WITHIN_S)
        hit = next(near, -1)
        if hit >= 0:
            hits[hit] = True
            queue.remove(hit)
    return hits


# --- the chain ----------------------------------------------------------------------------------


def chain(counts: dict[str, float], variant: str, channel: Channel, seed: int) -> None:
    """An aisle of shoppers through the engine; adds the counts of W6 and W8."""
    rng = Random(f"W6 {channel.level.name} {channel.rate_hz} {seed}")
    shelves = shelves_of(channel.level, rng)
    script = script_of(shelves, channel.level, EVENTS, rng)
    desk = Desk(shelves, channel.rate_hz)
    play(desk, Shelving(shelves, channel.level, rng), script, channel.rate_hz)
    made = desk.decisions(round(script.until_s * NS_PER_S))
    at_once = [one.booked for one in made if one.at_once]
    whole = [one.booked for one in made]
    for row, found in ((f"W6{variant}", at_once), (f"W6/all{variant}", whole)):
        counts[f"{row}.right"] += sum(right(script.truth, found))
        counts[f"{row}.posted"] += len(found)
        counts[f"{row}.events"] += len(script.truth)
    row = f"W8{variant}"
    for n in range(len(BINS_PPM)):
        for part in ("n", "right", "conf"):
            counts[f"{row}.{part}{n}"] += 0.0
    hits = right(script.truth, [one.believed for one in made])
    for one, hit in zip(made, hits, strict=True):
        n = next(i for i, end in enumerate(BINS_PPM) if one.ppm < end)
        counts[f"{row}.n{n}"] += 1.0
        counts[f"{row}.right{n}"] += hit
        counts[f"{row}.conf{n}"] += one.ppm / 1e6


def play(desk: Desk, shelving: Shelving, script: Script, rate_hz: int) -> None:
    """Lets the script happen: samples of every plate, tick by tick, and the sales between."""
    reaches, others, sales = script.reaches[::-1], script.others[::-1], script.sales[::-1]
    for tick in range(int(script.until_s * rate_hz)):
        at_ns, at_s = tick * NS_PER_S // rate_hz, tick / rate_hz
        while sales and sales[-1].at_s <= at_s:
            desk.scanned(at_ns, sales.pop().gtin)
        while reaches and reaches[-1].gesture.begin_s <= at_s:
            one = reaches.pop()
            shelving.handle(one.location, one.gesture, one.loads_g)
        while others and others[-1][1].begin_s <= at_s:
            place, act = others.pop()
            act.befall(shelving.cells[place])
        for place, cell in shelving.cells.items():
            desk.weighed(at_ns, place, round(cell.sample_g(at_s) * 1000.0))
        if tick % rate_hz == 0:
            desk.take()


def is_count(name: str) -> bool:
    """Whether a figure's last name is a count of W6 or W8."""
    return name in ("right", "posted", "events") or _BIN_COUNT.fullmatch(name) is not None


def derived(row: str, counts: Mapping[str, float]) -> dict[str, float]:
    """The ratios of W6 or W8 that the counts of a row make."""
    figures: dict[str, float] = {}
    for name, under in (("precision", "posted"), ("coverage", "events")):
        if counts.get(f"{row}.{under}", 0.0):
            figures[f"{row}.{name}"] = counts[f"{row}.right"] / counts[f"{row}.{under}"]
    bins = [n for n in range(len(BINS_PPM)) if counts.get(f"{row}.n{n}", 0.0)]
    if bins:
        off = sum(abs(counts[f"{row}.right{n}"] - counts[f"{row}.conf{n}"]) for n in bins)
        figures[f"{row}.ece"] = off / sum(counts[f"{row}.n{n}"] for n in bins)
    return figures
