"""`stockd bench`: runs a bench and prints it, for people or as JSON.

Here: the printing. Not here: what is measured (`gateway.bench`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from gateway.bench.latency import Latency, latency
from gateway.bench.machine import BenchFailed, Machine, Spread
from gateway.bench.pipeline import Cost, Pipeline, encode, pipeline
from gateway.cli import DONE, NO, UNREACHABLE, USAGE, UserError
from gateway.processes import ChildFailed


def _progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the purpose of this module


def bench(args: argparse.Namespace) -> int:
    """One bench."""
    try:
        if args.what == "latency":
            measured = asyncio.run(latency(args.rate, args.seconds, args.fsync_ms, _progress))
            _print(measured, args.json, lambda: _latency(measured))
        elif args.what == "store":
            return _store(args)
        else:
            result = asyncio.run(pipeline(args.seconds, _progress))
            _print(result, args.json, lambda: _pipeline(result))
    except (BenchFailed, ChildFailed) as error:
        raise UserError(str(error), UNREACHABLE) from None
    return DONE


def _store(args: argparse.Namespace) -> int:
    """Exit status 1 when a gate is missed."""
    from gateway.bench.store import harness

    first, _, last = args.seeds.partition("-")
    channels = args.only.split(",")
    if not (first.isascii() and first.isdigit() and (last or first).isdigit()):
        raise UserError("--seeds is a range like 101-120", USAGE)
    unknown = [name for name in channels if name not in harness.CHANNELS]
    if unknown:
        raise UserError(f"no channel {unknown[0]}; there are {', '.join(harness.CHANNELS)}", USAGE)
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise UserError(f"--seeds {args.seeds}: no seed is in it", USAGE)
    result = harness.run(seeds, args.level, channels, _progress)
    if args.report:
        try:
            harness.report(result, Path(args.report))
        except OSError as error:
            raise UserError(f"--report {args.report}: {error.strerror}") from None
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode(result._asdict()) + b"\n")
    else:
        for line in harness.table(result):
            _say(line)
    return NO if result.missed else DONE


def _print(result, as_json, table) -> None:  # type: ignore[no-untyped-def]
    if as_json:
        sys.stdout.buffer.write(encode(result) + b"\n")
    else:
        table()


def _machine(m: Machine) -> None:
    _say(f"{m.cpu}, {m.cores} cores, Linux {m.kernel}, Python {m.python}, SQLite {m.sqlite}")


def _latency(r: Latency) -> None:
    _machine(r.machine)
    _say(f"{r.rate_hz} scans/s, {r.seconds:g} s, fsync +{r.fsync_delay_ms:g} ms, {r.broker}")
    _say(f"{'device byte to':<20}{'p50 us':>9}{'p99 us':>9}{'p99.9 us':>10}{'samples':>9}")
    rows: tuple[tuple[str, Spread], ...] = (
        ("bare floor: PUBACK", r.bare_floor_to_puback),
        ("floor: PUBACK", r.floor_to_puback),
        ("decision", r.to_decision),
        ("durable", r.to_durable),
        ("PUBACK", r.to_puback),
        ("ledger ack", r.to_ledger_ack),
    )
    for name, s in rows:
        _say(f"{name:<20}{s.p50_us:>9}{s.p99_us:>9}{s.p999_us:>10}{s.samples:>9}")
    p50, p99 = r.puback_p50_permille_of_floor / 1000, r.puback_p99_permille_of_floor / 1000
    _say(f"PUBACK against the floor: p50 {p50:.2f}x, p99 {p99:.2f}x")
    p50 = r.puback_p50_permille_of_bare_floor / 1000
    p99 = r.puback_p99_permille_of_bare_floor / 1000
    _say(f"PUBACK against the bare floor: p50 {p50:.2f}x, p99 {p99:.2f}x")


def _pipeline(r: Pipeline) -> None:
    _machine(r.machine)
    rows: tuple[tuple[str, Cost], ...] = (
        ("floor: bare loop", r.floor),
        ("decode weight", r.decode_weight),
        ("decode scan", r.decode_scan),
        ("core weight, quiet", r.core_weight_quiet),
        ("core weight, moving", r.core_weight_moving),
        ("core scan", r.core_scan),
        ("decode tag (LLRP)", r.decode_tag),
        ("core tag", r.core_tag),
    )
    _say(f"{'step':<22}{'us':>9}{'per second':>12}")
    for name, cost in rows:
        _say(f"{name:<22}{cost.ns_per_reading / 1000:>9.2f}{cost.readings_per_s:>12}")
    _say(f"start to first reading {r.start_to_first_reading_ms} ms; RSS {r.rss_idle_kib} KiB")
    _say(f"tags decoded and filtered on one core: {r.tags_per_s} a second")
    f = r.full_store
    _say(
        f"full store ({f.scales} scales x {f.rate_hz} Hz, {f.readers} readers x {f.reads_per_s}"
        f" reads/s, {f.scanners} scanners):"
    )
    for name, phase in (("", f.calm), ("one scale and one reader x 10: ", f.babbling)):
        scan = phase.scan_to_decision
        _say(
            f"  {name}{phase.core_permille / 10:.1f} % of one core, {phase.rss_kib} KiB, "
            f"{phase.readings_taken} of {phase.readings_offered} readings; "
            f"scan to decision p50 {scan.p50_us} us, p99 {scan.p99_us} us"
        )
