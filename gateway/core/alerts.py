"""The alerts that are open: each is told once when it begins and once when it is over.

Here: the register, kept over restarts as parts `alert:KEY`. It holds at most what the book gives
rise to: a few for each product, one for each of its lots and places, one for each plate. Not here:
what is worth an alert (`watches`, and whoever calls `raise_` and `clear`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from gateway.domain.alert import Alert, Code, Told


class Alerts:
    """The open alerts of one store. `changed(key)` is called after each change of a part."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._open: dict[str, Alert] = {}
        self._of: dict[str, dict[str, None]] = {}
        """Keys of open alerts by product; by `@` and place for those of no product."""
        self._told: list[Told] = []

    @property
    def open(self) -> Mapping[str, Alert]:
        """Open alerts by key."""
        return self._open

    def listed(self) -> tuple[Alert, ...]:
        """Open alerts, the oldest first, those of one moment by key."""
        return tuple(sorted(self._open.values(), key=lambda alert: (alert.since_ns, alert.key)))

    def subjects(self) -> tuple[str, ...]:
        """Products, and places with `@` before them, that something is open about."""
        return tuple(self._of)

    def is_open(self, alert: Alert) -> bool:
        """Whether one with this code, product, place and lot is open."""
        return alert.key in self._open

    def raise_(self, at_ns: int, alert: Alert) -> None:
        """Tells an alert that is not open; of an open one only the numbers are kept."""
        key = alert.key
        known = self._open.get(key)
        since_ns = at_ns if known is None else known.since_ns
        now = msgspec.structs.replace(alert, since_ns=since_ns)
        if now == known:
            return
        self._open[key] = now
        self._changed(f"alert:{key}")
        if known is None:
            self._of.setdefault(_subject(now), {})[key] = None
            self._told.append(Told(at_ns, now, over=False))

    def clear(
        self,
        at_ns: int,
        code: Code,
        gtin: str | None = None,
        location: str | None = None,
        lot: str | None = None,
    ) -> None:
        """Tells that an open alert is over; one that is not open is none."""
        self._clear(at_ns, Alert(code, gtin, location, lot).key)

    def _clear(self, at_ns: int, key: str) -> None:
        alert = self._open.pop(key, None)
        if alert is None:
            return
        keys = self._of[_subject(alert)]
        del keys[key]
        if not keys:
            del self._of[_subject(alert)]
        self._changed(f"alert:{key}")
        self._told.append(Told(at_ns, alert, over=True))

    def settle(
        self, at_ns: int, subject: str, wanted: Iterable[Alert], codes: frozenset[Code]
    ) -> None:
        """Of these codes a subject has the wanted alerts open, and no others."""
        by_key = {alert.key: alert for alert in wanted}
        for key in sorted(self._of.get(subject, ())):
            if key not in by_key and self._open[key].code in codes:
                self._clear(at_ns, key)
        for alert in by_key.values():
            self.raise_(at_ns, alert)

    def take(self) -> tuple[Told, ...]:
        """What was raised and cleared since the last call, in order."""
        told, self._told = tuple(self._told), []
        return told

    # --- state ----------------------------------------------------------------------------------

    def part(self, key: str) -> Alert | None:
        """The state behind a key of `changed`; None when it is over."""
        return self._open.get(key)

    def restore(self, bodies: Iterable[bytes]) -> None:
        """What was kept, in any order."""
        for body in bodies:
            alert = msgspec.json.decode(body, type=Alert)
            self._open[alert.key] = alert
            self._of.setdefault(_subject(alert), {})[alert.key] = None


def _subject(alert: Alert) -> str:
    return alert.gtin or f"@{alert.location}"
