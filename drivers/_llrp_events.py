"""What a reader's messages say to people: events as news, refusals in its own words. Pure.

Source: LLRP 1.0.1 chapters 13.1 (errors), 13.2.5 (events) and 14 (status codes).

Here: one message to readings or words. Not here: tag reports (`_llrp_stream`), which request an
answer belongs to (`_llrp_session`).
"""

from __future__ import annotations

from typing import Final

from drivers import _llrp
from drivers._llrp import Element, Malformed, Message, Value
from drivers._llrp_rospec import ROSPEC_ID
from gateway.domain.reading import Body, DeviceState, garbled

MESSAGE: Final = "message"
ERROR_MESSAGE: Final = "error_message"
EVENT: Final = "READER_EVENT_NOTIFICATION"

_WORDS_MAX: Final = 200
_OK: Final = "M_Success"
_BUSY: Final = "another program is connected to it; end that, or wait until the reader forgets it"
_QUIET: Final = frozenset(
    _llrp.message_type(name) for name in ("KEEPALIVE", "GET_REPORT", "CLOSE_CONNECTION")
)


def words(value: Value) -> str:
    """A reader's own words, made fit for a log line: printable, and not more than 200."""
    plain = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(one if one.isprintable() else " " for one in plain)[:_WORDS_MAX].strip()


def trouble(answer: Element) -> str:
    """What an answer's LLRPStatus complains of, "" for success. LLRP 1.0.1 chapter 14."""
    status = answer.first("LLRPStatus")
    if status is None:
        return "an answer without status"
    code = words(status.value("StatusCode"))
    if code == _OK:
        return ""
    said = words(status.value("ErrorDescription"))
    return f"{code}: {said}" if said else code


def news(event: Element) -> list[Body]:
    """What people must know of an event, if anything; `down` where it ends the connection."""
    found: list[Body] = []
    for data in event.each("ReaderEventNotificationData"):
        for one in data.parameters:
            said = _event_words(one)
            if said:
                state = "down" if _is_end(one) else "up"
                found.append(DeviceState(state, said))  # type: ignore[arg-type]
    return found


def _is_end(one: Element) -> bool:
    if one.name == "ConnectionAttemptEvent":
        return words(one.value("Status")).startswith("Failed")
    return one.name == "ConnectionCloseEvent"


def _event_words(one: Element) -> str:
    match one.name:
        case "AntennaEvent":
            gone = one.value("EventType") == "Antenna_Disconnected"
            return f"antenna {one.number('AntennaID')} {'lost' if gone else 'connected'}"
        case "ReportBufferLevelWarningEvent":
            return f"report buffer {one.number('ReportBufferPercentageFull')} % full"
        case "ReportBufferOverflowErrorEvent":
            return "report buffer overflowed, reads were lost"
        case "ReaderExceptionEvent":
            return f"reader exception: {words(one.value('Message'))}"
        case "ConnectionCloseEvent":
            return "the reader closed the connection"
        case "ConnectionAttemptEvent":
            return _attempt_words(one.value("Status"))
    return ""


def _attempt_words(status: Value) -> str:
    if status == "Success":
        return ""
    if status == "Another_Connection_Attempted":
        return "another program tried to connect to the reader"
    said = words(status).replace("_", " ").lower()
    busy = said.endswith("already exists") and "other than" not in said
    return f"the reader refuses us: {said}" + (f"; {_BUSY}" if busy else "")


def readings(frame: bytes) -> list[Body]:
    """What a whole message that is no report says to people. Never raises."""
    kind = int.from_bytes(frame[:2]) & 0x3FF
    if kind in _QUIET:
        return []
    try:
        message = _llrp.decode(frame)
    except Malformed:
        return [garbled(MESSAGE, frame)]
    if message.name == "ERROR_MESSAGE":
        return [garbled(ERROR_MESSAGE, frame)]
    return news(message) if message.name == EVENT else []


def rospec_events(message: Message) -> list[Value]:
    """What happened to our ROSpec by this message, in order."""
    return [
        one.value("EventType")
        for data in message.each("ReaderEventNotificationData")
        for one in data.each("ROSpecEvent")
        if one.value("ROSpecID") == ROSPEC_ID
    ]
