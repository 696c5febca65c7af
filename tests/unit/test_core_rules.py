"""Single rules of the core that no whole store shows: late deadlines, lagging history, expiry."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.core.book import Balance, Book, BrokenInvariant, Posting
from gateway.core.engine import Engine
from gateway.core.plate_words import PlateRules
from gateway.core.postings import RECENT_EVENTS
from gateway.core.scans import SEEN_MAX, Scanner, ScannerRules, ScannerState
from gateway.core.serials import MEMORY_NS, SERIALS_MAX, Serials
from gateway.core.weigh import Plate
from gateway.domain import wire
from gateway.domain.observation import Dropped, ScanMove
from gateway.domain.reading import Command, Reading, Scan, Stocktake, Void, Weight
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import ADJUST, VIRTUAL
from gateway.replay import Past

_SPEC = importlib.util.spec_from_file_location(
    "golden_days", Path(__file__).parents[1] / "golden" / "stores" / "days.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
days = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = days
_SPEC.loader.exec_module(days)

SECOND, START, JAR, CUP = days.SECOND, days.START, days.JAR, days.CUP


def label(lot: str = "", serial: str = "", expiry: str = "") -> str:
    text = f"01{CUP}" + (f"17{expiry}" if expiry else "")
    text += f"10{lot}\x1d" if lot else ""
    return text + (f"21{serial}" if serial else "")


def scan(at_s: int, device: str, text: str, mode: str) -> Reading:
    return Reading(START + at_s * SECOND, device, Scan(text, "]d2", mode))  # type: ignore[arg-type]


def stocktake(at_s: int, qty_milli: int) -> Reading:
    return Reading(START + at_s * SECOND, "console", Command(Stocktake("a1", JAR, qty_milli)))


def removal() -> list[Reading]:
    """Six seconds of a plate; 313 g leave, a tin or perhaps a box."""
    return [
        Reading(
            START + SECOND + tick * SECOND // 10,
            "scale-a2",
            Weight(9_000_000 - (313_000 if tick > 30 else 0)),
        )
        for tick in range(60)
    ]


@pytest.mark.parametrize("cut", [False, True])
def test_what_is_due_before_it_is_known_is_late(monkeypatch: pytest.MonkeyPatch, cut: bool) -> None:
    """A step waits 60 s, a basket 10 s: when the pick is posted its unit is overdue, not before."""
    short = FusionSettings(basket_timeout_s=10, pending_step_s=60)
    monkeypatch.setattr(days, "CONFIG", msgspec.structs.replace(days.CONFIG, fusion=short))
    run = days.Run()
    for reading in [stocktake(0, 5000), *removal()]:
        run.engine.receive(reading)
    due = run.engine.deadline()
    assert due is not None
    if cut:
        run.engine.receive(Reading(due, "clock", days.DeviceState("up", "x")))
        run.restart()
    run.engine.receive(Reading(due + 1, "clock", days.DeviceState("up", "x")))
    run.take()
    told = [(posted.event.kind, posted.event.at_ns) for posted in run.posted]
    assert told[-2:] == [("pick", due), ("loss", due)]
    assert days.fold(run.observations, due + 1) == run.bodies


@pytest.mark.parametrize("cut", [False, True])
def test_a_pick_longer_than_the_basket_waits(monkeypatch: pytest.MonkeyPatch, cut: bool) -> None:
    """A hand stays on the shelf for 20 s, a basket for 10: the loss is told with its pick."""
    short = FusionSettings(basket_timeout_s=10)
    monkeypatch.setattr(days, "CONFIG", msgspec.structs.replace(days.CONFIG, fusion=short))
    run, at_ns = days.Run(), START
    run.engine.receive(stocktake(0, 5000))
    for tick in range(260):
        at_ns += SECOND // 10
        hand_mg = 300_000 * (tick % 4 // 2) if 30 < tick < 230 else 0
        mass_mg = 9_000_000 + hand_mg - (500_000 if tick > 200 else 0)
        run.engine.receive(Reading(at_ns, "scale-a1", Weight(mass_mg)))
        if cut and run.take().posted:
            run.restart()
    run.take()
    (pick,) = [p.event for p in run.posted if p.event.kind == "pick"]
    (loss,) = [p.event for p in run.posted if p.event.kind == "loss"]
    assert loss.at_ns == pick.at_ns
    assert days.fold(run.observations, at_ns) == run.bodies


@pytest.mark.parametrize("together", [1, RECENT_EVENTS + 40])
def test_a_void_finds_what_is_not_yet_committed(together: int) -> None:
    past = Past()
    engine = Engine(days.CONFIG, days.SHOP, wire.ZERO_INST, past)
    for n in range(together):
        engine.receive(stocktake(n, n * 1000 + 1000))
    given = engine.take().posted
    assert len(given) == together
    engine.receive(Reading(START + 10**4 * SECOND, "console", Command(Void(1))))
    engine.receive(Reading(START + 10**4 * SECOND, "console", Command(Void(given[-1].event.id))))
    engine.receive(Reading(START + 10**4 * SECOND, "console", Command(Void(1))))
    outcome = engine.take()
    kinds = [posted.event.kind for posted in outcome.posted]
    assert kinds.count("void") == (1 if together == 1 else 2)
    assert outcome.notes[-1].code == "void_refused"
    for posted in (*given, *outcome.posted):  # now the journal has them
        past.add(posted.event)
    engine.receive(Reading(START + 10**4 * SECOND, "console", Command(Void(1))))
    assert engine.take().notes[0].text.endswith("before")


def test_an_expiry_learned_late_reaches_every_balance_of_its_lot() -> None:
    run = days.Run()
    for reading in (
        scan(0, "dock-1", label("L1"), "receive"),
        scan(5, "dock-1", label("L1"), "restock"),
        scan(10, "dock-1", label("L1", expiry="260930"), "receive"),
    ):
        run.engine.receive(reading)
    run.take()
    kept = {key: balance.exp for key, balance in run.balances.items()}
    assert kept["b1", CUP, "L1"] == kept["dock", CUP, "L1"] == "2026-09-30"


def test_a_looked_up_label_teaches_nothing() -> None:
    run = days.Run()
    run.engine.receive(scan(0, "dock-1", label("L1"), "receive"))
    run.engine.receive(scan(5, "dock-1", label("L1", expiry="260930"), "lookup"))
    run.engine.receive(scan(9, "dock-1", label("L1"), "writeoff"))
    run.take()
    assert {line.exp for posted in run.posted for line in posted.event.lines} == {None}


def test_lots_leave_in_order_of_expiry_then_of_receipt() -> None:
    book = Book()
    book.learn_uom(CUP, "EA")
    for lot, exp in (
        ("Z", None),
        ("", None),
        ("A", None),
        ("M", "2027-01-01"),
        ("N", "2026-01-01"),
    ):
        if exp:
            book.learn_expiry(CUP, lot, exp)
        book.lines([Posting("a1", CUP, lot, 1000), Posting(ADJUST, CUP, lot, -1000)], VIRTUAL)
    order = [lot for lot, _ in book.first_expired_first_out("a1", CUP, 5000)]
    assert order == ["N", "M", "Z", "A", ""]
    again = Book([Balance("a1", CUP, lot, "EA", None, 1000) for lot in ("Z", "A")])
    assert [lot for lot, _ in again.first_expired_first_out("a1", CUP, 2000)] == ["Z", "A"]


def test_an_event_that_does_not_balance_breaks() -> None:
    book = Book()
    book.learn_uom(CUP, "EA")
    with pytest.raises(BrokenInvariant, match="off by 1000"):
        book.lines([Posting("a1", CUP, None, 1000), Posting(ADJUST, CUP, "L1", -1000)], VIRTUAL)


def test_time_never_goes_back() -> None:
    engine = Engine(days.CONFIG, days.SHOP, wire.ZERO_INST, Past())
    engine.advance(START)
    with pytest.raises(BrokenInvariant, match="time went back"):
        engine.receive(stocktake(-1, 1000))


def test_serials_are_bounded_in_number_and_time() -> None:
    serials = Serials()
    for n in range(SERIALS_MAX + 5):
        assert serials.repeats(n, str(n), "sale", "till-1", f"g.{n}", 0) is None
    assert serials.repeats(SERIALS_MAX, "x", "sale", "till-2", "g.9", 0) == "9"
    assert serials.repeats(SERIALS_MAX, "x", "sale", "till-2", "g.1", 0) is None
    assert serials.repeats(MEMORY_NS + 9, "y", "sale", "till-1", "g.9", 0) is None
    kept = {key: msgspec.json.encode(seen) for key in serials.changed if (seen := serials.get(key))}
    assert len(kept) <= SERIALS_MAX
    again = Serials()
    again.restore({f"serial:{key}": kept[key] for key in sorted(kept, reverse=True)})
    assert again.repeats(MEMORY_NS + 10, "z", "sale", "till-1", "g.9", 0) == "y"


def test_a_flood_of_codes_is_bounded_and_loses_no_scan() -> None:
    scanner = Scanner(ScannerRules("till-1", None, "sale"), Serials())
    seen = [
        scanner.scan(START + n, str(n), Scan(label(f"L{n}"), "]d2"), {})
        for n in range(SEEN_MAX + 10)
    ]
    assert all(isinstance(one[0], ScanMove) for one in seen)
    assert len(scanner.seen) == SEEN_MAX
    again = scanner.scan(START + 10**6, "again", Scan(label(f"L{SEEN_MAX}"), "]d2"), {})
    assert isinstance(again[0], Dropped)
    assert again[0].duplicate_of == str(SEEN_MAX)


def test_a_sudden_change_after_a_step_starts_from_the_new_level() -> None:
    """8 g go in the very window after a step, hidden in the noise: not counted from before it."""
    plate, level, steps = Plate(PlateRules("scale", "a1", 10, 500_000)), 9_000_000, []
    for tick in range(400):
        if tick == 300:
            level -= 500_000
        wobble = 1500 if tick % 4 < 2 else -1500
        step = plate.weight(tick * SECOND // 10, level + wobble, None, ())
        if step is not None:
            steps.append(step)
            level -= 8_000 if len(steps) == 1 else 0
    assert [round(step.step_mg / 1000) for step in steps] == [-500, -8]
    assert abs(steps[1].before_mg - 8_500_000) < 1000


def test_a_scale_silent_for_an_hour_does_not_overshoot() -> None:
    """What an hour of zero tracking would add is more than there is to track."""
    plate, at_ns = Plate(PlateRules("scale", "a1", 10, 500_000)), 0
    for tick in range(300):
        at_ns += SECOND // 10 if tick % 20 else 3600 * SECOND
        plate.weight(at_ns, 9_000_000 if tick < 40 else 9_001_000, None, ())
    state = plate.state
    assert state is not None
    assert 9_000_000 <= state.baseline_mg <= 9_001_000


def test_a_scanner_takes_the_mode_of_its_new_configuration() -> None:
    rules = ScannerRules(device="s", location=None, mode="return")
    assert Scanner(rules, Serials(), ScannerState("receive")).state.mode == "return"
    told = ScannerState("receive", mode_until_ns=5)
    assert Scanner(rules, Serials(), told).state.mode == "receive", "a person said so"
