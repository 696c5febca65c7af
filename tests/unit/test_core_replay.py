"""`replay`: same bytes in every process, trouble with its line number, five hundred scans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import Loaded, load
from gateway.domain.ids import check_digit
from gateway.domain.wire import TraceError
from gateway.replay import AT_NS_MAX, replay

GOLDEN = Path(__file__).parents[1] / "golden" / "stores"
HEAD = b'{"trace":1,"store":"s0001","config_sha256":null}'
START = 1_780_300_800_000_000_000


@pytest.fixture(scope="module")
def shop() -> Loaded:
    return load(GOLDEN / "_store" / "store.toml")


def scan(at_ns: int, text: str) -> bytes:
    said = {"at_ns": at_ns, "device": "till-1", "kind": "scan", "data": text, "aim": None}
    return json.dumps(said | {"mode": "sale"}).encode()


def five_hundred() -> Iterator[bytes]:
    """Five codes a second within one millisecond, the last two in one nanosecond."""
    yield HEAD
    for n in range(500):
        moment, place = divmod(n, 5)
        body = f"690{n:09d}"
        at_ns = START + moment * 1_000_000_000 + min(place, 3) * 200_000
        yield scan(at_ns, body + str(check_digit(body)))


def test_five_hundred_scans_are_five_hundred_sales(shop: Loaded) -> None:
    events = [json.loads(body) for body in replay(shop.settings, shop.store, five_hundred())]
    sales = [event for event in events if event["kind"] == "sale"]
    assert len(sales) == 500
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    assert len({event["lines"][0]["gtin"] for event in sales}) == 500
    assert len({event["src"][0]["ref"] for event in sales}) == 500
    first = events[0]
    assert (first["ts"], first["mono_us"]) == (START // 1_000_000, START // 1000)
    assert (first["boot"], first["tq"], first["te"]) == ("0" * 16, "sync", -1)
    assert not {"chain", "inst", "epoch"} & first.keys()


PROGRAM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("days", sys.argv[1])
sys.modules["days"] = days = importlib.util.module_from_spec(spec)
spec.loader.exec_module(days)
from gateway.replay import replay
for seed in range(3):
    for body in replay(days.CONFIG, days.SHOP, days.trace(days.busy_day(seed)), batch=seed + 1):
        sys.stdout.buffer.write(body + b"\\n")
"""


def test_every_process_says_the_same() -> None:
    out = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, GOLDEN / "days.py"],
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "4711")
    ]
    assert out[0] == out[1]
    assert out[0].count(b"\n") > 200


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: a trace begins with its head"),
        ([b""], "line 1: a trace begins"),
        ([b"{}"], "line 1: a trace begins with"),
        ([scan(START, "x")], "line 1: a trace begins with"),
        ([HEAD, b"", b"nonsense"], "line 3: "),
        ([b"\xff{}"], "line 1: a trace begins with"),
        (
            [HEAD, b'{"at_ns":1,"device":"\xff","kind":"scan","data":"x"}'],
            "line 2: this is no UTF-8",
        ),
        ([HEAD, b'{"at_ns":1,"device":"a","kind":"moon"}'], "line 2: unknown kind 'moon'"),
        ([HEAD, scan(START, "x"), scan(START - 1, "x")], f"line 3: at_ns goes back from {START}"),
        ([HEAD, scan(-1, "x")], "line 2: at_ns goes back from 0 to -1"),
        ([HEAD, scan(AT_NS_MAX + 1, "x")], "line 2: at_ns"),
    ],
)
def test_a_bad_line_has_a_number(shop: Loaded, lines: list[bytes], message: str) -> None:
    with pytest.raises(TraceError) as caught:
        list(replay(shop.settings, shop.store, lines))
    assert str(caught.value).startswith(message)


def test_what_came_before_a_bad_line_is_told(shop: Loaded) -> None:
    events = replay(shop.settings, shop.store, [HEAD, scan(START, "6901234560015"), b"?"])
    assert json.loads(next(events))["kind"] == "sale"
    with pytest.raises(TraceError):
        next(events)


def test_time_ends_with_the_last_reading(shop: Loaded) -> None:
    lines = [HEAD, scan(START, "6901234560015")]
    assert len(list(replay(shop.settings, shop.store, lines))) == 1
    due = START + 90 * 10**9
    assert len(list(replay(shop.settings, shop.store, [*lines, scan(due - 1, "x")]))) == 1
    bodies = replay(shop.settings, shop.store, [*lines, scan(due, "x")])
    assert [json.loads(body)["kind"] for body in bodies] == ["sale", "adjust", "pick"]


def rung(after_s: int, receipt: str, line: str, action: str = "sale") -> bytes:
    said = {"at_ns": START + after_s * 10**9, "device": "pos-1", "kind": "pos_line"}
    goods = {"gtin": "06901234560015", "qty_milli": 2000, "action": action}
    return json.dumps(said | {"receipt": receipt, "line": line} | goods).encode()


@pytest.mark.parametrize("batch", [1, 9])
def test_a_source_is_named_once(shop: Loaded, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr("gateway.core.tills.RECEIPTS_MAX", 1)
    lines = [
        HEAD, rung(0, "A/1", "2"), rung(1, "A", "1/2"), rung(2, "B", "1"),
        rung(3, "A", "1/2", "void"), rung(4, "A", "1/2"),
    ]  # fmt: skip
    events = [json.loads(body) for body in replay(shop.settings, shop.store, lines, batch)]
    sales = [event for event in events if event["kind"] == "sale"]
    # Two names that read alike, and a receipt that is no longer remembered.
    assert [event["ref"]["id"] for event in sales] == ["A/1", "A", "B", "A"]
    refs = [event["src"][0]["ref"] for event in sales]
    assert (refs[0], refs[2]) == ("A/1/2", "B/1")
    assert len(set(refs)) == 4
