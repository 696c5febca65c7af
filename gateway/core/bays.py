"""Which steps of neighbouring plates are one happening: they are told together (ALGORITHMS 2.7).

A step waits only while a plate beside it, or beside one that waits with it, is in motion, and at
most a second; with nothing in motion next door it is told at once. What a quiet neighbour shows of
the same happening, too little to be a step of its own, is told with it. Here: who stands beside
whom, and that wait. Not here: how a plate settles (`weigh`), what the steps mean (`clusters`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.clusters import CROSS_TALK_PERCENT
from gateway.core.weigh import Plate
from gateway.domain.observation import BayStep, WeightStep
from gateway.domain.units import NS_PER_S

WAIT_NS: Final = NS_PER_S
"""How long the first of several steps waits for the others."""
SHADOWED_NS: Final = 4 * NS_PER_S
"""How long it does where so much moves next door that it may be no more than cross-talk."""

Settled = WeightStep | BayStep


class Bays:
    """The plates of the shop by bay and position; those without a bay stand alone."""

    def __init__(self, plates: Mapping[str, Plate]) -> None:
        self._plates = plates
        self._place: dict[str, tuple[str, int]] = {}
        self._beside: dict[str, tuple[str, ...]] = {}
        self._held: dict[str, WeightStep] = {}
        self._kept: dict[str, None] = {}
        """Plates whose step was kept while it waits, and is to be forgotten when it is told."""
        self.watched: dict[str, None] = {}
        """Plates in motion beside a step that waits."""
        self._until: dict[str, int] = {}
        """When each step stops waiting."""
        self.due_ns: int | None = None
        """When the next step stops waiting."""
        self.changed: dict[str, None] = {}
        self.moved: dict[str, None] = {}
        """Plates whose step was told: their level is kept with what is booked of it."""

    def add(self, name: str, bay: str | None, position: int | None) -> None:
        """A plate, and where it stands."""
        self._beside[name] = ()
        if bay is None or position is None:
            return
        beside = [
            other
            for other, (its_bay, its) in self._place.items()
            if its_bay == bay and abs(its - position) <= 1
        ]
        for other in beside:
            self._beside[other] += (name,)
        self._beside[name] = tuple(beside)
        self._place[name] = (bay, position)

    def restore(self, name: str, body: bytes) -> None:
        """A step that waited when the gateway stopped."""
        if name in self._place:
            step = self._held[name] = msgspec.json.decode(body, type=WeightStep)
            self._until[name] = step.at_ns + WAIT_NS
            self._kept[name] = None
            self._look()

    def state(self, name: str) -> WeightStep | None:
        """The step of a plate that waits; None when none does."""
        return self._held.get(name)

    def settled(self, at_ns: int, name: str, step: WeightStep) -> list[Settled]:
        """A plate settled a step: what is told now."""
        if name not in self._place:
            return [step]
        told: list[Settled] = []
        if name in self._held:  # it moved again before its neighbours came to rest
            told.append(self._tell(at_ns, self._together(name)))
        self._held[name] = step
        self._until[name] = at_ns + WAIT_NS
        told += self._rested(at_ns, name)
        if name in self._held:
            self._kept[name] = self.changed[name] = None
        self._look()
        return told

    def quiet(self, at_ns: int, name: str) -> list[Settled]:
        """A watched plate is heard: steps beside it wait no longer when it is at rest."""
        if self._plates[name].in_motion:
            return []
        told: list[Settled] = []
        for other in self._beside[name]:
            if other in self._held:
                told += self._rested(at_ns, other)
        self._look()
        return told

    def advance(self, at_ns: int) -> list[Settled]:
        """Steps that waited long enough, told at `at_ns`."""
        told: list[Settled] = []
        while self.due_ns is not None and self.due_ns <= at_ns:
            first = min(self._held, key=lambda name: (self._until[name], name))
            if self._shadowed(first):
                self._until[first] += WAIT_NS
            else:
                told.append(self._tell(at_ns, self._together(first)))
            self._look()
        return told

    def _shadowed(self, name: str) -> bool:
        """Whether a step waits rightly: what moves beside it would explain it as cross-talk."""
        step = self._held[name]
        if self._until[name] + WAIT_NS > step.at_ns + SHADOWED_NS:
            return False
        beside = [self._plates[x] for x in self._beside[name] if x not in self._held]
        moved = max((abs(p.displaced_mg) for p in beside if p.in_motion), default=0)
        return abs(step.step_mg) * 100 < moved * CROSS_TALK_PERCENT

    def _together(self, name: str) -> list[str]:
        """The plates whose steps wait with this one's: side by side, one to the next."""
        found = [name]
        for one in found:
            found += [x for x in self._beside[one] if x in self._held and x not in found]
        return found

    def _rested(self, at_ns: int, name: str) -> list[Settled]:
        """The steps that wait with a plate's, unless something still moves beside them."""
        names = self._together(name)
        beside = (x for one in names for x in self._beside[one] if x not in names)
        if any(self._plates[x].in_motion for x in beside):
            return []
        return [self._tell(at_ns, names)]

    def _tell(self, at_ns: int, names: list[str]) -> Settled:
        steps = {name: self._held.pop(name) for name in names}
        for name in names:
            del self._until[name]
            if name in self._kept:
                del self._kept[name]
                self.changed[name] = None
        shares: dict[str, WeightStep] = {}
        for name, step in steps.items():
            for other in self._beside[name]:
                if other not in steps and other not in shares:
                    share = self._plates[other].share(at_ns, step.step_mg)
                    if share is not None:
                        shares[other] = share
        steps |= shares
        self.moved |= dict.fromkeys(steps)
        ordered = sorted(steps, key=lambda name: (self._place[name][1], name))
        if len(steps) == 1 and steps[ordered[0]].at_ns == at_ns:
            return steps[ordered[0]]
        bay = self._place[ordered[0]][0]
        return BayStep(at_ns, bay, tuple(steps[name] for name in ordered))

    def _look(self) -> None:
        """What the steps that wait wait for, and until when at most."""
        self.watched = {
            other: None
            for name in self._held
            for other in self._beside[name]
            if other not in self._held and self._plates[other].in_motion
        }
        self.due_ns = min(self._until.values(), default=None)
