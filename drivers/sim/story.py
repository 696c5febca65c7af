"""What the simulated store tells about itself: JSON lines, in English and Chinese.

Here: the lines and their words. Not here: when to tell them (`shop`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from drivers.sim.actions import Moved
from drivers.sim.truth import MoveCount, Opening, TrueRow, TrueStock
from gateway.domain.reading import Word
from gateway.domain.store import Product

NS_PER_MS: Final = 1_000_000

EN: Final[Mapping[str, str]] = {
    "pick": "Shopper {who} takes {units} x {name} from {place}",
    "putback": "Shopper {who} puts {units} x {name} back on {place}",
    "sale": "Shopper {who} pays for {units} x {name}",
    "unpaid": "Shopper {who} leaves with {units} x {name} that the till missed",
    "theft": "Shopper {who} steals {units} x {name}",
    "receive": "Staff receives {units} x {name} at {place}",
    "restock": "Staff puts {units} x {name} on {place}",
    "return": "Staff takes back {units} x {name} at {place}",
    "writeoff": "Staff writes off {units} x {name} at {place}",
}
ZH: Final[Mapping[str, str]] = {
    "pick": "顾客 {who} 从 {place} 取走 {units} 件 {name}",
    "putback": "顾客 {who} 把 {units} 件 {name} 放到 {place}",
    "sale": "顾客 {who} 付款 {units} 件 {name}",
    "unpaid": "顾客 {who} 带走 {units} 件收银漏扫的 {name}",
    "theft": "顾客 {who} 偷走 {units} 件 {name}",
    "receive": "店员在 {place} 收货 {units} 件 {name}",
    "restock": "店员给 {place} 补货 {units} 件 {name}",
    "return": "店员在 {place} 收回退货 {units} 件 {name}",
    "writeoff": "店员在 {place} 报损 {units} 件 {name}",
}
_AT_ORIGIN: Final = ("pick", "writeoff")


class Told(Word, frozen=True, omit_defaults=True):
    """One live line; `what` is a kind of movement, `note`, `unplug` or `plug`."""

    t_ms: int
    en: str
    zh: str
    what: str
    gtin: str | None = None
    location: str | None = None
    units: int | None = None
    device: str | None = None


class Dropped(Word, frozen=True):
    """Bytes of a device that nobody read."""

    device: str
    dropped_bytes: int


class Listening(Word, frozen=True):
    """A simulated device, its driver, and the path or address at which it is found."""

    device: str
    driver: str
    at: str


class _Devices(Word, frozen=True):
    devices: tuple[Listening, ...]


class _Opening(Word, frozen=True):
    opening: tuple[Opening, ...]


class _Ready(Word, frozen=True):
    ready: bool


class _Truth(Word, frozen=True):
    truth: tuple[TrueRow, ...]
    moves: tuple[MoveCount, ...]
    ports: tuple[Dropped, ...]


def opening_line(opening: tuple[Opening, ...]) -> bytes:
    """The true opening stock, without the line feed."""
    return msgspec.json.encode(_Opening(opening))


def devices_line(devices: Iterable[Listening]) -> bytes:
    """Which device is found where, without the line feed."""
    return msgspec.json.encode(_Devices(tuple(devices)))


def ready_line() -> bytes:
    """All ports exist, without the line feed."""
    return msgspec.json.encode(_Ready(True))


def told_line(told: Told) -> bytes:
    """A live line, without the line feed."""
    return msgspec.json.encode(told)


def truth_line(stock: TrueStock, dropped: tuple[Dropped, ...]) -> bytes:
    """The last line: what is truly there, and what happened, without the line feed."""
    return msgspec.json.encode(_Truth(stock.rows(), stock.moves(), dropped))


def told(moved: Moved, products: Mapping[str, Product]) -> Told:
    """What moved, in words."""
    place = moved.origin if moved.what in _AT_ORIGIN else moved.target
    here = None if place.startswith("@") else place
    words = {
        "who": moved.who,
        "units": moved.units,
        "name": products[moved.gtin].name,
        "place": place.upper(),
    }
    return Told(
        t_ms=moved.at_ns // NS_PER_MS,
        en=EN[moved.what].format(**words),
        zh=ZH[moved.what].format(**words),
        what=moved.what,
        gtin=moved.gtin,
        location=here,
        units=moved.units,
    )


def note(at_ns: int, what: str, device: str, en: str, zh: str) -> Told:
    """A line about a device; `en` and `zh` say what of it."""
    return Told(at_ns // NS_PER_MS, f"{device}: {en}", f"{device}：{zh}", what, device=device)
