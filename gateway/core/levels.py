"""What a plate of one product holds, counted from its absolute load; and the audit of its zero.

Here: when a plate may count (ALGORITHMS 2.5), up to how many, what it claims, and how far its
baseline may have drifted before its count is not believed (2.6). Integers only. Not here: steps
(`weigh`), which product lies there alone (`corrections`), what a claim does to the book.

    load = settled mean - zero       the zero is what the plate showed when people said: empty
    N    = load / w                  only while 2.58 sd(N) < w/2, and |load - N w| <= 2.58 sd(N)
    sd2  = N s2 + N2 m2 + z2         units, the error m of their mean, the zero

The change since its last count must be goods too: an umbrella among heavy jars of unsure mass would
pass the absolute test alone. A plate whose zero nobody told counts nothing: what it shows may be
shelf, tray or goods. After an outage a plate counts again when its count is the book's: many scales
take a new zero at power-on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.core.belief import BINS_MAX, View
from gateway.core.masses import UnitMass
from gateway.core.weigh import Plate
from gateway.domain.observation import LevelClaim, Note, WeightStep
from gateway.domain.units import NS_PER_S, div_half_even, ln_mnat, sqrt_floor

SETTLED_NS: Final = 2 * NS_PER_S
IDLE_NS: Final = 60 * NS_PER_S
AGAIN_NS: Final = 600 * NS_PER_S
"""A count that the book agrees with is said again so often; each is a line of the journal."""
ZERO_MG: Final = 3_000
SIGMAS_CENT: Final = 258
"""2.58 standard deviations: 99 of 100."""
ERROR_PPM: Final = 5_000
"""Of claims are wrong in ways that no model holds, spread over all counts."""
FLOOR_MNAT: Final = ln_mnat(ERROR_PPM, (1_000_000 - ERROR_PPM) * BINS_MAX)
COUNT_MAX: Final = 4_096
ANCHOR_MG: Final = 500
"""A zero that moved by less is left: each anchor is a line of the journal."""
DRIFT_MINUTE_MG: Final = 2_000
TOLD_NS: Final = 3_600 * NS_PER_S


class Alone(NamedTuple):
    """The one product of a plate."""

    gtin: str
    unit: UnitMass


class Zeroed(msgspec.Struct):
    """The zero of a plate, as it is kept."""

    zero_mg: int
    drift_mg: int
    """The plate's `drift_total_mg` at the last anchor."""
    doubtful: bool = False
    """The plate was away: believed again when its count is the book's."""
    units: int = 0
    load_mg: int = 0
    """The last count, and the load it was counted from."""


def sd2_mg2(units: int, unit: UnitMass, z_mg: int) -> int:
    """Variance of the mass of so many units on a plate, in mg²."""
    return units * unit.sd_mg**2 + (units * unit.mean_sd_mg) ** 2 + z_mg * z_mg


def counts_to(unit: UnitMass, z_mg: int) -> int:
    """N_max: the most units that a plate tells apart from one more or less; 0 = none.

    The exact solution of 2.58 sqrt(N s² + N² m² + z²) < w/2, at most COUNT_MAX.
    """
    s2, m2 = max(1, unit.sd_mg**2), unit.mean_sd_mg**2
    spare = (100 * unit.mean_mg) ** 2 // (2 * SIGMAS_CENT) ** 2 - z_mg * z_mg
    if spare <= 0:
        return 0
    most = (sqrt_floor(s2 * s2 + 4 * m2 * spare) - s2) // (2 * m2) if m2 else spare // s2
    most = min(most + 1, COUNT_MAX)
    while most > 0 and not _resolves(most, unit, z_mg):
        most -= 1
    return most


def _resolves(units: int, unit: UnitMass, z_mg: int) -> bool:
    within = (2 * SIGMAS_CENT) ** 2 * sd2_mg2(units, unit, z_mg)
    return within < (100 * unit.mean_mg) ** 2


def count(load_mg: int, unit: UnitMass, z_mg: int) -> int | None:
    """How many units a load is; None when there are too many to tell, or something else lies there.

    Never raises.
    """
    units = div_half_even(load_mg, max(1, unit.mean_mg))
    if not 0 <= units <= counts_to(unit, z_mg):
        return None
    return units if _is_goods(load_mg, units, unit, z_mg) else None


def _is_goods(load_mg: int, units: int, unit: UnitMass, z_mg: int) -> bool:
    """Whether a load, or a change of one, may be so many units and nothing else."""
    off = 100 * (load_mg - units * unit.mean_mg)
    return off * off <= SIGMAS_CENT**2 * sd2_mg2(abs(units), unit, z_mg)


def table(load_mg: int, units: int, unit: UnitMass, z_mg: int) -> tuple[int, tuple[int, ...]]:
    """The likelihoods about the best count that stand above the floor: the first, and all."""

    def density(n: int) -> int:
        variance, off = sd2_mg2(n, unit, z_mg), load_mg - n * unit.mean_mg
        return -div_half_even(500 * off * off, variance) - ln_mnat(variance) // 2

    best, first, last = density(units), units, units
    while first > 0 and density(first - 1) - best > FLOOR_MNAT:
        first -= 1
    while density(last + 1) - best > FLOOR_MNAT and last - units < BINS_MAX:
        last += 1
    likely = [density(n) - best for n in range(first, last + 1)]
    top = max(likely)
    return first, tuple(max(FLOOR_MNAT, one - top) for one in likely)


class Level:
    """One plate: since when it is at rest, what it said last, and its zero."""

    def __init__(self, device: str, location: str, zeroed: Zeroed | None) -> None:
        self.device, self.location, self.zeroed = device, location, zeroed
        self.still = False
        self.next_ns = 0
        self.fresh = True
        """It moved goods, or was away: the next count does not wait for the idle minute."""
        self.looked_ns = self.said_ns = -AGAIN_NS
        self.said: int | None = None
        self.drift_mg: int | None = None
        """Its drift in all, as of the last look."""

    def rested(self, at_ns: int) -> None:
        """Quiet from here on."""
        self.still = True
        idle_ns = 0 if self.fresh else self.looked_ns + IDLE_NS
        self.next_ns = max(at_ns + SETTLED_NS, idle_ns)


class Levels:
    """The plates that may count. `know` tells it, later, what lies where."""

    def __init__(self) -> None:
        self._levels: dict[str, Level] = {}
        self._at: dict[str, str] = {}
        self._shared: dict[str, None] = {}
        self._told_ns: dict[str, int] = {}
        self._alone: Callable[[int, str], Alone | None] = lambda at_ns, location: None
        self._view: Callable[[str, str], View | None] = lambda location, gtin: None
        self.changed: dict[str, None] = {}
        """Names of plates whose zero is to be kept."""
        self.notes: list[Note] = []

    def know(
        self,
        alone: Callable[[int, str], Alone | None],
        view: Callable[[str, str], View | None],
    ) -> None:
        """`alone(at_ns, location)`: the one product there; `view(location, gtin)`: the belief."""
        self._alone, self._view = alone, view

    def add(self, name: str, device: str, location: str, parts: Mapping[str, bytes]) -> None:
        """A plate; several under one location count nothing of it."""
        if location in self._at:
            self._shared[location] = None
        self._at[location] = name
        body = parts.get(f"zero:{name}")
        kept = msgspec.json.decode(body, type=Zeroed) if body else None
        self._levels[name] = Level(device, location, kept)

    def state(self, name: str) -> Zeroed | None:
        """The zero of a plate; None when nobody told it."""
        return self._levels[name].zeroed

    # --- what happens to a plate ----------------------------------------------------------------

    def zero(self, name: str, plate: Plate) -> None:
        """People say that the plate is empty, and it is at rest."""
        state, mean_mg = plate.state, plate.mean_mg
        if state is not None and mean_mg is not None:
            level = self._levels[name]
            level.zeroed = Zeroed(mean_mg, state.drift_total_mg)
            level.drift_mg = state.drift_total_mg
            self.stepped(name)
            self.changed[name] = None

    def stepped(self, name: str) -> None:
        """Its goods moved: it is counted as soon as it has been at rest."""
        level = self._levels[name]
        level.fresh, level.still = True, False

    def felt(self, step: WeightStep) -> None:
        """A step was no goods but the load of plates beside: the zero moves with the baseline."""
        name = self._at.get(step.location)
        zeroed = None if name is None else self._levels[name].zeroed
        if name is not None and zeroed is not None:
            zeroed.zero_mg += step.step_mg
            self.changed[name] = None

    def away(self, name: str) -> None:
        """It is gone; what it shows on its return may be of another zero."""
        self.stepped(name)
        zeroed = self._levels[name].zeroed
        if zeroed is not None and not zeroed.doubtful:
            zeroed.doubtful = True
            self.changed[name] = None

    def forget(self, name: str) -> None:
        """It is another piece of hardware: its zero is nobody's."""
        if self._levels[name].zeroed is not None:
            self._levels[name].zeroed = None
            self.changed[name] = None

    # --- counting -------------------------------------------------------------------------------

    def look(self, at_ns: int, name: str, plate: Plate) -> LevelClaim | None:
        """After each reading without a step: what the plate claims now, if anything."""
        level = self._levels[name]
        if plate.moving:
            level.still = False
            return None
        if not level.still:
            level.rested(at_ns)
        if at_ns < level.next_ns:
            return None
        level.next_ns = at_ns + IDLE_NS
        alone = None if level.location in self._shared else self._alone(at_ns, level.location)
        claim = None
        if self._sound(at_ns, name, level, plate, alone) and alone is not None:
            claim = self._claim(at_ns, name, level, plate, alone)
        level.looked_ns, level.fresh = at_ns, False
        return claim

    def most(self, at_ns: int, name: str) -> int | None:
        """Up to how many units the plate counts now; None when it counts nothing."""
        level = self._levels[name]
        alone = self._alone(at_ns, level.location)
        if level.zeroed is None or alone is None or level.location in self._shared:
            return None
        return counts_to(alone.unit, self._z_mg(level)) or None

    def _z_mg(self, level: Level) -> int:
        if level.zeroed is None or level.drift_mg is None:
            return ZERO_MG
        return max(ZERO_MG, abs(level.drift_mg - level.zeroed.drift_mg))

    def _claim(
        self, at_ns: int, name: str, level: Level, plate: Plate, alone: Alone
    ) -> LevelClaim | None:
        zeroed, mean_mg = level.zeroed, plate.mean_mg
        if zeroed is None or mean_mg is None:
            return None
        load_mg, z_mg = mean_mg - zeroed.zero_mg, self._z_mg(level)
        units = count(load_mg, alone.unit, z_mg)
        if units is None or not _is_goods(
            load_mg - zeroed.load_mg, units - zeroed.units, alone.unit, z_mg
        ):
            return None
        view = self._view(level.location, alone.gtin)
        if zeroed.doubtful:
            if view is None or view.mode != units:
                return None
            zeroed.doubtful = False
            self.changed[name] = None
        agrees = view is not None and view.state == "certain" and view.mode == units
        if agrees:
            self._anchor(name, level, zeroed, mean_mg - units * alone.unit.mean_mg,
                         sd2_mg2(units, alone.unit, 0))  # fmt: skip
        known = agrees and units == level.said and at_ns < level.said_ns + AGAIN_NS
        if known and not level.fresh:
            return None
        level.said, level.said_ns = units, at_ns
        load_mg = mean_mg - zeroed.zero_mg  # an anchor may have moved it
        if units != zeroed.units or abs(load_mg - zeroed.load_mg) >= ANCHOR_MG:
            zeroed.units, zeroed.load_mg = units, load_mg
            self.changed[name] = None
        first, likely = table(load_mg, units, alone.unit, z_mg)
        return LevelClaim(
            at_ns, level.device, "", level.location, alone.gtin, "weight", first, likely, FLOOR_MNAT
        )

    def _anchor(
        self, name: str, level: Level, zeroed: Zeroed, zero_mg: int, goods_mg2: int
    ) -> None:
        """The zero is taken anew where the goods are known better than the zero is (2.6)."""
        if level.drift_mg is None or goods_mg2 > self._z_mg(level) ** 2:
            return
        off_mg = max(abs(zero_mg - zeroed.zero_mg), abs(level.drift_mg - zeroed.drift_mg))
        if off_mg >= ANCHOR_MG:
            zeroed.zero_mg, zeroed.drift_mg = zero_mg, level.drift_mg
            self.changed[name] = None

    def _sound(
        self, at_ns: int, name: str, level: Level, plate: Plate, alone: Alone | None
    ) -> bool:
        """Whether the baseline stayed where it was; a theft too slow for a step shows here."""
        state, zeroed = plate.state, level.zeroed
        if state is None or zeroed is None:
            return False
        before_mg, level.drift_mg = level.drift_mg, state.drift_total_mg
        lately = before_mg is not None and at_ns - level.looked_ns <= IDLE_NS
        sudden_mg = level.drift_mg - before_mg if lately and before_mg is not None else 0
        moved_mg = level.drift_mg - zeroed.drift_mg
        far = alone is not None and 2 * abs(moved_mg) > alone.unit.mean_mg
        if not far and abs(sudden_mg) <= DRIFT_MINUTE_MG:
            return True
        if at_ns >= self._told_ns.get(name, -TOLD_NS) + TOLD_NS:
            self._told_ns[name] = at_ns
            grams = div_half_even(moved_mg if far else sudden_mg, 1000)
            since = "since its zero was last sure" if far else "within a minute"
            text = f"{name} at {level.location} drifted {grams:+d} g {since}; it counts nothing"
            self.notes.append(Note(at_ns, "plate_drift", level.device, text))
        return False
