"""The whole simulated store on real ports: its bytes tell what its truth says.

The loop's clock runs twenty times too fast, so that a minute of the shop takes seconds. What is
read is decoded here with a few lines of the test's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import struct
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.ports import PortRefused
from drivers.sim.shop import run
from gateway.domain.ids import check_digit
from gateway.domain.settings import DeviceSettings, ScanSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store

FASTER = 20
PLATES = ("a1", "a2", "b1", "b2")


class _FastSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout / FASTER if timeout else timeout)


class _FastLoop(asyncio.SelectorEventLoop):
    def time(self) -> float:
        return super().time() * FASTER


def _fast(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: _FastLoop(_FastSelector())) as runner:
        runner.run(work)


def _gtin(number: int) -> str:
    digits = f"0950600{number:06d}"
    return digits + str(check_digit(digits))


def _shop(root: Path) -> tuple[Settings, Store]:
    places = (
        Location("back", "backroom"),
        Location("dock", "receiving"),
        *(Location(p, "shelf", bay=p[0], position=int(p[1])) for p in PLATES),
        Location("c1", "shelf"),
        Location("till-1", "till"),
    )
    homes = (*PLATES, "c1")
    products = tuple(
        Product(_gtin(n), f"Goods {n}", unit_mass_mg=mass_g * 1000)
        for n, mass_g in enumerate((800, 2500, 300, 1200, 90))
    )
    planogram = tuple(
        Facing(home, "1", product.gtin, capacity_milli=12_000)
        for home, product in zip(homes, products, strict=True)
    )
    modes = ["receive", "restock", "return", "writeoff"]
    devices = (
        *(
            DeviceSettings(f"scale-{p}", "scale_sics", f"serial://{root}/scale-{p}?baud=9600", p)
            for p in PLATES
        ),
        DeviceSettings("scan-till", "scanner_serial", f"serial://{root}/scan-till", "till-1"),
        DeviceSettings(
            "scan-dock",
            "scanner_hid",
            f"evdev://{root}/scan-dock",
            "dock",
            {"mode": "receive", "modes": modes},
        ),
        DeviceSettings("gate", "camera", "rtsp://127.0.0.1/1", "till-1"),
    )
    settings = Settings(
        StoreSettings("s0001"), scan=ScanSettings("SIM"), location=places, device=devices
    )
    return settings, Store("s0001", places, products, planogram)


class _Daemon:
    """The other side: opens every port again and again, and keeps all bytes."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self.raw: dict[str, bytes] = {}
        self.opened: Counter[str] = Counter()
        self._paths = {d.id: root / d.id for d in settings.device if d.driver != "camera"}
        self._fds: dict[str, int] = {}

    async def listen(self, over: asyncio.Event) -> None:
        while not over.is_set():
            for device, path in self._paths.items():
                self._hear(device, path)
            await asyncio.sleep(0.2)
        for fd in self._fds.values():
            os.close(fd)

    def _hear(self, device: str, path: Path) -> None:
        fd = self._fds.get(device)
        try:
            if fd is None:
                write = os.O_RDONLY if device == "scan-dock" else os.O_RDWR
                fd = self._fds[device] = os.open(path, write | os.O_NOCTTY | os.O_NONBLOCK)
                self.opened[device] += 1
                if device.startswith("scale"):
                    os.write(fd, b"SIR\r\n")
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.raw[device] = self.raw.get(device, b"") + data
        elif fd is not None:
            os.close(self._fds.pop(device))


async def _play(
    root: Path, seed: int, level: str, duration_s: int | None, unplug: bool, sales: int = 0
) -> tuple[list[dict[str, Any]], _Daemon]:
    settings, store = _shop(root)
    daemon, told = _Daemon(settings, root), list[dict[str, Any]]()
    over, stop, start = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def emit(line: bytes) -> None:
        told.append(json.loads(line))
        if "ready" in told[-1]:
            assert all((root / d.id).exists() for d in settings.device if d.id != "gate")
            start.set()
        if sales and sum(line.get("what") == "sale" for line in told) >= sales:
            stop.set()

    listening = asyncio.create_task(daemon.listen(over))
    await run(
        settings,
        store,
        seed=seed,
        level=level,
        duration_s=duration_s,
        emit=emit,
        stop=stop,
        unplug=unplug,
        start=start,
    )
    await asyncio.sleep(1.0)
    over.set()
    await listening
    return told, daemon


def _typed(raw: bytes) -> list[str]:
    """Key presses of a US keyboard, as far as these labels need them."""
    keys = {2 + n: "1234567890"[n] for n in range(10)} | {39: ";", 28: "\n"}
    for first, row in ((16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm")):
        keys |= {first + n: char for n, char in enumerate(row)}
    text, shift = "", False
    for _, _, kind, code, value in struct.iter_unpack("<qqHHi", raw):
        if kind == 1 and code == 42:
            shift = bool(value)
        elif kind == 1 and value:
            text += {";": ":"}.get(keys[code], keys[code].upper()) if shift else keys[code]
    return text.split("\n")[:-1]


def test_the_bytes_of_a_quiet_minute_tell_what_the_truth_says(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    daemons: list[_Daemon] = []

    async def work() -> None:
        lines, daemon = await _play(tmp_path, 4, "quiet", 60, unplug=False)
        told.extend(lines)
        daemons.append(daemon)

    _fast(work())
    raw = daemons[0].raw
    assert [next(iter(line)) for line in told[:4]] == ["opening", "t_ms", "devices", "ready"]
    assert told[1]["what"] == "note"
    assert told[1]["device"] == "gate"
    truth = {row["gtin"]: row for row in told[-1]["truth"]}
    sold = Counter[str]()
    for line in told:
        if line.get("what") == "sale":
            sold[line["gtin"]] += line["units"]
    scanned = Counter("0" + text for text in raw["scan-till"].decode().split("\r")[:-1])
    echoes = sum(scanned.values()) - sum(sold.values())
    assert sum(sold.values()) > 3
    assert 0 <= echoes <= 2
    assert all(scanned[gtin] >= units for gtin, units in sold.items())
    at_dock = _typed(raw["scan-dock"])
    assert "SIMMODE:restock" in at_dock
    assert "SIMMODE:receive" in at_dock
    for place, mass_g, number in zip(PLATES, (800, 2500, 300, 1200), range(4), strict=True):
        words = raw[f"scale-{place}"].decode().split("\r\n")[-2].split()
        shown_g = float(words[2]) * (1000 if words[3] == "kg" else 1)
        units = truth[_gtin(number)]["by_location"].get(place, 0) // 1000
        assert shown_g == pytest.approx(units * mass_g, abs=0.4 * mass_g)
    assert all(port["dropped_bytes"] == 0 for port in told[-1]["ports"])
    counted = {row["what"]: row["units"] for row in told[-1]["moves"]}
    assert counted["sale"] == sum(sold.values())
    assert all(line["en"] and line["zh"] for line in told if "t_ms" in line)
    assert list(tmp_path.iterdir()) == []


def test_pulled_plugs_come_back_and_no_scan_is_lost(tmp_path: Path) -> None:
    async def work() -> None:
        told, daemon = await _play(tmp_path, 2, "quiet", 140, unplug=True)
        pulled = Counter(line["device"] for line in told if line.get("what") == "unplug")
        back = Counter(line["device"] for line in told if line.get("what") == "plug")
        assert sum(pulled.values()) >= 3
        assert pulled == back
        assert all(daemon.opened[device] == 1 + times for device, times in pulled.items())
        sales = sum(line["units"] for line in told if line.get("what") == "sale")
        assert len(daemon.raw["scan-till"].split(b"\r")) - 1 >= sales > 10
        for text in _typed(daemon.raw["scan-dock"]):
            assert text.startswith("SIM") or len(text) == 13

    _fast(work())


def test_a_shop_without_end_stops_when_told_and_still_says_the_truth(tmp_path: Path) -> None:
    async def work() -> None:
        told, _ = await _play(tmp_path, 1, "L2", None, unplug=False, sales=3)
        assert sum(line.get("what") == "sale" for line in told) == 3
        opened = Counter[str]()
        for row in told[0]["opening"]:
            opened[row["gtin"]] += row["qty_milli"]
        for line in told:
            if line.get("what") in ("receive", "return"):
                opened[line["gtin"]] += 1000 * line["units"]
            elif line.get("what") in ("sale", "theft", "unpaid", "writeoff"):
                opened[line["gtin"]] -= 1000 * line["units"]
        assert {row["gtin"]: row["on_hand_milli"] for row in told[-1]["truth"]} == dict(opened)

    _fast(work())
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_level_or_a_taken_path_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="known: quiet, L1, L2, L3"):
            await _play(tmp_path, 1, "L9", 10, unplug=False)
        (tmp_path / "scan-till").write_text("mine")
        with pytest.raises(PortRefused, match="scan-till"):
            await _play(tmp_path, 1, "quiet", 10, unplug=False)

    _fast(work())
    assert [path.name for path in tmp_path.iterdir()] == ["scan-till"]
