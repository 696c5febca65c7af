"""The weight channel of the store benchmark: ALGORITHMS 8, rows W1 to W8.

Figures of `measure(seed, level)`, each with its counts so that seeds pool (`pooled`). A variant
(L2/60: 60 Hz; L2/s5: sigma 5 g) is named behind the row: `W1/60.recall`, `W6/s5.precision`.

* W1 (53 g alone), W2 (>= 200 g), W7 (53 g at L2/s5), world (the world's masses): raw steps by rule
  7.4: precision, recall from hits, found, truth. `aim3s.` before the name: the baseline, 60 Hz.
* held: 53 g again, every removal slow and pressed on all the while. No gate.
* W3.p50_s, W3.p99_s (world's masses), W3/heavy.p50_s, .p99_s: from the release to the step.
* W1/60/mismatch: with heavy tails of the noise (7.6), on half as many plates; f1 beside each row.
* W4.per_plate_week from W4.false and W4.plate_weeks: idle, with vibration and drift. `touches`:
  false steps of a plate that hands only touch; published beside it.
* W5/<sigma>.top1 from right and asked: product and quantity on mixed plates, true steps given, the
  catalogue as it is; /single one product per plate, /exact a catalogue without errors,
  /mismatch every mass off by 3 % and larger quantities (7.6). `nearest.`: the baseline that takes
  the product and quantity (1 to 4) of the nearest mass.
* W6 and W8: see `booked`.

Not here: physics (`plates`), and no thought of how the core decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from drivers.sim.levels import QUANTITY_SHARES
from gateway.bench.store import aim3s, booked
from gateway.bench.store.aisle import mixed
from gateway.bench.store.plates import (
    CHANNELS,
    Change,
    Channel,
    Sku,
    Stream,
    matched,
    sampled,
    sku,
    stream,
    touched,
    world_mass_g,
)
from gateway.core.plate_words import PlateRules
from gateway.core.weigh import Plate
from gateway.domain.units import NS_PER_S

CLASS_G: Final = 53.0
HEAVY_G: Final = 200.0
PLATES: Final = 10
TAILED_PLATES: Final = 5
ACTS: Final = 50
TOUCHES: Final = 400
IDLE_SAMPLES: Final = 1_728_000
"""A plate-day at 20 Hz."""
SIGMAS_G: Final = (0.5, 1.0, 2.0, 5.0)
ASKED: Final = 1500
TAILS: Final = 0.05
MISMATCH_OFF: Final = 0.03
MISMATCH_SHARES: Final = (0.5, 0.3, 0.2)
"""The model-mismatch row of 7.6: every catalogue mass off by so much; quantities."""
WEEK_S: Final = 7 * 86_400.0

Counts = dict[str, float]


def measure(seed: int, level: str) -> dict[str, float]:
    """All figures of one seed at L1, L2 or L3. Raises KeyError for another level."""
    channel = CHANNELS[level]
    counts: Counts = defaultdict(float)
    figures: dict[str, float] = {}
    for name, which, at_least_g in (("W1", channel, None), ("W2", channel, HEAVY_G)):
        figures |= _steps(counts, name, which, at_least_g, seed)
    figures |= _steps(counts, "world", channel, 0.0, seed)
    if level == "L2":
        fast, coarse = CHANNELS["L2/60"], CHANNELS["L2/s5"]
        tailed = replace(fast, tails=TAILS)
        figures |= _steps(counts, "W1/60", fast, None, seed)
        figures |= _steps(counts, "W2/60", fast, HEAVY_G, seed)
        figures |= _steps(counts, "W1/60/mismatch", tailed, None, seed, TAILED_PLATES)
        figures |= _steps(counts, "W7", coarse, None, seed)
        booked.chain(counts, "/s5", coarse, seed)
    _steps(counts, "held", channel, None, seed)
    _idle(counts, channel, seed)
    _touches(counts, channel, seed)
    _identified(counts, channel, seed)
    booked.chain(counts, "", channel, seed)
    renamed = {"world.p50_s": "W3.p50_s", "world.p99_s": "W3.p99_s",
               "W2.p50_s": "W3/heavy.p50_s", "W2.p99_s": "W3/heavy.p99_s"}  # fmt: skip
    figures = {renamed.get(name, name): value for name, value in figures.items()}
    return {**figures, **derived(counts)}


def pooled(seeds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The figures of several seeds together: ratios of sums; times are averaged."""
    rows = list(seeds)
    sums: Counts = defaultdict(float)
    for row in rows:
        for name, value in row.items():
            if _is_count(name):
                sums[name] += value
    times = [name for name in rows[0] if name.endswith("_s")]
    return {name: sum(row[name] for row in rows) / len(rows) for name in times} | derived(sums)


_RATIOS: Final = (
    ("precision", "hits", "found"),
    ("recall", "hits", "truth"),
    ("top1", "right", "asked"),
    ("per_plate_week", "false", "plate_weeks"),
    ("per_touch", "false", "count"),
)


def _is_count(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last in {part for ratio in _RATIOS for part in ratio[1:]} or booked.is_count(last)


def derived(counts: Mapping[str, float]) -> dict[str, float]:
    """Counts with every ratio that they make. A ratio of nothing is left out."""
    figures = dict(counts)
    for row in dict.fromkeys(name.rpartition(".")[0] for name in counts):
        for ratio, over, under in _RATIOS:
            if counts.get(f"{row}.{under}", 0.0) and f"{row}.{over}" in counts:
                figures[f"{row}.{ratio}"] = counts[f"{row}.{over}"] / counts[f"{row}.{under}"]
        if either := counts.get(f"{row}.found", 0.0) + counts.get(f"{row}.truth", 0.0):
            figures[f"{row}.f1"] = 2.0 * counts[f"{row}.hits"] / either
        figures |= booked.derived(row, counts)
    return figures


# --- steps --------------------------------------------------------------------------------------


def detected(seen: Stream, lightest_g: float) -> list[Change]:
    """What the core's detector makes of one plate's samples, each step when it was known."""
    plate = Plate(PlateRules("scale", "a1", seen.rate_hz, round(lightest_g * 1000.0)))
    found = []
    for at_ns, mass_mg in seen.samples:
        step = plate.weight(at_ns, mass_mg, None, ())
        if step is not None:
            found.append(Change(step.at_ns / NS_PER_S, step.step_mg / 1000.0))
    return found


def _steps(
    counts: Counts,
    name: str,
    channel: Channel,
    at_least_g: float | None,
    seed: int,
    plates: int | None = None,
) -> dict[str, float]:
    """Streams of one class of masses (None: 53 g, one at a time); their latencies, in s."""
    rng = Random(f"{name} {channel.level.name} {seed}")
    latencies: list[float] = []
    for _ in range(PLATES if plates is None else plates):
        mean_g = CLASS_G if at_least_g is None else world_mass_g(rng, at_least_g)
        goods = sku("", mean_g, channel.level, rng)
        seen = stream(channel, goods, ACTS, rng, single=at_least_g is None, held=name == "held")
        found = detected(seen, goods.told_g)
        hits = _judge(counts, name, seen.changes, found)
        latencies += [
            found[hit].at_s - true.at_s
            for true, hit in zip(seen.changes, hits, strict=True)
            if hit >= 0
        ]
        if channel.rate_hz == 60:
            grams = [mass_mg / 1000.0 for _, mass_mg in seen.samples]
            _judge(counts, f"aim3s.{name}", seen.changes, aim3s.steps(grams, channel.rate_hz))
    latencies.sort()
    return {
        f"{name}.p50_s": percentile(latencies, 0.50),
        f"{name}.p99_s": percentile(latencies, 0.99),
    }


def _judge(
    counts: Counts, name: str, truth: Sequence[Change], found: Sequence[Change]
) -> list[int]:
    hits = matched(truth, found)
    counts[f"{name}.hits"] += sum(hit >= 0 for hit in hits)
    counts[f"{name}.truth"] += len(truth)
    counts[f"{name}.found"] += len(found)
    return hits


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share does not exceed; infinity when there is none."""
    if not ordered:
        return float("inf")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _idle(counts: Counts, channel: Channel, seed: int) -> None:
    """Nobody comes: a day of vibration, thermal drift, random walk and spikes."""
    rng = Random(f"W4 {channel.level.name} {seed}")
    plate = Plate(PlateRules("scale", "a1", channel.rate_hz, round(CLASS_G * 1000.0)))
    until_s = IDLE_SAMPLES / channel.rate_hz
    for at_ns, mass_mg in sampled(channel, 20.0 * CLASS_G, [], until_s, rng):
        counts["W4.false"] += plate.weight(at_ns, mass_mg, None, ()) is not None
    counts["W4.plate_weeks"] += until_s / WEEK_S


def _touches(counts: Counts, channel: Channel, seed: int) -> None:
    rng = Random(f"touches {channel.level.name} {seed}")
    goods = sku("", CLASS_G, channel.level, rng)
    seen = touched(channel, goods, TOUCHES, rng)
    counts["touches.false"] += len(detected(seen, goods.told_g))
    counts["touches.count"] += TOUCHES


# --- identification, true steps given -----------------------------------------------------------


def _identified(counts: Counts, channel: Channel, seed: int) -> None:
    """Steps as a single sample on either side would show them: noise sigma, twice."""
    for sigma_g in SIGMAS_G:
        for variant in ("", "/exact", "/single", "/mismatch"):
            rng = Random(f"W5 {channel.level.name} {seed}")
            for _ in range(ASKED // ACTS):
                goods = mixed(rng, channel.level, single=variant == "/single")
                told = [_TOLD.get(variant, _as_it_is)(one, rng) for one in goods]
                shares = MISMATCH_SHARES if variant == "/mismatch" else QUANTITY_SHARES
                _ask(counts, f"W5/{sigma_g:g}{variant}", told, shares, sigma_g, rng)


def _as_it_is(one: Sku, _: Random) -> Sku:
    return one


def _exact(one: Sku, _: Random) -> Sku:
    return replace(one, told_g=one.mean_g, told_sd_g=one.mean_g * one.cv)


def _off(one: Sku, rng: Random) -> Sku:
    told_g = one.mean_g * (1.0 + rng.choice((-1.0, 1.0)) * MISMATCH_OFF)
    return replace(one, told_g=told_g, told_sd_g=one.mean_g * one.cv)


_TOLD: Final = {"/exact": _exact, "/mismatch": _off}


def _ask(
    counts: Counts,
    row: str,
    goods: Sequence[Sku],
    shares: Sequence[float],
    sigma_g: float,
    rng: Random,
) -> None:
    ask = booked.asker(goods)
    for _ in range(ACTS):
        one, units = rng.choice(goods), rng.choices((1, 2, 3), shares)[0]
        mass_g = sum(one.unit_g(rng) for _ in range(units))
        step_g = mass_g + rng.gauss(0.0, sigma_g) - rng.gauss(0.0, sigma_g)
        if row.endswith("/mismatch"):
            guess = _nearest(goods, step_g)
            counts[f"nearest.{row}.right"] += guess == (one.gtin, units)
            counts[f"nearest.{row}.asked"] += 1
        best = ask(-round(step_g * 1000.0), round(sigma_g * 1000.0))[0]
        counts[f"{row}.right"] += (best.gtin, best.units) == (one.gtin, units)
        counts[f"{row}.asked"] += 1


def _nearest(goods: Sequence[Sku], step_g: float) -> tuple[str, int]:
    """The baseline of identification: whatever the catalogue says is nearest in mass."""
    rows = [(abs(step_g - n * one.told_g), n, one.gtin) for one in goods for n in range(1, 5)]
    _, units, code = min(rows)
    return code, units
