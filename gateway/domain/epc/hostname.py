"""The host name at the end of a "++" EPC, and URN code 40.

Source: GS1 EPC Tag Data Standard 2.3, sections 14.5.6.5 (code 40) and 14.5.14 (host name).

    1 method | 6 length | …    method 0: code 40, as many characters as the length says
                               method 1: units of 7 bits, as many as the length says

A unit is a letter, or a common beginning or end of a name; the units 0 to 3 are the first half of
a longer end, whose second half is its place in the table. Here: the tables. Not here: what the
host answers.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.epc.bits import Bits, Wrong

_CODE_40: Final = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"
_NAME: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.\-]{0,61}[0-9A-Za-z])?")

_UNITS: Final = {
    **{code: chr(code) for code in (0x2D, 0x2E, *range(0x30, 0x3A), *range(0x41, 0x5B))},
    **{code: chr(code) for code in range(0x61, 0x7B)},
    0x1E: "qr.", 0x1F: "www.", 0x20: "id.", 0x5B: ".com", 0x5C: ".org", 0x5D: ".net",
    0x5E: ".int", 0x60: ".edu", 0x7B: ".gov", 0x7C: ".mil", 0x7D: ".biz", 0x7E: ".eco",
    0x7F: ".med",
}  # fmt: skip
"""Table A, without the signs that no host name has."""

_ENDS: Final = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo bq br "
    "bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec "
    "ee eg eh er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy "
    "hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz "
    "la lb lc li",
    "lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc "
    "ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw "
    "sa sb sc sd se sg sh si sk sl sm sn sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to "
    "tr tt tv tw tz ua ug us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw",
    "com.au net.au org.au co.at com.bd co.bd com.br net.br co.nz com.ng com.pk co.in com.in co.il "
    "co.jp co.za co.kr com.es com.lk co.th co.tt com.tt com.tr biz.tr com.ua co.uk co.zm com.zm "
    "com.cn org.cn net.cn gov.cn",
    "tech",
)
"""Tables B1 to B4."""
_LONG_ENDS: Final = tuple(tuple(f".{end}" for end in table.split()) for table in _ENDS)


def code_40(bits: Bits, length: int) -> str:
    """Three characters in 16 bits, filled up with code 0. Raises Wrong."""
    text = ""
    for _ in range((length + 2) // 3):
        value = bits.take(16) - 1
        if not 0 <= value < 64_000:
            raise Wrong("encoding", f"{value + 1} is no triple of code 40")
        text += _CODE_40[value // 1600] + _CODE_40[value // 40 % 40] + _CODE_40[value % 40]
    if "\0" in text[:length] or text[length:].strip("\0"):
        raise Wrong("encoding", f"code 40 holds other than {length} characters")
    return text[:length]


def hostname(bits: Bits) -> str:
    """A host name of 1 to 63 characters. Raises Wrong."""
    seven_bit, length = bits.take(1), bits.take(6)
    name = _units(bits, length) if seven_bit else code_40(bits, length)
    if _NAME.fullmatch(name) is None:
        raise Wrong("characters", f"{name!r} is no host name")
    return name


def _units(bits: Bits, length: int) -> str:
    name = ""
    while length > 0:
        code = bits.take(7)
        length -= 1
        if code < len(_LONG_ENDS):
            place = bits.take(7)
            length -= 1
            if length < 0 or place >= len(_LONG_ENDS[code]):
                raise Wrong("encoding", f"no end of a host name is number {place}")
            name += _LONG_ENDS[code][place]
        elif code in _UNITS:
            name += _UNITS[code]
        else:
            raise Wrong("encoding", f"unit {code} is in no host name")
    return name
