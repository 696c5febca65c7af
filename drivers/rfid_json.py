"""RFID readers that say JSON: Zebra's IoT Connector and Impinj's IoT device interface.

Source: Zebra IoT Connector (FX7500, FX9600, ATR7000, FXR90), "Tag data events", "Management
events"; Impinj IoT device interface 1.7, schema ReaderEvent; RFC 8259, RFC 4648, RFC 3339.

    {"type":"SIMPLE","timestamp":"2024-03-08T14:05:07.123+0000","data":{"eventNum":7,
     "format":"epc","idHex":"3066…","antenna":1,"peakRssi":-52,"reads":1}}            Zebra
    {"timestamp":"2024-03-08T14:05:07.123456789Z","eventType":"tagInventory",
     "tagInventoryEvent":{"epcHex":"3066…" or "epc":"MGbE…","antennaPort":1,
     "peakRssiCdbm":-5200,"lastSeenTime":"…"}}                                        Impinj

Zebra's readers of 2025 batch: `data` holds `tagData`, a list of the above. An object a line,
indented, end to end or in arrays; over a connection, or each in a message of an MQTT topic. The
reader is configured by its own page or by HQ, not from here. Heartbeats, inventory status, GPIO and
diagnostics say nothing, but for antennas lost and connected again, and lost events: those are news.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Literal

import msgspec

from drivers import _json_stream, framing
from drivers.base import DeviceLost, DeviceMisconfigured, Link
from gateway.domain.reading import Body, DeviceState, Garbled, Tag, garbled

SCHEMES: Final = ("tcp", "mqtt")
REASONS: Final = (
    *framing.REASONS,
    *_json_stream.REASONS,
    "event",  # JSON, but no event of these readers
    "epc",  # a tag without an EPC, or with one that is none
    "value",  # an antenna, signal strength, count or time that is none
)

_OBJECT_MAX_BYTES: Final = 8000  # a message of Zebra's is 6144 at most
_EPC_MAX_BYTES: Final = 62
_ANTENNA_MAX: Final = 65_535
_COUNT_MAX: Final = 1_000_000_000
_PORTS_MAX: Final = 256
_RSSI_MAX_CDBM: Final = 20_000
_US_PER_DAY: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()

# A number that is no integer stays a decimal: no float passes here
_JSON: Final = msgspec.json.Decoder(float_hook=Decimal)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))",
    re.ASCII,
)
_BASE64: Final = re.compile(r"[0-9A-Za-z+/_-]{2,}={0,2}")

_Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `[device.options]`."""

    # whose events are understood; auto: of both
    format: Literal["auto", "zebra", "impinj"] = "auto"
    # antenna to location, as {1 = "a1"}; empty: all at the reader's own
    antennas: Mapping[str, str] = field(default_factory=dict)
    stock: bool = True  # its tags move the stock; false: they are only shown

    def __post_init__(self) -> None:
        for antenna, place in self.antennas.items():
            known = antenna.isascii() and antenna.isdigit() and antenna[0] != "0"
            if not known or int(antenna) > _ANTENNA_MAX:
                raise DeviceMisconfigured(f"antennas: {antenna!r} is no antenna; write 1, 2, ...")
            if not place:
                raise DeviceMisconfigured(f"antennas: antenna {antenna} has no location")


@dataclass(frozen=True, slots=True)
class _Port:
    """What an event says of an antenna: a change, or how it is (in a heartbeat)."""

    antenna: int
    up: bool
    change: bool


class _Wrong(Exception):
    """Which of `REASONS` an event, or a tag of it, is garbled for."""


_Said = Tag | DeviceState | _Port | _Wrong


def _said(event: object, options: Options) -> Iterator[_Said]:
    """What an event says; nothing when it is understood and of no interest."""
    if isinstance(event, dict):
        if options.format != "zebra" and isinstance(event.get("eventType"), str):
            return _impinj(event)
        if options.format != "impinj" and isinstance(event.get("data"), dict):
            return _zebra(event, event["data"])
    return iter((_Wrong("event"),))


def _zebra(event: _Object, data: _Object) -> Iterator[_Said]:
    batch = data.get("tagData")
    if isinstance(batch, list):
        for tag in batch:
            yield _tried(_zebra_tag, tag, event)
    elif "idHex" in data:
        yield _tried(_zebra_tag, data, event)
    radio = data.get("radio_control")
    ports = radio.get("antennas") if isinstance(radio, dict) else None
    for name, state in ports.items() if isinstance(ports, dict) else ():
        if state in ("connected", "disconnected") and name.isascii() and name.isdigit():
            yield _Port(int(name[:5]), state == "connected", change=False)


def _zebra_tag(tag: object, event: _Object) -> Tag:
    if not isinstance(tag, dict) or tag.get("format", "epc") != "epc":
        raise _Wrong("epc")
    return Tag(
        _epc_hex(tag.get("idHex")),
        _whole(tag.get("antenna", 0), 0, _ANTENNA_MAX),
        _cdbm(tag.get("peakRssi"), 100),
        _whole(tag.get("reads", 1), 1, _COUNT_MAX),
        last_us=_micros(tag.get("timestamp", event.get("timestamp"))),
    )


def _impinj(event: _Object) -> Iterator[_Said]:
    kind = event["eventType"]
    body = event.get(f"{kind}Event")
    if kind == "tagInventory":
        yield _tried(_impinj_tag, body, event)
    elif kind in ("antennaConnected", "antennaDisconnected"):
        yield _tried(_impinj_port, body, event)
    elif kind == "overflow":
        yield DeviceState("up", "the reader's event buffer overflowed: reads are lost")


def _impinj_tag(body: object, event: _Object) -> Tag:
    if not isinstance(body, dict):
        raise _Wrong("event")
    return Tag(
        _epc_hex(body["epcHex"]) if "epcHex" in body else _epc_base64(body.get("epc")),
        _whole(body.get("antennaPort", 0), 0, _ANTENNA_MAX),
        _cdbm(body.get("peakRssiCdbm"), 1),
        last_us=_micros(body.get("lastSeenTime", event.get("timestamp"))),
    )


def _impinj_port(body: object, event: _Object) -> _Port:
    port = body.get("antennaPort") if isinstance(body, dict) else None
    up = event["eventType"] == "antennaConnected"
    return _Port(_whole(port, 1, _ANTENNA_MAX), up, change=True)


def _tried(make: Callable[[object, _Object], Tag | _Port], body: object, event: _Object) -> _Said:
    try:
        return make(body, event)
    except _Wrong as wrong:
        return wrong


def _epc_hex(said: object) -> str:
    try:
        raw = binascii.unhexlify(said) if isinstance(said, str) else b""
    except (ValueError, binascii.Error):
        raise _Wrong("epc") from None
    if not 0 < len(raw) <= _EPC_MAX_BYTES:
        raise _Wrong("epc")
    return raw.hex().upper()


def _epc_base64(said: object) -> str:
    """Impinj's `epc`: the alphabet of file names (RFC 4648 section 5), the other one too."""
    if not isinstance(said, str) or _BASE64.fullmatch(said) is None:
        raise _Wrong("epc")
    body = said.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _epc_hex(b64decode(body + "=" * (-len(body) % 4), validate=True).hex())
    except binascii.Error:
        raise _Wrong("epc") from None


def _whole(said: object, least: int, most: int) -> int:
    if type(said) is int and least <= said <= most:
        return said
    raise _Wrong("value")


def _cdbm(said: object, scale: int) -> int | None:
    """A signal strength in hundredths of dBm, finer ones rounded; None when it is not said."""
    if said is None:
        return None
    most = _RSSI_MAX_CDBM // scale
    if (type(said) is int or isinstance(said, Decimal)) and -most <= said <= most:
        return int((scale * Decimal(said)).to_integral_value(ROUND_HALF_EVEN))
    raise _Wrong("value")


def _micros(said: object) -> int | None:
    """A time of RFC 3339 (Zebra leaves out the colon) in microseconds; None when not said."""
    if said is None:
        return None
    found = _TIME.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise _Wrong("value")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise _Wrong("value") from None
    if hour > 23 or minute > 59 or second > 60:
        raise _Wrong("value")
    minutes = 60 * hour + minute
    if found[8]:
        ahead = 60 * int(found[9]) + int(found[10])
        minutes -= ahead if found[8] == "+" else -ahead
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    return days * _US_PER_DAY + (60 * minutes + second) * 1_000_000 + fraction


class _Readings:
    """Bytes in, readings out. An antenna is told when it is lost or back, not as it is."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._split = _json_stream.Objects(_OBJECT_MAX_BYTES)
        self._ports: dict[int, bool] = {}

    def feed(self, chunk: bytes) -> list[Body]:
        """Readings that these bytes complete, in order. Never raises."""
        return self._bodies(self._split.feed(chunk))

    def end(self) -> list[Body]:
        """Readings for what was left; then ready for another stream. Never raises."""
        bodies = self._bodies(self._split.end())
        self._ports.clear()
        return bodies

    def _bodies(self, frames: list[bytes | Garbled]) -> list[Body]:
        bodies: list[Body] = []
        for frame in frames:
            if isinstance(frame, Garbled):
                bodies.append(frame)
            else:
                bodies += self._event(frame)
        return bodies

    def _event(self, frame: bytes) -> Iterator[Body]:
        try:
            event = _JSON.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError):
            yield garbled(_json_stream.BROKEN, frame)
            return
        for said in _said(event, self._options):
            if isinstance(said, _Wrong):
                yield garbled(str(said), frame)
            elif not isinstance(said, _Port):
                yield said
            elif self._is_news(said):
                state = "connected" if said.up else "lost"
                yield DeviceState("up", f"antenna {said.antenna} {state}")

    def _is_news(self, port: _Port) -> bool:
        """Ports that nobody uses are always disconnected; to hear so is no news."""
        known = self._ports.get(port.antenna)
        if known is not None or len(self._ports) < _PORTS_MAX:
            self._ports[port.antenna] = port.up
        if known is None:
            used = port.change or str(port.antenna) in self._options.antennas
            return used and not port.up
        return known != port.up


def decoder(options: Options) -> _Readings:
    """Bytes in, tags and news out."""
    return _Readings(options)


async def read(link: Link, options: Options) -> AsyncIterator[Body]:
    """Tags and news until the link is lost; then raises DeviceLost."""
    readings = decoder(options)
    try:
        while True:
            for body in readings.feed(await link.read()):
                yield body
    except DeviceLost:
        for body in readings.end():
            yield body
        raise
