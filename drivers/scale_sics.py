"""Mettler-Toledo scales and balances that speak MT-SICS: one line per weight.

Source: Mettler-Toledo MT-SICS reference manuals 11780711 (balances, levels 0 to 3) and 11781363
(weigh modules): "Response formats", "Error messages", commands @, I4, S, SI, SIR, SR, SNR, SU.

    S _ S _ _ _ _ _ _ 1 . 2 4 3 _ k g CR LF
    |   |   |                   |   unit: mg, g, kg, t, lb, oz, ozt, ct
    |   |   |                   10 characters, right-aligned, sign before the first digit; digits
    |   |   |                   in brackets are not verified: 12.34[5]; "Error 10b": a fault
    |   status: S stable, D dynamic, + overload, - underload, I cannot now, L wrong parameter
    identification: S for the answers to S, SI, SIR, SR, SNR and SU, and after the transfer key
    I 4 _ A _ " B 0 2 1 0 0 2 5 9 3 "   serial number: asked for, and after @ and switching on
    E S   syntax error (command unknown)     E T   transmission error     E L   logical error

Some makers identify a weight by the command instead (`SI S 1.243 kg`); it is read alike. Answers
to other commands, which a person may send from the scale's other port, are understood and say
nothing here. In "T S 100.00 g" the number is a tare, not a weight.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from drivers import framing
from drivers._display import shown_mg
from drivers._polling import LOST_MS, RESEND_MS, answers
from drivers.base import DeviceMisconfigured, Link
from gateway.domain.reading import Body, DeviceState, Garbled, Weight, garbled
from gateway.domain.units import UNIT_NG

__all__ = ["LOST_MS", "REASONS", "RESEND_MS", "SCHEMES", "Options", "decode", "decoder", "read"]

SCHEMES: Final = ("serial", "tcp")
REASONS: Final = (
    *framing.REASONS,
    "noise",  # no answer of this protocol
    "number",  # a weight whose number is none, or is more than any scale carries
    "unit",  # a weight in a unit that is no mass we know: pieces, percent
    "syntax_error",  # ES: the scale does not know our command
    "transmission_error",  # ET: the scale received us badly; check parity and cable
    "logical_error",  # EL, S L: the scale knows our command and cannot do it
)

_LINE_MAX_BYTES: Final = 256  # I1 and I2 answers are the longest, under 100
_NUMBER_MAX_CHARS: Final = 12  # ten, and the two brackets
_ERRORS: Final = {
    b"ES": "syntax_error",
    b"ET": "transmission_error",
    b"EL": "logical_error",
}
_WEIGHTS: Final = frozenset(b"S SI SIR SIRU SIU SNR SNRU SR SRU ST SU".split())
_STABLE: Final = {b"S": True, b"D": False}
_NOTHING_NOW: Final = Weight(0, None, ("error",))
_SAID: Final = {
    b"+": Weight(0, False, ("over",)),
    b"-": Weight(0, False, ("under",)),
    b"I": _NOTHING_NOW,
}
_NO_DISPLAY: Final = re.compile(rb"-{2,10}")  # no weight to show: warming up, or outside its range
_SERIAL: Final = re.compile(rb'I4 +A +"([ -!#-~]{1,64})"')
# every command of levels 0 to 3 that answers under its own name
_OTHER: Final = re.compile(
    rb"A\d\d|B\d\d|C\d?|CO[MP]\w?|D|DAT|DW|DY|E0\d|F\d\d|FCUT|I\d{1,2}|K|LST|M\d\d|MOD|NID|"
    rb"P\d{3}|PRN|PW|PWR|R\d\d|RDB|RST|S[MX]\d|SIH|SIS|SIX\d|SFIR|SN?RU?|ST|SWU|SXIR?|T|TA|TAC|TAR|TC|"
    rb"TI|TIM|TST\d|U|UPD|USTB|WMCF|WS|Z|ZC|ZI"
)
_OTHER_STATUSES: Final = frozenset(b"A B C D E I L R S + -".split())


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    # SIR: the scale streams. SI: it is polled. S: it is polled and answers when stable
    command: Literal["SIR", "SI", "S"] = "SIR"
    rate_hz: int = 20  # weights a second: of the stream as set in the scale, or polled; 1 to 100

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= 100:
            raise DeviceMisconfigured(f"rate_hz = {self.rate_hz} is not from 1 to 100")


def decode(frame: bytes, options: Options) -> Weight | DeviceState | Garbled | None:
    """One line to one reading; None for an answer that is no weight. Never raises."""
    del options  # every scale answers alike
    if not frame.isascii() or not frame.decode("ascii").isprintable():
        return garbled("noise", frame)
    match [word for word in frame.split(b" ") if word]:
        case [weight, (b"S" | b"D") as status, number, unit] if weight in _WEIGHTS:
            return _weight(frame, _STABLE[status], number, unit.decode())
        case [weight, (b"+" | b"-" | b"I") as status] if weight in _WEIGHTS:
            return _SAID[status]
        case [weight, b"L"] if weight in _WEIGHTS:
            return garbled("logical_error", frame)
        case [(b"ES" | b"ET" | b"EL") as error]:
            return garbled(_ERRORS[error], frame)
        case [other, status, *_] if status in _OTHER_STATUSES and _OTHER.fullmatch(other):
            return _identity(frame)
    return garbled("noise", frame)


def _weight(frame: bytes, stable: bool, number: bytes, unit: str) -> Weight | Garbled:
    if number == b"Error" or _NO_DISPLAY.fullmatch(number):
        return _NOTHING_NOW
    if unit not in UNIT_NG:
        return garbled("unit", frame)
    mass = shown_mg(number.decode(), unit) if len(number) <= _NUMBER_MAX_CHARS else None
    return garbled("number", frame) if mass is None else Weight(mass, stable)


def _identity(frame: bytes) -> DeviceState | None:
    found = _SERIAL.fullmatch(frame)
    serial = found[1].decode().strip() if found else ""
    return DeviceState("up", "identified", f"sics:{serial}") if serial else None


def decoder(options: Options) -> framing.FrameDecoder:
    """Bytes in, weights out. CR and LF both end a line, so noise costs one line, not two."""
    split = framing.Lines((b"\r", b"\n"), _LINE_MAX_BYTES)
    return framing.FrameDecoder(split, lambda frame: decode(frame, options))


async def read(link: Link, options: Options) -> AsyncGenerator[Body, None]:
    """Who the scale is, then weights until it is lost or silent; then raises DeviceLost.

    The serial number is asked for before the stream: some scales end a stream at any command.
    """
    poll_hz = 0 if options.command == "SIR" else options.rate_hz
    command = options.command.encode() + b"\r\n"
    scale = answers(link, decoder(options), command, poll_hz, opening=b"I4\r\n")
    async with aclosing(scale):
        async for body in scale:
            yield body
