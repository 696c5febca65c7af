"""How much of a stream to send, and how patiently to wait: the numbers that trouble bends.

Here: retransmission timeout, window, credit, size of a batch, and what halves or restores them
(WIRE section 3 for 0x95 and 0x97, section 9 for the RTO, section 10 step 1 for bad envelopes).
Not here: positions and phases (`outbox`).
"""

from __future__ import annotations

from typing import Final

from gateway.domain import messages
from gateway.outbox_words import Limits, Timers

_BAD_ENVELOPES: Final = 3
_AROUND_BYTES: Final = 2048
"""More than topic, properties and envelope of a batch take beside its bodies."""


class Pace:
    """The bent numbers of one stream; each is read where it applies and bent only here."""

    def __init__(self, timers: Timers, limits: Limits) -> None:
        self._timers, self._limits = timers, limits
        self.rto_ns = timers.rto_ns
        self.window = limits.batches
        """Batches in flight."""
        self.credit = messages.CREDIT
        """Events beyond the watermark."""
        self.events = limits.events
        """In one batch."""
        self.bytes = limits.bytes
        """Of the bodies of one batch."""
        self.head = limits.events
        """Events in the last batch that began right after the watermark."""
        self._bad = (-1, 0)  # position, and how often its envelope was called bad
        self._halved_until = 0

    def begin(self, packet_max: int) -> None:
        """A new session, with a broker that takes packets of up to `packet_max` bytes."""
        self.rto_ns = self._timers.rto_ns
        self.bytes = max(1, min(self.bytes, packet_max - _AROUND_BYTES))

    def progress(self, watermark: int) -> None:
        """The ledger committed more: patience as at first, one more batch, whole batches again."""
        self.settle()
        self.window = min(self._limits.batches, self.window + 1)
        if watermark >= self._halved_until:
            self.events = self._limits.events

    def settle(self) -> None:
        """Patience as at first."""
        self.rto_ns = self._timers.rto_ns

    def back_off(self) -> None:
        """Twice the patience, up to the bound."""
        self.rto_ns = min(2 * self.rto_ns, self._timers.rto_max_ns)

    def quota_exceeded(self) -> None:
        """0x97: half the window, at least one batch; twice the patience."""
        self.window = max(1, self.window // 2)
        self.back_off()

    def packet_too_large(self) -> None:
        """0x95: half the bytes, for as long as the process lives; one event always goes."""
        self.bytes = max(1, self.bytes // 2)

    def bad_envelope(self, position: int) -> None:
        """The third time at one position halves the batch, until the watermark has passed it."""
        count = self._bad[1] + 1 if self._bad[0] == position else 1
        if count >= _BAD_ENVELOPES:
            count = 0
            self._halved_until = max(self._halved_until, position + self.head)
            self.events = max(1, min(self.events, self.head) // 2)
        self._bad = (position, count)
