"""What a scanner sends for a GS1 symbol, by the book: `]d2` and the message, and back.

Here: AIM symbology identifiers of GS1 symbols, EAN/UPC digits, composite symbols, FNC1 as U+001D on
the wire. Not here: other symbols, which `label` reads as far as a store can use them.
Source: General Specifications 5.1.2 (symbology identifiers); GS1 Barcode Syntax Engine, whose
`|` stands between a linear symbol and its composite component.

    ]E0  EAN-13 UPC-A UPC-E   ]C1  GS1-128      ]d1 ]d2  Data Matrix plain, GS1   ]J0 ]J1  DotCode
    ]E4  EAN-8                ]e0  DataBar, composites        ]Q1 ]Q3  QR plain, GS1
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from gateway.domain.gs1 import ais, elements, link, rules
from gateway.domain.gs1.upc import expand_upc_e
from gateway.domain.gs1.words import GS, Element, Fault
from gateway.domain.ids import check_digit, is_gs1_number
from gateway.domain.reading import Word

Symbology = Literal[
    "DataBarOmni", "DataBarTruncated", "DataBarStacked", "DataBarStackedOmni", "DataBarLimited",
    "DataBarExpanded", "UPCA", "UPCE", "EAN13", "EAN8", "GS1_128_CCA", "GS1_128_CCC", "QR", "DM",
    "DotCode",
]  # fmt: skip
SYMBOLOGIES: Final[tuple[Symbology, ...]] = get_args(Symbology)

_EAN: Final[dict[str, tuple[Symbology, int]]] = {"]E0": ("EAN13", 13), "]E4": ("EAN8", 8)}
_GS1: Final[dict[str, Symbology]] = {
    "]C1": "GS1_128_CCA", "]e0": "DataBarExpanded", "]d2": "DM", "]Q3": "QR", "]J1": "DotCode",
}  # fmt: skip
_PLAIN: Final[dict[str, Symbology]] = {"]d1": "DM", "]Q1": "QR", "]J0": "DotCode"}
_MATRIX: Final = {"DM": ("]d1", "]d2"), "QR": ("]Q1", "]Q3"), "DotCode": ("]J0", "]J1")}
_DIGITS: Final = {"EAN13": 13, "UPCA": 12, "UPCE": 12, "EAN8": 8}

_COMPOSITE: Final = "|"
_ESCAPED: Final = re.compile(r"\\*\^")
"""Plain data that would look like a message: one backslash more tells it apart."""


class Message(Word, frozen=True):
    """What one scan of a GS1 symbol carries."""

    symbology: Symbology
    """One that can carry it; the identifier does not tell all apart."""
    data: str
    """The message with FNC1 written ^; a composite component behind |."""
    elements: tuple[Element, ...] = ()
    """What it says, where it is of GS1; EAN/UPC digits are the number itself."""


def read(scan: str) -> Message | Fault:
    """A scan with its symbology identifier, by the book, or what is wrong. Never raises.

    >>> read("]d2010950600013435210L2406").data
    '^010950600013435210L2406'
    """
    aim, data = scan[:3], scan[3:]
    if aim in _EAN:
        return _read_ean(*_EAN[aim], data)
    if aim in _GS1:
        found = _message(data)
        if isinstance(found, Fault):
            return found
        return Message(_GS1[aim], elements.FNC1 + data.replace(GS, elements.FNC1), found)
    if aim not in _PLAIN:
        return Fault("symbology", value=aim)
    if data.startswith(link.SCHEMES):
        found_link = link.read(data)
        if isinstance(found_link, Fault):
            return found_link
        fault = rules.check(found_link.elements)
        return fault or Message(_PLAIN[aim], data, found_link.elements)
    return Message(_PLAIN[aim], "\\" + data if _ESCAPED.match(data) else data)


def _read_ean(symbology: Symbology, length: int, data: str) -> Message | Fault:
    primary, rest = data[:length], data[length:]
    if len(primary) != length or not is_gs1_number(primary):
        return Fault("message", value=symbology)
    if not rest:
        return Message(symbology, primary)
    if not rest.startswith("|]e0"):
        return Fault("message", value=symbology)
    body = rest.removeprefix("|]e0")
    found = _message(body, Element("01", primary.zfill(14)))
    if isinstance(found, Fault):
        return found
    fnc1 = elements.FNC1
    return Message(symbology, f"{primary}|{fnc1}{body.replace(GS, fnc1)}", found[1:])


def _message(data: str, *beside: Element) -> tuple[Element, ...] | Fault:
    """The elements of wire data; the rules hold for them and what stands beside."""
    if elements.FNC1 in data:
        return Fault("caret")
    found = elements.read_raw(elements.FNC1 + data.replace(GS, elements.FNC1))
    if isinstance(found, Fault):
        return found
    return rules.check((*beside, *found)) or (*beside, *found)


def write(symbology: Symbology, data: str) -> str | Fault:
    """What a scanner sends for this data in this symbol, or why it cannot be. Never raises.

    `data` is as in `Message`; EAN/UPC and DataBar may come without their check digit, or as an
    element string of AI 01. Anything without FNC1 in front is plain text to a matrix symbol.

    >>> write("EAN13", "950600013435")
    ']E09506000134352'
    """
    if symbology not in SYMBOLOGIES:
        return Fault("symbology", value=symbology)
    if symbology in _MATRIX:
        plain, gs1 = _MATRIX[symbology]
        if not data.startswith(elements.FNC1):
            return plain + (data[1:] if _ESCAPED.match(data) else data)
        wire = _wire(data)
        return wire if isinstance(wire, Fault) else gs1 + wire
    primary, bar, composite = data.partition(_COMPOSITE)
    beside = _wire(composite) if bar else ""
    if isinstance(beside, Fault):
        return beside
    if symbology in _DIGITS:
        digits = _number(primary, symbology)
        if digits is None:
            return Fault("message", value=symbology)
        head = f"]E4{digits}" if symbology == "EAN8" else f"]E0{digits.zfill(13)}"
        return head + ("|]e0" + beside if bar else "")
    if symbology in ("DataBarExpanded", "GS1_128_CCA", "GS1_128_CCC"):
        wire = _wire(primary)
        if isinstance(wire, Fault):
            return wire
        if not bar:
            return f"{']e0' if symbology == 'DataBarExpanded' else ']C1'}{wire}"
        apart = not wire.endswith(GS) and (symbology != "DataBarExpanded" or _open(primary))
        return f"]e0{wire}{GS if apart else ''}{beside}"
    gtin = _number(primary, symbology)
    if gtin is None or (symbology == "DataBarLimited" and gtin[0] not in "01"):
        return Fault("message", value=symbology)
    return f"]e001{gtin}{beside}"


def _wire(message: str) -> str | Fault:
    """A raw message as it is sent: without the leading FNC1, the others as U+001D."""
    found = elements.read_raw(message)
    return found if isinstance(found, Fault) else message[1:].replace(elements.FNC1, GS)


def _open(message: str) -> bool:
    """Whether the last value of a message needs FNC1 before another AI."""
    found = elements.read_raw(message)
    last = None if isinstance(found, Fault) else ais.find(found[-1].ai)
    return last is not None and last.separated


def _number(primary: str, symbology: Symbology) -> str | None:
    """The digits of a symbol of fixed length, its check digit made if it lacks one."""
    length = _DIGITS.get(symbology, 14)
    if primary.startswith("^01") and len(primary) == 17:
        zeros, primary = primary[3 : 17 - length], primary[17 - length :]
        if zeros.strip("0"):
            return None
    if not (primary.isascii() and primary.isdigit()):
        return None
    if len(primary) == length - 1:
        primary += str(check_digit(primary))
    if len(primary) != length or not is_gs1_number(primary):
        return None
    return primary if symbology != "UPCE" or _fits_upc_e(primary) else None


def _fits_upc_e(upc_a: str) -> bool:
    """Whether the zeros of a UPC-A number can be left out (General Specifications 5.2.2.4.2)."""
    system, maker, item, check = upc_a[0], upc_a[1:6], upc_a[6:11], upc_a[11]
    short = (
        maker[:2] + item[2:] + maker[2],
        maker[:3] + item[3:] + "3",
        maker[:4] + item[4] + "4",
        maker + item[4],
    )
    return any(expand_upc_e(system + body + check) == upc_a for body in short)
