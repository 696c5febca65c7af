"""Keyboard layouts of wedge scanners: what each key prints, plain, shifted, with AltGr.

Here: what a key prints by the layout the scanner was told to imitate, which keys are dead, on
which CapsLock acts. Not here: which keys are held (`_keyboard`), what ends a scan (`scanner_hid`).
Key codes: linux/input-event-codes.h. Layouts: those of Windows (kbdus, kbduk, kbdgr, kbdfr), which
the country settings of scanners imitate; X11 agrees on every key that ASCII needs, but for the
dead ~ and ` of the French AltGr level, which X11 prints at once.

CapsLock acts as shift on letters alone (us, gb, de), as X11 and the German (IBM) layout of Windows
do; on fr it is the shift lock of the French Windows keyboard, so that the row above the letters
gives digits. Next: `_keyboard`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Prints(NamedTuple):
    """Characters of one key by level; empty where it prints none."""

    plain: str
    shift: str
    altgr: str
    altgr_shift: str

    def level(self, *, altgr: bool, shift: bool) -> str:
        """What it prints with these held."""
        if altgr:
            return self.altgr_shift if shift else self.altgr
        return self.shift if shift else self.plain


@dataclass(frozen=True, slots=True)
class Layout:
    """One country's keyboard."""

    keys: dict[int, Prints]
    dead: frozenset[str] = frozenset()
    """Accents that wait for the next key, as `<code><character>`."""
    shift_lock: frozenset[int] = frozenset()
    """Keys beside the letters on which CapsLock acts as shift."""
    has_altgr: bool = True
    """False: the right Alt key is an Alt like the left one."""
    oem: str = "cp850"
    """Code page of Alt codes without a leading zero."""
    decimal: str = "."
    """What the keypad's decimal key prints."""

    def is_dead(self, code: int, accent: str) -> bool:
        """Whether this key waits for the next one when it would print the accent."""
        return f"{code}{accent}" in self.dead

    def caps_shifts(self, code: int, *, altgr: bool) -> bool:
        """Whether CapsLock acts as shift on this key of the layout."""
        key = self.keys[code]
        if altgr:
            return key.altgr.upper() == key.altgr_shift != key.altgr
        return code in self.shift_lock or key.plain.upper() == key.shift != key.plain


_Rows = tuple[str, ...]

# Four rows of a full-size keyboard from left to right, then the key right of left shift
_KEYS: Final = (*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 86)
_NOTHING: Final = (" " * len(_KEYS),)


def _keys(
    plain: _Rows, shift: _Rows, altgr: _Rows = _NOTHING, altgr_shift: _Rows = _NOTHING
) -> dict[int, Prints]:
    """Keys from one character each a level; a space is a key that prints nothing."""
    levels = ("".join(rows) for rows in (plain, shift, altgr, altgr_shift))
    columns = zip(_KEYS, *levels, strict=True)
    return {key: Prints(*map(str.strip, chars)) for key, *chars in columns if any(chars)}


_US: Final = Layout(
    _keys(
        ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "\\zxcvbnm,./", " "),
        ("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"~', "|ZXCVBNM<>?", " "),
    ),
    has_altgr=False,
    oem="cp437",
)
_GB: Final = Layout(
    _keys(
        ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "#zxcvbnm,./", "\\"),
        ('!"£$%^&*()_+', "QWERTYUIOP{}", "ASDFGHJKL:@¬", "~ZXCVBNM<>?", "|"),
        ("   €        ", "  é   úíó   ", "á          ¦", "           ", " "),
        ("            ", "  É   ÚÍÓ   ", "Á           ", "           ", " "),
    )
)
_DE: Final = Layout(
    _keys(
        ("1234567890ß´", "qwertzuiopü+", "asdfghjklöä^", "#yxcvbnm,.-", "<"),
        ('!"§$%&/()=?`', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ°", "'YXCVBNM;:_", ">"),
        (" ²³   {[]}\\ ", "@ €        ~", "            ", "       µ   ", "|"),
    ),
    dead=frozenset(("13´", "13`", "41^")),
    decimal=",",
)
_FR: Final = Layout(
    _keys(
        ("&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù²", "*wxcvbn,;:!", "<"),
        ("1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM% ", "µWXCVBN?./§", ">"),
        (" ~#{[|`\\^@]}", "  €        ¤", "            ", "           ", " "),
    ),
    dead=frozenset(("26^", "26¨", "3~", "8`")),
    shift_lock=frozenset((*range(2, 14), 27, 40, 43, *range(50, 54))),
)
LAYOUTS: Final = {"us": _US, "gb": _GB, "de": _DE, "fr": _FR, "cn": _US}
"""`cn`: PCs in China have the US keyboard."""

COMPOSED: Final = {
    accent + base: made
    for accent, bases, all_made in (
        ("^", " aeiouAEIOU", "^âêîôûÂÊÎÔÛ"),
        ("´", " aeiouyAEIOUY", "´áéíóúýÁÉÍÓÚÝ"),
        ("`", " aeiouAEIOU", "`àèìòùÀÈÌÒÙ"),
        ("¨", " aeiouyAEIOU", "¨äëïöüÿÄËÏÖÜ"),
        ("~", " anoANO", "~ãñõÃÑÕ"),
    )
    for base, made in zip(bases, all_made, strict=True)
}
"""What a dead accent and the next character make; of any other pair nothing is certain."""

SPACE, TAB, ENTER, KEYPAD_ENTER = 57, 15, 28, 96

FIXED: Final = {
    SPACE: " ",
    TAB: "\t",
    ENTER: "\r",
    KEYPAD_ENTER: "\r",
    **dict(zip((55, 74, 78, 98), "*-+/", strict=True)),  # of the keypad
}
"""Keys that print the same in every layout and with any shift."""
KEYPAD_DIGITS: Final = dict(
    zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True)
)
"""They print with NumLock; without it they move a cursor."""
KEYPAD_DECIMAL: Final = 83

SHIFTS: Final = frozenset((42, 54))
CTRLS: Final = frozenset((29, 97))
LEFT_ALT, ALTGR = 56, 100
LOGOS: Final = frozenset((125, 126))
CAPS_LOCK, NUM_LOCK, SCROLL_LOCK = 58, 69, 70
MODIFIERS: Final = SHIFTS | CTRLS | LOGOS | {LEFT_ALT, ALTGR, CAPS_LOCK, NUM_LOCK, SCROLL_LOCK}
"""Keys that change what others print and print nothing themselves."""
