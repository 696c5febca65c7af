"""The committed table is what the definition file says; written again and compared."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from drivers import _llrp, _llrp_table

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STOCKD_DATA") or ROOT.parent / "shared" / "data")
DEFINITION = DATA / "llrp-ltk" / "llrp-1x0-def.xml"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llrp_table", ROOT / "tools" / "llrp_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_the_definition() -> None:
    if not DEFINITION.exists():
        pytest.skip(f"no definition: {DEFINITION} is not there (STOCKD_DATA names another folder)")
    written = generator().table(DEFINITION.read_text("utf-8"))
    assert written == Path(_llrp_table.__file__).read_text("utf-8")


def test_the_generator_reads_every_kind_of_field() -> None:
    namespace = "http://www.llrp.org/ltk/schema/core/encoding/binary/1.0"
    text = generator().table(
        f"""<llrpdef xmlns="{namespace}">
        <messageDefinition name="M" typeNum="7"><field type="u1" name="A"/><reserved bitCount="7"/>
          <parameter type="P" repeat="1"/></messageDefinition>
        <parameterDefinition name="P" typeNum="300">
          <field type="u8v" name="B" format="Hex"/><field type="u8v" name="C" enumeration="E"/>
        </parameterDefinition>
        <enumerationDefinition name="E"><entry value="1" name="One"/></enumerationDefinition>
        </llrpdef>"""
    )
    assert "\n7 M A:u1 _:7\n" in text
    assert "\n300 P B:u8v:hex C:u8v=E\n" in text
    assert "\nE 1=One\n" in text


def test_types_of_1_1_are_there() -> None:
    """LLRP 1.1 section 17.1: the version messages, and nothing of 1.0.1 was lost."""
    names = ("GET_SUPPORTED_VERSION", "SET_PROTOCOL_VERSION")
    assert [_llrp.message_type(name) for name in names] == [46, 47]
    assert [_llrp.message_type(f"{name}_RESPONSE") for name in names] == [56, 57]
    assert len(_llrp.MESSAGE_TYPES) == 40 + 6
