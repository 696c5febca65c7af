"""Simulated ports: they appear, vanish, never block, and know whether somebody listens."""

from __future__ import annotations

import os
import select
import termios
import time
from pathlib import Path

import pytest

from drivers.sim.ports import FifoPort, PortRefused, PtyPort


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def _read(fd: int, count: int) -> bytes:
    """So many bytes of a terminal, which the kernel delivers when it has a moment."""
    got = b""
    while len(got) < count and select.select([fd], [], [], 5.0)[0]:
        got += os.read(fd, 4096)
    return got


def _heard_by(port: PtyPort, count: int) -> bytes:
    deadline_s, got = time.monotonic() + 5.0, b""
    while len(got) < count and time.monotonic() < deadline_s:
        got += port.read()
    return got


def test_a_pty_carries_raw_bytes_both_ways_and_survives_reopening(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "deep" / "scale")
    port.plug()
    assert not port.heard()
    for _ in range(3):
        slave = _open(port.path)
        assert port.heard()
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON)
        port.write(b"\x00\r\n\x11 S\x1d")
        assert _read(slave, 7) == b"\x00\r\n\x11 S\x1d"
        os.write(slave, b"SI\r\n")
        assert _heard_by(port, 4) == b"SI\r\n"
        assert port.read() == b""
        os.close(slave)
        assert not port.heard()
    assert port.dropped_bytes == 0
    port.unplug()


def test_what_is_written_to_nobody_is_dropped_counted_and_never_heard_later(
    tmp_path: Path,
) -> None:
    port = PtyPort(tmp_path / "scan")
    port.plug()
    port.write(b"stale\r")
    slave = _open(port.path)
    port.write(b"fresh\r")
    assert _read(slave, 6) == b"fresh\r"
    assert port.dropped_bytes == len(b"stale\r")
    os.close(slave)
    port.unplug()


def test_a_reader_who_sleeps_costs_bytes_but_never_half_a_line(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "scale")
    port.plug()
    slave = _open(port.path)
    line = b"S S     12.345 kg\r\n"
    for _ in range(4000):
        port.write(line)
    assert port.dropped_bytes > 0
    heard = b""
    while select.select([slave], [], [], 0.2)[0]:
        heard += os.read(slave, 65536)
    port.write(line)
    heard += _read(slave, len(line))
    *lines, rest = heard.split(b"\r\n")
    assert len(lines) > 100
    assert set(lines) == {line[:-2]}
    assert rest == b""
    os.close(slave)
    port.unplug()


def test_a_pulled_pty_ends_for_its_reader_and_comes_back_under_the_same_path(
    tmp_path: Path,
) -> None:
    port = PtyPort(tmp_path / "scale")
    port.plug()
    slave = _open(port.path)
    port.unplug()
    port.unplug()
    assert not os.path.lexists(port.path)
    try:
        ended = os.read(slave, 10)
    except OSError:
        ended = b""
    assert ended == b""
    os.close(slave)
    port.plug()
    slave = _open(port.path)
    port.write(b"back")
    assert _read(slave, 4) == b"back"
    os.close(slave)
    port.unplug()


def test_a_fifo_has_no_end_while_it_is_plugged(tmp_path: Path) -> None:
    port = FifoPort(tmp_path / "event0")
    port.plug()
    assert not port.heard()
    port.write(b"x" * 24)
    assert port.dropped_bytes == 24
    for _ in range(2):
        reader = os.open(port.path, os.O_RDONLY | os.O_NONBLOCK)
        assert port.heard()
        with pytest.raises(BlockingIOError):
            os.read(reader, 24)
        port.write(b"y" * 24)
        assert os.read(reader, 100) == b"y" * 24
        os.close(reader)
        assert not port.heard()
    reader = os.open(port.path, os.O_RDONLY | os.O_NONBLOCK)
    port.unplug()
    assert os.read(reader, 24) == b""
    os.close(reader)
    assert not port.path.exists()


@pytest.mark.parametrize("kind", [PtyPort, FifoPort])
def test_a_path_of_somebody_else_is_refused_and_left_alone(
    tmp_path: Path, kind: type[PtyPort | FifoPort]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(PortRefused, match=r"notes\.txt"):
        kind(path).plug()
    assert path.read_text() == "mine"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(PortRefused):
        kind(link).plug()
    assert link.is_symlink()


def test_what_an_earlier_run_left_is_taken_over(tmp_path: Path) -> None:
    dangling, pipe = tmp_path / "scale", tmp_path / "event0"
    dangling.symlink_to("/dev/pts/9999")
    os.mkfifo(pipe)
    for port in (PtyPort(dangling), FifoPort(pipe)):
        port.plug()
        port.unplug()
        assert not os.path.lexists(port.path)
