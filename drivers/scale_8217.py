"""Mettler-Toledo 8217 retail scales, and the many that imitate them: polled, one byte a question.

Source: the 8217 protocol as its makers document it: Mettler-Toledo DIVA service manual (PSC
Magellan 8500) 6.1.3 and 6.1.4, Rice Lake BenchPro manual 180557, Brecknell 67xx service manual
table 7.6, Transcell PC-150 manual B.1.4.

    W                      send the weight            H   ... with one more digit
    STX 0 1 . 2 4 3 CR     digits; N behind them: net; some add the unit: k g
    STX ? status CR        no weight to send, and why

    status   7 parity   6 always 1   5 net weight, or always 1   4 center of zero
             3 outside of the zero capture range   2 under zero   1 over capacity   0 in motion

The line is 7E1; the eighth bit is parity. Where the port does not strip it (8N1), it is stripped
here, and a frame with bytes of both parities is `parity`. A scale sends digits only when they are
stable. A status is no number: without `over` or `under` it is an `error`, so that nobody takes its
0 for a mass; only a scale at rest at the center of zero has said 0.

The scale's zero (Z), tare (T) and self-test (A, B) are left alone; what it answers to them, or in
echo mode (E, F), says nothing here. A scale whose self-test failed is silent.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from drivers import framing
from drivers._display import DECIMALS_MAX, shown_mg
from drivers._polling import answers
from drivers.base import DeviceMisconfigured, Link
from gateway.domain.reading import Body, Garbled, Weight, garbled

SCHEMES: Final = ("serial", "tcp")
REASONS: Final = (
    *framing.REASONS,
    "noise",  # no answer of this protocol
    "number",  # a weight whose number is none, or is more than any scale carries
    "parity",  # a byte was bent on its way
)

_ANSWER_MAX_BYTES: Final = 24
_PARITY_BIT: Final = 0x80
# the ends of an answer: CR, CR with its parity bit, and the LF that some imitators add
_ENDS: Final = (b"\r", b"\x8d", b"\n")
_STX: Final = re.compile(rb"[\x02\x82]")
_WEIGHT: Final = re.compile(rb"\x02 *([\d.]{4,8}) *(kg|lb|oz|g)? *N?", re.IGNORECASE)
_OTHER: Final = re.compile(rb"\x02[\x00-\x1f?@-^]?")  # self-test begun, its result, echo on or off
_ALWAYS: Final = 0x40
_MOTION, _OVER, _UNDER, _ZERO = 0x01, 0x02, 0x04, 0x10


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    command: Literal["W", "H"] = "W"  # H: ten times the resolution, where the scale has it
    unit: Literal["kg", "lb", "oz", "g"] = "kg"  # what the scale is set to; it rarely says so
    decimals: int = 0  # places behind a point that the scale does not send; 0 to 6
    rate_hz: int = 5  # questions a second, 1 to 20; the manual allows one in 200 ms

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= DECIMALS_MAX:
            raise DeviceMisconfigured(f"decimals = {self.decimals} is not from 0 to {DECIMALS_MAX}")
        if not 1 <= self.rate_hz <= 20:
            raise DeviceMisconfigured(f"rate_hz = {self.rate_hz} is not from 1 to 20")


def decode(frame: bytes, options: Options) -> Weight | Garbled | None:
    """One answer, without its CR, to one reading; None for one that is no weight. Never raises."""
    plain = _without_parity(frame)
    if plain is None:
        return garbled("parity", frame)
    if plain[:2] == b"\x02?" and len(plain) == 3:
        return _status(plain[2]) if plain[2] & _ALWAYS else garbled("noise", frame)
    found = _WEIGHT.fullmatch(plain)
    if found is not None:
        unit = found[2].decode().lower() if found[2] else options.unit
        mass = shown_mg(found[1].decode(), unit, options.decimals)
        return garbled("number", frame) if mass is None else Weight(mass, True)
    return None if _OTHER.fullmatch(plain) else garbled("noise", frame)


def _without_parity(frame: bytes) -> bytes | None:
    """The frame in 7 bits; None when its bytes do not agree on a parity."""
    # the eighth bit of a status is its parity even where the line has none
    body = frame[:2] if frame[:2] == b"\x02?" and len(frame) == 3 else frame
    if not body.isascii() and len({byte.bit_count() % 2 for byte in frame}) > 1:
        return None
    return bytes(byte & ~_PARITY_BIT for byte in frame)


def _status(status: int) -> Weight:
    flags = [flag for flag, bit in (("over", _OVER), ("under", _UNDER)) if status & bit]
    if status & _ZERO:
        flags.append("zero")
    if status & _MOTION:
        flags.append("motion")
    if flags != ["zero"] and not status & (_OVER | _UNDER):
        flags.append("error")
    return Weight(0, not status & _MOTION, tuple(flags))


class _Answers(framing.Lines):
    """Lines that STX begins anew: what a scale switched off in mid-answer left is cut off."""

    def feed(self, chunk: bytes) -> list[bytes | Garbled]:
        """See `framing.Splitter`."""
        return [part for frame in super().feed(chunk) for part in _begun(frame)]


def _begun(frame: bytes | Garbled) -> list[bytes | Garbled]:
    if isinstance(frame, Garbled):
        return [frame]
    at = max((stx.start() for stx in _STX.finditer(frame)), default=0)
    return [garbled(framing.CUT, frame[:at]), frame[at:]] if at else [frame]


def decoder(options: Options) -> framing.FrameDecoder:
    """Bytes in, weights out."""
    split = _Answers(_ENDS, _ANSWER_MAX_BYTES)
    return framing.FrameDecoder(split, lambda frame: decode(frame, options))


async def read(link: Link, options: Options) -> AsyncGenerator[Body, None]:
    """Weights until the scale is lost or silent; then raises DeviceLost."""
    scale = answers(link, decoder(options), options.command.encode(), options.rate_hz)
    async with aclosing(scale):
        async for body in scale:
            yield body
