"""Scales that send lines of text, and hubs that send several plates, from their makers' manuals.

    and        ST,+00123.45  g    US,-00000.12  g    OL,+9999999E+19
    cas        ST,GS,<id><lamps>,   13.5 kg          22 bytes
    ohaus        123.45 g          -   12.73 g   ?
    sbi        +  123.56 g        +  123.56          the unit at rest only
    plain        123.5 g                             nothing else
    channels   CH01,ST,+001234g     one line per plate, or all in one
    columns    +001234g,-000012g    all plates in one line

Here: the instruments, pure: commands in, lines out. Not here: the plate's physics (`plate`), the
port (`ports`), and nothing that reads such lines. Source: A&D GX-A/GF-A communication manual 7-2
and commands Q, SI; CAS CI-600D manual 10-1; OHAUS Defender 3000 manual 5.1, 5.2 (P, IP); Sartorius
Master series manual p. 79 and SBI commands (ESC P).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from drivers.sim.indicator import Cell, Indicator

Maker = Literal["and", "cas", "ohaus", "sbi", "plain"]
HEARD_BYTES_MAX: Final = 64
PRINT_COMMANDS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "and": (b"Q", b"SI"),
    "cas": (),
    "ohaus": (b"P", b"IP"),
    "sbi": (b"\x1bP",),
    "plain": (),
}
CAS_ID: Final = "1"


def _decimal(digits: int, places: int) -> str:
    whole, part = divmod(abs(digits), 10**places)
    return f"{whole}.{part:0{places}d}" if places else str(whole)


def and_line(scale: Indicator, places: int, unit: str) -> bytes:
    """15 characters: header, sign and eight places with leading zeros, unit of three."""
    if scale.outside:
        return f"OL,{scale.outside}9999999E+19".encode()
    sign = "-" if scale.net < 0 else "+"
    head = "ST" if scale.stable else "US"
    return f"{head},{sign}{_decimal(scale.net, places).zfill(8)}{unit:>3}".encode()


def cas_line(scale: Indicator, places: int, unit: str) -> bytes:
    """22 bytes with CR LF: state, gross or net, device id, lamps, eight places, unit of two."""
    stable, netted = scale.stable, bool(scale.tare)
    lamps = 0x80 | stable << 6 | (not netted) << 2 | netted << 1 | (abs(scale.gross) == 0)
    head = "OL" if scale.outside else "ST" if stable else "US"
    sign = "-" if scale.net < 0 else ""
    text = " " * 8 if scale.outside else f"{sign + _decimal(scale.net, places):>8}"
    gross = "NT" if netted else "GS"
    return f"{head},{gross},{CAS_ID}".encode() + bytes([lamps]) + f",{text} {unit:>2}".encode()


def ohaus_line(scale: Indicator, places: int, unit: str) -> bytes:
    """Polarity, space, seven places, unit of five, `?` in motion, legend of three."""
    if scale.outside:
        return b"Err 8.3" if scale.outside == "+" else b"Err 8.4"
    sign = "-" if scale.net < 0 else " "
    motion = " " if scale.stable else "?"
    legend = "NET" if scale.tare else "G"
    return f"{sign} {_decimal(scale.net, places):>7} {unit:<5}{motion}{legend:<3}".encode()


def sbi_line(scale: Indicator, places: int, unit: str) -> bytes:
    """16 characters with CR LF: sign, ten places with a space before them, unit of three."""
    if scale.outside:
        return b"    High      " if scale.outside == "+" else b"    Low       "
    sign = "-" if scale.net < 0 else "+"
    return f"{sign}{_decimal(scale.net, places):>9} {unit if scale.stable else '':<3}".encode()


def plain_line(scale: Indicator, places: int, unit: str) -> bytes:
    """A number and its unit, as cheap scales print it; outside its range it shows nothing."""
    if scale.outside:
        return b""
    sign = "-" if scale.net < 0 else ""
    return f"{sign + _decimal(scale.net, places):>8} {unit}".encode()


_LINES: Final[Mapping[str, Callable[[Indicator, int, str], bytes]]] = {
    "and": and_line,
    "cas": cas_line,
    "ohaus": ohaus_line,
    "sbi": sbi_line,
    "plain": plain_line,
}


class _Commands:
    """Bytes to commands, which CR, LF or both end; ESC commands need no end."""

    def __init__(self) -> None:
        self._heard = b""

    def hear(self, heard: bytes) -> list[bytes]:
        """The commands that these bytes complete."""
        text = (self._heard + heard).replace(b"\r", b"\n").replace(b"\x1bP", b"\x1bP\n")
        *commands, rest = text.split(b"\n")
        self._heard = rest[-HEARD_BYTES_MAX:]
        return [command for command in commands if command]


class LineScale:
    """One instrument: `tick` takes a sample, and says a line when it streams or is asked."""

    def __init__(
        self,
        plate: Cell,
        max_kg: float,
        rate_hz: int,
        noise_g: float,
        maker: Maker = "and",
        *,
        streams: bool = True,
        digit_g: float = 1.0,
        end: bytes = b"\r\n",
        unit: Literal["", "g", "kg"] = "",
    ) -> None:
        """`streams`: set to continuous output; else it answers to its maker's print command.

        `unit`: what it shows; "": up to 3 kg grams, else kilograms.
        """
        self.indicator = Indicator(plate, max_kg, digit_g, rate_hz, noise_g)
        places = max(0, len(f"{digit_g:.6f}".rstrip("0").partition(".")[2]))
        self._unit = unit or ("g" if max_kg <= 3 else "kg")
        self._places = places if self._unit == "g" else places + 3
        self._line = _LINES[maker]
        self._asks = PRINT_COMMANDS[maker]
        self._streams = streams
        self._end = end
        self._commands = _Commands()

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the plate, and says what is due."""
        self.indicator.sample(at_s)
        asked = sum(command in self._asks for command in self._commands.hear(heard))
        lines = asked + self._streams
        return (self._line(self.indicator, self._places, self._unit) + self._end) * lines


class ShelfHub:
    """Several plates on one port, in grams: `tick` samples them all and says every one."""

    def __init__(
        self,
        plates: Mapping[int, Cell],
        max_kg: float,
        rate_hz: int,
        noise_g: float,
        layout: Literal["lines", "tagged", "columns"] = "lines",
        *,
        poll: bytes = b"",
        separator: str = ",",
    ) -> None:
        """`plates` by channel, from 1. `lines`: a line per plate; `tagged` and `columns`: one.

        `poll`: a command that is waited for; empty: it streams. Columns without a plate are empty.
        """
        self._plates = {
            channel: Indicator(plate, max_kg, 1.0, rate_hz, noise_g)
            for channel, plate in sorted(plates.items())
        }
        self._layout = layout
        self._poll = poll
        self._separator = separator
        self._commands = _Commands()
        self.failed: set[int] = set()
        """Channels whose cell is not there, for a test."""

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the plates, and says what is due."""
        for plate in self._plates.values():
            plate.sample(at_s)
        asked = self._commands.hear(heard)
        times = asked.count(self._poll) if self._poll else 1
        return self._said().encode("ascii") * times

    def _said(self) -> str:
        if self._layout == "columns":
            cells = [self._cell(channel) for channel in range(1, max(self._plates) + 1)]
            return self._separator.join(cells) + "\r\n"
        plates = [f"CH{channel:02d},{self._state(channel)}" for channel in self._plates]
        if self._layout == "tagged":
            return self._separator.join(plates) + "\r\n"
        return "".join(f"{plate}\r\n" for plate in plates)

    def _state(self, channel: int) -> str:
        plate = self._plates[channel]
        if channel in self.failed:
            return "ERR"
        if plate.outside:
            return f"OL,{plate.outside}"
        return f"{'ST' if plate.stable else 'US'},{plate.net:+07d}g"

    def _cell(self, channel: int) -> str:
        plate = self._plates.get(channel)
        if plate is None:
            return ""
        if channel in self.failed:
            return "------"
        return f"OL{plate.outside}" if plate.outside else f"{plate.net:+07d}g"
