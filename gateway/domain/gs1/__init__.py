"""Everything GS1 in a barcode: what the stock takes from a label, and the whole book beside it.

Here: `label`, the kind reader of the stock path, and its words. By the book, for those who ask:
`elements` (element strings), `rules` (which AIs go together), `link` (Digital Link) and `scan`
(symbols), over `ais` and `table` (every AI) and `lint` (tests of values).
"""

from gateway.domain.gs1.dates import expiry_date, year_of
from gateway.domain.gs1.label import ELEMENT_AIMS, LABEL_MAX, parse, read
from gateway.domain.gs1.upc import expand_upc_e, is_restricted
from gateway.domain.gs1.words import FAULTS, GS, Element, Fault, Item, NoItem

__all__ = [
    "ELEMENT_AIMS",
    "FAULTS",
    "GS",
    "LABEL_MAX",
    "Element",
    "Fault",
    "Item",
    "NoItem",
    "expand_upc_e",
    "expiry_date",
    "is_restricted",
    "parse",
    "read",
    "year_of",
]
