"""What a tag is: the EPC of its memory to a GTIN with serial, another GS1 identity, or neither.

Source: GS1 EPC Tag Data Standard 2.3: headers (table 14-1), binary schemes (14.5, 14.6). Here: the
door, `decode_epc`, and the same with a bounded memory for the hot path. `words`: the answers;
`fixed`, `plus`: the schemes. Not here: readers, presence (`core.readers`), barcodes (`gs1`).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.domain.epc import fixed, plus
from gateway.domain.epc.bits import Bits, Wrong
from gateway.domain.epc.words import REASONS, EpcIdentity, NotGs1, Sgtin

__all__ = ["REASONS", "EpcIdentity", "Known", "NotGs1", "Sgtin", "decode_epc", "known_epc"]

CACHED_MAX: Final = 65_536
"""Tags whose answer is kept: a whole store's worth, 12 MB at most."""
DIGITS_MAX: Final = 248
"""Twice the EPC memory that Gen2 can name (31 words and an extension); more is no tag."""

_HEX: Final = re.compile(rf"[0-9A-Fa-f]{{2,{DIGITS_MAX}}}")
_ISO_TOGGLE: Final = 0x0100
_LEGACY: Final = frozenset((*range(0x08, 0x0C), *range(0x80, 0xC0), 0xCE))


def decode_epc(digits: str, pc: int | None = None) -> Sgtin | EpcIdentity | NotGs1:
    """EPC memory in hexadecimal, without CRC and PC word, to what it names. Never raises.

    `pc` is the protocol control word, where the reader tells it: its toggle bit says that the
    memory is of ISO/IEC 15961 and no EPC. Zeros that fill up the last word may be missing.

    >>> decode_epc("3066C4409047E140075BCD15").gtin
    '09506000134352'
    >>> decode_epc("E28011700000020EC250695C").reason
    'tid'
    """
    if _HEX.fullmatch(digits) is None:
        return NotGs1("hex", "no EPC in hexadecimal digits")
    if pc is not None and pc & _ISO_TOGGLE:
        return NotGs1("iso", f"ISO/IEC 15961, application family identifier {pc & 0xFF:02X}")
    header = int(digits[:2], 16)
    try:
        if header == 0x30:
            return fixed.sgtin_96(digits)
        bits = Bits(digits)
        bits.take(8)
        if header in fixed.SCHEMES:
            found = fixed.SCHEMES[header](bits)
        elif header in plus.SCHEMES:
            found = plus.decode(plus.SCHEMES[header], bits)
        else:
            return _none(header, digits)
        if not found.aidc:
            bits.end()
    except Wrong as wrong:
        return NotGs1(wrong.reason, wrong.detail)
    return found


class Known(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a tag: one for all of its reads, its key shared by all who name it."""

    key: str
    """The EPC in capitals."""
    gtin: str | None
    """Of a product; None of anything else."""
    reason: str | None
    """Of `REASONS`; None of GS1's."""


class _Answers(dict[str, Known]):
    """The last answers, by what was asked. Full, it starts anew: that costs a tag less memory than
    to remember in which order they were asked for."""

    def __missing__(self, digits: str) -> Known:
        if len(self) >= CACHED_MAX:
            self.clear()
        found, capitals = decode_epc(digits), digits.upper()
        known = self[digits] = Known(
            digits if digits == capitals else capitals,
            found.gtin if isinstance(found, Sgtin) else None,
            found.reason if isinstance(found, NotGs1) else None,
        )
        return known


_answers: Final = _Answers()


def known_epc(digits: str) -> Known:
    """The part of `decode_epc` that every read asks for, with the last answers kept."""
    return _answers[digits]


def _none(header: int, digits: str) -> NotGs1:
    """Why a header is none of a scheme (table 14-1)."""
    if header == 0:
        if digits.strip("0"):
            return NotGs1("reserved", "header 00 with data behind it")
        return NotGs1("unprogrammed", "zeros: nobody has written this tag")
    if header in (0xE0, 0xE2):
        return NotGs1("tid", f"{header:X}: the chip's own number, not a GS1 one")
    if header in _LEGACY:
        return NotGs1("legacy", f"header {header:02X}: a 64-bit EPC, withdrawn in 2008")
    return NotGs1("reserved", f"header {header:02X} means nothing")
