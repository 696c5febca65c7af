"""Barcode scanners: a label to the bytes that a serial or a HID scanner sends, from the manuals.

Serial: the text, then CR. HID: the presses of a keyboard (`keyboards`) as `struct input_event` of
64-bit Linux (linux/input.h): EV_MSC scan code, EV_KEY, EV_SYN; 1 to 8 ms a key; Enter. Here: also
which label stands for a product, a mode or a quantity. Not here: the port (`ports`), who scans
(`people`).
"""

from __future__ import annotations

import struct
from random import Random
from typing import Final

from drivers.sim.actions import Barcode
from drivers.sim.keyboards import GS, US, Keyboard, presses
from gateway.domain.reading import Word

TERMINATORS: Final = {
    "cr": "\r", "lf": "\n", "crlf": "\r\n", "tab": "\t", "enter": "\r", "any": "\r", "none": "",
}  # fmt: skip
"""What ends a label, by the names of the configuration; "any" is what comes from the factory."""
KEY_MS: Final = (1, 8)

_INPUT_EVENT: Final = struct.Struct("@qqHHi")
_EV_SYN, _EV_KEY, _EV_MSC, _MSC_SCAN = 0, 1, 4, 4
_KEYBOARD_PAGE: Final = 0x70000
_ENTER, _TAB = 28, 15


_USAGES: Final = {
    **dict(zip((30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20,
                22, 47, 17, 45, 21, 44), range(0x04, 0x1E), strict=True)),
    **dict(zip(range(2, 12), range(0x1E, 0x28), strict=True)),
    _ENTER: 0x28, _TAB: 0x2B, 57: 0x2C, 12: 0x2D, 13: 0x2E, 26: 0x2F, 27: 0x30, 43: 0x31,
    39: 0x33, 40: 0x34, 41: 0x35, 51: 0x36, 52: 0x37, 53: 0x38, 86: 0x64,
    **dict(zip((79, 80, 81, 75, 76, 77, 71, 72, 73, 82), range(0x59, 0x63), strict=True)),
    29: 0xE0, 42: 0xE1, 56: 0xE2, 100: 0xE6,
}  # fmt: skip
"""Key codes to usages of the HID keyboard page: what EV_MSC tells beside the key."""


class Keystroke(Word, frozen=True):
    """The records of one key, and how long after the beam they come."""

    after_ns: int
    records: bytes


def serial_bytes(barcode: Barcode, aim: bool, terminator: str) -> bytes:
    """What a serial scanner sends for a label. Raises KeyError for an unknown terminator."""
    return ((barcode.aim if aim else "") + barcode.text + TERMINATORS[terminator]).encode("ascii")


def hid_keystrokes(
    barcode: Barcode,
    aim: bool,
    terminator: str,
    at_ns: int,
    rng: Random,
    keyboard: Keyboard = US,
) -> tuple[Keystroke, ...]:
    """What a HID scanner types for a label scanned at wall time `at_ns`.

    A group separator is typed as Ctrl-] of the US keyboard, or as its Alt code. Raises KeyError
    for what the keyboard cannot type.
    """
    text = (barcode.aim if aim else "") + barcode.text
    typed = [press for char in text for press in presses(char, keyboard)]
    last = {"\t": _TAB, "": None}.get(TERMINATORS[terminator], _ENTER)
    if last is not None:
        typed.append(((), last, ()))
    strokes, after_ns = [], 0
    for before, code, after in typed:
        after_ns += round(rng.uniform(*KEY_MS) * 1e6)
        steps = (*((k, 1) for k in before), (code, 1), (code, 0), *((k, 0) for k in after))
        records = b"".join(_key(key, value, at_ns + after_ns) for key, value in steps)
        strokes.append(Keystroke(after_ns, records))
    return tuple(strokes)


def _key(code: int, value: int, at_ns: int) -> bytes:
    seconds, us = divmod(at_ns // 1000, 1_000_000)
    return (
        _INPUT_EVENT.pack(seconds, us, _EV_MSC, _MSC_SCAN, _KEYBOARD_PAGE + _USAGES[code])
        + _INPUT_EVENT.pack(seconds, us, _EV_KEY, code, value)
        + _INPUT_EVENT.pack(seconds, us, _EV_SYN, 0, 0)
    )


def ean(gtin: str) -> Barcode:
    """The retail label of a GTIN-14: EAN-13, EAN-8, or ITF-14 for a case."""
    if gtin.startswith("000000"):
        return Barcode(gtin[6:], "]E4")
    if gtin.startswith("0"):
        return Barcode(gtin[1:], "]E0")
    return Barcode(gtin, "]I1")


def datamatrix(gtin: str, lot: str, expiry: str) -> Barcode:
    """GS1 DataMatrix: GTIN, expiry YYMMDD and lot, which is last and needs no separator."""
    return Barcode(f"01{gtin}17{expiry}10{lot}", "]d2")


def datamatrix_serial(gtin: str, lot: str, expiry: str, serial: str) -> Barcode:
    """As `datamatrix`, with a serial number: the lot then ends with a separator."""
    return Barcode(f"01{gtin}17{expiry}10{lot}{GS}21{serial}", "]d2")


def mode_label(prefix: str, mode: str) -> Barcode:
    """Code 128 with the shop's private prefix: switches a scanner's mode."""
    return Barcode(f"{prefix}MODE:{mode}", "]C0")


def quantity_label(prefix: str, n: int) -> Barcode:
    """Code 128 with the shop's private prefix: the next scan stands for n units."""
    return Barcode(f"{prefix}QTY:{n}", "]C0")
