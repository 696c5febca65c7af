"""The commands of `stockd` against a running daemon, its ledger and its broker."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from stack import Stack

    from gateway.health import DaemonStatus

FOLLOWED_S = 1.0
SCHEDULING_S = 1.0
"""What a loaded machine may add to a promise."""


@pytest.fixture(scope="module")
def shop(make_stack: Callable[..., Stack]) -> Stack:
    stack = make_stack(fusion="pending_sale_s = 1")
    stack.start()
    answer = stack.stockd("command", "stocktake", "location=a1", f"gtin={stack.JAR}",
                          "qty_milli=20000", "--json")  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert len(json.loads(answer.stdout)["events"]) == 1
    return stack


_numbers = iter(range(1, 1_000_000))


@pytest.fixture
def code(shop: Stack) -> str:
    """A code that nobody scanned before."""
    return shop.code(next(_numbers))


def sell(shop: Stack, code: str) -> dict[str, Any]:
    """Scans a code at the till; its sale as journalled."""
    since = shop.newest() + 1
    shop.until(shop.till.port.heard, "the till open")
    shop.till.scan(code)

    def sale() -> dict[str, Any] | None:
        return next((e for e in shop.events(since) if e["kind"] == "sale"), None)

    sold: dict[str, Any] = shop.until(sale, f"a sale of {code}")
    assert sold["lines"][0]["gtin"] == f"0{code}"
    return sold


def said(answer: subprocess.CompletedProcess[bytes]) -> str:
    return answer.stdout.decode()


def test_status_shows_devices_link_and_journal(shop: Stack) -> None:
    shop.settle()
    answer = shop.stockd("status", "--json")
    assert answer.returncode == 0
    now = json.loads(answer.stdout)
    assert {d["health"]["id"]: d["health"]["state"] for d in now["devices"]} == {
        "scale-a1": "up", "scan-dock": "up", "scan-till": "up",
    }  # fmt: skip
    assert [d["mode"] for d in now["devices"]] == [None, "receive", "sale"]
    assert now["link"]["connected"]
    assert [(s["state"], s["ack"] == s["committed"]) for s in now["link"]["streams"]] == [
        ("open", True)
    ] * 2
    table = said(shop.stockd("status"))
    for part in ("scale-a1", "scan-dock", "scan-till", f"event {shop.newest()}", "connected"):
        assert part in table


def test_stock_by_place_and_product(shop: Stack, code: str) -> None:
    sell(shop, code)
    answer = shop.stockd("stock", "--gtin", shop.JAR[1:], "--json")
    assert answer.returncode == 0
    (row,) = json.loads(answer.stdout)["products"]
    assert (row["gtin"], row["on_hand_milli"], row["by_location"]) == (
        shop.JAR, 20000, {"a1": 20000},
    )  # fmt: skip
    assert json.loads(shop.stockd("stock", "--location", "a1", "--json").stdout)["products"] == [
        row
    ]
    assert "Jar" in said(shop.stockd("stock"))
    wrong = shop.stockd("stock", "--gtin", "6901234567890")
    assert wrong.returncode == 2
    assert b"check digit" in wrong.stderr
    assert shop.stockd("stock", "--location", "moon").returncode == 2


def test_an_alert_reaches_the_ledger_and_ends_there(shop: Stack) -> None:
    def alarms() -> list[tuple[str, str]]:
        found = json.loads(shop.ledger("alerts", "--json").stdout)["alerts"]
        return [(a["code"], a["gtin"]) for a in found if a["source"] == "alarm"]

    count = ("command", "stocktake", "location=a1", f"gtin={shop.JAR}")
    shop.stockd(*count, "qty_milli=0")
    empty = ("out_of_stock", shop.JAR)
    shop.until(lambda: empty in alarms(), "the alarm at the ledger")
    (open_,) = json.loads(shop.stockd("alerts", "--json").stdout)["alerts"]
    assert (open_["code"], open_["gtin"]) == empty
    now = json.loads(shop.stockd("status", "--json").stdout)
    assert now["alerts"] == [{"code": "out_of_stock", "sev": "warn", "open": 1}]
    assert "1 out_of_stock" in said(shop.stockd("status"))
    shop.stockd(*count, "qty_milli=20000")
    shop.until(lambda: empty not in alarms(), "its end at the ledger")
    assert json.loads(shop.stockd("alerts", "--json").stdout)["alerts"] == []


def test_a_receipt_is_on_hand_at_once(shop: Stack, code: str) -> None:
    shop.until(shop.dock.port.heard, "the dock open")
    shop.dock.scan(code)
    shop.until(lambda: shop.events()[-1]["lines"][0]["gtin"] == f"0{code}", "the receipt")
    (row,) = json.loads(shop.stockd("stock", "--gtin", code, "--json").stdout)["products"]
    assert row["by_location"] == {"dock": 1000}


def test_events_are_the_bytes_of_the_journal(shop: Stack, code: str) -> None:
    seq = sell(shop, code)["seq"]
    shop.settle()
    rows = [bytes(row[0]) for row in shop.journal("SELECT body FROM stock_events ORDER BY seq")]
    assert shop.stockd("events").stdout.splitlines() == rows
    assert shop.stockd("events", "--since", str(seq)).stdout.splitlines() == rows[seq - 1 :]
    assert shop.stockd("events", "--since", str(len(rows) + 1)).stdout == b""
    taken = shop.books("SELECT body FROM events WHERE stream = 'stock' ORDER BY seq")
    assert [body.encode() for (body,) in taken] == rows


@pytest.fixture
def follower(shop: Stack) -> Iterator[subprocess.Popen[bytes]]:
    since = str(shop.newest())
    command = [sys.executable, "-m", "gateway.cli", "--config", str(shop.config)]
    with subprocess.Popen(
        [*command, "events", "--follow", "--since", since], stdout=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def test_events_follow(shop: Stack, follower: subprocess.Popen[bytes], code: str) -> None:
    assert follower.stdout is not None
    newest = json.loads(follower.stdout.readline())["seq"]
    began_s = time.monotonic()
    sold = sell(shop, code)
    while newest < sold["seq"]:
        line = json.loads(follower.stdout.readline())
        assert line["seq"] == newest + 1
        newest = line["seq"]
    took_s = time.monotonic() - began_s
    print(f"followed after {took_s:.3f} s")
    assert line == sold
    assert took_s < FOLLOWED_S + SCHEDULING_S
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 130


def test_why_in_words(shop: Stack, code: str) -> None:
    sold = sell(shop, code)
    first = shop.stockd("why", "1")
    assert first.returncode == 0
    assert "#1 " in said(first)
    # the sale proves a pick a second later: until then its kin are not all there
    whole = ("why", str(sold["seq"]), "--json")
    shop.until(lambda: json.loads(shop.stockd(*whole).stdout)["led_to"], "the proven pick")
    by_seq = shop.stockd(*whole)
    assert by_seq.stdout == shop.stockd("why", sold["id"], "--json").stdout
    told = json.loads(by_seq.stdout)
    assert (told["seq"], told["kind"]) == (sold["seq"], "sale")
    assert "scan-till" in " ".join(told["why"])
    assert "扫码" in said(shop.stockd("why", str(sold["seq"]), "--lang", "zh-CN"))
    for nobody in ("999999", "9" * 20, "²"):
        missing = shop.stockd("why", nobody)
        assert (missing.returncode, missing.stdout) == (1, b"")
        assert nobody.encode() in missing.stderr


def test_a_command_is_booked_or_says_why_not(shop: Stack) -> None:
    for arguments, status, text in (
        (("stocktake", "location=a1", f"gtin={shop.JAR}", "qty_milli=many"), 2, b"qty_milli"),
        (("stocktake", "location"), 2, b"KEY=VALUE"),
        (("sell_everything",), 2, b"sell_everything"),
    ):
        answer = shop.stockd("command", *arguments)
        assert answer.returncode == status
        assert text in answer.stderr
        assert b"Traceback" not in answer.stderr
    nowhere = shop.stockd("command", "stocktake", "location=moon", f"gtin={shop.JAR}",
                          "qty_milli=1000", "--json")  # fmt: skip
    refused = json.loads(nowhere.stdout)
    assert refused["events"] == []
    assert refused["notes"]


def test_decode_reads_standard_input(shop: Stack) -> None:
    answer = shop.stockd("decode", "scanner_serial", "-", stdin=b"6901234567892\r\xff\r")
    assert answer.returncode == 0
    scan, noise = [json.loads(line) for line in answer.stdout.splitlines()]
    assert (scan["kind"], scan["data"], scan["at_ns"], scan["device"]) == (
        "scan", "6901234567892", 0, "-",
    )  # fmt: skip
    assert (noise["kind"], noise["bytes"]) == ("garbled", "ff")
    assert shop.stockd("decode", "scanner_telepathy").returncode == 2


@pytest.fixture
def copied(shop: Stack, tmp_path: Path) -> Path:
    """The configuration of a second folder with a copy of the journal, made while it runs."""
    for name in ("store.toml", "products.csv", "planogram.csv"):
        shutil.copy(shop.folder / name, tmp_path / name)
    with (
        closing(sqlite3.connect(f"file:{shop.folder / 'stockd.db'}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(tmp_path / "stockd.db")) as target,
    ):
        source.backup(target)
    return tmp_path / "store.toml"


@pytest.mark.parametrize("flip", [1, 2, 0x80])
def test_verify_finds_a_flipped_byte(shop: Stack, copied: Path, code: str, flip: int) -> None:
    sell(shop, code)
    assert shop.stockd("verify").returncode == 0
    sound = shop.stockd("verify", "--json", config=copied)
    assert (sound.returncode, json.loads(sound.stdout)["folded"]) == (0, True)
    with closing(sqlite3.connect(copied.with_name("stockd.db"), isolation_level=None)) as db:
        seq, body = db.execute(
            "SELECT seq, body FROM stock_events WHERE kind = 'stocktake'"
        ).fetchone()
        place = body.index(b'"mono_us":') + len(b'"mono_us":')
        flipped = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]
        db.execute("UPDATE stock_events SET body = ? WHERE seq = ?", (flipped, seq))
    found = shop.stockd("verify", config=copied)
    assert found.returncode == 1
    assert f"stock {seq}: its bytes are not those that were chained" in said(found)


def test_a_second_daemon_is_refused(shop: Stack) -> None:
    second = shop.stockd("run")
    assert second.returncode == 3
    assert b"another stockd is running" in second.stderr
    assert b"Traceback" not in second.stderr
    assert shop.status() is not None


def test_a_bad_configuration_is_not_reloaded(shop: Stack, code: str) -> None:
    before = shop.status()
    good = shop.config.read_text("utf-8")
    said_before = len(shop.said("gateway"))
    shop.config.write_text(good.replace('location = "till-1"', 'location = "till-2"'), "utf-8")
    try:
        shop.processes["gateway"].send_signal(signal.SIGHUP)
        shop.until(lambda: "stays in force" in shop.said("gateway")[said_before:], "a refusal")
    finally:
        shop.config.write_text(good, "utf-8")
    assert "till-2" in shop.said("gateway")[said_before:]
    after = shop.status()
    assert before is not None and after is not None
    assert after.started_ns == before.started_ns
    sell(shop, code)


def test_a_good_configuration_is_taken_in_by_the_same_process(shop: Stack, code: str) -> None:
    sell(shop, code)
    good = shop.config.read_text("utf-8")
    dock = good[good.index('[[device]]\nid = "scan-dock"') : good.rindex("[[device]]")]
    all_three = ["scale-a1", "scan-dock", "scan-till"]
    for text, ids in ((good.replace(dock, ""), ["scale-a1", "scan-till"]), (good, all_three)):
        before = shop.status()
        assert before is not None
        shop.config.write_text(text, "utf-8")
        shop.processes["gateway"].send_signal(signal.SIGHUP)

        def restarted(old_ns: int = before.started_ns) -> DaemonStatus | None:
            now = shop.status()
            return now if now is not None and now.started_ns > old_ns else None

        now = shop.until(restarted, "a start with the new configuration")
        assert shop.processes["gateway"].poll() is None, "the same process"
        assert [d.health.id for d in now.devices] == ids
        shop.settle()
        assert shop.stockd("verify").returncode == 0
    sell(shop, shop.code(next(_numbers)))


def test_impatient_reloads_do_not_kill(shop: Stack, code: str) -> None:
    gateway = shop.processes["gateway"]
    for n in range(40):
        gateway.send_signal(signal.SIGHUP)
        time.sleep(n / 1000)  # sooner and later than a start takes
        assert gateway.poll() is None, f"reload {n} killed it"
    shop.settle()
    sell(shop, code)


def test_the_end_is_clean_and_the_ledger_knows_it(shop: Stack) -> None:
    heard: list[dict[str, Any]] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "listener", protocol=paho.MQTTv5)
    client.on_message = lambda _client, _user, message: heard.append(json.loads(message.payload))
    client.on_connect = lambda *_: client.subscribe("stockd/v1/+/state", 1)
    client.connect("127.0.0.1", shop.port)
    client.loop_start()
    try:
        shop.until(lambda: heard, "the retained state")
        assert (heard[-1]["online"], heard[-1]["why"]) == (True, "connect")
        assert shop.end("gateway") == 0
        shop.until(lambda: not heard[-1]["online"], "the farewell")
        assert heard[-1]["why"] == "stop"
    finally:
        client.disconnect()
        client.loop_stop()

    def known() -> bool:
        (store,) = json.loads(shop.ledger("stores", "--json").stdout)["stores"]
        return store["online"] is False

    shop.until(known, "the ledger knows")
    without = shop.stockd("status")
    assert (without.returncode, without.stdout) == (3, b"")
    assert b"stockd run" in without.stderr
    assert shop.stockd("command", "tare", "device=scale-a1").returncode == 3
    for still in (("stock",), ("events",), ("why", "1"), ("verify",)):
        assert shop.stockd(*still).returncode == 0
    assert not (shop.folder / "stockd.sock").exists()
    shop.spawn("gateway")
    shop.settle()
    shop.assert_same()
