"""The daemon with its moments written down: `python -m gateway.bench.probe CONFIG`.

Here: the real daemon in a process of its own, and four times per event: decided, durable, PUBACK,
ledger acknowledged. Not here: any change to what the daemon does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop

from gateway.app import Daemon
from gateway.config import load
from gateway.core.outcome import Outcome
from gateway.domain.messages import Stream
from gateway.domain.wire import Stamp
from gateway.journal.journal import OpsNote
from gateway.journal.rows import Batch


def now_ns() -> int:
    """The clock that all processes of the bench share."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Moments:
    """When each stock event reached which stage; index = seq - 1."""

    def __init__(self) -> None:
        self.decided: list[int] = []
        self.durable: list[int] = []
        self.puback: list[int] = []
        self.acked: list[int] = []

    def upto(self, stage: list[int], seq: int, ago_ns: int = 0) -> None:
        """All events up to a seq have reached a stage, now or a moment ago."""
        stage.extend([now_ns() - ago_ns] * (seq - len(stage)))

    def attach(self, daemon: Daemon) -> None:
        """Listens to a daemon."""
        append = daemon.journal.append
        self._now_ns = daemon.clock.now_ns

        def decided(
            outcome: Outcome | None,
            ops: list[OpsNote],
            stamp: Callable[[int], Stamp],
            *,
            at_once: bool = False,
        ) -> Batch:
            if outcome is not None and outcome.posted:
                self.upto(self.decided, outcome.posted[-1].event.seq)
            return append(outcome, ops, stamp, at_once=at_once)

        daemon.journal.append = decided  # type: ignore[method-assign]
        daemon.journal.listen(self._durable)

    def _durable(self, batches: list[Batch]) -> None:
        for batch in batches:
            for stock in batch.stock:
                self.upto(self.durable, stock.row.seq)

    def on_puback(self, stream: Stream, seq: int, at_ns: int) -> None:
        """The broker answered for events up to a seq; `at_ns` is when its answer was read."""
        if stream == "stock":
            self.upto(self.puback, seq, self._now_ns() - at_ns)

    def on_ack(self, stream: Stream, seq: int, _: int) -> None:
        """The ledger committed events up to a seq."""
        if stream == "stock":
            self.upto(self.acked, seq)


async def main(config: str) -> None:
    """Until SIGTERM; then prints the moments as JSON."""
    moments = Moments()
    daemon = Daemon(load(config), None, moments.on_puback, moments.on_ack)
    moments.attach(daemon)
    await daemon.run()
    document = {
        "decided": moments.decided, "durable": moments.durable, "puback": moments.puback,
        "acked": moments.acked,
    }  # fmt: skip
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
