"""Long silences: a minute without broker, a minute without ledger, a line that swallows everything.

Three shops at once, scanning all the time. Every event must arrive once, in order.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from stack import Stack

OUTAGE_S: Final = 60.0
HOLE_S: Final = 15.0
SCANS_PER_S: Final = 4
SETTLE_S: Final = 330.0
"""The longest pause between two attempts is 300 s; it is rarely more than 60 s."""


class Relay:
    """A line to a broker. In a black hole it takes every byte and passes none, for ever after."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._holed: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.hole = False
        self.swallowed_bytes = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def swallow(self) -> None:
        """From now on nothing passes; the lines that are open now will never carry a byte again."""
        with self._lock:
            self.hole = True
            self._holed |= self._open

    def heal(self) -> None:
        """New lines pass again."""
        with self._lock:
            self.hole = False

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
                if self.hole:
                    self._holed |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if one in self._holed:
                    self.swallowed_bytes += len(data)
                else:
                    other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cuts everything."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Cashiers:
    """One scans at each till, at a steady pace, until told to stop."""

    def __init__(self, stacks: list[Stack]) -> None:
        self._stacks = stacks
        self._end = threading.Event()
        self.scans = 0
        self._thread = threading.Thread(target=self._scan, daemon=True)
        self._thread.start()

    def _scan(self) -> None:
        while not self._end.wait(1 / SCANS_PER_S):
            self.scans += 1
            for stack in self._stacks:
                stack.till.scan(stack.code(self.scans))

    def close(self) -> None:
        """The tills close."""
        self._end.set()
        self._thread.join()


class Return:
    """Something is back: how long until the ledger has all that waited for it."""

    def __init__(self, name: str, stack: Stack) -> None:
        self._name, self._stack, self._since_s = name, stack, time.monotonic()
        self._born = stack.newest()
        self._done = False

    def seen(self) -> bool:
        """Whether the ledger has it; prints the time when it first has."""
        if not self._done and self._stack.watermark() >= self._born:
            self._done = True
            print(f"{self._name}: caught up {time.monotonic() - self._since_s:.1f} s after")
        return self._done


def assert_in_order(stack: Stack, scans: int) -> None:
    """Every scan a sale, once, in the order of the till; the ledger took them in that order."""
    stack.assert_same()
    sold = [e["lines"][0]["gtin"] for e in stack.events() if e["kind"] == "sale"]
    assert sold == [f"0{stack.code(n)}" for n in range(1, scans + 1)]
    for stream in ("stock", "ops"):
        taken = stack.books("SELECT seq FROM events WHERE stream = ? ORDER BY rowid", stream)
        assert [seq for (seq,) in taken] == list(range(1, len(taken) + 1))


@pytest.mark.storm
def test_outages_delay_and_lose_nothing_ci(make_stack: Callable[..., Stack]) -> None:
    no_broker, no_ledger, no_line = (make_stack(fusion="pending_sale_s = 5") for _ in range(3))
    relay = Relay(no_line.port)
    no_line.configure(f"mqtt://127.0.0.1:{relay.port}")
    stacks = [no_broker, no_ledger, no_line]
    for stack in stacks:
        stack.start()
    cashiers = Cashiers(stacks)
    try:
        began_s = time.monotonic()
        no_broker.kill("broker")
        no_ledger.kill("ledger")
        relay.swallow()
        begun = [stack.newest() for stack in stacks]
        no_line.until(lambda: time.monotonic() > began_s + HOLE_S, "the hole", 2 * HOLE_S)
        assert relay.swallowed_bytes > 0
        assert no_line.watermark() <= begun[2] < no_line.newest(), "nothing came through"
        relay.heal()
        line = Return("line", no_line)
        no_line.until(
            lambda: line.seen() and time.monotonic() > began_s + OUTAGE_S, "the outage", SETTLE_S
        )
        for stack, seq in zip((no_broker, no_ledger), begun, strict=False):
            assert stack.watermark() <= seq, "nothing came through"
            assert stack.newest() - seq > OUTAGE_S * SCANS_PER_S // 2
        no_broker.spawn("broker")
        no_ledger.spawn("ledger")
        returns = [Return("broker", no_broker), Return("ledger", no_ledger)]
        no_line.until(lambda: sum(each.seen() for each in returns) == 2, "the rest", SETTLE_S)
        cashiers.close()
        for stack in stacks:
            stack.settle()
    finally:
        cashiers.close()
        relay.close()
    for stack in stacks:
        assert_in_order(stack, cashiers.scans)
