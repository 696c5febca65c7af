"""What a booked flow may have been instead, and what of it nobody has seen.

Here: the points by which a flow widens a belief, and which flows the book only inferred (ALGORITHMS
5.3 rule 3). Not here: beliefs (`belief`), when a claim contradicts them (`corrections`).
"""

from __future__ import annotations

from typing import Final

from gateway.core.belief import Point
from gateway.domain.observation import Because
from gateway.domain.stock import ADJUST, BASKET, StockEvent

STEP_CODES: Final = frozenset(("step", "step_expired"))
LEVEL_REASON: Final = "level_correction"
STEP_DOUBT_PPM: Final = 20_000
"""Of fifty steps one is missed and one miscounted (7.2): the shelf holds one more, or one less."""
_PPM: Final = 1_000_000


def alternatives(event: StockEvent, because: Because, gtin: str, units: int) -> tuple[Point, ...]:
    """What a booked flow may have been instead, relative to what was booked."""
    if event.conf is None:
        return ()
    if because.code not in STEP_CODES:
        sure = event.conf * (_PPM // 1000)
        return ((0, sure), (-units, _PPM - sure)) if sure < _PPM else ()
    best = because.rows[0]
    if best.ppm >= _PPM - 2 * STEP_DOUBT_PPM or best.units != abs(units):
        doubt = STEP_DOUBT_PPM
        return ((-1, doubt), (0, _PPM - 2 * doubt), (1, doubt))
    sign = 1 if units > 0 else -1
    other: dict[int, int] = {}
    for row in because.rows[:3]:
        d = (sign * row.units if row.gtin == gtin else 0) - units
        other[d] = other.get(d, 0) + row.ppm
    total = sum(other.values())
    return tuple((d, ppm * _PPM // total) for d, ppm in other.items())


def inferred_from(event: StockEvent, location: str, units: int) -> str | None:
    """The account to which units go back if a claim contradicts; None for what a witness saw."""
    if units < 0:
        return ADJUST if event.reason == "missed_pick" else None
    guessed = event.reason in ("unrecorded", "pending_expired", LEVEL_REASON)
    if not guessed or event.kind not in ("restock", "adjust"):
        return None
    return next((line.loc for line in event.lines if line.loc not in (location, BASKET)), None)
