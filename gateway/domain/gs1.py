"""What a barcode says: GTIN, lot, serial, expiry, quantity; or a reason why it says nothing.

Here: EAN/UPC digits, GS1 element strings, Digital Link URIs, told apart by the AIM identifier where
the scanner sends one (ALGORITHMS 1.1, GS1 General Specifications 7). Not here: echoes, modes, the
catalogue (`core.scans`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from gateway.domain.ids import CSET82, check_digit, gtin14, is_gs1_number
from gateway.domain.reading import Word
from gateway.domain.units import div_half_even

GS: Final = "\x1d"

ELEMENT_AIMS: Final = frozenset(("]C1", "]d2", "]Q3", "]e0", "]e1", "]e2", "]J1"))
"""GS1-128, GS1 DataMatrix, GS1 QR, DataBar and composites, GS1 DotCode: element strings."""

_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


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


class NoItem(Word, frozen=True):
    """Why a scan stands for nothing: `bad_check_digit` or `unknown_format`, and the detail."""

    reason: str
    detail: str


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
    if aim in ELEMENT_AIMS:
        return _elements(data)
    if data[:8].lower().startswith(("http://", "https://")):
        return _digital_link(data)
    if data.isascii() and data.isdigit() and len(data) <= 14:
        return _plain(data, aim)
    if aim is None and len(data) > 14:
        return _elements(data)
    return NoItem("unknown_format", "neither a GTIN, an element string nor a Digital Link")


def _plain(digits: str, aim: str | None) -> Item | NoItem:
    if aim == "]E0" and len(digits) == 12:
        digits = "0" + digits  # UPC-A sent without its leading zero
    if len(digits) not in (8, 12, 13, 14):
        return NoItem("unknown_format", f"{len(digits)} digits are no GTIN")
    gtin = gtin14(digits)
    if len(digits) == 8 and aim != "]E4" and (gtin is None or digits[0] == "0"):
        # Where both check digits fit, 0 begins a UPC-E: as a GTIN-8 it is no trade item (1.4.5).
        gtin = gtin14(expand_upc_e(digits) or "") or gtin
    if gtin is None:
        right = check_digit(digits[:-1])
        return NoItem("bad_check_digit", f"{digits} ends in {digits[-1]}, should be {right}")
    return Item(gtin, restricted=is_restricted(gtin))


def is_restricted(gtin: str) -> bool:
    """Whether the number is of restricted circulation (General Specifications 1.4.5, 2.1.11).

    GTIN-13 prefixes 02, 04, 20-29 and GTIN-8 prefixes 0 and 2. Prefixes 40-49 are not among them:
    they are Germany and Japan.
    """
    if gtin.startswith("000000"):
        return gtin[6] in "02"
    return gtin[0] == "0" and (gtin[1:3] in ("02", "04") or gtin[1] == "2")


def expand_upc_e(digits: str) -> str | None:
    """The UPC-A number of eight UPC-E digits (General Specifications 5.2.2.4.2); None if none.

    >>> expand_upc_e("01234565")
    '012345000065'
    """
    if len(digits) != 8 or digits[0] not in "01" or not digits.isdigit():
        return None
    system, body, check = digits[0], digits[1:7], digits[7]
    last = body[5]
    if last in "012":
        middle = body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        middle = body[:3] + "00000" + body[3:5]
    elif last == "4":
        middle = body[:4] + "00000" + body[4]
    else:
        middle = body[:5] + "0000" + last
    full = system + middle + check
    return full if is_gs1_number(full) else None


# --- element strings --------------------------------------------------------------------------

_FIXED: Final = {
    "00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "11": 6, "12": 6, "13": 6, "14": 6,
    "15": 6, "16": 6, "17": 6, "18": 6, "19": 6, "20": 2,
    "31": 6, "32": 6, "33": 6, "34": 6, "35": 6, "36": 6, "41": 13,
}  # fmt: skip
"""Predefined lengths of the data by the first two digits of the AI (figure 7.8.5-2): no FNC1."""

_AI_DIGITS: Final = {
    **dict.fromkeys(("00", "01", "02", "03", "10", "11", "12", "13", "15", "16", "17"), 2),
    **dict.fromkeys(("20", "21", "22", "30", "37"), 2),
    **{str(n): 2 for n in range(90, 100)},
    **dict.fromkeys(("23", "24", "25", "40", "41", "42", "71"), 3),
    **dict.fromkeys(("31", "32", "33", "34", "35", "36", "39"), 4),
    **dict.fromkeys(("43", "70", "72", "80", "81", "82"), 4),
}  # fmt: skip
_VARIABLE_MAX: Final = {"10": 20, "21": 20, "22": 20, "30": 8, "37": 8}


def _elements(data: str) -> Item | NoItem:
    found: dict[str, str] = {}
    rest = data.removeprefix(GS)
    while rest:
        digits = _AI_DIGITS.get(rest[:2])
        ai = rest[:digits] if digits else ""
        if not ai or len(ai) != digits or not (ai.isascii() and ai.isdigit()):
            return NoItem("unknown_format", f"no application identifier at {rest[:4]!r}")
        rest = rest[len(ai) :]
        fixed = _FIXED.get(ai[:2])
        if fixed is not None:
            value, rest = rest[:fixed], rest[fixed:].removeprefix(GS)
            if len(value) != fixed or GS in value:
                return NoItem("unknown_format", f"AI {ai} needs {fixed} characters")
        else:
            value, _, rest = rest.partition(GS)
            if not 0 < len(value) <= _VARIABLE_MAX.get(ai, 90):
                return NoItem(
                    "unknown_format", f"AI {ai}: {len(value)} characters, separator lost?"
                )
        if found.setdefault(ai, value) != value:
            return NoItem("unknown_format", f"AI {ai} twice with different values")
    return _item(found)


def _item(found: dict[str, str]) -> Item | NoItem:
    raw = found.get("01") or found.get("02")
    if raw is None:
        return NoItem("unknown_format", "no GTIN (AI 01 or 02)")
    if not (raw.isascii() and raw.isdigit()):
        return NoItem("unknown_format", "the GTIN has other characters than digits")
    if not is_gs1_number(raw):
        return NoItem("bad_check_digit", f"{raw} should end in {check_digit(raw[:-1])}")
    for ai in ("10", "21"):
        if ai in found and not CSET82.fullmatch(found[ai]):
            return NoItem("unknown_format", f"AI {ai} has characters outside set 82")
    expiry = found.get("17")
    if expiry is not None and _month_day(expiry) is None:
        return NoItem("unknown_format", f"AI 17: {expiry} is no date")
    count = found.get("37") or found.get("30") or "1"
    if not (count.isascii() and count.isdigit()) or int(count) == 0:
        return NoItem("unknown_format", f"a count of {count!r}")
    net = next((ai for ai in found if ai.startswith("310")), None)
    net_kg_milli = None
    if net is not None:
        if not (net[3] in "012345" and found[net].isascii() and found[net].isdigit()):
            return NoItem("unknown_format", f"AI {net}: {found[net]} is no mass")
        net_kg_milli = div_half_even(int(found[net]) * 1000, 10 ** int(net[3]))
    return Item(
        raw,
        found.get("10"),
        found.get("21"),
        expiry,
        int(count),
        net_kg_milli,
        restricted=is_restricted(raw),
    )


_LINK: Final = re.compile(r"https?://[^/?#]+(?:/[^?#]*?)??/(?:01|gtin)/(\d{8,14})((?:/[^/?#]+){0,8})/?(?:\?([^#]*))?(?:#.*)?", re.I)  # fmt: skip  # noqa: E501
_LINK_NAMES: Final = {"lot": "10", "ser": "21", "exp": "17"}


def _digital_link(uri: str) -> Item | NoItem:
    match = _LINK.fullmatch(uri)
    if match is None:
        return NoItem("unknown_format", "a web address without a GTIN (GS1 Digital Link)")
    gtin = gtin14(match[1])
    if gtin is None:
        return NoItem("bad_check_digit", f"{match[1]} in the web address is no GTIN")
    found = {"01": gtin}
    path = match[2].split("/")[1:]
    pairs = list(zip(path[::2], path[1::2], strict=False))
    query = match[3] or ""
    pairs += [(k, v) for k, _, v in (part.partition("=") for part in re.split("[&;]", query)) if v]
    for key, value in pairs:
        ai = _LINK_NAMES.get(key, key)
        if ai in ("10", "17", "21", "30", "37") or ai.startswith("310"):
            found.setdefault(ai, unquote(value))
    return _item(found)


def _month_day(yymmdd: str) -> tuple[int, int] | None:
    if not (len(yymmdd) == 6 and yymmdd.isascii() and yymmdd.isdigit()):
        return None
    year, month, day = int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])
    if not 1 <= month <= 12:
        return None
    last = 29 if month == 2 and year % 4 == 0 else _MONTH_DAYS[month - 1]
    return (month, day) if day <= last else None


def expiry_date(yymmdd: str, year: int) -> str | None:
    """A YYMMDD as YYYY-MM-DD, seen from `year` (General Specifications 7.12); None if no date.

    The century is the one that puts it within 49 years back and 50 ahead. Day 00 is the last of
    its month.

    >>> expiry_date("260930", 2026), expiry_date("270200", 2026), expiry_date("991301", 2026)
    ('2026-09-30', '2027-02-28', None)
    """
    month_day = _month_day(yymmdd)
    if month_day is None:
        return None
    month, day = month_day
    full = year - year % 100 + int(yymmdd[:2])
    if full - year >= 51:
        full -= 100
    elif full - year <= -50:
        full += 100
    leap = full % 4 == 0 and (full % 100 != 0 or full % 400 == 0)
    last = 29 if month == 2 and leap else _MONTH_DAYS[month - 1]
    day = day or last
    return f"{full:04d}-{month:02d}-{day:02d}" if day <= last else None


def year_of(at_ns: int) -> int:
    """The UTC calendar year of a time, by integer arithmetic (no clock, no time zone).

    >>> year_of(0), year_of(1_780_300_800_000_000_000)
    (1970, 2026)
    """
    days = at_ns // 86_400_000_000_000 + 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return year + era * 400 + (1 if (5 * of_year + 2) // 153 >= 10 else 0)
