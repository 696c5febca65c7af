"""A plate's weight around a step, as lines of text for a terminal of any width.

Here: the curve and its dots. Not here: where the points come from (`core.around`), which event they
explain (`why_words`), the same as a picture (`picture`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.domain.observation import BayStep, Observation, WeightStep
from gateway.domain.reading import Word
from gateway.domain.units import NS_PER_MS

COLUMNS_MIN: Final = 24
COLUMNS_MAX: Final = 100
ROWS: Final = 8
GAP_MS: Final = 1000
"""Points further apart than this are not joined: the scale was silent between them."""
MARKS: Final = ("△▲", "o^")
"""Onset and settling; in Unicode, in ASCII."""
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE: Final = 0x2800


class Curve(Word, frozen=True):
    """What one plate showed; times in milliseconds from the onset of its step."""

    device: str
    location: str
    points: tuple[tuple[int, int], ...]
    """Milliseconds, milligrams."""
    settled_ms: int
    before_mg: int
    after_mg: int

    @property
    def span_ms(self) -> tuple[int, int]:
        """First and last moment shown."""
        times = [ms for ms, _ in self.points]
        return min([0, *times]), max([self.settled_ms, 1, *times])

    @property
    def span_mg(self) -> tuple[int, int]:
        """Least and greatest mass shown."""
        masses = [mass for _, mass in self.points] + [self.before_mg, self.after_mg]
        return min(masses), max(*masses, min(masses) + 1)


class Captions(Word, frozen=True):
    """What is written on a picture, in one language."""

    title: str
    time: str
    mass: str
    began: str
    settled: str
    before: str
    after: str


def curves(seen: Observation | None) -> tuple[Curve, ...]:
    """The curves that an observation carries: one for each plate of it that kept its trace."""
    steps: Iterable[WeightStep] = ()
    if isinstance(seen, WeightStep):
        steps = (seen,)
    elif isinstance(seen, BayStep):
        steps = seen.steps
    return tuple(_curve(step) for step in steps if isinstance(step.trace, tuple))


def _curve(step: WeightStep) -> Curve:
    after_ms = (step.at_ns - step.began_ns) // NS_PER_MS
    trace = step.trace if isinstance(step.trace, tuple) else ()
    points = tuple((ms + after_ms, mass_mg) for ms, mass_mg in trace)
    after_mg = step.before_mg + step.step_mg
    return Curve(step.device, step.location, points, after_ms, step.before_mg, after_mg)


def text(curve: Curve, columns: int, *, ascii_only: bool) -> list[str]:
    """The curve, its levels dotted, onset and settling marked below; at most `columns` wide.

    Dots are braille characters, two by four to a cell, or with `ascii_only` one `*` to a cell.
    """
    labels = [f"{mass_mg / 1000:.0f} g" for mass_mg in reversed(curve.span_mg)]
    margin = max(map(len, labels)) + 2
    wide = max(COLUMNS_MIN, min(columns, COLUMNS_MAX)) - margin
    sides = {0: labels[0], ROWS - 1: labels[1]}
    edge = "|" if ascii_only else "│"
    cells = _Cells(curve, wide, 1 if ascii_only else 2, 1 if ascii_only else 4)
    out = [
        f"{sides.get(n, ''):>{margin - 2}} {edge}{line}".rstrip()
        for n, line in enumerate(cells.lines())
    ]
    began, settled = (_scaled(ms, curve.span_ms, wide) for ms in (0, curve.settled_ms))
    marks = [" "] * wide
    marks[began], marks[max(settled, began + (began + 1 < wide))] = MARKS[ascii_only]
    out.append(" " * margin + "".join(marks).rstrip())
    return out


def _scaled(value: int, span: tuple[int, int], cells: int) -> int:
    """Which of so many cells a value falls into."""
    low, high = span
    return max(0, min(cells - 1, (value - low) * (cells - 1) // max(1, high - low)))


class _Cells:
    """A grid of dots, `across` by `down` of them to a character."""

    def __init__(self, curve: Curve, wide: int, across: int, down: int) -> None:
        self._across, self._down = across, down
        self._size = wide * across, ROWS * down
        self._grid = [[0] * wide for _ in range(ROWS)]
        for level_mg in (curve.before_mg, curve.after_mg):
            for x in range(0, self._size[0], 4):
                self._dot(x, self._row(curve, level_mg))
        for (x0, y0), (x1, y1) in self._strokes(curve):
            longest = max(x1 - x0, abs(y1 - y0), 1)
            for n in range(longest + 1):
                self._dot(x0 + (x1 - x0) * n // longest, y0 + (y1 - y0) * n // longest)

    def _row(self, curve: Curve, mass_mg: int) -> int:
        rows = self._size[1]
        return rows - 1 - _scaled(mass_mg, curve.span_mg, rows)

    def _dot(self, x: int, y: int) -> None:
        bit = _DOTS[x % self._across][y % self._down]
        self._grid[y // self._down][x // self._across] |= bit

    def _strokes(self, curve: Curve) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        last_ms, there = curve.span_ms[0] - GAP_MS - 1, (0, 0)
        for ms, mass_mg in curve.points:
            here = _scaled(ms, curve.span_ms, self._size[0]), self._row(curve, mass_mg)
            yield (here if ms - last_ms > GAP_MS else there), here
            last_ms, there = ms, here

    def lines(self) -> list[str]:
        """The grid as text."""

        def shown(cell: int) -> str:
            full = "*" if self._across == 1 else chr(_BRAILLE + cell)
            return full if cell else " "

        return ["".join(map(shown, row)) for row in self._grid]
