"""The daemon: builds every part and runs the loop. The only file that knows all of them.

Here: composition, the turn of the loop (readings in, one transaction out), start and stop. Not
here: any rule about stock, any protocol. Crash-only: a broken invariant ends the process, and
start-up, which runs every day, is the recovery.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Final, Literal

import msgspec

from gateway import __version__
from gateway.alarms import Alarms
from gateway.clock import SystemClock, hardware_id
from gateway.config import Loaded
from gateway.control import Control
from gateway.core.engine import Engine
from gateway.core.outcome import Outcome
from gateway.domain.messages import Alarm, ClockStep, DeviceChanged, Started, Stopped, Stream
from gateway.domain.reading import GATEWAY_STARTED, Command, DeviceState, Order, Reading, Stocktake
from gateway.domain.stock import VIRTUAL
from gateway.endpoint import Tls, address_of
from gateway.health import (
    CommandResult,
    DaemonStatus,
    DeviceStatus,
    JournalStatus,
    PlateStatus,
    counted,
)
from gateway.intake import Intake
from gateway.journal.journal import BACKLOG_MAX, Journal, OpsNote
from gateway.journal.rows import Batch
from gateway.ledger_journal import LedgerJournal
from gateway.letters import Identity
from gateway.supervisor import Supervisor
from gateway.trace import Trace
from gateway.uplink import Uplink

log = logging.getLogger("stockd")

TICK_S: Final = 1.0
LAZY_FLUSH_S: Final = 5
"""Watermarks and drifted levels reach the disk this long after they changed, at the latest."""
PLATES_S: Final = 60
CLOCK_S: Final = 10
GC_ALLOCATIONS: Final = 20_000
"""Objects between collections: the words hold no cycles, so there is little to find."""
DAY_NS: Final = 86_400 * 1_000_000_000
RESTART: Final = 75
"""Exit status of `run` that asks the caller to start again (SIGHUP with a good configuration)."""

Milestone = Callable[[Stream, int, int], None]
"""Called with (stream, seq, at_ns) when the link got an answer for events up to seq."""


def _unwatched(*_: object) -> None:
    """Nobody measures."""


class Daemon:
    """One store, running."""

    def __init__(
        self,
        loaded: Loaded,
        record: Path | None = None,
        on_puback: Milestone = _unwatched,
        on_ack: Milestone = _unwatched,
    ) -> None:
        """Opens the journal. Raises JournalError; OSError for a folder to record in."""
        self._loaded, settings = loaded, loaded.settings
        self._loop = asyncio.get_running_loop()
        self.journal = Journal(Path(settings.journal.path), settings.store.id)
        saved = self.journal.saved()
        self.clock = SystemClock(saved.position.at_ns)
        self.engine = Engine(
            settings, loaded.store, self.journal.inst, self.journal.history(), saved
        )
        self.intake = Intake(self.clock, self._wake)
        self.trace = self._begin_trace(record) if record is not None else None
        tap = self.trace.tap if self.trace is not None else None
        self.supervisors = tuple(
            Supervisor(device, self.intake.put, self.clock.now_ns, tap)
            for device in settings.device
        )
        self._alarms = Alarms(loaded.store)
        self._drivers = {device.id: device.driver for device in settings.device}
        self.uplink = self._make_uplink(on_puback, on_ack) if settings.ledger_link.url else None
        self.journal.listen(self._durable)
        self._control = Control(self.journal.path.parent, self.status, self.command)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._asked: deque[asyncio.Future[Outcome]] = deque()
        self._started_ns = self.clock.now_ns()
        self._end: asyncio.Future[int] = self._loop.create_future()

    def _begin_trace(self, folder: Path) -> Trace:
        trace = Trace(folder, self._loaded.settings.store.id, self._loaded.sha256)
        trace.keep_config(self._loaded.path, self._loaded.settings.catalogue.sheets)
        now = self.clock.now_ns()
        # A trace begins with an empty book: what the journal holds is told as it was counted.
        trace.write(
            [
                Reading(now, "console", Command(Stocktake(loc, gtin, qty, lot)))
                for (loc, gtin, lot), qty in self.engine.balances().items()
                if loc not in VIRTUAL and qty > 0
            ]
        )
        return trace

    def _make_uplink(self, on_puback: Milestone, on_ack: Milestone) -> Uplink:
        link = self._loaded.settings.ledger_link
        addresses = [address_of(url, link.allow_plaintext) for url in link.url]
        tls = Tls(link.ca_file, link.cert_file, link.key_file) if link.ca_file else None
        return Uplink(
            Identity(self._loaded.settings.store.id, hardware_id(), self.journal.inst, __version__),
            addresses,
            tls,
            LedgerJournal(self.journal, self.command, self.clock),
            self.clock,
            Random(),
            self._alarm,
            self._alarm_over,
            on_puback,
            on_ack,
        )

    def _wake(self) -> None:
        self._loop.call_soon(self._turn)

    # --- the turn of the loop -------------------------------------------------------------------

    def _turn(self) -> None:
        """All that has come, through the core, into one transaction."""
        if self.journal.backlog >= BACKLOG_MAX:
            self._stalled = True  # the disk is behind: `_durable` goes on from here
            return
        readings = self.intake.take()
        if self.trace is not None and readings:
            self.trace.write(readings)
        ops: list[OpsNote] = []
        for reading in readings:
            if type(reading.body) is Command:
                self._commit(self.engine.take(), ops)
                ops = []
                self.engine.receive(reading)
                outcome = self.engine.take()
                self._commit(outcome, [])
                asked = self._asked.popleft()
                if not asked.done():  # who asked has gone: done it is all the same
                    asked.set_result(outcome)
                continue
            self.engine.receive(reading)
            if type(reading.body) is DeviceState:
                ops.append(self._device_note(reading.at_ns, reading.device, reading.body))
        self._commit(self.engine.take(), ops)
        self._arm()

    def _commit(self, outcome: Outcome, ops: list[OpsNote]) -> None:
        if not (outcome.urgent or ops):
            self.journal.keep(outcome.parts)
            return
        ops += self._alarms.of(outcome)
        self.journal.append(outcome, ops, self.clock.stamp, at_once=True)

    def _arm(self) -> None:
        due = self.engine.deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay_s = max(0, due - self.clock.now_ns()) / 1e9
            self._timer = self._loop.call_later(min(delay_s, 3600.0), self._due)

    def _due(self) -> None:
        self._timer = None
        self._turn()
        # what still waits in the queue is older than now, and comes first
        if not self._stalled and not len(self.intake):
            now = self.clock.now_ns()
            due = self.engine.deadline()
            if due is not None and due <= now:
                self.engine.advance(now)
                self._commit(self.engine.take(), [])
            self._arm()

    def _durable(self, batches: list[Batch]) -> None:
        if self.uplink is not None and any(batch.stock or batch.ops for batch in batches):
            self.uplink.wake()
        if self._stalled and self.journal.backlog < BACKLOG_MAX // 2:
            self._stalled = False
            self._loop.call_soon(self._turn)

    def _device_note(self, at_ns: int, device: str, body: DeviceState) -> OpsNote:
        kind = "device_up" if body.state == "up" else "device_down"
        return OpsNote(at_ns, kind, DeviceChanged(device, self._drivers[device], body.reason))

    def _ops(self, kind: str, data: msgspec.Struct) -> None:
        self.journal.append(None, [OpsNote(self.clock.now_ns(), kind, data)], self.clock.stamp)

    def _alarm(self, code: str, sev: Literal["warn", "page"], text: str) -> None:
        """The link has something for people."""
        log.warning("%s: %s", code, text)
        self._ops("alarm", Alarm(code, sev, None, text))

    def _alarm_over(self, code: str) -> None:
        self._ops("alarm_clear", Alarm(code, "warn", None, "over"))

    # --- commands and status --------------------------------------------------------------------

    async def command(self, device: str, order: Order) -> CommandResult:
        """Gives the core a command in its place in the order; returns once it is on disk."""
        asked: asyncio.Future[Outcome] = self._loop.create_future()
        self._asked.append(asked)
        self.intake.put_now(device, Command(order))
        outcome = await asked
        await self.journal.durable()
        return CommandResult(
            tuple(posted.event.seq for posted in outcome.posted),
            tuple(note.text for note in outcome.notes),
        )

    def status(self) -> DaemonStatus:
        """A snapshot of everything."""
        return DaemonStatus(
            store=self._loaded.settings.store.id,
            sw=__version__,
            started_ns=self._started_ns,
            now_ns=self.clock.now_ns(),
            clock=self.clock.view,
            readings_total=self.intake.taken_total,
            intake_waiting=len(self.intake),
            intake_blocked_total=self.intake.blocked_total,
            control_refused_total=self._control.refused_total,
            trace_dropped_total=0 if self.trace is None else self.trace.dropped_total,
            journal=JournalStatus(
                path=str(self.journal.path),
                inst=self.journal.inst,
                stock_seq=self.journal.committed("stock"),
                ops_seq=self.journal.committed("ops"),
                backlog=self.journal.backlog,
            ),
            tasks=len(asyncio.all_tasks(self._loop)),
            repeated_lines_total=self.engine.repeated_lines_total,
            unsettled=self.engine.unsettled(),
            alerts=counted(self.engine.alerts()),
            stocktakes=self.engine.stocktakes(),
            link=None if self.uplink is None else self.uplink.status(),
            devices=tuple(self._device_status(s) for s in self.supervisors),
        )

    def _device_status(self, supervisor: Supervisor) -> DeviceStatus:
        health = supervisor.health
        plates = tuple(
            PlateStatus(location, plate.baseline_mg, plate.sigma_mg, plate.moving, trouble, most)
            for location, plate, trouble, most in self.engine.plates(health.id)
        )
        mode, tags = self.engine.scanner_mode(health.id), self.engine.reader(health.id)
        return DeviceStatus(health, mode, plates, tags)

    # --- life -----------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until SIGTERM, SIGINT or SIGHUP. Raises what broke."""
        gc.freeze()  # what start-up made lives as long as the process: do not look at it again
        gc.set_threshold(GC_ALLOCATIONS, 20, 50)
        self._loop.set_exception_handler(self._broken)
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        self.journal.failed.add_done_callback(self._writing_failed)
        self.journal.configured(self.clock.now_ns(), self._loaded.sha256)
        self._ops("start", Started(__version__, "start"))
        for device in self._loaded.settings.device:
            if device.role == "scale":
                # What a plate shows on its return is the step of an outage.
                self.intake.put_now(device.id, DeviceState("down", GATEWAY_STARTED))
        await self._control.start()
        tasks = [self._loop.create_task(s.run(), name=s.health.id) for s in self.supervisors]
        tasks.append(self._loop.create_task(self._keep(), name="housekeeping"))
        if self.uplink is not None:
            tasks.append(self._loop.create_task(self.uplink.run(), name="uplink"))
        for task in tasks:
            task.add_done_callback(self._task_ended)
        try:
            return await self._end
        finally:
            await self._close(tasks)

    def stop(self, status: int = 0) -> None:
        """Ends `run` cleanly."""
        if not self._end.done():
            self._end.set_result(status)

    def _reload(self) -> None:
        """SIGHUP: a good configuration restarts the daemon with it, a bad one changes nothing."""
        from gateway.config import load
        from gateway.problems import ConfigError

        if self.trace is not None:
            log.warning("not reloaded: a recording has one configuration; stop and start instead")
            return
        try:
            load(self._loaded.path)
        except ConfigError as error:
            for problem in error.problems:
                log.warning("%s", problem)
            log.warning("the configuration was not reloaded; the old one stays in force")
            return
        # From here to the handler of the next start, one more would kill: it waits in the kernel.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        self.stop(RESTART)

    def _broken(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if not self._end.done():
            self._end.set_exception(
                error if isinstance(error, Exception) else RuntimeError(str(context.get("message")))
            )

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken(self._loop, {"exception": error})

    def _writing_failed(self, failed: asyncio.Future[None]) -> None:
        if not failed.cancelled():
            self._broken(self._loop, {"exception": failed.exception()})

    async def _keep(self) -> None:
        """Housekeeping: what may wait a second, or a day."""
        beat = 0
        # From the last one, not from this start: a shop may switch its machine off every night.
        next_checkpoint_ns = self.journal.checkpointed_ns() + DAY_NS
        while True:
            await asyncio.sleep(TICK_S)
            beat += 1
            if self.trace is not None:
                self.trace.flush()
            if beat % CLOCK_S == 0:
                for news in self.clock.tick():
                    self._ops("clock_step" if isinstance(news, ClockStep) else "clock_sync", news)
            if beat % LAZY_FLUSH_S == 0:
                self.journal.keep(self.engine.plate_parts(unseen=beat % PLATES_S != 0))
                self.journal.flush()
            if (now_ns := self.clock.now_ns()) >= next_checkpoint_ns:
                next_checkpoint_ns = now_ns + DAY_NS
                keep_ns = self._loaded.settings.journal.retention_days * DAY_NS
                self.journal.checkpoint(now_ns, now_ns - keep_ns)

    async def _close(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        await self._control.close()
        if self.uplink is not None:
            await self.uplink.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self.journal.failed.done() and not self._failed():
            self._turn()
            self.journal.keep(self.engine.plate_parts())
            self._ops("stop", Stopped("stop"))
            self.journal.flush()
        self.journal.close()
        if self.trace is not None:
            self.trace.close()

    def _failed(self) -> bool:
        return self._end.done() and not self._end.cancelled() and self._end.exception() is not None


def run(loaded: Loaded, record: Path | None = None) -> int:
    """The daemon until it is told to end; its exit status."""
    import uvloop

    async def main() -> int:
        return await Daemon(loaded, record).run()

    # Never closed: that would wait for a port that is stuck while opening, and it may be for ever.
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    status = runner.run(main())
    sys.stdout.flush()
    return status
