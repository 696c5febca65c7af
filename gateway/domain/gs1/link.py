"""GS1 Digital Link URIs: web addresses that carry a primary key, its qualifiers and attributes.

    https://example.com/stem/01/09506000134352/10/ABC/21/123?17=260930&linkType=x#part
                             key + qualifiers, in order      attributes; other words ignored

Here: reading and writing by the book, and the pieces that `label` reads more kindly. Not here:
resolving an address; compressed links, which the standard gave up.
Source: GS1 Digital Link Standard: URI Syntax, 4.3 to 4.11; GS1 Barcode Syntax Engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from urllib.parse import quote, unquote

from gateway.domain.gs1 import ais, elements
from gateway.domain.gs1.words import Element, Fault
from gateway.domain.reading import Word

CANONICAL_STEM: Final = "https://id.gs1.org"

_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_SPLIT: Final = re.compile(r"https?://([^/?#]+)(/[^?#]*)(?:\?([^#]*))?(?:#.*)?", re.I | re.S)
SCHEMES: Final = ("https://", "HTTPS://", "http://", "HTTP://")
_HOST: Final = re.compile(r"[A-Za-z0-9\-.:]+")

_NAMES: Final = {
    "gtin": "01", "itip": "8006", "gmn": "8013", "cpid": "8010", "gln": "414", "payTo": "415",
    "partyGln": "417", "gsrnp": "8017", "gsrn": "8018", "gcn": "255", "sscc": "00",
    "gdti": "253", "ginc": "401", "gsin": "402", "grai": "8003", "giai": "8004",
    "cpv": "22", "lot": "10", "ser": "21", "tpx": "235", "glnx": "254", "refno": "8020",
    "srin": "8019", "cpsn": "8011", "exp": "17",
}  # fmt: skip
"""Words that early versions of the standard allowed for AIs; now withdrawn."""


class Parts(Word, frozen=True):
    """A web address taken apart: the last key in its path and all pairs from there on."""

    host: str
    path: tuple[Element, ...]
    query: tuple[Element, ...]
    named: bool
    """It uses the withdrawn words for AIs."""


class Link(Word, frozen=True):
    """What a Digital Link says."""

    path: tuple[Element, ...]
    """The primary key and its qualifiers."""
    attributes: tuple[Element, ...]

    @property
    def elements(self) -> tuple[Element, ...]:
        """All of it, in its order."""
        return self.path + self.attributes


def read(uri: str, *, old: bool = False, unknown: bool = False) -> Link | Fault:
    """A Digital Link by the book, or the first thing wrong with it. Never raises.

    With `old`, a GTIN may lack its leading zeros and words may stand for AIs, as early versions of
    the standard had it; with `unknown`, AIs that the dictionary lacks may be attributes.

    >>> [e.ai for e in read("https://id.gs1.org/01/09506000134352/10/ABC?17=260930").elements]
    ['01', '10', '17']
    """
    if _URI.fullmatch(uri) is None or not uri.startswith(SCHEMES):
        return Fault("uri")
    parts = split(uri)
    if isinstance(parts, Fault):
        return parts
    if _HOST.fullmatch(parts.host) is None:
        return Fault("uri")
    if parts.named and not old:
        return Fault("no_key")
    found = []
    for pair in parts.path + tuple(pair for pair in parts.query if pair.ai.isdigit()):
        ai = ais.assumed(pair.ai)
        if ai is None or not (ai.known or unknown):
            return Fault("unknown_ai", value=pair.ai[:4])
        short = old and ai.ai == "01" and len(pair.value) in (8, 12, 13)
        value = pair.value.zfill(14) if short else pair.value
        fault = elements.check_length(ai, value)
        if fault is not None:
            return fault
        found.append(Element(ai.ai, value))
    path, attributes = tuple(found[: len(parts.path)]), tuple(found[len(parts.path) :])
    return _misplaced(path, attributes) or elements.first_fault(found) or Link(path, attributes)


def split(uri: str, separators: str = "&") -> Parts | Fault:
    """The pairs of a web address from its last primary key on, decoded and otherwise unchecked.

    Pairs behind the question mark keep any name; those without a value are left out. Early versions
    of the standard had `;` as a second separator there.
    """
    match = _SPLIT.fullmatch(uri)
    if match is None:
        return Fault("no_key")
    segments = match[2].split("/")[1:]
    start = len(segments) - 2
    while start >= 0 and not _is_key(by_ai(segments[start])):
        start -= 2
    if start < 0:
        return Fault("no_key")
    names, values = segments[start::2], segments[start + 1 :: 2]
    path = [Element(by_ai(n), _decoded(value)) for n, value in zip(names, values, strict=True)]
    query = []
    for pair in re.split(f"[{separators}]", match[3] or ""):
        name, equals, value = pair.partition("=")
        if equals:
            query.append(Element(name, _decoded(value.replace("+", " "))))
    named = any(name in _NAMES for name in names)
    return Parts(match[1], tuple(path), tuple(query), named)


def by_ai(name: str) -> str:
    """The AI that a word stands for; any other name is returned as it is."""
    return _NAMES.get(name, name)


def write(found: Sequence[Element], stem: str | None = None) -> str | Fault:
    """The Digital Link of these elements: the first primary key among them, its qualifiers, the
    rest behind the question mark. The stem is GS1's own unless given. Never raises.
    """
    key = next((element.ai for element in found if _is_key(element.ai)), None)
    if key is None:
        return Fault("no_key")
    value = {element.ai: element.value for element in reversed(found)}
    choices = [tuple(ai for ai in one if ai in value) for one in _sequences(key)]
    inside = (key, *max(choices, key=len))
    rest = [ai for ai in dict.fromkeys(element.ai for element in found) if ai not in inside]
    for ai in rest:
        known = ais.find(ai)
        if known is not None and not known.attribute:
            return Fault("no_attribute", ai)
    rest.sort(key=_is_separated)  # predefined lengths first, as in an element string
    path = "".join(f"/{ai}/{quote(value[ai], safe='')}" for ai in inside)
    query = "&".join(f"{ai}={quote(value[ai], safe='')}" for ai in rest)
    return f"{(stem or CANONICAL_STEM).rstrip('/')}{path}{'?' if query else ''}{query}"


def _sequences(key: str) -> tuple[tuple[str, ...], ...]:
    """The qualifier sequences of a primary key; none of anything else."""
    ai = ais.find(key)
    return ai.qualifiers if ai is not None else ()


def _is_key(ai: str) -> bool:
    return _sequences(ai) != ()


def _is_separated(ai: str) -> bool:
    known = ais.assumed(ai)
    return known is None or known.separated


def _decoded(text: str) -> str:
    return unquote(text, encoding="latin-1")


def _fits(path: Sequence[str]) -> bool:
    """Whether these AIs are a primary key and its qualifiers in their order."""
    for sequence in _sequences(path[0]):
        places = [sequence.index(ai) if ai in sequence else -1 for ai in path[1:]]
        if -1 not in places and all(a < b for a, b in pairwise(places)):
            return True
    return False


def _misplaced(path: Sequence[Element], attributes: Sequence[Element]) -> Fault | None:
    """The first AI that stands where, or as often as, it must not."""
    inside = [element.ai for element in path]
    if not _fits(inside):
        return Fault("bad_path", inside[-1])
    for number, element in enumerate(attributes):
        ai = ais.find(element.ai)
        if ai is not None and not ai.attribute:
            return Fault("no_attribute", element.ai)
        if element.ai in inside or element.ai in (e.ai for e in attributes[:number]):
            return Fault("duplicate", element.ai)
        for place in range(1, len(inside) + 1):
            if _fits([*inside[:place], element.ai, *inside[place:]]):
                return Fault("in_path", element.ai)
    return None
