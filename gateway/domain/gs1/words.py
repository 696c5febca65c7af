"""The words of this package: a label's elements, the item it stands for, and why not.

Here: frozen values and the English sentence of each fault. Not here: how text becomes them
(`label` for the stock, `elements`, `link` and `scan` by the book).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.domain.reading import Word

GS: Final = "\x1d"

Reason = Literal["bad_check_digit", "unknown_format"]

FAULTS: Final[Mapping[str, str]] = {
    "too_long": "longer than any symbol holds",
    "not_gs1": "neither a GTIN, an element string nor a Digital Link",
    "gtin_length": "{value} digits are no GTIN",
    "check_digit": "{value} ends in a wrong check digit, should be {rule}",
    "no_gtin": "no GTIN (AI 01 or 02)",
    "logistic_unit": "a logistic unit (SSCC {value}); its label does not say what is in it",
    "no_count": "contents without a count (AI 02 without AI 37)",
    "other_key": "a Digital Link of AI {ai}, which is no trade item",
    "no_fnc1": "does not begin with FNC1",
    "empty": "nothing behind FNC1",
    "caret": "the character ^, which no GS1 character set has",
    "unknown_ai": "no application identifier at {value!r}",
    "no_value": "AI {ai} has no value",
    "value_length": "AI {ai}: {value} characters, separator lost?",
    "fixed_length": "AI {ai} needs {rule} characters",
    "too_short": "AI {ai}: {value!r} is too short",
    "unseparated": "AI {ai}: more follows its value without a separator",
    "linter": "AI {ai}: {value!r} fails the test {rule}",
    "repeated": "AI {ai} twice with different values",
    "excluded": "AI {ai} and AI {value} exclude each other",
    "missing": "AI {ai} needs {value} beside it",
    "unserialised": "a digital signature needs AI {ai} with its serial part",
    "brackets": "not of the form (AI)value(AI)value",
    "uri": "no web address of the permitted characters",
    "no_key": "a web address without a GS1 key (GS1 Digital Link)",
    "bad_path": "AI {ai} is not allowed at its place in the path",
    "duplicate": "AI {ai} stands twice in the web address",
    "no_attribute": "AI {ai} is no data attribute of a Digital Link",
    "in_path": "AI {ai} belongs in the path, not behind the question mark",
    "symbology": "the symbology identifier {value!r} is not of GS1",
    "message": "not what the symbology {value} carries",
}
"""What can be wrong, in English; other languages keep the same keys."""


class Fault(Word, frozen=True):
    """What is wrong with a label: a key of `FAULTS` and what it is about."""

    code: str
    ai: str = ""
    value: str = ""
    rule: str = ""

    @property
    def text(self) -> str:
        """The sentence in English."""
        return self.say(FAULTS[self.code])

    def say(self, sentence: str) -> str:
        """This fault in the words of `sentence`, in whatever language."""
        return sentence.format(ai=self.ai, value=self.value, rule=self.rule)


class Element(Word, frozen=True):
    """An application identifier and its value, without FNC1."""

    ai: str
    value: str


class Item(Word, frozen=True):
    """What one scan stands for."""

    gtin: str
    lot: str | None = None
    serial: str | None = None
    expiry_yymmdd: str | None = None
    """As printed; `expiry_date` finds the century."""
    count: int = 1
    """Units of the GTIN (AI 30 or 37)."""
    net_kg_milli: int | None = None
    """Net mass in thousandths of a kilogram (AI 310n)."""
    restricted: bool = False
    """A number of restricted circulation: an item only where this store's catalogue says so."""
    sscc: str | None = None
    """The logistic unit (AI 00) that holds it: one pallet is received once."""


class NoItem(Word, frozen=True):
    """Why a scan stands for nothing."""

    reason: Reason
    fault: Fault

    @property
    def detail(self) -> str:
        """The sentence in English."""
        return self.fault.text
