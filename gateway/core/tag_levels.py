"""How many units of a product lie at a place, by the tags that are heard there.

Here: the likelihood of a count (ALGORITHMS 3.4) and when it is said. Not here: which tags are here
(`presence`), what never had a tag (`tag_book`), what a claim does to the book (`corrections`).

With `untagged` units that no tag speaks for, n tags present, e of them leaving:

    untagged + n - e .. untagged + n    likely: a tag that is leaving may have left
    more                                tags that are torn off or never read: binomial, 0.946 each
    less                                a tag that is heard has its unit: only the floor

The likelihood never rises above the tags that are there: that one in twenty should be unread is no
reason to believe in units that nobody saw.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.core.belief import BINS_MAX
from gateway.core.levels import FLOOR_MNAT
from gateway.domain.observation import LevelClaim
from gateway.domain.units import NS_PER_S, ln_mnat

SPACING_NS: Final = 10 * NS_PER_S
AGAIN_NS: Final = 60 * NS_PER_S
"""A claim that the book disagrees with is said again so often."""
LISTENED_NS: Final = 10 * NS_PER_S
UNSEEN_PERMILLE: Final = 54
"""Of units: 0.98 of tags are read, and 0.035 of goods lost theirs."""


class Seen(NamedTuple):
    """What a claim rests on, in units."""

    untagged: int
    present: int
    leaving: int


def table(seen: Seen) -> tuple[int, tuple[int, ...]]:
    """The first count and the likelihoods from there on, in mnat; the best is 0. Never raises."""
    heard = seen.present + seen.leaving
    likely = [-1] * min(seen.leaving, BINS_MAX - 1) + [0]
    first = seen.untagged + heard - (len(likely) - 1)
    unseen, total, least = ln_mnat(UNSEEN_PERMILLE, 1000), 0, -1
    while len(likely) < BINS_MAX:
        more = len(likely) - min(seen.leaving, BINS_MAX - 1)
        total += ln_mnat(heard + more, more) + unseen
        least = min(least, total)
        if least <= FLOOR_MNAT:
            break
        likely.append(least)
    return first, tuple(likely)


class TagLevels:
    """What was claimed of each product at each place, and when."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, Seen]] = {}

    def claim(
        self, at_ns: int, device: str, location: str, gtin: str, seen: Seen, book: int
    ) -> LevelClaim | None:
        """A claim where it is due: news, or not what the book says for another minute."""
        key = f"{location} {gtin}"
        said = self._said.get(key)
        if said is not None and said[1] == seen:
            least = seen.untagged + seen.present
            if least <= book <= least + seen.leaving or at_ns < said[0] + AGAIN_NS:
                return None
        self._said[key] = (at_ns, seen)
        first, likely = table(seen)
        return LevelClaim(at_ns, device, "", location, gtin, "rfid", first, likely, FLOOR_MNAT)
