"""Commands that run: the daemon, the demo, the simulated devices.

Here: their start, their signals, their exit status. Not here: what they do (`app`, `demo`, the
simulator).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from gateway import words
from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import load

ORDERS_MAX: Final = 64
ORDER_BYTES_MAX: Final = 4096


def run(args: argparse.Namespace) -> int:
    """`stockd run`."""
    from gateway import app
    from gateway.journal.writer import JournalError

    loaded = load(config_path(args))
    try:
        status = app.run(loaded, args.record)
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None
    except FileExistsError:
        raise UserError(f"{args.record} holds a trace already; choose another folder") from None
    except OSError as error:
        if args.record is None or error.filename is None:
            raise
        raise UserError(f"cannot record in {args.record}: {error.strerror}") from None
    if status == app.RESTART:
        # Start-up is the one way to take a configuration in, and it takes less than a second.
        os.execv(sys.executable, [sys.executable, "-m", "gateway.cli", *sys.argv[1:]])
    # Everything is on disk; a thread that hangs in opening a dead port must not keep us here.
    logging.shutdown()
    os._exit(status)


def demo(args: argparse.Namespace) -> int:
    """`stockd demo`."""
    from gateway.demo import Demo, DemoFailed

    if args.dir is not None:
        try:
            args.dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot use {args.dir}: {error.strerror}") from None
        if (args.dir / "stockd.db").exists():
            raise UserError(f"{args.dir} holds an earlier demo; choose another folder")
    plan = Demo(args.seed, args.level, args.duration, args.unplug, args.dir, args.json)
    try:
        return DONE if asyncio.run(plan.run()) else NO
    except DemoFailed as error:
        raise UserError(str(error), UNREACHABLE) from None


def simulate(args: argparse.Namespace) -> int:
    """`stockd simulate`: the devices of a configuration, played by a simulated store.

    What happens is said on stdout, a JSON line each; without `--json` people are also told where
    the devices are, on stderr.
    """
    loaded = load(config_path(args))
    lang = loaded.settings.store.locale
    # The simulator is told the shop, and speaks to the daemon in bytes alone.
    shop = import_module("drivers.sim.shop")
    ports = import_module("drivers.sim.ports")

    def emit(line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
        if not args.json and line.startswith(b'{"devices":'):
            sys.stderr.write(_whereabouts(line, lang))

    async def main() -> None:
        stop, start = asyncio.Event(), asyncio.Event()
        orders: asyncio.Queue[str] = asyncio.Queue(ORDERS_MAX)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        if args.hold:
            loop.add_reader(sys.stdin.fileno(), _Stdin(loop, start, orders).read)
        else:
            start.set()
        await shop.run(
            loaded.settings, loaded.store, seed=args.seed, level=args.level,
            duration_s=args.duration, emit=emit, stop=stop, unplug=args.unplug, start=start,
            orders=orders,
        )  # fmt: skip

    try:
        asyncio.run(main())
    except ports.PortRefused as error:
        raise UserError(str(error)) from None
    return DONE


class _Stdin:
    """Lines of whoever holds the simulator: the first opens the doors, the others are orders."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        start: asyncio.Event,
        orders: asyncio.Queue[str],
    ) -> None:
        self._loop, self._start, self._orders = loop, start, orders
        self._rest = b""

    def read(self) -> None:
        """Takes what is there; an end of stdin opens the doors too, and is the last order."""
        said = os.read(sys.stdin.fileno(), ORDER_BYTES_MAX)
        if not said:
            self._loop.remove_reader(sys.stdin.fileno())
            self._start.set()
        *lines, rest = (self._rest + said).split(b"\n")
        self._rest = rest[-ORDER_BYTES_MAX:]
        for line in lines:
            if not self._start.is_set():
                self._start.set()
            elif not self._orders.full():
                self._orders.put_nowait(line.decode("utf-8", "replace"))


def _whereabouts(line: bytes, lang: words.Lang) -> str:
    """The table of the simulated devices, for people."""
    rows = [(row["device"], row["driver"], row["at"]) for row in json.loads(line)["devices"]]
    wide, kinds = (max((len(row[at]) for row in rows), default=0) for at in (0, 1))
    table = (f"  {device:<{wide}}  {driver:<{kinds}}  {at}" for device, driver, at in rows)
    return "\n".join((_SIMULATED[lang], *table)) + "\n"


_SIMULATED: Final[Mapping[words.Lang, str]] = {
    "en": "Simulated devices, and where they are:",
    "zh-CN": "模拟设备及其接口：",
}
