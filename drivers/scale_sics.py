"""Mettler-Toledo scales and balances that speak MT-SICS, levels 0 and 1: one line per weight.

Source: Mettler-Toledo MT-SICS reference manual 11780711: "Response formats", "Error messages",
commands S, SI, SIR.

    S _ S _ _ _ _ _ _ 1 . 2 4 3 _ k g CR LF
    |   |   |                   |   unit: mg, g, kg, lb, oz
    |   |   |                   10 characters, right-aligned, sign before the first digit
    |   status: S stable, D dynamic, + overload, - underload, I cannot now, L wrong parameter
    identification: S for the answers to S, SI and SIR
    E S   syntax error (command unknown)     E T   transmission error     E L   logical error

Answers to other commands, which a person may send from the scale's other port, are understood
and say nothing here. In "T S 100.00 g" the number is a tare, not a weight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from drivers import framing
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent, Link
from gateway.domain.reading import Body, Garbled, Weight, garbled
from gateway.domain.units import UNIT_NG, mass_mg

SCHEMES: Final = ("serial", "tcp")
REASONS: Final = (
    *framing.REASONS,
    "noise",  # no answer of this protocol
    "number",  # a weight whose number is none, or is more than any scale carries
    "unit",  # a weight in a unit that is no mass we know
    "syntax_error",  # ES: the scale does not know our command
    "transmission_error",  # ET: the scale received us badly; check parity and cable
    "logical_error",  # EL, S L: the scale knows our command and cannot do it
)

RESEND_MS: Final = 2_000
"""Silence after which the command is sent again: a scale switched off and on forgets SIR."""
LOST_MS: Final = 10_000
"""Silence after which the scale is lost."""

_LINE_MAX_BYTES: Final = 256  # I1 and I2 answers are the longest, under 100
_NUMBER_MAX_CHARS: Final = 10
_MASS_MAX_MG: Final = 10**12  # a thousand tonnes
_ERRORS: Final = {
    b"ES": "syntax_error",
    b"ET": "transmission_error",
    b"EL": "logical_error",
}
_STABLE: Final = {b"S": True, b"D": False}
_SAID: Final = {
    b"+": Weight(0, False, ("over",)),
    b"-": Weight(0, False, ("under",)),
    b"I": Weight(0, None, ("error",)),
}
_OTHER_ANSWERS: Final = frozenset(
    b"C D DW I0 I1 I2 I3 I4 I5 I10 I11 I14 K T TA TAC TI Z ZI".split()
)
_OTHER_STATUSES: Final = frozenset(b"A B I L S D + -".split())


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    # SIR: the scale streams. SI: it is polled. S: it is polled and answers when stable
    command: Literal["SIR", "SI", "S"] = "SIR"
    rate_hz: int = 20  # weights a second: of the stream as set in the scale, or polled; 1 to 100

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= 100:
            raise DeviceMisconfigured(f"rate_hz = {self.rate_hz} is not from 1 to 100")


def decode(frame: bytes, options: Options) -> Weight | Garbled | None:
    """One line to one reading; None for an answer that is no weight. Never raises."""
    del options  # every scale answers alike
    if not frame.isascii() or not frame.decode("ascii").isprintable():
        return garbled("noise", frame)
    match [word for word in frame.split(b" ") if word]:
        case [b"S", (b"S" | b"D") as status, number, unit]:
            return _weight(frame, _STABLE[status], number.decode(), unit.decode())
        case [b"S", (b"+" | b"-" | b"I") as status]:
            return _SAID[status]
        case [b"S", b"L"]:
            return garbled("logical_error", frame)
        case [(b"ES" | b"ET" | b"EL") as error]:
            return garbled(_ERRORS[error], frame)
        case [answer, status, *_] if answer in _OTHER_ANSWERS and status in _OTHER_STATUSES:
            return None
    return garbled("noise", frame)


def _weight(frame: bytes, stable: bool, number: str, unit: str) -> Weight | Garbled:
    if unit not in UNIT_NG:
        return garbled("unit", frame)
    mass = mass_mg(number, unit) if len(number) <= _NUMBER_MAX_CHARS else None
    if mass is None or abs(mass) > _MASS_MAX_MG:
        return garbled("number", frame)
    return Weight(mass, stable)


def decoder(options: Options) -> framing.FrameDecoder:
    """Bytes in, weights out. CR and LF both end a line, so noise costs one line, not two."""
    split = framing.Lines((b"\r", b"\n"), _LINE_MAX_BYTES)
    return framing.FrameDecoder(split, lambda frame: decode(frame, options))


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Weights until the link is lost or silent for LOST_MS; then raises DeviceLost."""
    weights = decoder(options)
    command = options.command.encode() + b"\r\n"
    polled = options.command != "SIR"
    silent_ms = 0
    # the tick runs beside the answer, so that a slow line does not slow the rate
    tick: asyncio.Future[None] | None = None
    try:
        link.write(command)
        while True:
            if polled and tick is None:
                tick = asyncio.ensure_future(link.pause(1000 // options.rate_hz))
            chunk = await link.read_within(RESEND_MS)
            if chunk is None:
                silent_ms = _more_silence(silent_ms)
                link.write(command)
                continue
            silent_ms = 0
            bodies = weights.feed(chunk)
            for body in bodies:
                yield body
            if bodies and tick is not None:
                await tick
                tick = None
                link.write(command)
    except DeviceLost:
        for body in weights.end():
            yield body
        raise
    finally:
        if tick is not None:
            tick.cancel()


def _more_silence(silent_ms: int) -> int:
    silent_ms += RESEND_MS
    if silent_ms >= LOST_MS:
        raise DeviceSilent(f"silent for {LOST_MS // 1000} s")
    return silent_ms
