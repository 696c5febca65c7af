"""`rfid_llrp.read`: how long it waits, what it says at the end; and its options."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from llrp_reader import EPC, Reader, attempt, message, report, requests

from drivers import rfid_llrp
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent
from drivers.rfid_llrp import Options
from gateway import registry
from gateway.domain.reading import Body, DeviceState, Garbled, Tag

IDENTIFIED = DeviceState("up", "identified", "llrp:00163efffe12ab34")
LAST = Tag(EPC, 1, -5000)


class Wire:
    """A link with a reader at its other end; None in `later` is a silence as long as one waits."""

    def __init__(self, reader: Reader, *later: bytes | None, slow: bool = False) -> None:
        self.reader, self.later, self.slow = reader, list(later), slow
        self.identity = ""
        self.inbox = attempt()
        self.sent = b""
        self.waits_ms: list[int] = []

    async def read(self) -> bytes:
        raise AssertionError("a reader that is silent must be noticed")

    async def read_within(self, timeout_ms: int) -> bytes | None:
        await asyncio.sleep(0)
        self.waits_ms.append(timeout_ms)
        if self.inbox:
            chunk, self.inbox = self.inbox, b""
            return chunk
        if not self.later:
            raise DeviceLost("the other side closed it")
        return self.later.pop(0)

    def write(self, data: bytes) -> None:
        self.sent += data
        self.inbox += self.reader.answers(data)

    async def pause(self, duration_ms: int) -> None:
        if not self.slow:
            await asyncio.Event().wait()  # no answer is late here

    def close(self) -> None:
        self.later.clear()


async def heard(wire: Wire, options: Options | None = None) -> tuple[list[Body], Exception]:
    bodies: list[Body] = []
    try:
        async with aclosing(rfid_llrp.read(wire, options or Options())) as readings:  # type: ignore[type-var]
            async for body in readings:
                bodies.append(body)  # noqa: PERF401 - a comprehension would lose them all
    except (DeviceLost, DeviceMisconfigured) as error:
        return bodies, error
    raise AssertionError("it ended without a reason")


async def test_tags_until_the_connection_is_lost() -> None:
    wire = Wire(Reader(), report((EPC, 1, -50)), message(62, mid=9), report((EPC, 1, -50))[:-3])
    bodies, error = await heard(wire)
    assert bodies[:2] == [IDENTIFIED, LAST]
    assert isinstance(bodies[2], Garbled) and bodies[2].reason == "cut"
    assert str(error) == "the other side closed it"
    kinds = [kind for _, kind, _, _ in requests(wire.sent)]
    assert kinds[-2:] == [72, 14]  # the keepalive is acknowledged, the connection closed
    assert set(wire.waits_ms) == {rfid_llrp.ANSWER_MS, 6500}


async def test_three_keepalives_that_are_missing_lose_the_reader() -> None:
    wire = Wire(Reader(), report((EPC, 1, -50)), None)
    bodies, error = await heard(wire, Options(keepalive_ms=1000))
    assert bodies[-1] == LAST
    assert type(error) is DeviceSilent
    assert wire.waits_ms[-1] == 3500


async def test_an_answer_that_never_comes_loses_the_reader() -> None:
    bodies, error = await heard(Wire(Reader(t20=b""), None))
    assert bodies == [IDENTIFIED]
    assert type(error) is DeviceSilent
    assert str(error).startswith("ADD_ROSPEC: no answer within 5 s")


async def test_a_busy_reader_must_answer_too() -> None:
    """Reports that go on do not make up for an answer that does not come."""
    wire = Wire(Reader(t20=b""), *[report((EPC, 1, -50))] * 50, slow=True)
    bodies, error = await heard(wire)
    assert type(error) is DeviceSilent
    assert LAST in bodies
    assert wire.later  # long before it fell silent


async def test_a_refused_setting_is_a_misconfiguration() -> None:
    _, error = await heard(Wire(Reader()), Options(antennas={"9": "a1"}))
    assert isinstance(error, DeviceMisconfigured)
    assert str(error) == "antenna 9: this reader has 4"


async def test_cancelled_it_says_farewell() -> None:
    wire = Wire(Reader(), report((EPC, 1, -50)))
    readings: Any = rfid_llrp.read(wire, Options())
    async for body in readings:
        if body == LAST:
            break
    await readings.aclose()
    assert requests(wire.sent)[-1][1] == 14


async def test_version_1_0_1_is_not_negotiated() -> None:
    wire = Wire(Reader())
    await heard(wire, Options(version="1.0.1"))
    assert requests(wire.sent)[0][:2] == (1, 1)


async def test_a_reader_that_hangs_up_at_1_1_is_told_with_a_remedy() -> None:
    bodies, error = await heard(Wire(Reader(t46=b"")))
    assert bodies == []
    assert str(error).startswith("the other side closed it (asked for LLRP 1.1")
    assert 'version = "1.0.1"' in str(error)


async def test_a_single_target_session_is_refused_at_a_shelf() -> None:
    _, error = await heard(Wire(Reader()), Options(session=2))
    assert "session = 2 with mode shelf" in str(error)
    bodies, _ = await heard(Wire(Reader()), Options(session=3, mode="stocktake"))
    assert bodies == [IDENTIFIED]


def built(**options: Any) -> Options:
    made = registry.build_options(registry.load("rfid_llrp"), options)
    assert isinstance(made, Options)
    return made


@pytest.mark.parametrize(
    ("value", "cdbm"), [(30, 3000), ("27.5", 2750), ("30", 3000), (0, 0), ("12.345", 1234)]
)
def test_power_is_whole_or_decimal_dbm(value: int | str, cdbm: int) -> None:
    assert built(power_dbm=value).wish.power_cdbm == cdbm


def test_options_become_a_wish() -> None:
    wish = built(antennas={"3": "b1", "1": "a1"}, session=1, rf_mode=1002, mode="till").wish
    assert (wish.antennas, wish.session, wish.rf_mode) == ((1, 3), 1, 1002)
    driver = registry.load("rfid_llrp")
    texts = {"antennas": "1=a1,2=a2", "rf_mode": "4", "power_dbm": "27.5", "session": "auto"}
    assert registry.build_options(driver, texts, strings=True) == Options(
        antennas={"1": "a1", "2": "a2"}, rf_mode=4, power_dbm="27.5"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("antennas", {"0": "a1"}),
        ("antennas", {"one": "a1"}),
        ("antennas", {"01": "a1"}),
        ("antennas", {"1": ""}),
        ("power_dbm", 37),
        ("power_dbm", -1),
        ("power_dbm", "much"),
        ("session", 4),
        ("session", "s0"),
        ("population", 65_536),
        ("rf_mode", -1),
        ("keepalive_ms", 100),
        ("mode", "exit"),
        ("version", "1.1"),
    ],
)
def test_options_out_of_range_are_named(option: str, value: object) -> None:
    with pytest.raises(registry.DriverProblems, match=option):
        built(**{option: value})
