"""Who speaks on a port: what may safely be asked, and how an answer is recognised. Pure.

Here: the questions in their order, all of them read-only and of a few bytes; the judgement on what
was heard; hardware that is never asked. Not here: opening, waiting, time limits (the probing part
of the gateway); what a protocol says (each driver's decoder, handed in).
Sources: MT-SICS reference manual 11780711 (SI), Mettler-Toledo 8217 manual (W), A&D and OHAUS
manuals (Q, IP), MODBUS Application Protocol V1.1b3 6.3 and 6.4, LLRP 1.0.1 16.2.7.6.10, NMEA 0183.

A question is put only to a port that said nothing unasked, and none after the first answer, known
or not. A scale of another line setting may answer nonsense; then people name the setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from drivers import _modbus
from drivers._hardware import Usb
from drivers._scan import GS
from drivers.base import Decoder
from gateway.domain.ids import gtin14
from gateway.domain.reading import Garbled, Weight, Word

UNASKED_READINGS: Final = 2
"""Good readings that prove a protocol on a port that talks by itself; one answer is enough."""
LLRP_PORT: Final = 5084
MODBUS_PORT: Final = 502

Kind = Literal["found", "foreign", "echo", "unknown", "nothing"]


class Protocol(Word, frozen=True):
    """A driver, and the options with which its decoder is to be tried."""

    driver: str
    options: Mapping[str, str] = {}


class Question(Word, frozen=True):
    """Bytes to send; `protocol` is what the answer, if its own decoder is needed, would prove."""

    sends: bytes
    protocol: Protocol
    modbus: tuple[int, int] | None = None
    """Unit and function of a Modbus question: its answer is known by them and its CRC."""


class Step(Word, frozen=True):
    """Questions at one line setting, which is the query of a serial link."""

    setting: str
    questions: tuple[Question, ...]


class Verdict(Word, frozen=True):
    """What the bytes of a port say of it."""

    kind: Kind
    protocol: Protocol | None = None
    others: tuple[Protocol, ...] = ()
    """Protocols that would read the same bytes as well: people must choose."""
    says: str = ""
    """Of something foreign: what it is, in words."""


Candidate = tuple[Protocol, Callable[[], Decoder]]
"""A protocol, and a fresh decoder of it."""

NOTHING: Final = Verdict("nothing")
WEIGHING: Final = ("scale_sics", "scale_8217", "scale_line")
"""Drivers whose decoder knows its own from others, tried in this order with each preset."""
OTHERS: Final = ("scale_modbus", "scanner_serial")
"""Drivers whose devices are recognised here: registers and barcodes prove themselves."""
LIBERAL: Final = ("generic", "columns")
"""Presets that take any number for a weight: people may choose them, nothing is proved by them."""
SETTINGS: Final = (
    *("baud=9600", "baud=9600&bytesize=7&parity=E", "baud=19200", "baud=115200"),
    *("baud=2400&bytesize=7&parity=E", "baud=4800", "baud=38400"),
)
"""At which a port that speaks unasked is listened to, the usual ones first."""

# the first CR LF ends what a question at another setting left in the scale
_SICS: Final = Question(b"\r\nSI\r\n", Protocol("scale_sics"))
_8217: Final = Question(b"W", Protocol("scale_8217"))
_LINE_Q: Final = Question(b"\r\nQ\r\n", Protocol("scale_line"))
_LINE_IP: Final = Question(b"\r\nIP\r\n", Protocol("scale_line"))


def _modbus_read(unit: int, function: int) -> Question:
    protocol = Protocol("scale_modbus", {"unit": str(unit)})
    frame = _modbus.rtu_frame(unit, _modbus.read_pdu(function, 0, 2))
    return Question(frame, protocol, (unit, function))


_UNIT_1: Final = _modbus_read(1, _modbus.READ_HOLDING)
STEPS: Final = (
    Step(
        SETTINGS[0],
        (_SICS, _UNIT_1, _modbus_read(1, _modbus.READ_INPUT), _modbus_read(2, 3), _8217, _LINE_IP),
    ),
    Step(SETTINGS[1], (_8217, _SICS, _LINE_IP)),
    Step("baud=19200", (_SICS, _UNIT_1)),
    Step("baud=115200", (_SICS, _UNIT_1)),
    Step("baud=19200&parity=E", (_UNIT_1,)),
    Step("baud=2400&bytesize=7&parity=E", (_LINE_Q, _SICS)),
    Step("baud=4800", (_SICS,)),
    Step("baud=38400", (_UNIT_1,)),
)
"""Questions to a silent serial port. A protocol whose driver is not there is skipped."""

_FOREIGN_USB: Final = (
    (re.compile(r"\b(gps|gnss|glonass)|u-?blox", re.I), "a GPS receiver"),
    (re.compile(r"modem|\b(lte|4g|5g|gsm|wwan)\b|sierra|quectel|simcom|huawei", re.I), "a modem"),
    (re.compile(r"printer|receipt", re.I), "a printer"),
)
_NMEA: Final = re.compile(rb"\$([A-Z][A-Z0-9]{4,8},[ -)+-~]*)\*([0-9A-F]{2})\r?\n")
_MODEM: Final = re.compile(
    rb"(?:\A|[\r\n])(?:OK|ERROR|RING|NO CARRIER|CONNECT[ \d]*|\+[A-Z]{3,}:[ -~]*)\r?\n"
)
_CONSOLE: Final = re.compile(rb"login:|password:|[\w@~-]+[#$>] \Z", re.I)
_MASS: Final = re.compile(rb"\d\]? *(?:mg|g|kg|t|lb|oz)\b", re.I)
_AIM: Final = re.compile(r"\][A-Za-z][0-9A-Za-z][ -~" + GS + "]+")


def not_ours(usb: Usb | None) -> str:
    """What a USB device calls itself when that is nothing a store books with; "" otherwise.

    Such a port is not even opened: a printer would print the questions.
    """
    text = f"{usb.maker} {usb.model}" if usb else ""
    return next((what for pattern, what in _FOREIGN_USB if pattern.search(text)), "")


def unasked(heard: bytes, candidates: Sequence[Candidate]) -> Verdict:
    """The verdict on what a port said by itself. Never raises.

    Known only by several good readings: one line may look like anything.
    """
    if not heard:
        return NOTHING
    if foreign := _foreign(heard):
        return Verdict("foreign", says=foreign)
    if found := _weighed(heard, candidates, UNASKED_READINGS):
        return Verdict("found", found[0], tuple(found[1:]))
    if _scanned(heard):
        scanners = [one for one, _ in candidates if one.driver == "scanner_serial"]
        return Verdict("found", scanners[0]) if scanners else Verdict("unknown")
    return Verdict("unknown")


def answer(question: Question, heard: bytes, candidates: Sequence[Candidate]) -> Verdict:
    """The verdict on what came after a question. Never raises.

    An adapter that hears itself gives the question back before the answer; a modem or a console
    gives it back and nothing we know.
    """
    said = heard.lstrip(b"\r\n").removeprefix(question.sends.strip(b"\r\n"))
    echoed = len(said) < len(heard.lstrip(b"\r\n"))
    if question.modbus is not None and _is_modbus(question.modbus, said):
        return Verdict("found", question.protocol)
    if found := [_polled(one, question) for one in _weighed(said, candidates, 1)]:
        return Verdict("found", found[0], tuple(found[1:]))
    if foreign := _foreign(said):
        return Verdict("foreign", says=foreign)
    if echoed:
        return Verdict("echo")
    return Verdict("unknown") if heard else NOTHING


def _polled(protocol: Protocol, question: Question) -> Protocol:
    """With the poll that a scale which does not stream was found to answer."""
    if protocol.driver != "scale_line":
        return protocol
    poll = question.sends.lstrip(b"\r\n").decode("ascii", "replace")
    escaped = poll.replace("\r", "\\r").replace("\n", "\\n")
    return Protocol(protocol.driver, {**protocol.options, "poll": escaped})


def is_modbus_tcp(heard: bytes) -> bool:
    """Whether this answers `modbus_tcp_question`, an exception included."""
    frames = _modbus.TcpFrames().feed(heard)
    return bool(frames) and not isinstance(frames[0], Garbled) and frames[0].function & 0x7F == 3


def modbus_tcp_question() -> Question:
    """Two holding registers of unit 1."""
    frame = _modbus.tcp_frame(1, 1, _modbus.read_pdu(_modbus.READ_HOLDING, 0, 2))
    return Question(frame, Protocol("scale_modbus", {"unit": "1"}))


def llrp_greeting(heard: bytes) -> str | None:
    """What an LLRP reader says to a new caller: `Success` or why not; None when it is no LLRP.

    A reader serves one caller: refused, it is a reader all the same.
    """
    from drivers import _llrp  # late: its tables are large, and few probes need them

    try:
        message = _llrp.decode(heard[: int.from_bytes(heard[2:6])])
    except _llrp.Malformed:
        return None
    data = message.first("ReaderEventNotificationData")
    event = data.first("ConnectionAttemptEvent") if data else None
    return str(event.value("Status")) if event else None


def llrp_goodbye() -> bytes:
    """CLOSE_CONNECTION: the reader is free for its gateway at once, not after a time-out."""
    from drivers import _llrp

    return _llrp.encode(_llrp.Message("CLOSE_CONNECTION", message_id=1))


def _weighed(heard: bytes, candidates: Sequence[Candidate], at_least: int) -> list[Protocol]:
    """The protocols whose decoder makes weights of it and nothing else.

    Only the first piece may be garbled: cut, or the error that an earlier question caused.
    """
    found = []
    for protocol, fresh in candidates:
        if protocol.driver == "scale_line" and not _MASS.search(heard):
            continue  # a number alone may be a temperature
        bodies = fresh().feed(heard)
        good = sum(isinstance(body, Weight) for body in bodies)
        if good >= at_least and good + isinstance(bodies[0], Garbled) == len(bodies):
            found.append(protocol)
    return found


def _is_modbus(asked: tuple[int, int], said: bytes) -> bool:
    unit, function = asked
    frames = _modbus.RtuFrames(_modbus.Answers((unit,), function, (4,))).feed(said)
    return len(frames) == 1 and not isinstance(frames[0], Garbled)


def _scanned(heard: bytes) -> bool:
    """Whether every whole line is a barcode that proves itself: a check digit, or an AIM prefix."""
    lines = [line for line in re.split(r"[\r\n]+", heard.decode("latin-1")) if line]
    whole = heard.endswith((b"\r", b"\n"))
    return whole and all(gtin14(line) or _AIM.fullmatch(line) for line in lines)


def _foreign(heard: bytes) -> str:
    for sentence in _NMEA.finditer(heard):
        parity = 0
        for byte in sentence[1]:
            parity ^= byte
        if parity == int(sentence[2], 16):
            return "a GPS receiver (NMEA 0183)"
    if _MODEM.search(heard):
        return "a modem (answers AT commands)"
    return "a computer's console" if _CONSOLE.search(heard) else ""
