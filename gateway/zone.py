"""From the name of a time zone to the table of offsets that the core decides by.

Here: the one look into the zone database, when a configuration is loaded. Not here: what days are
good for (`domain.calendar`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.calendar import Calendar

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
"""What holds at the end of this year holds for ever after."""
_STEP: Final = timedelta(days=7)
"""No zone has changed its clocks and changed them back within a week."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=16)
def calendar_of(timezone: str) -> Calendar:
    """The offsets of a zone from 2000 to 2100. Raises ZoneInfoNotFoundError, ValueError.

    >>> calendar_of("Asia/Shanghai")
    Calendar(from_s=(-4611686018427387904,), offset_s=(28800,))
    """
    zone = ZoneInfo(timezone)

    def offset_s(at: datetime) -> int:
        shift = at.astimezone(zone).utcoffset()
        return 0 if shift is None else int(shift.total_seconds())

    at, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    starts, offsets = [-(2**62)], [offset_s(at)]
    while at < end:
        later = at + _STEP
        if offset_s(later) != offsets[-1]:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if offset_s(middle) == offsets[-1]:
                    low = middle
                else:
                    high = middle
            starts.append((high - _EPOCH) // timedelta(seconds=1))
            offsets.append(offset_s(high))
        at = later
    return Calendar(tuple(starts), tuple(offsets))
