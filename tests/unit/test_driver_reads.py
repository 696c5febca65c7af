"""The conversations of drivers: what they send, how long they wait, what they say at the end."""

from __future__ import annotations

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers import scale_8217, scale_line, scale_sics, scanner_hid, scanner_serial
from drivers.base import DeviceLost, DeviceMisconfigured, Link
from drivers.link import open_link
from gateway.domain.reading import Body, DeviceState, Garbled, Scan, Weight

STABLE = b"S S      1.243 kg\r\n"
WEIGHT = Weight(1_243_000, True)
SERIAL = b'I4 A "0123456789"\r\n'
IDENTIFIED = DeviceState("up", "identified", "sics:0123456789")


class Script:
    """A link that plays a script: bytes, or None for a silence as long as the reader waits."""

    def __init__(self, *steps: bytes | None) -> None:
        self.steps = list(steps)
        self.written: list[bytes] = []
        self.waits_ms: list[int] = []
        self.pauses_ms: list[int] = []

    async def read(self) -> bytes:
        if not self.steps:
            raise DeviceLost("the script has ended")
        step = self.steps.pop(0)
        assert step is not None, "the driver would wait for ever"
        return step

    async def read_within(self, timeout_ms: int) -> bytes | None:
        self.waits_ms.append(timeout_ms)
        if self.steps and self.steps[0] is None:
            return self.steps.pop(0)
        return await self.read()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    async def pause(self, duration_ms: int) -> None:
        self.pauses_ms.append(duration_ms)

    def close(self) -> None:
        self.steps.clear()


async def heard(readings: AsyncIterator[Body]) -> list[Body]:
    """All readings until the link is lost."""
    bodies: list[Body] = []
    with pytest.raises(DeviceLost):
        async for body in readings:
            bodies.append(body)  # noqa: PERF401 - a comprehension would lose them all
    return bodies


async def test_sir_is_sent_once_when_the_scale_has_said_who_it_is() -> None:
    link = Script(SERIAL[:7], SERIAL[7:], STABLE, STABLE[:5], STABLE[5:], b"S D      0.9")
    said = await heard(scale_sics.read(link, scale_sics.Options()))
    assert said == [IDENTIFIED, WEIGHT, WEIGHT, Garbled("cut", b"S D      0.9".hex())]
    assert link.written == [b"I4\r\n", b"SIR\r\n"]
    assert link.pauses_ms == []


@pytest.mark.parametrize("first", [STABLE, b"ES\r\n", None])
async def test_a_scale_that_will_not_say_who_it_is_is_read_all_the_same(
    first: bytes | None,
) -> None:
    link = Script(first, STABLE)
    assert (await heard(scale_sics.read(link, scale_sics.Options())))[-1] == WEIGHT
    assert link.written == [b"I4\r\n", b"SIR\r\n"]


async def test_a_scale_switched_off_and_on_is_asked_again() -> None:
    link = Script(SERIAL, STABLE, None, SERIAL, None, STABLE)
    said = await heard(scale_sics.read(link, scale_sics.Options()))
    assert said == [IDENTIFIED, WEIGHT, IDENTIFIED, WEIGHT]
    assert link.written == [b"I4\r\n", *[b"SIR\r\n"] * 3]
    assert set(link.waits_ms) == {scale_sics.RESEND_MS}


async def test_only_silence_without_a_break_loses_a_scale() -> None:
    link = Script(*[None, None, STABLE] * 4)
    assert await heard(scale_sics.read(link, scale_sics.Options())) == [WEIGHT] * 4


@pytest.mark.parametrize("command", ["SIR", "SI", "S"])
async def test_a_silent_scale_is_lost_after_ten_seconds(command: str) -> None:
    options = scale_sics.Options(command)  # type: ignore[arg-type]
    link = Script(*[None] * 9)
    assert await heard(scale_sics.read(link, options)) == []
    assert sum(link.waits_ms) == scale_sics.LOST_MS
    assert link.written == [b"I4\r\n", *[command.encode() + b"\r\n"] * 4]


async def test_a_polled_scale_is_asked_once_per_answer_at_its_rate() -> None:
    link = Script(SERIAL, STABLE, b"I1 A\r\n", STABLE, b"S I\r", b"\n", STABLE)
    said = await heard(scale_sics.read(link, scale_sics.Options("SI", 10)))
    assert said == [IDENTIFIED, WEIGHT, WEIGHT, Weight(0, None, ("error",)), WEIGHT]
    assert link.written == [b"I4\r\n", *[b"SI\r\n"] * 5]
    assert link.pauses_ms == [100] * 5  # the link was lost before the sixth began


async def test_an_8217_is_asked_byte_by_byte() -> None:
    link = Script(b"\x0201.243\r", None, b"\x02?", b"\x61\r", b"\x0201.2")
    said = await heard(scale_8217.read(link, scale_8217.Options()))
    assert said == [WEIGHT, Weight(0, False, ("motion", "error")), Garbled("cut", "0230312e32")]
    assert link.written == [b"W"] * 4
    assert link.pauses_ms == [200] * 2


async def test_lines_are_streamed_or_asked_for() -> None:
    link = Script(b"ST,+01.243 kg\r\n", None, b"ST,+01.243 kg\r\n")
    assert await heard(scale_line.read(link, scale_line.Options("and"))) == [WEIGHT] * 2
    assert link.written == []
    link = Script(b"ST,+01.243 kg\r\n", None, b"ST,+01.243 kg\r\n")
    options = scale_line.Options("and", poll="Q\\r\\n", rate_hz=50)
    assert await heard(scale_line.read(link, options)) == [WEIGHT] * 2
    assert link.written == [b"Q\r\n"] * 4
    assert link.pauses_ms == [20] * 2


async def test_a_silent_stream_of_lines_is_lost_too() -> None:
    link = Script(*[None] * 9)
    assert await heard(scale_line.read(link, scale_line.Options())) == []
    assert sum(link.waits_ms) == scale_sics.LOST_MS


async def test_stopping_a_poll_leaves_no_task_behind() -> None:
    class Slow(Script):
        async def pause(self, duration_ms: int) -> None:
            await asyncio.get_running_loop().create_future()

    readings = scale_sics.read(Slow(SERIAL, STABLE), scale_sics.Options("SI"))
    assert await anext(readings) == IDENTIFIED
    await readings.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("rate_hz", [0, 101, -1])
def test_a_rate_out_of_range(rate_hz: int) -> None:
    with pytest.raises(DeviceMisconfigured, match="1 to 100"):
        scale_sics.Options(rate_hz=rate_hz)


async def test_serial_scans_until_the_plug_is_pulled() -> None:
    link = Script(b"6901234", b"567892\r9638", b"5074\r690")
    said = await heard(scanner_serial.read(link, scanner_serial.Options()))
    assert said == [Scan("6901234567892"), Scan("96385074"), Garbled("cut", b"690".hex())]
    assert link.waits_ms == []


async def test_without_a_terminator_silence_ends_a_scan() -> None:
    link = Script(None, b"6901234", b"567892", None, None, b"96385074")
    options = scanner_serial.Options(terminator="none", gap_ms=50)
    said = await heard(scanner_serial.read(link, options))
    assert said == [Scan("6901234567892"), Scan("96385074")]
    assert set(link.waits_ms) == {50}


def keys(codes: list[int], at_us: int = 1_000_000) -> bytes:
    """Key codes of a US keyboard pressed and released 4 ms apart."""
    records = b""
    for code in codes:
        for value in (1, 0):
            records += struct.pack("<qqHHi", *divmod(at_us, 1_000_000), 1, code, value)
            records += struct.pack("<qqHHi", *divmod(at_us, 1_000_000), 0, 0, 0)
        at_us += 4000
    return records


EAN8 = [10, 7, 4, 9, 6, 11, 8, 5]
ENTER = 28


async def test_keys_until_the_plug_is_pulled() -> None:
    typed = keys([*EAN8, ENTER, 2, 3])
    link = Script(typed[:100], typed[100:])
    first, second = await heard(scanner_hid.read(link, scanner_hid.Options()))
    assert first == Scan("96385074")
    assert isinstance(second, Garbled) and second.reason == "cut"
    assert set(link.waits_ms) == {scanner_hid.SILENCE_MS}


async def test_silence_ends_a_scan_of_keys() -> None:
    link = Script(keys(EAN8), None, keys([*EAN8, ENTER], 9_000_000), keys(EAN8[:1]), None)
    said = await heard(scanner_hid.read(link, scanner_hid.Options()))
    assert said[:2] == [Scan("96385074"), Scan("96385074")]
    assert [body.reason for body in said[2:] if isinstance(body, Garbled)] == ["typing"]


async def test_nothing_is_waited_for_between_scans() -> None:
    link = Script(keys([*EAN8, ENTER]), keys([*EAN8, ENTER], 9_000_000))
    assert await heard(scanner_hid.read(link, scanner_hid.Options())) == [Scan("96385074")] * 2
    assert link.waits_ms == []


def test_gap_out_of_range() -> None:
    with pytest.raises(DeviceMisconfigured, match="10 to 1000"):
        scanner_serial.Options(gap_ms=9)


async def test_a_scale_on_a_real_port_unplugged_and_plugged_again(tmp_path: Path) -> None:
    port = tmp_path / "scale"
    async with asyncio.timeout(10):
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(slave)
            port.unlink(missing_ok=True)
            port.symlink_to(os.ttyname(slave))
            link: Link = await open_link(f"serial://{port}")
            os.close(slave)
            readings = scale_sics.read(link, scale_sics.Options())
            first = asyncio.ensure_future(anext(readings))
            await asyncio.sleep(0)
            assert os.read(master, 100) == b"I4\r\n"
            os.write(master, SERIAL)
            assert await first == IDENTIFIED
            os.close(master)
            assert await heard(readings) == []
