r"""Scales that send a line of text per weight: A&D, CAS, OHAUS, Sartorius, hubs of several plates.

Source: the makers' manuals, named in `_line_presets` beside the pattern of each.

    S T , + 0 0 1 2 3 . 4 5 _ _ g CR LF     A&D: ST stable, US unstable, OL over
    _ _ _ _ 1 2 3 . 4 5 _ g _ _ ? CR LF     OHAUS: ? unstable
    + _ _ 1 2 3 . 4 5 _ g _ _ CR LF         Sartorius SBI: the unit only when stable
    C H 0 1 , S T , + 0 0 1 2 3 4 g CR LF   a hub: one line per plate, or all plates in one line

A pattern of one's own is a Python regular expression with these named parts; it must match a whole
line, or, when it has a `channel`, whole pieces of it between commas, semicolons, tabs or spaces:

    mass      digits, a sign, a point or comma; needed     unit    else the option `unit`
    stable    there: at rest     motion    there: not at rest     over, under, zero, error    flags
    channel   number of the plate     skip    there: the line says nothing of the plate

A plate that is wrong spoils its own reading, not those beside it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from drivers import framing
from drivers._display import DECIMALS_MAX, shown_mg
from drivers._line_presets import LAYOUTS, Layout
from drivers._patterns import pattern_fault
from drivers._polling import answers
from drivers.base import DeviceMisconfigured, Link
from gateway.domain.ids import LOCATION_ID
from gateway.domain.reading import FLAGS, Body, Garbled, Weight, garbled

SCHEMES: Final = ("serial", "tcp")
REASONS: Final = (
    *framing.REASONS,
    "noise",  # no line of this maker; or the port's bytesize and parity are not the scale's
    "number",  # a weight whose number is none, or is more than any scale carries
    "unit",  # a weight in a unit that is no mass we know: pieces, percent
    "channel",  # a plate that is not in `channels`
)

LINE_MAX_BYTES: Final = 128
"""Of a line of one plate, and of any line that a pattern of people's own must match."""
HUB_LINE_MAX_BYTES: Final = 1024
PLATES_MAX: Final = 64
POLL_MAX_BYTES: Final = 32

_UNITS: Final = {unit.lower(): unit for unit in ("mg", "g", "kg", "t", "ct", "lb", "oz", "ozt")} | {
    "lbs": "lb",
    "gm": "g",
}
_PADDING: Final = "".join(map(chr, range(0x21)))
_BETWEEN: Final = ",;\t "
_COLUMNS: Final = re.compile(r"[,;\t]")
_ESCAPES: Final = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_NO_NUMBER: Final = frozenset(("over", "under", "error"))
_CHANNEL: Final = re.compile(r"\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    preset: Literal["generic", "and", "cas", "ohaus", "sbi", "channels", "columns"] = "generic"
    pattern: str = ""  # overrules the preset: a regular expression with the parts named above
    unit: Literal["g", "kg", "mg", "lb", "oz"] = "g"  # of a line that names none
    decimals: int = 0  # places behind a point that the scale does not send; 0 to 6
    # location of each plate of a hub by its channel number, from 1
    channels: Mapping[str, str] = field(default_factory=dict)
    poll: str = ""  # text that asks for a weight, with \r \n \t \xNN; "" = the scale streams
    rate_hz: int = 20  # weights a second and plate: polled, or of the stream as set; 1 to 100

    def __post_init__(self) -> None:
        if self.pattern and (fault := pattern_fault(self.pattern)):
            raise DeviceMisconfigured(f"pattern: {fault}")
        if not 0 <= self.decimals <= DECIMALS_MAX:
            raise DeviceMisconfigured(f"decimals = {self.decimals} is not from 0 to {DECIMALS_MAX}")
        numbers = [_channel(number) for number in self.channels]
        if len(set(numbers)) < len(numbers) or len(numbers) > PLATES_MAX:
            raise DeviceMisconfigured(f"channels: each once, and at most {PLATES_MAX}")
        for place in self.channels.values():
            if not LOCATION_ID.fullmatch(place):
                raise DeviceMisconfigured(f"channels: {place!r} is no location id")
        _poll_bytes(self.poll)
        if not 1 <= self.rate_hz <= 100:
            raise DeviceMisconfigured(f"rate_hz = {self.rate_hz} is not from 1 to 100")


def _channel(number: str) -> int:
    if not _CHANNEL.fullmatch(number) or int(number) == 0:
        raise DeviceMisconfigured(f"channels: {number!r} is no channel number from 1 to 999")
    return int(number)


def _poll_bytes(text: str) -> bytes:
    def plain(escape: re.Match[str]) -> str:
        if escape[1]:
            return chr(int(escape[1], 16))
        if escape[2] not in _ESCAPES:
            raise DeviceMisconfigured(rf"poll: {escape[0]!r} is none of \r \n \t \\ \xNN")
        return _ESCAPES[escape[2]]

    said = _ESCAPE.sub(plain, text)
    if not said.isascii() or len(said) > POLL_MAX_BYTES:
        raise DeviceMisconfigured(f"poll: more than {POLL_MAX_BYTES} characters, or not ASCII")
    return said.encode()


def _layout(options: Options) -> Layout:
    if not options.pattern:
        return LAYOUTS[options.preset]
    named = "(?P<channel>" in options.pattern
    return Layout("the configuration", options.pattern, "named" if named else "one")


class Decoder:
    """Bytes in, weights out: a line may tell of several plates."""

    def __init__(self, options: Options) -> None:
        layout = _layout(options)
        one_plate = layout.plates == "one" or bool(options.pattern)
        # CR and LF both end a line, so noise costs one line, not two
        self._split = framing.Lines(
            (b"\r", b"\n"), LINE_MAX_BYTES if one_plate else HUB_LINE_MAX_BYTES
        )
        pattern = f"(?:{layout.pattern})"
        if layout.plates == "named":
            pattern = f"(?<![^{_BETWEEN}]){pattern}(?![^{_BETWEEN}])"
        self._pattern = re.compile(pattern, re.ASCII)
        self._plates = layout.plates
        self._words = frozenset(self._pattern.groupindex)
        self._known = frozenset(map(int, options.channels))
        self._options = options
        self._columns_before = 0

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order. Never raises."""
        return self._bodies(self._split.feed(chunk))

    def end(self) -> list[Body]:
        """Readings for what was left; then ready for another stream. Never raises."""
        bodies = self._bodies(self._split.end())
        self._columns_before = 0
        return bodies

    def _bodies(self, frames: list[bytes | Garbled]) -> list[Body]:
        bodies: list[Body] = []
        for frame in frames:
            if isinstance(frame, Garbled):
                bodies.append(frame)
            else:
                told = self._line(frame.decode("latin-1"))
                bodies.extend(body for body in told if body is not None)
        return bodies

    def _line(self, text: str) -> Iterable[Body | None]:
        if self._plates == "columns":
            return self._columns(text.strip(_PADDING.replace("\t", "")))
        line = text.strip(_PADDING)
        if self._plates == "named":
            return self._named(line)
        return [self._whole(line)] if line else []

    def _columns(self, line: str) -> Iterable[Body | None]:
        if not line:
            return []
        cells = _COLUMNS.split(line)
        # a line that was cut, or joined to the rest of one, has its plates in the wrong columns
        whole = max(self._known, default=1) <= len(cells) <= PLATES_MAX
        if whole:
            before, self._columns_before = self._columns_before, len(cells)
            whole = before in (0, len(cells))
        if not whole:
            return [_garbled("noise", line)]
        return [self._whole(cell, channel) for channel, cell in enumerate(cells, 1)]

    def _named(self, line: str) -> Iterator[Body | None]:
        at = 0
        for found in self._pattern.finditer(line):
            yield _leftover(line[at : found.start()])
            yield self._reading(found, None)
            at = found.end()
        yield _leftover(line[at:])

    def _whole(self, text: str, channel: int | None = None) -> Body | None:
        found = self._pattern.fullmatch(text.strip(_PADDING))
        return self._reading(found, channel) if found else _garbled("noise", text)

    def _reading(self, found: re.Match[str], channel: int | None) -> Body | None:
        parts = {name: text for name, text in found.groupdict().items() if text}
        if "skip" in parts:
            return None
        if number := parts.get("channel", ""):
            channel = int(number) if _CHANNEL.fullmatch(number) else 0
        if channel is not None and channel not in self._known:
            return _garbled("channel", found[0])
        plate = msgspec.UNSET if channel is None else channel
        flags = tuple(flag for flag in FLAGS if flag in parts)
        if not _NO_NUMBER.isdisjoint(flags):
            return Weight(0, self._stable(parts), flags, plate)
        said = parts.get("unit", "").strip()
        unit = _UNITS.get(said.lower(), "") if said else self._options.unit
        if not unit:
            return _garbled("unit", found[0])
        shown = parts.get("mass", "").replace(",", ".")
        mass_mg = shown_mg(shown, unit, self._options.decimals)
        if mass_mg is None:
            return _garbled("number", found[0])
        return Weight(mass_mg, self._stable(parts), flags, plate)

    def _stable(self, parts: Mapping[str, str]) -> bool | None:
        """As the line says; where it has a word for one state alone, silence is the other."""
        if "motion" in parts or "stable" in parts:
            return "motion" not in parts
        words = self._words & {"motion", "stable"}
        if len(words) != 1 or not _NO_NUMBER.isdisjoint(parts):
            return None
        return words == {"motion"}


def _garbled(reason: str, text: str) -> Garbled:
    return garbled(reason, text.encode("latin-1"))


def _leftover(text: str) -> Garbled | None:
    rest = text.strip(_BETWEEN + _PADDING)
    return _garbled("noise", rest) if rest else None


def decoder(options: Options) -> Decoder:
    """Bytes in, weights out."""
    return Decoder(options)


async def read(link: Link, options: Options) -> AsyncGenerator[Body, None]:
    """Weights until the scale is lost or silent; then raises DeviceLost."""
    poll = _poll_bytes(options.poll)
    scale = answers(link, decoder(options), poll, options.rate_hz if poll else 0)
    async with aclosing(scale):
        async for body in scale:
            yield body
