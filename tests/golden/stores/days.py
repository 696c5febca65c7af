"""Days in a shop: what may be said to a core, the lawful and the hostile, and what came of it.

Loaded by path by the tests of `tests/properties`; a day is drawn by Hypothesis or from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec
from hypothesis import strategies as st

from gateway.core.book import Balance, Book
from gateway.core.engine import Engine
from gateway.core.fuse import Fusion
from gateway.core.outcome import EMPTY, Outcome, Saved
from gateway.core.postings import Posted, Poster
from gateway.core.trails import Trail
from gateway.domain import wire
from gateway.domain.alert import Told
from gateway.domain.ids import check_digit
from gateway.domain.observation import Observation
from gateway.domain.reading import (
    Adjust,
    Body,
    Command,
    DeviceState,
    Facings,
    Garbled,
    OpenEpoch,
    Order,
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
from gateway.domain.stock import VIRTUAL
from gateway.domain.store import Facing, Location, Product, Store
from gateway.replay import Past

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


def busy_day(seed: int, length: int = 2000) -> list[Reading]:
    """A long day from a seed: deeper into the states of a store than drawn ones reach."""
    chance = random.Random(seed)
    at, said, out = START, 0, []
    load = {"scale-a1": 10_000_000, "scale-a2": 8_000_000}
    grams = [-500, -500, -500, 500, 500, -1000, 1500, 2500, 6000, -300, 300, -330, 330, -315, -777]
    seconds = [0, 1, 1, 5, 5, 20, 60, 90, 120, 300, 900]
    while len(out) < length:
        said += 1
        pause = chance.choice(seconds) if chance.random() < 0.96 else chance.choice([3600, 86400])
        at += pause * SECOND + chance.choice([0, 0, 1, SECOND // 3])
        if chance.random() < 0.65:
            out.append(Reading(at, *remark(chance, said)))
            continue
        name = chance.choice(sorted(load))
        load[name] += 1000 * chance.choice(grams)
        for _ in range(25):
            at += SECOND // 10
            out.append(Reading(at, name, Weight(load[name] + chance.randint(-400, 400))))
    return out


def remark(chance: random.Random, said: int) -> tuple[str, Body]:
    """Something a person says to the store, and to which device."""
    code = chance.choice([JAR] * 5 + [TIN, BOX, CUP, CUP, RICE, STRANGER])
    lot = chance.choice([None, None, None, "", "L1", "L2"])
    shelf = chance.choice(["a1", "a1", "a2", "b1", "back"])
    kind = chance.randint(0, 64)
    if kind < 35:
        text = code[1:] if code != RICE else "01" + code + "3103001256"
        if lot and code != RICE:
            text = f"01{code}17{chance.choice(['260930', '261231'])}10{lot}"
            text += chance.choice(["", f"\x1d21S{chance.randint(1, 2)}"])
        mode = chance.choice([None, None, "sale", "sale", *MODES])
        return chance.choice(["till-1", "till-1", "till-2", "dock-1", "hand-1"]), Scan(
            text,
            None,
            mode,  # type: ignore[arg-type]
        )
    if kind < 61:
        orders: list[Order] = [
            Void(chance.randint(max(1, said - 20), said + 5)),
            Stocktake(shelf, code, chance.randint(0, 9) * 1000, lot),
            Writeoff(shelf, code, 1000, "damaged", lot),
            SetMode(
                chance.choice(["hand-1", "dock-1"]),
                chance.choice([*MODES, "lookup"]),  # type: ignore[arg-type]
                chance.choice([None, shelf]),
            ),
            Quantity(chance.choice(["till-1", "dock-1"]), chance.randint(1, 6)),
        ]
        return "console", Command(chance.choices(orders, [10, 8, 4, 3, 1])[0])
    if kind < 63:
        return chance.choice(["scale-a1", "scale-a2"]), DeviceState(
            chance.choice(["up", "down"]),
            "x",  # type: ignore[arg-type]
        )
    return "console", Command(Tare("scale-a1"))


# --- running it -------------------------------------------------------------------------------


class Run:
    """An engine, what it said, and the journal it could be built from again."""

    def __init__(self) -> None:
        self.past, self.posted, self.notes, self.observations = Past(), [], [], []
        self.alerts: list[Told] = []
        self.balances: dict[tuple[str, str, str], Balance] = {}
        self.parts: dict[str, bytes] = {}
        self.engine = Engine(CONFIG, SHOP, wire.ZERO_INST, self.past)
        self.position = EMPTY.position

    def take(self) -> Outcome:
        outcome = self.engine.take()
        for posted in outcome.posted:
            self.past.add(posted.event)
        self.posted += outcome.posted
        self.observations += outcome.observations
        self.notes += outcome.notes
        self.alerts += outcome.alerts
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


def fold(observations: Iterable[tuple[int, Observation]], end_ns: int) -> list[bytes]:
    """The second door of `stockd verify`: what the filters said, through fuse and book again."""
    past, out = Past(), []
    poster = Poster(SHOP, Book(), wire.ZERO_INST, 1, past)
    fusion = Fusion(SHOP, CONFIG.fusion, poster, frozenset(("a1", "a2")), {})
    for number, observation in [*observations, (0, None)]:
        now = end_ns if observation is None else observation.at_ns
        while (due := fusion.deadline()) is not None and due <= now:
            fusion.advance(due)
        if observation is not None:
            fusion.observe(number, observation)
        for posted in poster.take()[0]:
            past.add(posted.event)
            out.append(body(posted))
    return out


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
