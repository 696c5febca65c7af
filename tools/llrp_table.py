"""Writes drivers/_llrp_table.py from the LLRP Toolkit's definition of LLRP 1.0.1.

    python tools/llrp_table.py llrp-1x0-def.xml > drivers/_llrp_table.py

Source: LTK/Definitions/Core/llrp-1x0-def.xml of the LLRP Toolkit (Apache-2.0). Kept are names,
numbers, field types and enumerations; prose, multiplicities and order of sub-parameters are not,
since a decoder takes what a reader sends. tests/unit/test_llrp_table.py writes it again.
"""

from __future__ import annotations

import sys
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_NAMESPACE: Final = "{http://www.llrp.org/ltk/schema/core/encoding/binary/1.0}"
_HEAD: Final = '''"""Every message, parameter and enumeration of LLRP 1.0.1.

Written by tools/llrp_table.py from llrp-1x0-def.xml of the LLRP Toolkit (Apache-2.0). One
definition a line, continued where a line is indented: type number, name, then the fields in order
of the wire.

    Name:u16             number: u1 to u64 unsigned, s8 and s16 signed; u96 are twelve bytes
    Name:u8v:hex         counted: u1v bits, u8v, u16v, u32v items, utf8v a text; `hex` keeps bytes
    Name:u8=Enumeration  a number, or items, with names
    _:6                  reserved bits

Next: `_llrp_v11` (what LLRP 1.1 added), `_llrp` (the codec that reads these).
"""

from typing import Final
'''


def table(definition: str) -> str:
    """The module's text for the XML text of the definition. Raises ET.ParseError."""
    root = ET.fromstring(definition)
    parts = [_HEAD]
    for name, tag in (("MESSAGES", "messageDefinition"), ("PARAMETERS", "parameterDefinition")):
        found = root.findall(f"{_NAMESPACE}{tag}")
        rows = sorted((int(one.get("typeNum", "")), _definition(one)) for one in found)
        parts.append(_section(name, (row for _, row in rows)))
    found = root.findall(f"{_NAMESPACE}enumerationDefinition")
    parts.append(_section("ENUMERATIONS", sorted(map(_enumeration, found))))
    return "\n".join(parts)


def _section(name: str, rows: Iterable[str]) -> str:
    lines = [
        line
        for row in rows
        for line in textwrap.wrap(
            row, 98, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    ]
    return f'{name}: Final = """\\\n' + "\n".join(lines) + '\n"""\n'


def _definition(node: ET.Element) -> str:
    return " ".join([node.get("typeNum", ""), node.get("name", ""), *_fields(node)])


def _fields(node: ET.Element) -> Iterable[str]:
    for child in node:
        if child.tag == f"{_NAMESPACE}reserved":
            yield f"_:{child.get('bitCount')}"
        elif child.tag == f"{_NAMESPACE}field":
            kind, names = child.get("type", ""), child.get("enumeration")
            # of the counted kinds only octets have two readings: raw bytes, or items with names
            raw = ":hex" if kind == "u8v" and child.get("format") == "Hex" else ""
            yield f"{child.get('name')}:{kind}{raw}" + (f"={names}" if names else "")


def _enumeration(node: ET.Element) -> str:
    entries = (f"{entry.get('value')}={entry.get('name')}" for entry in node if entry.get("value"))
    return " ".join([node.get("name", ""), *entries])


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1]).read_text("utf-8")))
