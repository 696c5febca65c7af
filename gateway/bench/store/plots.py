"""A picture of the gates: every row of the table with its interval beside its limit.

Here: one SVG, drawn by hand, since nothing else here needs a plotting library. Not here: what a
figure means (`gates`), how it came about (`verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from gateway.bench.store.verdicts import Verdict

ROW: Final = 18
LABELS: Final = 330
WIDTH: Final = 520
HALF: Final = 2.0
"""The axis runs from nothing to twice the limit."""
_COLOUR: Final = {"met": "#2a7f3f", "met, not secured": "#c98a00", "missed": "#b3261e"}


def svg(verdicts: Sequence[Verdict], caption: str) -> str:
    """The picture as text. Rows whose limit is 0 are left to the table."""
    rows = [v for v in verdicts if v.value is not None and v.gate.limit]
    height = ROW * (len(rows) + 4)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABELS + WIDTH + 20}" '
            f'height="{height}" font-family="sans-serif" font-size="11">',
            f'<text x="4" y="{ROW}" font-size="13">{escape(caption)}</text>',
            *_axis(height),
            *(line for n, v in enumerate(rows) for line in _row(v, ROW * (n + 3))),
            "</svg>\n",
        )
    )


def _x(share: float) -> float:
    return LABELS + WIDTH * min(max(share, 0.0), HALF) / HALF


def _axis(height: int) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0, 1.5, 2.0):
        colour = "#000" if share == 1.0 else "#ccc"
        yield (
            f'<line x1="{_x(share):.1f}" x2="{_x(share):.1f}" y1="{ROW * 2}" y2="{height - ROW}" '
            f'stroke="{colour}"/><text x="{_x(share) - 8:.1f}" y="{height - 4}">{share:g}x</text>'
        )
    yield f'<text x="{_x(1.0) - 14:.1f}" y="{ROW * 2 - 4}">limit</text>'


def _row(v: Verdict, y: int) -> Iterator[str]:
    gate, colour = v.gate, _COLOUR.get(v.words, "#555")
    low, value, high = (figure / gate.limit for figure in (v.low, v.value or 0.0, v.high))
    yield (
        f'<text x="4" y="{y + 4}">{escape(f"{gate.row}  {gate.measure} {gate.sense}")}</text>'
        f'<line x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
        f'stroke-width="3"/><circle cx="{_x(value):.1f}" cy="{y}" r="4" fill="{colour}"/>'
    )
