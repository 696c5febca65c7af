"""A till whose software tells every line it prints, as JSON, one object a line.

    {"receipt":"20260601-141502-R0001","line":1,"gtin":"6901234500011","qty_milli":1000,"action":"sale"}

A receipt is never numbered twice: its name has the second at which the till was switched on. After
a new connection the last receipt is said again, and what nobody heard is said now: a till does not
know how much of it arrived. Here: the till, on its port. Not here: what people buy (`people`).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Final

from drivers.sim import wiring
from drivers.sim.actions import Rung
from drivers.sim.ports import Port
from drivers.sim.scanners import ean
from drivers.sim.truth import PIECE_MILLI
from gateway.domain.settings import DeviceSettings

LOOK_S: Final = 0.05
"""How often it looks whether somebody listens."""
UNHEARD_LINES_MAX: Final = 1000


class Till:
    """A till on its port; `listen` in its options: it calls the gateway, else it waits for it."""

    every_s: Final = LOOK_S

    def __init__(self, device: DeviceSettings, switched_on: str) -> None:
        """`switched_on` makes its receipts its own, as `20260601-141502`. Raises NotSimulated."""
        self.device = device.id
        listens = wiring.flag(device, "listen")
        self.port: Port = wiring.caller_of(device) if listens else wiring.port_of(device)
        self._switched_on = switched_on
        self._receipt, self._last = 0, list[bytes]()
        self._unheard: deque[bytes] = deque(maxlen=UNHEARD_LINES_MAX)
        self._heard, self._calls = False, 0
        self.lost_lines = 0
        """Lines too many to be kept until somebody listens."""

    def ring(self, rung: Rung) -> None:
        """A line is printed, and said as soon as somebody listens."""
        line = {
            "receipt": f"{self._switched_on}-R{rung.receipt:04d}",
            "line": rung.line,
            "gtin": ean(rung.gtin).text,
            "qty_milli": PIECE_MILLI,
            "action": rung.what,
        }
        said = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if rung.receipt != self._receipt:
            self._receipt, self._last = rung.receipt, []
        self._last.append(said)
        self.lost_lines += len(self._unheard) == UNHEARD_LINES_MAX
        self._unheard.append(said)
        self._say()

    def tick(self, at_s: float) -> None:
        """Looks whether somebody has called, or answers; `at_s` is for slower devices."""
        self.port.read()  # nobody has anything to tell a till
        self._say()

    def _say(self) -> None:
        heard = self.port.heard()
        if heard and not (self._heard and self.port.calls == self._calls):
            self._calls = self.port.calls
            for line in self._last:
                if line not in self._unheard:
                    self.port.write(line)
        self._heard = heard
        while heard and self._unheard:
            self.port.write(self._unheard.popleft())


def till_of(device: DeviceSettings, switched_on: str) -> Till | None:
    """The till that a configured device is; None for another kind. Raises NotSimulated."""
    return Till(device, switched_on) if device.driver == "pos_lines" else None
