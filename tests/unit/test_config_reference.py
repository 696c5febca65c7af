"""config/store.toml and docs/configuration.md name every key, every option, and their defaults."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway import registry
from gateway.catalogue import PACK_COLUMNS, PLANOGRAM_COLUMNS, PRODUCT_COLUMNS
from gateway.config import load
from gateway.config_rules import POSITIONS, RANGES
from gateway.config_scan import RCN_RANGES
from gateway.domain.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "config" / "store.toml"
DOCS = (ROOT / "docs" / "configuration.md").read_text("utf-8")

TYPES = {
    "StrType": "text",
    "IntType": "whole number",
    "BoolType": "true or false",
    "LiteralType": "choice",
    "VarTupleType": "text or list",
    "DictType": "table",
}


def keys(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, msgspec.inspect.Field]]:
    """Each key of the model that holds a value: its dotted name, its type, its field."""
    for field in node.fields:
        inner, name = field.type, f"{prefix}{field.encode_name}"
        if isinstance(inner, msgspec.inspect.UnionType):
            inner = inner.types[0]
        if isinstance(inner, msgspec.inspect.VarTupleType) and not isinstance(
            inner.item_type, msgspec.inspect.StrType
        ):
            inner, name = inner.item_type, f"{name}[]"
        if isinstance(inner, msgspec.inspect.StructType):
            yield from keys(inner, f"{name}.")
        else:
            yield name, inner, field


def default_of(field: msgspec.inspect.Field) -> object:
    if field.required:
        return "needed"
    return None if field.default is msgspec.NODEFAULT else field.default


MODEL = {name: (node, field) for name, node, field in keys(msgspec.inspect.type_info(Settings))}


def options_of(driver: str) -> dict[str, object]:
    options = registry.build_options(registry.load(driver), {})
    return {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}  # type: ignore[arg-type]


def table(head: str) -> list[list[str]]:
    """The rows of the table of the docs that begins with this header cell."""
    block = DOCS[DOCS.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in block]


def as_python(cell: str) -> object:
    if cell in ("needed", "none"):
        return "needed" if cell == "needed" else None
    value = tomllib.loads(f"key = {cell.strip('`')}")["key"]
    return tuple(value) if isinstance(value, list) else value


def test_the_reference_loads() -> None:
    loaded = load(REFERENCE)
    assert {device.driver for device in loaded.settings.device} == set(registry.driver_names())
    assert len(loaded.store.products) == 4


def test_the_example_of_cases_loads(tmp_path: Path) -> None:
    for sheet in REFERENCE.parent.iterdir():
        text = sheet.read_text("utf-8").replace('packs = ""', 'packs = "packs.csv"')
        (tmp_path / sheet.name).write_text(text, "utf-8")
    cases = load(tmp_path / "store.toml").store.cases
    assert [(case.unit_gtin, case.units) for case in cases] == [
        ("06901234500011", 24),
        ("06901234500011", 96),
    ]


def test_the_reference_names_every_key_with_its_default() -> None:
    tree = tomllib.loads(REFERENCE.read_text("utf-8"))
    for name, (_, field) in MODEL.items():
        table_name, _, key = name.rpartition(".")
        if table_name.endswith("[]"):
            outer, _, inner = table_name[:-2].rpartition(".")
            ones = tree[outer][inner] if outer else tree[inner]
            assert any(key in one for one in ones), name
            continue
        assert key in tree[table_name], name
        said = tree[table_name][key]
        if not field.required:
            default = default_of(field)
            assert said == (default[0] if isinstance(default, tuple) else default), name


def test_the_reference_names_tables_in_the_order_of_the_model() -> None:
    text = REFERENCE.read_text("utf-8")
    order = list(dict.fromkeys(name.partition(".")[0] for name in MODEL))
    places = [
        text.index(f"\n[{name}]" if name[-1] != "]" else f"\n[[{name[:-2]}]]") for name in order
    ]
    assert places == sorted(places)


def test_the_reference_names_every_option_with_its_default() -> None:
    devices = tomllib.loads(REFERENCE.read_text("utf-8"))["device"]
    for driver in registry.driver_names():
        shown = next(one["options"] for one in devices if one["driver"] == driver)
        said = {k: tuple(v) if isinstance(v, list) else v for k, v in shown.items()}
        assert said == options_of(driver)


def test_every_key_of_the_reference_has_a_sentence() -> None:
    first_of_each: set[str] = set()
    for line in REFERENCE.read_text("utf-8").splitlines():
        found = re.match(r"(\w+) = .*", line)
        if found and found[1] not in first_of_each:
            first_of_each.add(found[1])
            assert "  #" in line or " # " in line, line


def test_the_docs_name_every_key() -> None:
    rows = table("Key")
    assert [row[0].strip("`") for row in rows] == list(MODEL)
    for name, kind, default, span, meaning in rows:
        node, field = MODEL[name.strip("`")]
        assert kind == TYPES[type(node).__name__], name
        assert as_python(default) == default_of(field), name
        assert len(meaning) > 5, name
        table_name, _, key = name.strip("`").partition(".")
        low_high = RANGES.get((table_name, key))
        if (table_name, key) == ("location[]", "position"):
            low_high = POSITIONS
        if table_name == "scan" and key.startswith("rcn[]."):
            low_high = RCN_RANGES.get(key.partition(".")[2])
        if low_high:
            assert span == f"{low_high[0]} to {low_high[1]}", name
        elif isinstance(node, msgspec.inspect.LiteralType):
            assert span == ", ".join(map(str, node.values)), name
        else:
            assert span == "", name


def test_every_whole_number_has_a_range() -> None:
    numbers = {
        tuple(name.split("."))
        for name, (node, _) in MODEL.items()
        if isinstance(node, msgspec.inspect.IntType)
    }
    layouts = {("scan", "rcn[]", key) for key in RCN_RANGES}
    assert numbers == {*RANGES, ("location[]", "position"), *layouts}


def test_the_docs_name_every_option() -> None:
    rows = table("Driver")
    said: dict[str, dict[str, object]] = {}
    for driver, links, option, default, meaning in rows:
        name = driver.strip("`")
        said.setdefault(name, {})[option.strip("`")] = as_python(default)
        assert tuple(links.split(", ")) == registry.load(name).schemes
        assert len(meaning) > 5, option
    assert said == {driver: options_of(driver) for driver in registry.driver_names()}


def test_the_docs_name_every_column() -> None:
    rows = table("Sheet")
    columns = (*PRODUCT_COLUMNS, *PLANOGRAM_COLUMNS, *PACK_COLUMNS)
    assert tuple(row[1].strip("`") for row in rows) == columns
    assert {(row[0], row[1]) for row in rows if row[2] == "yes"} == {
        ("products", "`gtin`"),
        ("products", "`name`"),
        ("planogram", "`location`"),
        ("planogram", "`gtin`"),
        *(("packs", f"`{column}`") for column in PACK_COLUMNS),
    }
