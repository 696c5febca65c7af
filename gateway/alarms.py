"""What the core has for people, as events of the ops stream (WIRE section 7).

Here: notes and alerts of an outcome to `note`, `alarm` and `alarm_clear`, in words. Not here: what
is worth one (`core`), how it is kept and sent (`journal`, `uplink`).
"""

from __future__ import annotations

import logging

from gateway.alert_words import Names
from gateway.core.outcome import Outcome
from gateway.domain.alert import Told
from gateway.domain.messages import Alarm
from gateway.domain.store import Store
from gateway.journal.journal import OpsNote

log = logging.getLogger("stockd")


class Alarms:
    """The words of one store's ops stream."""

    def __init__(self, store: Store) -> None:
        self._names = Names(store)

    def of(self, outcome: Outcome) -> list[OpsNote]:
        """The operational events of an outcome; each is logged too."""
        notes = [
            OpsNote(note.at_ns, "note", Alarm(note.code, "warn", note.device, note.text))
            for note in outcome.notes
        ]
        notes += [self._alarm(told) for told in outcome.alerts]
        for note in notes:
            log.warning("%s: %s", note.kind, note.data.text)  # type: ignore[attr-defined]
        return notes

    def _alarm(self, told: Told) -> OpsNote:
        alert = told.alert
        members = {"gtin": alert.gtin, "loc": alert.location, "lot": alert.lot}
        alarm = Alarm(
            alert.code,
            alert.severity,
            None,
            self._names.sentence(alert, "en"),
            zh=self._names.sentence(alert, "zh-CN"),
            **{name: value for name, value in members.items() if value is not None},
        )
        return OpsNote(told.at_ns, "alarm_clear" if told.over else "alarm", alarm)
