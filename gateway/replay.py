"""`stockd replay`: a trace through the pure core, as canonical stock events.

Here: the for loop over an engine and the record of its own past. Not here: files, where the lines
come from and go to (`cli`). No device, no network, no disk, no clock: the same lines give the same
bytes, on any machine, on any day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.core.book import BrokenInvariant
from gateway.core.engine import Engine
from gateway.core.outcome import Outcome
from gateway.domain.reading import Reading
from gateway.domain.settings import Settings
from gateway.domain.stock import Source, StockEvent
from gateway.domain.store import Store
from gateway.domain.wire import (
    ZERO_INST,
    TraceError,
    read_reading,
    read_trace_head,
    replay_stamp,
    stock_body,
)
from gateway.unheard import Unheard

AT_NS_MAX: Final = 2**53 * 1000 - 1
"""The last time whose microseconds are an integer of the wire (in the year 2255)."""


class Past:
    """The record of a replay's own events: `History` without a journal."""

    def __init__(self) -> None:
        self.by_seq: dict[int, StockEvent] = {}
        self._by_id: dict[str, StockEvent] = {}
        self._voided: set[str] = set()
        self._kinds: dict[Source, set[str]] = {}

    def add(self, event: StockEvent) -> None:
        """Remembers an event. Raises BrokenInvariant where the journal would not take it."""
        for source in event.src:
            kinds = self._kinds.setdefault(source, set())
            if event.kind in kinds:
                raise BrokenInvariant(f"{source} is the source of two events: {event.kind}")
            kinds.add(event.kind)
        self.by_seq[event.seq] = event
        self._by_id[event.id] = event
        if event.kind == "void" and event.corr is not None:
            self._voided.add(event.corr)

    def event(self, which: int | str) -> StockEvent | None:
        """An event by seq or id; None when there is none."""
        return self.by_seq.get(which) if isinstance(which, int) else self._by_id.get(which)

    def voided(self, event_id: str) -> bool:
        """Whether a `void` of this event was booked."""
        return event_id in self._voided

    def named(self, source: Source) -> bool:
        """Whether an event was booked from this source."""
        return source in self._kinds


def replay(
    settings: Settings,
    store: Store,
    lines: Iterable[bytes],
    batch: int = 1,
    unheard: Unheard | None = None,
) -> Iterator[bytes]:
    """The stock events of a trace, one canonical body each, with the constants of WIRE section 6.

    `batch` readings are taken together, which changes no byte; `unheard` is told what had no
    effect. Time ends with the last reading: what would be due later has not happened. An empty
    line is passed over. Raises TraceError, with the number of the line, for a line that is no
    reading or whose time goes back.

    The identity of an event depends on `inst`, which a trace does not carry: a void that names an
    event of the live daemon by id finds none here; by seq it does.
    """
    past, unheard = Past(), unheard or Unheard(settings)
    engine = Engine(settings, store, ZERO_INST, past)
    waiting = 0
    for reading in _readings(lines):
        unheard.reading(reading)
        engine.receive(reading)
        waiting += 1
        if waiting >= batch:
            waiting = 0
            yield from _bodies(engine.take(), past, unheard)
    yield from _bodies(engine.take(), past, unheard)


def _readings(lines: Iterable[bytes]) -> Iterator[Reading]:
    at_ns, begun = 0, False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if not begun:
                read_trace_head(line)
                begun = True
                continue
            reading = read_reading(line)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
        if reading.at_ns < at_ns:
            raise TraceError(f"line {number}: at_ns goes back from {at_ns} to {reading.at_ns}")
        if reading.at_ns > AT_NS_MAX:
            raise TraceError(f"line {number}: at_ns {reading.at_ns} is above {AT_NS_MAX}")
        at_ns = reading.at_ns
        yield reading
    if not begun:
        raise TraceError("line 1: a trace begins with its head")


def _bodies(outcome: Outcome, past: Past, unheard: Unheard) -> Iterator[bytes]:
    unheard.outcome(outcome)
    for posted in outcome.posted:
        past.add(posted.event)
        yield stock_body(posted.event, replay_stamp(posted.event.at_ns))
