"""A daemon and the simulated devices of one configuration: two processes that know each other by
bytes alone. Tests pull plugs by orders to the simulator, as other people's tests can.
"""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.control import Client, NotRunning, Refusal
from gateway.domain.reading import Stocktake
from gateway.health import DeviceStatus
from gateway.supervisor import DeviceHealth

DEADLINE_S: Final = 30.0
PORTS: Final = range(20_000, 30_000)
"""Below those that the kernel lends to callers, who would else meet themselves there."""
OUTSIDE: Final = ("@sold", "@supplier", "@waste", "@lost", "@adjust", "@transfer")
HEAD: Final = """\
[store]
id = "s0001"
locale = "en"

[journal]
path = "stockd.db"

[ledger_link]
url = ""

[console]
listen = ""

[metrics]
listen = ""
"""


def free_port() -> int:
    """A TCP port of this machine that nobody listens at."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class Device:
    """A `[[device]]`; `link` is its scheme alone: tcp, serial or evdev."""

    name: str
    driver: str
    link: str
    location: str
    options: Mapping[str, object] = field(default_factory=dict)


def until(true: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """What `true` answers once it is truthy; fails after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)
    return found


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)


def write_store(
    folder: Path, places: Iterable[tuple[str, str]], devices: Iterable[Device], mass_g: int = 0
) -> Path:
    """store.toml with a product on every shelf, of `mass_g` or of its own; its path."""
    text, products = HEAD, ["gtin,name,uom,unit_mass_mg"]
    planogram = ["location,slot,gtin,facings,depth,capacity_milli"]
    for number, (place, kind) in enumerate(places, 1):
        text += f'\n[[location]]\nid = "{place}"\nkind = "{kind}"\n'
        if kind == "shelf":
            body = f"0950600{number:06d}"
            total = sum(int(digit) * (1 if at % 2 else 3) for at, digit in enumerate(body))
            gtin = f"{body}{-total % 10}"
            grams = mass_g or 150 + 130 * number
            products.append(f"{gtin},Goods {number},EA,{grams * 1000}")
            planogram.append(f"{place},1,{gtin},2,8,16000")
    for device in devices:
        where = f"{device.link}://{folder}/ports/{device.name}"
        if device.link == "tcp":
            where = f"tcp://127.0.0.1:{free_port()}"
        text += f'\n[[device]]\nid = "{device.name}"\ndriver = "{device.driver}"\n'
        text += f'link = "{where}"\nlocation = "{device.location}"\n[device.options]\n'
        text += "".join(f"{name} = {_toml(value)}\n" for name, value in device.options.items())
    (folder / "store.toml").write_text(text, "utf-8")
    (folder / "products.csv").write_text("\n".join(products) + "\n", "utf-8")
    (folder / "planogram.csv").write_text("\n".join(planogram) + "\n", "utf-8")
    return folder / "store.toml"


class Simulated:
    """The two processes of a store that `write_store` wrote."""

    def __init__(self, config: Path) -> None:
        self.config, self.folder = config, config.parent
        self.told: list[dict[str, Any]] = []
        """What the simulator said so far."""
        self._simulator: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self._reading: threading.Thread | None = None
        self._client: Client | None = None

    def start(self, level: str = "quiet", seed: int = 1) -> None:
        """Both, until every device is up; people wait for `go`."""
        wishes = ["simulate", "--json", "--hold", "--seed", str(seed), "--level", level]
        self._simulator = self._spawn("simulator", *wishes)
        self._reading = threading.Thread(target=self._listen, daemon=True)
        self._reading.start()
        until(lambda: any("ready" in line for line in self.told), "the simulator ready")
        self.daemon = self._spawn("daemon", "run")
        until(lambda: self.states() and set(self.states().values()) == {"up"}, self.unheard())

    def count_opening(self) -> None:
        """Staff count what truly lies in the shop, before the doors open."""
        self.devices()
        assert self._client is not None
        for row in self.told[0]["opening"]:
            count = Stocktake(row["location"], row["gtin"], row["qty_milli"])
            assert not isinstance(self._client.command(count), Refusal)

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "--config", str(self.config), *arguments],
                cwd=self.folder, stdin=subprocess.PIPE, stderr=log,
                stdout=subprocess.PIPE if name == "simulator" else log,
            )  # fmt: skip

    def _listen(self) -> None:
        assert self._simulator is not None and self._simulator.stdout is not None
        for line in self._simulator.stdout:
            self.told.append(json.loads(line))

    def order(self, text: str) -> None:
        """A line to the simulator: the first opens the doors, then `unplug D` and `plug D`."""
        assert self._simulator is not None and self._simulator.stdin is not None
        self._simulator.stdin.write(text.encode() + b"\n")
        self._simulator.stdin.flush()

    def truth(self) -> dict[str, Any]:
        """Ends the simulator; its last line."""
        assert self._simulator is not None and self._reading is not None
        self._simulator.terminate()
        self._reading.join(DEADLINE_S)
        return self.told[-1]

    def close(self) -> None:
        """Ends both, whatever state they are in."""
        if self._client is not None:
            self._client.close()
        for process in (self._simulator, self.daemon):
            if process is not None:
                process.kill()
                process.wait()

    # --- questions --------------------------------------------------------------------------

    def devices(self) -> dict[str, DeviceHealth]:
        """The daemon's view of its devices, by id; none while it does not run."""
        try:
            if self._client is None:
                self._client = Client(self.folder / "stockd.db")
            found: list[DeviceStatus] = self._client.status().devices
        except NotRunning:
            self._client = None
            return {}
        return {one.health.id: one.health for one in found}

    def states(self) -> dict[str, str]:
        """State by device."""
        return {name: health.state for name, health in self.devices().items()}

    def unheard(self) -> str:
        """What to say when a device did not come up."""
        return f"every device up: {self.states()}; logs in {self.folder}"

    def descriptors(self) -> int:
        """How many file descriptors the daemon has open."""
        assert self.daemon is not None
        return len(list(Path(f"/proc/{self.daemon.pid}/fd").iterdir()))

    def tasks(self) -> int:
        """How many tasks the daemon's loop runs."""
        assert self._client is not None
        return self._client.status().tasks

    def rss_kib(self) -> int:
        """The daemon's resident memory."""
        assert self.daemon is not None
        status = Path(f"/proc/{self.daemon.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0])

    def on_hand(self) -> dict[tuple[str, str], int]:
        """The book: thousandths by place and GTIN, of what is in the shop."""
        held: dict[tuple[str, str], int] = {}
        for event in self.events():
            for line in event.get("lines", ()):
                key = (line["loc"], line["gtin"])
                held[key] = held.get(key, 0) + line["d"]
        return {key: milli for key, milli in held.items() if milli and key[0] not in OUTSIDE}

    def events(self) -> list[dict[str, Any]]:
        """Stock events of the journal."""
        uri = f"{(self.folder / 'stockd.db').absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as db:
            rows = db.execute("SELECT body FROM stock_events ORDER BY seq").fetchall()
        return [json.loads(body) for (body,) in rows]
