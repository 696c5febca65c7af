"""The only composer: readings in, observations and stock events out, time as an argument.

Here: `receive(reading)`, `advance(t)`, `deadline()`, `take()`, and the three rules of time (HOUSE
4): what a deadline produces carries the deadline; before an input at t every deadline up to t has
fired, in order of time; on a tie the later stage first. Not here: clocks, queues, disks, links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway.core.bays import Settled
from gateway.core.book import Book, BrokenInvariant
from gateway.core.fuse import Fusion
from gateway.core.hardware import Hardware
from gateway.core.lanes import Lanes
from gateway.core.outcome import EMPTY, Outcome, Position, Saved
from gateway.core.postings import History, Poster
from gateway.core.readers import ReaderView
from gateway.core.scans import QUANTITY_MAX
from gateway.core.sensors import Sensors, weighed
from gateway.core.serials import Serials
from gateway.core.stocktakes import StocktakeView
from gateway.core.sweeps import Sweeps
from gateway.core.tag_watch import TagWatch
from gateway.core.vitals import Trouble
from gateway.core.weigh import Plate
from gateway.domain.alert import Alert
from gateway.domain.observation import (
    DeviceSeen,
    LevelClaim,
    Observation,
    Ordered,
    WeightStep,
)
from gateway.domain.reading import (
    GATEWAY_STARTED,
    Command,
    DeviceState,
    Mode,
    PosLine,
    Quantity,
    Reading,
    Scan,
    SetMode,
    Tag,
    Tare,
    Weight,
    Zero,
)
from gateway.domain.settings import Settings
from gateway.domain.store import Store

REF_MAX: Final = 64
"""Characters of a business document's number."""


LIVED: Final = "lived:engine"
"""The part that says until when plates were heard."""


class Engine:
    """One store's mind. Not thread-safe; knows no time but what it is told."""

    def __init__(
        self, settings: Settings, store: Store, inst: str, history: History, saved: Saved = EMPTY
    ) -> None:
        self._products = store.product_by_gtin()
        self._poster = Poster(store, Book(saved.balances), inst, saved.position.next_seq, history)
        self._fusion = Fusion(store, settings.fusion, self._poster, weighed(settings), saved.parts)
        self._serials = Serials()
        self._serials.restore(saved.parts)
        sensors = Sensors(settings, store, self._serials, saved.parts, _lived_ns(saved))
        self._sensors = sensors
        self._scanners, self._plates = sensors.scanners, sensors.plates
        self._plates.levels.know(self._fusion.alone, self._fusion.view)
        self._fusion.tell(self._plates.levels.felt)
        self._readers = sensors.readers
        self._sweeps = Sweeps(store, sensors.readers)
        self._tags = TagWatch(store, sensors.readers, self._fusion.tags)
        self._hardware = Hardware(saved.parts)
        self._lanes = Lanes(
            self._fusion.tills, self._poster, sensors.labels, sensors.tills, sensors.lane_of
        )
        self._now_ns = saved.position.at_ns
        self._number = saved.position.next_observation
        self._observations: list[tuple[int, Observation]] = []
        self._changed: dict[str, None] = {}
        self._scanner_due: dict[str, int] = {}
        self._scanner_kept: dict[str, bytes] = {}
        for name in self._scanners:
            self._scanner_changed(name)
        self._changed.clear()
        self._fusion.watches.begin(self._now_ns)
        self._due_ns: int | None = self._earliest()

    # --- time -----------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """When something happens by itself: the shell waits for that or for an input."""
        return self._due_ns

    def _earliest(self) -> int | None:
        due = self._fusion.deadline()
        step = self._plates.bays.due_ns
        if step is not None and (due is None or step < due):
            due = step
        for at_ns in self._scanner_due.values():
            if due is None or at_ns < due:
                due = at_ns
        for reader in self._readers.values():
            visit = reader.deadline()
            if visit is not None and (due is None or visit < due):
                due = visit
        return due

    def _scanner_changed(self, device: str) -> None:
        """What it remembers is to be kept, and its deadline may be another."""
        self._changed[f"echo:{device}"] = None
        state = msgspec.json.encode(self._scanners[device].state)
        if self._scanner_kept.get(device) != state:
            self._scanner_kept[device] = state
            self._changed[f"scanner:{device}"] = None
        due = self._scanners[device].deadline()
        if due is None:
            self._scanner_due.pop(device, None)
        else:
            self._scanner_due[device] = due

    def advance(self, at_ns: int) -> None:
        """It is now `at_ns`: fires every deadline up to it, each at its own time."""
        if at_ns < self._now_ns:
            raise BrokenInvariant(f"time went back from {self._now_ns} to {at_ns}")
        while self._due_ns is not None and self._due_ns <= at_ns:
            self._fire(self._due_ns)
        self._now_ns = at_ns

    def _fire(self, due: int) -> None:
        # What was due before it could be known (a longer timeout in an older configuration) is
        # late, and says so: no event is older than its cause.
        self._now_ns = max(self._now_ns, due)
        if self._fusion.deadline() == due:  # the later stage first
            self._fusion.advance(self._now_ns)
        elif self._plates.bays.due_ns == due:
            for settled in self._plates.bays.advance(self._now_ns):
                self._settled(settled)
        elif due not in self._scanner_due.values():
            closed = [reader.advance(self._now_ns) for reader in self._readers.values()]
            # Each is booked before the next is asked.
            for seen in self._tags.tick(self._now_ns) if any(closed) else ():
                self._observe([msgspec.structs.replace(seen, ref=self._ref(self._now_ns))])
        else:
            device = min(name for name, at_ns in self._scanner_due.items() if at_ns == due)
            observations = self._scanners[device].advance(self._now_ns)
            self._scanner_changed(device)
            self._observe(observations)
        self._due_ns = self._earliest()

    def receive(self, reading: Reading) -> None:
        """One reading or command, after every deadline up to its time. Raises BrokenInvariant."""
        at_ns, body = reading.at_ns, reading.body
        if (self._due_ns is not None and self._due_ns <= at_ns) or at_ns < self._now_ns:
            self.advance(at_ns)
        self._now_ns = at_ns
        if type(body) is Weight:
            self._weight(at_ns, reading.device, body)
            return
        if type(body) is Tag:
            self._tag(at_ns, reading.device, body)
            return
        if type(body) is Scan:
            self._scan(at_ns, reading.device, body)
        elif type(body) is PosLine:
            line = self._lanes.line(at_ns, reading.device, body, self._number)
            if line is not None:
                self._observe([line])
        elif type(body) is DeviceState:
            self._device(at_ns, reading.device, body)
        elif type(body) is Command:
            self._command(at_ns, reading.device, body)
        self._settle(at_ns)

    def _weight(self, at_ns: int, device: str, body: Weight) -> None:
        for settled in self._plates.weight(at_ns, device, body):
            self._settled(settled)
            self._settle(at_ns)
        due = self._plates.bays.due_ns
        if due is not None and (self._due_ns is None or due < self._due_ns):
            self._due_ns = due

    def _settled(self, settled: Settled | LevelClaim) -> None:
        """One step or count, or several steps of one bay, each with an identity of its own."""
        if isinstance(settled, WeightStep | LevelClaim):
            self._observe([msgspec.structs.replace(settled, ref=self._ref(settled.at_ns))])
            return
        steps = tuple(
            msgspec.structs.replace(step, ref=f"{self._ref(step.at_ns)}.{n}")
            for n, step in enumerate(settled.steps)
        )
        self._observe([msgspec.structs.replace(settled, steps=steps)])

    def _tag(self, at_ns: int, device: str, body: Tag) -> None:
        reader = self._readers.get(device)
        if reader is not None:
            reader.tag(at_ns, body)
            due = reader.deadline()
            if due is not None and (self._due_ns is None or due < self._due_ns):
                self._due_ns = due

    def _scan(self, at_ns: int, device: str, body: Scan) -> None:
        scanner = self._scanners.get(device)
        if scanner is None:
            self._refuse(at_ns, device, "is no scanner here: its scan has no effect")
            return
        observations = scanner.scan(at_ns, self._ref(at_ns), body, self._products)
        self._scanner_changed(device)
        self._observe(self._lanes.scanned(device, body.data, observations))

    def _settle(self, at_ns: int) -> None:
        """After an input: what it made due already is fired before anything else is heard."""
        self._due_ns = self._earliest()
        if self._due_ns is not None and self._due_ns <= at_ns:
            self.advance(at_ns)

    def _ref(self, at_ns: int) -> str:
        """A reading's identity for ever: its time, and the number of its observation."""
        return f"{at_ns}.{self._number}"

    def _refuse(self, at_ns: int, device: str, why: str) -> None:
        self._poster.note(at_ns, "refused", f"{device} {why}", device)

    def _device(self, at_ns: int, device: str, body: DeviceState) -> None:
        if body.identity is not msgspec.UNSET:
            swap = self._hardware.identified(at_ns, device, body.identity)
            if swap is not None:
                self._observe([swap])
                self._plates.swapped(device)
                text = f"{device} is another piece of hardware: {swap.after}, was {swap.before}"
                self._poster.note(at_ns, "device_swapped", text, device)
        reader = self._readers.get(device)
        if reader is not None:
            reader.state(at_ns, body)
        up = body.state == "up"
        places = self._plates.seen(device, up, restarted=body.reason == GATEWAY_STARTED)
        self._observe([DeviceSeen(at_ns, device, place, up) for place in places])

    def _command(self, at_ns: int, device: str, command: Command) -> None:
        order = command.order
        if isinstance(order, SetMode | Quantity):
            self._tell_scanner(at_ns, order)
            return
        if isinstance(order, Tare | Zero):
            why = self._plates.tare(at_ns, order.device, empty=isinstance(order, Zero))
            if why is not None:
                self._refuse(at_ns, order.device, why)
                return
        self._observe(self._sweeps.before(at_ns, device, order, self._fusion.stocktakes))
        self._observe([Ordered(at_ns, device, self._ref(at_ns), order)])

    def _tell_scanner(self, at_ns: int, order: SetMode | Quantity) -> None:
        scanner = self._scanners.get(order.device)
        if scanner is None:
            self._refuse(at_ns, order.device, "is no scanner here")
        elif isinstance(order, Quantity):
            if 1 <= order.n <= QUANTITY_MAX:
                observations = scanner.set_quantity(at_ns, order)
                self._scanner_changed(order.device)
                self._observe(observations)
            else:
                self._refuse(at_ns, order.device, f"cannot count {order.n} at once")
        elif order.location is not None and not self._poster.is_physical(order.location):
            self._refuse(at_ns, order.device, f"stays: {order.location} holds no goods")
        elif order.ref is not None and not 0 < len(order.ref) <= REF_MAX:
            self._refuse(at_ns, order.device, "stays: that reference has no use")
        else:
            observations = scanner.set_mode(at_ns, order)
            self._scanner_changed(order.device)
            self._observe(observations)

    def _observe(self, observations: Iterable[Observation]) -> None:
        for observation in observations:
            self._observations.append((self._number, observation))
            self._fusion.observe(self._number, observation)
            self._number += 1

    # --- results --------------------------------------------------------------------------------

    def take(self) -> Outcome:
        """Everything since the last call. The caller commits it before it tells anyone."""
        posted, notes = self._poster.take()
        notes += self._plates.notes + self._plates.levels.notes
        self._plates.notes, self._plates.levels.notes = [], []
        keys = [*self._changed, *self._plates.keys(), *self._fusion.changed]
        keys += [*self._hardware.changed, *(f"serial:{key}" for key in self._serials.changed)]
        for part in (self._fusion, self._hardware, self._serials):
            part.changed.clear()
        self._changed.clear()
        observations, self._observations = self._observations, []
        return Outcome(
            position=Position(self._poster.next_seq, self._number, self._now_ns),
            observations=tuple(observations),
            posted=tuple(posted),
            notes=tuple(notes),
            balances=tuple(self._poster.book.take_changed()),
            parts=tuple((key, self._part(key)) for key in keys),
            alerts=self._fusion.watches.alerts.take(),
        )

    def _part(self, key: str) -> bytes | None:
        kind, _, name = key.partition(":")
        if kind == "scanner":
            return self._scanner_kept[name]
        if kind == "echo":
            return msgspec.json.encode(self._scanners[name].seen)
        part: msgspec.Struct | None
        if kind == "plate":
            part = self._plates.state(name)
        elif kind == "zero":
            part = self._plates.levels.state(name)
        elif kind == "settled":
            part = self._plates.bays.state(name)
        elif kind == "identity":
            return self._hardware.part(name)
        elif kind == "serial":
            part = self._serials.get(name)
        else:
            part = self._fusion.part(key)
        return None if part is None else msgspec.json.encode(part)

    def plate_parts(self, *, unseen: bool = False) -> tuple[tuple[str, bytes | None], ...]:
        """Levels of the plates that have settled: drift moves them without an event.

        With `unseen` only those never asked for before: a first level must not wait. With them goes
        the time: how long nobody heard the plates is told by it after a restart.
        """
        names = self._plates.settled(unseen=unseen)
        levels = tuple((f"plate:{name}", self._part(f"plate:{name}")) for name in names)
        return (*levels, (LIVED, str(self._now_ns).encode())) if self._plates.levelled else levels

    def plates(self, device: str) -> list[tuple[str, Plate, Trouble, int | None]]:
        """Location, detector, trouble and most units counted of each plate, for the status."""
        return self._plates.view(self._now_ns, device)

    def reader(self, device: str) -> ReaderView | None:
        """What an RFID reader has before it, for the status view; None when it is none."""
        reader = self._readers.get(device)
        return None if reader is None else reader.view()

    @property
    def repeated_lines_total(self) -> int:
        """Till lines that were said again, and booked once."""
        return self._lanes.repeats_total

    def scanner_mode(self, device: str) -> Mode | None:
        """What a scanner's next scan would mean; None when it is no scanner."""
        scanner = self._scanners.get(device)
        return None if scanner is None else scanner.state.mode

    def alerts(self) -> tuple[Alert, ...]:
        """Open alerts, the oldest first."""
        return self._fusion.watches.alerts.listed()

    def stocktakes(self) -> tuple[StocktakeView, ...]:
        """The running stocktakes and how far they are, for the status view."""
        return self._sweeps.views(self._now_ns, self._fusion.stocktakes)

    def unsettled(self) -> int:
        """Open sales, pending steps and running counts: what still waits for evidence."""
        return self._fusion.unsettled()

    def balances(self) -> Mapping[tuple[str, str, str], int]:
        """The book as it stands: (loc, gtin, lot or '') to milli."""
        return self._poster.book.snapshot()


def _lived_ns(saved: Saved) -> int:
    """When the state was kept, or plates were heard after it."""
    return max(saved.position.at_ns, int(saved.parts.get(LIVED, b"0")))
