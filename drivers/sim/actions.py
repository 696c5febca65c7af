"""What happens in the simulated store: the script, one frozen word per physical act.

Here: handling goods on plates, a bump, a scan, a till line, and what truly moved. Times are
nanoseconds since the world began. Not here: who decides to do it (`people`), how bytes tell of it
(`shop`).
"""

from __future__ import annotations

from typing import Literal

from gateway.domain.reading import Word

What = Literal[
    "pick", "putback", "sale", "unpaid", "theft", "receive", "restock", "return", "writeoff"
]


class Barcode(Word, frozen=True):
    """What a label says; `aim` is the identifier a scanner may send before it."""

    text: str
    aim: str


class Load(Word, frozen=True):
    """A signed mass that comes onto a plate."""

    location: str
    mass_mg: int


class Handling(Word, frozen=True):
    """A hand at a plate, with goods that come or go; without any loads it is only a touch."""

    at_ns: int
    location: str
    lasts_ns: int
    hand_mg: int
    """Signed peak of the hand's force."""
    loads: tuple[Load, ...] = ()
    release_ns: int = 0
    """From `at_ns` until the goods begin to come or go."""
    ramp_ns: int = 1
    """How long they take to."""


class Bump(Word, frozen=True):
    """Somebody runs into a bay: all its plates ring."""

    at_ns: int
    locations: tuple[str, ...]
    peak_mg: int


class Beam(Word, frozen=True):
    """A scanner reads a label; an echo is the same label read again by mistake."""

    at_ns: int
    device: str
    barcode: Barcode
    echo: bool = False


class Rung(Word, frozen=True):
    """The till's software prints a line: one unit."""

    at_ns: int
    device: str
    receipt: int
    """The number of the shopper whose receipt it is."""
    line: int
    gtin: str
    what: Literal["sale", "return", "void"]


class Moved(Word, frozen=True):
    """Units that truly changed place: the only word that alters the truth."""

    at_ns: int
    what: What
    gtin: str
    units: int
    origin: str
    target: str
    who: int = 0
    """The shopper's number; 0 is staff."""


Action = Handling | Bump | Beam | Rung | Moved
