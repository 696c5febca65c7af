"""Load-cell transmitters that are asked for their registers by Modbus, RTU or TCP.

Sources: MODBUS Application Protocol Specification V1.1b3, sections 6.3 and 6.4; the manual of each
preset is named in `_modbus_presets`. Asked with unit 1, register 80, 2 registers:

    01 03 00 50 00 02 C4 1A          01 03 04 00 00 00 84 FA 50        = 132 counts
    |  |  |     |     CRC            |  |  |  |           CRC
    |  |  |     registers            |  |  |  registers, high word first
    |  |  register, counted from 0   |  |  bytes
    |  03 holding, 04 input          |  function; 83 or 84 and a code: an exception
    unit                             unit

One request brings the weight and, where it is near, the status; else the status is asked for
first. Nothing but reading requests is ever written. Frames, CRC and noise: `_modbus`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec

from drivers import _modbus
from drivers._modbus import Answers, Frame
from drivers._modbus_presets import PRESETS, RegisterMap, status_bits
from drivers._modbus_weights import NG_PER_MG, NUMBER, Plan, Plate, Poll, weights
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent, Link
from gateway.domain import ids
from gateway.domain.reading import Body, DeviceState, Garbled, garbled
from gateway.domain.units import UNIT_NG

SCHEMES: Final = ("serial", "tcp")
LATE: Final = "late"
REASONS: Final = (
    *_modbus.REASONS,  # crc, noise, unit, function, length, cut
    LATE,  # an answer to an earlier request, or to none
    NUMBER,  # a weight that is none (NaN, infinite), or is more than any scale carries
    *_modbus.EXCEPTIONS.values(),  # the unit answers that it cannot
    "exception",  # the same, with a code that the specification does not name
)

LOST_MS: Final = 10_000
"""Without a valid answer for so long, a unit is silent; when all are, the device is lost."""
GAP_MS: Final = 5
"""Silence before a request on a line: over 3.5 characters from 9600 baud on (Serial Line 2.5.1)."""

_NEAR_REGISTERS: Final = 16  # a status farther off is asked for by itself: not all devices skip
_SPARE_AFTER: Final = 3  # misses in a row, from which on a unit is asked once a second
_CHANNELS: Final = frozenset(map(str, range(1, 248)))
_GATEWAY: Final = frozenset(("gateway_path", "gateway_target"))


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`. An option left at "" or -1 is as the preset says."""

    framing: Literal["rtu", "tcp"] = "rtu"  # tcp: Modbus TCP; rtu is possible on a tcp link too
    unit: int = 1  # address of the transmitter, 0 to 255; 1 to 247 on a line
    preset: Literal["", "register80", "laumas", "flintec"] = ""
    function: Literal["", "holding", "input"] = ""
    register: int = -1  # of the weight, counted from 0: "40001" is holding register 0
    type: Literal["", "int16", "uint16", "int32", "uint32", "float32"] = ""
    words: Literal["", "big", "little"] = ""  # little: the low word comes first
    scale_mg: int = 1000  # milligrams of one count, 1 to 10^9
    unit_of_mass: Literal["", "mg", "g", "kg", "lb", "oz"] = ""  # what 1 is, for scale_mg
    status_register: int = -1  # -1 and no preset: there is none
    status_bits: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)  # channel to place; none: one plate
    channel_by: Literal["unit", "register"] = "unit"  # what the number of a channel counts
    channel_stride: int = 0  # registers from channel to channel, 1 to 60; 0: they touch
    rate_hz: int = 10  # weights a second of each channel, 1 to 100
    timeout_ms: int = 200  # for an answer, 20 to 5000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("unit", 0, 255),
            ("register", -1, 65_534),
            ("scale_mg", 1, 10**9),
            ("status_register", -1, 65_535),
            ("channel_stride", 0, 60),
            ("rate_hz", 1, 100),
            ("timeout_ms", 20, 5_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise DeviceMisconfigured(f"{name} = {value} is not from {low} to {high}")
        for channel, place in self.channels.items():
            if channel not in _CHANNELS:
                raise DeviceMisconfigured(f"channels: {channel!r} is no number from 1 to 247")
            if not ids.LOCATION_ID.fullmatch(place):
                raise DeviceMisconfigured(f"channels: {place!r} is no id of a place")
        _plan(self)


def _register_map(options: Options) -> RegisterMap:
    preset = PRESETS[options.preset]
    return RegisterMap(
        preset.source,
        options.function or preset.function,
        preset.register if options.register < 0 else options.register,
        options.type or preset.type,
        options.words or preset.words,
        preset.status_register if options.status_register < 0 else options.status_register,
        tuple(options.status_bits.items()) or preset.status_bits,
    )


def _plan(options: Options) -> Plan:
    """What these options mean. Raises DeviceMisconfigured when they cannot be together."""
    where = _register_map(options)
    width = 1 if where.type.endswith("16") else 2
    numbers = sorted(map(int, options.channels))
    by_unit = options.channel_by == "unit" and bool(numbers)
    by_register = options.channel_by == "register" and bool(numbers)
    stride = options.channel_stride or width
    steps = [stride * (number - 1) for number in numbers] if by_register else [0]
    polls = _polls(where, steps, width)
    bits = status_bits(dict(where.status_bits))
    return Plan(
        Answers(
            tuple(numbers) if by_unit else (options.unit,),
            _modbus.READ_HOLDING if where.function == "holding" else _modbus.READ_INPUT,
            tuple(poll.size for poll in polls),
        ),
        polls,
        tuple(
            Plate(
                2 * (where.register + step - polls[-1].address),
                2 * (where.status_register + step - polls[0].address),
                numbers[at] if by_register else msgspec.UNSET,
            )
            for at, step in enumerate(steps)
        ),
        by_unit,
        where.type,
        where.words == "little",
        bits if where.status_register >= 0 else (),
        UNIT_NG.get(options.unit_of_mass, options.scale_mg * NG_PER_MG),
    )


def _polls(where: RegisterMap, steps: list[int], width: int) -> tuple[Poll, ...]:
    """One request when the status is near the weight, else first one for the status."""
    polls = [_span(where.register, steps, width)]
    if where.status_register >= 0:
        status = _span(where.status_register, steps, 1)
        if abs(where.status_register - where.register) <= _NEAR_REGISTERS:
            begin = min(status.address, polls[0].address)
            end = max(status.address + status.count, polls[0].address + polls[0].count)
            polls = [Poll(begin, end - begin)]
        elif status.count == polls[0].count:
            # an RTU answer does not say of which registers it is: its length must tell
            raise DeviceMisconfigured(
                f"status_register = {where.status_register} is over {_NEAR_REGISTERS} registers "
                f"from register = {where.register}; with a 16-bit weight it must be nearer"
            )
        else:
            polls.insert(0, status)
    for poll in polls:
        if poll.count > _modbus.REGISTERS_MAX or poll.address + poll.count > 0x10000:
            raise DeviceMisconfigured(
                f"{poll.count} registers from {poll.address} on cannot be asked for at once; at "
                f"most {_modbus.REGISTERS_MAX}, none over 65535: fewer channels, or a device each"
            )
    return tuple(polls)


def _span(register: int, steps: list[int], width: int) -> Poll:
    return Poll(register + steps[0], steps[-1] + width - steps[0])


class Conversation:
    """The master's side of the talk: requests out, answers in, weights out. Pure; never raises.

    Only the answer to the last request is taken; in a recording, each that could be to one.
    """

    def __init__(self, options: Options, *, recorded: bool = False) -> None:
        self._plan = _plan(options)
        self._rtu = options.framing == "rtu"
        self._frames: _modbus.Frames = (
            _modbus.RtuFrames(self._plan.answers) if self._rtu else _modbus.TcpFrames()
        )
        self._status = (-1, b"")
        self._recorded = recorded
        self._asked_unit, self._asked_size, self._transaction = -1, 0, 0
        self.reached = False
        """Whether the unit that was asked last has answered, if only by an exception."""

    @property
    def units(self) -> tuple[int, ...]:
        """Who is to be asked, each in turn."""
        return self._plan.answers.units

    @property
    def polls(self) -> tuple[Poll, ...]:
        """What each is to be asked, in this order."""
        return self._plan.polls

    @property
    def waiting(self) -> bool:
        """Whether an answer is still due."""
        return self._asked_unit >= 0

    def ask(self, unit: int, poll: Poll) -> bytes:
        """The request to be sent now."""
        self._asked_unit, self._asked_size = unit, poll.size
        self._transaction = (self._transaction + 1) & 0xFFFF
        self.reached = False
        pdu = _modbus.read_pdu(self._plan.answers.function, poll.address, poll.count)
        if self._rtu:
            return _modbus.rtu_frame(unit, pdu)
        return _modbus.tcp_frame(self._transaction, unit, pdu)

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order."""
        return self._bodies(self._frames.feed(chunk))

    def give_up(self) -> None:
        """What is answered from now on comes too late."""
        self._asked_unit = -1

    def silence(self) -> list[Body]:
        """A line was silent: what it had begun to say is over."""
        return self._bodies(self._frames.end())

    def end(self) -> list[Body]:
        """Readings for what was left; then ready for another stream."""
        bodies = self._bodies(self._frames.end())
        self._status, self._asked_unit = (-1, b""), -1
        return bodies

    def _bodies(self, frames: list[Frame | Garbled]) -> list[Body]:
        bodies: list[Body] = []
        for frame in frames:
            if isinstance(frame, Garbled):
                bodies.append(frame)
            else:
                bodies += self._answer(frame)
        return bodies

    def _answer(self, frame: Frame) -> list[Body]:
        reason = self._plan.answers.refusal(frame) or self._lateness(frame)
        if reason:
            return [garbled(reason, frame.raw)]
        self._asked_unit = -1
        exception = frame.exception
        # a gateway that answers for a unit has not heard it either
        self.reached = exception not in _GATEWAY
        if exception:
            self._status = (-1, b"")
            return [garbled(exception, frame.raw)]
        data = frame.data[1:]
        if len(data) != self._plan.polls[-1].size:
            self._status = (frame.unit, data)
            return []
        if len(self._plan.polls) == 1:
            return weights(self._plan, frame.unit, data, data)
        (unit, status), self._status = self._status, (-1, b"")
        return weights(self._plan, frame.unit, data, status if unit == frame.unit else b"")

    def _lateness(self, frame: Frame) -> str:
        if self._recorded:
            return ""
        due = frame.unit == self._asked_unit and (
            frame.transaction == self._transaction or self._rtu
        )
        whole = frame.function & 0x80 or len(frame.data) == self._asked_size + 1
        return "" if due and whole else LATE


def decoder(options: Options) -> Conversation:
    """The answers of one port in, weights out, as if each had been asked for."""
    return Conversation(options, recorded=True)


@dataclass(frozen=True, slots=True)
class _Hearing:
    """How long a unit has not been heard."""

    silent_ms: int = 0
    misses: int = 0
    told: bool = False


class Watch:
    """Which units answer. Pure: it counts rounds and time-outs, for there is no clock here."""

    def __init__(self, units: tuple[int, ...], options: Options) -> None:
        self._options = options
        self._units = {unit: _Hearing() for unit in units}
        self._answered: list[int] = []
        self._waited_ms = 0
        self._round = 0

    def due(self) -> list[int]:
        """The units to be asked in this round; one that keeps silent is asked once a second."""
        often = self._round % self._options.rate_hz == 0
        return [u for u, heard in self._units.items() if often or heard.misses < _SPARE_AFTER]

    def asked(self, unit: int, *, answered: bool) -> None:
        """What came of it."""
        if answered:
            self._answered.append(unit)
        else:
            self._waited_ms += self._options.timeout_ms
            heard = self._units[unit]
            self._units[unit] = replace(heard, misses=heard.misses + 1)

    def round_over(self) -> list[DeviceState]:
        """News of units that fell silent or came back. Raises DeviceSilent when none is left."""
        passed_ms = max(self._waited_ms, 1000 // self._options.rate_hz)
        news = []
        for unit, heard in self._units.items():
            if unit in self._answered:
                if heard.told:
                    news.append(DeviceState("up", f"unit {unit} heard again"))
                self._units[unit] = _Hearing()
                continue
            silent_ms = heard.silent_ms + passed_ms
            if silent_ms >= LOST_MS and not heard.told:
                news.append(DeviceState("up", f"unit {unit} silent"))
            self._units[unit] = _Hearing(silent_ms, heard.misses, silent_ms >= LOST_MS)
        self._answered, self._waited_ms, self._round = [], 0, self._round + 1
        if all(heard.told for heard in self._units.values()):
            raise DeviceSilent(
                f"no valid answer for {LOST_MS // 1000} s; check unit, framing, baud and parity"
            )
        return news


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Weights until the link is lost, or no unit answers for LOST_MS; then raises DeviceLost."""
    talk = Conversation(options)
    watch = Watch(talk.units, options)
    said: list[Body] = []
    # the tick runs beside the answers, so that a slow line does not slow the rate
    tick: asyncio.Future[None] | None = None
    try:
        while True:
            tick = asyncio.ensure_future(link.pause(1000 // options.rate_hz))
            for unit in watch.due():
                for poll in talk.polls:
                    answered = await _exchange(link, talk, unit, poll, options, said)
                    bodies, said = said, []
                    for body in bodies:
                        yield body
                    if not answered:
                        break
                watch.asked(unit, answered=answered)
            for news in watch.round_over():
                yield news
            await tick
    except DeviceLost:
        for body in (*said, *talk.end()):
            yield body
        raise
    finally:
        if tick is not None:
            tick.cancel()


async def _exchange(
    link: Link, talk: Conversation, unit: int, poll: Poll, options: Options, said: list[Body]
) -> bool:
    """One request; whether the unit answered. What a line says before it is heard out first."""
    talk.give_up()
    over = asyncio.ensure_future(link.pause(options.timeout_ms))
    try:
        if options.framing == "rtu":
            while (chunk := await link.read_within(GAP_MS)) is not None:
                said += talk.feed(chunk)
                if over.done():
                    return False  # somebody talks without end: we would only talk into it
            said += talk.silence()
        link.write(talk.ask(unit, poll))
        while talk.waiting and not over.done():
            chunk = await link.read_within(options.timeout_ms)
            if chunk is None:
                break
            said += talk.feed(chunk)
        return talk.reached
    finally:
        over.cancel()
