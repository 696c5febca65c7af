"""The noise of one plate: learned while it is quiet, and told from hands while it never is.

Here: the variance of one sample (ALGORITHMS 2.1, row sigma), exact and bounded. Not here: what
counts as quiet (`weigh`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from gateway.domain.units import sqrt_floor

SIGMA_FLOOR_MG: Final = 500
QUIET_WINDOWS: Final = 200
KEPT_WINDOWS: Final = QUIET_WINDOWS // 2
"""What was learned before a restart counts for so many: the noise does not begin anew."""
PRIMING_WINDOWS: Final = 12
"""Windows after which a plate that was never quiet takes its noise as it finds it."""
RESTLESS_WINDOWS: Final = 40
"""Windows of motion without a rest after which a plate has become noisier than it was."""
EVEN: Final = 32
"""The calmest of so many windows of noise seldom has less than this part of the usual variance."""


class Noise:
    """What a plate's samples vary by when nothing happens to it."""

    __slots__ = ("_known", "_restless", "_sorted", "_variances", "sigma2")

    def __init__(self, sigma2: int | None) -> None:
        self.sigma2 = SIGMA_FLOOR_MG**2 if sigma2 is None else sigma2
        self._known = sigma2 is not None
        kept = [] if sigma2 is None else [sigma2] * KEPT_WINDOWS
        self._variances: deque[int] = deque(kept)
        self._sorted: list[int] = kept
        self._restless: list[int] = []

    @property
    def sigma_mg(self) -> int:
        """The standard deviation, rounded down."""
        return sqrt_floor(self.sigma2)

    def rested(self) -> None:
        """The plate came to rest."""
        self._restless.clear()

    def quiet(self, variance: int) -> bool:
        """Takes the variance of a quiet window; whether `sigma2` is another than before."""
        self._variances.append(variance)
        insort(self._sorted, variance)
        if len(self._variances) > QUIET_WINDOWS:
            oldest = self._variances.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        before = self.sigma2
        if len(self._variances) >= PRIMING_WINDOWS:
            self.sigma2 = max(SIGMA_FLOOR_MG**2, self._sorted[len(self._sorted) // 2])
            self._known = True
        return self.sigma2 != before

    def moving(self, variance: int, most_mg: int | None) -> bool:
        """Takes that of a window of motion; whether `sigma2` is another than before.

        A plate noisier than assumed would never be quiet: after a while its calmest is believed.
        With `most_mg` it was quiet once, and people may be at it: noise is the same at all times,
        hands are not; nor is it believed beyond that.
        """
        self._restless.append(variance)
        known = self._known and most_mg is not None
        if len(self._restless) < (RESTLESS_WINDOWS if known else PRIMING_WINDOWS):
            return False
        seen = sorted(self._restless)
        self._restless.clear()
        calm = seen[len(seen) // 4]
        if most_mg is not None and (calm > most_mg**2 or seen[0] * EVEN < seen[len(seen) // 2]):
            return False
        self._variances.clear()
        self._sorted.clear()
        self.sigma2, self._known = max(SIGMA_FLOOR_MG**2, calm), True
        return True
