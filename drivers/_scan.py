"""What both barcode drivers share: the text of one scan, as the scanner sent it, to a reading.

Here: AIM identifier, control characters. Not here: how the text arrived (`scanner_serial`,
`scanner_hid`), what it means (GTIN, lot, mode barcode: the core).
"""

from __future__ import annotations

import re
import unicodedata

from gateway.domain.reading import Garbled, Scan, garbled

MAX_BYTES = 4096
"""The largest 2D symbol holds 2953 bytes (QR version 40-L) or 3116 digits (Data Matrix)."""

GS = "\x1d"
REASONS = ("control", "empty")

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")


def scan(text: str, raw: bytes, *, aim: bool) -> Scan | Garbled:
    """One scan's text to a reading; `raw` is what a `garbled` one shows. Never raises.

    With `aim`, a leading symbology identifier (ISO/IEC 15424: `]`, a letter, a modifier) is split
    off; without one `aim` is None. The only control character data may hold is GS, which stands
    for FNC1 as separator (GS1 General Specifications 7.8). The mode is left to the core: no
    scanner says it.

    >>> scan("]d201095060001343521", b"", aim=True)
    Scan(data='01095060001343521', aim=']d2', mode=None)
    """
    head = _AIM.match(text) if aim else None
    data = text[head.end() :] if head else text
    if not data:
        return garbled("empty", raw)
    if any(is_control(char) for char in data):
        return garbled("control", raw)
    return Scan(data, head.group() if head else None)


def is_control(char: str) -> bool:
    """Whether this character cannot be part of a barcode's data. GS can."""
    return char != GS and unicodedata.category(char) == "Cc"
