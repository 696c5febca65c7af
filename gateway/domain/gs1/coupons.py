"""Coupons of North America: whether the digits of AI 8110 and AI 8112 add up to one.

Here: the grammar of both (North American Coupon Application Guideline; AI (8112) Coupon Data
Specification). A length digit L stands before each part that may vary. Not here: what it grants.

    8110  L company  offer:6  L save  L requirement  code family:3  [1 ...] [2 ...] ... [9 ...]
    8112  format  L funder  offer:6  L serial
"""

from __future__ import annotations

from typing import Final

from gateway.domain.gs1.dates import is_yymmd0

_DIGITS: Final = "0123456789"


class _Digits:
    """A place in a row of digits that moves on as parts are found."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def take(self, count: int) -> str:
        """The next digits; fewer at the end."""
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def skip(self, count: int) -> bool:
        return len(self.take(count)) == count

    def one_of(self, digits: str) -> bool:
        found = self.take(1)
        return found != "" and found in digits

    def sized(self, lengths: str, beyond: int) -> bool:
        """A part behind its length digit, which counts from `beyond`."""
        length = self.take(1)
        return length != "" and length in lengths and self.skip(int(length) + beyond)

    def field(self, number: str) -> bool:
        """Whether optional field `number` follows; moves into it."""
        if self.rest[:1] != number:
            return False
        self.take(1)
        return True

    def purchase(self) -> bool:
        """A purchase requirement, its code and the family of goods."""
        return self.sized("12345", 0) and self.one_of("012349") and self.skip(3)

    def company(self) -> bool:
        """A further purchase's company prefix; length 9 stands for the first one's."""
        return self.field("9") or self.sized("0123456", 6)


def is_coupon(text: str) -> bool:
    """Whether the value of AI 8110 is a coupon. Never raises."""
    if not (text.isascii() and text.isdigit()):
        return False
    at = _Digits(text)
    good = at.sized("0123456", 6) and at.skip(6) and at.sized("12345", 0) and at.purchase()
    if at.field("1"):
        good = good and at.one_of("0123") and at.purchase() and at.company()
    if at.field("2"):
        good = good and at.purchase() and at.company()
    ends = starts = ""
    if at.field("3"):
        ends = at.take(6)
        good = good and _is_day(ends)
    if at.field("4"):
        starts = at.take(6)
        good = good and _is_day(starts) and (not ends or starts <= ends)
    if at.field("5"):
        good = good and at.sized(_DIGITS, 6)
    if at.field("6"):
        good = good and at.sized("1234567", 6)
    if at.field("9"):
        good = good and at.one_of("01256") and at.one_of("012") and at.skip(1) and at.one_of("01")
    return good and not at.rest


def is_positive_offer(text: str) -> bool:
    """Whether the value of AI 8112 is a coupon. Never raises."""
    if not (text.isascii() and text.isdigit()):
        return False
    at = _Digits(text)
    head = at.one_of("01") and at.sized("0123456", 6) and at.skip(6)
    return head and at.sized(_DIGITS, 6) and not at.rest


def _is_day(yymmdd: str) -> bool:
    return is_yymmd0(yymmdd) and yymmdd[4:] != "00"
