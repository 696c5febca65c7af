"""The words of one MQTT session: what is published, what is heard, how long it waits.

Here: frozen values without any MQTT library. Not here: the session itself (`mqtt`).
"""

from __future__ import annotations

from gateway.domain.reading import Word


class SessionTimers(Word, frozen=True):
    """WIRE section 1 and 9; tests alone use others."""

    connect_s: float = 10.0
    keepalive_s: int = 30
    misc_s: float = 1.0
    puback_s: float = 60.0
    """A broker that owes a PUBACK longer than this is taken for lost."""


class Publication(Word, frozen=True):
    """One QoS 1 message with the properties of WIRE section 3."""

    topic: str
    payload: bytes
    retain: bool = False
    user: tuple[tuple[str, str], ...] = ()


class Message(Word, frozen=True):
    """Heard: a message on a subscribed topic."""

    topic: str
    payload: bytes


class Puback(Word, frozen=True):
    """Heard: the broker's answer to one of our messages. It proves nothing about the ledger."""

    mid: int
    code: int
    at_ns: int
    latency_ns: int


class Lost(Word, frozen=True):
    """Heard last: the connection has gone. `code` of the server's DISCONNECT, 0 without one."""

    code: int
    text: str


class ConnectFailed(Exception):
    """No session; `code` is the reason code of CONNACK or SUBACK, 0 when none came."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
