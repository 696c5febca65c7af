"""F5: what a book booked without a witness, and how much of it was wrong and taken back.

ALGORITHMS 8 asks for "corrections per SKU-day; share later reversed" and leaves open what a
reversal is. Here a correction is an event that no flow witnessed just then: a level's, a sale's
missed pick, a guard, what came from nowhere, a loss and its finding. Its units at the plate of the
product are *wrong* as far as they took the record away from the truth, and *reversed* when the next
corrections of the other direction, within two days, take those units back. Two opposite corrections
that were both right are none: between them something else happened that no sensor saw. Losses and
their healing move no plate; they are counted beside (`lost`, `healed`) and judged by F7.

Where it touches no plate of the product nobody tells the truth: then every unit counts as wrong.
Not here: errors over time (`scores`).
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.bench.store.cell import DAY_S, START_S
from gateway.bench.store.stories import Story, Truth
from gateway.domain.stock import LOST, VIRTUAL, StockEvent
from gateway.domain.units import NS_PER_S, PIECE_MILLI

_TAKEN_BACK_NS: Final = 2 * DAY_S * NS_PER_S


class Amend(NamedTuple):
    """What one event moved at one place, in units; `wrong` of it, at least 0, from the truth."""

    place: tuple[str, str]
    units: int
    wrong: int


def correction_figures(events: Sequence[StockEvent], story: Story, days: int) -> dict[str, float]:
    """F5 of a month."""
    record = _Record(story)
    moved = wrong = back = lost = healed = count = 0
    open_: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for event in events:
        amends = list(record.booked(event))
        if not _corrects(event):
            continue
        count += 1
        units_lost = sum(line.d // PIECE_MILLI for line in event.lines if line.loc == LOST)
        lost, healed = lost + max(0, units_lost), healed + max(0, -units_lost)
        for one in amends:
            moved, wrong = moved + abs(one.units), wrong + one.wrong
            back += _taken_back(open_.setdefault(one.place, []), event.at_ns, one)
    sku_days = len(story.skus) * days
    return {
        "F5.corrections": count,
        "F5.sku_days": sku_days,
        "F5.per_sku_day": count / sku_days,
        "F5.corrected_units": moved,
        "F5.wrong_units": wrong,
        "F5.reversed_units": back,
        "F5.reversed": back / max(1, moved),
        "F5.lost_units": lost,
        "F5.healed_units": healed,
    }


def _corrects(event: StockEvent) -> bool:
    """Whether no flow was seen that moved these goods just then."""
    if event.kind in ("loss", "found"):
        return True
    if event.kind == "adjust":
        return event.reason != "lot_swap"
    if event.kind == "stocktake":
        return event.at_ns > START_S * NS_PER_S and any(line.d for line in event.lines)
    return event.reason in ("missed_pick", "level_correction", "unrecorded")


class _Record:
    """The book as it grows, beside what is true of each product's own plate."""

    def __init__(self, story: Story) -> None:
        self._home = {sku.gtin: sku.plate for sku in story.skus}
        self._true: dict[str, list[tuple[int, int]]] = {sku.gtin: [] for sku in story.skus}
        for word in story.words:
            if isinstance(word, Truth):
                self._true[word.gtin].append((word.at_ns, word.home))
        self._held: Counter[tuple[str, str]] = Counter()

    def booked(self, event: StockEvent) -> Iterator[Amend]:
        """What an event moved at places. What its product's plate gave or got is told once."""
        home = {line.gtin for line in event.lines if line.loc == self._home[line.gtin]}
        moved: Counter[tuple[str, str]] = Counter()
        for line in event.lines:
            if line.loc not in VIRTUAL:
                moved[line.loc, line.gtin] += line.d // PIECE_MILLI
        for place, units in moved.items():
            loc, gtin = place
            before, wrong = self._held[place], abs(units)
            self._held[place] += units
            if loc == self._home[gtin]:
                short = self._at(event.at_ns, gtin) - before
                wrong -= max(0, min(abs(units), short if units > 0 else -short))
            if units and (loc == self._home[gtin] or gtin not in home):
                yield Amend(place, units, wrong)

    def _at(self, at_ns: int, gtin: str) -> int:
        told = self._true[gtin]
        return told[max(0, bisect_right(told, (at_ns, sys.maxsize)) - 1)][1]


def _taken_back(open_: list[tuple[int, int]], at_ns: int, one: Amend) -> int:
    """Wrong units of earlier corrections of the place that this one takes back, newest first.

    `open_` holds when they were booked and how many, with their sign; what is wrong of this one is
    open from now on.
    """
    open_[:] = [(then, units) for then, units in open_ if then + _TAKEN_BACK_NS > at_ns]
    sign, rest, back = (1 if one.units > 0 else -1), abs(one.units), 0
    for n in range(len(open_) - 1, -1, -1):
        then_ns, units = open_[n]
        if units * sign < 0:
            part = min(abs(units), rest)
            back, rest = back + part, rest - part
            open_[n] = (then_ns, units + sign * part)
    open_[:] = [(then, units) for then, units in open_ if units]
    if one.wrong:
        open_.append((at_ns, sign * one.wrong))
    return back
