"""What must hold of alerts, whatever happens in a store: they alternate, none is forgotten."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alert_words import Names
from gateway.domain.alert import Alert, Told
from gateway.domain.calendar import Calendar
from gateway.domain.reading import Body, DeviceState, Reading, Scan, Tare, Weight
from gateway.domain.stock import BASKET, VIRTUAL

_SPEC = importlib.util.spec_from_file_location(
    "golden_alert_days", Path(__file__).parents[1] / "golden" / "stores" / "days.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
days = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = days
_SPEC.loader.exec_module(days)

START, SECOND, CUP = days.START, days.SECOND, days.CUP
days.SHOP = msgspec.structs.replace(  # type: ignore[attr-defined]
    days.SHOP,
    products=tuple(
        msgspec.structs.replace(
            product,
            low_stock_milli=3000,
            near_expiry_days=n * 30,
            unit_price_minor=999 if n else None,
        )
        for n, product in enumerate(days.SHOP.products)
    ),
    calendar=Calendar((-(2**62), START // SECOND + 86_400 * 40), (8 * 3600, 9 * 3600)),
)


def long_talk(seed: int) -> list[Reading]:
    """Months of scans, counts and clocks without a plate, on dates that come due on the way."""
    chance, at, out = random.Random(seed), START, []
    for n in range(90):
        at += chance.choice([0, 60, 3600, 86_400, 86_400 * 9]) * SECOND
        name, body = days.remark(chance, n + 1)
        if chance.random() < 0.3:
            date = chance.choice(["260601", "260602", "260701", "260815"])
            lot, mode = chance.choice(["L1", "L2", "L3"]), chance.choice(["receive", "sale"])
            name, body = "dock-1", Scan(f"01{CUP}17{date}10{lot}", None, mode)  # type: ignore[arg-type]
        if not isinstance(getattr(body, "order", None), Tare):
            out.append(Reading(at, name, body))
    out.append(Reading(at + 86_400 * 40 * SECOND, "clock", DeviceState("up", "time goes on")))
    return out


TALKS = st.builds(long_talk, st.integers(0, 2**32))
BUSY = st.builds(days.busy_day, st.integers(0, 2**32), st.just(600))


@settings(deadline=None, max_examples=40)
@given(st.one_of(TALKS, BUSY))
def test_each_is_raised_once_and_cleared_once(day: list[Reading]) -> None:
    run, names = days.straight(day), Names(days.SHOP)
    still: dict[str, Alert] = {}
    for one in run.alerts:
        assert (one.alert.key in still) == one.over
        assert "None" not in names.sentence(one.alert, "en") + names.sentence(one.alert, "zh-CN")
        if one.over:
            del still[one.alert.key]
        else:
            still[one.alert.key] = one.alert
    assert {alert.key for alert in run.engine.alerts()} == set(still)
    times = [one.at_ns for one in run.alerts]
    assert times == sorted(times)


@settings(deadline=None, max_examples=40)
@given(TALKS, st.integers(1, 60), st.integers(0, 2**32))
def test_restarts_change_no_alert(said: list[Reading], percent: int, seed: int) -> None:
    plain, cut, chance = days.straight(said), days.Run(), random.Random(seed)
    for reading in said:
        if chance.randrange(100) < percent:
            cut.restart()
        cut.engine.receive(reading)
    cut.restart()
    assert cut.alerts == plain.alerts
    assert cut.parts == plain.parts
    assert cut.engine.alerts() == plain.engine.alerts()


@settings(deadline=None, max_examples=30)
@given(st.one_of(TALKS, BUSY), st.integers(0, 2**32))
def test_wake_ups_change_no_alert(day: list[Reading], seed: int) -> None:
    plain, woken, chance, now = days.straight(day), days.Run(), random.Random(seed), START
    for reading in day:
        due = woken.engine.deadline()
        if due is not None and due < reading.at_ns and chance.random() < 0.5:
            woken.engine.advance(chance.randint(max(now, due), reading.at_ns))
        now = reading.at_ns
        woken.engine.receive(reading)
        if chance.random() < 0.3:
            woken.take()
    woken.take()
    assert woken.alerts == plain.alerts


@settings(deadline=None, max_examples=30)
@given(st.one_of(TALKS, BUSY))
def test_what_the_book_says_is_what_is_open(day: list[Reading]) -> None:
    """Levels and dates, computed again from the balances alone, after every reading."""
    run = days.Run()
    products = days.SHOP.product_by_gtin()
    for reading in day:
        run.engine.receive(reading)
        run.take()
        held: dict[str, int] = {}
        lots: dict[tuple[str, str], int] = {}
        for (loc, gtin, lot), qty in run.engine.balances().items():
            if loc not in VIRTUAL and loc != BASKET:
                held[gtin] = held.get(gtin, 0) + qty
                lots[gtin, lot] = lots.get((gtin, lot), 0) + qty
        seen = {key[1] for key in run.balances}
        low = {g for g in seen if g in products and held.get(g, 0) < 3000}
        opened = run.engine.alerts()
        assert {a.gtin for a in opened if a.code == "low_stock"} == low
        dated = [a for a in opened if a.code in ("near_expiry", "expired")]
        assert all(lots[a.gtin or "", a.lot or ""] == a.qty_milli for a in dated)
        assert len({(a.gtin, a.lot) for a in dated}) == len(dated), "never both"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(days.DEVICES, st.one_of(days.SAID, days.OTHERS, st.builds(
    Weight, st.integers(-(10**12), 10**12)))), max_size=40), st.integers(0, 10**9))  # fmt: skip
def test_nothing_raises(said: list[tuple[str, Body]], pause_s: int) -> None:
    run = days.straight(
        Reading(START + n * pause_s * SECOND, name, body) for n, (name, body) in enumerate(said)
    )
    assert all(isinstance(one, Told) for one in run.alerts)
