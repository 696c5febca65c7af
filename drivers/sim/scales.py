"""A Mettler-Toledo scale: MT-SICS levels 0 and 1, and the usual of level 2, from the manual.

    S S      1.243 kg CR LF        identifier, status, value (10 characters, right-aligned), unit

Status: S stable, D dynamic, I not executable, + over, - under the range. Commands end with CR LF;
nonsense is answered `ES`. Here: the instrument, pure: commands in, answers out. Not here: the
plate's physics (`plate`), the port (`ports`), and nothing that reads such lines.
Source: MT-SICS Reference Manual, "Command formats" and "Commands and responses".
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from drivers.sim.indicator import Cell, Indicator

COMMAND_BYTES_MAX: Final = 64
PENDING_MAX: Final = 8
TIME_OUT_S: Final = 3.0
"""A command that needs stability gives up after this long with status I."""
RANGES_KG: Final = (3, 6, 15, 30, 60, 150)
CHANGE_DIGITS: Final = 30
"""Without a threshold, SR and SNR tell of a change by an eighth of the weight, at least this."""
VERSION: Final = "1.00"
COMMANDS: Final = (
    *((0, name) for name in ("@", "I0", "I1", "I2", "I3", "I4", "S", "SI", "SIR", "Z", "ZI")),
    *((1, name) for name in ("D", "DW", "K", "SR", "T", "TA", "TAC", "TI")),
    *((2, name) for name in ("I10", "I11", "SIU", "SNR", "ST", "SU")),
)
_TARE: Final = re.compile(r"TA (\d+(?:\.\d+)?) (k?g)")
_STREAMS: Final = ("SIR", "SR", "SNR")
_STILL: Final = {"S": "S", "SU": "S", "Z": "Z", "T": "T"}
"""Commands that wait for stability, and the identifier of their answer."""


def range_kg(full_g: float) -> int:
    """The smallest usual range that a plate full of goods uses to two thirds, in kilograms."""
    return next((kg for kg in RANGES_KG if kg * 1000.0 >= 1.5 * full_g), RANGES_KG[-1])


class SicsScale:
    """One instrument: `tick` takes a sample, hears commands, and says what is due."""

    def __init__(self, plate: Cell, max_kg: int, rate_hz: int, noise_g: float, serial: str):
        """`noise_g`: what the place shakes, to which the installer set the stability detector."""
        self._fine = max_kg < RANGES_KG[1]
        self._scale = Indicator(plate, max_kg, 0.1 if self._fine else 1.0, rate_hz, noise_g)
        self._serial = serial
        self._heard = b""
        self._stream = ""
        self._told: int | None = None
        """The last stable weight that SR or SNR told; None before the first."""
        self._waiting: deque[tuple[str, float]] = deque(maxlen=PENDING_MAX)
        self._answers: dict[str, Callable[[], str]] = {
            "I1": lambda: 'I1 A "012" "2.30" "2.22" "2.33" ""',
            "I2": lambda: f'I2 A "SIM-{max_kg} {max_kg}.000 kg"',
            "I3": lambda: f'I3 A "{VERSION}"',
            "I4": lambda: f'I4 A "{serial}"',
            "I10": lambda: 'I10 A ""',
            "I11": lambda: f'I11 A "SIM-{max_kg}"',
            "SI": lambda: self._weight("S", self._scale.net, "D"),
            "SIU": lambda: self._weight("S", self._scale.net, "D"),
            "ST": lambda: "ST A 0",
            "D": lambda: "D A",
            "DW": lambda: "DW A",
            "K": lambda: "K A",
            "ZI": self._zero_now,
            "TI": self._tare_now,
            "TA": lambda: self._mass("TA A", self._scale.tare),
            "TAC": self._clear_tare,
        }

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the plate, answers what was heard, and streams if asked to."""
        self._scale.sample(at_s)
        said = self._hear(heard, at_s)
        while self._waiting and (answer := self._settled(*self._waiting[0], at_s)):
            self._waiting.popleft()
            said.append(answer)
        if self._stream:
            said.extend(self._streamed())
        return "".join(line + "\r\n" for line in said).encode("ascii")

    def _hear(self, heard: bytes, at_s: float) -> list[str]:
        *commands, rest = (self._heard + heard).split(b"\n")
        said = []
        if len(rest) > COMMAND_BYTES_MAX:
            rest = b""
            said.append("ET")
        self._heard = rest
        for command in commands:
            said.extend(self._obey(command.removesuffix(b"\r").decode("latin-1"), at_s))
        return said

    def _obey(self, command: str, at_s: float) -> list[str]:
        if command == "@":
            self._stream = ""
            self._waiting.clear()
            return [f'I4 A "{self._serial}"']
        if command == "I0":
            rows = [f'{level} "{name}"' for level, name in COMMANDS]
            return [f"I0 B {row}" for row in rows[:-1]] + [f"I0 A {rows[-1]}"]
        if command in ("S", "SI", "SIU", "SU", *_STREAMS):
            # each of these ends a repeat that is running
            self._stream = command if command in _STREAMS else ""
            self._told = None
        if command in _STREAMS:
            return []
        if command in _STILL:
            if len(self._waiting) == PENDING_MAX:
                return [f"{_STILL[command]} I"]
            self._waiting.append((command, at_s + TIME_OUT_S))
            return []
        if tare := _TARE.fullmatch(command):
            return [self._set_tare(float(tare[1]) * (1000.0 if tare[2] == "kg" else 1.0))]
        word = command.partition(" ")[0]
        if word == "TA" and command != word:
            return ["TA L"]
        answer = self._answers.get(word if word in ("D", "K") else command)
        return ["ES" if answer is None else answer()]

    def _streamed(self) -> list[str]:
        if self._stream == "SIR":
            return [self._weight("S", self._scale.net, "D")]
        scale = self._scale
        if not scale.stable or scale.outside:
            return []
        told, net = self._told, scale.net
        if told is not None and abs(net - told) < max(CHANGE_DIGITS, abs(told) // 8):
            return []
        self._told = net
        return [self._weight("S", net, "D")]

    def _settled(self, command: str, until_s: float, at_s: float) -> str | None:
        """The answer of a command that waits for stability; None while it waits."""
        scale, name = self._scale, _STILL[command]
        if not scale.stable and not scale.outside:
            return f"{name} I" if at_s >= until_s else None
        if name == "S":
            return self._weight("S", scale.net, "S")
        if scale.outside:
            return f"{name} {scale.outside}"
        if name == "T":
            scale.tare = scale.gross
            return self._mass("T S", scale.tare)
        return self._zero_now().replace("ZI S", "Z A").replace("ZI", "Z")

    def _zero_now(self) -> str:
        if self._scale.beyond_zero:
            return f"ZI {self._scale.beyond_zero}"
        self._scale.set_zero()
        return "ZI S" if self._scale.stable else "ZI D"

    def _tare_now(self) -> str:
        scale = self._scale
        if scale.outside:
            return f"TI {scale.outside}"
        scale.tare = scale.gross
        return self._mass("TI S" if scale.stable else "TI D", scale.tare)

    def _set_tare(self, tare_g: float) -> str:
        self._scale.tare = round(tare_g / self._scale.digit_g)
        return self._mass("TA A", self._scale.tare)

    def _clear_tare(self) -> str:
        self._scale.tare = 0
        return "TAC A"

    def _weight(self, name: str, digits: int, moving: str) -> str:
        if self._scale.outside:
            return f"{name} {self._scale.outside}"
        return self._mass(f"{name} {'S' if self._scale.stable else moving}", digits)

    def _mass(self, head: str, digits: int) -> str:
        sign = "-" if digits < 0 else ""
        whole, part = divmod(abs(digits), 10 if self._fine else 1000)
        text = f"{sign}{whole}.{part}" if self._fine else f"{sign}{whole}.{part:03d}"
        return f"{head} {text:>10} {'g' if self._fine else 'kg'}"
