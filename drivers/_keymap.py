"""Keyboard layouts of wedge scanners: key code to characters, plain, shifted, with AltGr.

Here: what each key prints by the layout the scanner was told to imitate. Not here: which keys
are held, what ends a scan (`scanner_hid`). Key codes: linux/input-event-codes.h. Dead keys are
left out: what they print depends on the key after them. Next: `scanner_hid`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Prints(NamedTuple):
    """Characters of one key; empty where it prints none."""

    plain: str
    shift: str
    altgr: str

    def capital(self) -> bool:
        """Whether CapsLock acts as shift on this key: it does on letters alone."""
        return self.plain.upper() == self.shift != self.plain


Layout = dict[int, Prints]
_Rows = tuple[str, ...]

# Four rows of a full-size keyboard from left to right, then the key right of left shift
_KEYS: Final = (*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 86)
_NOTHING: Final = tuple(" " * len(_KEYS))


def _layout(plain: _Rows, shift: _Rows, altgr: _Rows = _NOTHING) -> Layout:
    """A layout from one character per key; a space is a key that prints nothing."""
    columns = zip(_KEYS, "".join(plain), "".join(shift), "".join(altgr), strict=True)
    return {
        key: Prints(p.strip(), s.strip(), a.strip())
        for key, p, s, a in columns
        if p + s + a != "   "
    }


LAYOUTS: Final[dict[str, Layout]] = {
    "us": _layout(
        ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "\\zxcvbnm,./", " "),
        ("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"~', "|ZXCVBNM<>?", " "),
    ),
    "gb": _layout(
        ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "#zxcvbnm,./", "\\"),
        ('!"£$%^&*()_+', "QWERTYUIOP{}", "ASDFGHJKL:@¬", "~ZXCVBNM<>?", "|"),
        ("   €        ", "            ", "           ¦", "           ", " "),
    ),
    "de": _layout(
        ("1234567890ß ", "qwertzuiopü+", "asdfghjklöä ", "#yxcvbnm,.-", "<"),
        ('!"§$%&/()=? ', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ°", "'YXCVBNM;:_", ">"),
        (" ²³   {[]}\\ ", "@ €        ~", "            ", "       µ   ", "|"),
    ),
    "fr": _layout(
        ("&é\"'(-è_çà)=", "azertyuiop $", "qsdfghjklmù²", "*wxcvbn,;:!", "<"),
        ("1234567890°+", "AZERTYUIOP £", "QSDFGHJKLM% ", "µWXCVBN?./§", ">"),
        ("  #{[| \\^@]}", "  €        ¤", "            ", "           ", " "),
    ),
}

SPACE: Final = 57
TAB: Final = 15
ENTER: Final = 28
KEYPAD_ENTER: Final = 96

FIXED: Final[dict[int, str]] = {
    SPACE: " ",
    TAB: "\t",
    ENTER: "\r",
    KEYPAD_ENTER: "\r",
    # the keypad, with NumLock on as scanners assume
    **dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True)),
    **dict(zip((55, 74, 78, 83, 98), "*-+./", strict=True)),
}
"""Keys that print the same in every layout and with any shift."""

SHIFTS: Final = frozenset((42, 54))
CTRLS: Final = frozenset((29, 97))
ALTGR: Final = 100
COMMANDS: Final = frozenset((56, 125, 126))
"""Left Alt and the logo keys: with them, a key is a command and prints nothing."""
MODIFIERS: Final = SHIFTS | CTRLS | COMMANDS | {ALTGR}
CAPS_LOCK: Final = 58
OTHER_LOCKS: Final = frozenset((69, 70))
