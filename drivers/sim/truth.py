"""The true stock: what the script moved, folded; the judge of every table at the end.

Here: opening stock, the fold of `Moved`, and the questions asked of it. Not here: deciding
anything. It shares no code with the book of the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from drivers.sim.actions import Action, Moved
from gateway.domain.reading import Word

OUTSIDE: Final = ("@sold", "@supplier", "@waste", "@lost")
"""Places whose goods are not, or no longer, in the store."""
PIECE_MILLI: Final = 1000


class Opening(Word, frozen=True):
    """What lies at a place when the world begins."""

    location: str
    gtin: str
    qty_milli: int


class TrueRow(Word, frozen=True):
    """One product at a moment: everything in the store, baskets of shoppers included."""

    gtin: str
    on_hand_milli: int
    by_location: Mapping[str, int]


class MoveCount(Word, frozen=True):
    """How often a kind of movement happened, and of how many units."""

    what: str
    count: int
    units: int


class TrueStock:
    """Folds what moved, in the order in which it moved."""

    def __init__(self, opening: Iterable[Opening]) -> None:
        self._milli: dict[str, Counter[str]] = {}
        self._moves: Counter[str] = Counter()
        self._units: Counter[str] = Counter()
        for row in opening:
            self._milli.setdefault(row.gtin, Counter())[row.location] += row.qty_milli

    def apply(self, action: Action) -> None:
        """Takes one act of the script; only `Moved` changes the truth."""
        if not isinstance(action, Moved):
            return
        places = self._milli.setdefault(action.gtin, Counter())
        places[action.origin] -= action.units * PIECE_MILLI
        places[action.target] += action.units * PIECE_MILLI
        self._moves[action.what] += 1
        self._units[action.what] += action.units

    def rows(self) -> tuple[TrueRow, ...]:
        """Every product, by GTIN; places that hold none of it are left out."""
        return tuple(self._row(gtin) for gtin in sorted(self._milli))

    def moves(self) -> tuple[MoveCount, ...]:
        """What happened, by kind."""
        return tuple(
            MoveCount(what, count, self._units[what]) for what, count in sorted(self._moves.items())
        )

    def _row(self, gtin: str) -> TrueRow:
        inside = {
            place: milli
            for place, milli in sorted(self._milli[gtin].items())
            if place not in OUTSIDE and milli
        }
        return TrueRow(gtin, sum(inside.values()), inside)
