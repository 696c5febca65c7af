"""A tree of TOML values to the typed settings, naming every key that does not fit.

Here: unknown keys, missing keys, wrong types, for any depth, read off the settings model itself.
Not here: what a value of the right type may say (`config_rules`), where it stands in the file
(`toml_text`). A value that does not fit is replaced, so that the rest can still be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from gateway.domain.reading import Word
from gateway.domain.settings import Settings
from gateway.problems import did_you_mean, quoted
from gateway.toml_text import KeyPath

TEXT_MAX: Final = 4096
"""Characters of any one text of the configuration."""
INT_BITS: Final = 64
"""What TOML promises to carry of a whole number, sign included."""


class Fault(Word, frozen=True):
    """What is wrong with one key, before its place in the file is known."""

    path: KeyPath
    message: str
    remedy: str | None = None


def typed(tree: Mapping[str, object]) -> tuple[Settings, list[Fault]]:
    """The settings of a parsed file, and what did not fit. Never raises.

    Where a key has a fault its value in the settings is the default, or an empty stand-in.
    """
    node = inspect.type_info(Settings)
    assert isinstance(node, inspect.StructType)
    walk = _Walk(node)
    settings = walk.struct(node, tree, ())
    assert isinstance(settings, Settings)
    return settings, walk.faults


def shown(value: object) -> str:
    """A value as a message names it: what it is, in plain words, and how it looks. Never raises.

    >>> shown("20"), shown(True), shown([]), shown(1.5)
    ('the text "20"', 'true', 'a list', 'the number 1.5')
    """
    match value:
        case str():
            return f"the text {quoted(value)}"
        case bool():
            return "true" if value else "false"
        case int() | float():
            sane = abs(value) < 2**INT_BITS
            return f"the number {value}" if sane else "a number far too large"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"the date or time {value}"


class _Walk:
    """One walk along the model and the tree together; collects faults."""

    def __init__(self, root: inspect.StructType) -> None:
        self.faults: list[Fault] = []
        self._homes = {
            inner.encode_name: table.encode_name
            for table in reversed(root.fields)  # of two homes the first is meant
            if isinstance(table.type, inspect.StructType)
            for inner in table.type.fields
        }

    def struct(
        self, node: inspect.StructType, value: Mapping[str, object], path: KeyPath
    ) -> object:
        """An instance of the node's class; every key of the table is looked at."""
        fields = {field.encode_name: field for field in node.fields}
        for key in value:
            if key not in fields:
                what = "table" if not path and isinstance(value[key], dict | list) else "key"
                self._fault((*path, key), f"unknown {what}", self._meant(key, fields, path))
        made: dict[str, Any] = {}
        for key, field in fields.items():
            if key in value:
                made[key] = self.value(field, field.type, value[key], (*path, key))
            elif isinstance(field.type, inspect.StructType) and field.required:
                made[key] = self.struct(field.type, {}, (*path, key))
            elif field.required:
                remedy = (
                    _wanted(field.type) if isinstance(field.type, inspect.LiteralType) else None
                )
                self._fault((*path, key), "is missing", remedy or f'write {key} = "..."')
                made[key] = _stand_in(field)
        return node.cls(**made)

    def value(
        self, field: inspect.Field, node: inspect.Type, value: object, path: KeyPath
    ) -> object:
        """The value as the model wants it; the field's default and a fault when it is not."""
        match node, value:
            case inspect.UnionType(types=types), _:
                inner = next(one for one in types if not isinstance(one, inspect.NoneType))
                return self.value(field, inner, value, path)
            case inspect.StructType(), dict():
                return self.struct(node, value, path)
            case inspect.VarTupleType(item_type=inspect.StructType() as item), list():
                return self._structs(item, value, path)
            case inspect.VarTupleType(item_type=inspect.StrType()), str():
                return (value,) if value else ()
            case inspect.VarTupleType(item_type=inspect.StrType()), list() if _texts(value):
                return tuple(value)
            case inspect.StrType(), str():
                if len(value) > TEXT_MAX or not value.isprintable():
                    self._fault(path, f"must be one line of at most {TEXT_MAX} characters")
                    return "".join(filter(str.isprintable, value[:TEXT_MAX]))  # no path has a NUL
                return value
            case inspect.IntType(), int() if not isinstance(value, bool) and _fits(value):
                return value
            case inspect.BoolType(), bool():
                return value
            case inspect.LiteralType(values=allowed), str() if value in allowed:
                return value
            case inspect.DictType(), dict():
                return self._options(value, path)
        self._fault(path, f"must be {_wanted(node)}, not {shown(value)}", _hint(node, value, path))
        if field.required and isinstance(node, inspect.StructType):
            return self.struct(node, {}, path)
        return _stand_in(field)

    def _structs(
        self, item: inspect.StructType, value: list[object], path: KeyPath
    ) -> tuple[object, ...]:
        made = []
        for place, one in enumerate(value):
            if isinstance(one, dict):
                made.append(self.struct(item, one, (*path, place)))
            else:
                self._fault((*path, place), f"must be a table, not {shown(one)}")
        return tuple(made)

    def _options(self, value: dict[str, object], path: KeyPath) -> dict[str, object]:
        sound: dict[str, object] = {}
        for key, option in value.items():
            if (
                isinstance(option, str)
                or (isinstance(option, int) and _fits(option))
                or (isinstance(option, list) and _texts(option))
                or (isinstance(option, dict) and _texts(option.values()))
            ):
                sound[key] = option
                continue
            wanted = "a text, a whole number, true or false, or a list or table of texts"
            self._fault((*path, key), f"must be {wanted}, not {shown(option)}")
        return sound

    def _meant(self, key: str, fields: Iterable[str], path: KeyPath) -> str | None:
        home = self._homes.get(key)
        if home is not None and len(path) < 2 and path != (home,):
            return f"it belongs in [{home}]"
        below = "what its driver reads belongs in [device.options]"
        return did_you_mean(key, fields) or (below if "options" in fields else None)

    def _fault(self, path: KeyPath, message: str, remedy: str | None = None) -> None:
        self.faults.append(Fault(path, message, remedy))


def _fits(value: int) -> bool:
    return value.bit_length() < INT_BITS


def _texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _stand_in(field: inspect.Field) -> object:
    """The default, or an empty value where there is none; its fault keeps it from being judged."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.type.values[0] if isinstance(field.type, inspect.LiteralType) else ""


def _wanted(node: inspect.Type) -> str:
    match node:
        case inspect.StrType():
            return "a text"
        case inspect.IntType():
            return "a whole number"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=allowed):
            return "one of " + ", ".join(f'"{one}"' for one in allowed)
        case inspect.VarTupleType(item_type=inspect.StrType()):
            return "a text or a list of texts"
        case inspect.VarTupleType():
            return "a list of tables"
        case _:
            return "a table"


def _hint(node: inspect.Type, value: object, path: KeyPath) -> str | None:
    match node, value:
        case inspect.IntType(), str() if value.isascii() and value.isdigit() and len(value) < 19:
            return f"write {int(value)} without quotes"
        case inspect.BoolType(), str() if value.lower() in ("true", "false"):
            return f"write {value.lower()} without quotes"
        case inspect.LiteralType(values=allowed), str():
            return did_you_mean(value, [str(one) for one in allowed])
        case inspect.VarTupleType(item_type=inspect.StrType()), list():
            return "put each item in quotes"
        case inspect.VarTupleType(item_type=inspect.StructType()), dict():
            return f"write [[{path[-1]}]] with two brackets, once for each {path[-1]}"
        case inspect.StructType(), list():
            return f"write [{path[-1]}] with single brackets, once"
        case inspect.StrType(), int() | float():
            return "put it in quotes"
    return None
