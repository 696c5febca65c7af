"""What people ask the ledger: stores, one pool of stock, devices, alerts.

Here: read-only queries and the values they answer with. Not here: printing (`ledger.cli`),
writing (`ledger.books`). Quantities are thousandths of the unit, times milliseconds UTC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from gateway.domain.messages import Alarm, DeviceChanged
from gateway.domain.reading import Word
from gateway.domain.stock import BASKET


class StreamLine(Word, frozen=True):
    """The running epoch of one stream."""

    stream: str
    epoch: int
    status: str
    watermark: int
    quarantined: int
    drifts: int
    seen_ts: int


class StoreLine(Word, frozen=True):
    """One store; presence is None where it never said `state`."""

    store: str
    online: bool | None
    why: str | None
    gw: str | None
    sw: str | None
    since: int | None
    streams: tuple[StreamLine, ...]


class Place(Word, frozen=True):
    """The balance of one product at one physical location, all lots together."""

    location: str
    qty_milli: int


class StockLine(Word, frozen=True):
    """One product in one store; on hand = places + basket, sellable = places (no holds yet)."""

    store: str
    on_hand_milli: int
    sellable_milli: int
    basket_milli: int
    places: tuple[Place, ...]


class Pool(Word, frozen=True):
    """One product over all stores asked for."""

    gtin: str
    uom: str
    on_hand_milli: int
    sellable_milli: int
    basket_milli: int
    stores: tuple[StockLine, ...]


class DeviceLine(Word, frozen=True):
    """What was last heard of a device."""

    store: str
    device: str
    driver: str
    state: str
    """`up` or `down`."""
    reason: str
    ts: int
    store_online: bool | None


class AlertLine(Word, frozen=True):
    """Something open: an alarm not cleared, a device down, a store offline, a finding of ours."""

    store: str
    source: str
    """`alarm`, `device`, `store` or `ledger`."""
    code: str
    severity: str
    device: str | None
    text: str
    ts: int
    gtin: str | None = None
    location: str | None = None
    lot: str | None = None


class _Up(msgspec.Struct):
    kind: str
    data: DeviceChanged


class _Raised(msgspec.Struct):
    kind: str
    data: Alarm


_OF_STORE = "(:store IS NULL OR {0}store = :store)"


def stores(db: sqlite3.Connection, store: str | None = None) -> list[StoreLine]:
    """Every store that was ever heard of, in order of its id."""
    of = {"store": store}
    presence = {
        row[0]: row
        for row in db.execute(
            "SELECT store, online, why, gw, sw, since FROM presence WHERE " + _OF_STORE.format(""),
            of,
        )
    }
    streams: dict[str, list[StreamLine]] = {name: [] for name in presence}
    for name, *line in db.execute(
        "SELECT store, stream, epoch, status, w,"
        " (SELECT count(*) FROM quarantine AS q WHERE q.store = s.store"
        "   AND q.stream = s.stream AND q.epoch = s.epoch AND q.seq IS NOT NULL),"
        " (SELECT count(*) FROM findings AS f WHERE f.store = s.store"
        "   AND f.stream = s.stream AND f.code = 'drift' AND f.epoch = s.epoch), seen_ts"
        " FROM streams AS s WHERE status <> 'closed' AND "
        + _OF_STORE.format("s.")
        + " ORDER BY stream DESC",
        of,
    ):
        streams.setdefault(name, []).append(StreamLine(*line))
    return [
        StoreLine(name, *_presence(presence.get(name)), tuple(lines))
        for name, lines in sorted(streams.items())
    ]


def _presence(
    row: tuple[str, int, str, str, str, int] | None,
) -> tuple[bool | None, str | None, str | None, str | None, int | None]:
    if row is None:
        return None, None, None, None, None
    return bool(row[1]), row[2], row[3], row[4], row[5]


def stock(db: sqlite3.Connection, store: str | None = None, gtin: str | None = None) -> list[Pool]:
    """Stock as one pool: every product with a balance, by store and in total."""
    found = db.execute(
        "SELECT gtin, uom, store, loc, sum(qty) FROM balances WHERE "
        + _OF_STORE.format("")
        + " AND (:gtin IS NULL OR gtin = :gtin) AND (loc = :basket OR loc NOT LIKE '@%')"
        " GROUP BY gtin, uom, store, loc ORDER BY gtin, uom, store, loc",
        {"store": store, "gtin": gtin, "basket": BASKET},
    )
    tree: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for product, uom, name, loc, qty in found:
        tree.setdefault((product, uom), {}).setdefault(name, {})[loc] = qty
    return [_pool(product, uom, by_store) for (product, uom), by_store in tree.items()]


def _pool(gtin: str, uom: str, by_store: dict[str, dict[str, int]]) -> Pool:
    lines = []
    for store, accounts in by_store.items():
        basket = accounts.pop(BASKET, 0)
        sellable = sum(accounts.values())
        places = tuple(Place(loc, qty) for loc, qty in accounts.items())
        lines.append(StockLine(store, sellable + basket, sellable, basket, places))
    return Pool(
        gtin,
        uom,
        sum(line.on_hand_milli for line in lines),
        sum(line.sellable_milli for line in lines),
        sum(line.basket_milli for line in lines),
        tuple(lines),
    )


def _ops(
    db: sqlite3.Connection, store: str | None, kinds: tuple[str, str]
) -> Iterator[tuple[str, str, int]]:
    """Store, body and time of operational events of two kinds, in the order they happened."""
    return db.execute(
        "SELECT store, body, ts FROM events WHERE stream = 'ops' AND kind IN (:one, :two) AND "
        + _OF_STORE.format("")
        + " ORDER BY store, epoch, seq",
        {"one": kinds[0], "two": kinds[1], "store": store},
    )


def devices(db: sqlite3.Connection, store: str | None = None) -> list[DeviceLine]:
    """The last word on every device; an event of another shape than section 7's is passed over."""
    online = {line.store: line.online for line in stores(db, store)}
    last: dict[tuple[str, str], DeviceLine] = {}
    for name, body, ts in _ops(db, store, ("device_up", "device_down")):
        try:
            event = msgspec.json.decode(body, type=_Up)
        except msgspec.MsgspecError:
            continue
        said = event.data
        state = event.kind.removeprefix("device_")
        last[name, said.dev] = DeviceLine(
            name, said.dev, said.driver, state, said.reason, ts, online.get(name)
        )
    return [last[key] for key in sorted(last)]


def alerts(db: sqlite3.Connection, store: str | None = None) -> list[AlertLine]:
    """Everything open, oldest first."""
    found = [*_alarms(db, store), *_findings(db, store)]
    found += [
        AlertLine(line.store, "device", "device_down", "warn", line.device, line.reason, line.ts)
        for line in devices(db, store)
        if line.state == "down"
    ]
    found += [
        AlertLine(line.store, "store", "offline", "warn", None, line.why or "", line.since or 0)
        for line in stores(db, store)
        if line.online is False
    ]
    return sorted(found, key=lambda line: (line.ts, line.store, line.source, line.code))


def _alarms(db: sqlite3.Connection, store: str | None) -> list[AlertLine]:
    raised: dict[tuple[str | None, ...], AlertLine] = {}
    for name, body, ts in _ops(db, store, ("alarm", "alarm_clear")):
        try:
            event = msgspec.json.decode(body, type=_Raised)
        except msgspec.MsgspecError:
            continue
        said = event.data
        about = tuple(one or None for one in (said.gtin, said.loc, said.lot))
        key = (name, said.code, said.dev, *about)
        if event.kind == "alarm":
            raised[key] = AlertLine(
                name, "alarm", said.code, said.sev, said.dev, said.text, ts, *about
            )
        else:
            raised.pop(key, None)
    return list(raised.values())


def _findings(db: sqlite3.Connection, store: str | None) -> list[AlertLine]:
    """Our own findings and quarantine: one line per store, stream and code, with the newest."""
    of = {"store": store}
    rows = [
        *db.execute(
            "SELECT store, stream, code, count(*), detail, max(ts) FROM findings AS f WHERE "
            + _OF_STORE.format("")
            + " AND (code NOT IN ('fork', 'rollback') OR EXISTS (SELECT 1 FROM streams AS s"
            "   WHERE s.store = f.store AND s.stream = f.stream AND s.status = f.code))"
            " GROUP BY store, stream, code",
            of,
        ),
        *db.execute(
            "SELECT store, stream, code, count(*), detail, max(recv_ts) FROM quarantine WHERE "
            + _OF_STORE.format("")
            + " GROUP BY store, stream, code",
            of,
        ),
    ]
    return [
        AlertLine(
            name,
            "ledger",
            code,
            "page" if code in ("fork", "rollback", "fenced") else "warn",
            None,
            f"{stream or 'state'}: {detail}" + (f" (and {count - 1} more)" if count > 1 else ""),
            ts,
        )
        for name, stream, code, count, detail, ts in rows
    ]
