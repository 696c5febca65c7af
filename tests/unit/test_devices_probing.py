"""Safe probing on real ports: instruments on pseudo-terminals, readers and strangers on sockets.

Every instrument counts what was written to it. All of them are probed side by side, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import _probe
from drivers._hardware import Usb
from drivers.sim.line_scales import LineScale
from drivers.sim.modbus import Layout, ModbusScale
from drivers.sim.ports import PtyPort
from drivers.sim.scale_8217 import Scale8217
from drivers.sim.scales import SicsScale
from gateway.discover import plugged, probing
from gateway.discover.probing import Finding, Target, candidates, probe, probe_all
from gateway.domain.settings import DeviceSettings
from gateway.registry import driver_names, open_link

TICK_S = 0.02
GPS = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
READER = bytes.fromhex("043f00000020000000 0000f60016 0080000c00039136a2a33b3f 01000006 0000")
BUSY = READER[:-1] + b"\2"

Voice = Callable[[float, bytes], bytes]
"""What an instrument says at a time, having heard these bytes."""


class Cell:
    """1.243 kg, which never moves."""

    load_g = 1243.0

    def sample_g(self, at_s: float) -> float:
        return self.load_g


def _streaming_sics() -> Voice:
    scale = SicsScale(Cell(), 3, 20, 0.0, "B021")  # type: ignore[arg-type]
    scale.tick(0.0, b"SIR\r\n")
    return scale.tick


def _at_odds_with_our_questions() -> Voice:
    """A scale that hears what was sent at another speed as rubbish, and complains at the end."""
    scale = SicsScale(Cell(), 3, 20, 0.0, "B021")  # type: ignore[arg-type]
    calls = iter(range(10**6))

    def tick(at_s: float, heard: bytes) -> bytes:
        return scale.tick(at_s, b"\xf0\x80" * (next(calls) == 0) + heard)

    return tick


def _repeats(line: bytes) -> Voice:
    return lambda _at_s, _heard: line


def _answers(answers: dict[bytes, bytes]) -> Voice:
    return lambda _at_s, heard: answers.get(heard, b"")


def voices() -> dict[str, Voice]:
    cell = Cell()
    return {
        "sics": SicsScale(cell, 3, 20, 0.0, "B021").tick,  # type: ignore[arg-type]
        "sics-stream": _streaming_sics(),
        "sics-rubbish": _at_odds_with_our_questions(),
        "8217": Scale8217(cell, 15, 20, 0.0).tick,
        "and-stream": LineScale(cell, 3, 20, 0.0, "and").tick,
        "cas-stream": LineScale(cell, 15, 20, 0.0, "cas").tick,
        "ohaus-asked": LineScale(cell, 3, 20, 0.0, "ohaus", streams=False).tick,
        "modbus": ModbusScale({1: cell}, Layout()).tick,
        "modbus-2": ModbusScale({2: cell}, Layout()).tick,
        "silent": _repeats(b""),
        "gps": _repeats(GPS),
        "echo": lambda _at_s, heard: heard,
        "modem": lambda _at_s, heard: heard and b"\r\nERROR\r\n",
        "console": lambda _at_s, heard: heard and b"\r\nshop login: ",
        "thermometer": _repeats(b"23.5\r\n"),
        "stranger": _repeats(b"\x01\x90HELLO\xff"),
        "stranger-asked": lambda _at_s, heard: heard and b"\x7f\x01\x02",
        "scanner": _repeats(b"6901234500011\r"),
    }


class Instruments:
    """Pseudo-terminals with voices; `written` is what each heard."""

    def __init__(self, folder: Path, voices: dict[str, Voice]) -> None:
        self.ports = {name: PtyPort(folder / name) for name in voices}
        self.written = dict.fromkeys(voices, b"")
        self._voices = voices
        for port in self.ports.values():
            port.plug()

    async def run(self) -> None:
        begun = time.monotonic()
        while True:
            for name, port in self.ports.items():
                heard = port.read()
                self.written[name] += heard
                said = self._voices[name](time.monotonic() - begun, heard)
                if said:
                    port.write(said)
            await asyncio.sleep(TICK_S)

    def close(self) -> None:
        for port in self.ports.values():
            port.unplug()


@asynccontextmanager
async def listening(instruments: Instruments) -> AsyncIterator[Instruments]:
    task = asyncio.create_task(instruments.run())
    try:
        yield instruments
    finally:
        task.cancel()
        instruments.close()


class Story:
    """What came of all of them."""

    findings: dict[str, Finding]
    written: dict[str, bytes]
    told: list[tuple[str, str]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    async def main() -> Story:
        folder = tmp_path_factory.mktemp("ports")
        made = Story()
        made.told = []
        async with listening(Instruments(folder, voices())) as instruments:
            targets = [Target(name, f"serial://{folder / name}") for name in instruments.ports]
            findings = await probe_all(
                targets, candidates(), lambda port, doing: made.told.append((port, doing)), 60
            )
            made.findings = {finding.port: finding for finding in findings}
            made.written = instruments.written
        return made

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "driver", "options"),
    [
        ("sics", "scale_sics", {}),
        ("sics-stream", "scale_sics", {}),
        ("sics-rubbish", "scale_sics", {}),
        ("8217", "scale_8217", {}),
        ("and-stream", "scale_line", {"preset": "and"}),
        ("cas-stream", "scale_line", {"preset": "cas"}),
        ("ohaus-asked", "scale_line", {"preset": "ohaus", "poll": r"IP\r\n"}),
        ("modbus", "scale_modbus", {"unit": "1"}),
        ("modbus-2", "scale_modbus", {"unit": "2"}),
        ("scanner", "scanner_serial", {}),
    ],
)
def test_found(story: Story, name: str, driver: str, options: dict[str, str]) -> None:
    finding = story.findings[name]
    assert (finding.outcome, finding.driver, dict(finding.options)) == ("found", driver, options)
    assert finding.link.startswith("serial:///")
    assert "?baud=" in finding.link


@pytest.mark.parametrize(
    ("name", "outcome", "says"),
    [
        ("silent", "silent", "check power"),
        ("gps", "foreign", "a GPS receiver"),
        ("echo", "unknown", "gives back"),
        ("modem", "foreign", "a modem"),
        ("console", "foreign", "console"),
        ("thermometer", "unknown", "nothing we know: 32332e350d0a"),
        ("stranger", "unknown", "nothing we know: 019048454c4c4fff"),
        ("stranger-asked", "unknown", "nothing we know: 7f0102"),
    ],
)
def test_not_found(story: Story, name: str, outcome: str, says: str) -> None:
    finding = story.findings[name]
    assert (finding.outcome, finding.driver, finding.link) == (outcome, "", "")
    assert says in finding.text


@pytest.mark.parametrize(
    "name",
    ["sics-stream", "and-stream", "cas-stream", "gps", "thermometer", "stranger", "scanner"],
)
def test_nothing_is_written_to_a_port_that_speaks_by_itself(story: Story, name: str) -> None:
    assert story.written[name] == b""
    assert story.findings[name].written_bytes == 0


def test_one_question_and_no_more_after_any_answer(story: Story) -> None:
    first = _probe.STEPS[0].questions[0].sends
    for name in ("sics", "echo", "modem", "console", "stranger-asked"):
        assert story.written[name] == first, name
        assert story.findings[name].written_bytes == len(first)


def test_a_silent_port_is_asked_everything_and_the_limit_allows_it(story: Story) -> None:
    asked = [one for step in _probe.STEPS for one in step.questions]
    assert {one.protocol.driver for one in asked} <= set(driver_names())
    for step in _probe.STEPS:
        if "bytesize=7" not in step.setting:  # a pseudo-terminal may refuse it
            assert b"".join(one.sends for one in step.questions) in story.written["silent"]
    assert story.findings["silent"].written_bytes == len(story.written["silent"])
    waits_ms = probing.LISTEN_MS + len(asked) * probing.ANSWER_MS
    assert waits_ms < 900 * probing.LIMIT_S  # a tenth is left for opening
    assert probing.LISTEN_MS + 6 * probing.LISTEN_AGAIN_MS < 900 * probing.LIMIT_S
    assert ("silent", "listens at 9600 8N1") in story.told
    assert ("silent", "asks as scale_modbus at 19200 8E1") in story.told


def test_no_question_holds_a_byte_that_moves_a_zero_or_a_tare() -> None:
    """8217: Z zero, A test, E echo, T tare; a scale may strip the eighth bit. SICS: @, Z, T."""
    for question in [one for step in _probe.STEPS for one in step.questions]:
        assert not {byte & 0x7F for byte in question.sends} & set(b"ZzTtEeAa@"), question
        assert question.modbus is None or question.sends[1] in (3, 4)


async def test_a_named_setting_is_the_only_one(tmp_path: Path) -> None:
    scale = SicsScale(Cell(), 3, 20, 0.0, "B021")  # type: ignore[arg-type]
    async with listening(Instruments(tmp_path, {"a": scale.tick})):
        finding = await probe(
            Target("a", f"serial://{tmp_path / 'a'}", "baud=19200"), candidates(), _quiet
        )
    assert finding.link == f"serial://{tmp_path / 'a'}?baud=19200"
    assert finding.driver == "scale_sics"


async def test_the_time_limit_holds(tmp_path: Path) -> None:
    async with listening(Instruments(tmp_path, {"a": _repeats(b"")})) as instruments:
        target = Target("a", f"serial://{tmp_path / 'a'}")
        begun = time.monotonic()
        finding = await probe(target, candidates(), _quiet, limit_s=0.4)
        assert time.monotonic() - begun < 2
        assert (finding.outcome, finding.text) == ("silent", "nothing we know within 0.4 s")
        assert instruments.written["a"] == b""


async def test_ports_that_cannot_be_reached(tmp_path: Path) -> None:
    finding = await probe(Target("x", f"serial://{tmp_path / 'x'}"), candidates(), _quiet)
    assert (finding.outcome, "not plugged in" in finding.text) == ("unreachable", True)
    port = PtyPort(tmp_path / "held")
    port.plug()
    link = await open_link(f"serial://{tmp_path / 'held'}")
    try:
        finding = await probe(Target("h", f"serial://{tmp_path / 'held'}"), candidates(), _quiet)
        assert (finding.outcome, "another program" in finding.text) == ("unreachable", True)
        assert finding.written_bytes == 0
        assert port.read() == b""
    finally:
        link.close()
        port.unplug()


@pytest.mark.skipif(not plugged.LOCKS.exists(), reason="this kernel does not list its locks")
async def test_who_holds_a_port_is_seen_without_opening_it(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "held")
    port.plug()
    path = str(tmp_path / "held")
    assert not plugged.locked(path)
    link = await open_link(f"serial://{path}")
    assert plugged.locked(path)
    link.close()
    assert not plugged.locked(path)
    port.unplug()
    assert not plugged.locked(path)


def _quiet(_port: str, _doing: str) -> None:
    """No progress is shown."""


@asynccontextmanager
async def server(talk: Callable[[bytes], bytes], greeting: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:  # fmt: skip # noqa: E501
    """A device at an address: what it says to a caller, and what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while chunk := await reader.read(1000):
            heard.append(chunk)
            writer.write(talk(chunk))
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{made.sockets[0].getsockname()[1]}", heard
    finally:
        made.close()


@pytest.mark.parametrize(("greeting", "goodbye"), [(READER, 1), (BUSY, 0)])
async def test_an_rfid_reader_is_greeted_and_left_politely(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes, goodbye: int
) -> None:
    closed = bytes.fromhex("0404 00000012 00000001 011f00080000 0000")
    async with server(lambda _: closed, greeting) as (link, heard):
        monkeypatch.setattr(_probe, "LLRP_PORT", int(link.rpartition(":")[2]))
        finding = await probe(Target("reader", link), candidates(), _quiet)
        assert (finding.outcome, finding.driver, finding.link) == ("found", "rfid_llrp", link)
        assert heard == [bytes.fromhex("040e 0000000a 00000001")] * goodbye
        assert finding.written_bytes == 10 * goodbye
        assert ("Client_Initiated_Connection_Already_Exists" in finding.text) == (not goodbye)


async def test_something_else_at_the_port_of_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(lambda _: b"", b"SSH-2.0-OpenSSH_9.2\r\n") as (link, heard):
        monkeypatch.setattr(_probe, "LLRP_PORT", int(link.rpartition(":")[2]))
        monkeypatch.setattr(probing, "GREETING_MS", 200)
        finding = await probe(Target("reader", link), candidates(), _quiet)
        assert (finding.outcome, heard) == ("unknown", [])


async def test_modbus_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = ModbusScale({1: Cell()}, Layout(framing="tcp"))
    async with server(lambda heard: scale.tick(0.0, heard), b"") as (link, _):
        monkeypatch.setattr(_probe, "MODBUS_PORT", int(link.rpartition(":")[2]))
        finding = await probe(Target("modbus", link), candidates(), _quiet)
        assert (finding.outcome, finding.driver) == ("found", "scale_modbus")


async def test_a_scale_behind_a_terminal_server() -> None:
    scale = SicsScale(Cell(), 3, 20, 0.0, "B021")  # type: ignore[arg-type]
    async with server(lambda heard: scale.tick(0.0, heard), b"") as (link, heard):
        finding = await probe(Target("server", link), candidates(), _quiet)
        assert (finding.outcome, finding.driver, finding.link) == ("found", "scale_sics", link)
        assert len(heard) == 1


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("USB GPS/GNSS Receiver", "a GPS receiver"),
        ("u-blox 7", "a GPS receiver"),
        ("EC25 LTE modem", "a modem"),
        ("TM-T88V Receipt Printer", "a printer"),
        ("FT232R USB UART", ""),
        ("Programmable Barcode Scanner", ""),
    ],
)
def test_hardware_that_names_itself_is_never_opened(model: str, what: str) -> None:
    assert _probe.not_ours(Usb("1234", "5678", "Maker", model)) == what
    assert _probe.not_ours(None) == ""


def test_places_of_configured_devices(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "scale")
    port.plug()
    at = plugged.places([
        DeviceSettings("scale-a1", "scale_sics", f"serial://{tmp_path / 'scale'}?baud=9600", "a1"),
        DeviceSettings("scale-a2", "scale_sics", f"serial://{tmp_path / 'gone'}", "a2"),
        DeviceSettings("scale-a3", "scale_sics", "tcp://10.0.0.7:4001", "a3"),
        DeviceSettings("reader", "rfid_json", "mqtt://10.0.0.8:1883/reader", "a3"),
    ])  # fmt: skip
    assert [(one.state, one.port) for one in at] == [
        ("plugged_in", str((tmp_path / "scale").resolve())),
        ("missing", ""),
        ("elsewhere", "10.0.0.7:4001"),
        ("elsewhere", "10.0.0.8:1883/reader"),
    ]
    assert plugged.device_at(str(tmp_path / "scale"), at) == "scale-a1"
    assert plugged.device_at("", at) == ""
    port.unplug()


@given(st.binary(max_size=80), st.lists(st.sampled_from(range(17)), max_size=3))
def test_any_bytes_are_judged(heard: bytes, questions: Sequence[int]) -> None:
    every = candidates()
    asked = [one for step in _probe.STEPS for one in step.questions]
    assert _probe.unasked(heard, every).kind in ("nothing", "unknown", "found", "foreign")
    for number in questions:
        verdict = _probe.answer(asked[number], heard, every)
        assert (verdict.protocol is not None) == (verdict.kind == "found")
    assert _probe.llrp_greeting(heard) is None or heard[:1] in (b"\x04", b"\x08")
    assert _probe.is_modbus_tcp(heard) in (True, False)
