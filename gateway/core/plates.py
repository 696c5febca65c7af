"""The plates of the shop: which reading is whose, and whether its cell can be believed.

Here: channels of controllers, the pulse of each cell before its detector hears it, what people are
told of a sick one. Not here: steps (`weigh`), which of them belong together (`bays`), what sickness
is (`vitals`), the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.core.bays import Bays, Settled
from gateway.core.levels import Levels
from gateway.core.plate_words import PlateRules, PlateState
from gateway.core.repeats import Repeats
from gateway.core.vitals import TOLD, Trouble, Vitals
from gateway.core.weigh import Plate
from gateway.domain.observation import LevelClaim, Note
from gateway.domain.reading import Weight
from gateway.domain.store import Location
from gateway.domain.units import NS_PER_S

TROUBLE_NS: Final = 3600 * NS_PER_S
"""The same trouble of a plate is told once an hour; the status shows it always."""
_NONE: Final[Mapping[int | msgspec.UnsetType, str]] = {}

Channel = int | msgspec.UnsetType


class Plates:
    """Plates by name: the device's, or `device/channel`."""

    def __init__(self) -> None:
        self._names: dict[str, dict[Channel, str]] = {}
        self._plates: dict[str, Plate] = {}
        self._vitals: dict[str, Vitals] = {}
        self._repeats: dict[str, Repeats] = {}
        self._place_of: dict[str, str] = {}
        self._told_ns: dict[str, int] = {}
        self.bays = Bays(self._plates)
        self.levels = Levels()
        self._levels_told: dict[str, None] = {}
        self.changed: dict[str, None] = {}
        """Keys of parts to keep."""
        self.notes: list[Note] = []

    def add(
        self,
        name: str,
        channel: Channel,
        driver: str,
        rules: PlateRules,
        at: Location,
        parts: Mapping[str, bytes],
        kept_ns: int,
    ) -> None:
        """A plate of a device; UNSET is the channel of a scale that has no other."""
        body, held = parts.get(f"plate:{name}"), parts.get(f"settled:{name}")
        kept = msgspec.json.decode(body, type=PlateState) if body else None
        self._names.setdefault(rules.device, {})[channel] = name
        self._plates[name] = Plate(rules, kept, kept_ns)
        self._vitals[name] = Vitals(driver, rules.rate_hz)
        self._repeats[name] = Repeats(rules.rate_hz)
        self._place_of[name] = rules.location
        self.bays.add(name, at.bay, at.position)
        self.levels.add(name, rules.device, rules.location, parts)
        if held:
            self.bays.restore(name, held)

    def weight(self, at_ns: int, device: str, said: Weight) -> Sequence[Settled | LevelClaim]:
        """One reading; what is known with it. A reading of no plate of ours says nothing."""
        name = self._names.get(device, _NONE).get(said.channel)
        if name is None or self._repeats[name].again(at_ns, said):
            return ()
        plate, vitals = self._plates[name], self._vitals[name]
        if vitals.heard(at_ns, said, self._vitals.values()):
            plate.lost()  # what it shows when it is well again is one step of an outage
            self.levels.away(name)
            self._tell(at_ns, device, name, vitals.trouble)
        if vitals.trouble:
            return ()
        step = plate.weight(at_ns, said.mass_mg, said.stable, said.flags)
        if step is not None:
            self.changed[f"plate:{name}"] = None
            self.levels.stepped(name)
            return self.bays.settled(at_ns, name, step)
        if name in self.bays.watched:
            return self.bays.quiet(at_ns, name)
        if self.bays.due_ns is not None and self.bays.state(name) is not None:
            return ()  # whether its step was goods is not decided yet
        claim = self.levels.look(at_ns, name, plate)
        return () if claim is None else (claim,)

    def keys(self) -> list[str]:
        """Keys of the parts to keep since the last call."""
        levels = self.changed | {f"plate:{name}": None for name in self.bays.moved}
        keys = [*levels, *(f"settled:{name}" for name in self.bays.changed)]
        self.bays.moved.clear()
        keys += [f"zero:{name}" for name in self.levels.changed]
        self.changed.clear()
        self.levels.changed.clear()
        self.bays.changed.clear()
        return keys

    def _tell(self, at_ns: int, device: str, name: str, trouble: Trouble) -> None:
        place, key = self._place_of[name], f"{name} {trouble}"
        told_ns = self._told_ns.get(key)
        if told_ns is not None and at_ns - told_ns < TROUBLE_NS:
            return
        self._told_ns[key] = at_ns
        text = f"{name} at {place} weighs again"
        if trouble:
            text = f"{name} at {place} {TOLD[trouble]}; it books nothing until it is well"
        self.notes.append(Note(at_ns, f"sensor_{trouble or 'well'}", device, text))

    def seen(self, device: str, up: bool, *, restarted: bool) -> Iterator[str]:
        """A device came or went: the places of its plates, which begin anew when it went.

        Not where only the gateway did, and the scale kept its power and its zero.
        """
        for name in self._names.get(device, _NONE).values():
            if not up:
                if not restarted:
                    self._plates[name].lost()
                self.levels.away(name)
                self._vitals[name].away()
            yield self._place_of[name]

    def swapped(self, device: str) -> None:
        """Other hardware answers: the zeros of its plates are nobody's."""
        for name in self._names.get(device, _NONE).values():
            self.levels.forget(name)
            self._plates[name].lost()

    def tare(self, at_ns: int, name: str, *, empty: bool = False) -> str | None:
        """Takes a plate's level as its baseline, and as its zero when it is empty; else why not."""
        plate = self._plates.get(name)
        if plate is None:
            several = ", ".join(self._names.get(name, _NONE).values())
            return f"has several plates: {several}" if several else "is no scale here"
        if not plate.tare(at_ns):
            return "is in motion: try again when it is quiet"
        if empty:
            self.levels.zero(name, plate)
        self.changed[f"plate:{name}"] = None
        return None

    def state(self, name: str) -> PlateState | None:
        """The state behind a key of `changed`; None before the first level."""
        return self._plates[name].state

    def settled(self, *, unseen: bool) -> list[str]:
        """Names of the plates that have a level; with `unseen`, those never asked for before."""
        names = [
            name
            for name, plate in self._plates.items()
            if plate.state is not None and not (unseen and name in self._levels_told)
        ]
        self._levels_told.update(dict.fromkeys(names))
        return names

    @property
    def levelled(self) -> bool:
        """Whether any plate has ever had a level that was kept."""
        return bool(self._levels_told)

    def view(self, at_ns: int, device: str) -> list[tuple[str, Plate, Trouble, int | None]]:
        """Location, detector, trouble and most units counted of each plate, for the status."""
        return [
            (
                self._place_of[n],
                self._plates[n],
                self._vitals[n].trouble,
                self.levels.most(at_ns, n),
            )
            for n in self._names.get(device, _NONE).values()
        ]
