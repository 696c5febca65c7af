"""Which tags lie in the box before a reader, and which belong to the room around it.

Here: one rule without a fitted number. What lies in the box is read over and over; the rest of the
room shares what time is left. So sort the tags by how often they were read and cut at the widest
gap, unless those below were read half as often as those above, on average, or more: they are like
them, there is no room, and all lie in the box. Not here: recordings, nor what a tag is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise


def in_box(reads: Mapping[str, int]) -> frozenset[str]:
    """The tags in the box, of the reads of each over some seconds. Never raises.

    >>> sorted(in_box({"a": 190, "b": 204, "shelf": 106, "rack": 60, "door": 2, "far": 1}))
    ['a', 'b']
    >>> sorted(in_box({"a": 190, "b": 204}))
    ['a', 'b']
    """
    counts = sorted(reads.values())
    _, least = max(((more - less, more) for less, more in pairwise(counts)), default=(0, 0))
    room = [count for count in counts if count < least]
    box = [count for count in counts if count >= least]
    if 2 * sum(room) * len(box) >= sum(box) * len(room):
        return frozenset(reads)
    return frozenset(tag for tag, count in reads.items() if count >= least)
