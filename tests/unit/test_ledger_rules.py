"""Each code of refusal of WIRE section 10, item 6, by one change to a sound event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import strict
from ledger.envelope import Sent
from ledger.rules import Movement, Refused, judge

GOLDEN = Path(__file__).parents[2] / "docs" / "wire" / "golden" / "1.0"
LINE = {"lot": "L1", "exp": None, "uom": "EA", "after": None}
ABSENT = object()


def event(name: str, **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((GOLDEN / f"stock-event-{name}.json").read_bytes())
    value |= changes
    return {key: item for key, item in value.items() if item is not ABSENT}


def with_line(name: str, number: int, **changes: Any) -> dict[str, Any]:
    value = event(name)
    line = value["lines"][number] | changes
    value["lines"][number] = {key: item for key, item in line.items() if item is not ABSENT}
    return value


def with_lines(name: str, **changes: Any) -> dict[str, Any]:
    value = event(name)
    value["lines"] = [line | changes for line in value["lines"]]
    return value


def many(count: int) -> list[dict[str, Any]]:
    gtin = {"gtin": "09506000134352"}
    places = [gtin | LINE | {"loc": f"p{n}", "d": 1000} for n in range(count - 1)]
    return [*places, gtin | LINE | {"loc": "@supplier", "d": -1000 * (count - 1)}]


def judged(value: Any, stream: Any = "stock") -> Movement | Refused:
    parsed = strict.parse(json.dumps(value).encode())
    return judge(stream, Sent(strict.canonical_of(parsed), strict.forbidden_number(parsed)))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("number", with_lines("pick", d=0.5)),
        ("number", event("pick", conf=1e2)),
        ("number", event("pick", unheard={"of": [2**53]})),
        ("bad_schema", event("pick", id="019e8246-8c67-4a2f-8e96-0750c6aaf05e")),
        ("bad_schema", event("pick", id=ABSENT)),
        ("bad_schema", event("pick", ts="1780302122087")),
        ("bad_schema", event("pick", ts=-1)),
        ("bad_schema", event("pick", te=-2)),
        ("bad_schema", event("pick", tq="good")),
        ("bad_schema", event("pick", boot="9C1F3E5A7B2D4C60")),
        ("bad_schema", event("pick", boot="9c1f3e5a7b2d4c60\n")),
        ("bad_schema", event("pick", conf=1001)),
        ("bad_schema", event("pick", conf=None)),
        ("bad_schema", event("pick", src=[{"dev": "scale-a1"}])),
        ("bad_schema", event("sale", ref={"type": "letter", "id": "1"})),
        ("bad_schema", event("writeoff", reason="Damaged!")),
        ("bad_schema", event("pick", lines=ABSENT)),
        ("bad_schema", event("pick", lines=[])),
        ("bad_schema", event("pick", lines=event("pick")["lines"][:1])),
        ("bad_schema", event("pick", lines="none")),
        ("bad_schema", event("receive", lines=event("receive")["lines"] * 2)),
        ("bad_schema", with_lines("pick", d=0)),
        ("bad_schema", with_line("pick", 0, after=ABSENT)),
        ("bad_schema", with_line("pick", 0, lot="")),
        ("bad_schema", with_line("pick", 0, lot="x" * 21)),
        ("bad_schema", with_line("pick", 0, lot="ä")),
        ("bad_schema", with_line("pick", 0, exp="2026-02-30")),
        ("bad_schema", with_line("pick", 0, exp="20260930")),
        ("bad_schema", with_line("pick", 0, counted=5)),
        ("bad_schema", with_line("stocktake", 1, counted=5)),
        ("bad_schema", with_lines("pick", epc=["urn:epc:id:sgtin:1.2.3"] * 2)),
        ("bad_schema", event("epoch-open", open=ABSENT)),
        ("bad_schema", event("epoch-open", open={"baseline": None, "sha256": None, "why": "no"})),
        ("bad_schema", event("epoch-open", lines=event("pick")["lines"])),
        ("bad_schema", event("digest", digest=ABSENT)),
        ("unknown_kind", event("pick", kind="teleport")),
        ("unknown_kind", event("pick", kind="teleport", lines="beamed")),
        ("bad_gtin", with_lines("pick", gtin="09506000134353")),
        ("bad_gtin", with_lines("pick", gtin="9506000134352")),
        ("bad_uom", with_lines("pick", uom="KG")),
        ("bad_uom", event("restock", lines=many(3)[:2] + with_lines("pick", uom="KGM")["lines"])),
        ("bad_loc", with_line("pick", 0, loc="A1")),
        ("bad_loc", with_line("pick", 0, loc="@shelf")),
        ("bad_loc", with_line("pick", 0, loc="")),
        ("unbalanced", with_line("pick", 0, d=-2000)),
        ("unbalanced", with_line("pick", 0, lot="L2407")),
        ("unbalanced", with_line("pick", 0, lot=None)),
        ("too_big", event("receive", lines=many(201))),
        ("bad_corr", event("void", corr=ABSENT)),
        ("bad_corr", event("void", corr="R4711")),
        ("bad_corr", event("adjust", corr="")),
        ("bad_hold", event("hold", hold=ABSENT)),
        ("bad_hold", event("hold", hold="W-1")),
        ("bad_hold", event("hold", hold=event("hold-release")["hold"])),
        ("bad_hold", event("hold-release", hold=event("hold")["hold"])),
        ("bad_hold", event("hold", hold=event("hold")["hold"] | {"gtin": "1"})),
    ],
)  # fmt: skip
def test_one_change_one_code(code: str, value: Any) -> None:
    verdict = judged(value)
    assert isinstance(verdict, Refused), verdict
    assert verdict.code == code
    assert verdict.detail


@pytest.mark.parametrize(
    "value",
    [
        event("pick", unheard={"of": [1, None, "x"]}),
        with_line("pick", 1, unheard=True),
        event("receive", lines=many(200)),
        with_lines("stocktake", d=0),
        event("adjust", corr="3d1e8246-8c67-4a2f-8e96-0750c6aaf05e"),
        with_line("sale", 1, after=5000),
        with_lines("pick", epc=["urn:epc:id:sgtin:950600.0134352.7"]),
    ],
)  # fmt: skip
def test_what_the_text_allows_is_booked(value: Any) -> None:
    assert isinstance(judged(value), Movement)


def test_unknown_ops_kinds_are_kept_and_shapeless_ones_are_not() -> None:
    sound = json.loads((GOLDEN / "ops-event-device-up.json").read_bytes())
    assert isinstance(judged(sound | {"kind": "moon_phase"}, "ops"), Movement)
    assert isinstance(judged(sound | {"data": {"dev": 5}}, "ops"), Movement)
    for wrong in (sound | {"data": "up"}, sound | {"boot": "x"}, sound | {"te": 1.5}):
        assert isinstance(judged(wrong, "ops"), Refused)
