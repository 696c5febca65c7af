"""The fusion channel of the store benchmark: ALGORITHMS 8, rows F1 to F8, S1, S2, E3, E5.

Figures of `measure(seed, level)`; counts stand beside every ratio, so that seeds pool (`pooled`).

* The reference cell of 7.2, one product of 21 units a day: F1 `off_units` on day 30 of `sold_units`
  (`per_1000_sold`), `mae_units` and `bias_units` over opening hours and by thirds of the month; F2
  on the plate; F3 share of time exact; F5 `corrections` per `sku_days`, `reversed_units` of
  `corrected_units` (see `amends`); F6 share of time oversold; F7 losses told, right, unpaid, in 90
  min; F9 how honest the belief of the plate is (see `reliability`), and how often it is certain.
* Before the name: nothing where the core weighs each plate's hourly claim; `flows.` where no plate
  claims; `laddered.` as if every claim were booked (see `books.Levels`); `till.`, `naive.`,
  `window10.` ... `window120.` the baselines; `mid.` 7 units a day; `slow.` 1.5 a day (F4 is
  slow.F3.exact); `shelves.` four products on three plates, goods astray on other plates and one
  shelf filling in five that nobody scans; `mismatch.` the reference cell with masses off by 3 %,
  other quantities, half the timeouts, and plates that count up to 5 (7.6); `flows.` and `laddered.`
  go before those too.
* `oracle.` before those: a book that sees all but what a delivery brings, the ceiling of the cell.
* `only_<cause>.` is the reference cell with one cause of error left.
* F8: see `cases`. S1, S2: `scans`. E3, E5: `replays`.

Not here: the world (`cell`), who listens (`books`), sums (`scores`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from gateway.bench.store import cases, replays, scans
from gateway.bench.store.aisle import gtin
from gateway.bench.store.amends import correction_figures
from gateway.bench.store.books import Levels, Listener, NaiveSum, Ours, TillOnly, Window
from gateway.bench.store.cell import tell
from gateway.bench.store.oracle import Oracle
from gateway.bench.store.reliability import RATIOS
from gateway.bench.store.scores import (
    error_figures,
    listen,
    loss_figures,
)
from gateway.bench.store.stories import NOISE, Noise, Sku, Story
from gateway.domain.settings import FusionSettings

DAYS: Final = 30
WINDOWS_MIN: Final = (10, 30, 60, 120)
REFERENCE: Final = (Sku(gtin(1), "a1", 300_000, 21.0),)
MID: Final = (Sku(gtin(1), "a1", 300_000, 7.0, capacity=12, case=6),)
SLOW: Final = (Sku(gtin(1), "a1", 300_000, 1.5, capacity=6, case=3),)
SHELVES: Final = (
    Sku(gtin(1), "a1", 300_000, 21.0, gtin(2)),
    Sku(gtin(2), "a2", 345_000, 21.0, gtin(1)),
    Sku(gtin(3), "a3", 170_000, 12.0, gtin(4)),
    Sku(gtin(4), "a3", 435_000, 12.0, gtin(3)),
)
SILENT_FILLS: Final = 0.2
MISMATCHED: Final[Mapping[str, Any]] = {
    "quantities": (0.5, 0.3, 0.2), "mass_off": 0.03, "counts_up_to": 5,
}  # fmt: skip
"""Five units are what a plate of 300 g units counts whose mass nobody measured (2.5)."""
HASTY: Final = FusionSettings(basket_timeout_s=1800, pending_sale_s=45, pending_step_s=300)
_NOTHING: Final = Noise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "people": (),
    "till": ("missed", "swapped", "doubled"),
    "deliveries": ("wrong_deliveries",),
    "step_missed": ("step_missed",),
    "step_miscounted": ("step_miscounted",),
    "false_steps": ("false_steps_per_h",),
    "claims": ("claim_wrong",),
}
"""Which numbers of the noise stay; thieves, put-backs and goods astray always do (`people`)."""
_BASELINE_ROWS: Final = ("F1.", "F3.exact", "F6.oversell")

Figures = dict[str, float]


def measure(seed: int, level: str) -> Figures:
    """All figures of one seed at L1, L2 or L3. Raises KeyError for another level."""
    noise = NOISE[level]
    out = _cell("", REFERENCE, noise, f"{seed}/{level}/reference", baselines=True)
    off, name = replace(noise, **MISMATCHED), f"{seed}/{level}/mismatch"
    out |= _cell("mismatch.", REFERENCE, off, name, baselines=True, settings=HASTY)
    out |= _cell("mid.", MID, noise, f"{seed}/{level}/mid")
    out |= _cell("slow.", SLOW, noise, f"{seed}/{level}/slow")
    silent = replace(noise, silent_fills=SILENT_FILLS)
    out |= _cell("shelves.", SHELVES, silent, f"{seed}/{level}/shelves")
    for cause, kept in CAUSES.items():
        alone = replace(_NOTHING, **{name: getattr(noise, name) for name in kept})
        story = tell(REFERENCE, alone, DAYS, Random(f"{seed}/{level}/only/{cause}"))
        errors = _heard("", story, Ours(REFERENCE, "claims"))
        out |= {f"only_{cause}.{name}": errors[name] for name in errors if name.startswith("F1.")}
    for part in (cases, scans, replays):
        out |= part.measure(seed, level)
    return {**out, **derived(out)}


def _cell(
    prefix: str,
    skus: Sequence[Sku],
    noise: Noise,
    name: str,
    *,
    baselines: bool = False,
    settings: FusionSettings | None = None,
) -> Figures:
    """One cell: our book with and without levels; the baselines where asked for."""
    story = tell(skus, noise, DAYS, Random(name))
    out: Figures = {}
    ways: tuple[tuple[str, Levels], ...] = (
        ("", "claims"),
        ("flows.", "none"),
        ("laddered.", "laddered"),
    )
    for way, levels in ways:
        book = Ours(skus, levels, settings)
        row = f"{way}{prefix}"
        out |= _heard(row, story, book)
        told = correction_figures(book.events, story, DAYS)
        told |= loss_figures(book.events, story.gone, skus, DAYS)
        out |= {f"{row}{figure}": value for figure, value in told.items()}
    out |= _heard(f"oracle.{prefix}", story, Oracle())
    others: dict[str, Listener] = {"till.": TillOnly(), "naive.": NaiveSum()}
    others |= {f"window{minutes}.": Window(minutes) for minutes in WINDOWS_MIN}
    for row, other in others.items() if baselines else ():
        heard = _heard("", story, other)
        out |= {f"{row}{prefix}{n}": v for n, v in heard.items() if n.startswith(_BASELINE_ROWS)}
    return out


def _heard(prefix: str, story: Story, book: Listener) -> Figures:
    score = listen(book, story, DAYS)
    figures = error_figures(score, story) | score.tally.reliability.figures()
    return {f"{prefix}{figure}": value for figure, value in figures.items()}


# --- seeds together -----------------------------------------------------------------------------

_RATIOS: Final = (
    ("F1.per_1000_sold", "F1.off_units", "F1.sold_units", 1000.0),
    ("F5.per_sku_day", "F5.corrections", "F5.sku_days", 1.0),
    ("F5.reversed", "F5.reversed_units", "F5.corrected_units", 1.0),
    ("F7.precision", "F7.right", "F7.told", 1.0),
    ("F7.first_precision", "F7.first_right", "F7.first_told", 1.0),
    ("F7.recall", "F7.right", "F7.unpaid", 1.0),
    ("F7.recall_90_min", "F7.in_90_min", "F7.unpaid", 1.0),
    *RATIOS,
    ("S1.share", "S1.suppressed", "S1.echoes", 1.0),
)
_COUNTS: Final = frozenset(name for row in _RATIOS for name in row[1:3]) | {
    "F1.off_signed_units", "F5.wrong_units", "F5.lost_units", "F5.healed_units", "F7.stolen",
}  # fmt: skip
_COUNT_ENDS: Final = (
    ".hits", ".found", ".truth", ".trials", ".differ", ".units", ".lost", ".repeats", ".scans",
    ".first_lost",
)  # fmt: skip


def pooled(seeds: Iterable[Mapping[str, float]]) -> Figures:
    """Figures of several seeds together: sums of counts, ratios made anew, means of the rest."""
    rows = list(seeds)
    ratios = derived(rows[0])
    out: Figures = {}
    for name in rows[0]:
        total = sum(row[name] for row in rows)
        if name not in ratios:
            out[name] = total if _is_count(name) else total / len(rows)
    return {**out, **derived(out)}


def _is_count(name: str) -> bool:
    return name.endswith(_COUNT_ENDS) or any(name.endswith(count) for count in _COUNTS)


def derived(counts: Mapping[str, float]) -> Figures:
    """Every ratio that these counts make; a ratio of nothing is 0."""
    out: Figures = {}
    for ratio, over, under, scale in _RATIOS:
        for name in counts:
            row = name.removesuffix(over)
            if name == f"{row}{over}" and f"{row}{under}" in counts:
                out[f"{row}{ratio}"] = scale * counts[name] / max(1.0, counts[f"{row}{under}"])
    for name, hits in counts.items():
        row = name.removesuffix(".hits")
        if row != name:
            both = counts[f"{row}.found"] + counts[f"{row}.truth"]
            out[f"{row}.f1"] = 2.0 * hits / both if both else 1.0
    return out


def best_window(figures: Mapping[str, float]) -> int:
    """Minutes of the association window whose store error is least."""
    errors = Counter({m: -figures[f"window{m}.F1.off_units"] for m in WINDOWS_MIN})
    return errors.most_common(1)[0][0]
