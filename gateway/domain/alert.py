"""An alert: something about goods or sensors that people should see to, until it is over.

Here: the codes, how urgent each is, and the numbers behind one. Not here: when it is raised and
cleared (`core.watches`, `core.alerts`), what it says in words (`alert_words`).
"""

from __future__ import annotations

from typing import Final, Literal

from gateway.domain.reading import Word

Code = Literal[
    "low_stock",
    "empty_facing",
    "out_of_stock",
    "near_expiry",
    "expired",
    "expired_sold",
    "no_sale_30d",
    "book_shelf_disagree",
    "suspected_loss",
    "negative_basket",
    "sensor_disagrees",
]
Severity = Literal["warn", "page"]

PAGE: Final = ("expired_sold",)
"""Codes that somebody is to be called for; the others wait until somebody looks."""


class Alert(Word, frozen=True):
    """One alert. What each number means is said by its code in `alert_words.TEXT`."""

    code: Code
    gtin: str | None = None
    location: str | None = None
    lot: str | None = None
    qty_milli: int | None = None
    other_milli: int | None = None
    count: int | None = None
    value_minor: int | None = None
    """In the smallest coin; None where the catalogue has no price."""
    date: str | None = None
    """YYYY-MM-DD: the expiry, or the day it is about."""
    why: str = ""
    """Which of its kinds, for a code that has several."""
    since_ns: int = 0
    """When it was raised."""

    @property
    def key(self) -> str:
        """What there is one of at a time; the bar is in no lot and in no id."""
        return "|".join((self.code, self.gtin or "", self.location or "", self.lot or ""))

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        return "page" if self.code in PAGE else "warn"


class Told(Word, frozen=True):
    """An alert that was raised, or is over; for each key the two alternate."""

    at_ns: int
    alert: Alert
    over: bool
