"""Whether a regular expression that people wrote may be let loose on what a device sends.

Here: it compiles, it names what it finds, and no line can keep it busy: with lines of bounded
length, only repeats inside repeats, or many repeats of anything, take long. Not here: what the
parts mean (`scale_line`).
"""

from __future__ import annotations

import re
from typing import Final

PATTERN_MAX_CHARS: Final = 512
WIDE_MAX: Final = 2
"""Unbounded repeats of nearly any character: the work grows with the power of their number."""
PARTS: Final = (
    "mass", "unit", "stable", "motion", "over", "under", "zero", "error", "channel", "skip",
)  # fmt: skip

# one thing of a pattern, then how often it may come
_ITEM: Final = re.compile(
    r"(?P<wide>\.|\\[DSWw]|\[\^\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<reference>\\[1-9]|\(\?P=|\(\?\()"
    r"|(?P<other>\\.|\[\]?(?:\\.|[^\]\\])*\]|\(\?P<\w+>|.)",
    re.DOTALL,
)
_REPEAT: Final = re.compile(r"[*+]|\{\d*,\d*\}|\{\d+\}")


def pattern_fault(pattern: str) -> str:
    """Why a pattern will not do, with a remedy; "" when it will. Never raises."""
    if len(pattern) > PATTERN_MAX_CHARS:
        return f"longer than {PATTERN_MAX_CHARS} characters"
    try:
        parts = re.compile(f"(?:{pattern})").groupindex
    except (re.error, OverflowError, RecursionError) as error:
        return f"no regular expression: {error}"
    if "mass" not in parts:
        return "does not say where the number is; write (?P<mass>...) around it"
    if unknown := [name for name in parts if name not in PARTS]:
        return f"unknown part {unknown[0]!r}; there are {', '.join(PARTS)}"
    return _endless(pattern)


def _endless(pattern: str) -> str:
    wide = depth = at = 0
    while item := _ITEM.match(pattern, at):
        repeat = _REPEAT.match(pattern, item.end())
        at = repeat.end() if repeat else item.end()
        if item["reference"]:
            return "refers back to what it found; write the part out"
        if repeat and item[0] == ")":
            return "repeats a group; repeat one character or one [class] instead"
        depth += (item[0][0] == "(") - (item[0] == ")")
        if item[0] == "|" and depth == 0:
            wide = 0  # one alternative or the other
        wide += bool(repeat and item["wide"])
        if wide > WIDE_MAX:
            return f"more than {WIDE_MAX} repeats of anything; name the characters in a [class]"
    return ""
