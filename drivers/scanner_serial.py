"""Barcode scanner on a serial line or a terminal server: one line of text per scan.

Source: ISO/IEC 15424 (symbology identifiers), GS1 General Specifications 7.8; the suffix and the
"transmit AIM ID" setting are in every maker's programming guide (Zebra, Honeywell, Datalogic).

    ] d 2 0 1 0 9 5 0 6 0 0 0 1 3 4 3 5 2 1 0 A B C GS 2 1 7 CR
    |     |                                         |        terminator
    |     data, UTF-8                               FNC1 as separator
    AIM identifier, with aim = true
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from drivers import _scan, framing
from drivers.base import DeviceLost, DeviceMisconfigured, Link
from gateway.domain.reading import Body, Garbled, Mode, Scan, garbled

SCHEMES: Final = ("serial", "tcp")
REASONS: Final = (*framing.REASONS, *_scan.REASONS, "encoding")

_ENDS: Final = {
    "cr": (b"\r",),
    "lf": (b"\n",),
    "crlf": (b"\r\n",),
    "tab": (b"\t",),
    "any": (b"\r", b"\n"),  # CR LF too: what lies between the two is empty, and dropped
    "none": (),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    terminator: Literal["cr", "lf", "crlf", "tab", "any", "none"] = "any"  # what ends a scan
    gap_ms: int = 100  # terminator "none": silence that ends a scan; 10 to 1000
    aim: bool = False  # the scanner sends AIM identifiers
    # Read by the core, not here:
    mode: Mode | Literal[""] = ""  # its own mode; "" = by its location
    modes: tuple[Mode, ...] = ()  # modes that mode barcodes may switch it to
    presentation: bool = False  # reads whatever lies before it, without a trigger

    def __post_init__(self) -> None:
        if not 10 <= self.gap_ms <= 1000:
            raise DeviceMisconfigured(f"gap_ms = {self.gap_ms} is not from 10 to 1000")


def decode(frame: bytes, options: Options) -> Scan | Garbled:
    """One scan's bytes to a reading. Never raises, whatever the bytes."""
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        return garbled("encoding", frame)
    return _scan.scan(text, frame, aim=options.aim)


def decoder(options: Options) -> framing.FrameDecoder:
    """Bytes in, scans out; with terminator "none" the end of the stream ends the scan."""
    split = framing.Lines(_ENDS[options.terminator], _scan.MAX_BYTES)
    return framing.FrameDecoder(split, lambda frame: decode(frame, options))


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Scans until the link is lost; then raises DeviceLost."""
    scans = decoder(options)
    by_silence = options.terminator == "none"
    try:
        while True:
            chunk = await (link.read_within(options.gap_ms) if by_silence else link.read())
            for body in scans.end() if chunk is None else scans.feed(chunk):
                yield body
    except DeviceLost:
        for body in scans.end():
            yield body
        raise
