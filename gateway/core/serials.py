"""Serial numbers seen by all scanners: each counts once per business step.

Here: which serial passed in which step, for a day (ALGORITHMS 1.2, identity rule), in the order of
time. Not here: echoes of one scanner (`scans`), where an item is (`book`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.domain.reading import Mode
from gateway.domain.units import NS_PER_S

MEMORY_NS: Final = 24 * 3600 * NS_PER_S
SERIALS_MAX: Final = 10_000
_OPPOSITE: Final[Mapping[Mode, Mode]] = {"sale": "return", "return": "sale"}
"""What was sold may be returned, and sold again."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """When a code passed, and the scan that brought it."""

    at_ns: int
    ref: str


class Serials:
    """The memory of the shop for serials, bounded in time and number. `changed` holds its keys."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self.changed: dict[str, None] = {}

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """What was kept among all parts, in any order."""
        known = {
            key.removeprefix("serial:"): msgspec.json.decode(body, type=Seen)
            for key, body in saved.items()
            if key.startswith("serial:")
        }
        for key in sorted(known, key=lambda k: (known[k].at_ns, k)):
            self._seen[key] = known[key]

    def get(self, key: str) -> Seen | None:
        """The state behind a key of `changed`; None when it is gone."""
        return self._seen.get(key)

    def repeats(
        self, at_ns: int, ref: str, mode: Mode, device: str, item: str, since_ns: int
    ) -> str | None:
        """The scan that this one repeats; None, and it is remembered, when it is the first.

        `item` is GTIN and serial. In a count only the same device since `since_ns` matters.
        """
        key = f"stocktake.{device}:{item}" if mode == "stocktake" else f"{mode}:{item}"
        known = self._seen.get(key)
        if known is not None and known.at_ns >= since_ns and known.at_ns + MEMORY_NS > at_ns:
            return known.ref
        self._forget(key)
        if mode in _OPPOSITE:
            self._forget(f"{_OPPOSITE[mode]}:{item}")
        self._seen[key] = Seen(at_ns, ref)
        self.changed[key] = None
        while len(self._seen) > SERIALS_MAX or self._oldest().at_ns + MEMORY_NS <= at_ns:
            self._forget(next(iter(self._seen)))
        return None

    def _oldest(self) -> Seen:
        return self._seen[next(iter(self._seen))]

    def _forget(self, key: str) -> None:
        if self._seen.pop(key, None) is not None:
            self.changed[key] = None
