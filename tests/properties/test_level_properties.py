"""What must hold of beliefs and corrections, whatever sensors claim (ALGORITHMS 5.3; gate E5)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.belief import BINS_MAX, ONE, Belief, begun
from gateway.core.book import Balance, Book
from gateway.core.fuse import Fusion
from gateway.core.postings import Poster
from gateway.domain.observation import (
    DeviceSeen,
    LevelClaim,
    Observation,
    Ordered,
    ScanMove,
    TillLine,
    WeightStep,
)
from gateway.domain.reading import Stocktake
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import VIRTUAL, StockEvent, imbalance
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_S
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

START = 1_780_300_800 * NS_PER_S
JAR, TIN = "06901234560015", "06901234560022"
SHOP = Store(
    "s0001",
    (
        Location("back", "backroom"),
        Location("a1", "shelf"),
        Location("a2", "shelf"),
        Location("till", "till"),
    ),
    (Product(JAR, "Jar", "EA", 300_000, 4_000), Product(TIN, "Tin", "EA", 170_000, 2_000)),
    (Facing("a1", "1", JAR, capacity_milli=12_000), Facing("a2", "1", TIN, capacity_milli=24_000)),
)
WEIGHED = frozenset(("a1",))
MASS = {JAR: 300_000, TIN: 170_000}


class Shop:
    """A fusion alone, its record, and everything it would be built from again."""

    def __init__(self) -> None:
        self.past, self.events, self.parts = Past(), list[StockEvent](), dict[str, bytes]()
        self.balances: dict[tuple[str, str, str], Balance] = {}
        self.number = 0
        self._build(1)
        for sensor in ("a1", "a2"):
            self.hear(DeviceSeen(START, f"scale-{sensor}", sensor, up=True))

    def _build(self, next_seq: int) -> None:
        self.poster = Poster(SHOP, Book(self.balances.values()), ZERO_INST, next_seq, self.past)
        self.fusion = Fusion(SHOP, FusionSettings(), self.poster, WEIGHED, self.parts)

    def hear(self, seen: Observation) -> None:
        self.advance(seen.at_ns)
        self.number += 1
        self.fusion.observe(self.number, seen)

    def advance(self, at_ns: int) -> None:
        while (due := self.fusion.deadline()) is not None and due <= at_ns:
            self.fusion.advance(due)

    def keep(self) -> None:
        for posted in self.poster.take()[0]:
            self.past.add(posted.event)
            self.events.append(posted.event)
        for key in self.fusion.changed:
            part = self.fusion.part(key)
            if part is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = msgspec.json.encode(part)
        self.fusion.changed.clear()
        for one in self.poster.book.take_changed():
            self.balances[one.loc, one.gtin, one.lot] = one

    def restart(self) -> None:
        self.keep()
        self._build(self.poster.next_seq)


def claim(at_ns: int, loc: str, source: str, first: int, mnat: Sequence[int]) -> LevelClaim:
    gtin = JAR if loc == "a1" else TIN
    best = max(mnat)
    table = tuple(value - best for value in mnat)
    return LevelClaim(at_ns, f"{source}-{loc}", f"{at_ns}", loc, gtin, source, first, table, -9_400)  # type: ignore[arg-type]


def step(at_ns: int, units: int, noise_mg: int) -> WeightStep:
    mass = units * MASS[JAR] + noise_mg
    return WeightStep(
        at_ns, "scale-a1", f"{at_ns}", "a1", at_ns - NS_PER_S, 9_000_000, mass, 1_000, outage=False
    )


def scan(at_ns: int, mode: str, gtin: str, units: int) -> ScanMove:
    return ScanMove(
        at_ns,
        "hand-1",
        f"{at_ns}",
        mode,
        gtin,
        units * 1_000,
        None,
        None,
        None,
        None,
        "back",
        None,  # type: ignore[arg-type]
    )


def line(at_ns: int, gtin: str, units: int) -> TillLine:
    return TillLine(
        at_ns, "pos-1", f"{at_ns}", f"{at_ns}", "1", "sale", gtin, units * 1_000, "till"
    )


def count(at_ns: int, loc: str, units: int) -> Ordered:
    gtin = JAR if loc == "a1" else TIN
    return Ordered(at_ns, "console", f"{at_ns}", Stocktake(loc, gtin, units * 1_000))


GTIN = st.sampled_from([JAR, TIN])
UNITS = st.integers(1, 5)
TABLE = st.lists(st.sampled_from([0, -800, -4_000, -5_990, -9_400]), min_size=1, max_size=6)
SAID = st.one_of(
    st.builds(
        lambda loc, source, first, table: lambda t: claim(t, loc, source, first, table),
        st.sampled_from(["a1", "a2", "back"]),
        st.sampled_from(["weight", "rfid", "camera"]),
        st.integers(0, 40),
        TABLE,
    ),
    st.builds(
        lambda n, noise: lambda t: step(t, n, noise),
        st.sampled_from([-3, -2, -1, 1, 2, 6]),
        st.integers(-160_000, 160_000),
    ),
    st.builds(lambda g, n: lambda t: line(t, g, n), GTIN, UNITS),
    st.builds(
        lambda mode, g, n: lambda t: scan(t, mode, g, n),
        st.sampled_from(["receive", "restock", "writeoff", "return"]), GTIN, UNITS,
    ),
    st.builds(
        lambda loc, n: lambda t: count(t, loc, n),
        st.sampled_from(["a1", "a2", "back"]), st.integers(0, 30),
    ),
    st.builds(
        lambda up: lambda t: DeviceSeen(t, "scale-a1", "a1", up=up), st.booleans()
    ),
)  # fmt: skip
GAPS = st.sampled_from([0, 1, 2, 5, 11, 61, 100, 130, 700, 3_700])


@st.composite
def days(draw: st.DrawFn) -> list[Observation]:
    at_ns = START + 2
    said: list[Observation] = [count(START + 1, "a1", 8), count(at_ns, "back", 20)]
    for gap, made in draw(st.lists(st.tuples(GAPS, SAID), min_size=1, max_size=30)):
        at_ns += gap * NS_PER_S + 1
        said.append(made(at_ns))
    return said


def check(shop: Shop) -> None:
    for key, body in shop.parts.items():
        if key.startswith("belief:"):
            belief = msgspec.json.decode(body, type=Belief)
            assert sum(belief.bins) == ONE == sum(belief.product()), key
            assert len(belief.bins) <= BINS_MAX + 1
            assert belief.first >= 0
            location, _, gtin = key.removeprefix("belief:").partition(" ")
            view = shop.fusion.view(location, gtin)
            assert view is not None
            assert view.low <= view.mode <= view.high
            book = shop.poster.book.balance(location, gtin)
            assert view.state != "certain" or view.mode * 1_000 == book


@settings(deadline=None, max_examples=150)
@given(days())
def test_beliefs_are_whole_and_corrections_balance(said: list[Observation]) -> None:
    shop, sums = Shop(), dict[tuple[str, str, str], int]()
    for seen in said:
        shop.hear(seen)
        shop.keep()
        check(shop)
    shop.advance(said[-1].at_ns + 3 * 3600 * NS_PER_S)
    shop.keep()
    check(shop)
    sources = set()
    for event in shop.events:
        assert imbalance(event.lines) is None
        for one in event.lines:
            key = (one.loc, one.gtin, one.lot or "")
            sums[key] = sums.get(key, 0) + one.d
            assert one.loc in VIRTUAL or sums[key] >= 0
        if event.reason == "level_correction":
            for source in event.src:
                assert (event.kind, source) not in sources
                sources.add((event.kind, source))
    assert {key: qty for key, qty in sums.items() if qty} == dict(shop.poster.book.snapshot())


@settings(deadline=None, max_examples=100)
@given(days(), st.lists(st.booleans(), min_size=31, max_size=31))
def test_restarts_and_batches_change_nothing(said: list[Observation], cuts: list[bool]) -> None:
    plain, cut = Shop(), Shop()
    for seen, restart in zip(said, cuts, strict=False):
        plain.hear(seen)
        plain.keep()
        if restart:
            cut.restart()
        cut.hear(seen)
    cut.restart()
    for shop in (plain, cut):
        shop.advance(said[-1].at_ns + 3 * 3600 * NS_PER_S)
        shop.keep()
    assert cut.events == plain.events
    assert cut.parts == plain.parts


POINTS = st.sampled_from([
    (),
    ((-1, 15_000), (0, 970_000), (1, 15_000)),
    ((0, 900_000), (3, 100_000)),
    ((0, 600_000), (-1, 300_000), (2, 100_000)),
])  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 200),
    st.integers(0, 100),
    st.lists(st.tuples(st.integers(-40, 40), POINTS, st.booleans()), max_size=20),
)
def test_a_histogram_always_sums_to_one(
    book: int, capacity: int, moves: list[tuple[int, tuple[tuple[int, int], ...], bool]]
) -> None:
    belief = begun(book, capacity)
    belief.claim(claim(START, "a1", "weight", book, (0,)), 1)
    for units, points, correct in moves:
        book = max(0, book + units)
        belief.moved(units, book, points)
        if correct:
            belief.collapse()
        assert sum(belief.bins) == sum(belief.product()) == ONE
        assert belief.first <= book < belief.first + len(belief.bins)
        assert all(mass >= 0 for mass in belief.bins)


def test_a_claim_replaces_the_one_before() -> None:
    """Said a hundred times an error weighs no more than said once."""
    once, often = begun(10, 12), begun(10, 12)
    said = claim(START, "a1", "weight", 8, (-5_990, 0, -5_990))
    once.claim(said, 1)
    for number in range(100):
        often.claim(said, number)
    assert often.product() == once.product()
    assert often.view(10).mode == 9


def test_a_belief_is_small() -> None:
    belief = begun(10, 32)
    assert len(belief.bins) == BINS_MAX + 1
    assert len(msgspec.json.encode(belief)) < 1_024
