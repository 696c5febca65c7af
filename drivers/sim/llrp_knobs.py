"""How a simulated LLRP reader differs from a well-behaved one, as data.

Here: the knobs. Not here: what each does (`llrp_reader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSION_1_0_1, VERSION_1_1 = 1, 2


@dataclass(frozen=True, slots=True)
class Knobs:
    """How this reader differs from a well-behaved one."""

    newest: int = VERSION_1_1
    """The highest version that it speaks; 1 is 1.0.1."""
    knows_enable_events: bool = True
    """False: ENABLE_EVENTS_AND_REPORTS is answered by ERROR_MESSAGE."""
    extras: bool = False
    """Its maker's own parameters wherever the standard lets them stand."""
    hoards_s: float = 0.0
    """So many seconds go into one report, every visit apart: megabytes. 0: as the client asks."""
    silent: bool = False
    """No keepalives."""
    restarts: bool = True
    """A ROSpec with an immediate start trigger begins again when it is done."""
    utc: bool = True
    """False: a reader without a clock, that says microseconds since its start."""
    hangs_up_after_s: float = 0.0
    """Ends each connection after so long, without a word. 0: never."""
    buffer_tags: int = 65_536


WELL_BEHAVED: Final = Knobs()
