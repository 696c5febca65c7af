"""Scales under the shop's places: each configured one, as the instrument that its driver expects.

Here: which instrument, over which plates, on which port. Not here: the instruments themselves
(`scales`, `scale_8217`, `line_scales`, `modbus`), the plates' physics (`plate`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, Protocol, get_args

from drivers.sim import wiring
from drivers.sim.levels import Level
from drivers.sim.line_scales import PRINT_COMMANDS, LineScale, Maker, ShelfHub
from drivers.sim.modbus import Layout, ModbusScale
from drivers.sim.plate import Plate
from drivers.sim.ports import Port
from drivers.sim.scale_8217 import Scale8217
from drivers.sim.scales import SicsScale, range_kg
from drivers.sim.wiring import NotSimulated
from drivers.sim.world import World
from gateway.domain.settings import DeviceSettings

ANSWER_HZ: Final = 20
"""How often an instrument that only answers looks at its port."""
HEAR_S: Final = 0.01
"""A transmitter hears requests this often, between its samples."""
FINE_G, COARSE_G = 0.1, 1.0
UNIT_G: Final = {"mg": 0.001, "g": 1.0, "kg": 1000.0, "lb": 453.59237, "oz": 28.349523125}
STATUS_BITS: Final = {"stable": "0", "over": "1", "under": "2", "zero": "3"}

ModbusType = Literal["int16", "uint16", "int32", "uint32", "float32"]


class Talker(Protocol):
    """An instrument that is sampled and heard in one."""

    def tick(self, at_s: float, heard: bytes = b"") -> bytes:
        """Samples, answers, says what is due."""


class Scale:
    """A scale on its port."""

    def __init__(
        self, device: str, port: Port, plates: Mapping[str, Plate], talker: Talker, rate_hz: int
    ) -> None:
        """`plates` by location."""
        self.device, self.port, self.plates = device, port, plates
        self.every_s = 1.0 / rate_hz
        self._talker = talker

    def tick(self, at_s: float) -> None:
        """One sample, and all that the instrument has to say."""
        said = self._talker.tick(at_s, self.port.read())
        if said:
            self.port.write(said)


class Transmitter:
    """A load-cell transmitter on its port: it answers at once, whenever it samples."""

    every_s: Final = HEAR_S

    def __init__(
        self, device: str, port: Port, plates: Mapping[str, Plate], cells: ModbusScale, rate_hz: int
    ) -> None:
        """`plates` by location."""
        self.device, self.port, self.plates = device, port, plates
        self._cells, self._sample_s, self._due_s = cells, 1.0 / rate_hz, 0.0

    def tick(self, at_s: float) -> None:
        """A sample if it is due, and the answers to what was asked."""
        if at_s >= self._due_s:
            self._cells.sample(at_s)
            self._due_s = at_s + self._sample_s
        said = self._cells.hear(self.port.read())
        if said:
            self.port.write(said)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a device stands under: its plates by number and by location, and their range."""

    plates: Mapping[int, Plate]
    by_location: Mapping[str, Plate]
    max_kg: int


def scale_of(
    device: DeviceSettings, world: World, level: Level, seed: int
) -> Scale | Transmitter | None:
    """The scale that a configured device is; None for another kind. Raises NotSimulated."""
    made = _KINDS.get(device.driver)
    return None if made is None else made(device, _place(device, world, level, seed), level)


def _place(device: DeviceSettings, world: World, level: Level, seed: int) -> _Place:
    numbered = wiring.places(device, "channels") or {1: device.location}
    if len(set(numbered.values())) < len(numbered):
        raise NotSimulated("two of its plates lie under one place")
    plates, full_g = {}, 0.0
    for number, location in sorted(numbered.items()):
        # a name of its own for each plate, and for the only one that of old
        name = device.id if len(numbered) == 1 else f"{device.id}/{number}"
        plates[number] = Plate(level, world.load_g(location), Random(f"plate/{seed}/{name}"))
        full_g = max(full_g, _full_g(world, location))
    by_location = {location: plates[number] for number, location in numbered.items()}
    return _Place(plates, by_location, range_kg(full_g))


def _full_g(world: World, location: str) -> float:
    return sum(
        home.capacity * world.goods.mean_mg(home.gtin) / 1000.0
        for home in world.homes
        if home.location == location
    )


def _sics(device: DeviceSettings, place: _Place, level: Level) -> Scale:
    rate_hz = wiring.rate_hz(device)
    (plate,) = place.plates.values()
    talker = SicsScale(plate, place.max_kg, rate_hz, level.white_g, f"SIM-{device.id}")
    return Scale(device.id, wiring.port_of(device), place.by_location, talker, rate_hz)


def _retail(device: DeviceSettings, place: _Place, level: Level) -> Scale:
    fine, decimals = wiring.text(device, "command") == "H", wiring.whole(device, "decimals", 0)
    unit: Literal["kg", "lb"]
    match wiring.text(device, "unit", "kg"):
        case "kg":
            unit = "kg"
        case "lb":
            unit = "lb"
        case _:
            raise NotSimulated("the simulated 8217 shows kg or lb")
    shown = (3 if unit == "kg" else 2) + fine
    if decimals not in (0, shown):
        raise NotSimulated(f"the simulated 8217 shows {shown} decimals")
    (plate,) = place.plates.values()
    talker = Scale8217(plate, place.max_kg, ANSWER_HZ, level.white_g, unit, point=decimals == 0)
    return Scale(device.id, wiring.port_of(device), place.by_location, talker, ANSWER_HZ)


def _lines(device: DeviceSettings, place: _Place, level: Level) -> Scale:
    if wiring.text(device, "pattern"):
        raise NotSimulated("nobody knows the manual behind a pattern of one's own")
    preset, poll = wiring.text(device, "preset", "generic"), _poll(device)
    rate_hz = max(wiring.rate_hz(device), ANSWER_HZ) if poll else wiring.rate_hz(device)
    talker: Talker
    if preset in ("channels", "columns"):
        if not wiring.places(device, "channels"):
            raise NotSimulated("it has no channels")
        layout: Literal["lines", "columns"] = "lines" if preset == "channels" else "columns"
        talker = ShelfHub(place.plates, place.max_kg, rate_hz, level.white_g, layout, poll=poll)
    else:
        maker = _maker(preset)
        if poll and poll not in PRINT_COMMANDS[maker]:
            raise NotSimulated(f"scales of preset {preset} know no command {poll!r}")
        if len(place.plates) > 1:
            raise NotSimulated(f"scales of preset {preset} have one plate")
        (plate,) = place.plates.values()
        unit = _shown_unit(device, maker, place.max_kg)
        digit_g = FINE_G if unit == "g" else COARSE_G  # there is always a point
        talker = LineScale(
            plate, place.max_kg, rate_hz, level.white_g, maker,
            streams=not poll, digit_g=digit_g, unit=unit,
        )  # fmt: skip
    return Scale(device.id, wiring.port_of(device), place.by_location, talker, rate_hz)


def _shown_unit(device: DeviceSettings, maker: Maker, max_kg: int) -> Literal["g", "kg"]:
    """As its range suggests; in motion SBI names no unit, and it is set to what is configured."""
    if maker != "sbi":
        return "g" if max_kg <= 3 else "kg"
    match wiring.text(device, "unit", "g"):
        case "g":
            return "g"
        case "kg":
            return "kg"
    raise NotSimulated("the simulated SBI scale shows g or kg")


def _maker(preset: str) -> Maker:
    for maker in get_args(Maker):
        if preset == maker:
            return maker  # type: ignore[no-any-return]
    return "plain"


def _poll(device: DeviceSettings) -> bytes:
    r"""The command that asks for a weight, without its end; `\r`, `\xNN` undone."""
    said = wiring.text(device, "poll").encode().decode("unicode_escape").encode("latin-1")
    command = said.rstrip(b"\r\n")
    if command == said and command[:1] != b"\x1b" and command:
        raise NotSimulated("the simulated scale waits for the end of a line")
    return command


def _modbus(device: DeviceSettings, place: _Place, level: Level) -> Transmitter:
    if preset := wiring.text(device, "preset"):
        raise NotSimulated(f"preset {preset} has registers of its own; name them as options")
    bits = device.options.get("status_bits", {})
    status = wiring.whole(device, "status_register", -1)
    if not isinstance(bits, Mapping) or not bits.items() <= STATUS_BITS.items():
        raise NotSimulated(f"the simulated status bits are {STATUS_BITS}")
    by_register = wiring.text(device, "channel_by", "unit") == "register"
    unit, rate_hz = wiring.whole(device, "unit", 1), wiring.rate_hz(device, 10)
    several = bool(wiring.places(device, "channels"))
    cells = place.plates if several else {unit: place.plates[1]}
    type_ = _modbus_type(wiring.text(device, "type"))
    count_g = UNIT_G.get(
        wiring.text(device, "unit_of_mass"), wiring.whole(device, "scale_mg", 1000) / 1000.0
    )
    layout = Layout(
        framing="tcp" if wiring.text(device, "framing") == "tcp" else "rtu",
        by="register" if several and by_register else "unit",
        unit=unit,
        function=4 if wiring.text(device, "function") == "input" else 3,
        register=max(0, wiring.whole(device, "register", 0)),
        type=type_,
        low_word_first=wiring.text(device, "words") == "little",
        stride=wiring.whole(device, "channel_stride", 0),
        status_register=None if status < 0 else status,
        count_g=count_g,
        digit_g=COARSE_G if type_ == "float32" else max(COARSE_G, count_g),
        max_g=place.max_kg * 1000.0,
        noise_g=level.white_g,
        rate_hz=rate_hz,
    )
    port = wiring.port_of(device)
    return Transmitter(device.id, port, place.by_location, ModbusScale(cells, layout), rate_hz)


def _modbus_type(name: str) -> ModbusType:
    for known in get_args(ModbusType):
        if name == known:
            return known  # type: ignore[no-any-return]
    return "int32"


_KINDS: Final[Mapping[str, Callable[[DeviceSettings, _Place, Level], Scale | Transmitter]]] = {
    "scale_sics": _sics,
    "scale_8217": _retail,
    "scale_line": _lines,
    "scale_modbus": _modbus,
}
