"""What happens in a cell of the fusion bench, as words: what is true, and what sensors say of it.

Here: products, how wrong their sensors are, and one word per kind of happening. Not here: how a
month comes about (`cell`), who listens (`books`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Noise:
    """How wrong the words are; shares from 0 to 1."""

    missed: float
    swapped: float
    doubled: float
    """Of each unit at the till."""
    wrong_deliveries: float
    step_missed: float
    step_miscounted: float
    false_steps_per_h: float
    claim_wrong: float
    """Of the hourly count of a plate."""
    silent_fills: float = 0.0
    """Of the times that staff fill a shelf: nobody scans."""
    quantities: tuple[float, float, float] = (0.80, 0.15, 0.05)
    """Shares of 1, 2, 3 units of a taking (7.1)."""
    mass_off: float = 0.0
    """By so much, up or down, a unit weighs other than the catalogue says."""
    counts_up_to: int | None = None
    """Most units that a plate counts; None: however many it holds."""


_L2: Final = Noise(
    missed=0.005,
    swapped=0.005,
    doubled=0.003,
    wrong_deliveries=0.02,
    step_missed=0.02,
    step_miscounted=0.02,
    false_steps_per_h=0.01,
    claim_wrong=0.005,
)
NOISE: Final[Mapping[str, Noise]] = {
    "L1": replace(
        _L2,
        missed=0.001,
        swapped=0.001,
        doubled=0.001,
        step_missed=0.005,
        step_miscounted=0.005,
        false_steps_per_h=0.002,
        claim_wrong=0.001,
    ),
    "L2": _L2,
    "L3": replace(
        _L2,
        missed=0.02,
        swapped=0.01,
        doubled=0.01,
        step_missed=0.07,
        step_miscounted=0.05,
        false_steps_per_h=0.05,
        claim_wrong=0.02,
    ),
}
"""ALGORITHMS 7.2 defines the cell at L2; L1 and L3 scale its sensors as it scales the till."""


@dataclass(frozen=True, slots=True)
class Sku:
    """A product with one home plate; `sibling` is what a cashier takes it for."""

    gtin: str
    plate: str
    mass_mg: int
    units_per_day: float
    sibling: str = ""
    capacity: int = 24
    case: int = 12
    """Units of a delivery come in multiples of this."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so from this instant on, in units: in the shop, not in a hand, on its own plate."""

    at_ns: int
    gtin: str
    store: int
    lying: int
    home: int


@dataclass(frozen=True, slots=True)
class Step:
    """A plate settled at another mass. `units` is what a perfect identification makes of it."""

    at_ns: int
    began_ns: int
    plate: str
    gtin: str
    units: int
    step_mg: int
    filling: bool
    """Whether staff filled the shelf: only the baselines are told."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a receipt."""

    at_ns: int
    receipt: int
    gtin: str
    units: int


@dataclass(frozen=True, slots=True)
class Receive:
    """A delivery, as its note and scan say."""

    at_ns: int
    gtin: str
    units: int


@dataclass(frozen=True, slots=True)
class Fill:
    """Staff scan what they are about to put on the shelf."""

    at_ns: int
    gtin: str
    units: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a plate of one product holds, counted from its absolute mass."""

    at_ns: int
    plate: str
    gtin: str
    units: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What was counted before the first day, exactly."""

    at_ns: int
    gtin: str
    shelf: int
    back: int


Word = Truth | Step | Line | Receive | Fill | Claim | Opening


@dataclass(frozen=True, slots=True)
class Gone:
    """Units that left the shop unpaid: stolen, or forgotten at the till."""

    taken_ns: int
    gtin: str
    units: int
    stolen: bool


@dataclass(frozen=True, slots=True)
class Story:
    """One cell's month, in order of time."""

    skus: tuple[Sku, ...]
    words: tuple[Word, ...]
    gone: tuple[Gone, ...]
    sold: int
    """Units that were honestly bought, whatever the till said of them."""
