"""pymodbus, which shares no line with us, as the server of our driver and the client of our sim."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import tty
from collections.abc import AsyncIterator, Iterator

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers import scale_modbus
from drivers.link import open_link
from drivers.scale_modbus import Options
from drivers.sim.modbus import Layout, ModbusScale
from gateway.domain.reading import Body, Garbled, Weight

WAIT_S = 5
REGISTERS = DataType.REGISTERS
HALF = struct.unpack(">HH", struct.pack(">f", 0.5))
PORTS = ("tcp", "rtu over tcp", "serial")


def words(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two serial ports, joined by a cable."""
    loop = asyncio.get_running_loop()
    ends = [os.openpty() for _ in range(2)]
    masters = [master for master, _ in ends]
    for (master, slave), (other, _) in zip(ends, ends[::-1], strict=True):
        tty.setraw(slave)
        loop.add_reader(master, lambda a=master, b=other: os.write(b, os.read(a, 4096)))
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        for master in masters:
            loop.remove_reader(master)
        for fd in (fd for end in ends for fd in end):
            os.close(fd)


@contextlib.asynccontextmanager
async def served(port: str, devices: list[SimDevice]) -> AsyncIterator[tuple[str, str]]:
    """The link to a pymodbus server, and the framing there."""
    async with contextlib.AsyncExitStack() as stack:
        server: ModbusTcpServer | ModbusSerialServer
        if port == "serial":
            ours, theirs = stack.enter_context(null_modem())
            server = ModbusSerialServer(devices, port=theirs, ignore_missing_devices=True)
            link, framing = f"serial://{ours}", "rtu"
        else:
            framing = "tcp" if port == "tcp" else "rtu"
            framer = FramerType.SOCKET if port == "tcp" else FramerType.RTU
            at = ("127.0.0.1", free_port())
            server = ModbusTcpServer(
                devices, framer=framer, address=at, ignore_missing_devices=True
            )
            link = f"tcp://127.0.0.1:{at[1]}"
        await server.serve_forever(background=True)
        stack.push_async_callback(server.shutdown)
        yield link, framing


async def heard(link: str, options: Options, count: int) -> list[Body]:
    port = await open_link(link)
    readings = scale_modbus.read(port, options)
    try:
        async with asyncio.timeout(WAIT_S):
            return [await anext(readings) for _ in range(count)]
    finally:
        await readings.aclose()  # type: ignore[attr-defined]
        port.close()


@pytest.mark.parametrize("port", PORTS)
async def test_our_driver_reads_the_weights_of_another_server(port: str) -> None:
    values = [*words(132), *words(-5 & 0xFFFFFFFF), *HALF, 0b1001, 0xFFFE]
    devices = [
        SimDevice(7, simdata=[SimData(80, values=values, datatype=REGISTERS)]),
    ]
    expected = {
        (80, "int32", "holding"): Weight(132_000, None),
        (82, "int32", "holding"): Weight(-5_000, None),
        (84, "float32", "holding"): Weight(500, None),
        (87, "int16", "holding"): Weight(-2_000, None),
        (87, "uint16", "input"): Weight(65_534_000, None),
    }
    async with served(port, devices) as (link, framing):
        for (register, kind, function), weight in expected.items():
            options = Options(
                framing=framing,  # type: ignore[arg-type]
                unit=7, register=register, type=kind, function=function, rate_hz=100,  # type: ignore[arg-type]
            )  # fmt: skip
            assert await heard(link, options, 3) == [weight] * 3
        both = Options(
            framing=framing,  # type: ignore[arg-type]
            unit=7, register=80, status_register=86,
            status_bits={"stable": "0", "zero": "3", "over": "1"},
        )  # fmt: skip
        assert await heard(link, both, 1) == [Weight(132_000, True, ("zero",))]


async def unplugged(*_: object) -> None:
    """Makes a unit of the server keep silent."""
    raise NoSuchIdException


@pytest.mark.parametrize("port", PORTS)
async def test_exceptions_and_silent_units_of_another_server(port: str) -> None:
    devices = [
        SimDevice(n, simdata=[SimData(0, values=[0, n], datatype=REGISTERS)], action=action)
        for n, action in ((1, None), (2, unplugged), (3, None))
    ]
    async with served(port, devices) as (link, framing):
        options = Options(
            framing=framing,  # type: ignore[arg-type]
            channels={"1": "a1", "2": "a2", "3": "a3"}, rate_hz=50, timeout_ms=20,
        )  # fmt: skip
        said = await heard(link, options, 6)
        assert said == [Weight(1_000, None, (), 1), Weight(3_000, None, (), 3)] * 3
        wrong = Options(framing=framing, register=9)  # type: ignore[arg-type]
        (garbled,) = await heard(link, wrong, 1)
        assert isinstance(garbled, Garbled)
        assert garbled.reason == "illegal_address"


class Still:
    """A cell with so many grams on it."""

    def __init__(self, load_g: float) -> None:
        self.load_g = load_g

    def sample_g(self, at_s: float) -> float:
        return self.load_g


@contextlib.asynccontextmanager
async def simulated(port: str, scale: ModbusScale) -> AsyncIterator[tuple[str, str]]:
    """The address of our simulator, on a terminal or a socket, and what pymodbus calls the rest."""
    for at in range(20):
        scale.sample(at / 10)
    async with contextlib.AsyncExitStack() as stack:
        if port == "serial":
            theirs, ours = stack.enter_context(null_modem())
            line = await open_link(f"serial://{ours}")
            stack.callback(line.close)

            async def talk() -> None:
                while True:
                    line.write(scale.hear(await line.read()))

            task = asyncio.create_task(talk())
            stack.callback(task.cancel)
            yield theirs, ""
        else:
            talks: list[asyncio.Task[None]] = []

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                talks.append(asyncio.current_task())  # type: ignore[arg-type]
                with contextlib.closing(writer):
                    while request := await reader.read(512):
                        writer.write(scale.hear(request))

            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            stack.callback(server.close)
            yield "127.0.0.1", str(server.sockets[0].getsockname()[1])
            await asyncio.wait(talks, timeout=WAIT_S)


@contextlib.asynccontextmanager
async def client_of(
    port: str, scale: ModbusScale
) -> AsyncIterator[AsyncModbusTcpClient | AsyncModbusSerialClient]:
    async with simulated(port, scale) as (where, number):
        client: AsyncModbusTcpClient | AsyncModbusSerialClient
        if port == "serial":
            client = AsyncModbusSerialClient(where, timeout=0.2, retries=1)
        else:
            framer = FramerType.SOCKET if port == "tcp" else FramerType.RTU
            client = AsyncModbusTcpClient(
                where, port=int(number), framer=framer, timeout=0.2, retries=1
            )
        assert await client.connect()
        try:
            yield client
        finally:
            client.close()


def framing_of(port: str) -> str:
    return "tcp" if port == "tcp" else "rtu"


@pytest.mark.parametrize("port", PORTS)
async def test_another_client_reads_the_registers_of_our_simulator(port: str) -> None:
    cells = {1: Still(1243.0), 2: Still(-7.0)}
    layout = Layout(framing_of(port), register=80, status_register=82)  # type: ignore[arg-type]
    async with client_of(port, ModbusScale(cells, layout)) as client:
        for unit, value in ((1, 1243), (2, -7), (1, 1243)):
            read = await client.read_holding_registers(80, count=3, device_id=unit)
            said = client.convert_from_registers(read.registers[:2], client.DATATYPE.INT32)
            assert (said, read.registers[2]) == (value, 1)
        for address, count in ((79, 2), (82, 2), (0, 1)):
            failed = await client.read_holding_registers(address, count=count, device_id=1)
            assert failed.exception_code == ExcCodes.ILLEGAL_ADDRESS
        for failed in (
            await client.read_input_registers(80, count=2, device_id=1),
            await client.write_register(80, 1, device_id=1),
            await client.write_registers(80, [1, 2], device_id=1),
            await client.read_coils(0, device_id=1),
        ):
            assert failed.exception_code == ExcCodes.ILLEGAL_FUNCTION
        read = await client.read_holding_registers(80, count=2, device_id=1)
        assert read.registers == [0, 1243]


@pytest.mark.parametrize("port", PORTS)
async def test_our_driver_reads_our_simulator(port: str) -> None:
    cells = {1: Still(1243.0), 2: Still(250.25), 4: Still(-0.05)}
    layout = Layout(
        framing_of(port),  # type: ignore[arg-type]
        by="register", unit=9, function=4, register=10, type="float32", low_word_first=True,
        stride=4, status_register=12, count_g=1000.0, digit_g=0.25,
    )  # fmt: skip
    options = Options(
        framing=framing_of(port),  # type: ignore[arg-type]
        unit=9, function="input", register=10, type="float32", words="little",
        unit_of_mass="kg", status_register=12, channel_by="register", channel_stride=4,
        channels={"1": "a1", "2": "a2", "4": "a4"},
        status_bits={"stable": "0", "over": "1", "under": "2", "zero": "3"},
    )  # fmt: skip
    async with simulated(port, ModbusScale(cells, layout)) as (where, number):
        link = f"serial://{where}" if port == "serial" else f"tcp://{where}:{number}"
        assert await heard(link, options, 3) == [
            Weight(1_243_000, True, (), 1),
            Weight(250_250, True, (), 2),
            Weight(0, True, ("zero",), 4),
        ]


async def test_a_transmitter_pulled_from_the_line_leaves_the_others_heard() -> None:
    scale = ModbusScale({1: Still(10.0), 2: Still(20.0)}, Layout())
    scale.silent.add(2)
    async with simulated("serial", scale) as (where, _):
        options = Options(channels={"1": "a", "2": "b"}, rate_hz=50, timeout_ms=20)
        said = await heard(f"serial://{where}", options, 5)
        assert said == [Weight(10_000, None, (), 1)] * 5
        scale.silent.clear()
        scale.failing[1] = 6
        said = await heard(f"serial://{where}", options, 2)
        assert [getattr(body, "reason", body) for body in said] == [
            "busy",
            Weight(20_000, None, (), 2),
        ]
