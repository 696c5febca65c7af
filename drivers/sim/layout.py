"""What the world must know of the shop's furniture: plates, neighbours, tills, the staff's scanner.

Here: reading that from the settings. Not here: opening any port (`ports`, `shop`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.reading import Word
from gateway.domain.settings import DeviceSettings, Settings
from gateway.domain.store import Location, Store

SCANNERS: Final = ("scanner_serial", "scanner_hid")
TILLS: Final = ("pos_lines",)


class StaffScanner(Word, frozen=True):
    """The scanner that staff receive and restock with, and where its goods lie."""

    device: str
    goods: str
    mode: str
    modes: tuple[str, ...]
    """Modes that its barcodes may switch to; empty when it takes no mode barcodes."""
    aim: bool


class Till(Word, frozen=True):
    """Where shoppers pay: a scanner, a till that tells its lines, or both for the same sale."""

    scanner: str
    """Empty: there is none."""
    lines: str

    @property
    def name(self) -> str:
        """What it is called among the tills."""
        return self.scanner or self.lines


class Layout(Word, frozen=True):
    """The places and devices that people of the world act on."""

    weighed: frozenset[str]
    neighbours: Mapping[str, tuple[str, ...]]
    bays: tuple[tuple[str, ...], ...]
    tills: tuple[Till, ...]
    staff: StaffScanner | None
    prefix: str


def layout_of(settings: Settings, store: Store) -> Layout:
    """The furniture of a configured shop. Never raises; what the shop lacks is empty."""
    places = store.location_by_id()
    weighed = frozenset(place for d in settings.device for place in locations_of(d))
    staff = next(
        (
            _staff_scanner(settings, store, d)
            for kind in ("receiving", "backroom")
            for d in settings.device
            if d.driver in SCANNERS and _kind(places, d) == kind
        ),
        None,
    )
    return Layout(
        weighed=weighed,
        neighbours={place.id: _beside(store, place, weighed) for place in store.locations},
        bays=_bays(store, weighed),
        tills=_tills(settings, places),
        staff=staff,
        prefix=settings.scan.mode_prefix,
    )


def _tills(settings: Settings, places: Mapping[str, Location]) -> tuple[Till, ...]:
    """Each scanner at a till is one; lines of the same place go with it, or are one alone."""
    at = [device for device in settings.device if _kind(places, device) == "till"]
    lines_at: dict[str, str] = {}
    for device in at:
        if device.driver in TILLS:
            lines_at.setdefault(device.location, device.id)
    scanners = [device for device in at if device.driver in SCANNERS]
    alone = set(lines_at) - {device.location for device in scanners}
    return (
        *(Till(device.id, lines_at.get(device.location, "")) for device in scanners),
        *(Till("", lines) for location, lines in lines_at.items() if location in alone),
    )


def locations_of(device: DeviceSettings) -> tuple[str, ...]:
    """The places that a scale weighs; none for another device. Never raises."""
    if device.role != "scale":
        return ()
    channels = device.options.get("channels")
    told = tuple(channels.values()) if isinstance(channels, Mapping) else ()
    return told or (device.location,)


def _kind(places: Mapping[str, Location], device: DeviceSettings) -> str | None:
    place = places.get(device.location)
    return None if place is None else place.kind


def _staff_scanner(settings: Settings, store: Store, device: DeviceSettings) -> StaffScanner:
    modes = device.options.get("modes", ())
    switchable = isinstance(modes, list | tuple) and settings.scan.mode_prefix != ""
    return StaffScanner(
        device=device.id,
        goods=device.location,
        mode=str(device.options.get("mode", "receive")),
        modes=tuple(modes) if switchable and isinstance(modes, list | tuple) else (),
        aim=device.options.get("aim") is True,
    )


def _beside(store: Store, place: Location, weighed: frozenset[str]) -> tuple[str, ...]:
    if place.bay is None or place.position is None:
        return ()
    return tuple(
        other.id
        for other in store.locations
        if other.id in weighed
        and other.bay == place.bay
        and other.position in (place.position - 1, place.position + 1)
    )


def _bays(store: Store, weighed: frozenset[str]) -> tuple[tuple[str, ...], ...]:
    bays: dict[str, list[str]] = {}
    for place in store.locations:
        if place.id in weighed:
            bays.setdefault(place.bay or f"alone {place.id}", []).append(place.id)
    return tuple(tuple(plates) for plates in bays.values())
