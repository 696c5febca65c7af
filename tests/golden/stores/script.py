"""What happens in a shop, told in lines a store manager can read, to the readings of a trace.

    12.5  scan till-1 {Jar}           text of the label; {Name} is a product's GTIN-13, {GS} FNC1
          scan dock-1 01{Jar14}10L1 aim=]C1 mode=receive        {Name14} is the GTIN-14
    30    line pos-1 R1/1 Jar 2 sale  a line of a till's receipt; also return, void
    40    device scale-a1 up identity=usb:0403:6001:A    which hardware it is
    0     count a1 Jar 10 [lot=L1]     a stocktake command: ten pieces (3.25 would be kilograms)
    0     writeoff a1 Jar 1 damaged    and `adjust a1 Jar -1 other`
    5     begin a1 b1 [by=rfid]        a stocktake of places (none: of all); `finish 5 [zero=1]` and
    90    cancel 5                     `cancel 5` name it by the second in which it began
    30    tags rfid-1/2 Cup 1-5 for=30 serials 1 to 5 of Cup before antenna 2, read every second
    0     mode hand-1 restock [location=back] [ref=D7]
    0     quantity till-1 6            void 5 (a seq)   tare scale-a1   device scale-a1 down
    5     zero scale-a1                staff say that the plate is empty
    10    put scale-a1 500 [over=5]    grams that come to lie on the plate, in so many seconds
    20    take scale-a1 500            grams that leave it
    30    touch scale-a1 200 for=1     a hand that presses and goes
    40    flag scale-a1 over for=1     the scale says so instead of a mass
    50    noise scale-a1 1.0           standard deviation in grams from here on (default 0.2)
    60    drift scale-a1 0.01          grams per second from here on
    70    quiet scale-a1 for=30        keeps the scale talking when nothing happens to it
    80    stick scale-a1 for=40        its cell fails: one constant value
    99    end                          moves time; 30d28800 is thirty days and eight hours
          put hub-1/2 500              channel 2 of a controller of several plates

Scales speak ten times a second, from five seconds before until five after anything that happens to
them; in between they are silent. Integers only, so every machine makes the same trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET

from gateway.domain.reading import (
    Adjust,
    Body,
    Command,
    DeviceState,
    PosLine,
    Quantity,
    Reading,
    Scan,
    SetMode,
    Stocktake,
    StocktakeCancel,
    StocktakeFinish,
    StocktakeStart,
    Tag,
    Tare,
    Void,
    Weight,
    Writeoff,
    Zero,
)

SECOND = 1_000_000_000
MILLI = SECOND // 1000
TICK = SECOND // 10
AROUND = 5 * SECOND
START = 1_780_300_800 * SECOND
"""2026-06-01 08:00 UTC."""


def milli(text: str) -> int:
    """A decimal numeral of at most three places, in thousandths."""
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, part = text.partition(".")
    return sign * (int(whole or 0) * 1000 + int((part + "000")[:3]))


@dataclass
class Plate:
    """The truth about one scale: changes of its load over time."""

    ramps: list[tuple[int, int, int]] = field(default_factory=list)
    """(from, to, milligrams)"""
    touches: list[tuple[int, int, int]] = field(default_factory=list)
    flags: list[tuple[int, int, str]] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)
    stuck: list[tuple[int, int]] = field(default_factory=list)
    drift: list[tuple[int, int]] = field(default_factory=list)
    awake: list[tuple[int, int]] = field(default_factory=list)
    states: list[tuple[int, bool]] = field(default_factory=list)
    base_mg: int = 20_000_000

    def happened(self, start: int, end: int) -> None:
        self.awake.append((start - AROUND, end + AROUND))

    def mass_mg(self, at: int, noise: int) -> int:
        mass = self.base_mg
        for start, end, change in self.ramps:
            if at >= end:
                mass += change
            elif at > start:
                mass += change * (at - start) // (end - start)
        mass += sum(press for start, end, press in self.touches if start <= at < end)
        for n, (start, rate) in enumerate(self.drift):
            stop = self.drift[n + 1][0] if n + 1 < len(self.drift) else at
            if at > start:
                mass += rate * (min(at, stop) - start) // SECOND
        sigma = next((sigma for start, sigma in reversed(self.noise) if start <= at), 200)
        return mass + sigma * noise // 1000

    def readings(self, name: str) -> Iterator[Reading]:
        state = sum(name.encode()) * 7919
        ticks = sorted(
            {t for a, b in self.awake for t in range(a // TICK, b // TICK + 1) if t * TICK >= START}
        )
        for tick in ticks:
            noise = 0
            for _ in range(12):  # the sum of twelve is nearly normal, with a deviation of one
                state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
                noise += (state >> 33) % 1001 - 500
            at = tick * TICK
            if not next((up for start, up in reversed(self.states) if start <= at), True):
                continue
            flag = next((flag for a, b, flag in self.flags if a <= at < b), None)
            device, _, channel = name.partition("/")
            plate = int(channel) if channel else UNSET
            mass_mg = 0 if flag else self.mass_mg(at, noise)
            if any(a <= at < b for a, b in self.stuck):
                mass_mg = self.base_mg
            yield Reading(at, device, Weight(mass_mg, None, (flag,) if flag else (), plate))


class Script:
    """A script read with the names of a catalogue."""

    def __init__(self, text: str, gtins: Mapping[str, str]) -> None:
        self._gtins = gtins
        self._plates: dict[str, Plate] = {}
        self._said: list[Reading] = []
        at = START
        for raw in text.splitlines():
            line = raw.partition("#")[0].rstrip()
            if not line:
                continue
            words = line.split()
            if not line[0].isspace():
                at = START + milli_seconds(words.pop(0))
            options = dict(w.split("=", 1) for w in words if "=" in w and not w.startswith("="))
            self._line(at, [w for w in words if "=" not in w], options)
            self._end = at

    def readings(self) -> list[Reading]:
        """All readings in order of time; at equal times scales speak last."""
        out = list(self._said)
        for name, plate in sorted(self._plates.items()):
            out += [r for r in plate.readings(name) if r.at_ns <= self._end]
        return sorted(out, key=lambda r: r.at_ns)

    def _say(self, at: int, device: str, body: Body) -> None:
        self._said.append(Reading(at, device, body))

    def _line(self, at: int, words: list[str], options: dict[str, str]) -> None:
        verb, *args = words
        if verb in ("put", "take", "touch", "flag", "noise", "drift", "quiet", "stick"):
            self._weight(at, verb, self._plates.setdefault(args[0], Plate()), args[1:], options)
        elif verb == "scan":
            names = {"GS": "\x1d"}
            for name, gtin in self._gtins.items():
                names |= {name: gtin[1:], f"{name}14": gtin}
            text = args[1].format(**names)
            self._say(at, args[0], Scan(text, options.get("aim"), options.get("mode")))  # type: ignore[arg-type]
        elif verb == "line":
            receipt, number = args[1].split("/")
            gtin, qty, action = self._gtin(args[2]), milli(args[3]), args[4]
            line = int(number) if number.isdigit() else number
            self._say(at, args[0], PosLine(receipt, line, gtin, qty, action))  # type: ignore[arg-type]
        elif verb == "device":
            who = options.get("identity", UNSET)
            self._say(at, args[0], DeviceState(args[1], "script", who))  # type: ignore[arg-type]
            if args[0].startswith("scale-"):
                plate = self._plates.setdefault(args[0], Plate())
                plate.states.append((at, args[1] == "up"))
                plate.happened(at, at)
        elif verb == "tags":
            self._tags(at, args, milli_seconds(options["for"]))
        elif verb == "end":
            self._say(at, "clock", DeviceState("up", "time goes on"))
        else:
            self._say(at, "console", Command(self._order(verb, args, options)))

    def _order(self, verb: str, args: list[str], options: dict[str, str]) -> object:  # type: ignore[return]
        lot = options.get("lot")
        match verb:
            case "count":
                return Stocktake(args[0], self._gtin(args[1]), milli(args[2]), lot)
            case "writeoff":
                return Writeoff(args[0], self._gtin(args[1]), milli(args[2]), args[3], lot)
            case "adjust":
                return Adjust(args[0], self._gtin(args[1]), milli(args[2]), args[3], lot)
            case "mode":
                return SetMode(args[0], args[1], options.get("location"), options.get("ref"))  # type: ignore[arg-type]
            case "quantity":
                return Quantity(args[0], int(args[1]))
            case "void":
                return Void(int(args[0]))
            case "tare":
                return Tare(args[0])
            case "zero":
                return Zero(args[0])
            case "begin":
                return StocktakeStart(tuple(args), options.get("by", "scan"))  # type: ignore[arg-type]
            case "finish":
                return StocktakeFinish(stocktake(args[0]), "zero" in options)
            case "cancel":
                return StocktakeCancel(stocktake(args[0]))

    def _tags(self, at: int, args: list[str], length: int) -> None:
        device, antenna = args[0].split("/")
        first, last = args[2].split("-")
        for serial in range(int(first), int(last) + 1):
            epc = sgtin_96(self._gtin(args[1]), serial)
            for moment in range(at + serial * MILLI, at + length, SECOND):
                self._say(moment, device, Tag(epc, int(antenna), -5500))

    def _gtin(self, name: str) -> str:
        return self._gtins.get(name, name)

    def _weight(
        self, at: int, verb: str, plate: Plate, args: list[str], options: dict[str, str]
    ) -> None:
        length = milli_seconds(options.get("over", options.get("for", "0.2")))
        plate.happened(at, at + length)
        match verb:
            case "put":
                plate.ramps.append((at, at + length, milli(args[0])))
            case "take":
                plate.ramps.append((at, at + length, -milli(args[0])))
            case "touch":
                plate.touches.append((at, at + length, milli(args[0])))
            case "flag":
                plate.flags.append((at, at + length, args[0]))
            case "noise":
                plate.noise.append((at, milli(args[0])))
            case "drift":
                plate.drift.append((at, milli(args[0])))
            case "stick":
                plate.stuck.append((at, at + length))


def stocktake(second: str) -> str:
    """The number of the stocktake that began then."""
    return f"C-{(START + milli_seconds(second)) // MILLI}"


def sgtin_96(gtin: str, serial: int) -> str:
    """The tag of one unit; company prefix of seven digits (EPC Tag Data Standard, SGTIN-96)."""
    company, item = int(gtin[1:8]), int(gtin[0] + gtin[8:13])
    bits = 0x30 << 88 | 1 << 85 | 5 << 82 | company << 58 | item << 38 | serial
    return f"{bits:024X}"


def milli_seconds(text: str) -> int:
    """Seconds with up to nine places, or 30d12.5, in nanoseconds."""
    days, _, text = text.rpartition("d")
    whole, _, part = text.partition(".")
    return int(days or 0) * 86_400 * SECOND + int(whole or 0) * SECOND + int((part + "0" * 9)[:9])
