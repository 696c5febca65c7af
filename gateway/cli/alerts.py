"""`stockd alerts`: what is open about goods and sensors, as the journal has it.

Here: a table for people, or JSON. Not here: what an alert is (`core.watches`), devices not there
(`stockd status`).
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from gateway import words
from gateway.alert_words import NAME, Names
from gateway.cli import DONE, UNREACHABLE, UserError, config_path
from gateway.config import load
from gateway.domain.alert import Alert
from gateway.domain.units import NS_PER_MS, NS_PER_S
from gateway.journal.reader import Reader
from gateway.journal.writer import JournalError


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the purpose of this module


def alerts(args: argparse.Namespace) -> int:
    """`stockd alerts`."""
    loaded = load(config_path(args))
    try:
        reader = Reader(Path(loaded.settings.journal.path))
    except JournalError as error:
        raise UserError(str(error), UNREACHABLE) from None
    found = [msgspec.json.decode(body, type=Alert) for body in reader.parts("alert:").values()]
    found.sort(key=lambda alert: (alert.severity != "page", alert.since_ns, alert.key))
    names = Names(loaded.store)
    if args.json:
        document = {"store": loaded.settings.store.id, "alerts": [_row(a, names) for a in found]}
        sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
        return DONE
    lang: words.Lang = args.lang or loaded.settings.store.locale
    zone = ZoneInfo(loaded.settings.store.timezone)
    for alert in found:
        since = datetime.fromtimestamp(alert.since_ns // NS_PER_S, zone).strftime("%F %R")
        mark = "!" if alert.severity == "page" else " "
        _say(f"{mark} {since}  {words.say(NAME[alert.code], lang)}  {names.sentence(alert, lang)}")
    total = len(found)
    _say(words.say((f"共 {total} 条未解除的提醒", f"{total} open"), lang))
    return DONE


def _row(alert: Alert, names: Names) -> dict[str, object]:
    members: dict[str, object] = msgspec.structs.asdict(alert)
    del members["since_ns"]
    return members | {
        "sev": alert.severity,
        "since_ts": alert.since_ns // NS_PER_MS,
        "text": names.sentence(alert, "en"),
        "zh": names.sentence(alert, "zh-CN"),
    }
