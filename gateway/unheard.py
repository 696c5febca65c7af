"""What a trace says that has no effect: counted, so that "nothing booked" has a reason.

Here: readings of devices that the configuration does not know, bytes that were no message, scans
without an effect, and what the core refused. Not here: whether it should have had one (`core`).
"""

from __future__ import annotations

from typing import Final

from gateway.core.outcome import Outcome
from gateway.domain.observation import Dropped
from gateway.domain.reading import (
    Command,
    DeviceState,
    Facings,
    Garbled,
    PosLine,
    Reading,
    Scan,
    Tag,
    Weight,
    Word,
)
from gateway.domain.settings import Settings

REASONS_MAX: Final = 1000
"""Kinds of silence that are told apart; a trace of garbage has no end of them."""

WITHOUT_EFFECT: Final = frozenset(("refused", "void_refused", "step_unexplained"))
"""Codes of notes that say why nothing was booked; the others tell of what was."""

_ROLES: Final = {Scan: "scanner", Weight: "scale", Tag: "rfid", PosLine: "pos", Facings: "camera"}


class Silence(Word, frozen=True):
    """One device and reason: how often, and what was said the first time."""

    device: str
    why: str
    count: int
    first_at_ns: int


class Unheard:
    """Counts of one run, by device and reason."""

    def __init__(self, settings: Settings) -> None:
        self._roles = {device.id: device.role for device in settings.device}
        self._found: dict[tuple[str, str], Silence] = {}
        self._strangers: set[str] = set()
        self.untold = 0
        """Those beyond the bound."""

    def reading(self, reading: Reading) -> None:
        """One line of the trace."""
        device, body = reading.device, reading.body
        role = self._roles.get(device)
        if isinstance(body, Garbled):
            self._count(reading.at_ns, device, f"garbled: {body.reason}")
        elif isinstance(body, Command):
            return  # the console and HQ are no devices of the configuration
        elif role is None:
            if len(self._strangers) < REASONS_MAX:
                self._strangers.add(device)
            self._count(reading.at_ns, device, "no such [[device]] in the configuration")
        elif not isinstance(body, DeviceState) and role != _ROLES[type(body)]:
            said = type(body).__name__.lower()
            self._count(reading.at_ns, device, f"a {said} of a device that is a {role} here")

    def outcome(self, outcome: Outcome) -> None:
        """What the core made of some lines."""
        for _, seen in outcome.observations:
            if isinstance(seen, Dropped):
                self._count(seen.at_ns, seen.device, f"scan dropped: {seen.reason}")
        for note in outcome.notes:
            if note.device in self._strangers:
                continue  # that it is none says it all
            if note.code in WITHOUT_EFFECT:
                self._count(note.at_ns, note.device or "-", f"{note.code}: {note.text}")

    def _count(self, at_ns: int, device: str, why: str) -> None:
        known = self._found.get((device, why))
        if known is not None:
            self._found[device, why] = Silence(device, why, known.count + 1, known.first_at_ns)
        elif len(self._found) < REASONS_MAX:
            self._found[device, why] = Silence(device, why, 1, at_ns)
        else:
            self.untold += 1

    def found(self) -> tuple[Silence, ...]:
        """All of it, in the order in which it was first said."""
        return tuple(self._found.values())
