"""Real ports, pulled and plugged again: pseudo-terminals, FIFOs, sockets, files; on both loops."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
import threading
import tty
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from drivers import link as link_module
from drivers._port import BUFFER_MAX_BYTES
from drivers.base import DeviceLost, DeviceMisconfigured, Link
from drivers.link import meets_itself, open_link, parse_link

DEADLINE_S = 10
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    async def within_deadline(work: Awaitable[None]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await work

    with asyncio.Runner(loop_factory=factory) as runner:
        yield lambda work: runner.run(within_deadline(work))


class Terminal:
    """A pseudo-terminal under a stable name, as udev gives it; `unplug` takes it away."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.url = f"serial://{name}?baud=115200"
        self.plug()

    def plug(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self._slave))

    async def open(self) -> Link:
        link = await open_link(self.url)
        os.close(self._slave)
        return link

    def unplug(self) -> None:
        os.close(self.master)
        self.name.unlink()


async def read_all(link: Link, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await link.read()
    return data


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the other side is the kernel, it sets no event
        await asyncio.sleep(0.002)


def open_fds() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def test_serial_both_ways(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        terminal = Terminal(tmp_path / "scale")
        link = await terminal.open()
        link.write(b"SIR\r\n")
        assert os.read(terminal.master, 100) == b"SIR\r\n"
        os.write(terminal.master, b"S S      1.243 kg\r\n\x03\x11\x13\xff")
        assert await read_all(link, 23) == b"S S      1.243 kg\r\n\x03\x11\x13\xff"
        # a false alarm of poll is no loss
        link._on_readable()  # type: ignore[attr-defined]
        assert await link.read_within(0) is None
        link.close()
        link.close()
        terminal.unplug()

    run(story())


def test_serial_unplugged_and_plugged_again_under_the_same_name(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        terminal = Terminal(tmp_path / "scale")
        for round_trip in range(3):
            link = await terminal.open()
            os.write(terminal.master, b"%d" % round_trip)
            assert await link.read() == b"%d" % round_trip
            waiting = asyncio.ensure_future(link.read())
            await asyncio.sleep(0)
            terminal.unplug()
            with pytest.raises(DeviceLost):
                await waiting
            with pytest.raises(DeviceLost):
                link.write(b"S\r\n")
            with pytest.raises(DeviceLost, match="not plugged in"):
                await open_link(terminal.url)
            terminal.plug()
        link = await terminal.open()
        link.close()
        terminal.unplug()

    run(story())


def test_a_port_that_another_has_is_lost_for_now(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        terminal = Terminal(tmp_path / "scale")
        link = await terminal.open()
        with pytest.raises(DeviceLost, match="another program"):
            await open_link(terminal.url)
        link.close()
        terminal.unplug()

    run(story())


def test_fifo_waits_for_its_writer_and_is_lost_with_the_last_one(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        fifo = tmp_path / "scanner"
        os.mkfifo(fifo)
        for _ in range(2):
            link = await open_link(f"evdev://{fifo}", grab=True)
            assert await link.read_within(20) is None
            first, second = (os.open(fifo, os.O_WRONLY) for _ in range(2))
            os.write(first, b"a" * 24)
            assert await link.read() == b"a" * 24
            os.close(first)
            assert await link.read_within(20) is None
            os.write(second, b"b" * 24)
            os.close(second)
            assert await link.read() == b"b" * 24
            with pytest.raises(DeviceLost, match="the other side closed it"):
                await link.read()
            with pytest.raises(DeviceLost):
                await link.read_within(1000)

    run(story())


def test_a_recording_is_read_once_and_then_says_nothing(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        recording = tmp_path / "keys.bin"
        data = os.urandom(3 * BUFFER_MAX_BYTES + 17)
        recording.write_bytes(data)
        link = await open_link(f"evdev://{recording}", grab=True)
        assert await read_all(link, len(data)) == data
        assert await link.read_within(20) is None
        assert await link.read_within(20) is None
        waiting = asyncio.ensure_future(link.read())
        await asyncio.sleep(0)
        link.close()
        with pytest.raises(DeviceLost, match="closed by us"):
            await waiting

    run(story())


def test_a_recording_closed_before_it_is_read(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        recording = tmp_path / "keys.bin"
        recording.write_bytes(b"x")
        link = await open_link(f"evdev://{recording}")
        link.close()
        with pytest.raises(DeviceLost):
            await link.read()

    run(story())


def test_tcp_last_bytes_come_before_the_loss(run: Run) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            link = await open_link(f"tcp://localhost:{port}")
            device, _ = server.accept()
            link.write(b"SI\r\n")
            assert device.recv(10) == b"SI\r\n"
            device.sendall(b"S S      1.243 kg\r\n")
            device.close()
            assert await read_all(link, 19) == b"S S      1.243 kg\r\n"
            with pytest.raises(DeviceLost, match="the other side closed it"):
                await link.read()
        with pytest.raises(DeviceLost, match="refused"):
            await open_link(f"tcp://127.0.0.1:{port}")
        with pytest.raises(DeviceLost):
            await open_link("tcp://no-such-host.invalid:4001")

    run(story())


def test_a_connection_that_meets_itself_is_none() -> None:
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())
        assert meets_itself(alone)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as caller,
    ):
        assert not meets_itself(caller)


def test_a_slow_driver_holds_its_sender_back(run: Run) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = await open_link(f"tcp://127.0.0.1:{server.getsockname()[1]}")
            device, _ = server.accept()
        data = os.urandom(64) * (1 << 17)
        held = vars(link)["_buffer"]
        device.sendall(data[:7])
        await until(lambda: len(held) == 7)
        sender = threading.Thread(target=device.sendall, args=(data[7:],), daemon=True)
        sender.start()
        await until(lambda: len(held) == BUFFER_MAX_BYTES)
        assert await link.read_within(0) == data[:BUFFER_MAX_BYTES]
        rest = bytearray()
        while len(rest) < len(data) - BUFFER_MAX_BYTES:
            rest += await link.read()
            assert len(held) <= BUFFER_MAX_BYTES
        assert bytes(rest) == data[BUFFER_MAX_BYTES:]
        sender.join()
        device.close()
        link.close()

    run(story())


def test_a_device_that_takes_no_bytes_is_lost(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        terminal = Terminal(tmp_path / "scale")
        link = await terminal.open()
        with pytest.raises(DeviceLost, match="takes no more bytes"):
            for _ in range(10_000):
                link.write(b"SI\r\n" * 64)
        with pytest.raises(DeviceLost):
            await link.read()
        terminal.unplug()

    run(story())


def test_a_cancelled_reader_loses_no_bytes(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        fifo = tmp_path / "scanner"
        os.mkfifo(fifo)
        link = await open_link(f"evdev://{fifo}")
        writer = os.open(fifo, os.O_WRONLY)
        reader = asyncio.ensure_future(link.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two readers"):
            await link.read()
        os.write(writer, b"abc")
        # the bytes come and wake the reader; it is cancelled before it runs
        link._on_readable()  # type: ignore[attr-defined]
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert reader.cancelled()
        assert await link.read() == b"abc"
        link.close()
        os.close(writer)

    run(story())


def test_no_descriptor_is_left_open(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "plain").write_bytes(b"x")
        # the first one starts the thread that opens, and pyserial
        with pytest.raises(DeviceLost):
            await open_link("serial:///dev/no-such-port")
        before = open_fds()
        for url, trouble in (
            ("serial:///dev/null", DeviceMisconfigured),
            (f"serial://{tmp_path}/plain", DeviceMisconfigured),
            (f"serial://{tmp_path}", DeviceMisconfigured),
            ("serial:///dev/no-such-port", DeviceLost),
            ("evdev:///dev/null", DeviceMisconfigured),
            (f"evdev://{tmp_path}", DeviceMisconfigured),
            ("evdev:///dev/input/no-such-device", DeviceLost),
            ("tcp://127.0.0.1:1", DeviceLost),
        ):
            for grab in (True, False):
                with pytest.raises(trouble):
                    await open_link(url, grab=grab)
                assert open_fds() == before, url
        terminal = Terminal(tmp_path / "scale")
        link = await terminal.open()
        terminal.unplug()
        with pytest.raises(DeviceLost):
            await link.read()
        assert open_fds() == before

    run(story())


def test_an_open_cancelled_half_way_closes_what_it_opened(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, may_go_on = threading.Event(), threading.Event()
    opened: list[int] = []

    def sick_port(address: object) -> int:
        started.set()
        may_go_on.wait(DEADLINE_S)
        opened.append(os.open("/dev/null", os.O_RDONLY))
        return opened[0]

    monkeypatch.setattr(link_module, "_open_serial", sick_port)

    async def story() -> None:
        opening = asyncio.ensure_future(open_link("serial:///dev/ttyUSB0"))
        await until(started.is_set)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        may_go_on.set()
        await until(lambda: bool(opened) and is_closed(opened[0]))

    run(story())


def test_a_port_that_goes_away_while_it_is_set_up_is_lost(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise termios.error(5, "Input/output error")

    async def story() -> None:
        terminal = Terminal(tmp_path / "scale")
        before = open_fds()
        with monkeypatch.context() as patch:
            patch.setattr(termios, "tcflush", gone)
            with pytest.raises(DeviceLost, match="Input/output error"):
                await open_link(terminal.url)
        assert open_fds() == before
        link = await terminal.open()
        link.close()
        terminal.unplug()

    run(story())


@pytest.mark.parametrize(
    ("url", "group"), [("serial:///dev/ttyS9", "dialout"), ("evdev:///dev/input/event9", "input")]
)
def test_permission_denied_names_the_remedy(
    run: Run, url: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    async def story() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", denied)
            with pytest.raises(DeviceMisconfigured, match=f"group {group}"):
                await open_link(url)

    run(story())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("serial:///dev/ttyUSB0", ("serial", "/dev/ttyUSB0", 9600, 8, "N", "1")),
        (
            "serial:///dev/a%20b?baud=115200&bytesize=7&parity=E&stopbits=2",
            ("serial", "/dev/a b", 115200, 7, "E", "2"),
        ),
        ("tcp://Scale-1:4001", ("tcp", "scale-1:4001", 9600, 8, "N", "1")),
        ("tcp://[fe80::1]:4001/", ("tcp", "[fe80::1]:4001", 9600, 8, "N", "1")),
        (
            "evdev:///dev/input/by-id/usb-Zebra:0-event-kbd",
            ("evdev", "/dev/input/by-id/usb-Zebra:0-event-kbd", 9600, 8, "N", "1"),
        ),
    ],
)
def test_parse_link(url: str, said: tuple[object, ...]) -> None:
    it = parse_link(url)
    assert (it.scheme, it.target, it.baud, it.bytesize, it.parity, it.stopbits) == said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begins with one of"),
        ("/dev/ttyUSB0", "begins with one of serial://, tcp://, evdev://"),
        ("usb:///dev/ttyUSB0", "begins with one of"),
        ("serial://dev/ttyUSB0", "three slashes"),
        ("serial:///", "three slashes"),
        ("serial:///dev/tty%00", "three slashes"),
        ("serial:///dev/ttyUSB0?baud=9601", "baud=9601 is none of 300, 600"),
        ("serial:///dev/ttyUSB0?baud=", "baud= is none of"),
        ("serial:///dev/ttyUSB0?baud", "write it like"),
        ("serial:///dev/ttyUSB0?baudrate=9600", "did you mean baud"),
        ("serial:///dev/ttyUSB0?parity=none&xyz=1", "parity=none is none of N, E, O.*xyz"),
        ("serial:///dev/ttyUSB0?baud=9600&baud=1200", "twice"),
        ("serial:///dev/ttyUSB#0", "%23"),
        ("tcp://scale-1", "a host and a port"),
        ("tcp://:4001", "a host and a port"),
        ("tcp://scale-1:0", "a host and a port"),
        ("tcp://scale-1:99999", "write it like"),
        ("tcp://scale-1:port", "write it like"),
        ("tcp://scale-1:4001/path", "nothing else"),
        ("tcp://scale-1:4001?baud=9600", "nothing else"),
        ("tcp://user@scale-1:4001", "%40"),
        ("tcp://[::1:4001", "write it like"),
        ("evdev:///dev/input/event3?grab=1", "nothing to set"),
    ],
)
def test_parse_link_says_what_would_work(url: str, words: str) -> None:
    with pytest.raises(DeviceMisconfigured, match=words):
        parse_link(url)
