"""The command `stockd`: usage, exit codes, and no traceback for a user's mistake.

Here: the table of commands and the one place where errors become sentences. `look` (what is),
`live` (what runs), `traces` (decode, replay, record). Only this package starts `app`.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from gateway import __version__

DONE: Final = 0
NO: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

DEFAULT_CONFIG: Final = "/etc/stockd/store.toml"


class UserError(Exception):
    """A mistake that the user can mend; the text says how. Exit status 2 unless told."""

    def __init__(self, text: str, status: int = USAGE) -> None:
        super().__init__(text)
        self.status = status


def _everywhere(suppress: bool) -> argparse.ArgumentParser:
    """Options that may stand before or after the command."""
    parser = argparse.ArgumentParser(add_help=False)
    unset: Any = argparse.SUPPRESS if suppress else None
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=unset,
        help=f"store.toml (default: $STOCKD_CONFIG, else {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS if suppress else False,
        help="one JSON document on stdout",
    )
    return parser


def _seconds(text: str) -> int:
    """A duration, at least one second."""
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return int(text[:9])


def parser() -> argparse.ArgumentParser:
    """Every command of CONTRACT section 3 that this version has."""
    top = argparse.ArgumentParser(
        prog="stockd",
        parents=[_everywhere(suppress=False)],
        description="The stock daemon of a store. 门店库存守护程序。",
    )
    top.add_argument("--version", action="version", version=f"stockd {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, module: str, function: str, help_: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[_everywhere(suppress=True)], help=help_)
        made.set_defaults(module=module, function=function)
        return made

    run = add("run", "live", "run", "the daemon")
    run.add_argument("--record", metavar="DIR", type=Path, help="also record a trace there")
    demo = add("demo", "live", "demo", "a whole simulated store, broker, gateway and ledger")
    demo.add_argument(
        "--duration", metavar="S", type=_seconds, help="seconds (default: until Ctrl-C)"
    )
    demo.add_argument("--seed", type=int, default=1)
    demo.add_argument("--level", choices=("quiet", "L1", "L2", "L3"), default="quiet",
                      help="how noisy sensors and people are (default: quiet)")  # fmt: skip
    demo.add_argument("--unplug", action="store_true", help="pull plugs while it runs")
    demo.add_argument("--dir", type=Path, help="keep journal, ledger and trace in this folder")
    simulate = add("simulate", "live", "simulate", "only the simulated devices of a configuration")
    simulate.add_argument("--duration", metavar="S", type=_seconds)
    simulate.add_argument("--seed", type=int, default=1)
    simulate.add_argument("--level", choices=("quiet", "L1", "L2", "L3"), default="quiet")
    simulate.add_argument("--unplug", action="store_true", help="pull plugs while it runs")
    simulate.add_argument("--hold", action="store_true", help="people wait for a line on stdin")
    record = add("record", "traces", "record", "raw bytes and readings of the devices to a folder")
    record.add_argument("--out", metavar="DIR", type=Path, required=True)
    record.add_argument("--duration", metavar="S", type=_seconds)

    _lookers(add)
    _stocktake(add)
    _devices(add)
    _labels(add)
    return top


Add = Callable[[str, str, str, str], argparse.ArgumentParser]


def _lookers(add: Add) -> None:
    add("check", "look", "check", "configuration, catalogue and planogram: every problem at once")
    add("status", "look", "status", "the running daemon: devices, queue, link")
    stock = add("stock", "stock", "stock", "balances from the journal")
    stock.add_argument("--gtin", metavar="G")
    stock.add_argument("--location", metavar="L")
    alerts = add("alerts", "alerts", "alerts", "what is open: stock, dates, losses, sensors")
    alerts.add_argument("--lang", choices=("zh-CN", "en"), help="default: the store's")
    events = add("events", "look", "events", "stock events as JSON lines, exactly as on the wire")
    events.add_argument("--since", metavar="SEQ", type=int, default=1)
    events.add_argument("--follow", action="store_true")
    why = add("why", "why", "why", "the readings and reasoning behind one event")
    why.add_argument("event", metavar="SEQ|ID")
    why.add_argument("--lang", choices=("zh-CN", "en"), help="default: the store's")
    why.add_argument("--plot", metavar="FILE", type=Path, help="also the plate's weight as a PNG")
    add("verify", "look", "verify", "folds the journal again: chain, sums, balances, gaps")

    decode = add("decode", "traces", "decode", "bytes in, readings out as JSON lines")
    decode.add_argument("driver")
    decode.add_argument("file", nargs="?", default="-", metavar="FILE|-")
    decode.add_argument("--option", action="append", default=[], metavar="K=V")
    replay = add("replay", "traces", "replay", "a trace through the pure core: stock events")
    replay.add_argument("trace", type=Path, metavar="TRACE")
    replay.add_argument("--batch", type=int, default=1, metavar="N",
                        help="readings per transaction; changes no byte of the result")  # fmt: skip
    order = add("command", "look", "command", "give the running daemon a command")
    order.add_argument(
        "name", help="stocktake, set_mode, quantity, writeoff, adjust, void, tare, zero"
    )
    order.add_argument("args", nargs="*", metavar="KEY=VALUE")
    bench = add("bench", "bench", "bench", "measure latency or throughput beside a floor")
    bench.add_argument("what", choices=("latency", "pipeline", "store"))
    bench.add_argument("--seeds", default="1-4", metavar="A-B", help="store: which seeds")
    bench.add_argument("--level", choices=("L1", "L2", "L3"), default="L2", help="store: noise")
    bench.add_argument("--only", default="weight,rfid,fusion,memory", help="store: which channels")
    bench.add_argument(
        "--report", metavar="DIR", help="store: write report.md, .json and gates.svg"
    )
    bench.add_argument("--seconds", type=float, default=10.0)
    bench.add_argument("--rate", type=int, default=100, help="latency: scans per second")
    delay = "latency: delay each fsync of gateway and floor by this much"
    bench.add_argument("--fsync-ms", type=float, default=0.0, dest="fsync_ms", help=delay)


def _stocktake(add: Add) -> None:
    """`stockd stocktake start`, `status`, `finish`, `cancel`, `report`."""
    parts = add("stocktake", "stocktake", "", "count whole places while the shop is open")
    chosen = parts.add_subparsers(
        dest="part", metavar="start|status|finish|cancel|report", required=True
    )

    def part(name: str, help_: str) -> argparse.ArgumentParser:
        made = chosen.add_parser(name, parents=[_everywhere(suppress=True)], help=help_)
        made.set_defaults(function=name)
        return made

    start = part("start", "begins a count of some places, or of all")
    start.add_argument("--location", metavar="L", nargs="+", default=[])
    start.add_argument("--all", action="store_true", help="every place that holds goods")
    start.add_argument("--by", choices=("scan", "rfid", "weight"), default="scan")
    part("status", "the counts that run: products counted and expected, place by place")
    finish = part("finish", "books the differences")
    finish.add_argument("id", metavar="ID")
    finish.add_argument("--zero", action="store_true", help="what nobody counted there is none")
    part("cancel", "forgets a count: nothing is booked").add_argument("id", metavar="ID")
    report = part("report", "what a count came to, from the journal")
    report.add_argument("id", metavar="ID", nargs="?", help="default: the last one")
    for kind in ("csv", "xlsx", "html"):
        report.add_argument(f"--{kind}", metavar="FILE", type=Path)
    report.add_argument("--lang", choices=("zh-CN", "en"), help="default: the store's")


def _devices(add: Add) -> None:
    """`stockd devices list`, `probe`, `bind`."""
    text = "what is plugged in; who speaks which protocol; stable names"
    parts = add("devices", "devices", "", text).add_subparsers(
        dest="part", metavar="list|probe|bind", required=True
    )

    def part(name: str, function: str, help_: str) -> argparse.ArgumentParser:
        made = parts.add_parser(name, parents=[_everywhere(suppress=True)], help=help_)
        made.set_defaults(function=function)
        return made

    listed = part("list", "listed", "what is plugged in, and which configured device it is")
    listed.add_argument(
        "--network", action="store_true", help="also ask the network for RFID readers (mDNS, 2 s)"
    )
    probe = part("probe", "probe", "who speaks which protocol: listens first, asks little")
    probe.add_argument("port", nargs="*", metavar="PORT",
                       help="/dev/ttyUSB0, or a link with its settings; default: all")  # fmt: skip
    probe.add_argument("--network", nargs="+", metavar="HOST", default=[],
                       help="HOST (an RFID reader) or HOST:PORT instead")  # fmt: skip
    probe.add_argument("--limit", metavar="S", type=_seconds, default=8, help="a port (default: 8)")
    bind = part("bind", "bind", "udev rules: /dev/store/DEVICE, whatever the socket")
    bind.set_defaults(module="bind")
    bind.add_argument("device", nargs="?", metavar="DEVICE")
    bind.add_argument("port", nargs="?", metavar="PORT", help="where it is plugged in now")
    bind.add_argument("--write", nargs="?", metavar="FILE",
                      const="/etc/udev/rules.d/60-stockd.rules",
                      help="write them (default: /etc/udev/rules.d/60-stockd.rules)")  # fmt: skip


def _labels(add: Add) -> None:
    """Commands on what is printed on goods."""
    barcode = add("barcode", "labels", "barcode", "what a label says; what it is to the stock")
    text = "as scanned, FNC1 as U+001D or {GS}; -: one a line from stdin"
    barcode.add_argument("text", nargs="+", metavar="TEXT|-", help=text)
    barcode.add_argument("--aim", metavar="ID", help="AIM identifier, like ]d2, if not in TEXT")
    barcode.add_argument("--caret", action="store_true", help="^ in TEXT is FNC1")
    barcode.add_argument("--lang", choices=("zh-CN", "en"), help="default: the store's")
    epc = add("epc", "labels", "epc", "what an RFID tag is: GTIN and serial, or why it is none")
    epc.add_argument("hex", nargs="+", metavar="HEX|-", help="EPC memory; -: one a line from stdin")
    epc.add_argument("--pc", metavar="HEX", type=_word, help="protocol control word of the tag")
    epc.add_argument("--lang", choices=("zh-CN", "en"), help="default: the store's")


def _word(text: str) -> int:
    """16 bits in hexadecimal."""
    if not re.fullmatch("[0-9A-Fa-f]{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no word of 4 hexadecimal digits")
    return int(text, 16)


def config_path(args: argparse.Namespace) -> Path:
    """The configuration to use: --config, $STOCKD_CONFIG, or the usual place."""
    return Path(args.config or os.environ.get("STOCKD_CONFIG") or DEFAULT_CONFIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    args = _parsed(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot say 猫粮
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    from gateway.problems import ConfigError

    try:
        module = import_module(f"gateway.cli.{args.module}")
        status = int(getattr(module, args.function)(args))
        sys.stdout.flush()
    except ConfigError as error:
        return _problems(error, args.json)
    except UserError as error:
        print(f"stockd: {error}", file=sys.stderr)  # noqa: T201
        return error.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"stockd: cannot write: {error.strerror}", file=sys.stderr)  # noqa: T201
        return UNREACHABLE
    except KeyboardInterrupt:
        return 130
    return status


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; `decode` may have its FILE after its options, which argparse cannot see."""
    top = parser()
    args, rest = top.parse_known_args(argv)
    late_file = len(rest) == 1 and not rest[0].startswith("-")
    if args.command == "decode" and late_file and args.file == "-":
        args.file, rest = rest[0], []
    if rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _problems(error: Any, as_json: bool) -> int:
    import msgspec

    if as_json:
        document = {"ok": False, "problems": msgspec.to_builtins(error.problems)}
        print(msgspec.json.encode(document).decode())  # noqa: T201
    for problem in error.problems:
        print(problem, file=sys.stderr)  # noqa: T201
    if not as_json:
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}", file=sys.stderr)  # noqa: T201
    return USAGE
