"""Commands that run: the daemon, the demo, the simulated devices.

Here: their start, their signals, their exit status. Not here: what they do (`app`, `demo`, the
simulator).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from importlib import import_module

from gateway.cli import DONE, NO, UNREACHABLE, UserError, config_path
from gateway.config import load


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
    """`stockd simulate`: the devices of a configuration, played by a simulated store."""
    loaded = load(config_path(args))
    # The simulator is told the shop, and speaks to the daemon in bytes alone.
    shop = import_module("drivers.sim.shop")
    ports = import_module("drivers.sim.ports")

    def emit(line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()

    async def main() -> None:
        stop, start = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        if args.hold:
            loop.add_reader(sys.stdin.fileno(), _started, loop, start)
        else:
            start.set()
        await shop.run(
            loaded.settings, loaded.store, seed=args.seed, level=args.level,
            duration_s=args.duration, emit=emit, stop=stop, unplug=args.unplug, start=start,
        )  # fmt: skip

    try:
        asyncio.run(main())
    except ports.PortRefused as error:
        raise UserError(str(error)) from None
    return DONE


def _started(loop: asyncio.AbstractEventLoop, start: asyncio.Event) -> None:
    loop.remove_reader(sys.stdin.fileno())
    start.set()
