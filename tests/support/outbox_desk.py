"""The outbox on a desk: time, journal and broker in the hands of the test."""

from __future__ import annotations

import hashlib

from gateway.domain.messages import Ack, Rejected, Replay
from gateway.outbox import Outbox
from gateway.outbox_words import (
    Cursor,
    Decision,
    OutboxStatus,
    SendBatch,
)

S = 1_000_000_000
INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
AUDIT_NS = 900 * S
GRANTED = Cursor(1, 0)


def chain(seq: int) -> bytes:
    return hashlib.sha256(b"%d" % seq).digest()


class Desk:
    """An outbox, the time, and a journal whose bodies all have `size` bytes."""

    def __init__(self, committed: int = 0, cursor: Cursor = GRANTED, size: int = 400) -> None:
        self.box = Outbox("stock", INST, cursor, committed)
        self.at = 1000 * S
        self.max = committed
        self.size = size
        self.oldest = 1
        self.room = 32

    @property
    def status(self) -> OutboxStatus:
        return self.box.status()

    def connect(self) -> list[Decision]:
        self.box.connected(self.at, AUDIT_NS, 262_144)
        return self.act()

    def act(self) -> list[Decision]:
        """What the shell does: everything decided now; batches only when they may leave."""
        done: list[Decision] = []
        self.box.advance(self.at)
        while (decision := self.box.decide(self.at, self.room)) is not None:
            if isinstance(decision, SendBatch):
                count = min(decision.count, max(1, decision.max_bytes // self.size))
                if not self.box.fill(decision, count, self.at):
                    continue
                decision = SendBatch(
                    decision.first, count, decision.max_bytes, decision.only_full, decision.replay
                )
            done.append(decision)
        return done

    def commit(self, count: int = 1) -> list[Decision]:
        self.max += count
        self.box.committed(self.max)
        return self.act()

    def wait(self, seconds: float) -> list[Decision]:
        self.at += int(seconds * S)
        return self.act()

    def hear(
        self,
        st: str,
        ack: int,
        *,
        epoch: int = 1,
        inst: str = INST,
        credit: int = 2000,
        rej: tuple[Rejected, ...] = (),
        own: bytes | None = None,
    ) -> list[Decision]:
        message = Ack(
            "1.0", "s0001", "stock", inst, epoch, ack, chain(ack).hex(), st, credit, rej
        )  # fmt: skip
        self.box.heard()
        known = chain(ack) if ack <= self.max else None
        self.box.hear_ack(message, own or known, self.oldest, self.at)
        return self.act()

    def puback(self, code: int, kind: str = "batch") -> list[Decision]:
        self.box.puback(kind, code, self.at)  # type: ignore[arg-type]
        return self.act()

    def replay(self, start: int, to: int | None = None) -> list[Decision]:
        message = Replay("1.0", "s0001", "stock", INST, 1, "events", start, to, "rq-1")
        self.box.hear_replay(message, self.oldest)
        return self.act()


def spans(decisions: list[Decision]) -> list[tuple[int, int]]:
    """First and last seq of each batch; anything else is a mistake."""
    assert all(isinstance(each, SendBatch) for each in decisions), decisions
    return [(b.first, b.first + b.count - 1) for b in decisions if isinstance(b, SendBatch)]


def live(committed: int = 0, size: int = 400) -> Desk:
    """Connected, everything acknowledged."""
    desk = Desk(committed, Cursor(1, committed), size)
    desk.connect()
    assert desk.hear("sync", committed) == []
    return desk
