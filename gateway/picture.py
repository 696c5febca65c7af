"""A plate's weight around a step, as a PNG that can be sent to somebody.

Here: the layout of the picture, one panel for each plate. Not here: curves (`plot`), sentences
(`why_words`). Pillow draws it, and is imported only for that: axes need glyphs and antialiased
lines. It brings a Latin font; a Chinese caption needs one of the machine, and is English without.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from gateway.plot import GAP_MS, Captions, Curve

FINER: Final = 2
"""Drawn so many times larger and reduced: that makes smooth lines. Lengths below are so large."""
WIDE: Final = 1920
PANEL: Final = 720
TOP: Final = 112
LEFT: Final = 192
RIGHT: Final = 56
ABOVE: Final = 88
BELOW: Final = 128
FONT_FOLDERS: Final = ("/usr/share/fonts", "/usr/local/share/fonts")
CHINESE: Final = ("notosanscjk", "notosanssc", "sourcehansans", "wqy", "droidsansfallback")
"""Names of font files that hold the characters of a Chinese caption."""
INK, FAINT, LEVEL, LINE, MARK = "#1b1b1b", "#d9d9d9", "#7a7a7a", "#0b5cad", "#b3261e"
_NICE: Final = (1, 2, 5)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def chinese_font() -> Path | None:
    """A font of this machine that can write Chinese; None when none was found."""
    files = (
        path
        for folder in FONT_FOLDERS
        for path in sorted(Path(folder).rglob("*.[to]t[fc]"))
        if path.stem.replace("-", "").lower().startswith(CHINESE)
    )
    return next(files, None)


def png(curves: Sequence[Curve], words: Captions, font: Path | None = None) -> bytes:
    """The picture: `curves` one below the other, title on top. `font`: else Pillow's own, Latin."""
    image = Image.new("RGB", (WIDE, TOP + PANEL * len(curves)), "white")
    draw = ImageDraw.Draw(image)
    plain, small = (_font(font, size) for size in (36, 28))
    draw.text((LEFT, 40), words.title, INK, plain)
    for n, curve in enumerate(curves):
        _panel(draw, TOP + n * PANEL, curve, words, small)
    out = io.BytesIO()
    image = image.resize((WIDE // FINER, image.height // FINER), Image.Resampling.LANCZOS)
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _font(path: Path | None, size: int) -> Font:
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


def _panel(draw: ImageDraw.ImageDraw, top: int, curve: Curve, words: Captions, font: Font) -> None:
    """One plate: frame, grid with its units, levels, marks, and the curve."""
    box = (LEFT, top + ABOVE, WIDE - RIGHT, top + PANEL - BELOW)
    start, end = curve.span_ms
    low, high = curve.span_mg
    room = max(1, (high - low) // 12)
    low, high, end = low - room, high + room, end + (end - start) // 24

    def x(ms: int) -> int:
        return box[0] + (ms - start) * (box[2] - box[0]) // (end - start)

    def y(mass_mg: int) -> int:
        return box[3] - (mass_mg - low) * (box[3] - box[1]) // (high - low)

    for mass_mg in _ticks(low, high, 5):
        draw.line((box[0], y(mass_mg), box[2], y(mass_mg)), FAINT, FINER)
        label = f"{mass_mg / 1000:g}"
        draw.text((box[0] - 16, y(mass_mg)), label, INK, font, anchor="rm")
    for ms in _ticks(start, end, 9):
        draw.line((x(ms), box[1], x(ms), box[3]), FAINT, FINER)
        draw.text((x(ms), box[3] + 12), f"{ms / 1000:g}", INK, font, anchor="ma")
    draw.text((box[0], top + 4), f"{curve.device}, {curve.location}", INK, font)
    draw.text((24, box[1] - 8), words.mass, INK, font, anchor="ls")
    draw.text((box[2], box[3] + 56), words.time, INK, font, anchor="ra")
    for mass_mg, name in ((curve.before_mg, words.before), (curve.after_mg, words.after)):
        for left in range(box[0], box[2], 20):
            draw.line((left, y(mass_mg), min(left + 10, box[2]), y(mass_mg)), LEVEL, FINER)
        above = mass_mg == max(curve.before_mg, curve.after_mg)
        at = y(mass_mg) - 6 if above else y(mass_mg) + 6
        label = f"{name} {mass_mg / 1000:.1f} g"
        draw.text((box[0] + 12, at), label, LEVEL, font, anchor="ls" if above else "la")
    for ms, name in ((0, words.began), (curve.settled_ms, words.settled)):
        draw.line((x(ms), box[1] - 8, x(ms), box[3]), MARK, FINER)
        draw.text((x(ms) + 4, box[1] - 12), name, MARK, font, anchor="rs")
    for run in _runs(curve):
        draw.line([(x(ms), y(mass_mg)) for ms, mass_mg in run], LINE, 2 * FINER, joint="curve")
    draw.rectangle(box, outline=INK, width=FINER)


def _runs(curve: Curve) -> Iterator[list[tuple[int, int]]]:
    """The points between silences."""
    run: list[tuple[int, int]] = list(curve.points[:1])
    for before, here in pairwise(curve.points):
        if here[0] - before[0] > GAP_MS:
            yield run
            run = []
        run.append(here)
    yield run


def _ticks(low: int, high: int, count: int) -> list[int]:
    """Round numbers from low to high, about so many of them."""
    unit = 1
    while True:
        for nice in _NICE:
            every = nice * unit
            if (high - low) // every <= count:
                return list(range(-(-low // every) * every, high + 1, every))
        unit *= 10
