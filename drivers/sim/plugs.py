"""Plugs that are pulled and put back: by chance, or as somebody outside orders.

Here: which device, and when it is spared. Not here: what a port does then (`ports`, `tcp_ports`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from drivers.sim import story
from drivers.sim.ports import Port, PortRefused

PULL_MEAN_S: Final = 12.0
PULL_LEAST_S: Final = 3.0
PULLED_S: Final = (2.0, 5.0)

_PULLED: Final = ("unplugged", "被拔掉")
_PUT_BACK: Final = ("plugged in again", "重新插上")
_REFUSED: Final = ("cannot be plugged in: {}", "无法插上：{}")
_UNKNOWN: Final = ("no such order; say unplug DEVICE or plug DEVICE", "命令有误")


class Plugs:
    """The plugs of all devices."""

    def __init__(
        self,
        ports: Mapping[str, Port],
        now_ns: Callable[[], int],
        tell: Callable[[story.Told], None],
    ) -> None:
        self._ports, self._now_ns, self._tell = ports, now_ns, tell

    def choose(self, rng: Random) -> tuple[float, float, str]:
        """How long until one is pulled, for how long, and which; in seconds."""
        wait_s = PULL_LEAST_S + rng.expovariate(1.0 / PULL_MEAN_S)
        down_s = rng.uniform(*PULLED_S)
        return wait_s, down_s, rng.choice(sorted(self._ports))

    def pull(self, device: str) -> None:
        """Pulls one, and tells it."""
        self._ports[device].unplug()
        self._say("unplug", device, _PULLED)

    def put_back(self, device: str) -> None:
        """Puts one back, and tells it, or that its place is taken. Never raises."""
        try:
            self._ports[device].plug()
        except PortRefused as error:
            en, zh = _REFUSED
            self._say("note", device, (en.format(error), zh.format(error)))
        else:
            self._say("plug", device, _PUT_BACK)

    def obey(self, order: str) -> None:
        """`unplug DEVICE` or `plug DEVICE`; tells what came of it. Never raises."""
        verb, _, device = order.strip().partition(" ")
        if device not in self._ports or verb not in ("unplug", "plug"):
            self._say("note", order.strip()[:60], _UNKNOWN)
        elif verb == "unplug":
            self.pull(device)
        else:
            self.put_back(device)

    def _say(self, what: str, device: str, words: tuple[str, str]) -> None:
        self._tell(story.note(self._now_ns(), what, device, *words))
