"""One plate: from a stream of masses to steps between settled levels.

Here: settle-and-step, zero tracking, CUSUM for slow removals, the noise estimate (ALGORITHMS 2.1,
2.2, 2.6), in exact integers, O(1) per reading. Not here: which product a step is (`identify`), the
book.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

import msgspec

from gateway.domain.observation import WeightStep
from gateway.domain.reading import Word
from gateway.domain.units import NS_PER_MS, NS_PER_S, div_half_even, sqrt_floor

HOLD_NS: Final = 500 * NS_PER_MS
CREEP_HOLD_NS: Final = 1000 * NS_PER_MS
"""What crept comes to rest slowly too: it has when it moves less than a CUSUM allowance so long."""
STABLE_PATIENCE_NS: Final = 1500 * NS_PER_MS
"""How long a quiet plate waits for the scale's own stable flag: an extra gate, never the only."""
TAU_NS: Final = 20 * NS_PER_S
SIGMA_FLOOR_MG: Final = 500
THETA_MAX_MG: Final = 6000
QUIET_WINDOWS: Final = 200
PRIMING_WINDOWS: Final = 12
"""Windows after which a plate that was never quiet takes its noise as it finds it."""


class PlateRules(Word, frozen=True):
    """What the configuration says of one plate."""

    device: str
    location: str
    rate_hz: int
    lightest_mg: int | None
    """Lightest product that belongs here; None when nothing weighable does."""

    @property
    def window(self) -> int:
        """Samples of the variance window: 500 ms at 20 Hz and above, 800 ms below."""
        return max(4, self.rate_hz * (500 if self.rate_hz >= 20 else 800) // 1000)

    @property
    def kv(self) -> int:
        """Variance ratio above which the plate is in motion."""
        return 7 if self.rate_hz >= 60 else 9


class PlateState(msgspec.Struct):
    """What a plate remembers across a restart."""

    baseline_mg: int
    sigma2_mg2: int
    drift_total_mg: int = 0


class Plate:
    """The detector of one plate. `weight` is the hot path: about a microsecond when quiet."""

    def __init__(self, rules: PlateRules, state: PlateState | None = None) -> None:
        self._rules = rules
        self._n = rules.window
        self._ring: list[int] = [0] * self._n
        self._variances: deque[int] = deque()
        self._sorted: list[int] = []
        self._sigma2 = SIGMA_FLOOR_MG**2 if state is None else state.sigma2_mg2
        self._baseline: int | None = None if state is None else state.baseline_mg
        self._drift_total = 0 if state is None else state.drift_total_mg
        self._moving_limit = 0
        self._theta = 0
        self._set_limits()
        self._restart()

    def _restart(self) -> None:
        self._fill = self._slot = self._sum = self._squares = 0
        self._previous: tuple[int, int] | None = None
        self._priming: list[int] = []
        self._moving = True
        self._away = True
        self._onset_ns: int | None = None
        self._quiet_ns: int | None = None
        self._quiet_sum = 0
        self._since_window = 0
        self._window_ns: int | None = None
        self._remainder = 0
        self._up = self._down = 0
        self._up_zero = self._down_zero = (0, 0)
        self._creeping = False

    def _set_limits(self) -> None:
        self._moving_limit = self._rules.kv * self._sigma2 * self._n * self._n
        theta = max(THETA_MAX_MG, 4 * sqrt_floor(self._sigma2))
        if self._rules.lightest_mg is not None:
            theta = min(theta, self._rules.lightest_mg // 2)
        self._theta = max(1, theta)

    @property
    def state(self) -> PlateState | None:
        """What to keep; None before the first settled level."""
        if self._baseline is None:
            return None
        return PlateState(self._baseline, self._sigma2, self._drift_total)

    @property
    def sigma_mg(self) -> int:
        """Noise of one sample, as learned while quiet."""
        return sqrt_floor(self._sigma2)

    @property
    def baseline_mg(self) -> int | None:
        """The settled level; None before the first."""
        return self._baseline

    @property
    def moving(self) -> bool:
        """Whether the plate is in motion or not yet settled."""
        return self._moving

    def lost(self) -> None:
        """The device went away: what it shows on its return is one step of an outage."""
        self._restart()

    def tare(self, at_ns: int) -> bool:
        """Takes the present level as the baseline; False, and nothing changes, while in motion."""
        if self._moving:
            return False
        self._baseline, self._remainder = div_half_even(self._sum, self._n), 0
        self._rested(at_ns, self._baseline)
        return True

    def _rested(self, at_ns: int, baseline_mg: int) -> None:
        """Quiet from here: what the CUSUM finds later began no earlier, and at this level."""
        self._up = self._down = self._since_window = 0
        self._up_zero = self._down_zero = (at_ns, baseline_mg)
        self._window_ns = None

    def weight(
        self, at_ns: int, mass_mg: int, stable: bool | None, flags: tuple[str, ...]
    ) -> WeightStep | None:
        """One reading; the step when it settles one. Never raises."""
        if flags and ("over" in flags or "under" in flags or "error" in flags):
            self._disturbed(at_ns)
            return None
        previous = self._previous
        if previous is None:
            self._previous = (mass_mg, mass_mg)
            x = mass_mg
        else:
            a, b = previous
            self._previous = (b, mass_mg)
            # median of three: kills a single spike at the price of one sample of delay
            if a > b:
                a, b = b, a
            x = a if mass_mg < a else b if mass_mg > b else mass_mg
        n, slot, ring = self._n, self._slot, self._ring
        if self._fill < n:
            self._fill += 1
            old = 0
        else:
            old = ring[slot]
        ring[slot] = x
        slot += 1
        self._slot = 0 if slot == n else slot
        total = self._sum = self._sum + x - old
        squares = self._squares = self._squares + x * x - old * old
        if self._fill < n:
            return None
        spread = n * squares - total * total
        if spread > self._moving_limit:
            self._motion(at_ns, spread)
            return None
        if self._moving:
            return self._settling(at_ns, stable)
        self._since_window += 1
        if self._since_window >= n:
            self._since_window = 0
            self._window(at_ns, spread)
        return None

    def _disturbed(self, at_ns: int) -> None:
        self._fill = self._slot = self._sum = self._squares = 0
        self._previous = None
        self._quiet_ns = None
        if not self._moving:
            self._moving, self._onset_ns = True, at_ns

    def _motion(self, at_ns: int, spread: int) -> None:
        self._quiet_ns = None
        if not self._moving:
            self._moving, self._onset_ns = True, at_ns
        if self._baseline is None or self._away:
            self._since_window += 1
            if self._since_window >= self._n:
                self._since_window = 0
                self._prime(spread)

    def _prime(self, spread: int) -> None:
        """A plate noisier than assumed would never be quiet: after a while believe its calmest."""
        self._priming.append(spread // (self._n * self._n))
        if len(self._priming) >= PRIMING_WINDOWS:
            self._sigma2 = max(SIGMA_FLOOR_MG**2, sorted(self._priming)[PRIMING_WINDOWS // 4])
            self._priming.clear()
            self._set_limits()

    def _settling(self, at_ns: int, stable: bool | None) -> WeightStep | None:
        if self._quiet_ns is None:
            self._quiet_ns, self._quiet_sum = at_ns, self._sum
        held = at_ns - self._quiet_ns
        hold_ns = CREEP_HOLD_NS if self._creeping else HOLD_NS
        if held < hold_ns or (stable is False and held < hold_ns + STABLE_PATIENCE_NS):
            return None
        if abs(self._sum - self._quiet_sum) > self._theta // 4 * self._n:
            # Too slow for the variance, and still on its way: one removal stays one step.
            self._quiet_ns, self._quiet_sum = at_ns, self._sum
            return None
        mean = div_half_even(self._sum, self._n)
        before, away = self._baseline, self._away
        onset = self._onset_ns if self._onset_ns is not None else at_ns
        creeping = self._creeping
        self._moving = self._away = self._creeping = False
        self._onset_ns = self._quiet_ns = None
        self._priming.clear()
        step = 0 if before is None else mean - before
        if before is not None and abs(step) < self._theta and not creeping:
            self._rested(at_ns, before)
            return None
        self._baseline, self._remainder = mean, 0
        self._rested(at_ns, mean)
        if before is None:
            return None
        if abs(step) < self._theta:
            # Too light for anything sold here: drift, said as such (2.6), or the alarm of the
            # CUSUM would ring for ever.
            self._drift_total += step
            return None
        return WeightStep(
            at_ns=at_ns,
            device=self._rules.device,
            ref="",
            location=self._rules.location,
            began_ns=onset,
            before_mg=before,
            step_mg=step,
            sigma_mg=self.sigma_mg,
            outage=away,
        )

    def _window(self, at_ns: int, spread: int) -> None:
        """Once per non-overlapping quiet window: CUSUM, then zero tracking, then the noise."""
        baseline = self._baseline
        if baseline is None:
            return
        mean = div_half_even(self._sum, self._n)
        d, k = mean - baseline, self._theta // 4
        last_ns = self._window_ns
        self._window_ns = at_ns
        self._up, self._down = max(0, self._up + d - k), max(0, self._down - d - k)
        if self._up == 0:
            self._up_zero = (at_ns, baseline)
        if self._down == 0:
            self._down_zero = (at_ns, baseline)
        if max(self._up, self._down) > self._theta:
            self._onset_ns, began_mg = self._up_zero if self._up > self._down else self._down_zero
            self._baseline, self._drift_total = began_mg, self._drift_total + began_mg - baseline
            self._moving, self._creeping, self._quiet_ns = True, True, None
            return
        if max(self._up, self._down) <= k and last_ns is not None:
            # a scale that was silent for long proves no more than one time constant
            moved = d * min(at_ns - last_ns, TAU_NS) + self._remainder
            shift = div_half_even(moved, TAU_NS)
            self._remainder = moved - shift * TAU_NS
            self._baseline = baseline + shift
            self._drift_total += shift
        self._learn(spread // (self._n * self._n))

    def _learn(self, variance: int) -> None:
        self._variances.append(variance)
        insort(self._sorted, variance)
        if len(self._variances) > QUIET_WINDOWS:
            oldest = self._variances.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        median = self._sorted[len(self._sorted) // 2]
        sigma2 = max(SIGMA_FLOOR_MG**2, median)
        if sigma2 != self._sigma2 and len(self._variances) >= PRIMING_WINDOWS:
            self._sigma2 = sigma2
            self._set_limits()
