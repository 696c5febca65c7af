"""However a history is cut, doubled, reordered and spoiled on its way: the same books in the end.

The history carries poison of several kinds; the deliveries are arbitrary ranges of it, hellos,
truncated payloads and restarts on the same file. Afterwards the gateway does what section 9 says,
send from the watermark on, and every table must equal that of one clean run.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.messages import Ack
from ledger.books import Books
from ledger.inbox import take
from ledger.verify import verify

STORE, INST, NOW = "s0001", "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7", 1_780_302_532_020
GTINS = ("09506000134352", "06901234567892")
HELLO = {
    "v": "1.0", "store": STORE, "stream": "stock", "gw": "gw", "inst": INST, "epoch": 0, "min": 1,
    "ack": 0, "sid": "0" * 32, "boot": "0" * 16, "sw": "1", "schema": "1.0", "caps": [],
    "why": "connect", "ts": NOW, "tq": "sync", "te": -1,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One event to be: a movement, or something the ledger must refuse."""

    poison: str
    gtin: str
    source: str
    target: str
    d: int


STEPS = st.builds(
    Step,
    st.sampled_from(["", "", "", "", "float", "unbalanced", "kind", "gtin", "uom", "twin", "void"]),
    st.sampled_from(GTINS),
    st.sampled_from(["@supplier", "a1", "back"]),
    st.sampled_from(["@basket", "a2"]),
    st.integers(-5000, 5000).filter(bool),
)


def event(seq: int, step: Step) -> dict[str, Any]:
    mark = hashlib.sha256(f"{seq if step.poison != 'twin' else 1}".encode()).hexdigest()
    common: dict[str, Any] = {
        "gtin": step.gtin,
        "lot": None,
        "exp": None,
        "uom": "EA",
        "after": None,
    }
    lines = [
        common | {"loc": step.source, "d": -step.d},
        common | {"loc": step.target, "d": step.d},
    ]
    value: dict[str, Any] = {
        "seq": seq, "id": f"019e8246-8c67-7{mark[:3]}-8{mark[3:6]}-{mark[6:18]}", "kind": "restock",
        "ts": NOW + seq, "tq": "sync", "te": 4, "mono_us": seq, "boot": "0" * 16, "lines": lines,
    }  # fmt: skip
    match step.poison:
        case "float":
            value["conf"] = 0.5
        case "unbalanced":
            lines[0]["d"] += 1
        case "kind":
            value["kind"] = "teleport"
        case "gtin":
            lines[0]["gtin"] = lines[1]["gtin"] = "09506000134353"
        case "uom":
            lines[0]["uom"] = lines[1]["uom"] = "KGM"
        case "void":
            value |= {"kind": "void", "corr": value["id"]}
    return value


class History:
    def __init__(self, steps: list[Step]) -> None:
        self.bodies = [rfc8785.dumps(event(seq, step)) for seq, step in enumerate(steps, 1)]
        self.chains = [hashlib.sha256(bytes.fromhex(INST)).digest()]
        for body in self.bodies:
            self.chains.append(hashlib.sha256(self.chains[-1] + body).digest())

    def batch(self, first: int, last: int) -> bytes:
        head = {"v": "1.0", "store": STORE, "stream": "stock", "inst": INST, "epoch": 1}
        head |= {"first": first, "prev": self.chains[first - 1].hex()}
        text = json.dumps(head)[:-1].encode()
        return text + b',"ev":[' + b",".join(self.bodies[first - 1 : last]) + b"]}"

    def hello(self) -> bytes:
        return json.dumps(HELLO | {"max": len(self.bodies)}).encode()


def told(books: Books, message: str, payload: bytes) -> Ack:
    ack = take(books, f"stockd/v1/{STORE}/up/stock/{message}", payload, NOW).ack
    assert ack is not None
    return ack


def catch_up(books: Books, history: History, size: int) -> None:
    ack = told(books, "hello", history.hello())
    while ack.ack < len(history.bodies):
        ack = told(books, "batch", history.batch(ack.ack + 1, ack.ack + size))
        assert ack.st == "ok"
    assert ack.chain == history.chains[-1].hex()


def tables(books: Books) -> list[Any]:
    wanted = (
        "SELECT store, stream, epoch, seq, id, kind, ts, body, chain FROM events",
        "SELECT store, stream, epoch, seq, code, detail, raw, chain FROM quarantine"
        " WHERE seq IS NOT NULL",
        "SELECT * FROM balances",
        "SELECT store, stream, epoch, inst, w, chain, status, check_after FROM streams",
        "SELECT store, stream, epoch, seq, code, detail FROM findings",
    )
    return [sorted(books._db.execute(sql), key=repr) for sql in wanted]


DELIVERIES = st.lists(
    st.tuples(
        st.sampled_from(["batch", "batch", "batch", "hello", "cut"]),
        st.integers(1, 40),
        st.integers(1, 9),
        st.integers(0, 300),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=30), DELIVERIES, st.integers(1, 12))
def test_any_deliveries_end_in_the_books_of_a_clean_run(
    steps: list[Step], deliveries: list[tuple[str, int, int, int]], size: int
) -> None:
    history = History(steps)
    clean = Books(None)
    catch_up(clean, history, 100)

    books = Books(None)
    told(books, "hello", history.hello())
    for what, place, length, cut in deliveries:
        first = min(place, len(history.bodies))
        payload = history.batch(first, first + length - 1)
        if what == "hello":
            assert told(books, "hello", history.hello()).st == "sync"
        elif what == "cut":
            ack = told(books, "batch", payload[: min(cut, len(payload) - 1)])
            assert (ack.st, ack.rej[0].code) == ("gap", "bad_envelope")
        else:
            assert told(books, "batch", payload).st in ("ok", "gap")
        assert verify(books._db).problems == ()
    catch_up(books, history, size)

    assert tables(books) == tables(clean)
    verdict = verify(books._db)
    assert verdict.problems == ()
    assert verdict.events + verdict.quarantined == len(steps)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=30))
def test_poison_never_blocks_and_never_moves_stock(steps: list[Step]) -> None:
    history, books = History(steps), Books(None)
    catch_up(books, history, 7)
    kept = {seq for (seq,) in books._db.execute("SELECT seq FROM events")}
    sums: dict[tuple[str, str], int] = {}
    units: dict[str, str] = {}
    ids: set[int] = set()
    for seq, step in enumerate(steps, 1):
        unit = "KGM" if step.poison == "uom" else "EA"
        ident = 1 if step.poison == "twin" else seq
        sound = step.poison in ("", "uom", "twin") and ident not in ids
        assert (seq in kept) is (sound and units.get(step.gtin, unit) == unit)
        if seq in kept:
            ids.add(ident)
            units[step.gtin] = unit
            sums[step.gtin, step.source] = sums.get((step.gtin, step.source), 0) - step.d
            sums[step.gtin, step.target] = sums.get((step.gtin, step.target), 0) + step.d
    found = {(g, loc): q for g, loc, q in books._db.execute("SELECT gtin, loc, qty FROM balances")}
    assert found == sums


@settings(max_examples=10, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=30), st.integers(1, 5))
def test_two_consumers_of_one_database_are_correct(steps: list[Step], size: int) -> None:
    """D11: batches dealt round-robin, each doubled, with what overlaps and what is missing."""
    history, clean = History(steps), Books(None)
    catch_up(clean, history, 100)
    with TemporaryDirectory() as folder:
        consumers = [Books(Path(folder) / "ledger.db") for _ in range(2)]
        told(consumers[0], "hello", history.hello())
        for number, first in enumerate(range(1, len(steps) + 1, size)):
            for payload in (history.batch(first, first + size), history.batch(first, first + 1)):
                told(consumers[number % 2], "batch", payload)
        catch_up(consumers[1], history, size)
        assert tables(consumers[0]) == tables(consumers[1]) == tables(clean)
        for books in consumers:
            books.close()
