"""Which piece of hardware answers under each device's name; another one is a swap that HQ sees.

Here: the last identity of each kind (`usb`, `llrp`, `sics`) a device has told. Not here: who reads
it from the hardware (`drivers`). A replaced device takes over the place of the one before it: its
name, and so its location, belongs to the port or the address, not to the piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.observation import Swapped

PART: Final = "identity:"


class Hardware:
    """Identities by device and kind. `changed` holds the keys of parts that changed."""

    def __init__(self, saved: Mapping[str, bytes]) -> None:
        self._known = {
            key.removeprefix(PART): body.decode()
            for key, body in saved.items()
            if key.startswith(PART)
        }
        self.changed: dict[str, None] = {}

    def part(self, name: str) -> bytes:
        """What to keep under a key of `changed`, without its prefix."""
        return self._known[name].encode()

    def identified(self, at_ns: int, device: str, identity: str) -> Swapped | None:
        """A device told who it is; the swap when it was another before."""
        key = f"{device}/{identity.partition(':')[0]}"
        before = self._known.get(key)
        if before == identity:
            return None
        self._known[key] = identity
        self.changed[f"{PART}{key}"] = None
        return None if before is None else Swapped(at_ns, device, before, identity)
