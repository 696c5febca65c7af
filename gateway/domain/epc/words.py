"""What a tag's EPC memory says: an SGTIN, another GS1 identity, or why it is none.

Here: the frozen answers and how each is written: pure identity URI, tag URI (TDS 2.3 sections 6
and 12), element string and Digital Link (General Specifications 7.8, Digital Link 1.2). Not here:
bits (`fixed`, `plus`). A tag of a "+" scheme does not say where its company prefix ends, so it has
no URN; a tag of another scheme has no host.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from gateway.domain.reading import Word

REASONS: Final = (
    "hex",  # no hexadecimal digits, or far more than a tag holds
    "unprogrammed",  # EPC memory as it left the factory: zeros
    "tid",  # E0, E2: a copy of the chip's own number, the mark of a tag nobody encoded
    "iso",  # numbering system of ISO/IEC 15961, by the toggle bit of the PC word
    "legacy",  # a 64-bit scheme, withdrawn
    "reserved",  # a header that means nothing yet
    "length",  # more or fewer bits than the scheme has
    "padding",  # bits that must be zero and are not
    "partition",  # 7: no length of company prefix
    "range",  # a number that its digits cannot hold
    "characters",  # a character that the scheme does not allow, or none at all
    "encoding",  # no such method, or not encoded as the method says
    "check_digit",  # a GS1 key whose check digit is wrong
    "date",  # no day of the calendar, or no such kind of date
)
"""Reasons of `NotGs1`, in the order in which they are looked for."""

GS1_HOST: Final = "https://id.gs1.org"

# What a URN may carry as it is (TDS 2.3 table 7.3): all else of character set 82 is escaped
_URN_SAFE: Final = "!'()*+,-.:;=_"


class NotGs1(Word, frozen=True):
    """A tag that names nothing in the system of GS1. Reported as such, never guessed."""

    reason: str
    """One of `REASONS`."""
    detail: str


Element = tuple[str, str]
"""An application identifier and its value."""


class _More(Word, frozen=True, kw_only=True):
    """What only a tag of TDS 2 may carry beside its identity."""

    hostname: str | None = None
    """Of a "++" scheme: who answers for the item on the web."""
    aidc: bool = False
    """More AIDC data (lot, expiry, …) follows on the tag; it is not read here."""


class _Identity(_More, frozen=True):
    """What every identity has, and the ways to write it."""

    scheme: str
    """As in a tag URI, `sgtin-96`; `sgtin+` and `sgtin++` for the schemes without one."""
    filter: int | None
    """Filter value; None in the schemes that have none."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The fields of the URIs, not escaped; empty when there is no URI."""
        raise NotImplementedError

    @property
    def elements(self) -> tuple[Element, ...]:
        """As application identifiers; empty for what GS1 has none for (GID, DoD, ADI)."""
        raise NotImplementedError

    @property
    def pure_identity(self) -> str | None:
        """`urn:epc:id:…` (TDS 6), None for a "+" scheme."""
        return self._uri("id", self.scheme.partition("-")[0], "")

    @property
    def tag_uri(self) -> str | None:
        """`urn:epc:tag:…` (TDS 12), None for a "+" scheme."""
        return self._uri("tag", self.scheme, "" if self.filter is None else f"{self.filter}.")

    def _uri(self, kind: str, name: str, head: str) -> str | None:
        if not self.parts:
            return None
        tail = ".".join(quote(part, safe=_URN_SAFE) for part in self.parts)
        return f"urn:epc:{kind}:{name}:{head}{tail}"

    @property
    def element_string(self) -> str | None:
        """As printed under a barcode: `(01)…(21)…`."""
        return "".join(f"({ai}){value}" for ai, value in self.elements) or None

    @property
    def digital_link(self) -> str | None:
        """GS1 Digital Link, on the tag's own host or on that of GS1; the date is an attribute."""
        if not self.elements:
            return None
        host = GS1_HOST if self.hostname is None else f"https://{self.hostname}"
        path = "".join(f"/{ai}/{quote(v, safe='')}" for ai, v in self.elements if ai not in DATES)
        query = "&".join(f"{ai}={value}" for ai, value in self.elements if ai in DATES)
        return f"{host}{path}?{query}" if query else host + path


DATES: Final = ("11", "13", "15", "16", "17", "7006", "7007")
"""The date of a DSGTIN by its type: production, packaging, best before, sell by, expiry, first
freeze, harvest (TDS 2.3 table 14-7)."""


class Sgtin(_Identity, frozen=True):
    """A trade item with a serial number: what a shelf is full of."""

    gtin: str
    """14 digits, check digit right."""
    serial: str
    prefix_digits: int = 0
    """Length of the company prefix; 0 where the tag does not say."""
    date: Element | None = None
    """Of a DSGTIN: AI and YYMMDD."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Company prefix, indicator and item reference, serial."""
        cut = 1 + self.prefix_digits
        if cut == 1:
            return ()
        return self.gtin[1:cut], self.gtin[0] + self.gtin[cut:13], self.serial

    @property
    def elements(self) -> tuple[Element, ...]:
        """GTIN, serial, date."""
        found = (("01", self.gtin), ("21", self.serial))
        return found if self.date is None else (*found, self.date)


class EpcIdentity(_Identity, frozen=True):
    """Any other identity: a pallet, a place, a crate, an asset, a person, a document, …"""

    said: tuple[str, ...]
    keys: tuple[Element, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """See `said`."""
        return self.said

    @property
    def elements(self) -> tuple[Element, ...]:
        """See `keys`."""
        return self.keys
