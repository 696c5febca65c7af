"""Local days as the zone database has them, and what `stockd stock` calls sellable."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.config import load
from gateway.core.engine import Engine
from gateway.domain.calendar import UTC as PLAIN
from gateway.domain.calendar import Calendar, date_of, day_of
from gateway.domain.reading import Reading, Scan
from gateway.domain.wire import replay_stamp
from gateway.journal.journal import Journal
from gateway.zone import FIRST_YEAR, LAST_YEAR, calendar_of

ZONES = (
    "Asia/Shanghai", "UTC", "Europe/Berlin", "America/New_York", "America/Havana",
    "America/Sao_Paulo", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia",
)  # fmt: skip
EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), 1_000_000_000
TIMES = st.integers(946_857_600, 4_133_894_400)
"""Seconds: from January 2000 to December 2100."""
DAYS = st.dates(date(FIRST_YEAR, 1, 3), date(LAST_YEAR, 12, 28))


def ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1) * SECOND


def local(at_ns: int, zone: str) -> date:
    return (EPOCH + timedelta(seconds=at_ns // SECOND)).astimezone(ZoneInfo(zone)).date()


@given(st.dates())
def test_dates_and_days_are_one(day: date) -> None:
    number = (day - date(1970, 1, 1)).days
    assert (day_of(day.isoformat()), date_of(number)) == (number, day.isoformat())


@given(st.sampled_from(ZONES), TIMES)
def test_the_local_day_of_a_time(zone: str, at_s: int) -> None:
    at_ns = at_s * SECOND
    assert date_of(calendar_of(zone).day(at_ns)) == local(at_ns, zone).isoformat()


@given(st.sampled_from(ZONES), DAYS)
def test_a_day_begins_at_its_first_second(zone: str, day: date) -> None:
    begins_ns = calendar_of(zone).begins_ns(day_of(day.isoformat()))
    assert local(begins_ns, zone) >= day, "the day itself; the next where the zone left it out"
    assert local(begins_ns - SECOND, zone) < day


def test_a_day_that_begins_at_one_and_a_day_that_was_left_out() -> None:
    havana = calendar_of("America/Havana").begins_ns(day_of("2026-03-08"))
    assert havana == ns(datetime(2026, 3, 8, 5, tzinfo=UTC)), "clocks went from 0:00 to 1:00"
    apia = calendar_of("Pacific/Apia")
    assert apia.begins_ns(day_of("2011-12-30")) == apia.begins_ns(day_of("2011-12-31"))


def test_a_store_of_no_zone_keeps_utc() -> None:
    assert PLAIN.begins_ns(1) == 86_400 * SECOND
    assert Calendar().day(-1) == -1


STORE = """
[store]
id = "s0001"
[journal]
path = "j.db"
[[location]]
id = "dock"
kind = "receiving"
[[location]]
id = "till"
kind = "till"
[[device]]
id = "dock-1"
driver = "scanner_serial"
link = "serial:///dev/nothing"
location = "dock"
[[device]]
id = "till-1"
driver = "scanner_serial"
link = "serial:///dev/nothing2"
location = "till"
"""
CUP = "06901234560053"


async def journalled(folder: Path) -> None:
    """Five pieces that are long expired, three that never are, a sale whose pick nobody saw."""
    (folder / "store.toml").write_text(STORE)
    (folder / "products.csv").write_text(f"gtin,name\n{CUP},Cup\n")
    (folder / "planogram.csv").write_text("location,gtin\n")
    loaded = load(folder / "store.toml")
    journal = Journal(folder / "j.db", "s0001")
    engine = Engine(loaded.settings, loaded.store, journal.inst, journal.history())
    at_ns = ns(datetime(2020, 6, 1, tzinfo=UTC))
    for n, (device, text) in enumerate((
        ("dock-1", f"01{CUP}1720060210L1\x1d305"), ("dock-1", f"01{CUP}10L2\x1d303"),
        ("till-1", CUP[1:]),
    )):  # fmt: skip
        engine.receive(Reading(at_ns + n * SECOND, device, Scan(text, None)))
    journal.append(engine.take(), [], replay_stamp)
    await journal.durable()
    journal.close()


async def test_expired_goods_are_on_hand_and_not_to_be_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await journalled(tmp_path)
    assert main(["stock", "--config", str(tmp_path / "store.toml"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["products"]
    assert (row["on_hand_milli"], row["sellable_milli"], row["basket_milli"]) == (7000, 8000, -1000)
    assert (row["expired_milli"], row["strict_sellable_milli"]) == (5000, 2000)
    assert main(["stock", "--config", str(tmp_path / "store.toml")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:6] == ["7", "8", "2", "5", "-1"]
