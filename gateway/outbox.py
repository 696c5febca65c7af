"""Which committed events of a stream to send next, and what the ledger's answers mean.

Here: WIRE sections 5.3, 5.5, 9 and the session rules of section 3, as one object per stream.
Inputs go in as calls, decisions come out of `decide`; time is always an argument. Not here: MQTT,
the journal, JSON, clocks, chance. Read next: `outbox_words` for what goes in and out, `uplink`,
which carries it out, and `docs/link.md`, which explains states and alarms to people.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from gateway.domain.messages import Ack, Alarm, Replay, Stream
from gateway.flight import Flight, Resends
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
from gateway.pace import Pace

_NO_SUBSCRIBER: Final = 0x10
_REFUSED: Final = 0x80
_NOT_AUTHORIZED: Final = 0x87
_QUOTA: Final = 0x97
_TIMERS: Final = Timers()
_LIMITS: Final = Limits()

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
        timers: Timers = _TIMERS,
        limits: Limits = _LIMITS,
    ) -> None:
        self._stream, self._inst = stream, inst
        self._timers, self._limits = timers, limits
        self._epoch = cursor.epoch
        self._phase: Phase = "offline"
        self._reason = ""
        self._flight = Flight(cursor.ack, committed)
        self._resends = Resends(limits)
        self._pace = Pace(timers, limits)
        self._absent = False
        self._granting: OpenEpoch | None = None
        self._hello_due: Why | None = None
        self._asked_ns: int | None = None  # when the hello left that is not answered yet
        self._rto_at: int | None = None
        self._hello_at: int | None = None
        self._audit_ns = self._active_ns = self._answer_from_ns = 0
        self._nudged = False
        self._gap: tuple[int, int] | None = None  # position and time of the last rewind by a gap
        self._notes: deque[OpenEpoch | Alarm | ClearAlarm] = deque()
        self._alarms: dict[str, None] = {}  # raised and not cleared, in order
        self._totals: Counter[str] = Counter()

    # --- what the shell asks ------------------------------------------------------------------

    @property
    def cursor(self) -> Cursor:
        """Position to keep within seconds; losing it is harmless."""
        return Cursor(self._epoch, self._flight.ack)

    def deadline(self) -> int | None:
        """When `advance` must be called next, in ns; None while only an input changes anything."""
        times = [at for at in (self._rto_at, self._hello_at) if at is not None]
        if self._idle:
            times.append(self._active_ns + self._audit_ns)
        return min(times, default=None)

    @property
    def _idle(self) -> bool:
        asking = self._hello_due is not None or self._asked_ns is not None
        return self._phase == "open" and not self._flight.events and not asking

    def status(self) -> OutboxStatus:
        """Everything visible about this stream."""
        return OutboxStatus(
            stream=self._stream,
            state=self._phase,
            reason=self._reason,
            epoch=self._epoch,
            ack=self._flight.ack,
            next=self._flight.next,
            committed=self._flight.max,
            in_flight=self._flight.events,
            window=self._pace.window,
            credit=self._pace.credit,
            rto_ms=self._pace.rto_ns // 1_000_000,
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
            self._rto_at = at_ns + self._pace.rto_ns
            if self._phase == "absent":
                self._phase = "opening"
            self._totals["hellos_total"] += 1
            return SendHello(why)
        if self._phase != "open":
            return None
        return self._flight.batch(self._pace) or self._resends.batch(self._pace)

    def fill(self, batch: SendBatch, count: int, at_ns: int) -> bool:
        """The journal gave `count` events for it: True books them as sent, False = they wait."""
        if count == 0:
            self._stop("retention_gap", at_ns, self._timers.stopped_ns)
            return False
        if batch.replay:
            self._resends.take(batch, count)
            self._totals["replayed_total"] += count
            return True
        if not self._flight.take(batch, count, self._pace):
            return False
        if self._rto_at is None:
            self._rto_at = at_ns + self._pace.rto_ns
        self._active_ns = at_ns
        self._totals["batches_total"] += 1
        self._totals["events_total"] += count
        return True

    # --- inputs: session, journal, time -------------------------------------------------------

    def connected(self, at_ns: int, audit_ns: int, packet_max: int) -> None:
        """A new session is subscribed; `audit_ns` = 900 s ± 10 %, `packet_max` the broker's."""
        self.disconnected()
        self._phase, self._hello_due = "opening", "connect"
        self._nudged = False
        self._audit_ns, self._active_ns, self._answer_from_ns = audit_ns, at_ns, at_ns
        self._pace.begin(packet_max)

    def disconnected(self) -> None:
        """The session has gone; everything not acknowledged will be sent again."""
        self._phase, self._reason, self._absent = "offline", "", False
        self._hello_due = self._asked_ns = self._rto_at = self._hello_at = self._gap = None
        self._resends.begin()
        self._flight.rewind()

    def committed(self, max_seq: int) -> None:
        """The journal is durable up to this seq."""
        self._flight.grow(max_seq)

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
            self._pace.back_off()
            self._hello_due = "timeout"
            if self._phase == "open" and self._flight.events:
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
            self._resends.puback()
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
        self._pace.quota_exceeded()

    def packet_too_large(self) -> None:
        """0x95 in a DISCONNECT: batches of half the bytes from now on."""
        self._pace.packet_too_large()

    def _lose_ledger(self, at_ns: int) -> None:
        self._absent = True
        self._asked_ns = self._rto_at = None
        self._hello_at = at_ns + self._timers.absent_rtos * self._pace.rto_ns
        if self._phase in ("opening", "open"):
            self._phase = "absent"
            self._flight.rewind()

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
        first = max(1, replay.start)
        if first < oldest:
            self._alarm("retention_gap", _REMEDY["retention_gap"])
            return
        sent = self._flight.next - 1
        last = sent if replay.to is None else min(replay.to, sent)
        if not self._resends.ask(first, last):
            self._totals["replays_dropped_total"] += 1

    def hear_ack(self, ack: Ack, chain: bytes | None, oldest: int, at_ns: int) -> None:
        """The ledger's word; `chain` is our own at `ack.ack`, None where we no longer know it."""
        if ack.inst != self._inst or ack.ack < 0 or self._phase == "offline":
            self._totals["ignored_total"] += 1
            return
        forked = chain is not None and ack.ack <= self._flight.max and chain.hex() != ack.chain
        if ack.st in ("sync", "new_epoch"):
            self._hear_position(ack, forked, oldest, at_ns)
        elif ack.st == "rollback":  # its ack is above max by nature: never stale
            self._stop("rollback", at_ns, self._timers.stopped_ns)
        elif ack.ack < self._flight.ack or ack.ack > self._flight.max:
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
        if ack.ack > self._flight.max:
            self._stop("rollback", at_ns, self._timers.stopped_ns)
        elif forked:
            self._stop("fork", at_ns, self._timers.stopped_ns)
        elif ack.epoch < self._epoch or (again and ack.ack < self._flight.ack):
            self._answer(at_ns)
        elif ack.ack + 1 < oldest:
            self._stop("retention_gap", at_ns, self._timers.stopped_ns)
        else:
            self._flight.ack, self._pace.credit = ack.ack, max(0, ack.credit)
            self._flight.rewind()
            if ack.epoch == self._epoch:
                self._open(at_ns)
            else:
                self._grant(ack)

    def _hear_progress(self, ack: Ack, at_ns: int) -> None:
        self._totals["rejected_total"] += sum(each.seq is not None for each in ack.rej)
        self._pace.credit = max(0, ack.credit)
        if ack.ack > self._flight.ack:
            self._raise(ack.ack, at_ns)
        if self._phase == "stopped" and self._reason in ("pending", "pause"):
            if ack.st == "ok":
                self._flight.rewind()
                self._open(at_ns)
        elif ack.st == "gap":
            self._hear_gap(ack, at_ns)
        elif (
            self._phase == "opening"
            and self._asked_ns is not None
            and (not self._nudged or at_ns - self._asked_ns >= self._timers.rto_ns)
        ):
            # A ledger that has just come says ok unasked, and our hello may have met nobody: ask
            # again, once at once and then once per RTO, for old acks may be on their way too.
            self._nudged = True
            self._hello_due = "timeout"

    def _hear_gap(self, ack: Ack, at_ns: int) -> None:
        if any(each.seq is None and each.code == "bad_envelope" for each in ack.rej):
            self._pace.bad_envelope(ack.ack)
        if self._phase != "open" or not self._flight.events:
            return
        if self._gap is not None:
            position, since_ns = self._gap
            if position == ack.ack and at_ns - since_ns < self._timers.gap_repeat_ns:
                self._totals["ignored_total"] += 1
                return
        self._gap = (ack.ack, at_ns)
        self._totals["rewinds_total"] += 1
        self._flight.rewind()
        if self._asked_ns is None:
            self._rto_at = None

    # --- steps ----------------------------------------------------------------------------------

    def _open(self, at_ns: int) -> None:
        self._phase, self._reason, self._absent = "open", "", False
        self._asked_ns = self._rto_at = self._hello_at = None
        if self._hello_due != "connect":
            self._hello_due = None
        self._active_ns = at_ns
        if self._flight.ack == self._flight.max:
            self._pace.settle()
            self._clear_alarms()

    def _grant(self, ack: Ack) -> None:
        self._phase, self._reason = "granting", ""
        self._asked_ns = self._rto_at = self._hello_at = self._hello_due = None
        if self._granting is None:
            first = ack.epoch == 1 and ack.last is None
            self._granting = OpenEpoch(ack.epoch, "install" if first else "reinstall")
            self._notes.append(self._granting)

    def _raise(self, watermark: int, at_ns: int) -> None:
        """Progress: the ledger holds everything up to here."""
        self._flight.move(watermark)
        self._pace.progress(watermark)
        self._clear_alarms()
        self._active_ns = at_ns
        if self._phase in ("opening", "open"):
            waiting = self._flight.events or self._asked_ns is not None
            self._rto_at = at_ns + self._pace.rto_ns if waiting else None

    def _answer(self, at_ns: int) -> None:
        """A message that cannot be about now: say where we stand, at most once per RTO."""
        self._totals["ignored_total"] += 1
        if at_ns >= self._answer_from_ns:
            self._answer_from_ns = at_ns + self._pace.rto_ns
            self._hello_due = "timeout"

    def _stop(self, reason: str, at_ns: int, wait_ns: int) -> None:
        self._phase, self._reason = "stopped", reason
        self._asked_ns = self._rto_at = self._hello_due = None
        self._hello_at = at_ns + wait_ns
        self._resends.clear()
        self._flight.rewind()
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

    def _clear_alarms(self) -> None:
        """Once the ledger holds more than before, or everything; an answer alone proves little."""
        self._notes.extend(ClearAlarm(code) for code in self._alarms)
        self._alarms.clear()
