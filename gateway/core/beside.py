"""What the plates of a bay remember of steps next door (ALGORITHMS 2.7).

A plate that was long in motion tells its share of a happening after its neighbours told theirs.
Here: which earlier steps a late one belongs with, and which are only its cross-talk. Not here: how
long steps wait for each other (`bays`), what they mean together (`clusters`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.core.clusters import CROSS_TALK_PERCENT, Steps
from gateway.core.layout import Layout
from gateway.core.places import Last, Place
from gateway.core.waiting import Waiting
from gateway.domain.observation import WeightStep
from gateway.domain.units import NS_PER_S

LATE_NS: Final = 3 * NS_PER_S
"""A step that began before one beside it settled belongs to that, if it is known so soon after."""
OPEN_NS: Final = 2 * NS_PER_S
"""What was told before all beside it were at rest stays open so long: more may come of it."""


class Beside:
    """Places by location, over the layout of the shop."""

    def __init__(self, layout: Layout, places: Mapping[str, Place], waiting: Waiting) -> None:
        self._layout, self._places, self._waiting = layout, places, waiting

    def _lasts(self, step: WeightStep) -> list[Last]:
        """The last steps of plates beside one."""
        near = (self._places.get(location) for location in self._layout.near(step.location))
        return [place.last for place in near if place is not None and place.last is not None]

    def felt(self, step: WeightStep) -> bool:
        """Whether a step is cross-talk of one that was decided before it was known."""
        least = abs(step.step_mg) * 100 // CROSS_TALK_PERCENT
        return any(
            abs(last.step.step_mg) > least and _before(last.step, step)
            for last in self._lasts(step)
        )

    def joined(self, run: list[WeightStep]) -> list[WeightStep]:
        """With the steps of the same happening that were known before and are not booked."""
        whole = list(run)
        for step in whole:
            for last in self._lasts(step):
                late = step in run and _before(last.step, step)
                if not last.open or last.step in whole or not _same_way(last.step, step):
                    continue
                if late or _while(last.step, step):
                    whole += [x for x in self._withdrawn(last.step) if x not in whole]
        return self._layout.ordered(whole)

    def _withdrawn(self, step: WeightStep) -> Steps:
        """The steps that were decided with one; what they were is no longer waited for."""
        near = (step.location, *self._layout.near(step.location))
        pending = self._waiting.of(step, near)
        return (step,) if pending is None else self._waiting.take(pending).steps

    def remember(self, steps: Sequence[WeightStep], *, booked: bool) -> None:
        """The last steps of plates that have neighbours."""
        for step in steps:
            if step.location in self._places and self._layout.bay(step.location) is not None:
                self._places[step.location].last = Last(step, not booked)

    def booked(self, steps: Sequence[WeightStep]) -> None:
        """Steps that waited are decided: nothing joins them any more."""
        for step in steps:
            place = self._places.get(step.location)
            if place is not None and place.last is not None and place.last.step == step:
                place.last.open = False


def _before(earlier: WeightStep, step: WeightStep) -> bool:
    """Whether one was known while the other moved, not long ago."""
    return max(step.began_ns, step.at_ns - LATE_NS) <= earlier.at_ns < step.at_ns


def _while(a: WeightStep, b: WeightStep) -> bool:
    """Whether two plates moved at the same time, and settled not long after each other."""
    overlap = a.began_ns <= b.at_ns and b.began_ns <= a.at_ns
    return overlap and abs(a.at_ns - b.at_ns) <= LATE_NS


def _same_way(a: WeightStep, b: WeightStep) -> bool:
    return (a.step_mg < 0) == (b.step_mg < 0)
