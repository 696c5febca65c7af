"""The ceiling of a cell: a book that sees every movement in the shop and believes delivery notes.

No sensor of ALGORITHMS 7 looks into a delivery: two in a hundred bring another number than their
note says, and nobody counts the back room. What came too much is found when the back room gives
more than the book holds there; what came short is not. So a gate that this book misses is missed
for reasons of the world and not of a filter. Here: that book alone. Not here: ours and the
baselines (`books`).
"""

from __future__ import annotations

from gateway.bench.store.books import Belief
from gateway.bench.store.stories import Receive, Sku, Truth, Word


class Oracle:
    """Knows the truth of every word but `Receive`."""

    def __init__(self) -> None:
        self._true: dict[str, Truth] = {}
        self._came: dict[str, int] = {}
        """What the newest truth brought."""
        self._off: dict[str, int] = {}
        """Units that the notes told too many."""

    def hear(self, word: Word) -> None:
        """The truth, and what a note says of the delivery that just came."""
        if isinstance(word, Truth):
            before = self._true.get(word.gtin)
            self._came[word.gtin] = 0 if before is None else word.store - before.store
            self._true[word.gtin] = word
            behind = word.lying - word.home
            self._off[word.gtin] = max(self._off.get(word.gtin, 0), -behind)
        elif isinstance(word, Receive):
            self._off[word.gtin] += word.units - self._came[word.gtin]

    def deadline(self) -> int | None:
        """Never."""
        return None

    def advance(self, at_ns: int) -> None:
        """Time alone changes nothing."""

    def units(self, sku: Sku) -> tuple[int, int, int]:
        """True but for the notes."""
        true, off = self._true[sku.gtin], self._off[sku.gtin]
        return true.store + off, true.lying + off, true.home

    def belief(self, sku: Sku) -> Belief | None:
        """It doubts nothing."""
        del sku
        return None
