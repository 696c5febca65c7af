"""Lines of one receipt: what one shopper paid tells together what one hand took.

Here: which sales that wait belong to one receipt, and how well a way to read a doubtful removal
fits what was seen of it elsewhere (ALGORITHMS 2.3: a pending step awaits the till). Not here: which
removals wait (`waiting`), what a sale does in the basket (`baskets`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.core.identify import PENDING_PPM
from gateway.core.trails import LATE_NS, OpenSale, Seen, Trail
from gateway.domain.units import NS_PER_S, PIECE_MILLI, ln_mnat

NEXT_NS: Final = 20 * NS_PER_S
"""Scans of one till no further apart are of one receipt, where no till's software numbers them."""
PROVABLE_PPM: Final = 50_000
MISSED_MNAT: Final = ln_mnat(20_000, 1_000_000)
"""A unit whose pick plates miss: two in a hundred."""
UNPAID_MNAT: Final = ln_mnat(80_000, 1_000_000)
"""A unit that was taken with others and not paid with them."""


def lines_of(trails: Mapping[str, Trail], gtin: str, sale: OpenSale) -> tuple[Seen, ...]:
    """A sale that waits, with all that wait and are of its receipt, in order of time."""
    own = (sale.at_ns, sale.seq, gtin, sale)
    found = [
        (one.at_ns, one.seq, product, one)
        for product, trail in trails.items()
        for one in trail.open
        if one.qty_milli and sale.dev and (one.dev, one.receipt) == (sale.dev, sale.receipt)
    ]
    lines = sorted(found or [own], key=lambda line: line[:3])
    if not sale.receipt:
        lines = _without_a_break(lines, lines.index(own))
    return tuple(
        Seen(product, one.qty_milli, at_ns + LATE_NS, seq) for at_ns, seq, product, one in lines
    )


def _without_a_break(
    lines: list[tuple[int, int, str, OpenSale]], n: int
) -> list[tuple[int, int, str, OpenSale]]:
    """The lines about the n-th of which each came soon after the one before."""
    first = last = n
    while first and lines[first][0] - lines[first - 1][0] <= NEXT_NS:
        first -= 1
    while last + 1 < len(lines) and lines[last + 1][0] - lines[last][0] <= NEXT_NS:
        last += 1
    return lines[first : last + 1]


def fit_mnat(
    ppm: int, taken: Mapping[str, int], seen: Sequence[Seen], back: Mapping[str, int]
) -> int | None:
    """How well a row explains what is paid; None when not well enough.

    `taken` are its units by product, `back` those that are on their way back to the shelf. Against
    two rivals: that plates missed those picks, and that more was taken than was paid. Who takes
    more than he pays is rare: only the likeliest row may say so.
    """
    paid: dict[str, int] = {}
    for one in seen:
        paid[one.gtin] = paid.get(one.gtin, 0) + one.qty_milli
    told = unpaid = 0
    for gtin, units in taken.items():
        known = min(units, paid.get(gtin, 0) // PIECE_MILLI)
        told += known
        unpaid += max(0, units - known - back.get(gtin, 0))
    if not told or ppm < (PENDING_PPM if unpaid else PROVABLE_PPM):
        return None
    return ln_mnat(ppm, 1_000_000) - told * MISSED_MNAT + unpaid * UNPAID_MNAT
