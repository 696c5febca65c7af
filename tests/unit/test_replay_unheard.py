"""What a trace says without effect is told: "nothing booked" has a reason."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config import load
from gateway.unheard import REASONS_MAX, Unheard

CONFIG = Path(__file__).parents[1] / "golden" / "stores" / "_store" / "store.toml"
HEAD = {"trace": 1, "store": "s0001", "config_sha256": None}
START = 1_780_300_800_000_000_000
EVENT_KEYS = {"kind", "lines", "seq"}


def told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *said: dict[str, object], more: str = ""
) -> tuple[str, list[str]]:
    trace = tmp_path / "trace.jsonl"
    lines = [HEAD, *({"at_ns": START + n, **one} for n, one in enumerate(said))]
    trace.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    assert main(["replay", str(trace), "--config", str(CONFIG), *more.split()]) == 0
    out, err = capsys.readouterr()
    return out, [line.removeprefix("stockd: warning: ") for line in err.splitlines()]


UNKNOWN = {"device": "scale-z9", "kind": "weight", "mass_mg": 1, "stable": True, "flags": []}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (UNKNOWN, "scale-z9, once, without effect: no such [[device]] in the configuration"),
        (
            UNKNOWN | {"device": "till-1"},
            "till-1, once, without effect: a weight of a device that is a scanner here",
        ),
        (
            {"device": "till-1", "kind": "scan", "data": "06901234560016", "aim": "]E0",
             "mode": None},
            "till-1, once, without effect: scan dropped: bad_check_digit",
        ),
        (
            {"device": "till-1", "kind": "garbled", "reason": "no_end", "bytes": "00"},
            "till-1, once, without effect: garbled: no_end",
        ),
        (
            {"device": "console", "kind": "command", "name": "quantity",
             "args": {"device": "till-1", "n": -3}},
            "till-1, once, without effect: refused: till-1 cannot count -3 at once",
        ),
    ],
)  # fmt: skip
def test_a_silence_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: dict[str, object], why: str
) -> None:
    assert told(tmp_path, capsys, said) == ("", [why])


def test_it_is_counted_and_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sale = {"device": "till-1", "kind": "scan", "data": "06901234560015", "aim": None, "mode": None}
    count = {"device": "console", "kind": "command", "name": "stocktake",
             "args": {"location": "a1", "gtin": "06901234560015", "qty_milli": 5000}}  # fmt: skip
    out, err = told(tmp_path, capsys, UNKNOWN, count, UNKNOWN, more="--json")
    document = json.loads(out)
    assert err == []
    assert [event.keys() >= EVENT_KEYS for event in document["events"]] == [True]
    (silence,) = document["without_effect"]
    assert (silence["device"], silence["count"], silence["first_at_ns"]) == ("scale-z9", 2, START)
    assert document["untold"] == 0
    assert told(tmp_path, capsys, count, sale)[1] == []


def test_garbage_without_end_is_bounded() -> None:
    from gateway.domain.wire import read_reading

    unheard = Unheard(load(CONFIG).settings)
    for n in range(REASONS_MAX + 7):
        unheard.reading(
            read_reading(json.dumps({"at_ns": n, **UNKNOWN, "device": f"d{n}"}).encode())
        )
    assert (len(unheard.found()), unheard.untold) == (REASONS_MAX, 7)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", 'a trace begins with {"trace":1'),
        (b"hello\n", 'a trace begins with {"trace":1'),
        (b'{"trace":1,"store":"s0001","config_sha256":null}\n{"at_ns":5,"device":"console",'
         b'"kind":"command","name":"void","args":{}}', "line 2: Object missing required field"),
        (b'{"trace":1,"store":"s0001","config_sha256":null}\n{"at_ns":5,"device":"console",'
         b'"kind":"command","name":"void","args":{"event":[]}}', "at `$.args.event`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_words_of_the_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, says: str
) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(content)
    assert main(["replay", str(trace), "--config", str(CONFIG)]) == 2
    assert says in capsys.readouterr().err


def test_a_byte_order_mark_and_blank_lines_do_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b"\n" + codecs.BOM_UTF8 + json.dumps(HEAD).encode() + b"\n\n")
    assert main(["replay", str(trace), "--config", str(CONFIG)]) == 0
    assert capsys.readouterr() == ("", "")
