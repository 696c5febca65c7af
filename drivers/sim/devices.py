"""The simulated devices of a configuration, each with its port: voices for the world's acts.

Here: who of the configuration can be simulated, by kind. Not here: what each says (`instruments`,
`scanning`, `till`, `tagging`), when (`shop`), what happens (`world`).
"""

from __future__ import annotations

import time
from typing import Protocol

from drivers.sim.instruments import Scale, Transmitter, scale_of
from drivers.sim.levels import Level
from drivers.sim.plate import Plate
from drivers.sim.ports import Port
from drivers.sim.scanning import Scanner, scanner_of
from drivers.sim.tagging import Reader, reader_of
from drivers.sim.till import Till, till_of
from drivers.sim.wiring import NotSimulated
from drivers.sim.world import World
from gateway.domain.settings import DeviceSettings, Settings


class Voice(Protocol):
    """A device that speaks, or listens, by itself."""

    @property
    def device(self) -> str:
        """Its id."""

    @property
    def port(self) -> Port:
        """Where it is found."""

    @property
    def every_s(self) -> float:
        """How often it is to be ticked."""

    def tick(self, at_s: float) -> None:
        """Does what is due now; `at_s` never goes back."""


class Fleet:
    """Every device of a configuration that can be simulated."""

    def __init__(self, settings: Settings, world: World, level: Level, seed: int) -> None:
        """Opens no port."""
        self.voices: list[Voice] = []
        self.scanners: dict[str, Scanner] = {}
        self.tills: dict[str, Till] = {}
        self.readers: list[Reader] = []
        self.plates: dict[str, Plate] = {}
        """By location."""
        self.ports: dict[str, Port] = {}
        """By device, in the order of the configuration."""
        self.left_out: list[tuple[str, str]] = []
        """Devices that are not simulated, and why."""
        switched_on = time.strftime("%Y%m%d-%H%M%S")
        for device in settings.device:
            try:
                found = (
                    scale_of(device, world, level, seed)
                    or scanner_of(device, seed, settings.scan.mode_prefix)
                    or till_of(device, switched_on)
                    or reader_of(device, level, seed)
                )
                if found is None:
                    self.left_out.append((device.id, f"{device.driver} has no voice here"))
                else:
                    self._take(device, found)
            except NotSimulated as reason:
                self.left_out.append((device.id, str(reason)))

    def _take(
        self, device: DeviceSettings, found: Scale | Transmitter | Scanner | Till | Reader
    ) -> None:
        if isinstance(found, Scale | Transmitter):
            if taken := found.plates.keys() & self.plates.keys():
                raise NotSimulated(f"another scale lies under {', '.join(sorted(taken))}")
            self.plates.update(found.plates)
        elif isinstance(found, Till):
            self.tills[device.id] = found
        elif isinstance(found, Reader):
            self.readers.append(found)
        else:
            self.scanners[device.id] = found
        if isinstance(found, Scale | Transmitter | Till | Reader):
            self.voices.append(found)
        self.ports[device.id] = found.port
