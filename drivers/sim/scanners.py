"""Barcode scanners: a label to the bytes that a serial or a HID scanner sends, from the manuals.

Serial: the text, then CR. HID: a US keyboard's presses as `struct input_event` of 64-bit Linux
(linux/input.h): EV_MSC scan code, EV_KEY, EV_SYN; 1 to 8 ms a key; Enter. Here: also which label
stands for a product, a mode or a quantity. Not here: the port (`ports`), who scans (`people`).
"""

from __future__ import annotations

import struct
from random import Random
from typing import Final

from drivers.sim.actions import Barcode
from gateway.domain.reading import Word

TERMINATORS: Final = {
    "cr": "\r", "lf": "\n", "crlf": "\r\n", "tab": "\t", "enter": "\r", "any": "\r", "none": "",
}  # fmt: skip
"""What ends a label, by the names of the configuration; "any" is what comes from the factory."""
GS: Final = "\x1d"
KEY_MS: Final = (1, 8)

_INPUT_EVENT: Final = struct.Struct("@qqHHi")
_EV_SYN, _EV_KEY, _EV_MSC, _MSC_SCAN = 0, 1, 4, 4
_KEYBOARD_PAGE: Final = 0x70000
_LEFTCTRL, _LEFTSHIFT, _ENTER, _TAB, _RIGHTBRACE = 29, 42, 28, 15, 27


def _rows() -> dict[str, tuple[int, bool]]:
    """Characters of a US keyboard to (key code of linux/input-event-codes.h, shifted)."""
    keys: dict[str, tuple[int, bool]] = {" ": (57, False)}
    rows = (
        (2, "1234567890-=", "!@#$%^&*()_+"),
        (16, "qwertyuiop[]", "QWERTYUIOP{}"),
        (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
        (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    )
    for first, plain, shifted in rows:
        for place, (low, high) in enumerate(zip(plain, shifted, strict=True)):
            keys[low] = (first + place, False)
            keys[high] = (first + place, True)
    return keys


_KEYS: Final = _rows()
_USAGES: Final = {
    **{code: 4 + "abcdefghijklmnopqrstuvwxyz".index(char) for char, (code, high) in _KEYS.items()
       if char.isalpha() and char.islower() and not high},
    **{2 + place: 30 + place for place in range(10)},
    12: 45, 13: 46, 26: 47, 27: 48, 43: 49, 39: 51, 40: 52, 41: 53, 51: 54, 52: 55, 53: 56,
    57: 44, _ENTER: 40, _TAB: 43, _LEFTCTRL: 224, _LEFTSHIFT: 225,
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
    barcode: Barcode, aim: bool, terminator: str, at_ns: int, rng: Random
) -> tuple[Keystroke, ...]:
    """What a HID scanner types for a label scanned at wall time `at_ns`.

    A group separator is typed as Ctrl-]. Raises KeyError for what a US keyboard cannot type.
    """
    text = (barcode.aim if aim else "") + barcode.text
    last = {"\t": _TAB, "": None}.get(TERMINATORS[terminator], _ENTER)
    strokes, after_ns = [], 0
    for char in (*text, None):
        if char is None and last is None:
            break
        after_ns += round(rng.uniform(*KEY_MS) * 1e6)
        records = _typed(char, last or _ENTER, at_ns + after_ns)
        strokes.append(Keystroke(after_ns, records))
    return tuple(strokes)


def _typed(char: str | None, last: int, at_ns: int) -> bytes:
    if char is None:
        return _key(last, 1, at_ns) + _key(last, 0, at_ns)
    if char == GS:
        code, holder = _RIGHTBRACE, _LEFTCTRL
    else:
        code, shifted = _KEYS[char]
        holder = _LEFTSHIFT if shifted else 0
    pressed = _key(code, 1, at_ns) + _key(code, 0, at_ns)
    if not holder:
        return pressed
    return _key(holder, 1, at_ns) + pressed + _key(holder, 0, at_ns)


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
