"""MQTT topics as ports, over the embedded broker: heard, lost, opened again, bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt import publish

from gateway import registry, topics
from gateway.broker import accepts
from gateway.domain.reading import Body, DeviceState, Tag
from gateway.registry import DeviceLost, DeviceMisconfigured, parse_port

ZEBRA = b'{"data":{"idHex":"3066C4409047E140075BCD15","antenna":%d},"type":"SIMPLE"}'
DEADLINE_S = 10


class Broker:
    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway.broker", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        assert accepts(self.port)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    async def say(self, topic: str, *payloads: bytes) -> None:
        messages = [(topic, payload, 1, False) for payload in payloads]
        await asyncio.to_thread(
            publish.multiple, messages, "127.0.0.1", self.port, protocol=paho.MQTTv5
        )


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    running = Broker()
    running.start()
    yield running
    running.kill()


@contextlib.asynccontextmanager
async def listening(broker: Broker, topic: str) -> AsyncIterator[registry.Link]:
    driver = registry.load("rfid_json")
    url = f"mqtt://127.0.0.1:{broker.port}/{topic}"
    link = await registry.open_port(driver, url, registry.build_options(driver, {}))
    try:
        yield link
    finally:
        link.close()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_each_message_is_a_line(broker: Broker) -> None:
    async with listening(broker, "door/+/tags") as link:
        await broker.say("door/1/tags", b"one", b"two\nand a half")
        await broker.say("window/1/tags", b"not ours")
        heard = b""
        while heard.count(b"\n") < 3:
            heard += await asyncio.wait_for(link.read(), DEADLINE_S)
        assert heard == b"one\ntwo\nand a half\n"
        assert await link.read_within(20) is None


async def test_a_reader_is_read_over_its_topic_and_the_loss_of_the_broker_is_told() -> None:
    broker = Broker()
    broker.start()
    said: list[Body] = []
    async with listening(broker, "fx9600/#") as link:

        async def read() -> None:
            driver = registry.load("rfid_json")
            async for body in driver.read(link, registry.build_options(driver, {})):
                said.append(body)  # noqa: PERF401 - it ends with an exception

        reading = asyncio.create_task(read())
        await broker.say("fx9600/data", ZEBRA % 1, ZEBRA % 2, b'{"data":')

        async def heard() -> bool:
            return len(said) >= 2

        await until(heard)
        assert said == [Tag("3066C4409047E140075BCD15", 1), Tag("3066C4409047E140075BCD15", 2)]
        broker.kill()
        with pytest.raises(DeviceLost):
            await asyncio.wait_for(reading, DEADLINE_S)
        assert [getattr(body, "reason", "") for body in said[2:]] == ["cut"]
    with pytest.raises(DeviceLost):
        async with listening(broker, "fx9600/#"):
            raise AssertionError("there is no broker")
    broker.start()
    async with listening(broker, "fx9600/#") as link:
        await broker.say("fx9600/data", ZEBRA % 3)
        assert await asyncio.wait_for(link.read(), DEADLINE_S) == ZEBRA % 3 + b"\n"
    broker.kill()


async def test_a_driver_that_is_too_slow_loses_the_link_and_not_the_memory(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "BUFFER_MAX_BYTES", 1000)
    async with listening(broker, "flood") as link:
        await broker.say("flood", *(b"x" * 100 for _ in range(50)))

        async def lost() -> bool:
            try:
                await link.read()
            except DeviceLost as error:
                return "more messages" in str(error)
            return False

        await asyncio.sleep(0)
        await asyncio.wait_for(until(lost), DEADLINE_S)


async def test_a_closed_link_leaves_no_task_and_no_descriptor(broker: Broker) -> None:
    before = len(asyncio.all_tasks())
    async with listening(broker, "quiet") as link:
        link.close()
        with pytest.raises(DeviceLost, match="closed by us"):
            await link.read()
        with pytest.raises(DeviceLost):
            link.write(b"hello")
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_json_over_a_plain_connection() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ZEBRA % 5 + ZEBRA % 6)
        writer.write(
            b'{"eventType":"antennaDisconnected","antennaDisconnectedEvent":{"antennaPort":4}}'
        )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    driver = registry.load("rfid_json")
    options = registry.build_options(driver, {})
    link = await registry.open_port(driver, f"tcp://127.0.0.1:{port}", options)
    said = []
    with pytest.raises(DeviceLost):
        async for body in driver.read(link, options):
            said.append(body)  # noqa: PERF401 - it ends with an exception
    link.close()
    server.close()
    assert said == [
        Tag("3066C4409047E140075BCD15", 5),
        Tag("3066C4409047E140075BCD15", 6),
        DeviceState("up", "antenna 4 lost"),
    ]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("mqtt://broker/readers/door/#", "broker:1883/readers/door/#"),
        ("mqtt://broker:1884/readers/%23", "broker:1884/readers/#"),
        ("mqtt://10.0.0.1//FX9600/+/data", "10.0.0.1:1883//FX9600/+/data"),
        ("mqtt://[::1]:1883/t", "[::1]:1883/t"),
    ],
)
def test_addresses_of_topics(url: str, target: str) -> None:
    assert parse_port(registry.load("rfid_json"), url).target == target


@pytest.mark.parametrize(
    "url", ["mqtt://broker", "mqtt://broker/", "mqtt:///topic", "mqtt://b/a+/c", "mqtt://b/#/c",
            "mqtt://b/a#", "mqtt://b/t?qos=1", "mqtt://user@b/t"]
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(DeviceMisconfigured, match="mqtt://"):
        parse_port(registry.load("rfid_json"), url)


def test_other_drivers_have_no_topics() -> None:
    with pytest.raises(DeviceMisconfigured, match="scale_sics cannot use mqtt://"):
        parse_port(registry.load("scale_sics"), "mqtt://broker/t")
