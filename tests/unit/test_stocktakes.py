"""Counts of whole places: restarts, the second door, plates that claim, readers that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from journalled import GOLDEN, script_readings

from gateway.config import Loaded, load
from gateway.core.book import Balance, Book
from gateway.core.engine import Engine
from gateway.core.fuse import Fusion
from gateway.core.outcome import EMPTY, Position, Saved
from gateway.core.postings import Poster
from gateway.core.readers import AntennaPlace, Reader, ReaderRules
from gateway.core.sensors import weighed
from gateway.core.stocktakes import RUNNING_MAX, sure_units
from gateway.core.sweeps import Sweeps
from gateway.domain import wire
from gateway.domain.epc import known_epc
from gateway.domain.observation import LevelClaim, Observation, Ordered, ScanMove
from gateway.domain.reading import (
    DeviceState,
    Order,
    Reading,
    Stocktake,
    StocktakeCancel,
    StocktakeFinish,
    StocktakeStart,
    Tag,
)
from gateway.domain.stock import StockEvent
from gateway.replay import Past

SECOND = 1_000_000_000
START = 1_780_300_800 * SECOND
CASES = sorted(path for path in GOLDEN.glob("stocktake_*") if "begin" in
               (path / "script.txt").read_text("utf-8"))  # fmt: skip
JAR, CUP = "06901234560015", "06901234560053"


def shop_of(case: Path) -> Loaded:
    own = case / "store.toml"
    return load(own if own.exists() else GOLDEN / "_store" / "store.toml")


class Life:
    """An engine that may be built anew from what it gave to be kept."""

    def __init__(self, shop: Loaded) -> None:
        self._shop, self._past = shop, Past()
        self._balances: dict[tuple[str, str, str], Balance] = {}
        self.parts: dict[str, bytes] = {}
        self.events: list[StockEvent] = []
        self.observations: list[tuple[int, Observation]] = []
        self.position: Position = EMPTY.position
        self.engine = Engine(shop.settings, shop.store, wire.ZERO_INST, self._past)

    def hear(self, reading: Reading) -> None:
        self.engine.receive(reading)
        outcome = self.engine.take()
        self.position = outcome.position
        self.observations += outcome.observations
        self._balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        for posted in outcome.posted:
            self._past.add(posted.event)
            self.events.append(posted.event)
        for key, body in outcome.parts:
            self.parts |= {key: body or b""}
        self.parts = {key: body for key, body in self.parts.items() if body}

    def restart(self) -> None:
        saved = Saved(self.position, tuple(self._balances.values()), dict(self.parts))
        self.engine = Engine(
            self._shop.settings, self._shop.store, wire.ZERO_INST, self._past, saved
        )


def lived(shop: Loaded, readings: Sequence[Reading], *, restarts: bool = False) -> Life:
    life = Life(shop)
    for reading in readings:
        if restarts:
            life.restart()
        life.hear(reading)
    return life


def readings_of(case: Path, shop: Loaded) -> list[Reading]:
    return script_readings((case / "script.txt").read_text("utf-8"), shop)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_observations_alone_give_the_same_events(case: Path) -> None:
    shop = shop_of(case)
    life = lived(shop, readings_of(case, shop))
    past, events = Past(), []
    poster = Poster(shop.store, Book(), wire.ZERO_INST, 1, past)
    fusion = Fusion(shop.store, shop.settings.fusion, poster, weighed(shop.settings), {})
    for number, seen in life.observations:
        while (due := fusion.deadline()) is not None and due <= seen.at_ns:
            fusion.advance(due)
        fusion.observe(number, seen)
        for posted in poster.take()[0]:
            past.add(posted.event)
            events.append(posted.event)
    assert events == life.events
    assert len(events) > 1


@pytest.mark.parametrize("name", ["stocktake_with_unseen_lots", "stocktake_cancelled"])
def test_restarts_change_nothing(name: str) -> None:
    shop = shop_of(GOLDEN / name)
    readings = readings_of(GOLDEN / name, shop)
    plain, cut = lived(shop, readings), lived(shop, readings, restarts=True)
    assert (cut.events, cut.parts) == (plain.events, plain.parts)
    assert not [key for key in plain.parts if key.startswith(("stocktake:", "tally:"))]


class Desk:
    """A fusion that is told observations by hand."""

    def __init__(self) -> None:
        shop = load(GOLDEN / "_store" / "store.toml")
        self.poster = Poster(shop.store, Book(), wire.ZERO_INST, 1, Past())
        self.fusion = Fusion(
            shop.store, shop.settings.fusion, self.poster, weighed(shop.settings), {}
        )
        self._number = 0

    def tell(self, seen: Observation) -> list[StockEvent]:
        self._number += 1
        self.fusion.observe(self._number, seen)
        posted, self.said = self.poster.take()
        return [one.event for one in posted]

    def order(self, at_s: int, order: Order) -> list[StockEvent]:
        at_ns = START + at_s * SECOND
        return self.tell(Ordered(at_ns, "console", f"{at_ns}.{self._number}", order))

    def begin(self, at_s: int, *places: str, by: str = "scan") -> str:
        self.order(at_s, StocktakeStart(places, by))  # type: ignore[arg-type]
        assert self.said == []
        return f"C-{(START + at_s * SECOND) // 1_000_000}"

    def scan(self, at_s: int, place: str, gtin: str, serial: str | None = None) -> None:
        at_ns = START + at_s * SECOND
        self.tell(ScanMove(at_ns, "hand-1", f"{at_ns}", "stocktake", gtin, 1000, "EA", None, None,
                           serial, place, None))  # fmt: skip


def claim(at_s: int, first: int, *likely: int, floor: int = -9452) -> LevelClaim:
    at_ns = START + at_s * SECOND
    return LevelClaim(at_ns, "scale-a1", str(at_ns), "a1", JAR, "weight", first, likely, floor)


def test_a_plate_counts_what_it_is_sure_of() -> None:
    desk = Desk()
    desk.order(0, Stocktake("a1", JAR, 10_000))
    name = desk.begin(1, "a1", by="weight")
    assert desk.order(2, StocktakeFinish(name, zero=True)) == []
    assert "not zero" in desk.said[0].text
    desk.tell(claim(3, 8, -2000, 0, -8000))
    assert desk.order(4, StocktakeFinish(name)) == []
    assert "its plate made no sure claim" in desk.said[0].text
    desk.tell(claim(5, 8, -7000, 0, -8000))
    (event,) = desk.order(6, StocktakeFinish(name))
    assert (event.lines[0].d, event.lines[0].counted) == (-1000, 9000)
    assert event.ref is not None
    assert (event.ref.type, event.ref.id) == ("count", name)
    desk.tell(claim(7, 3, 0))
    assert desk.order(8, StocktakeFinish(name)) == []


@pytest.mark.parametrize(
    ("seen", "units"),
    [
        (claim(0, 7, 0), 7),
        (claim(0, 7, -4600, 0), 8),
        (claim(0, 7, -4599, 0), None),
        (claim(0, 7, 0, floor=-4599), None),
        (claim(0, 7), None),
    ],
)
def test_a_claim_is_a_count_at_99_to_1(seen: LevelClaim, units: int | None) -> None:
    assert sure_units(seen) == units


def test_one_unit_counts_once_whoever_scans_it() -> None:
    desk = Desk()
    name = desk.begin(0, "b1")
    for at_s, serial in ((1, "A"), (2, "B"), (300, "A"), (301, None), (302, None)):
        desk.scan(at_s, "b1", CUP, serial)
    desk.scan(303, "a1", JAR)  # not a place of this stocktake: the scanner counts for itself
    (event,) = desk.order(400, StocktakeFinish(name))
    assert event.lines[0].counted == 4000


def test_a_view_says_how_far_it_is() -> None:
    desk = Desk()
    for gtin in (JAR, CUP):
        desk.order(0, Stocktake("b1", gtin, 3000))
    name = desk.begin(1)
    desk.scan(2, "b1", CUP)
    (view,) = desk.fusion.stocktakes.views()
    assert (view.id, view.by) == (name, "scan")
    assert {p.location: (p.counted, p.expected) for p in view.places} == {
        "dock": (0, 0), "back": (0, 0), "a1": (0, 0), "a2": (0, 0), "a3": (0, 0), "b1": (1, 2),
    }  # fmt: skip
    desk.order(3, StocktakeCancel(name))
    assert desk.fusion.stocktakes.views() == ()


def test_bounds_are_told() -> None:
    desk = Desk()
    shop = load(GOLDEN / "_store" / "store.toml")
    places = [x.id for x in shop.store.locations if x.physical]
    assert len(places) < RUNNING_MAX
    for n, place in enumerate(places):
        desk.begin(n, place)
    desk.order(50, StocktakeStart())
    assert "is being counted in" in desk.said[0].text
    desk.order(51, StocktakeStart(("x" * 5000,)))
    assert len(desk.said[0].text) < 200
    desk.order(52, StocktakeFinish("x" * 5000))
    assert len(desk.said[0].text) < 200


def test_a_tag_that_two_readers_hear_lies_where_it_is_heard_best() -> None:
    shop = load(GOLDEN / "_store" / "store.toml")
    readers = {
        name: Reader(ReaderRules(name, place, "shelf", (AntennaPlace(1, place, "shelf"),)))
        for name, place in (("r1", "a1"), ("r2", "b1"))
    }
    company, item = int(CUP[1:8]), int(CUP[0] + CUP[8:13])
    epc = f"{0x30 << 88 | 1 << 85 | 5 << 82 | company << 58 | item << 38 | 7:024X}"
    assert known_epc(epc).gtin == CUP
    for reader in readers.values():
        reader.state(START, DeviceState("up", "there"))
    for at_s in range(1, 20):
        readers["r1"].tag(START + at_s * SECOND, Tag(epc, 1, -7000))
        readers["r2"].tag(START + at_s * SECOND + 1, Tag(epc, 1, -5000))
    here = Sweeps(shop.store, readers).sweep(START + 20 * SECOND, ("a1", "b1", "a2"))
    assert [(p.location, len(p.products), bool(p.why_not)) for p in here] == [
        ("a1", 0, False), ("b1", 1, False), ("a2", 0, True),
    ]  # fmt: skip
    assert here[1].products[0].present == 1
