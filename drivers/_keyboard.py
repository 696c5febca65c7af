"""A keyboard as its reader sees it: keys go down and up, characters come out.

Here: which keys are held, the locks, dead keys, Alt codes. Not here: what each key of a country
prints (`_keymap`), records, times, what ends a scan (`scanner_hid`).

An Alt code is Alt held, digits of the keypad, Alt let go; scanners in "ALT mode" or "keypad
emulation" send every character so, others those that their layout lacks:

    Alt 0 0 2 9    a leading zero: Windows-1252, here the separator GS; 029 too
    Alt 1 3 2      no leading zero: the OEM code page (437 in the US, 850 in Europe), here ä

Below 128 both are ASCII. More than four digits or a number over 255 are no character.
"""

from __future__ import annotations

from typing import Final

from drivers import _keymap

NOTHING: Final = ""
"""In place of a character: a key was pressed that prints none."""
_ALT_DIGITS_MAX: Final = 4
_BROKEN: Final = "?"  # an Alt code whose first digits are gone


class Keyboard:
    """Modifiers, locks and halves of characters. Never raises, whatever the key codes."""

    def __init__(self, layout: _keymap.Layout, *, caps_lock: bool, num_lock: bool) -> None:
        """`caps_lock`: on at first. `num_lock`: always on; false: off until its key is pressed."""
        self._layout = layout
        self._alts = {_keymap.LEFT_ALT} if layout.has_altgr else {_keymap.LEFT_ALT, _keymap.ALTGR}
        self._held: set[int] = set()
        self._caps = caps_lock
        self._num, self._num_stays = num_lock, num_lock
        self._accent = ""  # a dead key that waits for its letter
        self._alt_code = ""

    @property
    def half(self) -> bool:
        """Whether part of a character is typed."""
        return bool(self._accent or self._alt_code)

    def let_go(self) -> None:
        """No key is held any more, as far as is known; the locks stay."""
        self._held.clear()
        self._accent = self._alt_code = ""

    def break_off(self) -> None:
        """The half that is typed belongs to nothing."""
        self._accent = ""
        # what is left of the Alt code would pass for a shorter one
        self._alt_code = self._alt_code and _BROKEN

    def modify(self, code: int) -> None:
        """One of MODIFIERS goes down."""
        if code == _keymap.CAPS_LOCK:
            self._caps = not self._caps
        elif code == _keymap.NUM_LOCK:
            # a scanner that presses it before digits means digits, whatever the light said
            self._num = self._num_stays or not self._num
        else:
            self._held.add(code)

    def press(self, code: int) -> tuple[str, ...]:
        """Any other key goes down: the characters it completes; NOTHING for a key without one."""
        held = self._held
        ctrl = bool(held & _keymap.CTRLS)
        altgr = self._layout.has_altgr and (
            _keymap.ALTGR in held or (ctrl and _keymap.LEFT_ALT in held)
        )
        if held & _keymap.LOGOS:
            return (NOTHING,)
        if held & self._alts and not altgr:
            return self._alt_digit(code)
        accent, self._accent = self._accent, ""
        char = self._printed(code, altgr=altgr, ctrl=ctrl)
        if accent:
            made = _keymap.COMPOSED.get(accent + char)
            return (made,) if made else (NOTHING, char)
        if self._layout.is_dead(code, char):
            self._accent = char
            return ()
        return (char,)

    def release(self, code: int) -> tuple[str, ...]:
        """A key goes up: letting go of Alt completes an Alt code."""
        self._held.discard(code)
        if not self._alt_code or code not in self._alts:
            return ()
        digits, self._alt_code = self._alt_code, ""
        return (self._coded(digits),)

    def _alt_digit(self, code: int) -> tuple[str, ...]:
        digit = _keymap.KEYPAD_DIGITS.get(code)  # whatever NumLock says
        if digit is None:
            return (NOTHING,)
        if len(self._alt_code) <= _ALT_DIGITS_MAX:
            self._alt_code += digit
        return ()

    def _coded(self, digits: str) -> str:
        if not digits.isdecimal() or len(digits) > _ALT_DIGITS_MAX or int(digits) > 0xFF:
            return NOTHING
        page = "cp1252" if digits[0] == "0" else self._layout.oem
        return bytes((int(digits),)).decode(page, "ignore")

    def _printed(self, code: int, *, altgr: bool, ctrl: bool) -> str:
        if code in _keymap.KEYPAD_DIGITS or code == _keymap.KEYPAD_DECIMAL:
            digit = _keymap.KEYPAD_DIGITS.get(code, self._layout.decimal)
            return digit if self._num and not ctrl else NOTHING
        if code in _keymap.FIXED:
            return NOTHING if ctrl else _keymap.FIXED[code]
        if ctrl and not (altgr and _keymap.LEFT_ALT in self._held):
            return self._control(code, altgr=altgr)
        prints = self._layout.keys.get(code)
        if prints is None:
            return NOTHING
        shift = bool(self._held & _keymap.SHIFTS)
        if self._caps and self._layout.caps_shifts(code, altgr=altgr):
            shift = not shift
        return prints.level(altgr=altgr, shift=shift)

    def _control(self, code: int, *, altgr: bool) -> str:
        """The control character of ASCII: Ctrl-] is GS, Ctrl-M is CR, with shift or without.

        A scanner told another layout may still press the US keyboard's ].
        """
        for layout in (self._layout, _keymap.LAYOUTS["us"]):
            prints = layout.keys.get(code)
            char = prints.level(altgr=altgr, shift=False).upper() if prints else ""
            if len(char) == 1 and "@" <= char <= "_":
                return chr(ord(char) - 64)
        return NOTHING
