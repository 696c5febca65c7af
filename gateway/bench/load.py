"""What the benches of a whole store need: its configuration, its ports, and a daemon to watch.

Here: a store of so many devices, pseudo-terminals, the processor time and memory of a process. Not
here: what is measured (`pipeline`, `full_store`).
"""

from __future__ import annotations

import asyncio
import os
import pty
import time
import tty
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.bench.machine import gtin13
from gateway.control import Client, NotRunning
from gateway.processes import Child, ChildFailed

READY_S: Final = 20.0


def store_of(folder: Path, scales: int, scanners: int, readers: Sequence[int] = ()) -> Path:
    """A store without a link, its ports in the folder; a reader at each of these TCP ports."""
    out = [
        '[store]\nid = "bench"\n[journal]\npath = "stockd.db"\n[ledger_link]\nurl = ""\n'
        "[fusion]\npending_sale_s = 3600\n"
    ]
    out.append('[[location]]\nid = "till"\nkind = "till"\n')
    out.append('[[location]]\nid = "back"\nkind = "backroom"\n')
    products, planogram = ["gtin,name,unit_mass_mg"], ["location,slot,gtin,capacity_milli"]
    for n in range(scales):
        gtin = gtin13(900_000 + n)
        out.append(f'[[location]]\nid = "p{n}"\nkind = "shelf"\n')
        out.append(f'[[device]]\nid = "scale-{n}"\ndriver = "scale_sics"\nlocation = "p{n}"\n'
                   f'link = "serial://{folder}/scale-{n}"\n')  # fmt: skip
        products.append(f"{gtin},Jar {n},500000")
        planogram.append(f"p{n},1,{gtin},20000")
    out += [
        f'[[device]]\nid = "scanner-{n}"\ndriver = "scanner_serial"\n'
        f'location = "till"\nlink = "serial://{folder}/scanner-{n}"\n'
        for n in range(scanners)
    ]
    out += [
        f'[[device]]\nid = "reader-{n}"\ndriver = "rfid_llrp"\nlocation = "back"\n'
        f'link = "tcp://127.0.0.1:{port}"\n'
        for n, port in enumerate(readers)
    ]
    (folder / "store.toml").write_text("".join(out), encoding="utf-8")
    (folder / "products.csv").write_text("\n".join(products) + "\n", encoding="utf-8")
    (folder / "planogram.csv").write_text("\n".join(planogram) + "\n", encoding="utf-8")
    return folder / "store.toml"


class Port:
    """A pseudo-terminal under a name."""

    def __init__(self, path: Path) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        path.symlink_to(os.ttyname(self._slave))

    def write(self, data: bytes) -> bool:
        """False when nobody reads fast enough."""
        try:
            os.write(self.master, data)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Gives the terminal back."""
        os.close(self.master)
        os.close(self._slave)


def rss_kib(pid: int) -> int:
    """The memory a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    """The processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def client_of(folder: Path, child: Child) -> Client:
    """The control socket of a daemon, once it is there. Raises ChildFailed."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            return Client(folder / "stockd.db")
        except NotRunning:
            await asyncio.sleep(0.005)
    raise ChildFailed(f"stockd did not start\n{child.said()}")
