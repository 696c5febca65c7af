"""One plate: from a stream of masses to steps between settled levels.

Here: settle-and-step, zero tracking, CUSUM for slow removals (ALGORITHMS 2.1,
2.2, 2.6), in exact integers, O(1) per reading. Not here: how noisy it is (`noise`), which product a
step is (`identify`), the book.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from gateway.core.around import Around
from gateway.core.noise import Noise
from gateway.core.plate_words import PlateRules, PlateState
from gateway.domain.observation import WeightStep
from gateway.domain.units import NS_PER_MS, NS_PER_S, div_half_even, sqrt_floor

SLOW_NS: Final = 1900 * NS_PER_MS
"""A motion longer than this was no quick reach: it may go on, and is believed less."""
SLOW_HOLD_NS: Final = 500 * NS_PER_MS
DOUBT_NS: Final = 500 * NS_PER_MS
"""How much longer a step must last that may be a part of a slow one, hidden in the noise."""
SURE_SIGMAS: Final = 20
"""A step of fewer is in doubt, on a plate whose noise hides slow motion (`DEAF_PARTS`)."""
DEAF_PARTS: Final = 8
"""The noise hides it when it is more than this part of the smallest step."""
CALM_PARTS: Final = 40
"""Ringing and vibration below this part of a step do not hide a level that is steady."""
SLOW_CALM_PARTS: Final = 80
"""The same after a slow motion."""
LAX: Final = 2
"""What vibrates may have so many times the variance, and means so much further apart, as long as
these are within 1.5 of its own deviations: where a hand comes or goes they are not."""
STEADY_K: Final = 46
"""Three means, each of m samples of one level in a row, lie within sqrt(46/m) sigma 98 times of 100
(computed for medians of three readings with normal noise, and sigma as it is learned here)."""
SAME_K: Final = 46
"""The same for two means half a second and more apart: 99 times of 100."""
CREEP_HOLD_NS: Final = 1000 * NS_PER_MS
"""What crept comes to rest slowly too: it has when it moves less than a CUSUM allowance so long."""
STABLE_PATIENCE_NS: Final = 1500 * NS_PER_MS
"""How long a quiet plate waits for the scale's own stable flag: an extra gate, never the only."""
TAU_NS: Final = 20 * NS_PER_S
SHORT_NS: Final = 10 * NS_PER_S
"""A restart of the gateway no longer than this, from the last state on disk (at most 5 s old), is
no outage of its plates: they kept their power; it hides one movement at most (DECISIONS)."""
THETA_MAX_MG: Final = 6000


class Plate:
    """The detector of one plate. `weight` is the hot path: about a microsecond when quiet."""

    def __init__(
        self, rules: PlateRules, state: PlateState | None = None, left_ns: int | None = None
    ) -> None:
        """`left_ns` is when the state was kept: how long the plate was unheard is told by it."""
        self._rules = rules
        self._period_ns = NS_PER_S // max(1, rules.rate_hz)
        self._part = rules.part
        self._n, self._size = 2 * rules.part, 3 * rules.part
        self._around = Around(rules.rate_hz, self._size)
        self._hold_ns = rules.hold_ns
        self._noise = Noise(None if state is None else state.sigma2_mg2)
        self._baseline: int | None = None if state is None else state.baseline_mg
        self._drift_total = 0 if state is None else state.drift_total_mg
        self._moving_limit = self._theta = self._steady = self._same = self._sure = 0
        self._set_limits()
        self._restart(left_ns)

    def _empty(self) -> None:
        self._ring = [0] * self._size
        self._fill = self._slot = self._sum = self._newest = self._oldest = self._squares = 0
        self._previous: tuple[int, int] | None = None

    def _restart(self, left_ns: int | None) -> None:
        self._left_ns = left_ns
        self._empty()
        self._noise.rested()
        self._moving = True
        self._away = True
        self._onset_ns: int | None = None
        self._quiet_ns: int | None = None
        self._quiet_sum = self._heard_ns = self._burst_ns = 0
        self._since_window = 0
        self._window_ns: int | None = None
        self._remainder = 0
        self._up = self._down = 0
        self._up_zero = self._down_zero = (0, 0)
        self._creeping = False

    def _set_limits(self) -> None:
        sigma2, sigma_mg = self._noise.sigma2, self._noise.sigma_mg
        self._moving_limit = self._rules.kv * sigma2 * self._n * self._n
        theta = max(THETA_MAX_MG, 4 * sigma_mg)
        if self._rules.lightest_mg is not None:
            theta = min(theta, self._rules.lightest_mg // 2)
        self._theta = max(1, theta)
        k = self._theta // 4
        self._steady = self._part * max(k, sqrt_floor(STEADY_K * sigma2 // self._part))
        self._same = self._n * max(k, sqrt_floor(SAME_K * sigma2 // self._n))
        deaf = sigma_mg * DEAF_PARTS > self._theta
        self._sure = sigma_mg * SURE_SIGMAS * self._n if deaf else 0

    @property
    def state(self) -> PlateState | None:
        """What to keep; None before the first settled level."""
        if self._baseline is None:
            return None
        return PlateState(self._baseline, self._noise.sigma2, self._drift_total)

    @property
    def sigma_mg(self) -> int:
        """Noise of one sample, as learned while quiet."""
        return self._noise.sigma_mg

    @property
    def baseline_mg(self) -> int | None:
        """The settled level; None before the first."""
        return self._baseline

    @property
    def mean_mg(self) -> int | None:
        """What the scale shows at rest, drift and all; None in motion."""
        return None if self._moving or self._fill < self._n else div_half_even(self._sum, self._n)

    @property
    def moving(self) -> bool:
        """Whether the plate is in motion or not yet settled."""
        return self._moving

    @property
    def in_motion(self) -> bool:
        """Whether something happens on it now: not while it only creeps, nor after an outage."""
        return self._moving and not self._creeping and not self._away

    @property
    def displaced_mg(self) -> int:
        """How far the plate is from its level now, hand and all."""
        if self._baseline is None or self._fill == 0:
            return 0
        return self._sum // min(self._fill, self._n) - self._baseline

    def share(self, at_ns: int, beside_mg: int) -> WeightStep | None:
        """What a plate without a step of its own shows of one beside it, of the same direction.

        It is below the smallest step of this plate, and more than zero tracking may follow. From
        here on it is the plate's baseline.
        """
        before, n = self._baseline, self._n
        if before is None or self._away or self.in_motion or self._fill < n:
            return None
        if n * self._squares - self._sum * self._sum > self._moving_limit:
            return None
        mean = div_half_even(self._sum, n)
        step = mean - before
        if abs(step) <= self._theta // 4 or (step < 0) != (beside_mg < 0):
            return None
        began_ns = (self._up_zero if step > 0 else self._down_zero)[0]
        self._baseline, self._remainder = mean, 0
        self._moving = self._creeping = False
        self._onset_ns = self._quiet_ns = None
        self._rested(at_ns, mean)
        return self._step(at_ns, began_ns or at_ns, before, step, outage=False)

    def _in_doubt(self, at_ns: int, held_ns: int) -> bool:
        """Whether a level has yet to last, or is no longer what it was when it became quiet."""
        if self._creeping:
            if held_ns < CREEP_HOLD_NS:
                return True
        elif (rise := self._rise()) >= self._sure:
            return False
        elif rise >= self._theta * self._n and held_ns < self._hold_ns + DOUBT_NS:
            return True
        if abs(self._sum - self._quiet_sum) <= self._same:
            return False
        # Too slow for the variance, and still on its way: one removal stays one step.
        self._quiet_ns, self._quiet_sum = at_ns, self._sum
        return True

    def _rise(self) -> int:
        """How far the level is from the baseline, times the samples of a window."""
        return 0 if self._baseline is None else abs(self._sum - self._n * self._baseline)

    def _step(
        self, at_ns: int, began_ns: int, before_mg: int, step_mg: int, *, outage: bool
    ) -> WeightStep:
        rules = self._rules
        return WeightStep(
            at_ns=at_ns,
            device=rules.device,
            ref="",
            location=rules.location,
            began_ns=began_ns,
            before_mg=before_mg,
            step_mg=step_mg,
            sigma_mg=self.sigma_mg,
            outage=outage,
            trace=self._around.points(began_ns, at_ns, self._ring, self._slot) or UNSET,
        )

    def lost(self) -> None:
        """The device went away: what it shows on its return is one step of an outage."""
        self._restart(None)

    def _returned(self, at_ns: int) -> None:
        if self._left_ns is not None and at_ns - self._left_ns <= SHORT_NS:
            self._away, self._onset_ns = self._baseline is None, self._left_ns
        self._left_ns = None

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
            if self._left_ns is not None:
                self._returned(at_ns)
        else:
            a, b = previous
            self._previous = (b, mass_mg)
            # median of three: kills a single spike at the price of one sample of delay
            if a > b:
                a, b = b, a
            x = a if mass_mg < a else b if mass_mg > b else mass_mg
        n, slot, ring = self._n, self._slot, self._ring
        # what leaves the newest and the middle third of the ring (an index below 0 wraps)
        p, q = ring[slot - self._part], ring[slot - n]
        self._oldest += q - ring[slot]
        ring[slot] = x
        self._newest += x - p
        total = self._sum = self._sum + x - q
        squares = self._squares = self._squares + x * x - q * q
        slot += 1
        if slot == self._size:
            slot = 0
            self._around.window(at_ns, ring)
        self._slot = slot
        if self._fill < self._size:
            self._fill += 1
            if self._fill < n:
                return None
        spread = n * squares - total * total
        if spread > self._moving_limit and not self._calm(at_ns, spread):
            self._motion(at_ns, spread)
            return None
        if self._moving:
            return self._settling(at_ns, spread, stable)
        self._since_window += 1
        if self._since_window >= n:
            self._since_window = 0
            self._window(at_ns, spread)
        return None

    def _calm(self, at_ns: int, spread: int) -> bool:
        """Whether what is left of a motion is little beside the step it would be, or vibrates."""
        if not self._moving or self._away:
            return False
        rise = self._rise()
        if self._slow(at_ns):
            return spread * SLOW_CALM_PARTS**2 <= rise * rise
        if rise < self._sure:
            return False
        if spread * CALM_PARTS**2 <= rise * rise:
            return True
        within = self._within(spread)
        return spread - within <= self._moving_limit >= within // LAX

    def _within(self, spread: int) -> int:
        """The part of the spread that is within the halves of the window, not between them."""
        return spread - (2 * self._newest - self._sum) ** 2

    def _slow(self, at_ns: int) -> bool:
        """Whether the motion that ended, or has not yet, was no quick reach."""
        if self._onset_ns is None:
            return False
        ended_ns = at_ns if self._quiet_ns is None else self._quiet_ns
        return self._creeping or ended_ns - self._onset_ns > SLOW_NS

    def _disturbed(self, at_ns: int) -> None:
        self._empty()
        self._quiet_ns = None
        if not self._moving:
            self._moving, self._onset_ns = True, at_ns

    def _motion(self, at_ns: int, spread: int) -> None:
        self._quiet_ns = None
        if not self._moving:
            self._moving, self._onset_ns = True, at_ns
        self._since_window += 1
        if self._since_window >= self._n:
            self._since_window = 0
            most_mg = (self._rules.lightest_mg or THETA_MAX_MG) // 4
            afresh = self._baseline is None or self._away
            if self._noise.moving(spread // (self._n * self._n), None if afresh else most_mg):
                self._set_limits()

    def _settling(self, at_ns: int, spread: int, stable: bool | None) -> WeightStep | None:
        if self._quiet_ns is None:
            self._quiet_ns, self._quiet_sum = at_ns, self._sum
            self._heard_ns, self._burst_ns = at_ns, 0
        elif (at_ns - self._heard_ns) * 4 < self._period_ns:
            self._burst_ns += self._period_ns  # a link that stalled tells them all at once
        self._heard_ns = at_ns
        held, slow = at_ns - self._quiet_ns + self._burst_ns, self._slow(at_ns)
        hold_ns = SLOW_HOLD_NS if slow else self._hold_ns
        if held < hold_ns or (stable is False and held < hold_ns + STABLE_PATIENCE_NS):
            return None
        newest, oldest = self._newest, self._oldest
        middle = self._sum - newest
        swing = max(newest, middle, oldest) - min(newest, middle, oldest)
        if swing > self._steady and (
            slow or swing > LAX * self._steady or 16 * swing * swing > 9 * self._within(spread)
        ):
            return None
        if self._fill < self._size or self._in_doubt(at_ns, held):
            return None
        mean = div_half_even(self._sum, self._n)
        before, away = self._baseline, self._away
        onset = self._onset_ns if self._onset_ns is not None else at_ns
        creeping = self._creeping
        self._moving = self._away = self._creeping = False
        self._onset_ns = self._quiet_ns = None
        self._noise.rested()
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
        return self._step(at_ns, onset, before, step, outage=away)

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
        if self._noise.quiet(spread // (self._n * self._n)):
            self._set_limits()
