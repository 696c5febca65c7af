"""Go-back-N arithmetic of one stream: what is committed, sent, acknowledged, and sent again.

Here: sequence numbers alone. Not here: why the watermark moves (`outbox`), how much may be on its
way (`pace`), time.
"""

from __future__ import annotations

from collections import deque

from gateway.outbox_words import Limits, SendBatch
from gateway.pace import Pace


class Flight:
    """Watermark, next seq to send, and the batches between them."""

    def __init__(self, ack: int, committed: int) -> None:
        self.ack = ack
        self.next = ack + 1
        self.max = committed
        self._ends: deque[int] = deque()  # last seq of each batch the ledger owes an ack for
        self._waits: SendBatch | None = None  # seen not to be full; anything new differs from it

    @property
    def events(self) -> int:
        """Sent and not acknowledged by the ledger."""
        return self.next - 1 - self.ack

    def grow(self, committed: int) -> None:
        """The journal is durable up to here. Raises ValueError when it shrank."""
        if committed < self.max:
            raise ValueError(f"the journal shrank from {self.max} to {committed}")
        self.max = committed

    def move(self, watermark: int) -> None:
        """Everything up to here is the ledger's; what was beyond it stays in flight."""
        self.ack = watermark
        self.next = max(self.next, watermark + 1)
        while self._ends and self._ends[0] <= watermark:
            self._ends.popleft()

    def rewind(self) -> None:
        """Nothing is in flight any more; the next to send follows the watermark."""
        self.next = self.ack + 1
        self._ends.clear()

    def batch(self, pace: Pace) -> SendBatch | None:
        """The next batch by the rules of WIRE section 9, None while there is none."""
        if len(self._ends) >= pace.window:
            return None
        waiting = min(self.max, self.ack + pace.credit) - self.next + 1
        if waiting <= 0:
            return None
        count = min(waiting, pace.events)
        batch = SendBatch(self.next, count, pace.bytes, only_full=self.events > 0, replay=False)
        return None if batch == self._waits else batch

    def take(self, batch: SendBatch, count: int, pace: Pace) -> bool:
        """The journal gave `count` events: True books them as sent, False when they must wait.

        Fewer than asked for means that the next one would pass the byte limit: full.
        """
        if batch.only_full and count == batch.count and count < pace.events:
            self._waits = batch
            return False
        if self.events == 0:
            pace.head = count
        self.next += count
        self._ends.append(self.next - 1)
        return True


class Resends:
    """Replays the ledger asked for: a few, and few batches of them at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spans: deque[tuple[int, int]] = deque()  # next and last seq to send again
        self._out = 0  # batches without PUBACK

    def clear(self) -> None:
        """Forget what was asked; the ledger asks again."""
        self._spans.clear()

    def begin(self) -> None:
        """A new session owes no PUBACK."""
        self.clear()
        self._out = 0

    def ask(self, first: int, last: int) -> bool:
        """False when too many already wait; an empty span is none."""
        if first > last:
            return True
        if len(self._spans) >= self._limits.replays:
            return False
        self._spans.append((first, last))
        return True

    def batch(self, pace: Pace) -> SendBatch | None:
        """The next batch to send again, None while there is none."""
        if not self._spans or self._out >= self._limits.replay_batches:
            return None
        first, last = self._spans[0]
        count = min(last - first + 1, pace.events)
        return SendBatch(first, count, pace.bytes, only_full=False, replay=True)

    def take(self, batch: SendBatch, count: int) -> None:
        """The batch has left with `count` events."""
        _, last = self._spans.popleft()
        if batch.first + count <= last:
            self._spans.appendleft((batch.first + count, last))
        self._out += 1

    def puback(self) -> None:
        """The broker has answered one of them."""
        self._out -= 1
