"""RFID readers of the shop, each on its port: the tags before their antennas follow the goods.

Here: which reader a configured device is, callers who come and go, and the goods that people move.
Not here: what a reader says (`llrp_reader`, `json_reader`), the radio (`tags`).
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable
from random import Random
from typing import Final, Literal, Protocol

from drivers.sim import wiring
from drivers.sim.actions import Moved
from drivers.sim.json_reader import JsonReader
from drivers.sim.levels import Level
from drivers.sim.llrp_reader import LlrpReader
from drivers.sim.ports import Port
from drivers.sim.tags import RADIOS, TagField
from drivers.sim.tcp_ports import TcpServerPort
from drivers.sim.truth import OUTSIDE, Opening
from gateway.domain.settings import DeviceSettings

LOOK_S: Final = 0.02
"""How often a reader looks at its port."""
SOLD_MAX: Final = 50
"""Sold units of a product whose tags are remembered, should they come back."""
CLOCKS: Final = {"quiet": (0.0, 1), "L1": (0.0, 1), "L2": (2.0, 20), "L3": (60.0, 100)}
"""How far a reader's clock is off, in seconds, and drifts, in ppm (ALGORITHMS table 7.2)."""


class Talker(Protocol):
    """A reader as its client knows it; pure."""

    @property
    def hangs_up(self) -> bool:
        """Whether it ends the connection, after what it said last."""

    def connected(self, at_s: float) -> bytes:
        """A client has come."""

    def hear(self, at_s: float, data: bytes) -> bytes:
        """What it answers."""

    def tick(self, at_s: float) -> bytes:
        """What it says unasked."""

    def closed(self) -> None:
        """The client has gone."""


class Reader:
    """A reader on its port."""

    def __init__(self, device: str, port: Port, field: TagField, talker: Talker) -> None:
        self.device, self.port, self.every_s = device, port, LOOK_S
        self._field, self._talker, self._here, self._calls = field, talker, False, 0
        self._sold: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=SOLD_MAX))

    def tick(self, at_s: float) -> None:
        """Greets who comes, answers what is asked, tells what it hears; `at_s` never goes back."""
        here, said = self.port.heard(), b""
        if self._here and not (here and self.port.calls == self._calls):
            self._talker.closed()
            self._here = False
        if here and not self._here:
            self._here, self._calls = True, self.port.calls
            said = self._talker.connected(at_s)
        if here:
            said += self._talker.hear(at_s, self.port.read())
        said += self._talker.tick(at_s)
        if said and here:
            self.port.write(said)
        if self._talker.hangs_up and isinstance(self.port, TcpServerPort):
            self.port.hang_up()

    def populate(self, opening: Iterable[Opening]) -> None:
        """The tags of the opening stock."""
        self._field.populate(opening)

    def moved(self, act: Moved) -> None:
        """Units change place, and their tags with them; deliveries bring new ones."""
        sold = self._sold[act.gtin]
        for _ in range(act.units):
            if act.origin not in OUTSIDE:
                serial = self._field.take(act.origin, act.gtin)
            elif act.origin == "@sold" and sold:
                serial = sold.popleft()
            else:
                self._field.add(act.target, act.gtin)
                continue
            if act.target not in OUTSIDE:
                self._field.put(act.target, act.gtin, serial)
            elif act.target == "@sold":
                sold.append(serial)


class _Speaker:
    """A reader that takes no orders, and says the same to whoever listens."""

    hangs_up: Final = False

    def __init__(self, reader: JsonReader) -> None:
        self._reader = reader

    def connected(self, at_s: float) -> bytes:
        """It has no greeting."""
        return b""

    def hear(self, at_s: float, data: bytes) -> bytes:
        """It does not listen."""
        return b""

    def tick(self, at_s: float) -> bytes:
        """What it hears of tags."""
        return self._reader.tick(at_s)

    def closed(self) -> None:
        """It does not mind."""


def reader_of(device: DeviceSettings, level: Level, seed: int) -> Reader | None:
    """The reader that a configured device is; None for another kind. Raises NotSimulated."""
    if device.role != "rfid":
        return None
    antennas = wiring.places(device, "antennas") or {1: device.location}
    field = TagField(antennas, RADIOS[level.name], seed, device.id)
    port = wiring.port_of(device)
    rng = Random(f"reader/{seed}/{device.id}")
    offset_s, drift_ppm = CLOCKS[level.name]
    # the readers' clocks are counted from now on, when they are switched on
    clock_us = time.time_ns() // 1000 + round(rng.uniform(-offset_s, offset_s) * 1e6)
    if device.driver == "rfid_json":
        vendor: Literal["zebra", "impinj"] = "zebra"
        if wiring.text(device, "format") == "impinj":
            vendor = "impinj"
        speaker = JsonReader(
            max(antennas), field, vendor=vendor, hostname=device.id, clock_offset_us=clock_us
        )
        return Reader(device.id, port, field, _Speaker(speaker))
    talker = LlrpReader(
        max(antennas),
        field,
        reader_id=f"{rng.getrandbits(64):016x}",
        clock_offset_us=clock_us,
        clock_drift_ppm=rng.choice((-drift_ppm, drift_ppm)),
    )
    if isinstance(port, TcpServerPort):
        port.busy = talker.refusal
    return Reader(device.id, port, field, talker)
