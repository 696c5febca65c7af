"""Which weighed locations stand side by side: the bays of the shop (ALGORITHMS 2.7).

Here: neighbours by bay and position, and runs of steps. Not here: plates by name (`bays`), what a
run of steps means (`clusters`).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.observation import WeightStep
from gateway.domain.store import Store


class Layout:
    """Locations by bay and position; one without a bay has no neighbours."""

    def __init__(self, store: Store) -> None:
        self._at = {
            location.id: (location.bay, location.position)
            for location in store.locations
            if location.bay is not None and location.position is not None
        }
        self._near = {
            location: tuple(
                other
                for other, (its_bay, its) in self._at.items()
                if other != location and its_bay == bay and abs(its - position) <= 1
            )
            for location, (bay, position) in self._at.items()
        }

    def bay(self, location: str) -> str | None:
        """The bay that a location is part of."""
        return self._at[location][0] if location in self._at else None

    def near(self, location: str) -> tuple[str, ...]:
        """The locations beside one."""
        return self._near.get(location, ())

    def ordered(self, steps: Sequence[WeightStep]) -> list[WeightStep]:
        """Steps by position."""
        return sorted(steps, key=lambda step: self._at.get(step.location, ("", 0))[1])

    def runs(self, steps: Sequence[WeightStep]) -> list[list[WeightStep]]:
        """Steps of one direction side by side; what left first, so that it can arrive."""
        runs: list[list[WeightStep]] = []
        for leaves in (True, False):
            here: list[list[WeightStep]] = []
            for step in steps:
                if (step.step_mg < 0) is leaves:
                    previous = here[-1][-1].location if here else None
                    if previous is not None and step.location in (*self.near(previous), previous):
                        here[-1].append(step)
                    else:
                        here.append([step])
            runs += here
        return runs
