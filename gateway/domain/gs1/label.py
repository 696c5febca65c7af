"""What a scan means to a store: GTIN, lot, serial, expiry, quantity; or a reason why nothing.

Here: EAN/UPC/ITF digits, GS1 element strings and Digital Links, told apart by the AIM identifier
where the scanner sends one (ALGORITHMS 1.1; General Specifications 7). A label is not refused for
an AI the store does not use, nor for one that should stand beside it. Not here: the whole book
(`elements`, `rules`, `link`, `scan`), echoes, modes, the catalogue (`core.scans`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.domain.gs1 import ais
from gateway.domain.gs1.dates import is_yymmd0
from gateway.domain.gs1.upc import expand_upc_e, is_restricted
from gateway.domain.gs1.words import GS, Element, Fault, Item, NoItem
from gateway.domain.ids import CSET82, check_digit, gtin14, is_gs1_number
from gateway.domain.units import div_half_even

ELEMENT_AIMS: Final = frozenset(("]C1", "]d2", "]Q3", "]e0", "]e1", "]e2", "]J1"))
"""GS1-128, GS1 DataMatrix, GS1 QR, DataBar and composites, GS1 DotCode: element strings."""

LABEL_MAX: Final = 7089
"""No symbol holds more characters (QR, version 40, digits)."""

_USED: Final = frozenset(
    ("00", "01", "02", "10", "17", "21", "30", "37", *(f"310{n}" for n in range(10)))
)
"""AIs the stock is booked by; what the others say, or how, refuses no label."""
_COUNT: Final = re.compile(r"[0-9]{1,8}")
_NET_KG: Final = re.compile(r"[0-9]{6}")
_COMPOSITE: Final = "|]e0"


def parse(data: str, aim: str | None = None) -> Item | NoItem:
    """A scan's text to what it stands for. Never raises.

    With an AIM identifier the symbology is known and nothing is guessed. Without one, digits of
    GTIN length are a GTIN, anything longer must be a complete element string.

    >>> parse("9506000134352").gtin
    '09506000134352'
    >>> parse("010950600013435210L2406", "]C1").lot
    'L2406'
    >>> parse("9506000134353").reason
    'bad_check_digit'
    """
    if aim not in ELEMENT_AIMS and len(data) <= 14 and data.isascii() and data.isdigit():
        gtin = _plain(data, aim)
        return Item(gtin, restricted=is_restricted(gtin)) if isinstance(gtin, str) else gtin
    found = read(data, aim)
    return found if isinstance(found, NoItem) else _item(found)


def read(data: str, aim: str | None = None) -> tuple[Element, ...] | NoItem:
    """All that a label says, in its order; values are as printed. Never raises."""
    if len(data) > LABEL_MAX:
        return _no("too_long")
    if aim in ELEMENT_AIMS:
        return _elements(data)
    if data[:8].lower().startswith(("http://", "https://")):
        return _digital_link(data)
    if aim == "]E3":
        data = data[:13]  # two or five digits of an add-on follow, which name no goods
    primary, bar, composite = (
        data.partition(_COMPOSITE) if aim in ("]E0", "]E4") else (data, "", "")
    )
    if len(primary) <= 14 and primary.isascii() and primary.isdigit():
        gtin = _plain(primary, aim)
        beside = _elements(composite) if bar else ()
        if isinstance(gtin, NoItem):
            return gtin
        return beside if isinstance(beside, NoItem) else (Element("01", gtin), *beside)
    if aim is None and (len(data) > 14 or data.startswith(GS)):
        return _elements(data)
    return _no("not_gs1")


def _no(code: str, ai: str = "", value: str = "", rule: str = "") -> NoItem:
    return NoItem("unknown_format", Fault(code, ai, value, rule))


def _bad_check_digit(ai: str, digits: str) -> NoItem:
    right = str(check_digit(digits[:-1]))
    return NoItem("bad_check_digit", Fault("check_digit", ai, digits, right))


def _plain(digits: str, aim: str | None) -> str | NoItem:
    """The GTIN of an EAN, UPC or ITF symbol."""
    if aim == "]E0" and len(digits) == 12:
        digits = "0" + digits  # UPC-A sent without its leading zero
    if len(digits) not in (8, 12, 13, 14):
        return _no("gtin_length", value=str(len(digits)))
    gtin = gtin14(digits)
    if len(digits) == 8 and aim != "]E4" and (gtin is None or digits[0] == "0"):
        # Where both check digits fit, 0 begins a UPC-E: as a GTIN-8 it is no trade item (1.4.5).
        gtin = gtin14(expand_upc_e(digits) or "") or gtin
    return gtin or _bad_check_digit("01", digits)


def _elements(data: str) -> tuple[Element, ...] | NoItem:
    found = []
    place = 1 if data.startswith(GS) else 0
    size = len(data)
    while place < size:
        ai = ais.at(data, place)
        if ai is None:
            return _no("unknown_ai", value=data[place : place + 4])
        place += len(ai.ai)
        end = data.find(GS, place)
        end = size if end < 0 else end
        if not ai.separated:
            if end - place < ai.most:
                return _no("fixed_length", ai.ai, rule=str(ai.most))
            end = place + ai.most
        elif end == place:
            return _no("no_value", ai.ai)
        elif end - place > ai.most:
            return _no("value_length", ai.ai, str(end - place))
        found.append(Element(ai.ai, data[place:end]))
        place = end + 1 if data[end : end + 1] == GS else end
    return tuple(found)


def _digital_link(uri: str) -> tuple[Element, ...] | NoItem:
    from gateway.domain.gs1 import link  # few stores scan web addresses

    parts = link.split(uri, "&;")
    if isinstance(parts, Fault) and uri.endswith("/"):
        parts = link.split(uri[:-1], "&;")
    if isinstance(parts, Fault):
        return NoItem("unknown_format", parts)
    key = link.by_ai(parts.path[0].ai)
    if key not in ("00", "01"):
        return _no("other_key", key)
    found = []
    for pair in parts.path + parts.query:
        known = ais.find(link.by_ai(pair.ai))
        if known is None or not pair.value:
            continue
        value = pair.value
        if known.ai == "01":
            gtin = gtin14(value)
            if gtin is None and len(value) in (8, 12, 13, 14) and value.isdigit():
                return _bad_check_digit("01", value)
            value = gtin or value
        found.append(Element(known.ai, value))
    return tuple(found)


def _item(found: Sequence[Element]) -> Item | NoItem:
    value: dict[str, str] = {}
    for element in found:
        if element.ai in _USED and value.setdefault(element.ai, element.value) != element.value:
            return _no("repeated", element.ai)
    for ai, digits in (("00", 18), ("01", 14), ("02", 14)):
        number = value.get(ai)
        if number is None or (len(number) == digits and is_gs1_number(number)):
            continue
        if len(number) == digits and number.isascii() and number.isdigit():
            return _bad_check_digit(ai, number)
        return _no("linter", ai, number, "csetN")
    sscc, content = value.get("00"), value.get("02")
    gtin = value.get("01", content)
    if gtin is None:
        return _no("no_gtin") if sscc is None else _no("logistic_unit", "00", sscc)
    if content is not None and content != gtin:
        return _no("excluded", "01", "02")
    for ai in ("10", "21"):
        text = value.get(ai)
        if text is not None and CSET82.fullmatch(text) is None:
            return _no("linter", ai, text, "csetX")
    expiry = value.get("17")
    if expiry is not None and not is_yymmd0(expiry):
        return _no("linter", "17", expiry, "yymmd0")
    net = _net_kg_milli(value)
    if isinstance(net, NoItem):
        return net
    count = _count(value, content is not None and net is None)
    if isinstance(count, NoItem):
        return count
    lot, serial = value.get("10"), value.get("21")
    return Item(gtin, lot, serial, expiry, count, net, is_restricted(gtin), sscc)


def _count(value: Mapping[str, str], needed: bool) -> int | NoItem:
    """Units by AI 37 or AI 30; one where neither is there, unless a count is needed."""
    for ai in ("37", "30"):
        text = value.get(ai)
        if text is not None:
            good = _COUNT.fullmatch(text) is not None and int(text) > 0
            return int(text) if good else _no("linter", ai, text, "nonzero")
    return _no("no_count") if needed else 1


def _net_kg_milli(value: Mapping[str, str]) -> int | NoItem | None:
    """AI 310n in thousandths of a kilogram, rounded half to even (ALGORITHMS 1.4)."""
    for ai, text in value.items():
        if ai.startswith("310"):
            if ai[3] not in "012345" or _NET_KG.fullmatch(text) is None:
                return _no("linter", ai, text, "csetN")
            return div_half_even(int(text) * 1000, 10 ** int(ai[3]))
    return None
