"""The shop's calendar: which local day a time falls on, and when a local day begins.

Here: exact arithmetic over a table of offsets from UTC. Not here: where the table comes from (the
configuration resolves the time zone once, `gateway.zone`), so no decision asks a clock or a zone
database, and equal tables give equal deadlines on every machine.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from gateway.domain.reading import Word
from gateway.domain.units import NS_PER_S

DAY_S: Final = 86_400
_EPOCH_DAYS: Final = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


class Calendar(Word, frozen=True):
    """Offsets of local time from UTC; each holds from its second until the next one's."""

    from_s: tuple[int, ...] = (-(2**62),)
    """Seconds since 1970 UTC, ascending; the first is before all time."""
    offset_s: tuple[int, ...] = (0,)
    """Local time minus UTC, one for each entry of `from_s`."""

    def day(self, at_ns: int) -> int:
        """The local day of a time, as days since 1970-01-01.

        >>> Calendar((-2**62,), (8 * 3600,)).day(16 * 3600 * NS_PER_S)
        1
        """
        at_s = at_ns // NS_PER_S
        return (at_s + self.offset_s[bisect_right(self.from_s, at_s) - 1]) // DAY_S

    def begins_ns(self, day: int) -> int:
        """When a local day begins: its midnight, or what the clocks are put to over it.

        >>> Calendar((-2**62,), (8 * 3600,)).begins_ns(1) // NS_PER_S
        57600
        """
        local_s = day * DAY_S
        n = bisect_right(self.from_s, local_s - 2 * DAY_S) - 1  # no offset is two days
        while n + 1 < len(self.from_s) and local_s - self.offset_s[n] >= self.from_s[n + 1]:
            n += 1
        return max(self.from_s[n], local_s - self.offset_s[n]) * NS_PER_S


UTC: Final = Calendar()


def day_of(date: str) -> int:
    """A date as days since 1970-01-01. Raises ValueError for a text that is no YYYY-MM-DD.

    >>> day_of("1970-01-01"), day_of("2026-06-01"), day_of("2024-02-29")
    (0, 20605, 19782)
    """
    year, month, day = (int(part) for part in date.split("-"))
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _EPOCH_DAYS


def date_of(day: int) -> str:
    """Days since 1970-01-01 as a date.

    >>> date_of(0), date_of(20605), date_of(day_of("2028-02-29"))
    ('1970-01-01', '2026-06-01', '2028-02-29')
    """
    era, of_era = divmod(day + _EPOCH_DAYS, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    number = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return f"{year + era * 400 + (month <= 2):04d}-{month:02d}-{number:02d}"
