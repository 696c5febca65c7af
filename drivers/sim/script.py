"""The script of a whole day: a world with everybody in it, closed in time.

Here: composing `World`, `people` and `staff`, and finding when the doors must shut. Not here: real
time. Tests and benches run a script without a clock: `World.until`, folded by `TrueStock`.
"""

from __future__ import annotations

from typing import Final

from drivers.sim.actions import Action
from drivers.sim.layout import Layout
from drivers.sim.levels import DEMO, Level, Pace
from drivers.sim.people import open_shop
from drivers.sim.staff import staff
from drivers.sim.world import World, ns
from gateway.domain.store import Store

FOR_EVER_NS: Final = 2**62
MARGIN_S: Final = 10.0
MARGIN_STEP_S: Final = 4.0


def begin(
    store: Store,
    layout: Layout,
    seed: int,
    level: Level,
    pace: Pace = DEMO,
    close_ns: int | None = None,
) -> World:
    """A world about to move, at time 0; its `opening` may still be asked."""
    world = World(store, layout, seed, level, pace, close_ns)
    open_shop(world)
    if layout.staff is not None:
        world.start(staff(world, layout.staff), ns(pace.doors_s))
    return world


def closing_ns(
    store: Store, layout: Layout, seed: int, level: Level, pace: Pace, duration_ns: int
) -> int:
    """When the doors must shut so that all is quiet `settle_s` before the end; 0 if never open.

    Tried out: the same seed, closed earlier and earlier, until the last act comes in time.
    """
    margin_ns = ns(MARGIN_S)
    while margin_ns < duration_ns:
        close_ns = duration_ns - margin_ns
        script = begin(store, layout, seed, level, pace, close_ns).until(FOR_EVER_NS)
        if _last_ns(script) <= duration_ns - ns(pace.settle_s):
            return close_ns
        margin_ns += ns(MARGIN_STEP_S)
    return 0


def _last_ns(script: list[Action]) -> int:
    return script[-1].at_ns if script else 0
