"""The ledger process behind a real MQTT 5 broker: order of ack and PUBACK, restarts, endings."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

GOLDEN = Path(__file__).parents[2] / "docs" / "wire" / "golden" / "1.0"
UP = "stockd/v1/s0001/up/stock"
DEADLINE_S = 20.0


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A child whose output is collected line by line."""

    running: ClassVar[list[Process]] = []

    def __init__(self, *arguments: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-u", "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        Process.running.append(self)

    def _collect(self) -> None:
        assert self.child.stdout is not None
        self.lines.extend(iter(self.child.stdout.readline, ""))

    def says(self, text: str) -> None:
        until(lambda: any(text in line for line in self.lines), f"{text!r} in {self.lines}")

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.child.poll() is None:
            self.child.send_signal(number)
        code = self.child.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code


class Gateway:
    """A store's client that only speaks and listens."""

    def __init__(self, port: int) -> None:
        self.acks: list[Any] = []
        self.properties: list[Any] = []
        self.retained: list[bool] = []
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="s0001", protocol=paho.MQTTv5
        )
        self._client.on_message = self._arrived
        subscribed: list[int] = []
        self._client.on_subscribe = lambda *_: subscribed.append(1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(self._client.is_connected, "a connection")
        self._client.subscribe("stockd/v1/s0001/down/#", options=SubscribeOptions(1, noLocal=True))
        until(lambda: subscribed, "a subscription")

    def _arrived(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.acks.append(json.loads(message.payload))
        self.properties.append(message.properties)
        self.retained.append(message.retain)

    def say(self, message: str, payload: bytes, retain: bool = False) -> None:
        self._client.publish(message, payload, qos=1, retain=retain).wait_for_publish(DEADLINE_S)

    def hears(self, status: str, ack: int) -> Any:
        def found() -> Any:
            return next((a for a in self.acks if a["st"] == status and a["ack"] == ack), None)

        return until(found, f"{status} {ack} in {self.acks}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    """Whatever a test left running ends with it."""
    yield
    while Process.running:
        Process.running.pop().end(signal.SIGKILL)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def broker(port: int) -> Iterator[Process]:
    process = Process("gateway.broker", "--port", str(port))
    process.says("ready")
    yield process
    process.end()


def ledger(port: int, path: Path) -> Process:
    url = f"mqtt://127.0.0.1:{port}"
    return Process("ledger.cli", "run", "--mqtt", url, "--db", f"sqlite:///{path}")


def asked(path: Path, sql: str) -> Any:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()[0]
    finally:
        db.close()


def test_hello_batch_ack(port: int, broker: Process, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.db"
    process = ledger(port, path)
    process.says("connected")
    gateway = Gateway(port)
    gateway.say("stockd/v1/s0001/state", golden("state"), retain=True)
    gateway.say(f"{UP}/hello", golden("hello"))
    gateway.hears("new_epoch", 0)
    gateway.say(f"{UP}/batch", golden("batch-stock"))
    ack = gateway.hears("ok", 5)
    expected = json.loads(golden("ack-ok"))
    assert ack | {"srv_ts": 0} == expected | {"srv_ts": 0}
    properties = gateway.properties[-1]
    assert properties.MessageExpiryInterval == 60
    assert properties.ContentType == "application/json"
    assert properties.PayloadFormatIndicator == 1
    assert not any(gateway.retained)
    gateway.close()
    assert process.end() == 0
    assert len(process.lines) == 1, process.lines
    assert asked(path, "SELECT online FROM presence") == 1


def test_a_ledger_that_comes_later_and_comes_again(port: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = ledger(port, path)  # before there is a broker
    first.says("again in")
    broker = Process("gateway.broker", "--port", str(port))
    broker.says("ready")
    first.says("connected")
    gateway = Gateway(port)
    gateway.say(f"{UP}/hello", golden("hello"))
    gateway.hears("new_epoch", 0)
    first.end(signal.SIGKILL)
    second = ledger(port, path)
    gateway.hears("ok", 0)  # unasked: where the ledger stands
    second.end(signal.SIGKILL)
    gateway.say(f"{UP}/batch", golden("batch-stock"))  # nobody there: the broker keeps it
    third = ledger(port, path)
    gateway.hears("ok", 5)
    gateway.close()
    assert third.end(signal.SIGINT) == 0
    assert broker.end() == 0


def test_a_broker_that_is_replaced_by_an_empty_one(port: int, tmp_path: Path) -> None:
    broker = Process("gateway.broker", "--port", str(port))
    broker.says("ready")
    process = ledger(port, tmp_path / "ledger.db")
    process.says("connected to")
    broker.end(signal.SIGKILL)
    process.says("again in")
    broker = Process("gateway.broker", "--port", str(port))
    broker.says("ready")
    process.says("connected again")
    gateway = Gateway(port)
    gateway.say(f"{UP}/hello", golden("hello"))
    gateway.hears("new_epoch", 0)
    gateway.close()
    assert process.end() == 0
    assert broker.end() == 0


def test_a_failing_database_ends_the_process_without_ack_or_puback(
    port: int, broker: Process, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    process = ledger(port, path)
    process.says("connected")
    gateway = Gateway(port)
    gateway.say(f"{UP}/hello", golden("hello"))
    gateway.hears("new_epoch", 0)
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    gateway.say(f"{UP}/batch", golden("batch-stock"))
    assert process.child.wait(DEADLINE_S) == 3
    process.says("disk full")
    assert not any("Traceback" in line for line in process.lines)
    assert [ack["st"] for ack in gateway.acks] == ["new_epoch"]
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER full")
    # The broker had no PUBACK, so it delivers the batch again.
    again = ledger(port, path)
    gateway.hears("ok", 5)
    gateway.close()
    assert again.end() == 0


def test_a_taken_port_is_said(port: int, broker: Process) -> None:
    second = Process("gateway.broker", "--port", str(port))
    assert second.child.wait(DEADLINE_S) == 3
    second.says(str(port))
