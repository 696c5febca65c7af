"""Simulated scanners, read back with nothing but struct and the kernel's numbers."""

from __future__ import annotations

import struct
from itertools import pairwise
from random import Random

import pytest

from drivers.sim.actions import Barcode
from drivers.sim.scanners import (
    datamatrix,
    datamatrix_serial,
    ean,
    hid_keystrokes,
    mode_label,
    quantity_label,
    serial_bytes,
)

# linux/input-event-codes.h, typed here by hand: KEY_1 .. KEY_0 and the letters by row
LETTERS = dict(
    zip((*range(16, 26), *range(30, 39), *range(44, 51)), "qwertyuiopasdfghjklzxcvbnm", strict=True)
)
DIGITS = dict(zip(range(2, 12), "1234567890", strict=True))


def _records(raw: bytes) -> list[tuple[int, int, int, int, int]]:
    assert len(raw) % 24 == 0
    return list(struct.iter_unpack("<qqHHi", raw))


def test_every_key_is_a_scan_code_a_press_and_a_release_in_its_time() -> None:
    at_ns = 1_700_000_000_123_456_789
    strokes = hid_keystrokes(Barcode("42", "]E0"), False, "enter", at_ns, Random(1))
    assert len(strokes) == 3
    assert [s.after_ns for s in strokes] == sorted(s.after_ns for s in strokes)
    for stroke, code, usage in zip(strokes, (5, 3, 28), (0x70021, 0x7001F, 0x70028), strict=True):
        seconds, us = divmod((at_ns + stroke.after_ns) // 1000, 1_000_000)
        assert _records(stroke.records) == [
            (seconds, us, 4, 4, usage),
            (seconds, us, 1, code, 1),
            (seconds, us, 0, 0, 0),
            (seconds, us, 4, 4, usage),
            (seconds, us, 1, code, 0),
            (seconds, us, 0, 0, 0),
        ]


def test_keys_come_one_to_eight_milliseconds_apart() -> None:
    strokes = hid_keystrokes(Barcode("0" * 500, ""), False, "enter", 0, Random(2))
    times = [0, *(s.after_ns for s in strokes)]
    gaps_ms = [(b - a) / 1e6 for a, b in pairwise(times)]
    assert 0.99 <= min(gaps_ms) < 1.2
    assert 7.8 < max(gaps_ms) <= 8.01


def _typed(barcode: Barcode, aim: bool) -> str:
    """A keyboard of the test's own: only what these labels need."""
    text, held = "", set[int]()
    for stroke in hid_keystrokes(barcode, aim, "enter", 0, Random(3)):
        for _, _, kind, code, value in _records(stroke.records):
            if kind != 1:
                continue
            if code in (42, 29):
                (held.add if value else held.discard)(code)
            elif value and code == 28:
                text += "\n"
            elif value and code == 27:
                text += "\x1d" if 29 in held else "]"
            elif value and code == 39:
                text += ":" if 42 in held else ";"
            elif value and code in LETTERS:
                text += LETTERS[code].upper() if 42 in held else LETTERS[code]
            elif value:
                text += DIGITS[code]
    assert not held
    return text


def test_capitals_colons_aim_identifiers_and_separators_are_typed() -> None:
    assert _typed(mode_label("SHOP", "restock"), aim=False) == "SHOPMODE:restock\n"
    assert _typed(quantity_label("SHOP", 12), aim=False) == "SHOPQTY:12\n"
    coded = datamatrix_serial("09506000134352", "L7", "301231", "00071")
    typed = _typed(coded, aim=True)
    assert typed == "]d201095060001343521730123110L7\x1d2100071\n"


def test_a_serial_scanner_sends_text_and_its_terminator() -> None:
    label = ean("09506000134352")
    assert serial_bytes(label, False, "cr") == b"9506000134352\r"
    assert serial_bytes(label, True, "crlf") == b"]E09506000134352\r\n"
    coded = datamatrix("09506000134352", "L7", "301231")
    assert serial_bytes(coded, True, "none") == b"]d201095060001343521730123110L7"
    with pytest.raises(KeyError):
        serial_bytes(label, False, "bell")


@pytest.mark.parametrize(
    ("gtin", "text", "aim"),
    [
        ("09506000134352", "9506000134352", "]E0"),
        ("00000096385074", "96385074", "]E4"),
        ("00012345678905", "0012345678905", "]E0"),
        ("10012345678902", "10012345678902", "]I1"),
    ],
)
def test_the_label_of_a_gtin_is_the_one_on_its_package(gtin: str, text: str, aim: str) -> None:
    assert ean(gtin) == Barcode(text, aim)
