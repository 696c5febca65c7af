"""What holds for every shop with tags: double entry, any wake-ups, folds, restarts, outages."""

from __future__ import annotations

import random

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.core.book import Balance, Book
from gateway.core.engine import Engine
from gateway.core.fuse import Fusion
from gateway.core.outcome import EMPTY
from gateway.core.postings import Posted, Poster
from gateway.core.sensors import weighed
from gateway.domain import wire
from gateway.domain.observation import Observation
from gateway.domain.reading import (
    Body,
    Command,
    DeviceState,
    Reading,
    Scan,
    Stocktake,
    Tag,
    Void,
    Writeoff,
)
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.stock import VIRTUAL, imbalance
from gateway.domain.store import Facing, Location, Product, Store
from gateway.replay import Past, replay

S = 1_000_000_000
START = 1_780_300_800 * S
GTIN = "80614141123458"
PLACES = (
    Location("a1", "shelf"),
    Location("b1", "shelf"),
    Location("back", "backroom"),
    Location("door", "exit"),
    Location("till", "till"),
)
ANTENNAS = {"a1": 1, "b1": 2, "back": 3, "door": 4, "till": 5}
SHOP = Store("s0001", PLACES, (Product(GTIN, "Collar"),), (Facing("b1", "1", GTIN),))
WEIGHED = DeviceSettings("scale-1", "scale_sics", "serial:///dev/s", "a1", {})
CONFIG = Settings(
    StoreSettings("s0001"),
    location=PLACES,
    device=(
        WEIGHED,
        DeviceSettings(
            "r1", "rfid_llrp", "tcp://10.0.0.7/1", "b1",
            {"antennas": {str(n): place for place, n in ANTENNAS.items() if n != 4}},
        ),
        DeviceSettings("r2", "rfid_llrp", "tcp://10.0.0.7/2", "door", {"antennas": {"4": "door"}}),
        DeviceSettings("till-1", "scanner_serial", "serial:///dev/t", "till", {}),
        DeviceSettings(
            "hand-1", "scanner_serial", "serial:///dev/h", "back",
            {"mode": "restock", "modes": ["writeoff", "receive"]},
        ),
    ),
)  # fmt: skip


def epc(serial: int) -> str:
    return f"3034257BF7194E40000{serial:05X}"


def day(seed: int, steps: int = 30) -> list[Reading]:
    """Serials that are carried about, scans, counts, outages; a reader answers twice a second."""
    chance = random.Random(seed)
    where = {serial: chance.choice(["a1", "b1", "b1", "back"]) for serial in range(14)}
    out: list[tuple[int, str, Body]] = [
        (0, "r1", DeviceState("up", "opened")), (0, "r2", DeviceState("up", "opened")),
    ]  # fmt: skip
    for place in ("a1", "b1", "back"):
        units = sum(at == place for at in where.values()) + chance.choice([0, 0, 1, 6])
        out.append((0, "console", Command(Stocktake(place, GTIN, units * 1000))))
    now, silent = S, {"r1": False, "r2": False}
    for _ in range(steps):
        for serial in chance.sample(sorted(where), chance.choice([0, 0, 1, 1, 3])):
            where[serial] = chance.choice(["a1", "b1", "back", "door", "till", ""])
        out += [(now, *said) for said in remarks(chance, silent)]
        for _ in range(chance.choice([5, 20, 40, 150])):
            for serial, place in where.items():
                device = "r2" if place == "door" else "r1"
                if place and not silent[device] and chance.random() < 0.8:
                    at = now + chance.randrange(S)
                    rssi = -5500 - chance.randrange(300)
                    out.append((at, device, Tag(epc(serial), ANTENNAS[place], rssi)))
            now += S
    out.append((now + 7200 * S, "console", DeviceState("up", "time goes on")))
    out.sort(key=lambda one: one[0])
    return [Reading(START + at, device, body) for at, device, body in out]


def remarks(chance: random.Random, silent: dict[str, bool]) -> list[tuple[str, Body]]:
    kind = chance.randrange(10)
    if kind < 2:
        return [("till-1", Scan(GTIN))]
    if kind == 2:
        return [("hand-1", Scan(GTIN, None, chance.choice(["restock", "writeoff", "receive"])))]  # type: ignore[arg-type]
    if kind == 3:
        place = chance.choice(["a1", "b1", "back"])
        return [("console", Command(Stocktake(place, GTIN, chance.randrange(8) * 1000)))]
    if kind == 4:
        orders = [Void(chance.randrange(1, 30)), Writeoff("b1", GTIN, 1000, "damaged")]
        return [("console", Command(chance.choice(orders)))]
    if kind == 5:
        device = chance.choice(["r1", "r2"])
        silent[device] = not silent[device]
        return [(device, DeviceState("down" if silent[device] else "up", "x"))]
    return []


class Run:
    """An engine and what came of it."""

    def __init__(self) -> None:
        self.past, self.posted, self.position = Past(), [], EMPTY.position
        self.observations: list[tuple[int, Observation]] = []
        self.parts: dict[str, bytes] = {}
        self.engine = Engine(CONFIG, SHOP, wire.ZERO_INST, self.past)

    def take(self) -> None:
        outcome = self.engine.take()
        for posted in outcome.posted:
            self.past.add(posted.event)
        self.posted += outcome.posted
        self.observations += outcome.observations
        for key, part in outcome.parts:
            if part is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = part
        self.position = outcome.position

    @property
    def bodies(self) -> list[bytes]:
        return [body(posted) for posted in self.posted]


def body(posted: Posted) -> bytes:
    return wire.stock_body(posted.event, wire.replay_stamp(posted.event.at_ns))


def straight(readings: list[Reading]) -> Run:
    run = Run()
    for reading in readings:
        run.engine.receive(reading)
    run.take()
    return run


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A day is its seed: there is nothing to shrink."""
DAYS = st.builds(day, st.integers(0, 2**32))


@settings(deadline=None, max_examples=20, phases=QUICK)
@given(DAYS)
def test_the_book_holds(readings: list[Reading]) -> None:
    run, folded = straight(readings), {}
    sources = set()
    for posted in run.posted:
        event = posted.event
        assert imbalance(event.lines) is None
        for line in event.lines:
            key = (line.loc, line.gtin, line.lot or "")
            folded[key] = folded.get(key, 0) + line.d
            assert line.loc in VIRTUAL or folded[key] >= 0
        for source in event.src:
            key2 = (event.kind, source.dev, source.ref)
            assert key2 not in sources or event.reason in ("missed_pick", "reversal")
            sources.add(key2)
    assert {key: qty for key, qty in folded.items() if qty} == dict(run.engine.balances())
    tags, held = run.engine._fusion.tags.serials, run.engine._fusion.tags.held
    for key, one in held.items():
        place = key.partition(" ")[0]
        lying = sum(x.place == place and not x.at_ns for x in tags.values())
        ghosts = sum(tags[epc].place != place for epc, _ in one.missing if epc in tags)
        assert one.tags == lying + ghosts + sum(epc not in tags for epc, _ in one.missing)
        assert 0 <= one.written_off <= one.tags


@settings(deadline=None, max_examples=10, phases=QUICK)
@given(DAYS, st.integers(0, 2**32))
def test_wake_ups_and_batches_change_nothing(readings: list[Reading], seed: int) -> None:
    plain, woken, chance = straight(readings), Run(), random.Random(seed)
    now = START
    for reading in readings:
        while chance.random() < 0.3 and now < reading.at_ns:
            now = chance.randrange(now, min(reading.at_ns, now + 20 * S) + 1)
            woken.engine.advance(now)
        now = reading.at_ns
        woken.engine.receive(reading)
        if chance.random() < 0.1:
            woken.take()
    woken.take()
    assert woken.bodies == plain.bodies
    assert woken.parts == plain.parts
    head = b'{"trace":1,"store":"s0001","config_sha256":null}'
    lines = [head, *(wire.reading_line(reading) for reading in readings)]
    assert list(replay(CONFIG, SHOP, lines, 4096)) == plain.bodies


@settings(deadline=None, max_examples=10, phases=QUICK)
@given(DAYS, st.integers(1, 40), st.integers(0, 2**32))
def test_observations_fold_to_the_same_events_over_any_restarts(
    readings: list[Reading], percent: int, seed: int
) -> None:
    """What a restart of the fusion keeps is all that it knew: same events, same parts."""
    run, chance = straight(readings), random.Random(seed)
    past, out, parts = Past(), [], dict[str, bytes]()
    balances: dict[tuple[str, str, str], Balance] = {}
    poster = Poster(SHOP, Book(), wire.ZERO_INST, 1, past)
    fusion = Fusion(SHOP, CONFIG.fusion, poster, weighed(CONFIG), {})
    for number, observation in [*run.observations, (0, None)]:
        now = run.position.at_ns if observation is None else observation.at_ns
        while (due := fusion.deadline()) is not None and due <= now:
            fusion.advance(due)
        if observation is not None:
            fusion.observe(number, observation)
        for posted in poster.take()[0]:
            past.add(posted.event)
            out.append(body(posted))
        balances |= {(b.loc, b.gtin, b.lot): b for b in poster.book.take_changed()}
        for key in fusion.changed:
            part = fusion.part(key)
            parts.pop(key, None)
            if part is not None:
                parts[key] = msgspec.json.encode(part)
        fusion.changed.clear()
        if chance.randrange(100) < percent:
            poster = Poster(SHOP, Book(balances.values()), wire.ZERO_INST, poster.next_seq, past)
            kept = dict(sorted(parts.items()))
            fusion = Fusion(SHOP, CONFIG.fusion, poster, weighed(CONFIG), kept)
    assert out == run.bodies
    mine = {key: part for key, part in run.parts.items() if key.partition(":")[0] in KINDS}
    assert {key: part for key, part in parts.items() if key.partition(":")[0] in KINDS} == mine


KINDS = ("tag", "tagged", "belief", "trail")


@settings(deadline=None, max_examples=20, phases=QUICK)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 600), min_size=1, max_size=4))
def test_an_outage_at_any_moment_changes_no_balance(seed: int, moments: list[int]) -> None:
    """Goods that stay, some without a tag: whatever goes dark, and however long, nothing moves."""
    chance, run = random.Random(seed), Run()
    counts = {"b1": 12, "back": 9}
    now = START
    for place, units in counts.items():
        run.engine.receive(Reading(now, "console", Command(Stocktake(place, GTIN, units * 1000))))
    tags = [(n, "b1") for n in range(8)] + [(n, "back") for n in range(20, 29)]
    run.engine.receive(Reading(now, "r1", DeviceState("up", "opened")))
    for second in range(700):
        now += S
        if second in moments:
            news = chance.choice(["antenna 2 lost", "antenna 3 lost", ""])
            state = DeviceState("up", news) if news else DeviceState("down", "x")
            run.engine.receive(Reading(now, "r1", state))
            dark = {"antenna 2 lost": "b1", "antenna 3 lost": "back"}.get(news, "all")
            for _ in range(chance.choice([1, 30, 600])):
                now += S
                for serial, place in tags:
                    if dark not in (place, "all"):
                        tag = Tag(epc(serial), ANTENNAS[place], -5500)
                        run.engine.receive(Reading(now, "r1", tag))
            back = news.replace("lost", "connected") or "opened"
            run.engine.receive(Reading(now, "r1", DeviceState("up", back)))
        for serial, place in tags:
            if chance.random() < 0.8:
                tag = Tag(epc(serial), ANTENNAS[place], -5500)
                run.engine.receive(Reading(now, "r1", tag))
    run.take()
    assert [posted.event.kind for posted in run.posted] == ["stocktake", "stocktake"]
