"""RFID readers that speak LLRP 1.0.1 or 1.1: we connect, set the reader up, and it reports tags.

Source: EPCglobal Low Level Reader Protocol 1.0.1 and 1.1; ALGORITHMS.md section 3.5 for what a
reader is told. A message is drawn in `_llrp`, a report in `_llrp_stream`, the conversation in
`_llrp_session`, events in `_llrp_events`, the reader's settings in `_llrp_rospec`.

A `tag` has the EPC's bytes as sent (96 bits, or any number filled up to whole bytes), the antenna
(0 where the reader does not say), the peak RSSI (Impinj's hundredths where there are any), how
often it was seen, and when, by the reader's UTC clock; times since its start are none. Events
that people must know are news of the device.

Out of step, a recording is searched for the next message; a live connection is given up, for a
TCP stream that has slipped once cannot be trusted to slip back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from drivers import framing
from drivers._llrp import VERSION_1_0_1, VERSION_1_1
from drivers._llrp_events import ERROR_MESSAGE, MESSAGE, readings
from drivers._llrp_rospec import AUTO, Wish
from drivers._llrp_session import ANSWER_MS, Session
from drivers._llrp_stream import HEADER, NO_EPC, REPORT, Stream
from drivers.base import DeviceLost, DeviceMisconfigured, DeviceSilent, Link
from gateway.domain.reading import Body, Garbled, Tag
from gateway.domain.units import parse_decimal

SCHEMES: Final = ("tcp",)
REASONS: Final = (
    *framing.REASONS,
    HEADER,  # bytes that begin no LLRP message
    MESSAGE,  # a message that is none inside
    REPORT,  # a parameter of a report that is none
    NO_EPC,  # a tag report without an EPC
    ERROR_MESSAGE,  # the reader did not understand us
)

MISSED_MAX: Final = 3
"""Keepalives that may be missing; then the reader is lost."""
_GRACE_MS: Final = 500
_ANTENNA_MAX: Final = 65_535
_POWER_MAX_CDBM: Final = 3600


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    # antenna to location, as {1 = "a1"}: only these are used; empty: all that the reader has
    antennas: Mapping[str, str] = field(default_factory=dict)
    power_dbm: int | str = 30  # whole dBm, or "27.5"; the reader's nearest; 0 to 36
    mode: Literal["shelf", "till", "stocktake"] = "shelf"
    session: int | Literal["auto"] = "auto"  # 0 to 3; auto: S0, for a stock-take S2
    population: int = 0  # tags in view of an antenna, to 65535; 0: 500, till 32, stock-take 3000
    rf_mode: int | Literal["auto"] = "auto"  # a number of the reader's table; auto: by the mode
    version: Literal["auto", "1.0.1"] = "auto"  # auto: 1.1 where the reader has it
    keepalive_ms: int = 2000  # the reader is lost after three that are missing; 200 to 60000
    impinj: bool = True  # use the vendor's extensions where the reader is theirs
    stock: bool = True  # its tags move the stock; false: they are only shown

    def __post_init__(self) -> None:
        for antenna, place in self.antennas.items():
            number = int(antenna) if antenna.isascii() and antenna.isdigit() else 0
            if not 1 <= number <= _ANTENNA_MAX or antenna[0] == "0":
                raise DeviceMisconfigured(f"antennas: {antenna!r} is no antenna; write 1, 2, ...")
            if not place:
                raise DeviceMisconfigured(f"antennas: antenna {antenna} has no location")
        if self.power_cdbm is None:
            limits = "a number of dBm from 0 to 36"
            raise DeviceMisconfigured(f"power_dbm = {self.power_dbm!r} is not {limits}")
        for name, value, low, high in (
            ("session", self.session, 0, 3),
            ("population", self.population, 0, 65_535),
            ("rf_mode", self.rf_mode, 0, 65_535),
            ("keepalive_ms", self.keepalive_ms, 200, 60_000),
        ):
            if value != "auto" and not low <= int(value) <= high:
                raise DeviceMisconfigured(f"{name} = {value} is not from {low} to {high}")

    @property
    def power_cdbm(self) -> int | None:
        """Hundredths of a dBm; None when `power_dbm` is no power a reader has."""
        value = parse_decimal(str(self.power_dbm), 100)
        return value if value is not None and 0 <= value <= _POWER_MAX_CDBM else None

    @property
    def wish(self) -> Wish:
        """What the reader is to do. Raises DeviceMisconfigured for what does not go together."""
        session = AUTO if self.session == "auto" else self.session
        if session >= 2 and self.mode != "stocktake":
            why = "a tag that stays falls silent, and looks gone"
            raise DeviceMisconfigured(f"session = {session} with mode {self.mode}: {why}; use 0")
        return Wish(
            mode=self.mode,
            antennas=tuple(sorted(map(int, self.antennas))),
            power_cdbm=self.power_cdbm or 0,
            session=session,
            population=self.population,
            rf_mode=AUTO if self.rf_mode == "auto" else self.rf_mode,
            keepalive_ms=self.keepalive_ms,
        )


class _Decoder:
    """The reader's side of a conversation, to readings."""

    def __init__(self) -> None:
        self._stream = Stream()

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order. Never raises."""
        return _bodies(self._stream.feed(chunk))

    def end(self) -> list[Body]:
        """A message that was cut; then ready for another stream. Never raises."""
        return _bodies(self._stream.end())


def _bodies(items: list[Tag | Garbled | bytes]) -> list[Body]:
    bodies: list[Body] = []
    for item in items:
        if isinstance(item, bytes):
            bodies += readings(item)
        else:
            bodies.append(item)
    return bodies


def decoder(options: Options) -> _Decoder:
    """What a reader sent, as recorded, to tags, news and `garbled`; memory within 64 KiB."""
    del options  # every reader reports alike
    return _Decoder()


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Tags and news until the link is lost, or the reader silent; then raises DeviceLost.

    Raises DeviceMisconfigured when the reader refuses its settings. Says CLOSE_CONNECTION when it
    is ended, without waiting for the answer.
    """
    newest = VERSION_1_0_1 if options.version == "1.0.1" else VERSION_1_1
    session = Session(options.wish, impinj=options.impinj, newest=newest)
    silent_ms = MISSED_MAX * options.keepalive_ms + _GRACE_MS
    # time for an answer runs beside what else the reader says: a busy one must answer too
    asked, patience = 0, None
    try:
        while session.ended is None:
            if session.waiting and session.asked_total != asked:
                asked = session.asked_total
                _cancel(patience)
                patience = asyncio.ensure_future(link.pause(ANSWER_MS))
            chunk = await link.read_within(ANSWER_MS if session.waiting else silent_ms)
            bodies = session.receive(chunk) if chunk is not None else []
            overdue = chunk is None or (patience is not None and patience.done())
            if session.waiting and session.asked_total == asked and overdue:
                bodies += session.no_answer()
            elif chunk is None and not session.waiting:
                raise DeviceSilent(f"{MISSED_MAX} keepalives are missing; check reader and cable")
            for body in bodies:
                yield body
            if out := session.to_send():
                link.write(out)
        raise session.ended
    except DeviceLost as error:
        for body in session.finish():
            yield body
        if session.asks_version:
            hint = 'asked for LLRP 1.1; where it always ends so, set version = "1.0.1"'
            raise DeviceLost(f"{error} ({hint})") from None
        raise
    finally:
        _cancel(patience)
        with contextlib.suppress(DeviceLost):
            link.write(session.farewell())


def _cancel(timer: asyncio.Future[None] | None) -> None:
    if timer is not None:
        timer.cancel()
