"""The examples of WIRE.md, as files: read, judged and answered by the reference ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.messages import decode_ack, decode_replay, members
from ledger import strict
from ledger.books import Books
from ledger.envelope import Sent, read_batch, read_hello, read_state, read_topic
from ledger.inbox import take
from ledger.rules import KNOWN, Movement, judge

GOLDEN = Path(__file__).parents[2] / "docs" / "wire" / "golden" / "1.0"
UP = "stockd/v1/s0001/up/stock"
CHAIN_1 = "bccf4431409b6fdc9b182a3190114b3ef548a87be2038564ab4860fe5232314a"


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def example(name: str) -> Any:
    return json.loads(golden(name))


def test_the_examples_give_the_acks_of_the_text() -> None:
    books = Books(None)
    greeting = take(books, f"{UP}/hello", golden("hello"), 1780300799180)
    assert greeting.ack is not None
    assert json.loads(json.dumps(members(greeting.ack))) == example("ack-new-epoch")
    answer = take(books, f"{UP}/batch", golden("batch-stock"), 1780302532020)
    assert answer.ack is not None
    assert json.loads(json.dumps(members(answer.ack))) == example("ack-ok")
    epoch = books.rows("s0001", "stock")[0]
    first = books.chain_at(epoch, 1)
    assert first is not None
    assert first.hex() == CHAIN_1


def test_the_ops_example_is_taken() -> None:
    books = Books(None)
    hello = json.loads(golden("hello")) | {"stream": "ops"}
    take(books, "stockd/v1/s0001/up/ops/hello", json.dumps(hello).encode(), 1)
    reply = take(books, "stockd/v1/s0001/up/ops/batch", golden("batch-ops"), 2)
    assert reply.ack is not None
    assert (reply.ack.st, reply.ack.ack, reply.ack.rej) == ("ok", 1, ())


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_golden_is_read(path: Path) -> None:
    payload = path.read_bytes()
    value = strict.parse(payload)
    assert not strict.forbidden_number(value)
    family = path.stem.split("-")[0]
    match family:
        case "state":
            assert read_state(_topic("state"), payload).store == "s0001"
        case "hello":
            assert read_hello(_topic("up/stock/hello"), payload).inst
        case "batch":
            assert read_batch(_topic(f"up/{value['stream']}/batch"), payload).events
        case "ack":
            assert decode_ack(payload).credit == 2000
        case "replay":
            assert decode_replay(payload).start == 3
        case "stock" | "ops":
            body = payload.rstrip(b"\n")
            assert strict.canonical_of(value) == body
            assert isinstance(judge(family, Sent(body)), Movement)
        case _:
            pytest.fail(f"a golden of no known message: {path.name}")


def test_there_is_a_golden_of_every_kind() -> None:
    kinds = {json.loads(path.read_bytes())["kind"] for path in GOLDEN.glob("stock-event-*.json")}
    assert kinds == KNOWN


def _topic(rest: str) -> Any:
    return read_topic(f"stockd/v1/s0001/{rest}")
