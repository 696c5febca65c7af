"""`stockd demo` from end to end: the table at the end, nothing left behind, its trace replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DURATION_S = 20
DEADLINE_S = 90.0
BATCHES = (1, 7, 1000)


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "demo", *arguments]


class Ended:
    """A demo that ran to its end: what it said, and whom it left behind."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.out, self.err = process.communicate(timeout=DEADLINE_S)
        self.status = process.returncode
        self.folder = folder
        self.left = belonging_to(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """The demo of twenty seconds; it runs while others are tested."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = ["--duration", str(DURATION_S), "--json", "--dir", str(folder)]
    with subprocess.Popen(
        demo(*arguments), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.fixture(scope="module")
def ended(whole: subprocess.Popen[bytes]) -> Ended:
    return Ended(whole, Path(whole.args[-1]))  # type: ignore[index]


def belonging_to(folder: Path) -> list[str]:
    """Processes that have to do with a folder: named in their arguments or their environment."""
    mark, found = os.fsencode(folder), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
                about = command + (entry / "environ").read_bytes()
            except OSError:
                continue  # it has just ended
            if mark in about:
                found.append(f"{entry.name}: {command.decode(errors='replace')}")
    return found


@pytest.mark.usefixtures("whole")
def test_an_interrupted_demo_still_ends_with_its_table(tmp_path: Path) -> None:
    with subprocess.Popen(
        demo("--dir", str(tmp_path), "--seed", "2"), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = b""
        while b"booked" not in said:
            line = process.stdout.readline()
            assert line, f"it ended early: {said.decode()}"
            said += line
        assert len(belonging_to(tmp_path)) >= 4, "broker, ledger, devices, gateway"
        process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        ended = Ended(process, tmp_path)
    print(f"ended {time.monotonic() - began_s:.1f} s after SIGINT")
    table = ended.out.decode()
    assert ended.status == 0, table + ended.err.decode()
    assert "true, gateway and ledger stock: all equal" in table
    assert "Traceback" not in ended.err.decode()
    assert sum(line.startswith("0690") for line in table.splitlines()) == 10
    assert ended.left == []


def test_the_demo_ends_equal_and_leaves_nobody_behind(ended: Ended) -> None:
    assert ended.status == 0, ended.out.decode() + ended.err.decode()
    told = json.loads(ended.out)
    assert told["equal"] and told["gateway_equals_ledger"]
    assert len(told["products"]) == 10
    for row in told["products"]:
        assert row["true"] == row["gateway"] == row["ledger"] >= 0
    assert ended.left == []


def stockd(ended: Ended, *arguments: str) -> bytes:
    """What a command says of the demo's journal or trace; another process each time."""
    config = () if arguments[0] == "replay" else ("--config", str(ended.folder / "store.toml"))
    answer = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *config, *arguments], capture_output=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()
    return answer.stdout


def facts(event: dict[str, Any]) -> dict[str, Any]:
    """What replay and daemon must agree on: all but the machine's own members."""
    machine = ("id", "corr", "boot", "mono_us", "tq", "te", "ts")
    return {key: value for key, value in event.items() if key not in machine}


def test_the_trace_replays_to_the_journal_again_and_again(ended: Ended) -> None:
    trace = str(ended.folder / "trace")
    first, *others = [
        stockd(ended, "replay", trace, "--batch", str(batch)) for batch in (1, *BATCHES)
    ]
    assert all(other == first for other in others), "replay is not repeatable"
    replayed = [json.loads(line) for line in first.splitlines()]
    journalled = [json.loads(line) for line in stockd(ended, "events").splitlines()]
    kinds = {event["kind"] for event in replayed}
    assert {"stocktake", "pick", "sale"} <= kinds
    assert 0 < len(replayed) <= len(journalled)
    assert [facts(e) for e in replayed] == [facts(e) for e in journalled[: len(replayed)]]
    last_ns = max(json.loads(x)["at_ns"] for x in (ended.folder / "trace" / "trace.jsonl")
                  .read_bytes().splitlines()[1:])  # fmt: skip
    beyond = [e for e in journalled[len(replayed) :] if e["ts"] < last_ns // 1_000_000]
    assert beyond == [], "events within the trace that its replay does not have"
    assert [e["ts"] for e in replayed] == [e["ts"] for e in journalled[: len(replayed)]]


def test_the_demos_records_verify(ended: Ended) -> None:
    assert b"verified" in stockd(ended, "verify")
