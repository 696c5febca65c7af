"""How scales are asked: once for a stream, again and again for single answers, again after silence.

Here: the conversation that the serial scales share. Not here: what they say (each driver's
`decode`), opening a port again (the supervisor).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from drivers.base import Decoder, DeviceLost, DeviceSilent, Link
from gateway.domain.reading import Body

RESEND_MS: Final = 2_000
"""Silence after which the command is sent again: a scale switched off and on has forgotten it."""
LOST_MS: Final = 10_000
"""Silence after which the scale is lost."""


async def answers(
    link: Link, decoder: Decoder, command: bytes, poll_hz: int = 0, *, opening: bytes = b""
) -> AsyncGenerator[Body, None]:
    """Readings until the link is lost or silent for LOST_MS; then raises DeviceLost.

    `command` is sent at the start, and with `poll_hz` after every answer, at most so often; empty:
    the scale streams unasked. `opening` is sent before it, once, and its answer waited for, since
    a scale may drop what comes before it has answered.
    """
    silent_ms = 0
    due = not opening
    # the tick runs beside the answer, so that a slow line does not slow the rate
    tick: asyncio.Future[None] | None = None
    try:
        _send(link, opening or command)
        while True:
            if poll_hz and tick is None:
                tick = asyncio.ensure_future(link.pause(1000 // poll_hz))
            chunk = await link.read_within(RESEND_MS)
            if chunk is None:
                silent_ms = _more_silence(silent_ms)
                _send(link, command)
                due = True
                continue
            silent_ms = 0
            bodies = decoder.feed(chunk)
            for body in bodies:
                yield body
            if bodies and tick is not None:
                await tick
                tick = None
                _send(link, command)
            elif bodies and not due:
                _send(link, command)
                due = True
    except DeviceLost:
        for body in decoder.end():
            yield body
        raise
    finally:
        if tick is not None:
            tick.cancel()


def _send(link: Link, command: bytes) -> None:
    if command:
        link.write(command)


def _more_silence(silent_ms: int) -> int:
    silent_ms += RESEND_MS
    if silent_ms >= LOST_MS:
        raise DeviceSilent(f"silent for {LOST_MS // 1000} s")
    return silent_ms
