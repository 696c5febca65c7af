"""How far a book is from the truth of a cell: errors over time, losses.

Here: exact integrals over opening hours, and the figures F1 to F4, F6 and F7 of ALGORITHMS 8 from
them. A figure that is a mean over several products weighs each the same. Not here: worlds (`cell`),
books (`books`), corrections (`amends`), verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.bench.store.books import Listener
from gateway.bench.store.cell import CLOSES_S, DAY_S, OPENS_S, START_S
from gateway.bench.store.reliability import Reliability
from gateway.bench.store.stories import Gone, Sku, Story, Truth
from gateway.domain.stock import LOST, Line, StockEvent
from gateway.domain.units import NS_PER_S, PIECE_MILLI

_DAY_NS: Final = DAY_S * NS_PER_S
_HEALING_DAYS: Final = 2
DETECTED_NS: Final = 90 * 60 * NS_PER_S
"""A loss is found in time within the basket's timeout and half an hour."""
_RELATED_NS: Final = _DAY_NS


@dataclass(slots=True)
class Tally:
    """Integrals over opening hours, in units times seconds, or seconds."""

    seconds: float = 0.0
    store_abs: float = 0.0
    store_signed: float = 0.0
    store_exact: float = 0.0
    store_within_one: float = 0.0
    shelf_abs: float = 0.0
    shelf_signed: float = 0.0
    shelf_exact: float = 0.0
    empty: float = 0.0
    oversell: float = 0.0
    """The book says that something lies in the shop, and nothing does."""
    phantom_empty: float = 0.0
    """The book says that nothing lies in the shop, and something does."""
    daily: list[float] = field(default_factory=list)
    """Store error integrated over each day."""
    reliability: Reliability = field(default_factory=Reliability)
    """Of a book that says how sure it is."""

    def add(self, seconds: float, day: int, book: tuple[int, int, int], truth: Truth) -> None:
        """So long, the book and the truth were these."""
        store, lying, shelf = book
        off, shelf_off = store - truth.store, shelf - truth.home
        self.seconds += seconds
        self.store_abs += seconds * abs(off)
        self.store_signed += seconds * off
        self.store_exact += seconds * (off == 0)
        self.store_within_one += seconds * (abs(off) <= 1)
        self.shelf_abs += seconds * abs(shelf_off)
        self.shelf_signed += seconds * shelf_off
        self.shelf_exact += seconds * (shelf_off == 0)
        self.empty += seconds * (truth.lying == 0)
        self.oversell += seconds * (lying > 0 and truth.lying == 0)
        self.phantom_empty += seconds * (lying <= 0 and truth.lying > 0)
        self.daily += [0.0] * (day + 1 - len(self.daily))
        self.daily[day] += seconds * abs(off)


@dataclass(frozen=True, slots=True)
class Score:
    """A book's month: its integrals, and how far off each product was at its end."""

    tally: Tally
    last: tuple[int, ...]


def listen(book: Listener, story: Story, days: int) -> Score:
    """Plays a story to a book and compares the two at every instant between."""
    tally, truth, end_ns = Tally(), dict[str, Truth](), (START_S + days * DAY_S) * NS_PER_S
    now = START_S * NS_PER_S

    def until(at_ns: int) -> None:
        nonlocal now
        if now < at_ns and truth:
            for day, seconds in _open_seconds(now, at_ns):
                for sku in story.skus:
                    units, belief = book.units(sku), book.belief(sku)
                    tally.add(seconds, day, units, truth[sku.gtin])
                    if belief is not None:
                        tally.reliability.add(seconds, belief, units[2], truth[sku.gtin].home)
            now = at_ns

    for word in story.words:
        while (due := book.deadline()) is not None and due <= word.at_ns:
            until(due)
            book.advance(due)
        until(word.at_ns)
        if isinstance(word, Truth):
            truth[word.gtin] = word
        book.hear(word)
    while (due := book.deadline()) is not None and due <= end_ns:
        until(due)
        book.advance(due)
    until(end_ns)
    return Score(tally, tuple(book.units(s)[0] - truth[s.gtin].store for s in story.skus))


def _open_seconds(from_ns: int, to_ns: int) -> Iterable[tuple[int, float]]:
    """Day and open seconds of each day that an interval touches."""
    begin_ns = START_S * NS_PER_S
    for day in range((from_ns - begin_ns) // _DAY_NS, (to_ns - begin_ns) // _DAY_NS + 1):
        midnight_ns = begin_ns + day * _DAY_NS
        opens_ns, closes_ns = midnight_ns + OPENS_S * NS_PER_S, midnight_ns + CLOSES_S * NS_PER_S
        part_ns = min(to_ns, closes_ns) - max(from_ns, opens_ns)
        if part_ns > 0:
            yield day, part_ns / NS_PER_S


def error_figures(score: Score, story: Story) -> dict[str, float]:
    """F1, F2, F3 and F6: numerators and denominators beside each ratio."""
    tally, off, sold = score.tally, sum(map(abs, score.last)), max(1, story.sold)
    share = 1.0 / max(1.0, tally.seconds)
    third = max(1, len(tally.daily) // 3)
    a_third = tally.seconds / max(1, len(tally.daily)) * third
    return {
        "F1.off_units": off,
        "F1.off_signed_units": sum(score.last),
        "F1.sold_units": story.sold,
        "F1.per_1000_sold": 1000.0 * off / sold,
        "F1.mae_units": tally.store_abs * share,
        "F1.bias_units": tally.store_signed * share,
        "F1.mae_first_third_units": sum(tally.daily[:third]) / a_third,
        "F1.mae_last_third_units": sum(tally.daily[-third:]) / a_third,
        "F2.shelf_mae_units": tally.shelf_abs * share,
        "F2.shelf_bias_units": tally.shelf_signed * share,
        "F3.exact": tally.store_exact * share,
        "F3.within_one": tally.store_within_one * share,
        "F3.shelf_exact": tally.shelf_exact * share,
        "F6.oversell": tally.oversell * share,
        "F6.empty": tally.empty * share,
        "F6.phantom_empty": tally.phantom_empty * share,
    }


# --- losses -----------------------------------------------------------------------------------


def loss_figures(
    events: Sequence[StockEvent], gone: Sequence[Gone], skus: Sequence[Sku], days: int
) -> dict[str, float]:
    """F7: units told as lost and not healed, against those that left unpaid; delay from the pick.

    The units of a product are alike, so each is matched to the earliest departure before it that
    has no match yet, at most a day old. The last two days are left out: their losses may yet heal.
    """
    end_ns = (START_S + (days - _HEALING_DAYS) * DAY_S) * NS_PER_S
    gone = [one for one in gone if one.taken_ns < end_ns]
    told = right = raw = raw_right = unpaid = in_time = stolen = 0
    delays_ns: list[int] = []
    for sku in skus:
        left = sorted((g.taken_ns, g.stolen) for g in gone if g.gtin == sku.gtin
                      for _ in range(g.units))  # fmt: skip
        every, kept = (
            [at_ns for at_ns in told_ns if at_ns < end_ns] for told_ns in _losses(events, sku.gtin)
        )
        hits, all_hits = _matched(kept, left), _matched(every, left)
        told, raw = told + len(kept), raw + len(every)
        right, raw_right = right + len(hits), raw_right + len(all_hits)
        unpaid, stolen = unpaid + len(left), stolen + sum(thief for _, thief in left)
        in_time += sum(delay_ns <= DETECTED_NS for delay_ns in hits)
        delays_ns += hits
    delays_ns.sort()
    middle = delays_ns[len(delays_ns) // 2] / 60 / NS_PER_S if delays_ns else 0.0
    return {
        "F7.told": told,
        "F7.right": right,
        "F7.precision": right / max(1, told),
        "F7.first_told": raw,
        "F7.first_right": raw_right,
        "F7.first_precision": raw_right / max(1, raw),
        "F7.unpaid": unpaid,
        "F7.stolen": stolen,
        "F7.in_90_min": in_time,
        "F7.recall_90_min": in_time / max(1, unpaid),
        "F7.recall": right / max(1, unpaid),
        "F7.delay_p50_min": middle,
    }


def _losses(events: Sequence[StockEvent], gtin: str) -> tuple[list[int], list[int]]:
    """Times of all units told as lost, and of those that no later event found again."""
    every: list[int] = []
    kept: list[int] = []
    for event in events:
        units = sum(x.d // PIECE_MILLI for x in event.lines if _of(x, LOST, gtin))
        if units > 0:
            every += [event.at_ns] * units
            kept += [event.at_ns] * units
        elif units < 0:
            del kept[units:]
    return every, kept


def _of(line: Line, loc: str, gtin: str) -> bool:
    return line.loc == loc and line.gtin == gtin


def _matched(told_ns: Sequence[int], left: Sequence[tuple[int, bool]]) -> list[int]:
    """Delays of the told units that a departure explains."""
    delays, waiting = [], list(left)
    for at_ns in told_ns:
        waiting = [one for one in waiting if one[0] + _RELATED_NS > at_ns]
        if waiting and waiting[0][0] < at_ns:
            delays.append(at_ns - waiting.pop(0)[0])
    return delays
