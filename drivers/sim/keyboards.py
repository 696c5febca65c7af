"""Keyboards that simulated scanners type on: a character to the keys that a person would press.

Here: charts of the countries' keyboards by place (ISO/IEC 9995-1: row E digits, D, C, B letters),
CapsLock that the scanner makes up for, digits on the keypad, Alt codes. Charts: Microsoft's
"Windows keyboard layouts" (US, United Kingdom, German, French), each key as printed on its cap:
plain, shifted, with AltGr, with both. Not here: records and times (`scanners`).
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal

from gateway.domain.reading import Word

Style = Literal["keys", "keypad", "alt", "alt_oem"]
"""Keys of the layout; digits on the keypad; every character as Alt + 0 + its Windows-1252 number;
as Alt + its number in three digits, in the OEM code page from 128 on."""
Press = tuple[tuple[int, ...], int, tuple[int, ...]]
"""One key press: keys that go down before it, the key, keys that come up after it."""

SPACE, LEFT_CTRL, LEFT_SHIFT, LEFT_ALT, ALTGR = 57, 29, 42, 56, 100
GS: Final = "\x1d"
_GS_PLACE: Final = "D12"
"""The key of ] on the US keyboard."""

_PLACES: Final = {
    "E00": 41, "B00": 86, "C12": 43,
    **{f"E{n:02}": n + 1 for n in range(1, 13)},
    **{f"D{n:02}": n + 15 for n in range(1, 13)},
    **{f"C{n:02}": n + 29 for n in range(1, 12)},
    **{f"B{n:02}": n + 43 for n in range(1, 11)},
}  # fmt: skip
"""Places to key codes of linux/input-event-codes.h."""

_CHARTS: Final = {
    "us": """
        E00 `~  E01 1!  E02 2@  E03 3#  E04 4$  E05 5%  E06 6^  E07 7&  E08 8*  E09 9(  E10 0)
        E11 -_  E12 =+  D01 qQ  D02 wW  D03 eE  D04 rR  D05 tT  D06 yY  D07 uU  D08 iI  D09 oO
        D10 pP  D11 [{  D12 ]}  C01 aA  C02 sS  C03 dD  C04 fF  C05 gG  C06 hH  C07 jJ  C08 kK
        C09 lL  C10 ;:  C11 '"  C12 \\|  B01 zZ  B02 xX  B03 cC  B04 vV  B05 bB  B06 nN  B07 mM
        B08 ,<  B09 .>  B10 /?""",
    "gb": """
        E00 `¬¦ E01 1!  E02 2"  E03 3£  E04 4$€ E05 5%  E06 6^  E07 7&  E08 8*  E09 9(  E10 0)
        E11 -_  E12 =+  D01 qQ  D02 wW  D03 eEéÉ D04 rR D05 tT  D06 yY  D07 uUúÚ D08 iIíÍ
        D09 oOóÓ D10 pP D11 [{  D12 ]}  C01 aAáÁ C02 sS C03 dD  C04 fF  C05 gG  C06 hH  C07 jJ
        C08 kK  C09 lL  C10 ;:  C11 '@  C12 #~  B00 \\|  B01 zZ  B02 xX  B03 cC  B04 vV  B05 bB
        B06 nN  B07 mM  B08 ,<  B09 .>  B10 /?""",
    "de": """
        E00 ^°  E01 1!  E02 2"² E03 3§³ E04 4$  E05 5%  E06 6&  E07 7/{ E08 8([ E09 9)] E10 0=}
        E11 ß?\\ E12 ´`  D01 qQ@ D02 wW  D03 eE€ D04 rR  D05 tT  D06 zZ  D07 uU  D08 iI  D09 oO
        D10 pP  D11 üÜ  D12 +*~ C01 aA  C02 sS  C03 dD  C04 fF  C05 gG  C06 hH  C07 jJ  C08 kK
        C09 lL  C10 öÖ  C11 äÄ  C12 #'  B00 <>| B01 yY  B02 xX  B03 cC  B04 vV  B05 bB  B06 nN
        B07 mMµ B08 ,;  B09 .:  B10 -_""",
    "fr": """
        E00 ²   E01 &1  E02 é2~ E03 "3# E04 '4{ E05 (5[ E06 -6| E07 è7` E08 _8\\ E09 ç9^ E10 à0@
        E11 )°] E12 =+} D01 aA  D02 zZ  D03 eE€ D04 rR  D05 tT  D06 yY  D07 uU  D08 iI  D09 oO
        D10 pP  D11 ^¨  D12 $£¤ C01 qQ  C02 sS  C03 dD  C04 fF  C05 gG  C06 hH  C07 jJ  C08 kK
        C09 lL  C10 mM  C11 ù%  C12 *µ  B00 <>  B01 wW  B02 xX  B03 cC  B04 vV  B05 bB  B06 nN
        B07 ,?  B08 ;.  B09 :/  B10 !§""",
}
_CAPS: Final = {
    layout: dict(zip(chart.split()[::2], chart.split()[1::2], strict=True))
    for layout, chart in _CHARTS.items()
}
_MARKS: Final = {"^": "\u0302", "´": "\u0301", "`": "\u0300", "¨": "\u0308", "~": "\u0303"}
"""Accents to the marks of Unicode that stand after a letter."""
_DEAD: Final = {"de": ("E00^", "E12´", "E12`"), "fr": ("D11^", "D11¨", "E02~", "E07`")}
"""Accents that print nothing before the next key."""
_SHIFT_LOCK: Final = {"fr": frozenset(_PLACES) - {"E00", "B00", "D11"}}
"""Where CapsLock is the shift lock of a typewriter: all keys that it shifts."""
_HOLDERS: Final = ((), (LEFT_SHIFT,), (ALTGR,), (ALTGR, LEFT_SHIFT))
_KEYPAD: Final = dict(
    zip("0123456789", (82, 79, 80, 81, 75, 76, 77, 71, 72, 73), strict=True)
)  # fmt: skip
_OEM: Final = {"us": "cp437", "gb": "cp850", "de": "cp850", "fr": "cp850"}


class Keyboard(Word, frozen=True):
    """How a scanner is told to type."""

    layout: str = "us"
    style: Style = "keys"
    caps_lock: bool = False
    """CapsLock is on, and the scanner makes up for it."""


US: Final = Keyboard()


def presses(char: str, keyboard: Keyboard) -> tuple[Press, ...]:
    """The presses that type one character. Raises KeyError when this keyboard cannot."""
    layout = "us" if keyboard.layout == "cn" else keyboard.layout
    if keyboard.style.startswith("alt"):
        return _alt_code(_number(char, keyboard.style, _OEM[layout]))
    if keyboard.style == "keypad" and char in _KEYPAD:
        return (((), _KEYPAD[char], ()),)
    if char == GS:
        return (((LEFT_CTRL,), _PLACES[_GS_PLACE], (LEFT_CTRL,)),)
    if char == " ":
        return (((), SPACE, ()),)
    dead = _DEAD.get(layout, ())
    for place, cap in _CAPS[layout].items():
        if char in cap:
            press = _press(keyboard, layout, place, cap.index(char))
            return (press, ((), SPACE, ())) if place + char in dead else (press,)
    apart = unicodedata.normalize("NFD", char)
    for place, accent in ((entry[:3], entry[3]) for entry in dead):
        if apart[1:] == _MARKS[accent]:
            press = _press(keyboard, layout, place, _CAPS[layout][place].index(accent))
            return (press, *presses(apart[0], keyboard))
    raise KeyError(char)


def _press(keyboard: Keyboard, layout: str, place: str, level: int) -> Press:
    if keyboard.caps_lock and _caps_shifts(layout, place, level):
        level ^= 1
    holders = _HOLDERS[level]
    return (holders, _PLACES[place], holders[::-1])


def _caps_shifts(layout: str, place: str, level: int) -> bool:
    cap = _CAPS[layout][place]
    if level >= 2:
        return len(cap) > 3
    letter = cap[0].isalpha() and cap[0].upper() == cap[1:2]
    return letter or place in _SHIFT_LOCK.get(layout, ())


def _number(char: str, style: Style, oem: str) -> str:
    try:
        if style == "alt":
            return f"0{char.encode('cp1252')[0]:03}"
        return f"{char.encode('ascii' if char.isascii() else oem)[0]:03}"
    except UnicodeEncodeError:
        raise KeyError(char) from None


def _alt_code(digits: str) -> tuple[Press, ...]:
    last = len(digits) - 1
    return tuple(
        ((LEFT_ALT,) if n == 0 else (), _KEYPAD[digit], (LEFT_ALT,) if n == last else ())
        for n, digit in enumerate(digits)
    )
