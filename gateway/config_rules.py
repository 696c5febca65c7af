"""What the settings may say, beyond their types: ranges, ids, addresses, paths, brokers.

Here: every rule about one table or between two, but for scans (`config_scan`) and devices
(`config_devices`).
Each rule yields its faults and skips a key that already has one. Not here: types and unknown keys
(`config_types`), the sheets (`catalogue`).
"""

from __future__ import annotations

import ipaddress
import re
import stat
import zoneinfo
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from gateway.config_types import Fault
from gateway.domain import ids
from gateway.domain.settings import Settings
from gateway.endpoint import is_loopback
from gateway.problems import did_you_mean, quoted
from gateway.toml_text import KeyPath

RANGES: Final = {
    ("journal", "retention_days"): (1, 3650),
    ("journal", "max_mb"): (64, 1_048_576),
    ("fusion", "basket_timeout_s"): (1, 604_800),
    ("fusion", "pending_sale_s"): (1, 86_400),
    ("fusion", "pending_step_s"): (1, 86_400),
    ("fusion", "basket_age_s"): (0, 3_600),
    ("fusion", "mode_idle_s"): (1, 86_400),
    ("fusion", "quantity_s"): (1, 3_600),
}
"""Lowest and highest value of each whole number, by table and key."""
POSITIONS: Final = (0, 9_999)
PORT_MAX: Final = 65_535

_GROUP: Final = re.compile(r"[^/+#\s]{1,64}")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")


def faults(settings: Settings, faulty: Collection[KeyPath]) -> Iterator[Fault]:
    """Everything wrong with settings whose paths are absolute; `faulty` keys are not judged.

    Looks at the disk for files that are named, and at the zone database. Never raises.
    """
    every = (_store, _journal, _ranges, _brokers, _listeners, _locations)
    for rule in every:
        for fault in rule(settings):
            if fault.path not in faulty:
                yield fault


def _store(settings: Settings) -> Iterator[Fault]:
    store = settings.store
    if not ids.STORE_ID.fullmatch(store.id):
        rule = "must be 2 to 31 of a-z, 0-9 and -, a letter or digit first"
        yield Fault(("store", "id"), f"{rule}, not {quoted(store.id)}", _as_id(store.id))
    if not _GROUP.fullmatch(store.group):
        rule = "must be 1 to 64 characters without space, /, + and #"
        yield Fault(("store", "group"), f"{rule}, not {quoted(store.group)}")
    try:
        zoneinfo.ZoneInfo(store.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        remedy = did_you_mean(store.timezone, known) if known else "install the package tzdata"
        yield Fault(("store", "timezone"), f"unknown time zone {quoted(store.timezone)}", remedy)


def _journal(settings: Settings) -> Iterator[Fault]:
    if stat.S_ISDIR(_mode(settings.journal.path)):
        message = f"must name a file, not the folder {settings.journal.path or '.'}"
        yield Fault(("journal", "path"), message, 'as in "var/stockd.db"')


def _ranges(settings: Settings) -> Iterator[Fault]:
    for path, (low, high) in RANGES.items():
        value = getattr(getattr(settings, path[0]), path[1])
        if not low <= value <= high:
            yield Fault(path, f"must be {low} to {high}, not {value}")


def _brokers(settings: Settings) -> Iterator[Fault]:
    link = settings.ledger_link
    urls: list[tuple[KeyPath, str]] = [(("ledger_link", "url"), url) for url in link.url]
    if len(set(link.url)) < len(link.url):
        yield Fault(("ledger_link", "url"), "names the same broker twice")
    if settings.telemetry.url:
        urls.append((("telemetry", "url"), settings.telemetry.url))
    for path, url in urls:
        yield from _broker(path, url, link.allow_plaintext)
    secure = any(url.startswith("mqtts://") for _, url in urls)
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(link, name)
        if file and not stat.S_ISREG(_mode(file)):
            yield Fault(("ledger_link", name), f"no such file: {file}")
        elif secure and not file:
            yield Fault(("ledger_link", name), "is missing: an mqtts:// broker needs it")


def _mode(file: str) -> int:
    """What kind of file this is, as `stat` says; 0 when there is none that we can see."""
    try:
        return Path(file).stat().st_mode
    except OSError:
        return 0


def _broker(path: KeyPath, url: str, allow_plaintext: bool) -> Iterator[Fault]:
    scheme, _, rest = url.partition("://")
    host, port = split_address(rest if ":" in rest.rpartition("]")[2] else f"{rest}:1883")
    if "@" in rest:  # not shown: what stands before the @ may be a password
        yield Fault(path, "holds a user name or password", "stockd shows its certificate instead")
    elif scheme not in ("mqtt", "mqtts") or not host or not port:
        yield Fault(path, f"is no broker: {quoted(url)}", 'as in "mqtts://broker.example:8883"')
    elif scheme == "mqtt" and not is_loopback(host) and not allow_plaintext:
        message = f"{url} would send the stock unencrypted to another machine"
        yield Fault(path, message, "use mqtts://, or set allow_plaintext = true")


def _listeners(settings: Settings) -> Iterator[Fault]:
    for table, listen in (
        ("console", settings.console.listen),
        ("metrics", settings.metrics.listen),
    ):
        host, port = split_address(listen)
        if listen and (host is None or port is None):
            message = f"must be an address and a port, not {quoted(listen)}"
            yield Fault((table, "listen"), message, 'as in "127.0.0.1:8470"; "" = off')
    if settings.console.listen == settings.metrics.listen and port:
        yield Fault(("metrics", "listen"), "is the address of the console too")


def _locations(settings: Settings) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    places: dict[tuple[str, int], str] = {}
    for at, location in enumerate(settings.location):
        path: KeyPath = ("location", at)
        yield from id_faults((*path, "id"), location.id, ids.LOCATION_ID.fullmatch(location.id))
        if seen.setdefault(location.id, at) != at:
            message = f'"{location.id}" is location[{seen[location.id] + 1}] already'
            yield Fault((*path, "id"), message, "give each place an id of its own")
        if location.position is None:
            continue
        low, high = POSITIONS
        if not low <= location.position <= high:
            yield Fault((*path, "position"), f"must be {low} to {high}, not {location.position}")
        if not location.bay:
            yield Fault((*path, "position"), "needs a bay", "name the bay it is a position in")
            continue
        other = places.setdefault((location.bay, location.position), location.id)
        if other != location.id:
            message = f'position {location.position} of bay "{location.bay}" is "{other}" already'
            yield Fault((*path, "position"), message)


def id_faults(path: KeyPath, value: str, matched: object) -> Iterator[Fault]:
    """The fault of a location or device id that does not match the pattern of both."""
    if not matched:
        rule = "must be 1 to 31 of a-z, 0-9 and -, a letter or digit first"
        yield Fault(path, f"{rule}, not {quoted(value)}", _as_id(value))


def _as_id(value: str) -> str | None:
    """An id as people may have meant it: small letters, and - for whatever else they wrote."""
    guess = re.sub(r"[^a-z0-9]+", "-", value.casefold()).strip("-")[:31]
    return f'did you mean "{guess}"?' if ids.STORE_ID.fullmatch(guess) else None


def split_address(text: str) -> tuple[str | None, int | None]:
    """Host and port of `host:port` or `[v6]:port`; None for the part that is wrong. Never raises.

    >>> split_address("127.0.0.1:8470"), split_address("[::1]:1"), split_address("box:x")
    (('127.0.0.1', 8470), ('::1', 1), ('box', None))
    """
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None
    if number is not None and number > PORT_MAX:
        number = None
    if host.startswith("[") and host.endswith("]"):
        return (host[1:-1] if _is_ip(host[1:-1]) else None), number
    return (host if _HOST.fullmatch(host) else None), number


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
