"""Bits of an EPC, taken from the left; what cannot be is said with its reason.

Here: numbers, company prefix with its partition, the character codes (TDS 2.3 section 14.3), zeros.
Not here: which scheme has which fields (`fixed`, `plus`).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.ids import check_digit

PREFIX: Final = ((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))
"""Bits and digits of the company prefix by partition (TDS 2.3 table 14-2 and those like it)."""
WORD_BITS: Final = 16

SET_82: Final = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+")
"""General Specifications figure 7.11-1."""
SET_39: Final = re.compile(r"[#\-/0-9A-Z]+")
"""General Specifications figure 7.11-2."""
CAGE: Final = re.compile(r"[0-9A-HJ-NP-Z]{5,6}")
"""Commercial and Government Entity (5) or DoD Activity Address (6): no I, no O."""


class Wrong(Exception):
    """Why these bits are no identity: a reason of `words.REASONS`, and words about it.

    It never leaves this package: `decode_epc` makes a value of it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Bits:
    """The bits of a tag, from the most significant on."""

    def __init__(self, digits: str) -> None:
        self._value = int(digits, 16)
        self._left = 4 * len(digits)

    def take(self, size: int) -> int:
        """The next `size` bits as a number. Raises Wrong when there are not so many."""
        left = self._left - size
        if left < 0:
            raise Wrong("length", f"{-left} bits short")
        self._left = left
        return self._value >> left & (1 << size) - 1

    def end(self) -> None:
        """Nothing may follow but zeros that fill the last memory word (TDS 2.3 section 15.1)."""
        if self._left >= WORD_BITS:
            raise Wrong("length", f"{self._left} bits too long")
        self.zeros(self._left)

    def zeros(self, size: int) -> None:
        """Bits that are reserved, or fill up."""
        if self.take(size):
            raise Wrong("padding", "bits that must be 0 are not")

    def number(self, size: int, digits: int) -> str:
        """A number with leading zeros; none, and all bits 0, when it has no digits."""
        value = self.take(size)
        if value >= 10**digits:
            raise Wrong("range", f"{value} has more than {digits} digits")
        return f"{value:0{digits}d}" if digits else ""

    def integer(self, size: int, digits: int = 18) -> str:
        """A number without leading zeros."""
        value = self.take(size)
        if value >= 10**digits:
            raise Wrong("range", f"{value} has more than {digits} digits")
        return str(value)

    def numeric_string(self, size: int, most: int) -> str:
        """Digits behind a 1 that keeps their leading zeros (section 14.3.6)."""
        text = str(self.take(size))
        if text[0] != "1" or not 1 < len(text) <= 1 + most:
            raise Wrong("range", f"{text} is no 1 with 1 to {most} digits behind it")
        return text[1:]

    def prefix(self) -> tuple[str, int, int]:
        """Partition and company prefix: the prefix, its bits, its digits."""
        partition = self.take(3)
        if partition >= len(PREFIX):
            raise Wrong("partition", "partition 7")
        size, digits = PREFIX[partition]
        return self.number(size, digits), size, digits

    def text(self, size: int, most: int) -> str:
        """Characters of set 82, 7 bits each, up to the first 0; then zeros (section 14.3.4)."""
        value = self.take(size)
        chars = bytearray()
        for shift in range(size - 7, -1, -7):
            code = value >> shift & 0x7F
            if not code:
                break
            chars.append(code)
        if value & (1 << size - 7 * len(chars)) - 1:
            raise Wrong("padding", "characters behind the end of the text")
        return checked_text(chars.decode("ascii"), SET_82, most)

    def six_bit(self) -> str:
        """Characters of 6 bits up to the code 0 (sections 14.3.7 and 14.3.9; annex G)."""
        chars = ""
        while code := self.take(6):
            chars += six_bit_char(code)
        return chars


def six_bit_char(code: int) -> str:
    """The character of which these are the last 6 bits of ASCII; capitals, digits, signs."""
    return chr(code + 64 if code < 32 else code)


def checked_text(text: str, allowed: re.Pattern[str], most: int) -> str:
    """The text, of 1 to `most` allowed characters. Raises Wrong."""
    if not text or allowed.fullmatch(text) is None:
        raise Wrong("characters", f"{text!r} is empty or has other characters than allowed")
    if len(text) > most:
        raise Wrong("characters", f"{text!r} has more than {most} characters")
    return text


def with_check_digit(digits: str) -> str:
    """A GS1 key from its digits without the last."""
    return f"{digits}{check_digit(digits)}"
