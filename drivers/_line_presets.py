r"""The lines that makers of scales send, as patterns: what is the number, what says it is at rest.

Here: data alone, one `Layout` per maker, each with its source. Not here: what a matched part means
and how a line is cut (`scale_line`).

Named parts of a pattern: `mass`, `unit`, `stable`, `motion`, `over`, `under`, `zero`, `error`,
`channel`, and `skip` for a line that is understood and says nothing of what lies on the plate.
Spaces and control characters around a line are gone before it is matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Plates = Literal["one", "named", "columns"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a maker's lines look."""

    source: str
    pattern: str
    # one: a line is a plate. named: plates say their channel, one or several in a line.
    # columns: a line is all plates, in the order of their channels
    plates: Plates = "one"


_NUMBER: Final = r"(?P<mass>[+-]? *[\d.,]*[\d.](?:\[\d+\])?)"
_UNIT: Final = r"(?P<unit>[A-Za-z%:]+)"
_UNIT_OR_NONE: Final = r"(?P<unit>[A-Za-z%:]*)"
# the bits of the CAS lamp byte: 7 always, 6 stable, 4 hold, 3 printer, 2 gross, 1 tare, 0 zero
_ZERO_LAMPS: Final = "".join(chr(lamp) for lamp in range(0x81, 0x100, 2))

LAYOUTS: Final[Mapping[str, Layout]] = {
    "generic": Layout(
        "a number and, perhaps, a unit; nothing else", rf"{_NUMBER} *{_UNIT_OR_NONE}"
    ),
    # ST,+00123.45  g    US,-00000.12  g    ST,GS,+01234.5kg    OL,+9999999E+19    WT  +123.45  g
    "and": Layout(
        "A&D GX-A/GF-A communication manual 7-2 (standard, DP, CSV); AD-4329A manual 12.1.2 and "
        "CAS CI-600D manual 10-3 (18 bytes: a second header); GC manual 16.2 (comparison)",
        r"(?P<under>OL,(?:[A-Z -]{2},)? *-.*)|(?P<over>OL,.*)|(?P<skip>..,(?:TR|PT|T ),.*)|"
        r"(?:(?P<stable>ST|QT|WT)|(?P<motion>US))[, ] *(?:(?:GS|NT|G |N |LO|OK|HI|--),)?"
        rf" *{_NUMBER} *,? *{_UNIT}",
    ),
    # ST,GS,<id><lamps>,   13.5 kg
    "cas": Layout(
        "CAS CI-600D manual 10-1, NT-200 manual 14, PDS manual 11: 22 bytes",
        r"(?P<over>OL,.*)|(?:(?P<stable>ST)|(?P<motion>US)),(?:GS|NT),.(?:(?P<zero>"
        rf"[{_ZERO_LAMPS}])|.),? *{_NUMBER} *{_UNIT}",
    ),
    #      123.45 g          -   12.7 kg   ? NET    G      1.25 kg
    "ohaus": Layout(
        "OHAUS Defender 3000 manual 5.2, Ranger manual 5.1.4, RS232 Interface manual EN-3 (Scout, "
        "Navigator, Adventurer), Explorer manual EN-156; errors 8.3 and 8.4 of their trouble lists",
        r"(?P<over>Err(?:or)? *8\.3.*)|(?P<under>Err(?:or)? *8\.4.*)|(?P<error>Err.*|-{2,}.*)|"
        r"(?P<skip>T(?:are)? .*|.* (?:T|TARE|Tare|TOTAL))|"
        rf"(?:[GN] +)?{_NUMBER} *{_UNIT} *(?P<motion>\?)? *(?:G|N|NET|Net|B/G|[\d:]+)?",
    ),
    # +  123.56 g        N     +  123.5[6] g        Stat       High     the unit only at rest
    "sbi": Layout(
        "Sartorius Master series manual p. 79, GC803S manual p. 57, MSE manual (SBI, 16 and 22 "
        "characters)",
        r"(?:Stat *)?(?:(?P<over>H|HH|High)|(?P<under>L|LL|Low))|(?P<error>Stat.*|[A-Z. ]*ERR.*|"
        r"-{2,}|OFF|Off)|(?P<skip>(?:T\d?|PT\d?) +.*)|"
        rf"(?:[A-Za-z#][\w#.]{{0,5}} +)?{_NUMBER} *(?P<stable>(?P<unit>[A-Za-z%]+))?",
    ),
    # CH01,ST,+001234g    or several of them in a line, between commas, semicolons, tabs or spaces
    "channels": Layout(
        "load-cell hubs that put the A&D words behind a channel number",
        r"CH *(?P<channel>\d{1,3}) *[,:=] *(?:(?P<under>UL|OL,? *-[\d.E+]*)|(?P<over>OL"
        r"(?:,? *\+[\d.E+]*)?)|(?P<error>ER\w*|-{2,})|"
        r"(?:(?:(?P<stable>ST)|(?P<motion>US))[,: ] *)?"
        rf"{_NUMBER.replace('.,', '.')} *{_UNIT_OR_NONE})",
        "named",
    ),
    # +001234g,+000567g,------    one column per channel, from 1
    "columns": Layout(
        "load-cell hubs that send all channels in a line",
        r"(?P<under>UL|OL *-.*)|(?P<over>OL.*)|(?P<error>ER\w*|-{2,})|"
        rf"(?:(?:(?P<stable>ST)|(?P<motion>US))[: ] *)?{_NUMBER} *{_UNIT_OR_NONE}",
        "columns",
    ),
}
