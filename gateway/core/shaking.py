"""A door, a bump, a gust: several plates of one bay that move at once, with nothing to explain it.

Here: the common-mode veto (ALGORITHMS 2.2): what such plates do when they come back within two
seconds is no movement of goods. It looks only at steps that nothing explains, so it delays none
that is. Not here: what explains a step (`clusters`), which steps there are (`weigh`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.core.weigh import THETA_MAX_MG
from gateway.domain.observation import WeightStep
from gateway.domain.units import NS_PER_MS, NS_PER_S

PLATES_MIN: Final = 3
TOGETHER_NS: Final = 500 * NS_PER_MS
HOLD_NS: Final = 2 * NS_PER_S
SETTLING_NS: Final = 1500 * NS_PER_MS
"""What came back within the hold is known so much later."""
RECENT_MAX: Final = 16


class Shaken(msgspec.Struct):
    """What a bay remembers of steps that nothing explains."""

    recent: list[WeightStep] = []
    hold_until_ns: int = 0
    plates: int = 0
    """How many moved."""
    away: dict[str, int] = {}
    """Plates that have not come back, with the level they had, in mg."""


class Shaking:
    """The bays of the shop. `changed(bay)` and `tell(at_ns, text)` are called on changes."""

    def __init__(self, changed: Callable[[str], None], tell: Callable[[int, str], None]) -> None:
        self._changed, self._tell = changed, tell
        self.bays: dict[str, Shaken] = {}

    def explained(self, bay: str) -> None:
        """A step of the bay is a movement of goods: what happened with it is no common motion."""
        bay_now = self.bays.get(bay)
        if bay_now is not None and bay_now.recent:
            bay_now.recent.clear()
            self._done(bay)

    def unexplained(self, bay: str, step: WeightStep) -> None:
        """Nothing explains a step."""
        shaken = self.bays.setdefault(bay, Shaken())
        shaken.recent = [
            *(s for s in shaken.recent if s.location != step.location and _together(s, step)),
            step,
        ][-RECENT_MAX:]
        if len(shaken.recent) >= PLATES_MIN:
            if not shaken.away:
                first = min(s.at_ns for s in shaken.recent)
                shaken.hold_until_ns, shaken.plates = first + HOLD_NS, 0
            for s in shaken.recent:
                if s.location not in shaken.away:
                    shaken.away[s.location] = s.before_mg
                    shaken.plates += 1
        self._changed(bay)

    def returned(self, bay: str, step: WeightStep) -> bool:
        """Whether a step only takes back what shook the plate."""
        shaken = self.bays.get(bay)
        if shaken is None or step.began_ns > shaken.hold_until_ns:
            return False
        level_mg = shaken.away.get(step.location)
        if level_mg is None:
            return False
        near_mg = max(THETA_MAX_MG, 4 * step.sigma_mg)
        if abs(step.before_mg + step.step_mg - level_mg) > near_mg:
            return False
        del shaken.away[step.location]
        shaken.recent = [s for s in shaken.recent if s.location != step.location]
        if not shaken.away:
            text = f"{shaken.plates} plates of bay {bay} moved together and came back: "
            self._tell(step.at_ns, text + "a door or a bump; nothing is booked")
            self._done(bay)
        else:
            self._changed(bay)
        return True

    def deadline(self, bay: str) -> int | None:
        """When plates that moved together are waited for no longer."""
        shaken = self.bays.get(bay)
        if shaken is None:
            return None
        if shaken.away:
            return shaken.hold_until_ns + SETTLING_NS
        return max(s.at_ns for s in shaken.recent) + HOLD_NS + SETTLING_NS

    def fire(self, at_ns: int, bay: str) -> None:
        """What has not come back stays as it is, unexplained."""
        shaken = self.bays[bay]
        if shaken.away:
            places = ", ".join(sorted(shaken.away))
            text = f"{shaken.plates} plates of bay {bay} moved together without a known cause; "
            self._tell(at_ns, text + f"count what lies on {places}")
        self._done(bay)

    def _done(self, bay: str) -> None:
        del self.bays[bay]
        self._changed(bay)


def _together(a: WeightStep, b: WeightStep) -> bool:
    near = abs(a.at_ns - b.at_ns) <= TOGETHER_NS or abs(a.began_ns - b.began_ns) <= TOGETHER_NS
    return near and (a.step_mg < 0) == (b.step_mg < 0)
