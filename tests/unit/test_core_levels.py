"""Counts of plates, and what they do to the book: bounds, ladders, conflicts (ALGORITHMS 2.5, 5.3).

The stores `level_*` of tests/golden/stores show the same from readings to events.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.belief import Belief, View, begun
from gateway.core.book import Book
from gateway.core.fuse import Fusion
from gateway.core.levels import FLOOR_MNAT, Alone, Levels, count, counts_to, sd2_mg2, table
from gateway.core.masses import UnitMass
from gateway.core.plate_words import PlateRules
from gateway.core.postings import Poster
from gateway.core.weigh import Plate
from gateway.domain.observation import LevelClaim, Ordered, TillLine, WeightStep
from gateway.domain.reading import Stocktake
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import StockEvent
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_S
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

JAR, CUP = "06901234560015", "06901234560022"
START = 1_780_300_800 * NS_PER_S
SHOP = Store(
    "s0001",
    (Location("back", "backroom"), Location("a1", "shelf"), Location("b1", "shelf")),
    (Product(JAR, "Jar", "EA", 300_000), Product(CUP, "Cup", "EA")),
    (Facing("a1", "1", JAR, capacity_milli=12_000), Facing("b1", "1", CUP, capacity_milli=12_000)),
)
LIKELY = (-9_400, -5_990, 0, -5_990, -9_400)
Sensor = Literal["weight", "rfid", "camera"]


class Shelf:
    """Ten units on each shelf, twenty jars in the back room; a jar was sold since the count."""

    def __init__(self) -> None:
        self.past, self.now_ns, self.number = Past(), START, 0
        self.poster = Poster(SHOP, Book(), ZERO_INST, 1, self.past)
        self.fusion = Fusion(SHOP, FusionSettings(), self.poster, frozenset(("a1",)), {})
        for place, gtin, units in (("a1", JAR, 11), ("b1", CUP, 10), ("back", JAR, 20)):
            self.hear(Ordered(START, "console", place, Stocktake(place, gtin, units * 1_000)))
        self.notes = [note.code for note in self.poster.take()[1]]
        self.step(-300)
        self.hear(TillLine(START, "pos-1", "R/0", "R0", "1", "sale", JAR, 1_000, "till"))
        self.wait(10)

    def hear(self, seen: LevelClaim | Ordered | TillLine | WeightStep) -> None:
        self.number += 1
        self.fusion.observe(self.number, seen)

    def wait(self, seconds: int) -> list[StockEvent]:
        """What is booked meanwhile."""
        self.now_ns += seconds * NS_PER_S
        while (due := self.fusion.deadline()) is not None and due <= self.now_ns:
            self.fusion.advance(due)
        posted, notes = self.poster.take()
        self.notes += [note.code for note in notes]
        return [one.event for one in posted]

    def claim(self, units: int, source: Sensor = "weight", place: str = "a1") -> None:
        gtin = JAR if place == "a1" else CUP
        self.hear(
            LevelClaim(
                self.now_ns, f"{source}-1", f"{self.now_ns}", place, gtin, source, units - 2,
                LIKELY, LIKELY[0],
            )
        )  # fmt: skip

    def step(self, grams: int) -> None:
        self.hear(
            WeightStep(
                self.now_ns, "scale-a1", f"{self.now_ns}", "a1", self.now_ns - NS_PER_S, 0,
                grams * 1_000, 1_000, outage=False,
            )
        )  # fmt: skip

    def view(self, place: str = "a1") -> View:
        view = self.fusion.view(place, JAR if place == "a1" else CUP)
        assert view is not None
        return view


def told(events: Sequence[StockEvent]) -> list[tuple[str, str | None, int]]:
    """Kind, reason and units that moved, of each event."""
    return [(e.kind, e.reason, max(line.d for line in e.lines) // 1_000) for e in events]


# --- how many a plate can count -------------------------------------------------------------------


def unit(mean_g: int, sd_mg: int, units: int) -> UnitMass:
    return UnitMass(mean_g * 1_000, sd_mg, int(sd_mg / sqrt(units)), units)


@settings(max_examples=300)
@given(
    st.integers(15, 1_500), st.integers(1, 60_000), st.integers(1, 256), st.integers(3_000, 40_000)
)
def test_the_bound_is_the_largest_count_that_holds(
    mean_g: int, sd_mg: int, units: int, z_mg: int
) -> None:
    one = unit(mean_g, sd_mg, units)
    most = counts_to(one, z_mg)

    def resolves(n: int) -> bool:
        return (516 * 516) * sd2_mg2(n, one, z_mg) < (100 * one.mean_mg) ** 2

    assert most == 0 or resolves(most)
    assert most == 4_096 or not resolves(most + 1)


def test_the_bound_is_the_design_s_formula() -> None:
    """N_max = floor(n_w/2 (sqrt(1 + 4 Q/n_w) - 1)), Q = ((w/5.16)² - z²)/s², by floats."""
    for mean_g, sd_mg, units in ((500, 5_000, 40), (53, 600, 100), (300, 4_000, 25)):
        q = ((mean_g * 1_000 / 5.16) ** 2 - 3_000**2) / sd_mg**2
        most = int(units / 2 * (sqrt(1 + 4 * q / units) - 1))
        assert abs(counts_to(unit(mean_g, sd_mg, units), 3_000) - most) <= 1


def test_a_load_is_a_count_only_where_it_fits() -> None:
    jar = unit(500, 5_000, 40)
    assert count(4 * 500_000 + 9_000, jar, 3_000) == 4
    assert count(3_000, jar, 3_000) == 0
    assert count(4 * 500_000 + 120_000, jar, 3_000) is None  # something else lies there
    assert count(-60_000, jar, 3_000) is None
    beyond = counts_to(jar, 3_000) + 1
    assert count(beyond * 500_000, jar, 3_000) is None


def test_the_table_stands_on_its_floor() -> None:
    first, likely = table(4 * 500_000, 4, unit(500, 30_000, 5), 3_000)
    assert first + likely.index(0) == 4
    assert all(FLOOR_MNAT <= mnat <= 0 for mnat in likely)
    assert len(likely) < 12


# --- a plate and its zero -------------------------------------------------------------------------


def settled(levels: Levels, plate: Plate, begin_ns: int, seconds: int, mass_mg: int) -> list[int]:
    """Counts claimed while a mass lies on the plate."""
    counts = []
    for tick in range(seconds * 10):
        at_ns = begin_ns + tick * NS_PER_S // 10
        step = plate.weight(at_ns, mass_mg + tick % 3 * 100, None, ())
        if step is not None:
            levels.stepped("p")
            continue
        claim = levels.look(at_ns, "p", plate)
        if claim is not None:
            counts.append(claim.first_units + claim.likelihood_mnat.index(0))
    return counts


def counted(view: View | None = None) -> tuple[Levels, Plate]:
    levels = Levels()
    levels.know(lambda at_ns, location: Alone(JAR, unit(500, 5_000, 40)), lambda place, gtin: view)
    levels.add("p", "scale-1", "a1", {})
    return levels, Plate(PlateRules("scale-1", "a1", 10, 500_000))


def test_a_plate_whose_zero_nobody_told_counts_nothing() -> None:
    levels, plate = counted()
    assert settled(levels, plate, START, 70, 9_000_000) == []
    assert levels.most(START, "p") is None
    levels.zero("p", plate)
    assert levels.most(START, "p") == counts_to(unit(500, 5_000, 40), 3_000)
    assert settled(levels, plate, START + 70 * NS_PER_S, 5, 9_000_000) == [0]
    assert settled(levels, plate, START + 80 * NS_PER_S, 9, 10_500_000) == [3]


def test_a_plate_that_was_away_counts_when_its_count_is_the_book_s() -> None:
    for mode, expected in ((3, [3]), (4, [])):
        levels, plate = counted(View("uncertain", mode, 600_000, mode, mode))
        settled(levels, plate, START, 10, 9_000_000)
        levels.zero("p", plate)
        settled(levels, plate, START + 10 * NS_PER_S, 10, 10_500_000)
        levels.away("p")
        plate.lost()
        assert settled(levels, plate, START + 100 * NS_PER_S, 9, 10_500_000) == expected


def test_a_plate_that_drifts_counts_nothing_and_says_so() -> None:
    levels, plate = counted()
    settled(levels, plate, START, 10, 9_000_000)
    levels.zero("p", plate)
    assert settled(levels, plate, START + 10 * NS_PER_S, 10, 9_000_000) == [0]
    counts = []
    for minute in range(1, 90):  # 3 g a minute: nobody's hand
        at_ns = START + minute * 60 * NS_PER_S
        counts += settled(levels, plate, at_ns, 60, 9_000_000 - minute * 3_000)
    assert 1 not in counts
    codes = [note.code for note in levels.notes]
    assert codes == ["plate_drift"] * len(codes)
    assert 1 <= len(codes) <= 2


# --- what a claim does to the book ----------------------------------------------------------------


def test_a_claim_that_agrees_books_nothing() -> None:
    shelf = Shelf()
    shelf.claim(10)
    assert shelf.wait(60) == []
    assert shelf.view().state == "certain"


def test_two_looks_two_seconds_apart() -> None:
    shelf = Shelf()
    shelf.claim(9)
    assert shelf.view().state == "uncertain"
    assert shelf.wait(1) == []
    assert told(shelf.wait(1)) == [("pick", "level_correction", 1)]
    assert shelf.view().mode == 9
    shelf.claim(9)
    assert shelf.view().state == "certain"
    assert shelf.wait(60) == []


def test_motion_between_two_looks_begins_anew() -> None:
    shelf = Shelf()
    shelf.claim(9)
    shelf.wait(1)
    shelf.step(-300)
    assert told(shelf.wait(1)) == [("pick", None, 1)]
    assert shelf.wait(60) == []  # after another step the old claim is not sure enough
    shelf.claim(8)
    assert shelf.wait(1) == []
    shelf.claim(7)  # another count than the first look's
    assert shelf.wait(1) == []
    assert told(shelf.wait(1)) == [("pick", "level_correction", 2)]


def test_an_unexplained_step_makes_the_claim_void() -> None:
    shelf = Shelf()
    shelf.claim(9)
    shelf.step(130)
    assert shelf.wait(60) == []


def test_two_sources_that_exclude_each_other_are_a_dispute() -> None:
    shelf = Shelf()
    shelf.claim(9)
    shelf.claim(14, "rfid")
    assert shelf.wait(600) == []
    assert shelf.view().state == "disputed"
    assert shelf.notes == ["level_disputed"]
    shelf.claim(14, "rfid")
    assert shelf.notes == ["level_disputed"]
    shelf.claim(9, "rfid")
    assert told(shelf.wait(2)) == [("pick", "level_correction", 1)]


def test_where_a_plate_weighs_rfid_alone_moves_nothing() -> None:
    shelf = Shelf()
    shelf.claim(9, "rfid")
    assert shelf.wait(600) == []
    shelf.claim(9, "camera")
    assert shelf.wait(9) == []
    assert told(shelf.wait(1)) == [("pick", "level_correction", 1)]


def test_where_none_weighs_rfid_is_believed_after_a_minute() -> None:
    shelf = Shelf()
    shelf.claim(12, "rfid", "b1")
    assert shelf.wait(59) == []
    assert told(shelf.wait(1)) == [("adjust", "unrecorded", 2)]


def test_a_back_room_that_lacks_something_waits_for_people() -> None:
    shelf = Shelf()
    shelf.hear(LevelClaim(shelf.now_ns, "rfid-1", "1", "back", JAR, "rfid", 15, LIKELY, LIKELY[0]))
    assert shelf.wait(600) == []
    view = shelf.fusion.view("back", JAR)
    assert view is not None
    assert (view.state, view.mode) == ("uncertain", 17)


def test_a_wrong_claim_is_taken_back_in_kind() -> None:
    """A surplus inferred from the back room goes back there, not into a basket."""
    shelf = Shelf()
    shelf.claim(11)
    assert told(shelf.wait(2)) == [("restock", "unrecorded", 1)]
    shelf.wait(60)
    shelf.claim(10)
    assert told(shelf.wait(2)) == [("restock", "level_correction", 1)]
    assert shelf.poster.book.balance("back", JAR) == 20_000
    assert shelf.poster.book.balance("@basket", JAR) == 0


def test_a_level_that_repeats_itself_confirms_nothing() -> None:
    """The same look again, or a later one of a plate that nobody touched, is no new evidence."""
    shelf = Shelf()
    shelf.claim(11)
    assert told(shelf.wait(2)) == [("restock", "unrecorded", 1)]
    for _ in range(2):
        shelf.wait(600)
        shelf.claim(11)
    shelf.wait(600)
    shelf.claim(10)
    assert told(shelf.wait(2)) == [("restock", "level_correction", 1)]
    assert shelf.poster.book.balance("back", JAR) == 20_000


def test_a_level_after_motion_confirms_what_one_before_inferred() -> None:
    shelf = Shelf()
    shelf.claim(11)
    assert told(shelf.wait(2)) == [("restock", "unrecorded", 1)]
    shelf.step(-300)
    assert told(shelf.wait(10)) == [("pick", None, 1)]
    shelf.claim(10)
    shelf.wait(600)
    shelf.claim(9)
    assert told(shelf.wait(2)) == [("pick", "level_correction", 1)]


def test_a_pick_that_only_a_till_told_and_the_plate_denies() -> None:
    """The till rang a unit twice: on hand is what it was, and the error is in the open."""
    shelf = Shelf()
    shelf.claim(10)
    shelf.wait(60)
    shelf.hear(TillLine(shelf.now_ns, "pos-1", "R/1", "R", "1", "sale", JAR, 1_000, "till"))
    assert told(shelf.wait(91)) == [("sale", None, 1), ("pick", "missed_pick", 1)]
    shelf.claim(10)
    assert told(shelf.wait(2)) == [("adjust", "level_correction", 1)]
    assert shelf.poster.book.balance("a1", JAR) == 10_000


def test_a_sale_proves_no_pick_of_a_plate_that_counted_since() -> None:
    """Nothing left the shelf: no pick is booked that the next count would take back."""
    shelf = Shelf()
    shelf.hear(TillLine(shelf.now_ns, "pos-1", "R/1", "R", "1", "sale", JAR, 1_000, "till"))
    shelf.wait(30)
    shelf.claim(10)
    assert told(shelf.wait(61)) == [("adjust", "negative_guard", 1)]
    assert shelf.poster.book.balance("a1", JAR) == 10_000
    assert shelf.poster.book.balance("@basket", JAR) == 0


def test_a_unit_from_nowhere_waits_for_the_plate_that_counts_it() -> None:
    """A step up by one that no basket, loss or scan explains: half believed until the count."""
    shelf = Shelf()
    shelf.hear(Ordered(shelf.now_ns, "console", "few", Stocktake("a1", JAR, 3_000)))
    shelf.claim(3)
    shelf.wait(60)
    shelf.step(300)
    assert shelf.wait(1) == []
    assert shelf.view().state == "uncertain"
    shelf.claim(3)
    assert shelf.wait(60) == []
    shelf.step(300)
    shelf.claim(4)
    assert told(shelf.wait(2)) == [("restock", "unrecorded", 1)]


def test_a_unit_from_nowhere_is_booked_at_once_where_no_plate_counts() -> None:
    shelf = Shelf()
    shelf.step(300)
    assert told(shelf.wait(1)) == [("restock", "unrecorded", 1)]


def test_a_large_correction_asks_for_a_count() -> None:
    shelf = Shelf()
    shelf.claim(3)
    assert told(shelf.wait(2)) == [("pick", "level_correction", 7)]
    assert shelf.notes == ["large_correction"]


def test_a_count_ends_all_doubt() -> None:
    shelf = Shelf()
    shelf.claim(9)
    order = Stocktake("a1", JAR, 10_000)
    shelf.hear(Ordered(shelf.now_ns, "console", "again", order))
    assert told(shelf.wait(600)) == [("stocktake", None, 0)]
    assert shelf.view() == View("certain", 10, 995_200, 10, 10)


@pytest.mark.parametrize("place", ["a1", "b1"])
def test_goods_by_mass_hold_no_whole_units(place: str) -> None:
    shelf = Shelf()
    rice = LevelClaim(START, "rfid-1", "1", place, "unknown", "rfid", 0, (), -9_000)
    shelf.hear(rice)
    assert shelf.wait(600) == []


def test_a_window_follows_its_book() -> None:
    belief = begun(0, 4)
    assert len(belief.bins) == 9
    belief.moved(100, 100)
    assert belief.first == 96
    assert isinstance(belief, Belief)
    assert belief.view(100).mode == 100
