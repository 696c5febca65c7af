"""The ledger link: connects, carries out what the outboxes decide, brings back the ledger's acks.

Here: the order of WIRE section 3, reconnection, the reason codes of a connection. The way from
commit to PUBLISH is one call, `wake`, without a task between. Not here: which events (`outbox`),
how they look (`letters`), sockets (`mqtt`). Acks are handled in the task of `run`, so that a broken
invariant ends `run` and with it the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal

import msgspec

from gateway import letters
from gateway.domain import messages
from gateway.domain.messages import STREAMS, Alarm, Stream
from gateway.domain.reading import Word
from gateway.endpoint import Address, Tls
from gateway.letters import Identity, Presence
from gateway.mqtt import MqttSession
from gateway.mqtt_words import ConnectFailed, Lost, Message, Puback, Publication
from gateway.outbox import Outbox
from gateway.outbox_words import (
    ClearAlarm,
    Decision,
    Kind,
    OpenEpoch,
    SendBatch,
    SendHello,
)
from gateway.uplink_words import Clock, LinkJournal, LinkTimers, Probe, Sink, UplinkStatus

_NOT_AUTHORIZED: Final = 0x87
_TAKEN_OVER: Final = 0x8E
_PACKET_TOO_LARGE: Final = 0x95
_QUOTA: Final = 0x97
_ELSEWHERE: Final = (0x9C, 0x9D)
_CLOCK_BEHIND_MS: Final = 60_000
_S: Final = 1_000_000_000


class _Sent(Word, frozen=True):
    stream: Stream
    kind: Kind
    last: int


def _nothing(*_: object) -> None:
    """Nobody listens."""


class Uplink:
    """Both streams over one connection at a time; `run` it, `wake` it after each commit."""

    def __init__(
        self,
        who: Identity,
        addresses: Sequence[Address],
        tls: Tls | None,
        journal: LinkJournal,
        clock: Clock,
        rng: Random,
        alarm: Sink,
        clear: Callable[[str], None] = _nothing,
        on_puback: Probe = _nothing,
        on_ack: Probe = _nothing,
        timers: LinkTimers | None = None,
    ) -> None:
        self._who, self._addresses, self._tls = who, tuple(addresses), tls
        self._journal, self._clock, self._rng = journal, clock, rng
        self._alarm, self._clear = alarm, clear
        self._on_puback, self._on_ack = on_puback, on_ack
        self._timers = timers or LinkTimers()
        self._outboxes = {
            stream: Outbox(
                stream,
                who.inst,
                journal.cursor(stream),
                journal.committed(stream),
                self._timers.outbox,
            )
            for stream in STREAMS
        }
        self._order: deque[Stream] = deque(STREAMS)
        self._down: dict[str, tuple[Stream, bool]] = {
            messages.topic(who.store, "down", stream, kind): (stream, kind == "ack")
            for stream in STREAMS
            for kind in ("ack", "replay")
        }
        self._session: MqttSession | None = None
        self._presence = Presence("", 0)
        self._sent: dict[int, _Sent] = {}
        self._opening: deque[tuple[Stream, OpenEpoch]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._farewell: asyncio.Future[None] | None = None
        self._alarms: dict[tuple[str, str], None] = {}  # who raised which code
        self._turn = self._attempts = self._last_mid = 0
        self._since_ns: int | None = None
        self._steady_ns: int | None = None
        self._connects = self._failures = self._malformed = 0
        self._last_error = ""
        self._puback_us: int | None = None

    # --- for the app --------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and reconnect until `stop`; returns at once without a broker to talk to.

        Raises what the journal raises, nothing for a broken link.
        """
        self._task = asyncio.current_task()
        try:
            while self._addresses and self._farewell is None:
                lost = await self._talk(self._addresses[self._turn % len(self._addresses)])
                await asyncio.sleep(self._pause_s(lost))
        except asyncio.CancelledError:
            if self._farewell is None or self._task is None:
                raise
            self._task.uncancel()

    async def stop(self) -> None:
        """Say `state` offline, DISCONNECT 0x00, and end `run`. Never raises, never hangs."""
        session = self._session
        self._farewell = asyncio.get_running_loop().create_future()
        if session is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timers.stop_s):
                    while not session.room:  # noqa: ASYNC110 - once in a process's life
                        await asyncio.sleep(0.01)  # nothing else is sent any more: room comes
                    self._last_mid = session.publish(self._state("stop"))
                    await self._farewell
            session.disconnect()
        if self._task is not None:
            self._task.cancel()

    def wake(self) -> None:
        """Something was committed: what may leave is on the socket when this returns."""
        self._flush(self._clock.now_ns())

    def status(self) -> UplinkStatus:
        """Everything visible about the link."""
        address = self._addresses[self._turn % len(self._addresses)] if self._addresses else None
        return UplinkStatus(
            connected=self._session is not None,
            broker=address.url if address else "",
            since_ns=self._since_ns,
            reconnects_total=max(0, self._connects - 1),
            failures_total=self._failures,
            malformed_total=self._malformed,
            last_error=self._last_error,
            puback_us=self._puback_us,
            streams=tuple(self._outboxes[stream].status() for stream in STREAMS),
        )

    # --- one connection -----------------------------------------------------------------------

    async def _talk(self, address: Address) -> Lost:
        """From CONNECT to the loss of the connection, which it returns."""
        at_ns = self._clock.now_ns()
        self._presence = Presence(f"{self._rng.getrandbits(128):032x}", at_ns // 1_000_000)
        session = MqttSession(
            self._who.store, self._state("lost"), self._clock.now_ns, self._timers.session
        )
        try:
            await session.open(address, self._judged(at_ns))
            await session.subscribe(f"{messages.ROOT}/{self._who.store}/down/#")
            self._begin(session)
            lost = await self._listen(session)
        except ConnectFailed as failed:
            self._failures += 1
            self._turn += 1
            return Lost(failed.code, f"{address.url}: {failed}")
        else:
            self._turn += lost.code in _ELSEWHERE
            return lost
        finally:
            self._end()
            session.close()

    def _judged(self, at_ns: int) -> Tls | None:
        """A clock that is wrong after boot must not lock a store out (WIRE section 1)."""
        wall_ms = self._clock.wall_ms()
        best_ms = max(wall_ms, at_ns // 1_000_000, self._who.built_ms)
        if self._tls is None or best_ms - wall_ms < _CLOCK_BEHIND_MS:
            return self._tls
        return msgspec.structs.replace(self._tls, judge_ms=best_ms)

    def _begin(self, session: MqttSession) -> None:
        self._session = session
        self._connects += 1
        at_ns = self._since_ns = self._clock.now_ns()
        self._steady_ns = at_ns + self._timers.steady_ns
        if session.room:  # lost already? `_listen` will hear it
            session.publish(self._state("connect"))
        for outbox in self._outboxes.values():
            spread = self._rng.randint(-100, 100)
            outbox.connected(at_ns, self._timers.audit_ns * (1000 + spread) // 1000,
                             session.packet_max)  # fmt: skip
        self._flush(at_ns)

    def _end(self) -> None:
        self._session = self._since_ns = self._steady_ns = self._timer_ns = None
        if self._timer is not None:
            self._timer.cancel()
        self._sent.clear()
        for outbox in self._outboxes.values():
            outbox.disconnected()

    async def _listen(self, session: MqttSession) -> Lost:
        while True:
            await session.stirred.wait()
            session.stirred.clear()
            at_ns = self._clock.now_ns()
            while session.inbox:
                heard = session.inbox.popleft()
                if isinstance(heard, Lost):
                    return heard
                if isinstance(heard, Puback):
                    self._hear_puback(heard)
                else:
                    self._hear_message(heard, at_ns)
            self._flush(at_ns)
            while self._opening:
                stream, grant = self._opening.popleft()
                await self._journal.open_epoch(stream, grant.epoch, grant.why)
                at_ns = self._clock.now_ns()
                self._outboxes[stream].epoch_opened(grant.epoch, at_ns)
                self._flush(at_ns)

    def _pause_s(self, lost: Lost) -> float:
        """How long to wait before the next attempt (WIRE sections 3 and 9)."""
        timers = self._timers
        self._last_error = lost.text
        if lost.code == _NOT_AUTHORIZED:
            text = f"{lost.text}; check certificate and access rules"
            self._raise_alarm("link", Alarm("not_authorized", "page", None, text))
            return timers.refused_s
        if lost.code == _TAKEN_OVER:
            text = "another machine connected as this store"
            self._raise_alarm("link", Alarm("duplicate_identity", "page", None, text))
            return timers.taken_over_s + self._rng.uniform(0, timers.taken_over_jitter_s)
        for outbox in self._outboxes.values():
            if lost.code == _QUOTA:
                outbox.quota_exceeded()
            elif lost.code == _PACKET_TOO_LARGE:
                outbox.packet_too_large()
        ceiling_s = timers.backoff_unit_s * 2 ** min(self._attempts, 16)
        self._attempts += 1
        return self._rng.uniform(0, min(timers.backoff_max_s, ceiling_s))

    # --- what came ----------------------------------------------------------------------------

    def _hear_puback(self, puback: Puback) -> None:
        self._puback_us = puback.latency_ns // 1000
        sent = self._sent.pop(puback.mid, None)
        if sent is not None:
            self._outboxes[sent.stream].puback(sent.kind, puback.code, puback.at_ns)
            if sent.kind == "batch":
                self._on_puback(sent.stream, sent.last, puback.at_ns)
        elif self._farewell is not None and puback.mid == self._last_mid:
            self._farewell.set_result(None)

    def _hear_message(self, message: Message, at_ns: int) -> None:
        found = self._down.get(message.topic)
        if found is None:
            self._malformed += 1  # a later version of the contract, or a stranger
            return
        stream, is_ack = found
        try:
            heard = (messages.decode_ack if is_ack else messages.decode_replay)(message.payload)
        except msgspec.MsgspecError:
            self._malformed += 1
            return
        if heard.store != self._who.store or heard.stream != stream:
            self._malformed += 1
            return
        for outbox in self._outboxes.values():
            outbox.heard()
        outbox, journal = self._outboxes[stream], self._journal
        if isinstance(heard, messages.Replay):
            outbox.hear_replay(heard, journal.oldest(stream))
            return
        before = outbox.cursor
        known = 0 <= heard.ack <= journal.committed(stream)
        chain = journal.chain_at(stream, heard.ack) if known else None
        outbox.hear_ack(heard, chain, journal.oldest(stream), at_ns)
        if outbox.cursor != before:
            journal.keep_cursor(stream, outbox.cursor)
            self._on_ack(stream, outbox.cursor.ack, at_ns)

    # --- what goes ----------------------------------------------------------------------------

    def _flush(self, at_ns: int) -> None:
        """Carry out everything the outboxes decide now, and be awake when they next want to."""
        if self._steady_ns is not None and at_ns >= self._steady_ns:
            self._steady_ns, self._attempts = None, 0
            for code in ("not_authorized", "duplicate_identity"):
                self._clear_alarm("link", code)
        for stream in self._order:
            outbox = self._outboxes[stream]
            outbox.committed(self._journal.committed(stream))
            outbox.advance(at_ns)
            while (decision := outbox.decide(at_ns, self._room())) is not None:
                self._carry_out(stream, outbox, decision, at_ns)
        self._order.rotate()  # room is offered to the other stream first next time
        self._arm(at_ns)

    def _room(self) -> int:
        return 0 if self._session is None or self._farewell is not None else self._session.room

    def _carry_out(self, stream: Stream, outbox: Outbox, decision: Decision, at_ns: int) -> None:
        match decision:
            case SendHello():
                span = (self._journal.oldest(stream), self._journal.committed(stream))
                hello = letters.hello(
                    self._who, self._presence, stream, outbox.cursor, span, decision.why,
                    at_ns, self._clock.stamp(at_ns),
                )  # fmt: skip
                self._publish(hello, _Sent(stream, "hello", 0))
            case SendBatch():
                self._send_batch(stream, outbox, decision, at_ns)
            case OpenEpoch():
                self._opening.append((stream, decision))
            case Alarm():
                self._raise_alarm(stream, decision)
            case ClearAlarm():
                self._clear_alarm(stream, decision.code)

    def _send_batch(self, stream: Stream, outbox: Outbox, batch: SendBatch, at_ns: int) -> None:
        journal = self._journal
        bodies = journal.bodies(stream, batch.first, batch.count, batch.max_bytes)
        prev = journal.chain_at(stream, batch.first - 1)
        if prev is None:
            bodies, prev = [], b""  # pruned: as if the events were gone too
        if outbox.fill(batch, len(bodies), at_ns):
            epoch = outbox.cursor.epoch
            letter = letters.batch(self._who, stream, epoch, batch.first, prev, bodies, at_ns)
            kind: Kind = "replay" if batch.replay else "batch"
            self._publish(letter, _Sent(stream, kind, batch.first + len(bodies) - 1))

    def _publish(self, letter: Publication, sent: _Sent) -> None:
        assert self._session is not None
        self._sent[self._session.publish(letter)] = sent

    def _state(self, why: Literal["connect", "stop", "lost"]) -> Publication:
        return letters.state(self._who, self._presence, self._outboxes["stock"].cursor.epoch, why)

    def _raise_alarm(self, by: str, alarm: Alarm) -> None:
        known = self._is_raised(alarm.code)
        self._alarms[by, alarm.code] = None
        if not known:
            self._alarm(alarm.code, alarm.sev, alarm.text)

    def _clear_alarm(self, by: str, code: str) -> None:
        if (by, code) in self._alarms:
            del self._alarms[by, code]
            if not self._is_raised(code):
                self._clear(code)

    def _is_raised(self, code: str) -> bool:
        return any(raised == code for _, raised in self._alarms)

    def _arm(self, at_ns: int) -> None:
        """One timer for all deadlines; moved only when one comes earlier than it."""
        session = self._session
        deadlines = [outbox.deadline() for outbox in self._outboxes.values()]
        due_ns = min((at for at in (*deadlines, self._steady_ns) if at is not None), default=None)
        if session is None or due_ns is None:
            return
        if self._timer_ns is not None and self._timer_ns <= due_ns:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = due_ns
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0, due_ns - at_ns) / _S, self._on_timer, session)

    def _on_timer(self, session: MqttSession) -> None:
        self._timer_ns = None
        session.stirred.set()
