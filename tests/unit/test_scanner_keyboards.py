"""Simulated keyboards against the driver: two tables of each country, written from two sources."""

from __future__ import annotations

from itertools import zip_longest
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import scanner_hid, scanner_serial
from drivers.sim.actions import Barcode
from drivers.sim.keyboards import Keyboard, Style, presses
from drivers.sim.scanners import hid_keystrokes, serial_bytes
from gateway.domain.reading import Body, Garbled, Scan

GS = "\x1d"
CSET82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
ASCII = "".join(map(chr, range(0x20, 0x7F)))
LAYOUTS = ("us", "gb", "de", "fr", "cn")
STYLES: tuple[Style, ...] = ("keys", "keypad", "alt", "alt_oem")
BEYOND_ASCII = {
    "us": "",
    "cn": "",
    "gb": "£¬€¦éúíóáÉÚÍÓÁ",
    "de": "§°²³€µßäöüÄÖÜ´âêîôûÂÊÎÔÛáéíóúýÁÉÍÓÚÝàèìòùÀÈÌÒÙ",
    "fr": "²é§èçàù°£€¤µ¨âêîôûÂÊÎÔÛäëïöüÿÄËÏÖÜãñõÃÑÕàèìòùÀÈÌÒÙ",
}
Layout = Literal["us", "gb", "de", "fr", "cn"]


def typed(text: str, keyboard: Keyboard, aim: str = "", seed: int = 1) -> list[Body]:
    """What the driver makes of a label that this keyboard types."""
    strokes = hid_keystrokes(Barcode(text, aim), bool(aim), "enter", 10**18, Random(seed), keyboard)
    layout: Layout = keyboard.layout  # type: ignore[assignment]
    options = scanner_hid.Options(layout, aim=bool(aim), caps_lock=keyboard.caps_lock)
    decoder = scanner_hid.decoder(options)
    return decoder.feed(b"".join(stroke.records for stroke in strokes)) + decoder.end()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("caps_lock", [False, True])
def test_every_character_of_a_layout(layout: str, style: Style, caps_lock: bool) -> None:
    keyboard = Keyboard(layout, style, caps_lock)
    text = ASCII + GS + BEYOND_ASCII[layout]
    if style == "alt_oem":
        text = "".join(c for c in text if c not in "€´¤°¨" or layout not in ("us", "cn"))
        text = text.replace("€", "")  # neither 437 nor 850 has it
    assert typed(text, keyboard) == [Scan(text)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=25, deadline=None)
@given(
    lot=st.text(CSET82, min_size=1, max_size=20),
    serial=st.text(CSET82, min_size=1, max_size=20),
    caps_lock=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_an_element_string_is_the_same_by_every_keyboard_and_by_serial(
    layout: str, style: Style, lot: str, serial: str, caps_lock: bool, seed: int
) -> None:
    text = f"010950600013435210{lot}{GS}21{serial}"
    said = typed(text, Keyboard(layout, style, caps_lock), "]d2", seed)
    assert said == [Scan(text, "]d2")]
    lines = scanner_serial.decoder(scanner_serial.Options(aim=True))
    assert lines.feed(serial_bytes(Barcode(text, "]d2"), True, "crlf")) == said


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LAYOUTS), st.lists(st.tuples(st.integers(0, 0x2FF), st.integers(0, 2))))
def test_any_keys_in_any_order_leave_the_next_scan_whole(
    layout: Layout, keys: list[tuple[int, int]]
) -> None:
    """After a second of silence and all keys up, a scan is what it is: but for the locks."""
    decoder = scanner_hid.decoder(scanner_hid.Options(layout))
    locks = {58: 0}
    for n, (code, value) in enumerate(keys):
        if code in locks and value == 1:
            locks[code] ^= 1
        decoder.feed(record(10**6 + n * 1000, code, value))
    for code in range(0x300):
        decoder.feed(record(10**6 + len(keys) * 1000, code, 0))
    decoder.silence()
    strokes = hid_keystrokes(
        Barcode("09Aa", ""), False, "enter", 10**10, Random(1),
        Keyboard(layout, caps_lock=bool(locks[58])),
    )  # fmt: skip
    assert decoder.feed(b"".join(stroke.records for stroke in strokes)) == [Scan("09Aa")]


def record(at_us: int, code: int, value: int) -> bytes:
    words = (at_us // 10**6, at_us % 10**6)
    head = b"".join(word.to_bytes(8, "little") for word in words)
    return head + (1).to_bytes(2, "little") + code.to_bytes(2, "little") + bytes((value, 0, 0, 0))


@pytest.mark.parametrize(("layout", "char"), [("us", "é"), ("us", "£"), ("gb", "§"), ("de", "ñ")])
def test_what_a_keyboard_cannot_type(layout: str, char: str) -> None:
    with pytest.raises(KeyError):
        presses(char, Keyboard(layout))


def test_half_a_character_before_silence_is_no_character() -> None:
    """A link that stays open: the dead key waits for a letter that never comes."""
    decoder = scanner_hid.decoder(scanner_hid.Options("fr", terminator="none"))
    assert decoder.feed(record(10**6, 26, 1)) == []
    assert decoder.pending
    (body,) = decoder.silence()
    assert isinstance(body, Garbled)
    assert body.reason == "unknown_key"
    assert not decoder.pending


def test_two_scanners_that_type_at_once_are_two_keyboards() -> None:
    """An Alt held on one link changes nothing on the other."""
    labels = ("6901234567892", "ABCdef@|"), (Keyboard("de", "alt"), Keyboard("de"))
    said: list[list[Body]] = [[], []]
    decoders = [scanner_hid.decoder(scanner_hid.Options("de")) for _ in said]
    streams = [
        hid_keystrokes(Barcode(text, ""), False, "enter", 10**18, Random(1), keyboard)
        for text, keyboard in zip(*labels, strict=True)
    ]
    for strokes in zip_longest(*streams):
        for bodies, decoder, stroke in zip(said, decoders, strokes, strict=True):
            bodies.extend(decoder.feed(stroke.records if stroke else b""))
    assert said == [[Scan(text)] for text in labels[0]]
