"""Commands on bytes and traces: decode, replay, record.

Here: files in, lines out. Not here: what the bytes mean (`drivers`), what readings come to
(`core`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from gateway.cli import DONE, USAGE, UserError, config_path
from gateway.config import Loaded, load
from gateway.domain.reading import Body
from gateway.domain.wire import TraceError, body_line, read_trace_head
from gateway.unheard import Unheard

CHUNK: Final = 65_536
TOLD_MAX: Final = 20
"""Reasons that `replay` writes out for people."""


def decode(args: argparse.Namespace) -> int:
    """`stockd decode DRIVER [FILE|-] [--option k=v]`."""
    from gateway.registry import DriverProblems, build_options
    from gateway.registry import load as load_driver

    options: dict[str, str] = {}
    for pair in args.option:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--option {pair}: write K=V")
        options[key] = value
    try:
        driver = load_driver(args.driver)
        decoder = driver.decoder(build_options(driver, options, strings=True))
    except DriverProblems as error:
        raise UserError("\n".join(error.problems)) from None
    out = sys.stdout.buffer
    with _source(args.file) as source:
        for chunk in iter(lambda: source.read1(CHUNK), b""):  # type: ignore[attr-defined]
            _put(out, decoder.feed(chunk))
            out.flush()
    _put(out, decoder.end())
    out.flush()
    return DONE


def _source(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from None


def _put(out: BinaryIO, bodies: list[Body]) -> None:
    for body in bodies:
        out.write(body_line(body) + b"\n")


def replay(args: argparse.Namespace) -> int:
    """`stockd replay TRACE`: a file, or a folder of `stockd record` with its configuration."""
    from gateway.replay import replay as run_trace

    path: Path = args.trace
    own = path / "store.toml"
    if path.is_dir():
        path = path / "trace.jsonl"
    asked = args.config or os.environ.get("STOCKD_CONFIG")
    config = own if not asked and own.is_file() else config_path(args)
    loaded = load(config)
    if args.batch < 1:
        raise UserError("--batch is at least 1")
    unheard = Unheard(loaded.settings)
    with _source(str(path)) as source:
        lines = _judged(_lines(source), loaded)
        bodies = run_trace(loaded.settings, loaded.store, lines, args.batch, unheard)
        try:
            (_document if args.json else _json_lines)(bodies, unheard)
        except TraceError as error:
            sys.stdout.buffer.flush()
            raise UserError(f"{path}: {error}", USAGE) from None
    return DONE


def _json_lines(bodies: Iterator[bytes], unheard: Unheard) -> None:
    out = sys.stdout.buffer
    for body in bodies:
        out.write(body + b"\n")
    out.flush()
    found = unheard.found()
    for one in found[:TOLD_MAX]:
        times = "once" if one.count == 1 else f"{one.count} times"
        _warn(f"{one.device}, {times}, without effect: {one.why}")
    rest = sum(one.count for one in found[TOLD_MAX:]) + unheard.untold
    if rest:
        _warn(f"and {rest} more without effect: --json tells them")


def _document(bodies: Iterator[bytes], unheard: Unheard) -> None:
    events = [msgspec.Raw(body) for body in bodies]
    told = {"events": events, "without_effect": unheard.found(), "untold": unheard.untold}
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def _judged(lines: Iterator[bytes], loaded: Loaded) -> Iterator[bytes]:
    """The lines; says so when the head is of another shop or configuration."""
    head = next((line for line in lines if line.strip()), b"")
    told = read_trace_head(head)
    if told.store != loaded.settings.store.id:
        _warn(f"the trace is of store {told.store!r}, the configuration of another")
    elif told.config_sha256 not in (None, loaded.sha256):
        _warn("the configuration has changed since the trace: stock may come out otherwise")
    yield head
    yield from lines


def _warn(text: str) -> None:
    print(f"stockd: warning: {text}", file=sys.stderr)  # noqa: T201


def _lines(source: BinaryIO) -> Iterator[bytes]:
    for line in source:
        yield line.rstrip(b"\r\n")


def record(args: argparse.Namespace) -> int:
    """`stockd record --out DIR`: listens to the devices and books nothing."""
    from gateway.record import record as run_record

    loaded = load(config_path(args))
    try:
        readings = asyncio.run(run_record(loaded, args.out, args.duration))
    except FileExistsError:
        what = "holds a trace already" if args.out.is_dir() else "is no folder"
        raise UserError(f"{args.out} {what}; choose another folder") from None
    except OSError as error:
        raise UserError(f"cannot record in {args.out}: {error.strerror}") from None
    print(f"{readings} readings in {args.out}", file=sys.stderr)  # noqa: T201
    return DONE
