"""The door of the core: order, bounds, and that a babbling device delays only itself."""

from __future__ import annotations

import asyncio

from gateway.domain.reading import Scan, Weight
from gateway.intake import CAPACITY, SHARE, TURN, Intake

BODY = Weight(1)


class Ticks:
    """A clock that counts."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        self.now += 1
        return self.now


def door() -> tuple[Intake, list[int]]:
    woken: list[int] = []
    return Intake(Ticks(), lambda: woken.append(1)), woken


async def blocked(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_a_babbling_device_waits_and_others_do_not() -> None:
    intake, _ = door()
    for _ in range(SHARE):
        await intake.put("babbler", BODY)
    waiting = asyncio.create_task(intake.put("babbler", BODY))
    assert await blocked(waiting)
    await intake.put("scanner", Scan("6901234500011"))
    taken = intake.take()
    assert [r.device for r in taken].index("scanner") == SHARE
    assert [r.at_ns for r in taken] == sorted(r.at_ns for r in taken)
    await asyncio.wait_for(waiting, 5)
    assert intake.blocked_total == 1
    assert len(intake.take()) == 1


async def test_a_turn_is_bounded_and_what_is_left_wakes_again() -> None:
    intake, woken = door()
    for n in range(TURN + 3):
        await intake.put(f"d{n % 5}", BODY)
    assert len(woken) == 1
    first = intake.take()
    assert (len(first), len(woken), len(intake)) == (TURN, 2, 3)
    assert len(intake.take()) == 3
    assert len(woken) == 2
    assert intake.take() == []
    await intake.put("d1", BODY)
    assert len(woken) == 3


async def test_commands_enter_a_full_house_and_nobody_else() -> None:
    intake, _ = door()
    for n in range(CAPACITY):
        await intake.put(f"d{n}", BODY)
    waiting = asyncio.create_task(intake.put("late", BODY))
    assert await blocked(waiting)
    intake.put_now("console", BODY)
    assert len(intake) == CAPACITY + 1
    seen = [r.device for _ in range(CAPACITY // TURN + 1) for r in intake.take()]
    await asyncio.wait_for(waiting, 5)
    seen += [r.device for r in intake.take()]
    assert seen[-2:] == ["console", "late"]
    assert intake.taken_total == CAPACITY + 2
