"""A machine that dies at any byte of its journal, and comes up again: ALGORITHMS 8, E3.

A transaction of SQLite is whole or absent, so to die at any byte is to die before a transaction or
after it. The daemon writes one in the turn of an input that must not be lost (`Outcome.urgent`)
and one every few seconds of what may be (`Journal.keep`), and tells nobody what is not on disk.
Lost are the inputs of a turn that was not written, the samples of the time it was down, and all
that memory alone held. What was not answered is said again once it is up, in its order: by the
till, by the console, by the person with the scanner. A plate says nothing again.

Here: that machine and its day. Not here: what is told to it (`days`), what differs (`replays`).
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from gateway.bench.store.days import Shop
from gateway.core.outcome import Outcome
from gateway.domain.reading import DeviceState, Reading, Weight
from gateway.domain.units import NS_PER_MS, NS_PER_S

FLUSH_NS: Final = 5 * NS_PER_S
PLATES_FLUSHES: Final = 12
"""Each so many of these the levels of all plates are written, not only first ones."""
DOWN_MS: Final = (300, 3000)
"""From the death to the first reading: a start takes a quarter of a second, ports and the service
manager take the rest."""


class Cut(NamedTuple):
    """Where the machine dies: before a transaction is on disk, or after; and for how long."""

    number: int
    before: bool
    down_ns: int

    @classmethod
    def somewhere(cls, transactions: int, rng: Random) -> Cut:
        """Any place in a day of so many transactions."""
        number, before = rng.randrange(transactions), rng.random() < 0.5
        return cls(number, before, rng.randint(*DOWN_MS) * NS_PER_MS)


class Machine:
    """The daemon's turn around an engine, without its ports."""

    def __init__(self, shop: Shop, cut: Cut | None) -> None:
        self.kept = shop.new()
        self.transactions = 0
        self._cut = cut
        self._flush_ns: int | None = None
        self._flushes = 0

    def receive(self, reading: Reading) -> bool:
        """One turn of the loop; False: the machine died in it, or just before."""
        if self._flush_ns is None:
            self._flush_ns = reading.at_ns + FLUSH_NS
        while self._flush_ns <= reading.at_ns:
            self._flush_ns += FLUSH_NS
            self._flushes += 1
            self.kept.keep_plates(unseen=self._flushes % PLATES_FLUSHES != 0)
            if self.kept.lazy and not self._written(None):
                return False
        self.kept.engine.receive(reading)
        outcome = self.kept.engine.take()
        if outcome.urgent:
            return self._written(outcome)
        self.kept.keep(outcome.parts)
        return True

    def _written(self, outcome: Outcome | None) -> bool:
        cut = self._cut if self._cut and self._cut.number == self.transactions else None
        self.transactions += 1
        if cut is None or not cut.before:
            if outcome is None:
                self.kept.flush()
            else:
                self.kept.write(outcome)
        return cut is None

    def again(self) -> None:
        """Another process, from what the disk holds."""
        self.kept.crash()
        self._flush_ns, self._flushes = None, 0


def lived(shop: Shop, cut: Cut | None) -> Machine:
    """The shop's day, with a death in it where one is asked for."""
    machine = Machine(shop, cut)
    again: list[Reading] = []
    up_ns: int | None = None
    for reading in shop.day:
        if up_ns is not None and reading.at_ns >= up_ns:
            machine.again()
            back = [Reading(up_ns, one.device, one.body) for one in again]
            for one in (*shop.begun(up_ns), *back):
                machine.receive(one)
            up_ns = None
        if up_ns is None and not machine.receive(reading) and cut is not None:
            up_ns = reading.at_ns + cut.down_ns
        if up_ns is not None and not isinstance(reading.body, Weight | DeviceState):
            again.append(reading)
    machine.kept.commit()
    return machine
