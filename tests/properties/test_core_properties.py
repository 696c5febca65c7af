"""What must hold for every store, whatever happens in it (ALGORITHMS 5.1, 6; gates E3, E5)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.baskets import Trail
from gateway.core.book import Balance
from gateway.core.engine import EMPTY, Engine, Outcome, Saved
from gateway.core.postings import Posted
from gateway.domain import wire
from gateway.domain.ids import check_digit
from gateway.domain.reading import (
    Adjust,
    Body,
    Command,
    DeviceState,
    Facings,
    Garbled,
    OpenEpoch,
    PosLine,
    Quantity,
    Reading,
    Scan,
    SetMode,
    Stocktake,
    Tag,
    Tare,
    Void,
    Weight,
    Writeoff,
    Zero,
)
from gateway.domain.settings import (
    DeviceSettings,
    FusionSettings,
    ScanSettings,
    Settings,
    StoreSettings,
)
from gateway.domain.stock import BASKET, LOST, VIRTUAL, StockEvent, imbalance
from gateway.domain.store import Facing, Location, Product, Store
from gateway.replay import Past, replay

SECOND = 1_000_000_000
START = 1_780_300_800 * SECOND


def gtin(number: int) -> str:
    digits = f"0690123456{number:03d}"
    return digits + str(check_digit(digits))


JAR, TIN, BOX, CUP, RICE, STRANGER = (gtin(n) for n in (1, 2, 3, 5, 6, 9))
PLACES = (
    Location("dock", "receiving"),
    Location("back", "backroom"),
    Location("a1", "shelf"),
    Location("a2", "shelf"),
    Location("b1", "shelf"),
    Location("till", "till"),
)
SHOP = Store(
    "s0001",
    PLACES,
    (
        Product(JAR, "Jar", "EA", 500_000, 5_000),
        Product(TIN, "Tin", "EA", 300_000, 3_000),
        Product(BOX, "Box", "EA", 330_000, 3_000),
        Product(CUP, "Cup"),
        Product(RICE, "Rice", "KGM"),
    ),
    (
        Facing("a1", "1", JAR, capacity_milli=24_000),
        Facing("a2", "1", TIN, capacity_milli=24_000),
        Facing("a2", "2", BOX, capacity_milli=24_000),
        Facing("b1", "1", CUP),
        Facing("b1", "2", RICE),
        Facing("b1", "3", JAR),
    ),
)
MODES = ["receive", "return", "restock", "writeoff", "stocktake", "transfer_in", "transfer_out"]


def device(name: str, driver: str, location: str, **options: object) -> DeviceSettings:
    return DeviceSettings(name, driver, f"serial:///dev/{name}", location, options)  # type: ignore[arg-type]


CONFIG = Settings(
    StoreSettings("s0001"),
    fusion=FusionSettings(basket_timeout_s=900, pending_step_s=60),
    scan=ScanSettings("STK-"),
    location=PLACES,
    device=(
        device("scale-a1", "scale_sics", "a1", rate_hz=10),
        device("scale-a2", "scale_sics", "a2", rate_hz=10),
        device("till-1", "scanner_serial", "till", modes=["return"]),
        device("till-2", "scanner_serial", "till", presentation=True),
        device("dock-1", "scanner_serial", "dock", modes=MODES),
        device("hand-1", "scanner_serial", "a1", modes=MODES),
    ),
)

# --- what may be said to a store, the hostile included ----------------------------------------

GTINS = st.sampled_from([JAR, TIN, BOX, CUP, RICE, STRANGER])
LOTS = st.sampled_from([None, None, "", "L1", "L2", "L3"])
DEVICES = st.sampled_from(["till-1", "till-2", "dock-1", "hand-1", "scale-a1", "nobody"])
ANYWHERE = st.sampled_from(["a1", "a2", "b1", "back", "dock", "till", "nowhere", "@sold", ""])
ANYTHING = st.sampled_from([JAR, CUP, CUP[1:], STRANGER, "06901234560016", "", "x"])
AMOUNT = st.one_of(st.sampled_from([0, 1000, 2000, 5000, -1000]), st.integers(-(10**13), 10**13))


@st.composite
def label(draw: st.DrawFn) -> str:
    """A barcode's text, mostly right."""
    code = draw(GTINS)
    form = draw(st.integers(0, 9))
    if form < 4:
        return code[1:]
    if form == 4:
        return draw(
            st.sampled_from(["STK-MODE:restock", "STK-MODE:stocktake", "STK-QTY:3", "STK-"])
        )
    if form == 5:
        return draw(st.text(max_size=20))
    text = "01" + code
    if code == RICE:
        text += draw(st.sampled_from(["3103001256", "3103000000"]))
    if form > 7:
        text += draw(st.sampled_from(["17260930", "17261231"]))
    if form > 6:
        text += draw(
            st.sampled_from(["10L1", "10L2", "21S1", "10L1\x1d21S2", "3012", "3799999999"])
        )
    return text


SCANS = st.builds(
    Scan,
    label(),
    st.none(),
    st.sampled_from([None, None, None, "sale", "sale", *MODES]),  # type: ignore[arg-type]
)
LAWFUL = st.one_of(
    st.builds(Stocktake, st.sampled_from(["a1", "b1", "back"]), GTINS, st.integers(0, 9000), LOTS),
    st.builds(
        Writeoff, st.sampled_from(["a1", "b1"]), GTINS, st.just(1000), st.just("damaged"), LOTS
    ),
    st.builds(Adjust, st.sampled_from(["a1", "b1"]), GTINS, st.just(-2000), st.just("other"), LOTS),
    st.builds(SetMode, st.sampled_from(["dock-1", "hand-1"]), st.sampled_from(MODES)),  # type: ignore[arg-type]
    st.builds(Quantity, st.sampled_from(["dock-1", "till-1"]), st.integers(1, 12)),
    st.builds(Void, st.integers(1, 40)),
)
HOSTILE = st.one_of(
    st.builds(Stocktake, ANYWHERE, ANYTHING, AMOUNT, st.sampled_from([None, "é", "x" * 21])),
    st.builds(Writeoff, ANYWHERE, ANYTHING, AMOUNT, st.text(max_size=5)),
    st.builds(Adjust, ANYWHERE, ANYTHING, AMOUNT, st.text(max_size=5)),
    st.builds(SetMode, DEVICES, st.sampled_from(MODES), ANYWHERE, st.text(max_size=3)),  # type: ignore[arg-type]
    st.builds(Quantity, DEVICES, st.integers(-2, 20_000)),
    st.builds(Void, st.one_of(st.integers(-3, 10**9), st.text(max_size=5))),
    st.builds(Tare, DEVICES),
    st.builds(Zero, DEVICES),
    st.just(OpenEpoch(1, "install")),
)
SAID = st.one_of(SCANS, SCANS, SCANS, st.builds(Command, LAWFUL), st.builds(Command, HOSTILE))
OTHERS = st.one_of(
    st.builds(Garbled, st.just("noise"), st.just("ff")),
    st.builds(Tag, st.just("30"), st.just(1)),
    st.builds(Facings, st.just(())),
    st.builds(PosLine, st.just("R"), st.just("1"), GTINS, st.just(1000), st.just("sale")),  # type: ignore[arg-type]
    st.builds(DeviceState, st.sampled_from(["up", "down"]), st.just("x")),  # type: ignore[arg-type]
)
PAUSES = st.sampled_from(
    [0, 0, 1, SECOND // 3, SECOND, 5 * SECOND, 10 * SECOND, 90 * SECOND, 120 * SECOND, 900 * SECOND]
)


@st.composite
def talk(draw: st.DrawFn) -> list[Reading]:
    """Scans and commands alone: what a restart must not forget."""
    at, out = START, []
    for pause, name, body in draw(
        st.lists(st.tuples(PAUSES, DEVICES, SAID), min_size=1, max_size=40)
    ):
        at += pause
        out.append(Reading(at, name, body))
    return out


@st.composite
def weights(draw: st.DrawFn) -> list[Reading]:
    """Two plates whose loads jump by products and by nonsense, with noise, gaps and flags."""
    noise = random.Random(draw(st.integers(0, 2**32)))
    at, load, out = START, {"scale-a1": 10_000_000, "scale-a2": 8_000_000}, []
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sorted(load)),
                st.sampled_from(
                    [-500, -1000, 500, 1500, 2500, 6000, -300, -330, 300, 330, -777, 9, 0]
                ),
                st.sampled_from([(), (), (), (), ("over",), ("error",), ("motion",)]),
                st.sampled_from(
                    [SECOND // 10, SECOND // 10, SECOND // 10, 3 * SECOND, 61 * SECOND]
                ),
            ),
            max_size=14,
        )
    )
    for name, grams, flags, pause in steps:
        load[name] += grams * 1000
        at += pause
        for tick in range(25):
            at += SECOND // 10
            told = flags if tick < 3 else ()
            mass = 0 if "over" in told or "error" in told else load[name] + noise.randint(-400, 400)
            out.append(Reading(at, name, Weight(mass, noise.choice([None, True]), told)))
    return out


@st.composite
def store_day(draw: st.DrawFn) -> list[Reading]:
    """Everything at once, in order of time."""
    other = [
        Reading(START + draw(st.integers(0, 60)) * SECOND, name, body)
        for name, body in draw(st.lists(st.tuples(DEVICES, OTHERS), max_size=5))
    ]
    return sorted([*draw(talk()), *draw(weights()), *other], key=lambda r: r.at_ns)


# --- running it -------------------------------------------------------------------------------


class Run:
    """An engine, what it said, and the journal it could be built from again."""

    def __init__(self) -> None:
        self.past, self.posted, self.notes = Past(), [], []
        self.balances: dict[tuple[str, str, str], Balance] = {}
        self.parts: dict[str, bytes] = {}
        self.engine = Engine(CONFIG, SHOP, wire.ZERO_INST, self.past)
        self.position = EMPTY.position

    def take(self) -> Outcome:
        outcome = self.engine.take()
        for posted in outcome.posted:
            self.past.add(posted.event)
        self.posted += outcome.posted
        self.notes += outcome.notes
        self.balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        for key, body in outcome.parts:
            if body is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = body
        self.position = outcome.position
        return outcome

    def restart(self) -> None:
        self.take()
        saved = Saved(
            self.position, tuple(self.balances.values()), dict(sorted(self.parts.items()))
        )
        self.engine = Engine(CONFIG, SHOP, wire.ZERO_INST, self.past, saved)

    def trail(self, code: str) -> Trail:
        body = self.parts.get(f"trail:{code}")
        return Trail() if body is None else msgspec.json.decode(body, type=Trail)

    @property
    def bodies(self) -> list[bytes]:
        return [body(posted) for posted in self.posted]


def body(posted: Posted) -> bytes:
    return wire.stock_body(posted.event, wire.replay_stamp(posted.event.at_ns))


def trace(readings: Sequence[Reading]) -> list[bytes]:
    head = b'{"trace":1,"store":"s0001","config_sha256":null}'
    return [head, *(wire.reading_line(reading) for reading in readings)]


def straight(readings: Iterable[Reading]) -> Run:
    run = Run()
    for reading in readings:
        run.engine.receive(reading)
        run.take()
    return run


def physical(loc: str) -> bool:
    return loc not in VIRTUAL


# --- the properties ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(store_day(), st.lists(st.integers(0, 1200), max_size=12), st.integers(0, 2**32))
def test_wake_ups_change_nothing(day: list[Reading], wakes: list[int], seed: int) -> None:
    plain = straight(day)
    chance, woken, now = random.Random(seed), Run(), START
    extra = sorted(START + wake * SECOND for wake in wakes)
    for reading in day:
        while extra and extra[0] <= reading.at_ns:
            now = max(now, extra.pop(0))
            woken.engine.advance(now)
        due = woken.engine.deadline()
        if due is not None and due < reading.at_ns and chance.random() < 0.5:
            woken.engine.advance(chance.randint(max(now, due), reading.at_ns))
        now = reading.at_ns
        woken.engine.receive(reading)
        if chance.random() < 0.3:
            woken.take()
    woken.take()
    assert woken.bodies == plain.bodies
    assert woken.engine.balances() == plain.engine.balances()


@settings(deadline=None, max_examples=40)
@given(store_day(), st.sampled_from([2, 7, 4096]))
def test_batches_change_nothing(day: list[Reading], batch: int) -> None:
    lines = trace(day)
    assert list(replay(CONFIG, SHOP, lines, batch)) == list(replay(CONFIG, SHOP, lines))


@settings(deadline=None, max_examples=80)
@given(talk(), st.sets(st.integers(0, 40)))
def test_restarts_change_nothing(said: list[Reading], cuts: set[int]) -> None:
    plain, cut = straight(said), Run()
    for n, reading in enumerate(said):
        if n in cuts:
            cut.restart()
        cut.engine.receive(reading)
    cut.restart()
    assert cut.bodies == plain.bodies
    assert cut.parts == plain.parts
    assert cut.engine.balances() == plain.engine.balances()


@settings(deadline=None, max_examples=120)
@given(store_day())
def test_the_book_holds(day: list[Reading]) -> None:
    """Double entry, the basket and its trail, on hand, `after`, identity: after every reading."""
    run, folded, sources = Run(), {}, set()
    for reading in day:
        run.engine.receive(reading)
        for posted in run.take().posted:
            event = posted.event
            check_event(event, folded)
            for source in event.src:
                key = (event.kind, source.dev, source.ref)
                assert key not in sources or event.reason in ("missed_pick", "reversal"), key
                sources.add(key)
        balances = run.engine.balances()
        assert {key: qty for key, qty in folded.items() if qty} == dict(balances)
        assert all(qty >= 0 for (loc, _, _), qty in balances.items() if physical(loc))
        check_basket(run, balances)
    assert [p.event.seq for p in run.posted] == list(range(1, len(run.posted) + 1))
    times = [p.event.at_ns for p in run.posted]
    assert times == sorted(times)
    assert len({p.event.id for p in run.posted}) == len(run.posted)


ON_HAND = {
    "receive", "return", "transfer_out", "transfer_in", "writeoff", "stocktake", "adjust", "loss",
    "found", "sale", "void",
}  # fmt: skip


def check_event(event: StockEvent, folded: dict[tuple[str, str, str], int]) -> None:
    assert imbalance(event.lines) is None
    assert event.kind == "epoch_open" or 2 <= len(event.lines) <= 200
    assert len({(x.gtin, x.lot, x.loc) for x in event.lines}) == len(event.lines)
    on_hand = 0
    for line in event.lines:
        assert line.d or event.kind == "stocktake"
        key = (line.loc, line.gtin, line.lot or "")
        folded[key] = folded.get(key, 0) + line.d
        told = line.loc == BASKET or physical(line.loc)
        assert line.after == (folded[key] if told else None)
        if line.counted is not msgspec.UNSET:
            assert line.counted == line.after
        on_hand += line.d if told else 0
    assert on_hand == 0 or event.kind in ON_HAND, (event.kind, on_hand)


def check_basket(run: Run, balances: dict[tuple[str, str, str], int]) -> None:  # type: ignore[type-arg]
    """`@basket` per lot is the trail's entries less its open sales; `@lost` covers what may heal."""
    owed: dict[tuple[str, str], int] = {}
    for key in run.parts:
        if key.startswith("trail:"):
            code = key.removeprefix("trail:")
            trail = run.trail(code)
            for entry in trail.basket:
                assert entry.qty_milli > 0
                owed[code, entry.lot] = owed.get((code, entry.lot), 0) + entry.qty_milli
            for sale in trail.open:
                assert sale.qty_milli > 0
                owed[code, sale.lot] = owed.get((code, sale.lot), 0) - sale.qty_milli
            lost = sum(lost.qty_milli for lost in trail.lost)
            there = sum(q for (loc, g, _), q in balances.items() if loc == LOST and g == code)
            # a loss voided after it was found again leaves `@lost` short: people said so
            assert lost <= there or any(p.event.kind == "void" for p in run.posted)
    held = {(g, lot): qty for (loc, g, lot), qty in balances.items() if loc == BASKET}
    assert {key: qty for key, qty in owed.items() if qty} == held


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(DEVICES, st.one_of(SAID, OTHERS, st.builds(
    Weight, st.integers(-(10**12), 10**12), st.sampled_from([None, True, False]),
    st.sampled_from([(), ("over",), ("zero", "motion")]),
))), max_size=60))  # fmt: skip
def test_nothing_raises(said: list[tuple[str, Body]]) -> None:
    run = straight(Reading(START + n, name, body) for n, (name, body) in enumerate(said))
    assert run.position.at_ns == (START + len(said) - 1 if said else 0)
    for key, kept in run.parts.items():
        kind = key.partition(":")[0]
        assert kind in ("scanner", "plate", "trail", "place", "count", "serial")
        assert msgspec.json.encode(msgspec.json.decode(kept)) == kept
    run.restart()
    assert dict(run.engine.take().parts) == {}
