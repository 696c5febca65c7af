"""A conversation with an LLRP reader: bytes in, readings and bytes out. Pure; owns no time.

Source: LLRP 1.0.1 chapters 7 to 13 and 1.1 chapter 8 (version negotiation).

    reader  READER_EVENT_NOTIFICATION  ConnectionAttemptEvent Success
    we      GET_SUPPORTED_VERSION, SET_PROTOCOL_VERSION      a 1.0.1 reader answers ERROR_MESSAGE
            GET_READER_CAPABILITIES, GET_READER_CONFIG, SET_READER_CONFIG
            DELETE_ROSPEC 0, ADD_ROSPEC, ENABLE_ROSPEC, START_ROSPEC, ENABLE_EVENTS_AND_REPORTS
    reader  RO_ACCESS_REPORT, READER_EVENT_NOTIFICATION, KEEPALIVE (answered) ... for ever

Here: what is said in which order, and what each answer means. Not here: waiting and ports
(`rfid_llrp.read`), messages' bytes (`_llrp`), what the reader is told to do (`_llrp_rospec`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple

from drivers import _llrp, _llrp_rospec
from drivers._llrp import Malformed, Message, Value
from drivers._llrp_events import ERROR_MESSAGE, EVENT, MESSAGE, news, rospec_events, trouble
from drivers._llrp_rospec import IMPINJ, ROSPEC_ID, Wish
from drivers._llrp_stream import HEADER, Stream
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent
from gateway.domain.reading import Body, DeviceState, Garbled, garbled

ANSWER_MS: Final = 5_000
"""How long a reader may take for an answer."""

_IMPINJ_ENABLE_EXTENSIONS: Final = 21
_REMEDY: Final = "check antennas, power_dbm, rf_mode, session and population"


class _Ask(NamedTuple):
    """A request and the name of its answer; without a request, what is only waited for."""

    request: Message | None
    answer: str


class _Answer(NamedTuple):
    """A message, or none in time, and what is wrong with it ("" = nothing)."""

    message: Message
    trouble: str


_NONE: Final = _Answer(Message("nothing"), f"no answer within {ANSWER_MS // 1000} s")
_Talk = Generator[_Ask, _Answer, None]


class Session:
    """One connection, from its first byte. Feed it, send what `to_send` gives, heed `ended`."""

    def __init__(self, wish: Wish, *, impinj: bool, newest: int) -> None:
        """`impinj`: use the vendor's parameters where the reader is theirs. `newest`: LLRP 1 or 2
        (1.1), the highest to agree on."""
        self._wish, self._impinj, self._newest = wish, impinj, newest
        self._stream = Stream()
        self._version = _llrp.VERSION_1_0_1
        self._out = bytearray()
        self._said: list[Body] = []
        self._message_id = 0
        self._asked: _Ask | None = None
        self._running = self._over = False  # our ROSpec, by the reader's events
        self.asked_total = 0
        """Requests so far: each has its own time to be answered."""
        self.ended: Exception | None = None
        """Why the connection must be given up."""
        self._talk = self._set_up()
        self._go_on(None)

    @property
    def waiting(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked is not None

    @property
    def asks_version(self) -> bool:
        """Whether the reader is being asked for LLRP 1.1, which not every old one survives."""
        return self._asked is not None and self._asked.answer == "GET_SUPPORTED_VERSION_RESPONSE"

    def receive(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete. Never raises: see `ended`."""
        for item in self._stream.feed(chunk):
            if self.ended is not None:
                break
            if isinstance(item, bytes):
                self._message(item)
            else:
                self._said.append(item)
                if isinstance(item, Garbled) and item.reason == HEADER:
                    said = f"bytes that are no LLRP message: {item.bytes}"
                    self.ended = DeviceLost(f"{said}; is there a reader at this address?")
        if self._over and not self.waiting and self.ended is None:
            # a ROSpec is over when each of its AISpecs was done; not every reader begins again
            self._over = False
            self._talk = self._start()
            self._go_on(None)
        return self._taken()

    def no_answer(self) -> list[Body]:
        """The awaited answer did not come in time."""
        self._go_on(_NONE)
        return self._taken()

    def finish(self) -> list[Body]:
        """What is left of a message that was cut off."""
        return [item for item in self._stream.end() if not isinstance(item, bytes)]

    def to_send(self) -> bytes:
        """Bytes for the reader; they are forgotten here."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def farewell(self) -> bytes:
        """CLOSE_CONNECTION: the reader is free for the next client at once."""
        return _llrp.encode(Message("CLOSE_CONNECTION", (), (), self._version, 0))

    def _taken(self) -> list[Body]:
        said, self._said = self._said, []
        return said

    def _message(self, frame: bytes) -> None:
        try:
            message = _llrp.decode(frame)
        except Malformed:
            self._said.append(garbled(MESSAGE, frame))
            return
        if message.name == "KEEPALIVE":
            self._send(Message("KEEPALIVE_ACK"), message.message_id)
        elif self._answers(message):
            known = message.first("LLRPStatus")
            self._go_on(_Answer(message, trouble(message) if known else ""))
        elif message.name == "ERROR_MESSAGE":
            self._said.append(garbled(ERROR_MESSAGE, frame))
        elif message.name == EVENT:
            self._event(message)

    def _answers(self, message: Message) -> bool:
        """Whether this is what is awaited; an ERROR_MESSAGE is, when it answers our request.

        Readers differ in whether they give the message id back: the answer's type decides.
        """
        if self._asked is None:
            return False
        if self._asked.answer == EVENT:
            data = message.first("ReaderEventNotificationData")
            return data is not None and data.first("ConnectionAttemptEvent") is not None
        mine = message.message_id in (0, self._message_id)
        return message.name == self._asked.answer or (message.name == "ERROR_MESSAGE" and mine)

    def _event(self, message: Message) -> None:
        for body in news(message):
            if isinstance(body, DeviceState) and body.state == "down":
                self.ended = DeviceLost(body.reason)
                return
            self._said.append(body)
        for happened in rospec_events(message):
            if happened == "Start_Of_ROSpec":
                self._running, self._over = True, False
            elif happened == "End_Of_ROSpec":
                # the end of one that we did not see start is the end of an earlier client's
                self._running, self._over = False, self._running

    def _send(self, message: Message, message_id: int) -> None:
        version = message.version if message.version > self._version else self._version
        frame = Message(message.name, message.fields, message.parameters, version, message_id)
        self._out += _llrp.encode(frame)

    def _go_on(self, answer: _Answer | None) -> None:
        try:
            ask = next(self._talk) if answer is None else self._talk.send(answer)
        except StopIteration:
            self._asked = None
            return
        except (DeviceLost, DeviceMisconfigured) as error:
            self._asked, self.ended = None, error
            return
        self._asked = ask
        self.asked_total += 1
        if ask.request is not None:
            self._message_id += 1
            self._send(ask.request, self._message_id)

    # --- the conversation, in order

    def _set_up(self) -> _Talk:
        hello = yield _Ask(None, EVENT)
        if hello.trouble:
            raise DeviceSilent("connected, but it says nothing; is it an LLRP reader?")
        for body in news(hello.message):
            if isinstance(body, DeviceState) and body.state == "down":
                raise DeviceLost(body.reason)
        if self._newest >= _llrp.VERSION_1_1:
            yield from self._agree_on_version()
        answer = yield _request("GET_READER_CAPABILITIES", RequestedData="All")
        _must(answer, "GET_READER_CAPABILITIES", "restart the reader")
        able = _llrp_rospec.capabilities(answer.message)
        yield from self._identify()
        answer = yield _ask(_llrp_rospec.reader_config(self._wish, able))
        _must(answer, "SET_READER_CONFIG", "check keepalive_ms")
        extended = False
        if able.impinj and self._impinj:
            extended = yield from self._extend()
        # all of them; a complaint means that none is there, or that this reader wants each named
        answer = yield _request("DELETE_ROSPEC", ROSpecID=0)
        if answer.trouble:
            yield _request("DELETE_ROSPEC", ROSpecID=ROSPEC_ID)
        spec = _llrp_rospec.rospec(self._wish, able, extended=extended)
        answer = yield _ask(Message("ADD_ROSPEC", (), (spec,)))
        _must(answer, "ADD_ROSPEC", _REMEDY, settings=True)
        answer = yield _request("ENABLE_ROSPEC", ROSpecID=ROSPEC_ID)
        _must(answer, "ENABLE_ROSPEC", _REMEDY, settings=True)
        yield from self._start()
        # without an answer of its own; some readers know it not, and their ERROR_MESSAGE is counted
        self._message_id += 1
        self._send(Message("ENABLE_EVENTS_AND_REPORTS"), self._message_id)

    def _agree_on_version(self) -> _Talk:
        """Version 1.1, where the reader has it. LLRP 1.1 section 8.3: asked in version 1.1."""
        newest = _llrp.VERSION_1_1
        asked = Message("GET_SUPPORTED_VERSION", version=newest)
        answer = yield _ask(asked)
        if answer.trouble or answer.message.number("SupportedVersion") < newest:
            return
        if answer.message.number("CurrentVersion") < newest:
            fields = (("ProtocolVersion", newest),)
            answer = yield _ask(Message("SET_PROTOCOL_VERSION", fields, version=newest))
            if answer.trouble:
                return
        self._version = newest

    def _identify(self) -> _Talk:
        """Which reader it is, and which antennas it misses; a reader need not know either."""
        answer = yield _request(
            "GET_READER_CONFIG", AntennaID=0, RequestedData="Identification",
            GPIPortNum=0, GPOPortNum=0,
        )  # fmt: skip
        identity = answer.message.first("Identification")
        told = identity.value("ReaderID") if identity else b""
        if isinstance(told, bytes) and told:
            self._said.append(DeviceState("up", "identified", f"llrp:{told.hex()}"))
        else:
            self._said.append(DeviceState("up", "reader without identification"))
        answer = yield _request(
            "GET_READER_CONFIG", AntennaID=0, RequestedData="AntennaProperties",
            GPIPortNum=0, GPOPortNum=0,
        )  # fmt: skip
        for antenna in answer.message.each("AntennaProperties"):
            number = antenna.number("AntennaID")
            if number in self._wish.antennas and not antenna.number("AntennaConnected"):
                self._said.append(DeviceState("up", f"antenna {number} lost"))

    def _extend(self) -> Generator[_Ask, _Answer, bool]:
        """Impinj's own parameters have to be enabled once a connection."""
        answer = yield _Ask(
            Message(
                "CUSTOM_MESSAGE",
                (
                    ("VendorIdentifier", IMPINJ),
                    ("MessageSubtype", _IMPINJ_ENABLE_EXTENSIONS),
                    ("Data", bytes(4)),
                ),
            ),
            "CUSTOM_MESSAGE",
        )
        # the answer's status is vendor's data: an LLRPStatus that begins with type and length
        data = dict(answer.message.fields).get("Data", b"")
        return isinstance(data, bytes) and data[:6] == bytes.fromhex("011f00080000")

    def _start(self) -> _Talk:
        answer = yield _request("START_ROSPEC", ROSpecID=ROSPEC_ID)
        # with an immediate start trigger most readers have started by themselves, and may say so
        if self._wish.scheme.pass_ms:
            _must(answer, "START_ROSPEC", "restart the reader")


def _ask(request: Message) -> _Ask:
    return _Ask(request, f"{request.name}_RESPONSE")


def _request(name: str, **fields: Value) -> _Ask:
    return _ask(Message(name, tuple(fields.items())))


def _must(answer: _Answer, request: str, remedy: str, *, settings: bool = False) -> None:
    """Raises where an answer is no success: DeviceMisconfigured where our settings may be why."""
    if not answer.trouble:
        return
    said = f"{request}: the reader says {answer.trouble}; {remedy}"
    if answer is _NONE:
        raise DeviceSilent(f"{request}: {answer.trouble}; {remedy}")
    if settings and not answer.trouble.startswith("R_"):
        raise DeviceMisconfigured(said)
    raise DeviceLost(said)
