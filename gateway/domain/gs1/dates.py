"""Dates as GS1 writes them: six digits whose century is found from the year of the reader.

Here: YYMMDD to a calendar date, and the calendar year of a time. Not here: the clock; a time comes
in as an argument.
"""

from __future__ import annotations

from typing import Final

_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_in(year: int, month: int) -> int:
    """How many days the month has; 0 where `month` is none of the twelve."""
    if not 1 <= month <= 12:
        return 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


def is_yymmd0(yymmdd: str) -> bool:
    """Whether these six digits are a date in some century; day 00 is the last of its month."""
    if not (len(yymmdd) == 6 and yymmdd.isascii() and yymmdd.isdigit()):
        return False
    month, day = int(yymmdd[2:4]), int(yymmdd[4:])
    return 1 <= month <= 12 and day <= days_in(2000 + int(yymmdd[:2]), month)


def expiry_date(yymmdd: str, year: int) -> str | None:
    """A YYMMDD as YYYY-MM-DD, seen from `year` (General Specifications 7.12); None if no date.

    The century is the one that puts it within 49 years back and 50 ahead. Day 00 is the last of
    its month.

    >>> expiry_date("260930", 2026), expiry_date("270200", 2026), expiry_date("991301", 2026)
    ('2026-09-30', '2027-02-28', None)
    """
    if not is_yymmd0(yymmdd):
        return None
    month, day = int(yymmdd[2:4]), int(yymmdd[4:])
    full = year - year % 100 + int(yymmdd[:2])
    if full - year >= 51:
        full -= 100
    elif full - year <= -50:
        full += 100
    last = days_in(full, month)
    day = day or last
    return f"{full:04d}-{month:02d}-{day:02d}" if day <= last else None


def year_of(at_ns: int) -> int:
    """The UTC calendar year of a time, by integer arithmetic (no clock, no time zone).

    >>> year_of(0), year_of(1_780_300_800_000_000_000)
    (1970, 2026)
    """
    days = at_ns // 86_400_000_000_000 + 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return year + era * 400 + (1 if (5 * of_year + 2) // 153 >= 10 else 0)
