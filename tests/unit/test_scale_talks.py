"""Scales in conversation: drivers against simulated instruments, and both against strangers.

The instruments share no code with the drivers; an independent client and an independent emulator
of MT-SICS, and a client of bench scales, stand for everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import mettler_toledo_device
import pytest
from mtsics.core.state import ScaleConfig, ScaleState
from mtsics.protocol.engine import MTSICSEngine
from mtsics.transport.tcp import TCPConfig, TCPTransport
from serial_scale_bench import SerialScale

from drivers.base import DeviceLost
from drivers.sim.levels import LEVELS
from drivers.sim.line_scales import LineScale, ShelfHub
from drivers.sim.plate import Plate
from drivers.sim.ports import PtyPort
from drivers.sim.scale_8217 import Scale8217
from drivers.sim.scales import SicsScale
from gateway import registry
from gateway.domain.reading import Body, DeviceState, Garbled, Weight
from gateway.domain.settings import OptionValue

DEADLINE_S = 15.0
TICK_S = 0.005
"""The instruments live ten times as fast as their rate of 20 Hz says."""
SIM_TICK_S = 0.05
Tick = Callable[[float, bytes], bytes]


class Still:
    """A cell that feels what it is told to."""

    def __init__(self, load_g: float) -> None:
        self.load_g = load_g

    def sample_g(self, at_s: float) -> float:
        del at_s
        return self.load_g


@contextlib.contextmanager
def on_a_port(path: Path, tick: Tick) -> Iterator[PtyPort]:
    """The instrument at a pseudo-terminal, alive in a thread of its own."""
    port = PtyPort(path)
    port.plug()
    done = threading.Event()

    def live() -> None:
        at_s = 0.0
        while not done.wait(TICK_S):
            said = tick(at_s, port.read())
            if said and port.heard():
                port.write(said)
            at_s += SIM_TICK_S

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield port
    finally:
        done.set()
        thread.join()
        port.unplug()


async def said_by(name: str, url: str, options: dict[str, OptionValue]) -> AsyncIterator[Body]:
    driver = registry.load(name)
    built = registry.build_options(driver, options)
    link = await registry.open_port(driver, url, built)
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            contextlib.aclosing(driver.read(link, built)) as all_,
        ):
            async for body in all_:
                yield body
    finally:
        link.close()


async def until(readings: AsyncIterator[Body], wanted: Callable[[Body], bool]) -> list[Body]:
    """All readings up to one that is wanted."""
    heard: list[Body] = []
    async with contextlib.aclosing(readings) as bodies:  # type: ignore[type-var]
        async for body in bodies:
            heard.append(body)
            if wanted(body):
                return heard
    raise AssertionError("the stream ended")


def is_weight(mass_mg: int, channel: int | None = None) -> Callable[[Body], bool]:
    def wanted(body: Body) -> bool:
        plate = channel is None or (isinstance(body, Weight) and body.channel == channel)
        return (
            isinstance(body, Weight) and body.stable is True and body.mass_mg == mass_mg and plate
        )

    return wanted


# --- our drivers, our instruments -----------------------------------------------------------------


@pytest.mark.parametrize("command", ["SIR", "SI", "S"])
async def test_sics(tmp_path: Path, command: str) -> None:
    scale = SicsScale(Still(1243.2), 15, 20, 0.0, "B021002593")
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        readings = said_by("scale_sics", f"serial://{port.path}", {"command": command})
        heard = await until(readings, is_weight(1_243_000))
    assert heard[0] == DeviceState("up", "identified", "sics:B021002593")
    assert not [body for body in heard if isinstance(body, Garbled)]


@pytest.mark.parametrize(
    ("set_up", "options", "mass_mg"),
    [
        ({}, {}, 1_243_000),
        ({}, {"command": "H"}, 1_243_200),
        ({"point": False}, {"decimals": 3}, 1_243_000),
        ({"parity": True}, {}, 1_243_000),
        ({"unit": "lb"}, {"unit": "lb"}, 1_242_843),  # 2.74 lb
    ],
)
async def test_8217(
    tmp_path: Path,
    set_up: dict[str, object],
    options: dict[str, OptionValue],
    mass_mg: int,
) -> None:
    scale = Scale8217(Still(1243.2), 15, 20, 0.0, **set_up)  # type: ignore[arg-type]
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        readings = said_by("scale_8217", f"serial://{port.path}", {"rate_hz": 20, **options})
        heard = await until(readings, is_weight(mass_mg))
    assert heard[0] == Weight(0, False, ("motion", "error"))  # it has just been switched on
    assert not [body for body in heard if isinstance(body, Garbled)]


@pytest.mark.parametrize(
    ("load_g", "flags"), [(15_100.0, ("over",)), (-500.0, ("under",)), (0.3, ())]
)
async def test_8217_at_the_ends_of_its_range(
    tmp_path: Path, load_g: float, flags: tuple[str, ...]
) -> None:
    scale = Scale8217(Still(load_g), 15, 20, 0.0)
    wanted = Weight(0, True, flags)
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        readings = said_by("scale_8217", f"serial://{port.path}", {"rate_hz": 20})
        assert (await until(readings, lambda body: body == wanted))[-1] == wanted


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
@pytest.mark.parametrize(
    ("maker", "poll"),
    [("and", "Q\\r\\n"), ("ohaus", "P\\r\\n"), ("sbi", "\\x1bP"), ("cas", "")],
)
async def test_lines(tmp_path: Path, maker: str, poll: str, end: bytes) -> None:
    cell = Still(1243.2)
    scale = LineScale(cell, 15, 20, 0.0, maker, streams=not poll, end=end)  # type: ignore[arg-type]
    options: dict[str, OptionValue] = {"preset": maker, "poll": poll, "rate_hz": 100}
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        url = f"serial://{port.path}"
        heard = await until(said_by("scale_line", url, options), is_weight(1_243_000))
        assert isinstance(heard[0], Weight)
        assert heard[0].stable is False
        cell.load_g = 15_100.0
        heard += await until(said_by("scale_line", url, options), flagged("over"))
        cell.load_g = -500.0
        await until(
            said_by("scale_line", url, options), flagged("over" if maker == "cas" else "under")
        )
    # a line that was cut by opening the port is no weight
    garbled = [body for body in heard if isinstance(body, Garbled)]
    assert len(garbled) <= 1


def flagged(flag: str) -> Callable[[Body], bool]:
    return lambda body: isinstance(body, Weight) and flag in body.flags


@pytest.mark.parametrize(
    ("layout", "preset", "poll"),
    [
        ("lines", "channels", b""),
        ("tagged", "channels", b""),
        ("columns", "columns", b""),
        ("tagged", "channels", b"READ"),
    ],
)
async def test_a_hub_of_several_plates(
    tmp_path: Path, layout: str, preset: str, poll: bytes
) -> None:
    plates = {1: Still(1243.0), 2: Still(-12.0), 3: Still(20.0), 5: Still(3000.0)}
    hub = ShelfHub(plates, 15, 20, 0.0, layout, poll=poll)  # type: ignore[arg-type]
    hub.failed.add(3)
    places = {str(channel): f"a{channel}" for channel in plates}
    options: dict[str, OptionValue] = {
        "preset": preset,
        "channels": places,
        "poll": poll.decode() + "\\r\\n" if poll else "",
    }
    last: dict[object, Weight] = {}
    with on_a_port(tmp_path / "hub", hub.tick) as port:
        async with contextlib.aclosing(  # type: ignore[type-var]
            said_by("scale_line", f"serial://{port.path}", options)
        ) as readings:
            async for body in readings:
                if isinstance(body, Weight):
                    last[body.channel] = body
                settled = [w for w in last.values() if w.stable is not False]
                if len(settled) == len(plates):
                    break
    shown = {channel: (w.mass_mg, w.flags) for channel, w in last.items()}
    assert shown == {1: (1_243_000, ()), 2: (-12_000, ()), 3: (0, ("error",)), 5: (3_000_000, ())}


async def test_a_scale_pulled_out_in_mid_line(tmp_path: Path) -> None:
    lines = iter([b"ST,+00001.0  g\r\nST,+000"])
    with on_a_port(tmp_path / "scale", lambda _at_s, _heard: next(lines, b"")) as port:
        heard: list[Body] = []
        with pytest.raises(DeviceLost):
            async for body in said_by("scale_line", f"serial://{port.path}", {"preset": "and"}):
                heard.append(body)
                port.unplug()
    assert heard == [Weight(1000, True), Garbled("cut", b"ST,+000".hex())]


# --- strangers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("load_g", "max_kg"), [(1243.2, 15), (100.04, 3), (-2.0, 15)])
def test_an_independent_client_reads_our_mt_sics_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_g: float, max_kg: int
) -> None:
    client = mettler_toledo_device.MettlerToledoDevice
    monkeypatch.setattr(client, "_RESET_DELAY", 0.0)
    monkeypatch.setattr(client, "_TIMEOUT", 1.0)
    scale = SicsScale(Still(load_g), max_kg, 20, 0.0, "1126493049")
    shown_mg = round(load_g) * 1000 if max_kg > 3 else round(load_g * 10) * 100
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        balance = client(port=str(port.path))
        try:
            assert balance.get_serial_number() == "1126493049"
            assert balance.get_balance_data() == [f"SIM-{max_kg}", f"{max_kg}.000", "kg"]
            assert balance.get_software_version() == ["1.00"]
            number, unit = balance.get_weight_stable()
            assert in_mg(number, unit) == shown_mg
            number, unit, status = balance.get_weight()
            assert (in_mg(number, unit), status) == (shown_mg, "S")
            assert balance.zero_stable() is (abs(load_g) <= max_kg * 1000 / 50)
        finally:
            balance.close()


def in_mg(number: float, unit: str) -> Decimal:
    return Decimal(repr(number)) * {"g": 1000, "kg": 1_000_000}[unit]


@pytest.mark.parametrize("command", ["SIR", "SI", "S"])
@pytest.mark.parametrize(
    ("shown", "graduation", "unit", "mass_mg"),
    [(12.55, 0.05, "kg", 12_550_000), (-0.0123, 0.0001, "g", -12), (1.5, 0.5, "lb", 680_389)],
)
async def test_our_driver_reads_an_independent_mt_sics_emulator(
    command: str, shown: float, graduation: float, unit: str, mass_mg: int
) -> None:
    config = ScaleConfig(
        capacity=1e6 * graduation, graduation=graduation, unit=unit, serial_number="SN0042"
    )
    state = ScaleState(config=config)
    state.set_weight(shown, stable=True)
    if shown < 0:  # it shows less than nothing as a net weight alone
        state.set_weight(0.0)
        assert state.do_set_tare(-shown)
    transport = TCPTransport(MTSICSEngine(state), cfg=TCPConfig(host="127.0.0.1", port=0))
    host, port = await transport.start()
    try:
        readings = said_by("scale_sics", f"tcp://{host}:{port}", {"command": command})
        heard = await until(readings, lambda body: isinstance(body, Weight))
        assert heard == [
            DeviceState("up", "identified", "sics:SN0042"),
            Weight(mass_mg, True),
        ]
        state.set_weight(2 * config.capacity, stable=False)
        readings = said_by("scale_sics", f"tcp://{host}:{port}", {"command": command})
        over = await until(readings, lambda body: isinstance(body, Weight))
        assert over[-1] == Weight(0, False, ("over",))
    finally:
        await transport.close()


@pytest.mark.parametrize("load_g", [1243.2, -12.0])
def test_an_independent_client_reads_our_bench_scale(tmp_path: Path, load_g: float) -> None:
    scale = LineScale(Still(load_g), 15, 20, 0.0, "ohaus", streams=False)
    with on_a_port(tmp_path / "scale", scale.tick) as port:
        bench = SerialScale(str(port.path), timeout=2.0, protocol=2)
        try:
            number = bench.get_weight()
        finally:
            bench.close()
    assert number is not None
    # it takes the polarity, which stands apart from the digits, for none
    assert Decimal(repr(number)) * 1000 == abs(round(load_g))


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["and", "cas", "ohaus", "sbi"])
def test_a_noisy_plate_is_never_garbled(maker: str) -> None:
    plate = Plate(LEVELS["L3"], 500.0, Random(5))
    scale = LineScale(plate, 2.0, 20, 0.2, maker)  # type: ignore[arg-type]
    driver = registry.load("scale_line")
    decoder = driver.decoder(registry.build_options(driver, {"preset": maker}))
    said = b"".join(scale.tick(tick / 20) for tick in range(2000))
    bodies = decoder.feed(said)
    assert len(bodies) == 2000
    assert all(isinstance(body, Weight) for body in bodies)
    masses = [body.mass_mg for body in bodies if isinstance(body, Weight) and not body.flags]
    assert all(abs(mass_mg - 500_000) < 600_000 for mass_mg in masses)


def test_an_instrument_hears_no_more_than_it_can_hold() -> None:
    for scale in (Scale8217(Still(1.0), 15, 20, 0.0), LineScale(Still(1.0), 15, 20, 0.0)):
        assert len(scale.tick(0.0, b"x" * 100_000)) <= 64 * 4
    hub = ShelfHub({1: Still(1.0)}, 15, 20, 0.0, poll=b"READ")
    assert hub.tick(0.0, b"READ" * 10_000) == b""
    assert hub.tick(0.0, b"\nREAD\r\n").count(b"CH01") == 1
