"""The devices of the configuration, each with the filter that hears it.

Here: which filter a device gets, and by what rules. Not here: what it hears (`engine`), how it
filters (`scans`, `weigh`, `vitals`, `lanes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.labels import Labels
from gateway.core.plate_words import PlateRules
from gateway.core.plates import Channel, Plates
from gateway.core.readers import AntennaPlace, Reader, ReaderRules
from gateway.core.scans import Scanner, ScannerRules, ScannerState
from gateway.core.serials import Seen, Serials
from gateway.domain.reading import Mode
from gateway.domain.settings import DeviceSettings, Settings
from gateway.domain.store import LocationKind, Store

_MODE_OF: Final[Mapping[LocationKind, Mode]] = {"till": "sale", "receiving": "receive"}
"""What a scanner does where nobody configured it: elsewhere it only looks up."""
DEFAULT_RATE_HZ: Final = 20


class Sensors:
    """Filters by device; plates by name."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        serials: Serials,
        parts: Mapping[str, bytes],
        kept_ns: int,
    ) -> None:
        """`kept_ns` is the time of the state in `parts`."""
        self._settings, self._store, self._serials = settings, store, serials
        self.labels = Labels(store.cases, settings.scan.rcn)
        self.scanners: dict[str, Scanner] = {}
        self.plates = Plates()
        self.readers: dict[str, Reader] = {}
        self.tills: dict[str, str] = {}
        """Lane of each device that speaks till lines."""
        self.lane_of: dict[str, str] = {}
        """Lane of each scanner at such a till: its taps post nothing there."""
        owned = {d.location for d in settings.device if d.role == "pos"}
        for device in settings.device:
            if device.role == "scanner":
                self._add_scanner(device, parts)
                if device.location in owned:
                    self.lane_of[device.id] = device.location
            elif device.role == "scale":
                self._add_scale(device, parts, kept_ns)
            elif device.role == "rfid":
                self._add_reader(device)
            elif device.role == "pos":
                self.tills[device.id] = device.location

    def _add_scanner(self, device: DeviceSettings, parts: Mapping[str, bytes]) -> None:
        location = self._store.location_by_id()[device.location]
        body = parts.get(f"scanner:{device.id}")
        told = device.options.get("mode") or _MODE_OF.get(location.kind, "lookup")
        rules = ScannerRules(
            device=device.id,
            location=location.id if location.physical else None,
            mode=told,  # type: ignore[arg-type]
            modes=tuple(device.options.get("modes", ())),  # type: ignore[arg-type]
            presentation=bool(device.options.get("presentation", False)),
            mode_prefix=self._settings.scan.mode_prefix,
            mode_idle_s=self._settings.fusion.mode_idle_s,
            quantity_s=self._settings.fusion.quantity_s,
        )
        state = msgspec.json.decode(body, type=ScannerState) if body else None
        echoes = parts.get(f"echo:{device.id}")
        seen = msgspec.json.decode(echoes, type=dict[str, Seen]) if echoes else None
        self.scanners[device.id] = Scanner(rules, self._serials, state, seen, self.labels)

    def _add_scale(self, device: DeviceSettings, parts: Mapping[str, bytes], kept_ns: int) -> None:
        for channel, name, location in plates_of(device):
            rate = int(device.options.get("rate_hz", DEFAULT_RATE_HZ))  # type: ignore[arg-type]
            rules = PlateRules(device.id, location, rate, self._lightest_mg(location))
            at = self._store.location_by_id()[location]
            self.plates.add(name, channel, device.driver, rules, at, parts, kept_ns)

    def _add_reader(self, device: DeviceSettings) -> None:
        kinds = {location.id: location.kind for location in self._store.locations}
        told = device.options.get("antennas")
        places = told.items() if isinstance(told, Mapping) else ()
        antennas = tuple(AntennaPlace(int(n), place, kinds[place]) for n, place in places)
        stock = bool(device.options.get("stock", True))
        rules = ReaderRules(device.id, device.location, kinds[device.location], antennas, stock)
        self.readers[device.id] = Reader(rules)

    def _lightest_mg(self, location: str) -> int | None:
        products = self._store.product_by_gtin()
        masses = [
            product.unit_mass_mg
            for facing in self._store.planogram
            if facing.location == location
            and (product := products.get(facing.gtin)) is not None
            and product.unit_mass_mg
        ]
        return min(masses, default=None)


def plates_of(device: DeviceSettings) -> list[tuple[Channel, str, str]]:
    """Channel, name and location of each plate of a scale."""
    told = device.options.get("channels")
    if not isinstance(told, Mapping) or not told:
        return [(msgspec.UNSET, device.id, device.location)]
    return [(int(n), f"{device.id}/{int(n)}", location) for n, location in told.items()]


def weighed(settings: Settings) -> frozenset[str]:
    """Locations that a plate stands under."""
    return frozenset(
        location
        for device in settings.device
        if device.role == "scale"
        for _, _, location in plates_of(device)
    )
