"""How transmitters are asked: what is sent when, who is silent, which answers are too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from drivers import _modbus, scale_modbus
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent
from drivers.scale_modbus import GAP_MS, LOST_MS, Options, Watch
from gateway import registry
from gateway.domain.reading import Body, DeviceState, Garbled, Weight

Answer = Callable[[bytes], "list[bytes]"]


def rtu(unit: int, pdu: str) -> bytes:
    return _modbus.rtu_frame(unit, bytes.fromhex(pdu))


class Bus:
    """A line: what `answer` says to each request, in chunks; silence where it says nothing.

    `stray` lies on the line before the request with that number. Time is what the driver waits.
    """

    identity = ""

    def __init__(self, answer: Answer, stray: dict[int, bytes] | None = None) -> None:
        self.answer, self.stray = answer, stray or {}
        self.written: list[bytes] = []
        self.waits_ms: list[int] = []
        self._due: list[bytes] = []

    async def read(self) -> bytes:
        raise AssertionError("the driver would wait for ever")

    async def read_within(self, timeout_ms: int) -> bytes | None:
        await asyncio.sleep(0)
        self.waits_ms.append(timeout_ms)
        if timeout_ms == GAP_MS:
            return self.stray.pop(len(self.written), None)
        return self._due.pop(0) if self._due else None

    def write(self, data: bytes) -> None:
        assert not self._due, "written while an answer was due"
        self.written.append(data)
        self._due = self.answer(data)

    async def pause(self, duration_ms: int) -> None:
        self.waits_ms.append(duration_ms)
        await asyncio.sleep(0.001)

    def close(self) -> None:
        pass


async def take(readings: AsyncIterator[Body], count: int) -> list[Body]:
    said = []
    async for body in readings:
        said.append(body)
        if len(said) == count:
            break
    await readings.aclose()  # type: ignore[attr-defined]
    return said


ONE = Options(rate_hz=1, timeout_ms=1000)
WEIGHT = Weight(132_000, None)
ANSWER = rtu(1, "030400000084")


async def test_a_round_asks_once_and_only_reads() -> None:
    bus = Bus(lambda _: [ANSWER[:4], ANSWER[4:]])
    assert await take(scale_modbus.read(bus, Options(rate_hz=50)), 3) == [WEIGHT] * 3
    assert bus.written == [rtu(1, "0300000002")] * 3
    assert bus.waits_ms.count(GAP_MS) == 3
    assert 1000 // 50 in bus.waits_ms


async def test_stopping_leaves_no_task_behind() -> None:
    assert await take(scale_modbus.read(Bus(lambda _: [ANSWER]), ONE), 1) == [WEIGHT]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_lay_on_the_line_before_the_request_is_late() -> None:
    stale = rtu(1, "03040000ffff")
    bus = Bus(lambda _: [ANSWER], {0: stale, 1: b"\xff"})
    said = await take(scale_modbus.read(bus, Options(rate_hz=50)), 4)
    assert said == [Garbled("late", stale.hex()), WEIGHT, Garbled("noise", "ff"), WEIGHT]


async def test_an_answer_after_its_time_out_is_late_and_never_a_weight() -> None:
    turns = iter([[], [ANSWER]])
    late = rtu(1, "030400000001")
    bus = Bus(lambda _: next(turns), {1: late})
    said = await take(scale_modbus.read(bus, Options(rate_hz=50)), 2)
    assert said == [Garbled("late", late.hex()), WEIGHT]


async def test_an_answer_of_another_unit_is_late_and_the_right_one_is_awaited() -> None:
    late = rtu(2, "030400000001")
    options = Options(channels={"1": "a1", "2": "a2"}, rate_hz=50)
    bus = Bus(lambda asked: [late, ANSWER] if asked[0] == 1 else [late])
    said = await take(scale_modbus.read(bus, options), 3)
    assert said == [Garbled("late", late.hex()), Weight(132_000, None, (), 1),
                    Weight(1_000, None, (), 2)]  # fmt: skip
    assert [asked[0] for asked in bus.written] == [1, 2]


async def test_on_a_connection_the_transaction_tells_late_answers() -> None:
    options = Options(framing="tcp", rate_hz=50)
    pdu = bytes.fromhex("030400000084")
    late = _modbus.tcp_frame(0xFFFF, 1, pdu)
    own = lambda asked: _modbus.tcp_frame(int.from_bytes(asked[:2], "big"), 1, pdu)  # noqa: E731
    bus = Bus(lambda asked: [late + own(asked)])
    said = await take(scale_modbus.read(bus, options), 4)
    assert said == [Garbled("late", late.hex()), WEIGHT] * 2
    assert [asked.hex() for asked in bus.written] == [
        "000100000006010300000002",
        "000200000006010300000002",
    ]
    assert GAP_MS not in bus.waits_ms


async def test_a_status_far_off_is_asked_for_first() -> None:
    answers = {8: rtu(1, "03020822"), 80: ANSWER}
    bus = Bus(lambda asked: [answers[asked[3]]])
    said = await take(scale_modbus.read(bus, Options(preset="register80", rate_hz=50)), 2)
    assert said == [Weight(132_000, False)] * 2
    assert bus.written[:2] == [bytes.fromhex("01030008000105c8"), bytes.fromhex("010300500002c41a")]


async def test_an_exception_is_an_answer_and_a_weight_without_status_is_one_too() -> None:
    busy = rtu(1, "8306")
    bus = Bus(lambda asked: [busy if asked[3] == 8 else ANSWER])
    said = await take(scale_modbus.read(bus, Options(preset="register80", rate_hz=50)), 2)
    assert said == [Garbled("busy", busy.hex()), WEIGHT]


async def test_a_status_is_never_kept_for_a_later_weight() -> None:
    talk = scale_modbus.Conversation(Options(preset="register80"))
    status, weight = talk.polls
    talk.ask(1, status)
    assert talk.feed(rtu(1, "03020822")) == []
    talk.ask(1, weight)
    assert talk.feed(rtu(1, "8306")) == [Garbled("busy", rtu(1, "8306").hex())]
    talk.ask(1, weight)
    assert talk.feed(ANSWER) == [WEIGHT]


async def test_a_wrong_crc_is_counted_and_the_next_round_asks_again() -> None:
    wrong = ANSWER[:-1] + b"\0"
    turns = iter([[wrong], [ANSWER]])
    bus = Bus(lambda _: next(turns))
    said = await take(scale_modbus.read(bus, Options(rate_hz=50)), 2)
    assert said == [Garbled("crc", wrong.hex()), WEIGHT]


async def test_our_own_echo_says_nothing() -> None:
    bus = Bus(lambda asked: [asked + ANSWER])
    assert await take(scale_modbus.read(bus, Options(rate_hz=50)), 2) == [WEIGHT] * 2


async def test_a_babbling_line_is_never_written_to_and_is_given_up() -> None:
    class Babble(Bus):
        async def read_within(self, timeout_ms: int) -> bytes | None:
            await asyncio.sleep(0.0001)
            return b"\xff" * 300

    bus = Babble(lambda _: [])
    with pytest.raises(DeviceSilent):
        async for body in scale_modbus.read(bus, Options(rate_hz=1, timeout_ms=900)):
            assert body == Garbled("noise", "ff" * 64)
    assert bus.written == []


async def test_a_lost_link_tells_what_was_left() -> None:
    class Torn(Bus):
        async def read_within(self, timeout_ms: int) -> bytes | None:
            if not self.written:
                return None
            if self.written.pop():
                self.written.append(b"")
                return ANSWER[:5]
            raise DeviceLost("unplugged")

    said = []
    with pytest.raises(DeviceLost, match="unplugged"):
        async for body in scale_modbus.read(Torn(lambda _: []), ONE):
            said.append(body)  # noqa: PERF401 - a comprehension would lose them all
    assert said == [Garbled("cut", ANSWER[:5].hex())]


def rounds(watch: Watch, deaf: set[int], passed_ms: int, options: Options) -> list[Any]:
    """What a watch says while some units are deaf, for so long."""
    news: list[Any] = []
    for _ in range(passed_ms * options.rate_hz // 1000):
        for unit in watch.due():
            watch.asked(unit, answered=unit not in deaf)
        news += watch.round_over()
    return news


def test_a_silent_unit_is_news_and_so_is_its_return() -> None:
    options = Options(rate_hz=10)
    watch = Watch((1, 2, 3), options)
    assert rounds(watch, {3}, LOST_MS * 8 // 10, options) == []
    assert rounds(watch, {3}, LOST_MS, options) == [DeviceState("up", "unit 3 silent")]
    assert rounds(watch, {3}, 10 * LOST_MS, options) == []
    assert rounds(watch, set(), 2000, options) == [DeviceState("up", "unit 3 heard again")]


def test_a_silent_unit_is_asked_once_a_second_and_the_others_go_on() -> None:
    options = Options(rate_hz=10)
    watch = Watch((1, 2), options)
    rounds(watch, {2}, 1000, options)
    asked: list[int] = []
    for _ in range(30):
        due = watch.due()
        asked += due
        for unit in due:
            watch.asked(unit, answered=unit == 1)
        watch.round_over()
    assert asked.count(1) == 30
    assert asked.count(2) == 3


@pytest.mark.parametrize("rate_hz", [1, 10, 100])
@pytest.mark.parametrize("timeout_ms", [20, 200, 1000])
def test_a_device_is_lost_when_no_unit_is_heard(rate_hz: int, timeout_ms: int) -> None:
    options = Options(rate_hz=rate_hz, timeout_ms=timeout_ms)
    watch = Watch((1, 2), options)
    passed_ms = 0
    with pytest.raises(DeviceSilent, match="no valid answer for 10 s"):
        while passed_ms <= 2 * LOST_MS:
            due = watch.due()
            for unit in due:
                watch.asked(unit, answered=False)
            watch.round_over()
            passed_ms += max(1000 // rate_hz, len(due) * timeout_ms)
    assert LOST_MS - 2 * timeout_ms - 1000 // rate_hz <= passed_ms <= LOST_MS + 2 * timeout_ms


def test_a_gateway_that_cannot_reach_a_unit_does_not_speak_for_it() -> None:
    talk = scale_modbus.Conversation(Options(framing="tcp"))
    talk.ask(1, talk.polls[0])
    (said,) = talk.feed(bytes.fromhex("00010000000301830b"))
    assert isinstance(said, Garbled)
    assert (said.reason, talk.waiting, talk.reached) == ("gateway_target", False, False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit": 256}, "unit = 256 is not from 0 to 255"),
        ({"rate_hz": 0}, "rate_hz = 0 is not from 1 to 100"),
        ({"timeout_ms": 10}, "20 to 5000"),
        ({"register": 65535}, "65534"),
        ({"scale_mg": 0}, "scale_mg"),
        ({"type": "int64"}, "int32"),
        ({"preset": "lamas"}, 'did you mean "laumas"'),
        ({"channels": {"0": "a1"}}, "'0' is no number from 1 to 247"),
        ({"channels": {"01": "a1"}}, "'01' is no number"),
        ({"channels": {"9" * 5000: "a1"}}, "is no number"),
        ({"channels": {"1": "A 1"}}, "'A 1' is no id of a place"),
        ({"status_bits": {"steady": "1"}}, "steady is none of stable"),
        ({"status_bits": {"stable": "16"}}, "bits 0 to 15"),
        ({"status_bits": {"stable": ""}}, "bits 0 to 15"),
        ({"type": "int16", "status_register": 100}, "must be nearer"),
        ({"channel_by": "register", "channels": {"1": "a", "90": "b"}}, "at most 125"),
        ({"register": 65000, "channel_by": "register", "channel_stride": 60,
          "channels": {"9": "a", "10": "b"}}, "none over 65535"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_told(options: dict[str, Any], words: str) -> None:
    driver = registry.load("scale_modbus")
    with pytest.raises(DeviceMisconfigured, match=words):
        registry.build_options(driver, options)


def test_options_as_text() -> None:
    driver = registry.load("scale_modbus")
    said = {"channels": "1=a1,2=a2", "status_bits": "stable=!5,over=6 9", "rate_hz": "5"}
    assert registry.build_options(driver, said, strings=True) == Options(
        channels={"1": "a1", "2": "a2"}, status_bits={"stable": "!5", "over": "6 9"}, rate_hz=5
    )
