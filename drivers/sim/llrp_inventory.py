"""The ROSpecs of an LLRP reader at work: which runs, which antenna is visited, what it has heard.

    Disabled --ENABLE--> Inactive --start trigger, START--> Active --stop, STOP, done--> Inactive

One ROSpec runs at a time; another that is due waits for its end. An AISpec is done in rounds, each
one antenna for at most a quarter of a second. Source: LLRP 1.0.1 chapters 5.4, 6 and 10. Here: that
state machine. Not here: bytes (`llrp_reader`), the report buffer (`llrp_buffer`), the radio
(`tags`). Times are the simulator's microseconds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from drivers.sim.llrp_buffer import Buffer, Read
from drivers.sim.llrp_bytes import A_INVALID, M_OVERFLOW_PARAMETER, Refused, bad_field
from drivers.sim.llrp_specs import (
    ACTIVE,
    DISABLED,
    IMMEDIATE,
    INACTIVE,
    PERIODIC,
    ROSPECS_MAX,
    Antennas,
    Report,
    RoSpec,
)
from drivers.sim.tags import VISIT_S, Air

ROUND_US: Final = round(VISIT_S * 1_000_000)
BEHIND_MAX_US: Final = 2_000_000
"""What was not asked for within this time was not heard at all."""

START, END, VISITED, REPORT = "start", "end", "visited", "report"


class Happened(NamedTuple):
    """Something of which the reader may tell."""

    what: str
    at_us: int
    rospec_id: int = 0
    spec_index: int = 0
    """Of the AISpec, from 1."""


class _Task:
    """A ROSpec that was added."""

    __slots__ = ("due_us", "spec", "state")

    def __init__(self, spec: RoSpec) -> None:
        self.spec = spec
        self.state = DISABLED
        self.due_us: int | None = None
        """When its start trigger fires; None: not by itself."""


class _Run:
    """The ROSpec that is active, and where it is."""

    __slots__ = (
        "antenna",
        "begun_us",
        "heard_us",
        "index",
        "new_us",
        "reported_us",
        "rounds",
        "seen",
        "task",
        "visit_us",
    )

    def __init__(self, task: _Task, at_us: int) -> None:
        self.task = task
        self.begun_us = self.reported_us = at_us
        self.index = 0
        self.visit(at_us)

    @property
    def spec(self) -> Antennas:
        return self.task.spec.visits[self.index]

    def visit(self, at_us: int) -> None:
        """A visit begins."""
        self.visit_us = self.heard_us = self.new_us = at_us
        self.rounds = 0
        self.seen: set[bytes] = set()

    def postpone(self, by_us: int) -> None:
        """Nothing went on for so long."""
        self.begun_us += by_us
        self.visit_us += by_us
        self.heard_us += by_us
        self.new_us += by_us

    def stop_us(self) -> int | None:
        """When the visit is over by the clock; None: not by it."""
        ends = []
        if self.spec.lasts_us:
            ends.append(self.visit_us + self.spec.lasts_us)
        if self.task.spec.lasts_us:
            ends.append(self.begun_us + self.task.spec.lasts_us)
        return min(ends, default=None)

    def round_us(self) -> int:
        """How long a round lasts: every antenna has its turn, and the visit is used up."""
        antennas = len(self.spec.antennas)
        if not self.spec.lasts_us:
            return ROUND_US
        turns = -(-self.spec.lasts_us // (ROUND_US * antennas)) * antennas
        return max(1, self.spec.lasts_us // turns)

    def satisfied(self) -> bool:
        """Whether what the visit was to see, it has seen."""
        spec = self.spec
        return (
            0 < spec.seen_tags <= len(self.seen)
            or 0 < spec.quiet_us <= self.heard_us - self.new_us
            or 0 < spec.rounds <= self.rounds
        )


class Work:
    """All ROSpecs of a reader, and the one that runs."""

    def __init__(self, field: Air, buffer: Buffer, *, restarts: bool) -> None:
        """`restarts`: a ROSpec that starts by itself does so again when it is done."""
        self._field, self._buffer, self._restarts = field, buffer, restarts
        self._tasks: dict[int, _Task] = {}
        self._run: _Run | None = None
        self._said: list[Happened] = []
        self.lost: set[int] = set()
        """Antennas that are not connected."""
        self.default = Report()
        """What is reported where a ROSpec does not say."""

    # --- what a client asks

    def add(self, spec: RoSpec) -> None:
        """Raises Refused."""
        if spec.rospec_id in self._tasks:
            raise bad_field(0, f"ROSpec {spec.rospec_id} exists already")
        if len(self._tasks) == ROSPECS_MAX:
            raise Refused(M_OVERFLOW_PARAMETER, f"at most {ROSPECS_MAX} ROSpecs")
        self._tasks[spec.rospec_id] = _Task(spec)

    def said(self) -> list[bytes]:
        """The bodies of all ROSpecs with their states."""
        return [task.spec.said(task.state) for _, task in sorted(self._tasks.items())]

    def delete(self, number: int, at_us: int) -> None:
        """Deletes one, or all (0). Raises Refused."""
        for task in self._named(number):
            self._stop(task, at_us)
            del self._tasks[task.spec.rospec_id]

    def enable(self, number: int, at_us: int) -> None:
        """Enables one, or all (0); its start trigger counts from now. Raises Refused."""
        for task in self._named(number):
            if task.state == DISABLED:
                task.state = INACTIVE
                if task.spec.start != 0:
                    task.due_us = at_us + task.spec.offset_us

    def disable(self, number: int, at_us: int) -> None:
        """Disables one, or all (0). Raises Refused."""
        for task in self._named(number):
            self._stop(task, at_us)
            task.state, task.due_us = DISABLED, None

    def start(self, number: int, at_us: int) -> None:
        """Starts one that is enabled, as soon as none other runs. Raises Refused."""
        task = self._one(number)
        if task.state == DISABLED:
            raise bad_field(0, f"ROSpec {number} is disabled")
        if task.state == INACTIVE:
            task.due_us = at_us

    def stop(self, number: int, at_us: int) -> None:
        """Stops one; one that does not run stays so. Raises Refused."""
        task = self._one(number)
        if task.state == DISABLED:
            raise bad_field(0, f"ROSpec {number} is disabled")
        self._stop(task, at_us)
        task.due_us = self._next_us(task, at_us)

    def _one(self, number: int) -> _Task:
        task = self._tasks.get(number)
        if task is None:
            raise bad_field(0, f"there is no ROSpec {number}", A_INVALID)
        return task

    def _named(self, number: int) -> list[_Task]:
        return list(self._tasks.values()) if number == 0 else [self._one(number)]

    def _stop(self, task: _Task, at_us: int) -> None:
        if self._run is not None and self._run.task is task:
            self._end(self._run, at_us)

    def _next_us(self, task: _Task, at_us: int) -> int | None:
        if task.spec.start != PERIODIC:
            return None
        period_us = task.spec.period_us
        begun_us = at_us if task.due_us is None else task.due_us
        return begun_us + ((at_us - begun_us) // period_us + 1) * period_us

    # --- what goes on

    def run(self, at_us: int) -> list[Happened]:
        """Everything that happened up to now, in order."""
        if self._run is not None:
            behind_us = at_us - self._run.heard_us
            longest_us = BEHIND_MAX_US + self._run.round_us()
            if self._field.stalled(at_us / 1e6):
                self._run.postpone(behind_us)
            elif behind_us > longest_us:
                self._run.postpone(behind_us - longest_us)
        while self._step(at_us):
            pass
        said, self._said = self._said, []
        return said

    def _step(self, at_us: int) -> bool:
        """Does one thing that is due; False when nothing is."""
        run = self._run
        if run is None:
            return self._begin(at_us)
        stop_us, round_us = run.stop_us(), run.round_us()
        end_us = run.heard_us + round_us
        if end_us <= (at_us if stop_us is None else min(at_us, stop_us)):
            self._round(run, end_us)
            if run.satisfied():
                self._visited(run, end_us)
        elif stop_us is not None and stop_us <= at_us:
            self._visited(run, stop_us)
        else:
            return False
        return True

    def _begin(self, at_us: int) -> bool:
        due = [
            (task.due_us, number)
            for number, task in self._tasks.items()
            if task.due_us is not None and task.due_us <= at_us
        ]
        if not due:
            return False
        due_us, number = min(due)
        task = self._tasks[number]
        task.due_us = self._next_us(task, at_us)
        task.state = ACTIVE
        self._run = _Run(task, max(due_us, at_us - BEHIND_MAX_US))
        self._tell(START, self._run, self._run.begun_us)
        return True

    def _round(self, run: _Run, end_us: int) -> None:
        antenna = run.spec.antennas[run.rounds % len(run.spec.antennas)]
        run.rounds += 1
        report = run.task.spec.report or self.default
        heard = [] if antenna in self.lost else self._field.heard(antenna, end_us / 1e6)
        run.heard_us = end_us
        for one in heard:
            if one.epc not in run.seen:
                run.seen.add(one.epc)
                run.new_us = end_us
            seen_us = max(round(one.at_s * 1e6), run.visit_us)
            what = self._buffer.add(
                Read(
                    heard=one,
                    rospec_id=run.task.spec.rospec_id,
                    index=run.index + 1,
                    inventory_id=run.spec.inventory_id,
                    antenna=antenna,
                    report=report,
                    first_us=seen_us,
                    last_us=seen_us,
                    rssi_dbm=one.rssi_dbm,
                )
            )
            if what:
                self._tell(what, run, end_us)
            if 0 < report.tags <= self._buffer.open_tags:
                self._report(run, end_us)
        if 0 < report.every_us <= end_us - run.reported_us:
            run.reported_us = end_us
            self._report(run, end_us)

    def _visited(self, run: _Run, at_us: int) -> None:
        """An AISpec is over: the next begins, or the ROSpec is done."""
        if (run.task.spec.report or self.default).by == "aispec":
            self._report(run, at_us)
        self._tell(VISITED, run, at_us)
        lasts_us = run.task.spec.lasts_us
        over = lasts_us and at_us >= run.begun_us + lasts_us
        if over or run.index + 1 == len(run.task.spec.visits):
            self._end(run, at_us)
            if self._restarts and run.task.spec.start == IMMEDIATE:
                run.task.due_us = at_us
        else:
            run.index += 1
            run.visit(at_us)

    def _end(self, run: _Run, at_us: int) -> None:
        if (run.task.spec.report or self.default).by:
            self._report(run, at_us)
        self._tell(END, run, at_us)
        run.task.state = INACTIVE
        self._run = None

    def _report(self, run: _Run, at_us: int) -> None:
        if self._buffer.seal():
            self._tell(REPORT, run, at_us)

    def _tell(self, what: str, run: _Run, at_us: int) -> None:
        self._said.append(Happened(what, at_us, run.task.spec.rospec_id, run.index + 1))
