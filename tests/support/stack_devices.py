"""Devices of a test: their ports belong to the test and outlive the gateway."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path
from typing import Final

from drivers.sim.ports import FifoPort, PtyPort


class SerialScanner:
    """A scanner on a pseudo-terminal; the code, then CR."""

    def __init__(self, path: Path) -> None:
        self.port = PtyPort(path)
        self.port.plug()

    def scan(self, *codes: str) -> None:
        """All of it in one write."""
        self.port.write("".join(f"{code}\r" for code in codes).encode())

    def unplug(self) -> None:
        """Pulls the plug."""
        self.port.unplug()

    def plug(self) -> None:
        """Puts it back."""
        self.port.plug()


class HidScanner:
    """A scanner that types on a FIFO of kernel records: digits and Enter, 2 ms a key."""

    ENTER: Final = 28

    def __init__(self, path: Path) -> None:
        self._last_us = 0
        self.port = FifoPort(path)
        self.port.plug()

    def scan(self, code: str) -> None:
        """One code, in one write."""
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        keys = [11 if digit == "0" else int(digit) + 1 for digit in code]
        records = b""
        for key in (*keys, self.ENTER):
            self._last_us += 2000
            s, us = divmod(self._last_us, 1_000_000)
            for value in (1, 0):
                records += struct.pack("<qqHHi", s, us, 1, key, value)
                records += struct.pack("<qqHHi", s, us, 0, 0, 0)
        self.port.write(records)

    def unplug(self) -> None:
        """Pulls the plug."""
        self.port.unplug()

    def plug(self) -> None:
        """Puts it back."""
        self.port.plug()


class Scale:
    """A plate that says its weight twenty times a second to whoever has it open."""

    def __init__(self, path: Path, grams: int) -> None:
        self.grams = grams
        self.port = PtyPort(path)
        self.port.plug()
        self._turn = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def _speak(self) -> None:
        while not self._end.wait(0.05):
            kg = f"{self.grams // 1000}.{self.grams % 1000:03d}"
            with self._turn:
                self.port.read()
                self.port.write(f"S S {kg:>10} kg\r\n".encode())

    def unplug(self) -> None:
        """Pulls the plug."""
        with self._turn:
            self.port.unplug()

    def plug(self) -> None:
        """Puts it back."""
        with self._turn:
            self.port.plug()

    def close(self) -> None:
        """Ends it."""
        self._end.set()
        self._thread.join()
        self.port.unplug()
