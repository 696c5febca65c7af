"""A Mettler-Toledo scale: MT-SICS level 0 and the tare commands of level 1, from the manual.

    S S      1.243 kg CR LF        identifier, status, value (10 characters, right-aligned), unit

Status: S stable, D dynamic, I not executable, + over, - under the range. Commands end with CR LF;
nonsense is answered `ES`. Here: the instrument, pure: commands in, answers out. Not here: the
plate's physics (`plate`), the port (`ports`), and nothing that reads such lines.
Source: MT-SICS Reference Manual, "Command formats" and "Commands and responses".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from drivers.sim.plate import Plate

COMMAND_BYTES_MAX: Final = 64
PENDING_MAX: Final = 8
TIME_OUT_S: Final = 3.0
"""A command that needs stability gives up after this long with status I."""
RANGES_KG: Final = (3, 6, 15, 30, 60, 150)
STABLE_DIGITS: Final = 3
ZERO_SHARE: Final = 50
"""Zero may be set within a fiftieth (2 %) of the range."""
OVER_DIGITS: Final = 9
VERSION: Final = "1.00"
COMMANDS: Final = (
    *((0, name) for name in ("@", "I0", "I1", "I2", "I3", "I4", "S", "SI", "SIR", "Z", "ZI")),
    *((1, name) for name in ("T", "TA", "TAC", "TI")),
)


def range_kg(full_g: float) -> int:
    """The smallest usual range that a plate full of goods uses to two thirds, in kilograms."""
    return next((kg for kg in RANGES_KG if kg * 1000.0 >= 1.5 * full_g), RANGES_KG[-1])


class SicsScale:
    """One instrument: `tick` takes a sample, hears commands, and says what is due."""

    def __init__(self, plate: Plate, max_kg: int, rate_hz: int, noise_g: float, serial: str):
        """`noise_g`: what the place shakes, to which the installer set the stability detector."""
        self._plate = plate
        self._serial = serial
        self._max_kg = max_kg
        self._fine = max_kg < RANGES_KG[1]
        self._digit_g = 0.1 if self._fine else 1.0
        self._span = max(STABLE_DIGITS, round(8.0 * noise_g / self._digit_g))
        self._last: deque[int] = deque(maxlen=max(2, rate_hz))
        self._full_memory = max(2, rate_hz)
        self._zero = 0
        self._tare = 0
        self._heard = b""
        self._repeat = False
        self._waiting: deque[tuple[str, float]] = deque(maxlen=PENDING_MAX)
        self._answers: dict[str, Callable[[], str]] = {
            "I1": lambda: 'I1 A "0" "2.30" "" "" ""',
            "I2": lambda: f'I2 A "SIM-{self._max_kg} {self._max_kg}.000 kg"',
            "I3": lambda: f'I3 A "{VERSION}"',
            "I4": lambda: f'I4 A "{self._serial}"',
            "SI": lambda: self._weight("S", self._net(), "D"),
            "ZI": self._zero_now,
            "TI": self._tare_now,
            "TA": lambda: self._mass("TA A", self._tare),
            "TAC": self._clear_tare,
        }

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples the plate, answers what was heard, and streams if asked to."""
        self._last.append(round(self._plate.sample_g(at_s) / self._digit_g))
        said = self._hear(heard, at_s)
        while self._waiting and (answer := self._settled(*self._waiting[0], at_s)):
            self._waiting.popleft()
            said.append(answer)
        if self._repeat:
            said.append(self._weight("S", self._net(), "D"))
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
            self._repeat = False
            self._waiting.clear()
            return [f'I4 A "{self._serial}"']
        if command == "I0":
            rows = [f'{level} "{name}"' for level, name in COMMANDS]
            return [f"I0 B {row}" for row in rows[:-1]] + [f"I0 A {rows[-1]}"]
        if command in ("S", "SI", "SIR"):
            # each of these ends a repeat that is running
            self._repeat = command == "SIR"
        if command == "SIR":
            return []
        if command in ("S", "Z", "T"):
            if len(self._waiting) == PENDING_MAX:
                return [f"{command} I"]
            self._waiting.append((command, at_s + TIME_OUT_S))
            return []
        answer = self._answers.get(command)
        return ["ES" if answer is None else answer()]

    def _settled(self, command: str, until_s: float, at_s: float) -> str | None:
        """The answer of a command that waits for stability; None while it waits."""
        if not self._stable() and self._range() == "":
            return f"{command} I" if at_s >= until_s else None
        if command == "S":
            return self._weight("S", self._net(), "S")
        if self._range():
            return f"{command} {self._range()}"
        if command == "T":
            self._tare = self._gross()
            return self._mass("T S", self._tare)
        return self._zero_now().replace("ZI S", "Z A").replace("ZI", "Z")

    def _stable(self) -> bool:
        full = len(self._last) == self._full_memory
        return full and max(self._last) - min(self._last) <= self._span

    def _gross(self) -> int:
        return self._last[-1] - self._zero

    def _net(self) -> int:
        return self._gross() - self._tare

    def _range(self) -> str:
        """+ or - outside of the range, else nothing."""
        top = round(self._max_kg * 1000.0 / self._digit_g)
        if self._gross() > top + OVER_DIGITS:
            return "+"
        return "-" if self._gross() < -top // ZERO_SHARE else ""

    def _zero_now(self) -> str:
        outside = self._last[-1] * ZERO_SHARE * self._digit_g
        if abs(outside) > self._max_kg * 1000.0:
            return "ZI +" if outside > 0 else "ZI -"
        self._zero, self._tare = self._last[-1], 0
        return "ZI S" if self._stable() else "ZI D"

    def _tare_now(self) -> str:
        if self._range():
            return f"TI {self._range()}"
        self._tare = self._gross()
        return self._mass("TI S" if self._stable() else "TI D", self._tare)

    def _clear_tare(self) -> str:
        self._tare = 0
        return "TAC A"

    def _weight(self, name: str, digits: int, moving: str) -> str:
        if self._range():
            return f"{name} {self._range()}"
        return self._mass(f"{name} {'S' if self._stable() else moving}", digits)

    def _mass(self, head: str, digits: int) -> str:
        sign = "-" if digits < 0 else ""
        whole, part = divmod(abs(digits), 10 if self._fine else 1000)
        text = f"{sign}{whole}.{part}" if self._fine else f"{sign}{whole}.{part:03d}"
        return f"{head} {text:>10} {'g' if self._fine else 'kg'}"
