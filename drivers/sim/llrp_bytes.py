"""The bytes of LLRP, as a reader writes them and takes them apart: messages, parameters, status.

    message    000 version:3 type:10 | length:32 | message id:32 | fields, parameters
    TLV        000000 type:10 | length:16 | fields, parameters
    TV         1 type:7 | value of a length that the type fixes

Source: EPCglobal Low Level Reader Protocol 1.0.1, chapters 13.1 and 16; GS1 LLRP 1.1, chapter 17.
Here: packing and unpacking. Not here: what any message means (`llrp_specs`, `llrp_reader`); and
nothing is shared with the driver that reads such bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

HEADER_BYTES: Final = 10
TLV_BYTES: Final = 4
VENDOR: Final = 32473
"""The enterprise number that RFC 5612 keeps for examples: this reader's maker."""
CUSTOM: Final = 1023

OK: Final = 0
M_PARAMETER_ERROR, M_FIELD_ERROR, M_UNEXPECTED_PARAMETER, M_MISSING_PARAMETER = 100, 101, 102, 103
M_DUPLICATE_PARAMETER, M_OVERFLOW_PARAMETER, M_UNKNOWN_PARAMETER = 104, 105, 107
M_UNSUPPORTED_MESSAGE, M_UNSUPPORTED_VERSION, M_UNEXPECTED_MESSAGE = 109, 110, 112
P_PARAMETER_ERROR, P_FIELD_ERROR, P_UNEXPECTED_PARAMETER, P_MISSING_PARAMETER = 200, 201, 202, 203
P_UNSUPPORTED_PARAMETER: Final = 209
A_INVALID, A_OUT_OF_RANGE, R_DEVICE_ERROR = 300, 301, 401


class Refused(Exception):
    """A request that the reader does not carry out, with the LLRPStatus that says why."""

    def __init__(self, code: int, words: str, inside: bytes = b"") -> None:
        """`inside`: a FieldError or ParameterError."""
        super().__init__(words)
        self.status = status(code, words, inside)


class Malformed(Exception):
    """Bytes that are no LLRP: a length that does not fit, a parameter that is cut."""


class Message(NamedTuple):
    """A message that a client sent."""

    version: int
    kind: int
    message_id: int
    body: bytes


class Parameter(NamedTuple):
    """A TLV parameter that a client sent."""

    kind: int
    body: bytes


class Fields:
    """The fields of a message or parameter, taken from the front; what is left, parameters."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """That many bytes. Raises Malformed."""
        if self._at + size > len(self.data):
            raise Malformed("it ends within a field")
        found = self.data[self._at : self._at + size]
        self._at += size
        return found

    def number(self, size: int) -> int:
        """An unsigned number of that many bytes. Raises Malformed."""
        return int.from_bytes(self.take(size))

    def numbers(self) -> tuple[int, ...]:
        """A counted list of 16-bit numbers. Raises Malformed."""
        return tuple(self.number(2) for _ in range(self.number(2)))

    def parameters(self) -> list[Parameter]:
        """All that is left, as TLV parameters: a client sends no others. Raises Malformed."""
        return list(self._parameters())

    def end(self) -> None:
        """Raises Malformed where anything is left."""
        if self._at != len(self.data):
            raise Malformed("it goes on after its last field")

    def _parameters(self) -> Iterator[Parameter]:
        while self._at < len(self.data):
            kind, length = struct.unpack(">HH", self.take(TLV_BYTES))
            if kind >> 10 or length < TLV_BYTES:
                raise Malformed("this begins no parameter")
            yield Parameter(kind, self.take(length - TLV_BYTES))


def message(kind: int, body: bytes, message_id: int, version: int) -> bytes:
    """A whole message."""
    return struct.pack(">HII", version << 10 | kind, HEADER_BYTES + len(body), message_id) + body


def tlv(kind: int, body: bytes = b"") -> bytes:
    """A parameter with its length."""
    return struct.pack(">HH", kind, TLV_BYTES + len(body)) + body


def tv(kind: int, value: bytes) -> bytes:
    """A parameter whose type fixes its length."""
    return bytes((0x80 | kind,)) + value


def text(words: str) -> bytes:
    """A counted UTF-8 text."""
    raw = words.encode()
    return len(raw).to_bytes(2) + raw


def custom(subtype: int, data: bytes) -> bytes:
    """A parameter of this reader's maker, which others must skip."""
    return tlv(CUSTOM, struct.pack(">II", VENDOR, subtype) + data)


def status(code: int, words: str = "", inside: bytes = b"") -> bytes:
    """An LLRPStatus."""
    return tlv(287, code.to_bytes(2) + text(words) + inside)


def field_error(number: int, code: int) -> bytes:
    """A FieldError: which field, counted from 0, and what is wrong with it."""
    return tlv(288, struct.pack(">HH", number, code))


def parameter_error(kind: int, code: int, inside: bytes = b"") -> bytes:
    """A ParameterError: in which parameter, and what is wrong with it."""
    return tlv(289, struct.pack(">HH", kind, code) + inside)


def bad_field(number: int, words: str, code: int = A_INVALID) -> Refused:
    """A field of the message itself is wrong."""
    return Refused(M_FIELD_ERROR, words, field_error(number, code))


def bad_parameter(kind: int, number: int, words: str, code: int = A_OUT_OF_RANGE) -> Refused:
    """A field of a parameter is wrong."""
    inside = parameter_error(kind, P_FIELD_ERROR, field_error(number, code))
    return Refused(M_PARAMETER_ERROR, words, inside)


def missing(kind: int) -> Refused:
    """A parameter that must be there is not."""
    return Refused(
        M_MISSING_PARAMETER,
        f"parameter {kind} is missing",
        parameter_error(kind, P_MISSING_PARAMETER),
    )


def unsupported(kind: int) -> Refused:
    """A parameter that this reader does not know, or not there."""
    return Refused(
        M_PARAMETER_ERROR,
        f"parameter {kind} is not supported here",
        parameter_error(kind, P_UNSUPPORTED_PARAMETER),
    )
