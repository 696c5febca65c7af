"""RFID readers that say JSON, a line an event: Zebra's IoT Connector, Impinj's IoT interface.

    {"type":"SIMPLE","timestamp":"2024-03-08T14:05:07.123+0000","data":{"eventNum":7,
     "format":"epc","idHex":"3066...","antenna":1,"peakRssi":-52,"reads":1}}          Zebra
    {"timestamp":"2024-03-08T14:05:07.123456000Z","hostname":"...","eventType":"tagInventory",
     "tagInventoryEvent":{"epc":"MGbE...","epcHex":"3066...","antennaPort":1,
     "peakRssiCdbm":-5200,"lastSeenTime":"..."}}                                      Impinj

Source: Zebra IoT Connector, "Tag data events" and "Management events"; Impinj IoT device interface
1.7, schema ReaderEvent. Here: the instrument, pure: times in, lines out. It visits its antennas in
turn and takes no orders. Not here: the tags (`tags`), the port, and nothing that reads such lines.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from drivers.sim.tags import VISIT_S, Air, Heard

VISIT_US: Final = round(VISIT_S * 1e6)
BEHIND_MAX_US: Final = 2_000_000
STATUS_US: Final = 10_000_000
"""Zebra's heartbeat and Impinj's inventory status come this often."""
POWER_CDBM: Final = 3000
FREQUENCY_KHZ: Final = 903_250


class JsonReader:
    """One reader, whoever listens. Times are the simulator's, in seconds, and never go back."""

    def __init__(
        self,
        antennas: int,
        field: Air,
        *,
        vendor: Literal["zebra", "impinj"],
        hostname: str = "reader",
        clock_offset_us: int = 0,
    ) -> None:
        """Its clock reads `at_s` plus the offset; so `at_s` 0 may be any time of UTC."""
        self._antennas, self._field = antennas, field
        self._zebra, self._hostname = vendor == "zebra", hostname
        self._offset_us = clock_offset_us
        self._number = 0
        self._visits = self._reads = 0
        self._due_us: int | None = None
        self._status_us = 0
        self._born_us = 0
        self._lost: set[int] = set()
        self._news: list[int] = []

    def lose_antenna(self, antenna: int) -> None:
        """Its cable comes off; told with the next tick."""
        if antenna not in self._lost:
            self._lost.add(antenna)
            self._news.append(antenna)

    def restore_antenna(self, antenna: int) -> None:
        """Its cable is on again; told with the next tick."""
        if antenna in self._lost:
            self._lost.discard(antenna)
            self._news.append(antenna)

    def tick(self, at_s: float) -> bytes:
        """The events since the last tick, a line each."""
        at_us = round(at_s * 1e6)
        if self._due_us is None:
            self._due_us, self._status_us, self._born_us = at_us + VISIT_US, at_us, at_us
        if self._field.stalled(at_s):
            self._due_us = at_us + VISIT_US
            return b""
        said = self._changes(at_us)
        self._due_us = max(self._due_us, at_us - BEHIND_MAX_US)
        while self._due_us <= at_us:
            antenna = 1 + self._visits % self._antennas
            self._visits += 1
            if antenna not in self._lost:
                for heard in self._field.heard(antenna, self._due_us / 1e6):
                    self._reads += 1
                    said.append(self._tag(antenna, heard))
            self._due_us += VISIT_US
        lines = (json.dumps(event, separators=(",", ":")) + "\n" for event in said)
        return "".join(lines).encode("ascii")

    def _changes(self, at_us: int) -> list[Mapping[str, object]]:
        """Antennas lost and back, and how it is, now and then."""
        news, self._news = self._news, []
        due = at_us >= self._status_us
        if due:
            self._status_us += (1 + (at_us - self._status_us) // STATUS_US) * STATUS_US
        if self._zebra:
            # it has no event for one antenna: the next heartbeat tells of all
            return [self._heartbeat(at_us)] if due or news else []
        said: list[Mapping[str, object]] = []
        if due:
            said.append(self._impinj(at_us, "inventoryStatus", {"inventoryStatus": "running"}))
        for antenna in news:
            kind = "antennaDisconnected" if antenna in self._lost else "antennaConnected"
            said.append(self._impinj(at_us, kind, {"antennaPort": antenna}))
        return said

    # --- the two formats

    def _tag(self, antenna: int, heard: Heard) -> Mapping[str, object]:
        seen_us = round(heard.at_s * 1e6)
        if self._zebra:
            self._number += 1
            data = {
                "eventNum": self._number,
                "format": "epc",
                "idHex": heard.epc.hex(),
                "antenna": antenna,
                "peakRssi": round(heard.rssi_dbm),
                "reads": 1,
            }
            return {"type": "SIMPLE", "timestamp": self._zebra_time(seen_us), "data": data}
        port = {
            "epc": urlsafe_b64encode(heard.epc).decode("ascii"),
            "epcHex": heard.epc.hex().upper(),
            "antennaPort": antenna,
            "antennaName": f"Antenna {antenna}",
            "transmitPowerCdbm": POWER_CDBM,
            "peakRssiCdbm": round(heard.rssi_dbm * 100),
            "frequency": FREQUENCY_KHZ,
            "lastSeenTime": self._impinj_time(seen_us),
        }
        return self._impinj(self._due_us or seen_us, "tagInventory", port)

    def _heartbeat(self, at_us: int) -> Mapping[str, object]:
        self._number += 1
        minutes, seconds = divmod((at_us - self._born_us) // 1_000_000, 60)
        radio = {
            "antennas": {
                str(one): "disconnected" if one in self._lost else "connected"
                for one in range(1, self._antennas + 1)
            },
            "numErrors": 0,
            "numTagReads": self._reads,
            "radioActivity": "active",
            "radioConnection": "connected",
            "status": "running",
            "uptime": f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}",
        }
        return {
            "type": "heartbeat",
            "component": "RC",
            "eventNum": self._number,
            "timestamp": self._zebra_time(at_us),
            "data": {"radio_control": radio, "system": {"temperature": 38}, "userapps": []},
        }

    def _impinj(self, at_us: int, kind: str, body: Mapping[str, object]) -> Mapping[str, object]:
        return {
            "timestamp": self._impinj_time(at_us),
            "hostname": self._hostname,
            "eventType": kind,
            f"{kind}Event": body,
        }

    def _zebra_time(self, at_us: int) -> str:
        return f"{self._moment(at_us):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+0000"

    def _impinj_time(self, at_us: int) -> str:
        return f"{self._moment(at_us):%Y-%m-%dT%H:%M:%S.%f}000Z"

    def _moment(self, at_us: int) -> datetime:
        whole_s, rest_us = divmod(max(0, at_us + self._offset_us), 1_000_000)
        return datetime.fromtimestamp(whole_s, UTC).replace(microsecond=rest_us)
