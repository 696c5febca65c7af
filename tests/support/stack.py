"""One running shop for the end-to-end and storm tests: real processes, a real broker, devices that
outlive the gateway, and an oracle that shares no code with what it judges.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import rfc8785
from stack_devices import HidScanner, Scale, SerialScanner

from gateway.control import Client, NotRunning
from gateway.health import DaemonStatus

DEADLINE_S: Final = 30.0
JAR: Final = "06901234567892"
JAR_G: Final = 500
VIRTUAL: Final = {"@sold", "@supplier", "@transfer", "@waste", "@lost", "@adjust"}
CONFIG: Final = """\
[store]
id = "s0001"
locale = "en"

[journal]
path = "stockd.db"

[ledger_link]
url = "URL"

[fusion]
FUSION

[[location]]
id = "a1"
kind = "shelf"

[[location]]
id = "dock"
kind = "receiving"

[[location]]
id = "till-1"
kind = "till"

[[device]]
id = "scale-a1"
driver = "scale_sics"
link = "serial://PORTS/scale-a1?baud=9600"
location = "a1"

[[device]]
id = "scan-dock"
driver = "scanner_hid"
link = "evdev://PORTS/scan-dock"
location = "dock"
[device.options]
mode = "receive"

[[device]]
id = "scan-till"
driver = "scanner_serial"
link = "serial://PORTS/scan-till?baud=9600"
location = "till-1"
"""
PRODUCTS: Final = f"gtin,name,uom,unit_mass_mg,unit_mass_sd_mg\n{JAR},Jar,EA,500000,2000\n"
PLANOGRAM: Final = f"location,slot,gtin,facings,depth,capacity_milli\na1,1,{JAR},4,10,40000\n"

_prctl = ctypes.CDLL(None).prctl  # looked up before any fork
_PR_SET_PDEATHSIG: Final = 1


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _until(true: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    deadline = time.monotonic() + deadline_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


class Stack:
    """Broker, ledger and gateway as processes, and the devices of one small shop."""

    NAMES: Final = ("broker", "ledger", "gateway")
    JAR: Final = JAR
    JAR_G: Final = JAR_G

    def __init__(self, folder: Path, fusion: str = "", broker: str = "embedded") -> None:
        """Plugs the devices in and writes the configuration; nothing is started yet."""
        self.folder, self._broker = folder, broker
        self.port = _free_port()
        self.config = folder / "store.toml"
        self._fusion = fusion
        self.configure(f"mqtt://127.0.0.1:{self.port}")
        (folder / "products.csv").write_text(PRODUCTS, "utf-8")
        (folder / "planogram.csv").write_text(PLANOGRAM, "utf-8")
        ports = folder / "ports"
        self.till = SerialScanner(ports / "scan-till")
        self.dock = HidScanner(ports / "scan-dock")
        self.scale = Scale(ports / "scale-a1", 20 * JAR_G)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._client: Client | None = None

    def configure(self, url: str) -> None:
        """Writes store.toml anew."""
        text = CONFIG.replace("URL", url).replace("FUSION", self._fusion)
        self.config.write_text(text.replace("PORTS", str(self.folder / "ports")), "utf-8")

    @staticmethod
    def until(true: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
        """What `true` answers once it is truthy; fails after the deadline."""
        return _until(true, what, deadline_s)

    @staticmethod
    def code(number: int) -> str:
        """A GTIN-13 of our own that belongs to this number alone."""
        body = f"690{number:09d}"
        total = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(body))
        return f"{body}{-total % 10}"

    # --- processes --------------------------------------------------------------------------

    def _command(self, name: str) -> list[str]:
        url = f"mqtt://127.0.0.1:{self.port}"
        if name == "gateway":
            return [sys.executable, "-m", "gateway.cli", "--config", str(self.config), "run"]
        if name == "ledger":
            return [sys.executable, "-m", "ledger.cli", "run", "--mqtt", url, "--db", self.db_url]
        if self._broker == "embedded":
            return [sys.executable, "-m", "gateway.broker", "--port", str(self.port)]
        config = self.folder / "mosquitto.conf"
        rules = f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        config.write_text(rules, "utf-8")
        return ["mosquitto", "-c", str(config)]

    @property
    def db_url(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.db'}"

    def spawn(self, name: str) -> None:
        """Starts one of NAMES and waits for nothing. From the main thread: children die with it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(name), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls C alone
            )  # fmt: skip

    def start(self) -> None:
        """All three, until the gateway has told the ledger everything."""
        self.spawn("broker")
        _until(lambda: _accepts(self.port), "the broker")
        self.spawn("ledger")
        self.spawn("gateway")
        self.settle()

    def kill(self, name: str) -> None:
        """SIGKILL, and the end of it."""
        self.processes[name].kill()
        self.processes[name].wait()

    def end(self, name: str) -> int:
        """SIGTERM; the exit status."""
        self.processes[name].terminate()
        return self.processes[name].wait(DEADLINE_S)

    def said(self, name: str) -> str:
        """The log of a process."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def close(self) -> None:
        """Ends everything, whatever state it is in."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.scale.close()
        self.till.unplug()
        self.dock.unplug()

    # --- questions --------------------------------------------------------------------------

    def stockd(
        self, *arguments: str, stdin: bytes = b"", config: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `stockd` to its end."""
        command = [sys.executable, "-m", "gateway.cli", "--config", str(config or self.config)]
        return subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, timeout=DEADLINE_S,
            check=False,
        )  # fmt: skip

    def ledger(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Runs `stockd-ledger` on this stack's database."""
        command = [sys.executable, "-m", "ledger.cli", *arguments, "--db", self.db_url]
        return subprocess.run(command, capture_output=True, timeout=2 * DEADLINE_S, check=False)

    def status(self) -> DaemonStatus | None:
        """What the daemon says of itself; None while it does not run."""
        try:
            client = Client(self.folder / "stockd.db")
            try:
                return client.status()
            finally:
                client.close()
        except NotRunning:
            return None

    def device(self, name: str) -> Any:
        """The daemon's view of one device; None while it does not run."""
        now = self.status()
        return now and next(d.health for d in now.devices if d.health.id == name)

    def heard(self) -> bool:
        """Whether the gateway has every device open."""
        now = self.status()
        return now is not None and all(d.health.state == "up" for d in now.devices)

    def delivered(self) -> bool:
        """Nothing waits for the disk or for the ledger."""
        now = self.status()
        return (
            now is not None and now.link is not None and now.journal.backlog == 0
            and all(s.state == "open" and s.ack == s.committed for s in now.link.streams)
        )  # fmt: skip

    def settled(self) -> bool:
        """Nor for evidence."""
        now = self.status()
        return now is not None and now.unsettled == 0 and self.delivered()

    def settle(self, deadline_s: float = DEADLINE_S) -> None:
        """Waits until every device is open and everything is settled."""
        try:
            _until(lambda: self.heard() and self.settled(), "at rest", deadline_s)
        except AssertionError as late:
            logs = "\n".join(f"{name}: {self.said(name)[-1500:]}" for name in self.processes)
            raise AssertionError(f"{late}\n{self.status()}\n{logs}") from None

    def journal(self, sql: str, *values: object) -> list[Any]:
        """Rows of the journal."""
        return _rows(self.folder / "stockd.db", sql, values)

    def books(self, sql: str, *values: object) -> list[Any]:
        """Rows of the ledger."""
        return _rows(self.folder / "ledger.db", sql, values)

    def events(self, since: int = 1) -> list[dict[str, Any]]:
        """Stock events of the journal, as on the wire."""
        rows = self.journal("SELECT body FROM stock_events WHERE seq >= ? ORDER BY seq", since)
        return [json.loads(row[0]) for row in rows]

    def newest(self) -> int:
        """Newest seq of the stock stream in the journal."""
        return int(self.journal("SELECT coalesce(max(seq), 0) FROM stock_events")[0][0])

    def watermark(self) -> int:
        """The ledger's watermark of the stock stream."""
        row = self.books("SELECT max(w) FROM streams WHERE stream = 'stock' AND status = 'active'")
        return int(row[0][0] or 0)

    # --- the comparison (WIRE section 20) ---------------------------------------------------

    def assert_same(self) -> int:
        """Journal = events + quarantine, row by row; chains, balances, both `verify`. Events."""
        inst = self.journal("SELECT value FROM meta WHERE key = 'inst'")[0][0]
        count = 0
        for stream in ("stock", "ops"):
            sent = self.journal(f"SELECT seq, id, kind, body, chain FROM {stream}_events")
            assert [row[0] for row in sent] == list(range(1, len(sent) + 1)), "gapless"
            assert len({row[1] for row in sent}) == len(sent), "an id twice"
            assert _taken(self, stream) == [
                (seq, bytes(body), bytes(chain).hex()) for seq, _, _, body, chain in sent
            ]
            chain = hashlib.sha256(bytes.fromhex(inst)).digest()
            for _, ident, kind, body, kept in sent:
                told = json.loads(body)
                assert rfc8785.dumps(told) == bytes(body), "not the canonical form"
                assert (told["id"], told["kind"]) == (ident, kind)
                chain = hashlib.sha256(chain + bytes(body)).digest()
                assert chain == bytes(kept)
            count += len(sent)
        assert self.books("SELECT seq, code, detail FROM quarantine") == []
        assert self.books("SELECT seq, code, detail FROM findings") == []
        self._assert_balances()
        for asked in (self.stockd("verify", "--json"), self.ledger("verify", "--json")):
            assert asked.returncode == 0, asked.stdout.decode() + asked.stderr.decode()
        return count

    def _assert_balances(self) -> None:
        folded: dict[tuple[str, str, str, str], int] = {}
        for event in self.events():
            for line in event.get("lines", ()):
                key = (line["loc"], line["gtin"], line["lot"] or "", line["uom"])
                folded[key] = folded.get(key, 0) + line["d"]
        sums = _counted(((*key, qty) for key, qty in folded.items()))
        asked = "SELECT loc, gtin, lot, uom, {} FROM balances"
        assert _counted(self.journal(asked.format("qty_milli"))) == sums
        assert _counted(self.books(asked.format("qty"))) == sums


def _taken(stack: Stack, stream: str) -> list[tuple[int, bytes, str]]:
    """What the ledger has of a stream: every seq in exactly one of events and quarantine."""
    rows = stack.books(
        "SELECT seq, body, chain FROM events WHERE stream = ? UNION ALL "
        "SELECT seq, raw, chain FROM quarantine WHERE stream = ? AND seq IS NOT NULL ORDER BY seq",
        stream, stream,
    )  # fmt: skip
    return [(seq, body.encode(), chain) for seq, body, chain in rows]


def _counted(rows: Any) -> dict[tuple[str, ...], int]:
    """Balances that say something: not zero, of places and baskets."""
    return {tuple(key): qty for *key, qty in rows if qty and key[0] not in VIRTUAL}


def _rows(path: Path, sql: str, values: tuple[object, ...]) -> list[Any]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as db:
        return db.execute(sql, values).fetchall()
