"""The journal as the ledger link sees it: what is durable, and the epoch that the ledger grants.

Here: `uplink_words.LinkJournal` for a real journal. Not here: sending (`uplink`), numbering
(`core`): the `epoch_open` of the stock stream takes its place in the order like any command.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.clock import SystemClock
from gateway.domain.messages import Stream
from gateway.domain.reading import OpenEpoch, Order
from gateway.domain.stock import Opened
from gateway.health import CommandResult
from gateway.journal.journal import EPOCH_OPEN, Journal, OpsNote


class LedgerJournal:
    """What the link may read, and the one thing it may write."""

    def __init__(
        self,
        journal: Journal,
        command: Callable[[str, Order], Awaitable[CommandResult]],
        clock: SystemClock,
    ) -> None:
        self._journal, self._command, self._clock = journal, command, clock
        self.inst = journal.inst
        self.committed = journal.committed
        self.oldest = journal.oldest
        self.bodies = journal.bodies
        self.chain_at = journal.chain_at
        self.cursor = journal.cursor
        self.keep_cursor = journal.keep_cursor

    async def open_epoch(self, stream: Stream, epoch: int, why: str) -> None:
        """Adopts a granted epoch: its `epoch_open` is on disk when this returns."""
        self._journal.adopt(stream, epoch)
        if stream == "stock":
            await self._command("ledger", OpenEpoch(epoch, why))  # type: ignore[arg-type]
            return
        note = OpsNote(self._clock.now_ns(), EPOCH_OPEN, Opened(None, None, why))
        self._journal.append(None, [note], self._clock.stamp)
        await self._journal.durable()
