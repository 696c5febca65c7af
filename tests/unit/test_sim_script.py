"""The world's script: repeatable by its seed, conserving goods, quiet at its end."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from random import Random

import pytest

from drivers.sim.actions import Action, Beam, Bump, Handling, Moved
from drivers.sim.goods import Goods
from drivers.sim.layout import Layout, layout_of
from drivers.sim.levels import DEMO, LEVELS
from drivers.sim.script import FOR_EVER_NS, begin, closing_ns
from drivers.sim.truth import TrueStock
from drivers.sim.world import World
from gateway.domain.ids import check_digit
from gateway.domain.settings import DeviceSettings, ScanSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store

S = 1_000_000_000
PLATES = ("a1", "a2", "a3", "b1", "b2", "b3")
MASSES_G = (250, 2000, 1050, 5000, 120, 500, 90, 40)
OUT = {"sale": "@sold", "theft": "@lost", "unpaid": "@lost", "writeoff": "@waste"}


def _gtin(number: int) -> str:
    digits = f"0950600{number:06d}"
    return digits + str(check_digit(digits))


def _store() -> tuple[Store, Layout]:
    shelves = [Location(p, "shelf", bay=p[0].upper(), position=int(p[1])) for p in PLATES]
    places = (
        Location("back", "backroom"),
        Location("dock", "receiving"),
        *shelves,
        Location("c1", "shelf"),
        Location("till-1", "till"),
    )
    products = tuple(
        Product(_gtin(n), f"Goods {n}", unit_mass_mg=mass * 1000, category="ab"[n % 2])
        for n, mass in enumerate(MASSES_G)
    )
    homes = (*PLATES, "c1", "c1")
    planogram = tuple(
        Facing(home, f"{home}-{n}", product.gtin, capacity_milli=16_000)
        for n, (home, product) in enumerate(zip(homes, products, strict=True))
    )
    scales = tuple(
        DeviceSettings(f"scale-{p}", "scale_sics", f"serial:///nowhere/{p}", p) for p in PLATES
    )
    modes = ["receive", "restock", "writeoff", "return"]
    settings = Settings(
        StoreSettings("s0001"),
        scan=ScanSettings("SIM"),
        location=places,
        device=(
            *scales,
            DeviceSettings("scan-till", "scanner_serial", "serial:///nowhere/till", "till-1"),
            DeviceSettings(
                "scan-dock",
                "scanner_hid",
                "evdev:///nowhere/dock",
                "dock",
                {"mode": "receive", "modes": modes, "aim": True},
            ),
        ),
    )
    store = Store("s0001", places, products, planogram)
    return store, layout_of(settings, store)


def _script(seed: int, level: str, seconds: int) -> tuple[World, list[Action]]:
    store, layout = _store()
    world = begin(store, layout, seed, LEVELS[level], DEMO, seconds * S)
    return world, world.until(FOR_EVER_NS)


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_seed_gives_the_same_script_however_it_is_asked_for(level: str) -> None:
    _, whole = _script(7, level, 300)
    store, layout = _store()
    world = begin(store, layout, 7, LEVELS[level], DEMO, 300 * S)
    pieces: list[Action] = []
    for step in range(1, 2000):
        pieces += world.until(step * S // 3)
    assert pieces + world.until(FOR_EVER_NS) == whole
    assert [a.at_ns for a in whole] == sorted(a.at_ns for a in whole)
    assert _script(8, level, 300)[1] != whole


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(5))
def test_goods_are_conserved_and_lie_where_the_truth_says(level: str, seed: int) -> None:
    store, layout = _store()
    world = begin(store, layout, seed, LEVELS[level], DEMO, 600 * S)
    opening = world.opening()
    script = world.until(FOR_EVER_NS)
    stock = TrueStock(opening)
    for act in script:
        stock.apply(act)
    expected = Counter[str]()
    for row in opening:
        expected[row.gtin] += row.qty_milli
    for act in script:
        if isinstance(act, Moved):
            if act.what in ("receive", "return"):
                expected[act.gtin] += 1000 * act.units
            elif act.what in OUT:
                expected[act.gtin] -= 1000 * act.units
                assert act.target == OUT[act.what]
    truth = {row.gtin: row for row in stock.rows()}
    assert {gtin: row.on_hand_milli for gtin, row in truth.items()} == dict(expected)
    # the world's own shelves are a second account of the same goods
    lying = {(row.location, row.gtin): row.qty_milli for row in world.opening()}
    told = {(place, r.gtin): q for r in truth.values() for place, q in r.by_location.items()}
    assert told == lying
    assert all(quantity > 0 for quantity in told.values())


def test_every_sale_and_delivery_of_a_quiet_shop_is_scanned_exactly_once() -> None:
    for seed in range(10):
        _, script = _script(seed, "quiet", 600)
        assert {a.what for a in script if isinstance(a, Moved)} <= {
            "pick", "putback", "sale", "receive", "restock", "return", "writeoff",
        }  # fmt: skip
        scanned, sold = Counter[str](), Counter[str]()
        for act in script:
            if isinstance(act, Beam) and act.device == "scan-till" and not act.echo:
                scanned["0" + act.barcode.text] += 1
            if isinstance(act, Moved) and act.what == "sale":
                sold[act.gtin] += act.units
            if isinstance(act, Moved) and act.what == "putback":
                assert act.target == next(
                    a.origin
                    for a in reversed(script[: script.index(act)])
                    if isinstance(a, Moved) and a.what == "pick" and a.who == act.who
                )
        assert scanned == sold
        assert sum(sold.values()) > 50


def test_the_staff_scanner_always_returns_to_its_own_mode_and_counts_what_it_scans() -> None:
    for level in ("quiet", "L2"):
        _, script = _script(3, level, 600)
        mode, times, booked = "receive", 1, Counter[tuple[str, str]]()
        moved = Counter[tuple[str, str]]()
        for act in script:
            if isinstance(act, Beam) and act.device == "scan-dock" and not act.echo:
                text = act.barcode.text
                if text.startswith("SIMMODE:"):
                    mode = text.removeprefix("SIMMODE:")
                elif text.startswith("SIMQTY:"):
                    times = int(text.removeprefix("SIMQTY:"))
                else:
                    gtin = text[2:16] if act.barcode.aim == "]d2" else "0" + text
                    booked[mode, gtin] += times
                    times = 1
            elif isinstance(act, Moved) and act.what in ("receive", "restock", "return"):
                moved[act.what, act.gtin] += act.units
        assert (mode, times) == ("receive", 1)
        if level == "quiet":
            del booked["writeoff", ""]
            assert {k: n for k, n in booked.items() if k[0] != "writeoff"} == moved
        assert {k[0] for k in booked} >= {"receive", "restock"}


def test_a_demo_compresses_the_way_from_pick_to_till_to_a_quarter_of_a_minute() -> None:
    waits_s: list[float] = []
    for seed in range(20):
        picked: dict[tuple[int, str], list[int]] = {}
        for act in _script(seed, "quiet", 600)[1]:
            if isinstance(act, Moved) and act.what in ("pick", "putback", "sale"):
                times = picked.setdefault((act.who, act.gtin), [])
                if act.what == "pick":
                    times += [act.at_ns] * act.units
                else:
                    begun_ns = times.pop(0)
                    waits_s += [(act.at_ns - begun_ns) / S] if act.what == "sale" else []
    waits_s.sort()
    assert 11.0 < waits_s[len(waits_s) // 2] < 16.0
    assert waits_s[0] >= DEMO.walk_min_s > 5.0
    assert waits_s[len(waits_s) * 95 // 100] < 40.0


def test_polite_people_keep_apart_and_others_collide() -> None:
    def closest_s(level: str, seed: int) -> float:
        free: dict[str, int] = {}
        closest = 10**12
        for act in _script(seed, level, 900)[1]:
            if isinstance(act, Handling):
                if act.location in free:
                    closest = min(closest, act.at_ns - free[act.location])
                end = act.at_ns + max(act.lasts_ns, act.release_ns + act.ramp_ns)
                free[act.location] = max(end, free.get(act.location, 0))
        return closest / S

    assert min(closest_s("quiet", seed) for seed in range(10)) >= DEMO.apart_s
    assert min(closest_s("L1", seed) for seed in range(10)) < DEMO.apart_s


@pytest.mark.parametrize("duration_s", [5, 30, 60, 300])
@pytest.mark.parametrize("seed", range(4))
def test_all_is_quiet_before_the_end(duration_s: int, seed: int) -> None:
    store, layout = _store()
    level = LEVELS["quiet"]
    close_ns = closing_ns(store, layout, seed, level, DEMO, duration_s * S)
    world = begin(store, layout, seed, level, DEMO, close_ns)
    opening = world.opening()
    script = world.until(FOR_EVER_NS)
    stock = TrueStock(opening)
    for act in script:
        stock.apply(act)
    assert world.next_ns() is None
    assert all(act.at_ns <= (duration_s - DEMO.settle_s) * S for act in script)
    assert all("@basket" not in row.by_location for row in stock.rows())
    if duration_s >= 60:
        assert close_ns >= duration_s * S / 4
        assert any(isinstance(act, Moved) and act.what == "sale" for act in script)


def test_mistakes_come_as_often_as_the_table_says() -> None:
    sales = picks = unpaid = stolen = echoes = beams = doubled = 0
    for seed in range(60):
        _, script = _script(seed, "L3", 900)
        moved = [a for a in script if isinstance(a, Moved)]
        sales += sum(a.what == "sale" for a in moved)
        unpaid += sum(a.what == "unpaid" for a in moved)
        picks += sum(a.what == "pick" for a in moved)
        stolen += sum(len({(a.who, a.gtin)}) for a in moved if a.what == "theft")
        all_beams = [a for a in script if isinstance(a, Beam)]
        echoes += sum(a.echo for a in all_beams)
        at_till = sum(a.device == "scan-till" and not a.echo for a in all_beams)
        beams += len(all_beams)
        doubled += at_till - sum(a.what == "sale" for a in moved)

    def near(count: int, of: int, share: float) -> bool:
        return abs(count - of * share) <= 4 * sqrt(of * share) + 1

    assert sales > 5000
    assert near(unpaid, sales + unpaid, LEVELS["L3"].missed)
    assert near(doubled, sales, LEVELS["L3"].doubled)
    assert near(echoes, beams - echoes, LEVELS["L3"].echoes)
    assert near(stolen, picks, LEVELS["L3"].theft * 1.25)


def test_hands_slow_picks_and_straddling_items_follow_the_table() -> None:
    handlings: list[Handling] = []
    bumps = 0
    for seed in range(40):
        _, script = _script(seed, "L2", 900)
        handlings += [a for a in script if isinstance(a, Handling)]
        bumps += sum(isinstance(a, Bump) for a in script)
    goods = [h for h in handlings if h.loads]
    touches = [h for h in handlings if not h.loads]
    assert max(abs(h.hand_mg) for h in handlings) <= 300_000
    assert min(abs(h.hand_mg) for h in handlings) >= 60_000
    assert {h.hand_mg > 0 for h in handlings} == {True, False}
    slow = [h for h in goods if h.lasts_ns >= 3 * S]
    assert 0.03 < len(slow) / len(goods) < 0.07
    assert all(h.lasts_ns <= 6.5 * S for h in slow)
    hours = 40 * 900 / 3600
    assert len(touches) == pytest.approx(20 * len(PLATES) * hours, rel=0.15)
    assert 5 <= bumps <= 40
    shares = []
    for act in goods:
        own = sum(load.mass_mg for load in act.loads if load.location == act.location)
        beside = [load.mass_mg for load in act.loads if load.location != act.location]
        assert {load.location for load in act.loads} <= set(PLATES)
        shares += [mass / own for mass in beside]
    talk = [share for share in shares if share < 0.0201]
    assert len(talk) > len(goods) / 2
    assert min(talk) >= 0.0099
    assert 0 < len(shares) - len(talk) < 0.1 * len(goods)


@pytest.mark.parametrize(("level", "bound"), [("quiet", 0.0101), ("L1", 0.0101), ("L2", 0.0701)])
def test_true_masses_deviate_from_the_catalogue(level: str, bound: float) -> None:
    products = [Product(_gtin(n), "", unit_mass_mg=500_000) for n in range(300)]
    goods = Goods(products, LEVELS[level], Random(1))
    off = [goods.mean_mg(p.gtin) / 500_000 - 1 for p in products]
    assert max(map(abs, off)) <= bound
    assert abs(sum(off)) / len(off) < 0.01
    far = [share for share in off if abs(share) > 0.05]
    assert (0.12 < len(far) / len(off) < 0.28) if level == "L2" else not far
    gtin = products[0].gtin
    masses = [goods.item(gtin).mass_mg for _ in range(2000)]
    centre = sum(masses) / len(masses)
    cv = sqrt(sum((m - centre) ** 2 for m in masses) / len(masses)) / centre
    low, high = LEVELS[level].mass_cv_clip
    assert 0.9 * low < cv < 1.05 * high
    assert abs(centre / goods.mean_mg(gtin) - 1) < 4 * cv / sqrt(2000)


def test_without_a_prefix_staff_only_receive_and_nobody_scans_a_mode() -> None:
    store, layout = _store()
    staff = layout.staff
    assert staff is not None
    bare = type(layout)(
        weighed=layout.weighed,
        neighbours=layout.neighbours,
        bays=layout.bays,
        tills=layout.tills,
        staff=type(staff)(staff.device, staff.goods, staff.mode, (), aim=False),
        prefix="",
    )
    script = begin(store, bare, 1, LEVELS["quiet"], DEMO, 300 * S).until(FOR_EVER_NS)
    at_dock = [a for a in script if isinstance(a, Beam) and a.device == "scan-dock"]
    assert at_dock
    assert all(len(a.barcode.text) == 13 for a in at_dock)
    kinds = {a.what for a in script if isinstance(a, Moved)}
    assert kinds <= {"pick", "putback", "sale", "receive"}
