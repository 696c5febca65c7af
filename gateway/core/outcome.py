"""What an engine is built from, and what it hands out to be committed.

Here: the words between the core and the journal. Not here: how a decision comes about (`engine`),
how it reaches the disk (`journal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.book import Balance
from gateway.core.postings import Posted
from gateway.domain.alert import Told
from gateway.domain.observation import Note, Observation
from gateway.domain.reading import Word


class Position(Word, frozen=True):
    """Where the engine stands in its own record."""

    next_seq: int = 1
    next_observation: int = 1
    at_ns: int = 0


class Saved(Word, frozen=True):
    """Everything an engine is built from again: one consistent state of the journal."""

    position: Position = Position()
    balances: tuple[Balance, ...] = ()
    parts: Mapping[str, bytes] = msgspec.field(default_factory=dict)


EMPTY: Final = Saved()


FLEETING: Final = "echo:"
"""Parts that may reach the disk seconds later: an echo comes within less than a restart takes."""


class Outcome(Word, frozen=True):
    """What a batch of inputs came to: to be committed in one transaction, or not at all."""

    position: Position
    observations: tuple[tuple[int, Observation], ...]
    posted: tuple[Posted, ...]
    notes: tuple[Note, ...]
    balances: tuple[Balance, ...]
    parts: tuple[tuple[str, bytes | None], ...]
    """State to keep, by key; None = gone."""
    alerts: tuple[Told, ...] = ()

    @property
    def urgent(self) -> bool:
        """Whether anything happened that must not be lost."""
        return bool(self.observations or self.posted or self.notes or self.alerts)
