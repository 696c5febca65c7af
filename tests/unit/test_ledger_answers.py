"""What people ask the ledger, and `verify` against books that somebody has edited (WIRE S16)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import event_id
from gateway.domain.wire import canonical, chain_next, chain_start
from ledger.address import AddressError, Files, read_address
from ledger.books import Books, BooksError, path_of
from ledger.cli import main
from ledger.inbox import take

GOLDEN = Path(__file__).parents[2] / "docs" / "wire" / "golden" / "1.0"
INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
GTIN = "09506000134352"
NOW = 1_780_302_532_020


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def ops_batch(events: list[tuple[str, dict[str, Any]]]) -> bytes:
    common = {"tq": "sync", "te": 4, "mono_us": 1, "boot": "9c1f3e5a7b2d4c60"}
    bodies = [
        common
        | {"seq": seq, "id": event_id(INST, "ops", seq, NOW * 10**6), "kind": kind}
        | {"ts": NOW + seq, "data": data}
        for seq, (kind, data) in enumerate(events, 1)
    ]
    head = {"v": "1.0", "store": "s0001", "stream": "ops", "inst": INST, "epoch": 1, "first": 1}
    prev = chain_start(INST).hex()
    return json.dumps(head | {"prev": prev, "ev": bodies}).encode()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The store of the examples, with devices and alarms, a poison event, and a second store."""
    path = tmp_path / "ledger.db"
    books = Books(path)
    take(books, "stockd/v1/s0001/state", golden("state"), NOW)
    for store in ("s0001", "s0002"):
        for name in ("hello", "batch-stock"):
            payload = golden(name).replace(b'"s0001"', f'"{store}"'.encode())
            assert take(books, f"stockd/v1/{store}/up/stock/{name.split('-')[0]}", payload, NOW).ack
    hello = golden("hello").replace(b'"stream":"stock"', b'"stream":"ops"')
    take(books, "stockd/v1/s0001/up/ops/hello", hello, NOW)
    up = {"driver": "scale_sics", "reason": "opened"}
    silent = {"code": "device_silent", "sev": "warn", "text": "货架秤 silent"}
    journal = {"code": "journal_full", "sev": "page", "dev": None, "text": "disk"}
    empty = {"code": "empty_facing", "sev": "warn", "dev": None, "gtin": GTIN, "text": "refill"}
    events: list[tuple[str, dict[str, Any]]] = [
        ("device_up", up | {"dev": "scale-a1"}),
        ("device_up", up | {"dev": "scale-a2"}),
        ("device_down", up | {"dev": "scale-a2", "reason": "unplugged"}),
        ("device_up", {"dev": 7}),
        ("alarm", silent | {"dev": "scale-a1"}),
        ("alarm", silent | {"dev": "scale-a2"}),
        ("alarm_clear", silent | {"dev": "scale-a1"}),
        ("alarm", journal),
        ("alarm", empty | {"loc": "a1"}),
        ("alarm", empty | {"loc": "a2"}),
        ("alarm_clear", empty | {"loc": "a1"}),
    ]
    reply = take(books, "stockd/v1/s0001/up/ops/batch", ops_batch(events), NOW)
    assert reply.events == len(events)
    books.close()
    return path


def ask(path: Path, *arguments: str) -> tuple[str, ...]:
    return (*arguments, "--db", f"sqlite:///{path}")


def answer(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str, code: int = 0) -> Any:
    assert main([*ask(path, *arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_stock_is_one_pool(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pool,) = answer(capsys, ledger, "stock")["stock"]
    assert (pool["gtin"], pool["uom"], pool["on_hand_milli"]) == (GTIN, "EA", 46_000)
    assert [line["store"] for line in pool["stores"]] == ["s0001", "s0002"]
    (pool,) = answer(capsys, ledger, "stock", "--store", "s0002", "--gtin", "9506000134352")[
        "stock"
    ]
    assert (pool["on_hand_milli"], pool["sellable_milli"], pool["basket_milli"]) == (
        23_000,
        23_000,
        0,
    )
    assert pool["stores"][0]["places"] == [
        {"location": "a1", "qty_milli": 11_000},
        {"location": "back", "qty_milli": 12_000},
    ]
    assert answer(capsys, ledger, "stock", "--store", "s0003", code=1)["stock"] == []


def test_stores_devices_and_alerts(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = answer(capsys, ledger, "stores")["stores"]
    assert (one["online"], two["online"]) == (True, None)
    assert [(line["stream"], line["watermark"]) for line in one["streams"]] == [
        ("stock", 5),
        ("ops", 11),
    ]
    devices = answer(capsys, ledger, "devices")["devices"]
    assert [(line["device"], line["state"]) for line in devices] == [
        ("scale-a1", "up"),
        ("scale-a2", "down"),
    ]
    alerts = answer(capsys, ledger, "alerts")["alerts"]
    assert [(line["code"], line["device"]) for line in alerts] == [
        ("device_down", "scale-a2"),
        ("device_silent", "scale-a2"),
        ("journal_full", None),
        ("empty_facing", None),
    ]
    about = [(line["gtin"], line["location"], line["lot"]) for line in alerts]
    assert about == [(None, None, None)] * 3 + [(GTIN, "a2", None)]


def test_tables_are_for_people(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("stores", "stock", "devices", "alerts", "verify"):
        assert main(list(ask(ledger, command))) == 0
    text = capsys.readouterr().out
    for expected in ("scale-a2", "货架秤 silent", "a1:11 back:12", "all right", "s0002"):
        assert expected in text


TAMPERED = [
    ("UPDATE events SET body = replace(body, '24000', '25000') WHERE seq = 2", "chain broken"),
    ("UPDATE balances SET qty = qty + 1 WHERE loc = 'a1'", "events say"),
    ("UPDATE balances SET qty = qty + 1 WHERE loc = 'a1'", "sum to 1"),
    ("DELETE FROM balances WHERE loc = 'back'", "events say"),
    ("DELETE FROM events WHERE seq = 3 AND stream = 'stock'", "seq 3 to 3 missing"),
    ("UPDATE streams SET w = 4 WHERE stream = 'stock'", "watermark 4"),
    ("UPDATE streams SET chain = replace(chain, 'a', 'b')", "not that of the stream"),
    ("UPDATE events SET kind = 'loss' WHERE kind = 'sale'", "columns differ"),
    ("UPDATE events SET chain = 'x' WHERE seq = 5 AND stream = 'stock'", "chain broken at seq 5"),
    ("DELETE FROM streams WHERE stream = 'ops'", "events without a stream"),
    (
        "INSERT INTO quarantine SELECT NULL, store, stream, epoch, seq, 'x', '', body, chain, 0"
        " FROM events WHERE seq = 4 AND stream = 'stock'",
        "seq 4 twice",
    ),
]


@pytest.mark.parametrize(("sql", "found"), TAMPERED)
def test_verify_finds_an_edited_row(
    ledger: Path, capsys: pytest.CaptureFixture[str], sql: str, found: str
) -> None:
    assert answer(capsys, ledger, "verify")["ok"] is True
    with sqlite3.connect(ledger) as db:
        db.execute(sql)
    verdict = answer(capsys, ledger, "verify", code=1)
    assert verdict["ok"] is False
    assert any(found in problem for problem in verdict["problems"]), verdict["problems"]


def test_verify_finds_an_unbalanced_event_with_a_right_chain(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(ledger) as db:
        sql = "SELECT body FROM events WHERE store = 's0001' AND stream = 'stock' ORDER BY seq"
        bodies = [json.loads(body) for (body,) in db.execute(sql)]
        bodies[4]["lines"][1]["d"] += 5
        chain = chain_start(INST)
        for body in bodies:
            chain = chain_next(chain, canonical(body))
        where = " WHERE store = 's0001' AND stream = 'stock'"
        edited = (canonical(bodies[4]).decode(), chain.hex())
        db.execute("UPDATE events SET body = ?, chain = ?" + where + " AND seq = 5", edited)
        db.execute("UPDATE streams SET chain = ?" + where, (chain.hex(),))
    problems = answer(capsys, ledger, "verify", code=1)["problems"]
    assert any("seq 5 does not sum to zero" in problem for problem in problems)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["stock", "--db", "sqlite:///nowhere/ledger.db"], 3),
        (["stock", "--db", "postgresql://hq/stock"], 2),
        (["stock", "--db", "ledger.db"], 2),
        (["run", "--db", "sqlite:///l.db", "--mqtt", "mqtt://hq.example:1883"], 2),
        (["run", "--db", "sqlite:///l.db", "--mqtt", "http://127.0.0.1"], 2),
        (["run", "--db", "sqlite:///l.db", "--mqtt", "mqtts://127.0.0.1:8883"], 2),
        (["verify", "--db", f"sqlite:///{Path(__file__)}"], 2),
    ],
)
def test_a_mistake_is_a_sentence_and_a_code(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    complaint = capsys.readouterr().err
    assert complaint.startswith("stockd-ledger: ")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["stock", "--gtin", "123"], ["stock", "--store", "S!"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_database_urls_are_those_of_sqlalchemy() -> None:
    assert path_of("sqlite:///var/ledger.db") == Path("var/ledger.db")
    assert path_of("sqlite:////var/ledger.db") == Path("/var/ledger.db")
    for url in ("sqlite://ledger.db", "sqlite:///", "mysql://x", ""):
        with pytest.raises(BooksError):
            path_of(url)


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Books(path).close()
    Books(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BooksError, match="newer"):
        Books(path)


def test_plain_text_stays_on_this_machine() -> None:
    for url in ("mqtt://localhost", "mqtt://127.1.2.3:1", "mqtt://[::1]:1883"):
        assert read_address(url, Files(), False).tls is None
    assert read_address("mqtt://hq.example", Files(), True).port == 1883
    for url in (
        "mqtt://hq.example",
        "mqtt://10.0.0.1",
        "mqtt://u:p@localhost",
        "mqtt://localhost:x",
    ):
        with pytest.raises(AddressError):
            read_address(url, Files(), False)
