"""Real noise: the idle plates of a real store, as they are and with steps injected.

`idle` plays all plates sample by sample: what is booked of nothing, which dead cells are told.
`injected` adds goods to the live plates of each shelf: items of 50 to 1000 g that rest on one, two
or three neighbouring plates, taken and put back by a hand that presses and leaves the plate
ringing, while the neighbours feel 1-2 % of it all.
It reads what the engine booked, so it stays as it is whatever the core decides on: plates or bays.

Figures: real/idle.events, .steps, .plates, .dead, .told, .mistold; real/<width>.precision, .recall
from right, posted, events: everything booked at the time of its step; real/<width>/auto: at once.
Not here: a copy of the recordings (`weight-aifi-idle`, see its SOURCE.md).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from pathlib import Path
from random import Random
from statistics import median, pstdev
from typing import Final

from drivers.sim.levels import L1
from gateway.bench.store import booked
from gateway.bench.store.aisle import Movement, Reach, Script, Shelf, Shelving, gtin
from gateway.bench.store.plates import QUIET_S, Gesture, Sku
from gateway.domain.units import NS_PER_S

FOLDER: Final = "weight-aifi-idle"
RATE_HZ: Final = 60
SPREAD_S: Final = 5
"""The noise of a plate is its standard deviation over this long."""
ALIVE_VALUES: Final = 12
"""A live cell shows more values than this in half a minute."""
MASS_G: Final = (50.0, 1000.0)
SIGMAS: Final = 8.0
"""The lightest item, in sigmas of what it rests on together."""
OFF: Final = 0.07
"""Largest deviation of a nominal mass, as this store's own products show."""
CV: Final = 0.01
APART: Final = 1.25
NEAR: Final = 2
"""Products of so many plates to either side differ by this factor: whether a step is found is
judged here; which of two twins it was is judged in W5."""
SHARE_MIN: Final = 0.15
HAND_G: Final = (50.0, 300.0)
LASTS_S: Final = (0.5, 1.5)
PAUSE_S: Final = (4.0, 8.0)
PUTBACK_SHARE: Final = 0.3
CROSS_TALK: Final = (0.01, 0.02)
REACHES: Final = 12
"""Per shelf."""
NOISELESS: Final = replace(L1, white_g=0.0, thermal_g=0.0, walk_g=0.0, creep=0.0, spikes=0.0)
"""A cell that presses and rings (7.2), without noise of its own: the recording has the store's."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One plate of the store, empty of events."""

    shelf: str
    position: int
    at_ns: tuple[int, ...]
    mass_mg: tuple[int, ...]

    @property
    def location(self) -> str:
        """A name for its place."""
        return f"{self.shelf}-p{self.position}"

    @property
    def alive(self) -> bool:
        """Whether its cell is connected."""
        return len(set(self.mass_mg)) > ALIVE_VALUES

    @property
    def sigma_g(self) -> float:
        """Median of its standard deviations over 5 s."""
        wide = SPREAD_S * RATE_HZ
        starts = range(0, len(self.mass_mg) - wide, wide)
        return median(pstdev(self.mass_mg[i : i + wide]) for i in starts) / 1000.0

    def looped_mg(self, tick: int) -> int:
        """Its sample at a tick of an endless walk forwards and backwards: no seam, no jump."""
        last = len(self.mass_mg) - 1
        at = tick % (2 * last)
        return self.mass_mg[at if at <= last else 2 * last - at]


def recordings(folder: Path) -> list[Recording]:
    """All plates below a data folder. Raises FileNotFoundError."""
    found = []
    for gondola in ("gondola_4", "gondola_5"):
        with zipfile.ZipFile(folder / FOLDER / f"{gondola}.zip") as archive:
            for name in archive.namelist():
                _, number, _, shelf, _, plate = name.removesuffix(".csv").split("_")
                rows = list(csv.reader(io.TextIOWrapper(archive.open(name))))
                found.append(
                    Recording(
                        f"g{number}s{shelf}",
                        int(plate),
                        tuple(round(float(at_s) * NS_PER_S) for at_s, _ in rows),
                        tuple(round(float(grams) * 1000.0) for _, grams in rows),
                    )
                )
    return found


# --- idle ---------------------------------------------------------------------------------------


def idle(plates: Sequence[Recording]) -> dict[str, float]:
    """Every sample of every plate through one engine, in order of its time stamp."""
    shelves = [
        Shelf(one.location, one.shelf, one.position, (_nominal(n, MASS_G[0]),))
        for n, one in enumerate(plates)
    ]
    desk = booked.Desk(shelves, RATE_HZ, "scale_line")
    begin_ns = min(one.at_ns[0] for one in plates)
    samples = sorted(
        (at_ns - begin_ns, one.location, mass_mg)
        for one in plates
        for at_ns, mass_mg in zip(one.at_ns, one.mass_mg, strict=True)
    )
    for at_ns, location, mass_mg in samples:
        desk.weighed(at_ns, location, mass_mg)
    desk.decisions(samples[-1][0])
    dead = {f"scale-{one.location}" for one in plates if len(set(one.mass_mg)) == 1}
    frozen = {f"scale-{one.location}" for one in plates if not one.alive}
    told = {device for code, device in desk.told if code in ("sensor_dead", "sensor_stuck")}
    return {
        "real/idle.plates": len(plates),
        "real/idle.events": desk.events_total,
        "real/idle.steps": desk.steps_total,
        "real/idle.dead": len(dead),
        "real/idle.told": len(dead & told),
        "real/idle.mistold": len(told - frozen),
    }


def _nominal(number: int, told_g: float, off: float = 0.0) -> Sku:
    """A product of a nominal mass, which is off by a share."""
    return Sku(gtin(number + 1), told_g * (1.0 + off), CV, told_g, None)


# --- injected -----------------------------------------------------------------------------------


def injected(
    plates: Iterable[Recording], width: int, seed: int, reaches: int = REACHES
) -> dict[str, float]:
    """Items that rest on `width` plates, on every shelf that has as many live ones in a row."""
    counts: dict[str, float] = defaultdict(float)
    by_shelf: dict[str, list[Recording]] = defaultdict(list)
    for one in plates:
        if one.alive:
            by_shelf[one.shelf].append(one)
    for name, live in by_shelf.items():
        live.sort(key=lambda one: one.position)
        rng = Random(f"real {name} {width} {seed}")
        _shelf(counts, f"real/{width}", live, width, reaches, rng)
    for row in (f"real/{width}", f"real/{width}/auto"):
        counts[f"{row}.recall"] = counts[f"{row}.right"] / max(1.0, counts[f"{row}.events"])
        counts[f"{row}.precision"] = counts[f"{row}.right"] / max(1.0, counts[f"{row}.posted"])
    return dict(counts)


def _shelf(
    counts: dict[str, float],
    row: str,
    live: Sequence[Recording],
    width: int,
    reaches: int,
    rng: Random,
) -> None:
    needed_g = SIGMAS * sqrt(width) * max(one.sigma_g for one in live) / (1.0 - OFF - 3.0 * CV)
    shelves = [
        Shelf(one.location, one.shelf, one.position, (_nominal(n, told_g, rng.uniform(-OFF, OFF)),))
        for n, (one, told_g) in enumerate(zip(live, _masses(live, needed_g, rng), strict=True))
    ]
    script = _script(live, shelves, width, reaches, rng)
    shelving = Shelving(shelves, NOISELESS, rng, CROSS_TALK)
    desk = booked.Desk(shelves, RATE_HZ, "scale_line")
    _play(desk, live, shelving, script, rng.randrange(10_000))
    made = desk.decisions(round(script.until_s * NS_PER_S))
    for name, found in (
        (row, [one.booked for one in made]),
        (f"{row}/auto", [one.booked for one in made if one.at_once]),
    ):
        counts[f"{name}.right"] += sum(booked.right(script.truth, found))
        counts[f"{name}.posted"] += len(found)
        counts[f"{name}.events"] += len(script.truth)


def _masses(live: Sequence[Recording], needed_g: float, rng: Random) -> list[float]:
    """Nominal masses of the plates' products; those within reach of each other are told apart."""
    low, high = log(max(needed_g, MASS_G[0])), log(MASS_G[1])
    masses: list[float] = []
    while len(masses) < len(live):
        mass_g = exp(rng.uniform(low, high))
        if all(abs(log(mass_g / near)) >= log(APART) for near in masses[-NEAR:]):
            masses.append(mass_g)
    return masses


def _spans(live: Sequence[Recording], width: int) -> Iterator[range]:
    """Runs of neighbouring live plates, as indices."""
    for n in range(len(live) - width + 1):
        if live[n + width - 1].position - live[n].position == width - 1:
            yield range(n, n + width)


def _script(
    live: Sequence[Recording], shelves: Sequence[Shelf], width: int, reaches: int, rng: Random
) -> Script:
    """Picks, one by one, of items on random spans; some are put back where they were."""
    script, at_s = Script(), QUIET_S
    spans = list(_spans(live, width))
    taken: dict[str, float] | None = None
    home = shelves[0]
    while spans and len(script.truth) < reaches:
        sign, loads_g = 1, taken
        if loads_g is None or rng.random() >= PUTBACK_SHARE:
            sign, (home, loads_g) = -1, _item(live, shelves, rng.choice(spans), rng)
        taken = loads_g if sign < 0 else None
        lasts_s = rng.uniform(*LASTS_S)
        hand_g = rng.choice((-1.0, 1.0)) * rng.uniform(*HAND_G)
        gesture = Gesture(at_s, lasts_s, hand_g, 0.4 * lasts_s, 0.4 * lasts_s)
        moved = {place: sign * mass_g for place, mass_g in loads_g.items()}
        script.reaches.append(Reach(home.location, gesture, moved))
        script.truth.append(Movement(gesture.released_s, home.location, home.goods[0].gtin, sign))
        at_s = gesture.released_s + rng.uniform(*PAUSE_S)
    script.until_s = at_s + QUIET_S
    return script


def _item(
    live: Sequence[Recording], shelves: Sequence[Shelf], span: range, rng: Random
) -> tuple[Shelf, dict[str, float]]:
    """An item's home, where most of it rests, and its mass by plate."""
    cuts = [SHARE_MIN + rng.expovariate(1.0) for _ in span]
    shares = [SHARE_MIN + (1.0 - SHARE_MIN * len(cuts)) * cut / sum(cuts) for cut in cuts]
    home = shelves[span[shares.index(max(shares))]]
    mass_g = home.goods[0].unit_g(rng)
    return home, {live[n].location: share * mass_g for n, share in zip(span, shares, strict=True)}


def _play(
    desk: booked.Desk, live: Sequence[Recording], shelving: Shelving, script: Script, start: int
) -> None:
    reaches = script.reaches[::-1]
    resting = {place: cell.sample_g(0.0) for place, cell in shelving.cells.items()}
    for tick in range(int(script.until_s * RATE_HZ)):
        at_ns, at_s = tick * NS_PER_S // RATE_HZ, tick / RATE_HZ
        while reaches and reaches[-1].gesture.begin_s <= at_s:
            one = reaches.pop()
            shelving.handle(one.location, one.gesture, one.loads_g)
        for plate in live:
            place = plate.location
            added_g = shelving.cells[place].sample_g(at_s) - resting[place]
            desk.weighed(at_ns, place, plate.looped_mg(start + tick) + round(added_g * 1000.0))
        if tick % RATE_HZ == 0:
            desk.take()
