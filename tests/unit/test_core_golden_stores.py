"""Every folder of tests/golden/stores through `replay`: expected stock as a manager would read it.

STOCKD_REWRITE_GOLDEN=1 rewrites each `expected.txt`; the difference is reviewed: it is behaviour.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from gateway.config import Loaded, load
from gateway.core.engine import Engine
from gateway.core.outcome import Outcome
from gateway.domain import wire
from gateway.domain.observation import BayStep, Dropped, LevelClaim, ModeChanged, WeightStep
from gateway.domain.reading import Reading
from gateway.domain.stock import StockEvent
from gateway.replay import Past, replay

GOLDEN = Path(__file__).parents[1] / "golden" / "stores"
CASES = sorted(p.parent for p in GOLDEN.glob("*/expected.txt")) or [GOLDEN]
if os.environ.get("STOCKD_REWRITE_GOLDEN"):
    CASES = sorted({p.parent for n in ("script.txt", "trace.jsonl") for p in GOLDEN.glob(f"*/{n}")})
Balances = Mapping[tuple[str, str, str], int]
HEAD = b'{"trace":1,"store":"s0001","config_sha256":null}'


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


SCRIPT = module(GOLDEN / "script.py")


def shop_of(case: Path) -> Loaded:
    own = case / "store.toml"
    kind = case.name.partition("_")[0]
    shared = GOLDEN / (f"_{kind}" if kind in ("bay", "tags") else "_store") / "store.toml"
    return load(own if own.exists() else shared)


def lines_of(case: Path, shop: Loaded) -> list[bytes]:
    trace = case / "trace.jsonl"
    if trace.exists():
        return trace.read_bytes().splitlines()
    gtins = {product.name: product.gtin for product in shop.store.products}
    script = SCRIPT.Script((case / "script.txt").read_text("utf-8"), gtins)
    return [HEAD, *(wire.reading_line(reading) for reading in script.readings())]


# --- what happened, as text -------------------------------------------------------------------


def quantity(qty_milli: int) -> str:
    sign = "+" if qty_milli > 0 else "-" if qty_milli < 0 else ""
    whole, part = divmod(abs(qty_milli), 1000)
    return f"{sign}{whole}" + (f".{part:03d}".rstrip("0") if part else "")


def clock(at_ns: int, start_ns: int) -> str:
    seconds, rest = divmod(at_ns - start_ns, 1_000_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}.{rest // 1_000_000:03d}"


def grams(mass_mg: int) -> str:
    return f"{(mass_mg + 500) // 1000:+d}"


def step(seen: WeightStep) -> str:
    outage = ", after an outage" if seen.outage else ""
    return f"{seen.location}: {grams(seen.step_mg)} g{outage}"


class Teller:
    """Words for what the core says, in one order of time."""

    def __init__(self, shop: Loaded, start_ns: int) -> None:
        self._names = {p.gtin: p.name for p in shop.store.products}
        self._start_ns = start_ns
        self._seqs: dict[str, int] = {}

    def name(self, gtin: str) -> str:
        return self._names.get(gtin, gtin)

    def event(self, event: StockEvent) -> str:
        self._seqs[event.id] = event.seq
        words = [f"{event.seq:>3}", clock(event.at_ns, self._start_ns), f"{event.kind:<12}"]
        goods = ""
        for line in event.lines:
            label = self.name(line.gtin) + (f" {line.lot}" if line.lot else "")
            label += f" (until {line.exp})" if line.exp else ""
            if label != goods:
                words.append(f"{label}:")
                goods = label
            counted = "" if line.counted is msgspec.UNSET else f" counted {quantity(line.counted)}"
            words.append(f"{line.loc} {quantity(line.d)}{counted}")
        if event.conf is not None:
            words.append(f"| conf {event.conf}")
        if event.reason is not None:
            words.append(f"| {event.reason}")
        if event.corr is not None:
            words.append(f"| of #{self._seqs.get(event.corr)}")
        if event.ref is not None:
            words.append(f"| {event.ref.type} {event.ref.id}")
        words += [f"| by {source.dev}" for source in event.src]
        return " ".join(words)

    def others(self, outcome: Outcome) -> Iterator[str]:
        for _, seen in outcome.observations:
            head = f"  - {clock(seen.at_ns, self._start_ns)}"
            if isinstance(seen, Dropped):
                again = " (a repeat)" if seen.duplicate_of else ""
                text = seen.data.replace("\x1d", "<GS>")
                why = f"{text} in {seen.mode}, {seen.reason}{again}"
                yield f"{head} dropped      {seen.device}: {why}"
            elif isinstance(seen, ModeChanged):
                why = f"{seen.before} to {seen.after}, {seen.why}"
                yield f"{head} mode         {seen.device}: {why}"
            elif isinstance(seen, WeightStep):
                yield f"{head} step         {step(seen)}"
            elif isinstance(seen, LevelClaim):
                best = seen.first_units + seen.likelihood_mnat.index(0)
                what = f"{best} {self.name(seen.gtin)}"
                yield f"{head} claim        {seen.location}: {seen.source} counts {what}"
            elif isinstance(seen, BayStep):
                yield f"{head} steps        {'; '.join(step(one) for one in seen.steps)}"
        for note in outcome.notes:
            yield f"  - {clock(note.at_ns, self._start_ns)} note         {note.code}: {note.text}"


def told(shop: Loaded, readings: Iterable[Reading]) -> tuple[str, list[StockEvent], Balances]:
    engine_past, out, events = Past(), [], []
    engine = Engine(shop.settings, shop.store, wire.ZERO_INST, engine_past)
    teller: Teller | None = None
    for reading in readings:
        if teller is None:
            teller = Teller(shop, reading.at_ns // 1_000_000_000 * 1_000_000_000)
        engine.receive(reading)
        outcome = engine.take()
        out += teller.others(outcome)
        for posted in outcome.posted:
            engine_past.add(posted.event)
            events.append(posted.event)
            out.append(teller.event(posted.event))
    assert teller is not None
    out.append("")
    for (loc, gtin, lot), qty in engine.balances().items():
        out.append(
            f"    {loc:<10} {quantity(qty):>8} {teller.name(gtin)}{' ' + lot if lot else ''}"
        )
    return "\n".join(out) + "\n", events, engine.balances()


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_store(case: Path) -> None:
    shop = shop_of(case)
    lines = lines_of(case, shop)
    text, events, balances = told(shop, [wire.read_reading(line) for line in lines[1:] if line])
    expected = case / "expected.txt"
    if os.environ.get("STOCKD_REWRITE_GOLDEN"):
        expected.write_text(text, "utf-8")
    assert text == expected.read_text("utf-8")

    bodies = list(replay(shop.settings, shop.store, lines))
    assert bodies == [wire.stock_body(e, wire.replay_stamp(e.at_ns)) for e in events]
    assert list(replay(shop.settings, shop.store, lines, batch=7)) == bodies
    assert list(replay(shop.settings, shop.store, lines, batch=1 << 30)) == bodies
    folded: dict[tuple[str, str, str], int] = {}
    for event in events:
        for line in event.lines:
            key = (line.loc, line.gtin, line.lot or "")
            folded[key] = folded.get(key, 0) + line.d
    assert {key: qty for key, qty in folded.items() if qty} == dict(balances)


def test_every_folder_says_why() -> None:
    assert CASES != [GOLDEN]
    for case in CASES:
        assert (case / "NOTE.md").read_text("utf-8").strip(), case.name
