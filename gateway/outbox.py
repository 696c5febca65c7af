"""Which committed events of a stream to send next, and what the ledger's answers mean.

Here: WIRE sections 5.3, 5.5, 9 and the session rules of section 3, as one object per stream.
Inputs go in as calls, decisions come out of `decide`; time is always an argument. Not here: MQTT,
the journal, JSON, clocks, chance. Read next: `outbox_words` for what goes in and out, `uplink`,
which carries it out, and `docs/link.md`, which explains states and alarms to people.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from gateway.domain import messages
from gateway.domain.messages import Ack, Alarm, Replay, Stream
from gateway.outbox_words import (
    TOTALS,
    ClearAlarm,
    Cursor,
    Decision,
    Kind,
    Limits,
    OpenEpoch,
    OutboxStatus,
    Phase,
    SendBatch,
    SendHello,
    Timers,
    Why,
)

_NO_SUBSCRIBER: Final = 0x10
_REFUSED: Final = 0x80
_NOT_AUTHORIZED: Final = 0x87
_QUOTA: Final = 0x97
_BAD_ENVELOPES: Final = 3

_REMEDY: Final = {
    "fork": "journal and ledger disagree about history; do not restart, call headquarters",
    "rollback": "the journal is older than the ledger knows it; was a disk image restored?",
    "fenced": "another machine took over this store; this one journals on and sends nothing",
    "retention_gap": "the ledger needs events that the journal no longer keeps",
    "not_authorized": "the broker refuses our messages; check certificate and access rules",
}


class Outbox:
    """One stream of the ledger link: go-back-N under the ledger's own watermark.

    After every input call `decide` until it answers None, and `advance` no later than `deadline`.
    Raises ValueError only for what a journal can never do: shrink, or open an epoch unasked.
    """

    def __init__(
        self,
        stream: Stream,
        inst: str,
        cursor: Cursor,
        committed: int,
        timers: Timers = Timers(),
        limits: Limits = Limits(),
    ) -> None:
        self._stream, self._inst = stream, inst
        self._timers, self._limits = timers, limits
        self._epoch, self._ack, self._max = cursor.epoch, cursor.ack, committed
        self._phase: Phase = "offline"
        self._reason = ""
        self._next = cursor.ack + 1
        self._flight: deque[int] = deque()  # last seq of each batch in flight
        self._window, self._credit = limits.batches, messages.CREDIT
        self._events_max, self._bytes_max = limits.events, limits.bytes
        self._held = False  # what waits was seen not to fill a batch
        self._absent = False
        self._granting: OpenEpoch | None = None
        self._rto_ns = timers.rto_ns
        self._hello_due: Why | None = None
        self._asked_ns: int | None = None  # when the hello left that is not answered yet
        self._rto_at: int | None = None
        self._hello_at: int | None = None
        self._audit_ns = self._active_ns = self._answer_from_ns = 0
        self._gap: tuple[int, int] | None = None  # position and time of the last rewind by a gap
        self._bad = (-1, 0)  # position, and how often its envelope was called bad
        self._head_count = limits.events  # size of the last batch that began at ack + 1
        self._halved_until = 0
        self._replays: deque[tuple[int, int]] = deque()  # next and last seq to send again
        self._replay_batches = 0
        self._notes: deque[OpenEpoch | Alarm | ClearAlarm] = deque()
        self._alarms: dict[str, None] = {}  # raised and not cleared, in order
        self._totals: Counter[str] = Counter()

    # --- what the shell asks ------------------------------------------------------------------

    @property
    def cursor(self) -> Cursor:
        """Position to keep with the next commit; losing it is harmless."""
        return Cursor(self._epoch, self._ack)

    @property
    def _in_flight(self) -> int:
        return self._next - 1 - self._ack

    def deadline(self) -> int | None:
        """When `advance` must be called next, in ns; None while only an input changes anything."""
        times = [at for at in (self._rto_at, self._hello_at) if at is not None]
        if self._idle:
            times.append(self._active_ns + self._audit_ns)
        return min(times, default=None)

    @property
    def _idle(self) -> bool:
        asking = self._hello_due is not None or self._asked_ns is not None
        return self._phase == "open" and not self._in_flight and not asking

    def status(self) -> OutboxStatus:
        """Everything visible about this stream."""
        return OutboxStatus(
            stream=self._stream,
            state=self._phase,
            reason=self._reason,
            epoch=self._epoch,
            ack=self._ack,
            next=self._next,
            committed=self._max,
            in_flight=self._in_flight,
            window=self._window,
            credit=self._credit,
            rto_ms=self._rto_ns // 1_000_000,
            absent=self._absent,
            **{name: self._totals[name] for name in TOTALS},
        )

    def decide(self, at_ns: int, room: int) -> Decision | None:
        """The next thing to do, None for nothing; `room` = messages the broker would take now."""
        if self._notes:
            return self._notes.popleft()
        if self._phase == "offline" or room <= 0:
            return None
        if self._hello_due is not None:
            why, self._hello_due = self._hello_due, None
            self._asked_ns = at_ns
            self._rto_at = at_ns + self._rto_ns
            if self._phase == "absent":
                self._phase = "opening"
            self._totals["hellos_total"] += 1
            return SendHello(why)
        return self._live_batch() or self._replay_batch()

    def fill(self, batch: SendBatch, count: int, at_ns: int) -> bool:
        """The journal gave `count` events for it: True books them as sent, False = they wait."""
        if count == 0:
            self._stop("retention_gap", at_ns, self._timers.stopped_ns)
            return False
        if batch.replay:
            _, last = self._replays.popleft()
            if batch.first + count <= last:
                self._replays.appendleft((batch.first + count, last))
            self._replay_batches += 1
            self._totals["replayed_total"] += count
            return True
        if batch.only_full and count == batch.count and count < self._events_max:
            self._held = True
            return False
        if self._in_flight == 0:
            self._head_count = count
            if self._rto_at is None:
                self._rto_at = at_ns + self._rto_ns
        self._next += count
        self._flight.append(self._next - 1)
        self._active_ns = at_ns
        self._totals["batches_total"] += 1
        self._totals["events_total"] += count
        return True

    def _live_batch(self) -> SendBatch | None:
        if self._phase != "open" or self._held or len(self._flight) >= self._window:
            return None
        waiting = min(self._max, self._ack + self._credit) - self._next + 1
        if waiting <= 0:
            return None
        count = min(waiting, self._events_max)
        return SendBatch(self._next, count, self._bytes_max, self._in_flight > 0, replay=False)

    def _replay_batch(self) -> SendBatch | None:
        room = self._limits.replay_batches - self._replay_batches
        if self._phase != "open" or not self._replays or room <= 0:
            return None
        first, last = self._replays[0]
        count = min(last - first + 1, self._events_max)
        return SendBatch(first, count, self._bytes_max, only_full=False, replay=True)

    # --- inputs: session, journal, time -------------------------------------------------------

    def connected(self, at_ns: int, audit_ns: int, packet_max: int) -> None:
        """A new session is subscribed; `audit_ns` = 900 s ± 10 %, `packet_max` the broker's."""
        self.disconnected()
        self._phase, self._hello_due = "opening", "connect"
        self._audit_ns, self._active_ns, self._answer_from_ns = audit_ns, at_ns, at_ns
        self._rto_ns = self._timers.rto_ns
        envelope = messages.BATCH_BYTES_MAX - self._limits.bytes
        self._bytes_max = max(1, min(self._bytes_max, packet_max - 4 * envelope))

    def disconnected(self) -> None:
        """The session has gone; everything not acknowledged will be sent again."""
        self._phase, self._reason, self._absent = "offline", "", False
        self._hello_due = self._asked_ns = self._rto_at = self._hello_at = self._gap = None
        self._replays.clear()
        self._replay_batches = 0
        self._rewind()

    def committed(self, max_seq: int) -> None:
        """The journal is durable up to this seq."""
        if max_seq < self._max:
            raise ValueError(f"{self._stream}: the journal shrank from {self._max} to {max_seq}")
        if max_seq > self._max:
            self._max, self._held = max_seq, False

    def epoch_opened(self, epoch: int, at_ns: int) -> None:
        """`epoch_open` is durable: sending begins, unless the session has changed meanwhile."""
        if self._granting is None or self._granting.epoch != epoch:
            raise ValueError(f"{self._stream}: nobody asked for epoch {epoch}")
        self._epoch, self._granting = epoch, None
        if self._phase == "granting":
            self._open(at_ns)

    def advance(self, at_ns: int) -> None:
        """Fires what was due by now; once each, however late."""
        if self._rto_at is not None and self._rto_at <= at_ns:
            self._rto_at = None
            self._totals["timeouts_total"] += 1
            self._double_rto()
            self._hello_due = "timeout"
            if self._phase == "open" and self._in_flight:
                self._phase = "opening"
        if self._hello_at is not None and self._hello_at <= at_ns:
            self._hello_at = None
            self._hello_due = "timeout"
        if self._idle and self._active_ns + self._audit_ns <= at_ns:
            self._hello_due = "timer"

    # --- inputs: the broker's answers ---------------------------------------------------------

    def puback(self, kind: Kind, code: int, at_ns: int) -> None:
        """What the broker said to a message of this session (WIRE section 3)."""
        if kind == "replay":
            self._replay_batches -= 1
        if self._phase == "offline":
            return
        if code == _NO_SUBSCRIBER:
            self._lose_ledger(at_ns)
        elif code < _REFUSED:
            self._absent = self._absent and kind != "hello"
        else:
            self._totals["refused_total"] += 1
            if code == _NOT_AUTHORIZED:
                self._stop("not_authorized", at_ns, self._timers.refused_ns)
            elif code == _QUOTA:
                self.quota_exceeded()
            else:
                self._alarm("publish_refused", f"the broker answered {code:#04x} to a {kind}")

    def quota_exceeded(self) -> None:
        """0x97, in a PUBACK or a DISCONNECT: half the window, twice the patience."""
        self._window = max(1, self._window // 2)
        self._double_rto()

    def packet_too_large(self) -> None:
        """0x95 in a DISCONNECT: batches of half the bytes from now on."""
        self._bytes_max = max(1, self._bytes_max // 2)

    def _lose_ledger(self, at_ns: int) -> None:
        self._absent = True
        self._asked_ns = self._rto_at = None
        self._hello_at = at_ns + self._timers.absent_rtos * self._rto_ns
        if self._phase in ("opening", "open"):
            self._phase = "absent"
            self._rewind()

    # --- inputs: the ledger -------------------------------------------------------------------

    def heard(self) -> None:
        """Any message from the ledger, of whichever stream, ends its absence."""
        if self._absent:
            self._absent = False
            self._hello_due, self._hello_at = "timeout", None

    def hear_replay(self, replay: Replay, oldest: int) -> None:
        """Send events again, beside live traffic; never moves the watermark (WIRE 5.5)."""
        foreign = replay.inst != self._inst or replay.epoch != self._epoch
        if foreign or replay.what != "events" or self._phase == "offline":
            self._totals["ignored_total"] += 1
            return
        if replay.start < oldest:
            self._alarm("retention_gap", _REMEDY["retention_gap"])
            return
        last = self._next - 1 if replay.to is None else min(replay.to, self._next - 1)
        if replay.start > last:
            return
        if len(self._replays) >= self._limits.replays:
            self._totals["replays_dropped_total"] += 1
            return
        self._replays.append((replay.start, last))

    def hear_ack(self, ack: Ack, chain: bytes | None, oldest: int, at_ns: int) -> None:
        """The ledger's word; `chain` is our own at `ack.ack`, None where we no longer know it."""
        if ack.inst != self._inst or self._phase == "offline":
            self._totals["ignored_total"] += 1
            return
        forked = chain is not None and ack.ack <= self._max and chain.hex() != ack.chain
        if ack.st in ("sync", "new_epoch"):
            self._hear_position(ack, forked, oldest, at_ns)
        elif ack.st == "rollback":  # its ack is above max by nature: never stale
            self._stop("rollback", at_ns, self._timers.stopped_ns)
        elif ack.ack < self._ack or ack.ack > self._max:
            self._answer(at_ns)
        elif forked or ack.st in ("fork", "fenced"):
            self._stop("fork" if forked else ack.st, at_ns, self._timers.stopped_ns)
        elif ack.st in ("ok", "gap"):
            if ack.epoch != self._epoch:
                self._answer(at_ns)
            else:
                self._hear_progress(ack, at_ns)
        else:
            wait_ns = self._timers.pending_ns if ack.st == "pending" else self._timers.stopped_ns
            self._stop(ack.st, at_ns, wait_ns)

    def _hear_position(self, ack: Ack, forked: bool, oldest: int, at_ns: int) -> None:
        again = ack.st == "new_epoch" and ack.epoch == self._epoch
        if ack.ack > self._max:
            self._stop("rollback", at_ns, self._timers.stopped_ns)
        elif forked:
            self._stop("fork", at_ns, self._timers.stopped_ns)
        elif ack.epoch < self._epoch or (again and ack.ack < self._ack):
            self._answer(at_ns)
        elif ack.ack + 1 < oldest:
            self._stop("retention_gap", at_ns, self._timers.stopped_ns)
        else:
            self._ack, self._credit = ack.ack, max(0, ack.credit)
            self._rewind()
            if ack.epoch == self._epoch:
                self._open(at_ns)
            else:
                self._grant(ack)

    def _hear_progress(self, ack: Ack, at_ns: int) -> None:
        self._totals["rejected_total"] += sum(each.seq is not None for each in ack.rej)
        if self._credit != ack.credit:
            self._credit, self._held = max(0, ack.credit), False
        if ack.ack > self._ack:
            self._raise(ack.ack, at_ns)
        if self._phase == "stopped" and self._reason in ("pending", "pause"):
            if ack.st == "ok":
                self._rewind()
                self._open(at_ns)
        elif ack.st == "gap":
            self._hear_gap(ack, at_ns)
        elif self._phase == "opening" and self._asked_ns is not None:
            # A ledger that has just started says ok unasked: no reason to wait a grown RTO.
            if at_ns - self._asked_ns >= self._timers.rto_ns:
                self._hello_due = "timeout"

    def _hear_gap(self, ack: Ack, at_ns: int) -> None:
        if any(each.seq is None and each.code == "bad_envelope" for each in ack.rej):
            self._count_bad_envelope(ack.ack)
        if self._phase != "open" or not self._in_flight:
            return
        if self._gap is not None:
            position, since_ns = self._gap
            if position == ack.ack and at_ns - since_ns < self._timers.gap_repeat_ns:
                self._totals["ignored_total"] += 1
                return
        self._gap = (ack.ack, at_ns)
        self._totals["rewinds_total"] += 1
        self._rewind()
        if self._asked_ns is None:
            self._rto_at = None

    def _count_bad_envelope(self, position: int) -> None:
        count = self._bad[1] + 1 if self._bad[0] == position else 1
        if count >= _BAD_ENVELOPES:
            count = 0
            self._events_max = max(1, min(self._events_max, self._head_count) // 2)
            self._halved_until = max(self._halved_until, position + self._head_count)
        self._bad = (position, count)

    # --- steps ----------------------------------------------------------------------------------

    def _open(self, at_ns: int) -> None:
        self._phase, self._reason, self._absent = "open", "", False
        self._asked_ns = self._rto_at = self._hello_at = None
        if self._hello_due != "connect":
            self._hello_due = None
        if self._ack == self._max:
            self._rto_ns = self._timers.rto_ns
        self._active_ns = at_ns
        self._notes.extend(ClearAlarm(code) for code in self._alarms)
        self._alarms.clear()

    def _grant(self, ack: Ack) -> None:
        self._phase, self._reason = "granting", ""
        self._asked_ns = self._rto_at = self._hello_at = self._hello_due = None
        if self._granting is None:
            first = ack.epoch == 1 and ack.last is None
            self._granting = OpenEpoch(ack.epoch, "install" if first else "reinstall")
            self._notes.append(self._granting)

    def _raise(self, watermark: int, at_ns: int) -> None:
        """Progress: the ledger holds everything up to here."""
        self._ack = watermark
        self._next = max(self._next, watermark + 1)
        while self._flight and self._flight[0] <= watermark:
            self._flight.popleft()
        self._window = min(self._limits.batches, self._window + 1)
        if watermark >= self._halved_until:
            self._events_max = self._limits.events
        self._held = False
        self._rto_ns = self._timers.rto_ns
        self._active_ns = at_ns
        if self._phase in ("opening", "open"):
            waiting = self._in_flight or self._asked_ns is not None
            self._rto_at = at_ns + self._rto_ns if waiting else None

    def _rewind(self) -> None:
        self._next = self._ack + 1
        self._flight.clear()
        self._held = False

    def _double_rto(self) -> None:
        self._rto_ns = min(2 * self._rto_ns, self._timers.rto_max_ns)

    def _answer(self, at_ns: int) -> None:
        """A message that cannot be about now: say where we stand, at most once per RTO."""
        self._totals["ignored_total"] += 1
        if at_ns >= self._answer_from_ns:
            self._answer_from_ns = at_ns + self._rto_ns
            self._hello_due = "timeout"

    def _stop(self, reason: str, at_ns: int, wait_ns: int) -> None:
        self._phase, self._reason = "stopped", reason
        self._asked_ns = self._rto_at = self._hello_due = None
        self._hello_at = at_ns + wait_ns
        self._replays.clear()
        self._rewind()
        if reason in _REMEDY:
            self._alarm(reason, _REMEDY[reason])
        else:
            self._alarm("ledger_status", f"the ledger answered {reason[:32]!r}; sending stopped")

    def _alarm(self, code: str, text: str) -> None:
        if code not in self._alarms:
            self._alarms[code] = None
            page = code in _REMEDY
            self._notes.append(
                Alarm(code, "page" if page else "warn", None, f"{self._stream}: {text}")
            )
