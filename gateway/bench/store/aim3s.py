"""The variance detector of AIM3S (Ruiz et al. 2019), as ALGORITHMS 7.5 defines it: a baseline.

Moving mean over 60 samples, centred; moving variance of it; active while above 500 g^2 for more
than 30 samples, over after more than 30 stable ones; kept when the mean moved by more than 10 g.
For streams of 60 Hz alone. Not here: our own detector. It sees a whole recording at once, as its
authors' scripts do, which favours it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from gateway.bench.store.plates import Change

WINDOW: Final = 60
HELD: Final = 30
VARIANCE_G2: Final = 500.0
KEPT_G: Final = 10.0
CONTRIBUTES_G: Final = 5.0
"""A plate that moved by less has no part in a step of its shelf."""


def steps(masses_g: Sequence[float], rate_hz: int) -> list[Change]:
    """The steps of a shelf of one plate, each at the sample that made it known."""
    mean = _centred(masses_g)
    square = _centred([m * m for m in mean])
    level = _centred(mean)
    found: list[Change] = []
    begin = 0
    active, above, below = False, 0, 0
    for i in range(len(mean)):
        loud = square[i] - level[i] * level[i] > VARIANCE_G2
        above, below = (above + 1, 0) if loud else (0, below + 1)
        if not active and above > HELD:
            active, begin = True, i - above + 1
        elif active and below > HELD:
            active = False
            delta_g = mean[i] - mean[max(0, begin - HELD)]
            if abs(delta_g) > max(KEPT_G, CONTRIBUTES_G):
                # two centred windows look half their width ahead each
                found.append(Change((i + WINDOW) / rate_hz, delta_g))
    return found


def _centred(values: Sequence[float]) -> list[float]:
    """The mean of the window around each value; shorter at the ends."""
    sums = [0.0, *accumulate(values)]
    count, half = len(values), WINDOW // 2
    return [
        (sums[min(count, i + half)] - sums[max(0, i - half)])
        / (min(count, i + half) - max(0, i - half))
        for i in range(count)
    ]
