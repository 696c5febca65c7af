"""What a weighed location remembers between steps, as it is kept in the journal.

Here: the words, their bounds, and how long a guest stays. Not here: who writes them (`shelves`,
`flows`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.witnesses import Credit
from gateway.domain.observation import Row, WeightStep
from gateway.domain.stock import Source
from gateway.domain.units import NS_PER_S, PIECE_MILLI

PENDING_MAX: Final = 64
"""Steps that wait at one place; the oldest beyond it is posted at once."""
GUEST_NS: Final = 24 * 3600 * NS_PER_S
"""A product that does not belong on a plate is looked for there so long after it was last seen."""
GUESTS_MAX: Final = 32


class Pending(msgspec.Struct):
    """A step that is probable, not certain; the book waits for other evidence."""

    at_ns: int
    step: WeightStep
    """As decided: the sum, where it is several."""
    rows: tuple[Row, ...]
    cause: int | None
    filling: bool = False
    """Staff were filling the shelf, or this step says so itself."""
    parts: tuple[WeightStep, ...] = ()
    """The steps of the plates, where it is several."""
    taken: dict[str, int] = {}
    """What baskets held of its products when it came, in milli."""
    until_ns: int | None = None
    """Certain, but for what a plate beside may still tell: then it is posted at once."""
    booked: dict[str, int] = {}
    """Milli units, by product, that a sale proved to have left meanwhile: perhaps with this."""

    def at(self, row: Row) -> WeightStep:
        """The step at the plate where a row of it is booked."""
        return msgspec.structs.replace(self.step, location=row.loc) if row.loc else self.step

    def left_milli(self, row: Row) -> int:
        """How much of a row is not booked yet, in milli."""
        return max(0, row.units * PIECE_MILLI - self.booked.get(row.gtin, 0))

    def may_be(self, until_ns: int) -> bool:
        """Whether it had happened by then; when an outage hid it, it may have."""
        return self.step.outage or self.step.began_ns <= until_ns

    @property
    def steps(self) -> tuple[WeightStep, ...]:
        """What the plates said."""
        return self.parts or (self.step,)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The readings it rests on."""
        return tuple(Source(step.device, step.ref) for step in self.steps)


class Guest(msgspec.Struct):
    """A product that lies on a plate without belonging there."""

    since_ns: int
    home: str
    """Where the book holds it: here, or beside when it only rests partly on this plate."""


class Last(msgspec.Struct):
    """The last step of a plate that has neighbours."""

    step: WeightStep
    open: bool
    """Nothing explained it."""


class Place(msgspec.Struct):
    """What a weighed location remembers between steps."""

    live: bool = False
    """Its plate is there and would have seen a pick."""
    counted_ns: int = 0
    """When its plate last counted its product by itself; 0 when it has been away since."""
    session_until_ns: int = 0
    added_at_ns: int = 0
    added: list[Credit] = []
    """Units that came in this session, and may be taken back at once."""
    scanned_in: list[Credit] = []
    """Restock scans whose goods the plate has yet to see."""
    scanned_out: list[Credit] = []
    """Write-offs and transfers whose goods the plate has yet to see leave."""
    weighed_in: list[Credit] = []
    """Surpluses the plate has booked before anyone scanned."""
    pending: list[Pending] = []
    guests: dict[str, Guest] = {}
    last: Last | None = None

    def welcome(self, at_ns: int, gtin: str, home: str) -> None:
        """A product was seen here that does not belong here; of too many the oldest go."""
        self.guests.pop(gtin, None)
        self.guests[gtin] = Guest(at_ns, home)
        while len(self.guests) > GUESTS_MAX:
            del self.guests[next(iter(self.guests))]
