"""LLRP messages, bytes to a tree of values and back: the complete codec, pure, sans I/O.

Source: EPCglobal Low Level Reader Protocol 1.0.1, chapter 16, and 1.1, chapter 17.

    |rsv 3|ver 3|  type 10  |  length 32, header included  |  message id 32  |  body
    body:  fields as the type has them, then parameters
    TLV:   |rsv 6|  type 10  |  length 16, header included  |  fields, then parameters
    TV:    |1|  type 7  |  fields                             types 1 to 127

Here: the tables made into kinds, and both directions. What is not known is kept whole (a
parameter or message called `Unknown`), a Custom parameter is kept with its bytes, reserved bits
that are set are kept as a field `Reserved`: whatever `decode` takes, `encode` gives back byte for
byte. Not here: what a message means (`rfid_llrp`), the fast way through tag reports
(`_llrp_stream`), the stream of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers import _llrp_table, _llrp_v11

HEADER_BYTES: Final = 10
VERSION_1_0_1: Final = 1
VERSION_1_1: Final = 2
UNKNOWN: Final = "Unknown"

_DEPTH_MAX: Final = 16
"""Parameters within parameters; no definition goes deeper than ten."""
_RESERVED: Final = "Reserved"
_TYPE_MASK: Final = 0x3FF


class Malformed(ValueError):
    """Bytes that are no LLRP message; says where they stop being one."""


class Bits(NamedTuple):
    """A bit vector: how many bits count, and the bytes as sent, the last one filled up."""

    size: int
    data: bytes


Value = int | str | bytes | Bits | tuple[int | str, ...]
"""A number, a name of an enumeration or a text, raw bytes, bits, items."""


@dataclass(frozen=True, slots=True)
class Element:
    """A parameter: its name, its fields and its parameters in order of the wire."""

    name: str
    fields: tuple[tuple[str, Value], ...] = ()
    parameters: tuple[Element, ...] = ()

    def value(self, field: str) -> Value:
        """The value of a field. Raises KeyError when this element has none of that name."""
        return dict(self.fields)[field]

    def number(self, field: str) -> int:
        """A field that is a number; 0 where the reader sent something else."""
        value = dict(self.fields).get(field, 0)
        return value if isinstance(value, int) else 0

    def first(self, name: str) -> Element | None:
        """The first parameter of this name."""
        return next(self.each(name), None)

    def each(self, name: str) -> Iterator[Element]:
        """Every parameter of this name."""
        return (one for one in self.parameters if one.name == name)


@dataclass(frozen=True, slots=True)
class Message(Element):
    """A message: an element with the header's version (1 is 1.0.1, 2 is 1.1) and message id."""

    version: int = VERSION_1_0_1
    message_id: int = 0


class _Field(NamedTuple):
    name: str
    kind: str  # u, s, the vectors u1v ... utf8v, hex, u96, bytesToEnd
    bits: int  # width of a number or of an item
    names: dict[int, str]
    values: dict[str, int]


class _Kind(NamedTuple):
    type: int
    name: str
    fields: tuple[_Field, ...]


class _Kinds(NamedTuple):
    by_type: dict[int, _Kind]
    by_name: dict[str, _Kind]


def _entries(text: str) -> Iterator[list[str]]:
    """The words of each definition; an indented line goes on with the one above."""
    return (line.split() for line in text.replace("\n  ", " ").splitlines())


def _enumerations() -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for words in _entries(_llrp_table.ENUMERATIONS + _llrp_v11.ENUMERATIONS):
        pairs = (word.split("=") for word in words[1:])
        found.setdefault(words[0], {}).update({int(number): name for number, name in pairs})
    return found


_ENUMERATIONS: Final = _enumerations()


def _field(word: str) -> _Field:
    name, _, rest = word.partition(":")
    kind, _, enumeration = rest.partition("=")
    names = _ENUMERATIONS[enumeration] if enumeration else {}
    values = {text: number for number, text in names.items()}
    if name == "_":
        return _Field(_RESERVED, "u", int(kind), names, values)
    if kind == "u8v:hex":
        return _Field(name, "hex", 8, names, values)
    digits = kind.strip("usv")
    bits = int(digits) if digits.isdigit() else 8
    plain = kind[0] in "us" and kind[1:].isdigit() and kind != "u96"
    return _Field(name, kind[0] if plain else kind, bits, names, values)


def _kinds(*texts: str) -> _Kinds:
    found = [
        _Kind(int(words[0]), words[1], tuple(map(_field, words[2:])))
        for words in _entries("".join(texts))
    ]
    return _Kinds({kind.type: kind for kind in found}, {kind.name: kind for kind in found})


_MESSAGES: Final = _kinds(_llrp_table.MESSAGES, _llrp_v11.MESSAGES)
_PARAMETERS_1_0_1: Final = _kinds(_llrp_table.PARAMETERS, _llrp_v11.ADDED)
_PARAMETERS_1_1: Final = _kinds(_llrp_table.PARAMETERS, _llrp_v11.ADDED, _llrp_v11.CHANGED)

MESSAGE_TYPES: Final = frozenset(_MESSAGES.by_type)
TV_BYTES: Final = {
    kind.type: 1 + sum(field.bits if field.kind != "u96" else 96 for field in kind.fields) // 8
    for kind in _PARAMETERS_1_1.by_type.values()
    if kind.type < 128
}
"""Length of each TV parameter, its type byte included; they carry none on the wire."""


def message_type(name: str) -> int:
    """The type number of a message. Raises KeyError."""
    return _MESSAGES.by_name[name].type


# --- bytes to values --------------------------------------------------------------------------


class _Reader:
    """A place in the bytes, to the bit."""

    __slots__ = ("at", "bit", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end, self.bit = data, at, end, 0

    def number(self, bits: int) -> int:
        last = self.bit + bits
        size = (last + 7) // 8
        if self.at + size > self.end:
            raise Malformed(f"cut off at byte {self.at}")
        whole = int.from_bytes(self.data[self.at : self.at + size])
        self.at += last // 8
        self.bit = last % 8
        return whole >> (size * 8 - last) & ((1 << bits) - 1)

    def take(self, size: int) -> bytes:
        if self.bit or self.at + size > self.end:
            raise Malformed(f"cut off at byte {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]


def decode(frame: bytes) -> Message:
    """One whole message, header included. Raises Malformed, whatever the bytes, and nothing else.

    >>> decode(bytes.fromhex("0416 0000000e 00000008 00000001")).fields
    (('ROSpecID', 1),)
    """
    if len(frame) < HEADER_BYTES:
        raise Malformed("shorter than a header")
    first = int.from_bytes(frame[:2])
    version = first >> 10
    if version not in (VERSION_1_0_1, VERSION_1_1):
        raise Malformed(f"no version we know: {version}")
    if int.from_bytes(frame[2:6]) != len(frame):
        raise Malformed(f"length {int.from_bytes(frame[2:6])}, but there are {len(frame)} bytes")
    message_id = int.from_bytes(frame[6:10])
    kind = _MESSAGES.by_type.get(first & _TYPE_MASK)
    if kind is None:
        fields: tuple[tuple[str, Value], ...]
        fields = (("Type", first & _TYPE_MASK), ("Data", frame[HEADER_BYTES:]))
        return Message(UNKNOWN, fields, (), version, message_id)
    reader = _Reader(frame, HEADER_BYTES, len(frame))
    kinds = _PARAMETERS_1_1 if version == VERSION_1_1 else _PARAMETERS_1_0_1
    fields = _fields(reader, kind)
    return Message(kind.name, fields, _parameters(reader, kinds, 0), version, message_id)


def _fields(reader: _Reader, kind: _Kind) -> tuple[tuple[str, Value], ...]:
    found = []
    for field in kind.fields:
        value = _value(reader, field)
        if field.name != _RESERVED or value:
            found.append((field.name, value))
    return tuple(found)


def _value(reader: _Reader, field: _Field) -> Value:
    match field.kind:
        case "u":
            number = reader.number(field.bits)
            return field.names.get(number, number)
        case "s":
            number = reader.number(field.bits)
            return number - (number >> field.bits - 1 << field.bits)
        case "u96":
            return reader.take(12)
        case "bytesToEnd":
            return reader.take(reader.end - reader.at)
    count = reader.number(16)
    match field.kind:
        case "u1v":
            return Bits(count, reader.take((count + 7) // 8))
        case "utf8v":
            # a text that is none comes back as it was: the reader's words may be in any encoding
            return reader.take(count).decode("utf-8", "surrogateescape")
        case "hex":
            return reader.take(count)
    items = (reader.number(field.bits) for _ in range(count))
    return tuple(field.names.get(item, item) for item in items)


def _parameters(reader: _Reader, kinds: _Kinds, depth: int) -> tuple[Element, ...]:
    if depth > _DEPTH_MAX:
        raise Malformed(f"parameters within parameters, {depth} deep")
    found = []
    while reader.at < reader.end:
        if reader.data[reader.at] & 0x80:
            type_ = reader.number(8) & 0x7F
            kind = kinds.by_type.get(type_)
            if kind is None:  # its length is written nowhere
                raise Malformed(f"TV parameter {type_} is none we know")
            found.append(Element(kind.name, _fields(reader, kind)))
            continue
        start = reader.at
        type_, length = reader.number(16), reader.number(16)
        if type_ > _TYPE_MASK or length < 4 or start + length > reader.end:
            raise Malformed(f"parameter {type_} of {length} bytes at byte {start}")
        found.append(
            _parameter(_Reader(reader.data, reader.at, start + length), kinds, type_, depth)
        )
        reader.at = start + length
    return tuple(found)


def _parameter(inner: _Reader, kinds: _Kinds, type_: int, depth: int) -> Element:
    kind = kinds.by_type.get(type_)
    if kind is None or type_ < 128:
        return Element(UNKNOWN, (("Type", type_), ("Data", inner.take(inner.end - inner.at))))
    return Element(kind.name, _fields(inner, kind), _parameters(inner, kinds, depth + 1))


# --- values to bytes --------------------------------------------------------------------------


def element(name: str, *parameters: Element, **fields: Value) -> Element:
    """A parameter to be sent; `encode` puts its fields in the order of the wire."""
    return Element(name, tuple(fields.items()), parameters)


def parameter_bytes(one: Element) -> bytes:
    """The bytes of a parameter of 1.0.1, as the data of a Custom one holds them."""
    return _encoded(one, _PARAMETERS_1_0_1)


def encode(message: Message) -> bytes:
    """The bytes of a message, header included.

    Raises KeyError for a name, a field or an enumeration's word that the protocol does not have,
    OverflowError, TypeError or ValueError for a value that does not fit its field.
    """
    kinds = _PARAMETERS_1_1 if message.version == VERSION_1_1 else _PARAMETERS_1_0_1
    if message.name == UNKNOWN:
        type_, body = message.number("Type"), _raw(message.value("Data"))
    else:
        kind = _MESSAGES.by_name[message.name]
        type_, body = kind.type, _body(message, kind, kinds)
    head = (message.version << 10 | type_).to_bytes(2)
    length = (HEADER_BYTES + len(body)).to_bytes(4)
    return head + length + message.message_id.to_bytes(4) + body


def _body(one: Element, kind: _Kind, kinds: _Kinds) -> bytes:
    given = dict(one.fields)
    out = bytearray()
    held, bits = 0, 0
    for field in kind.fields:
        value = given.get(_RESERVED, 0) if field.name == _RESERVED else given[field.name]
        if field.kind in ("u", "s"):
            held = held << field.bits | _number(value, field)
            bits += field.bits
            if bits % 8 == 0:
                out += held.to_bytes(bits // 8)
                held, bits = 0, 0
        else:
            out += _vector(value, field)
    return bytes(out) + b"".join(_encoded(inner, kinds) for inner in one.parameters)


def _number(value: Value, field: _Field) -> int:
    number = field.values[value] if isinstance(value, str) else value
    low = -(1 << field.bits - 1) if field.kind == "s" else 0
    if not isinstance(number, int) or not low <= number < low + (1 << field.bits):
        raise OverflowError(f"{field.name} = {value!r} does not fit {field.bits} bits")
    return number & ((1 << field.bits) - 1)


def _vector(value: Value, field: _Field) -> bytes:
    match value:
        case Bits(size, data):
            if len(data) != (size + 7) // 8:
                raise ValueError(f"{field.name}: {size} bits in {len(data)} bytes")
            return size.to_bytes(2) + data
        case bytes():
            if field.kind == "u96" and len(value) != 12:
                raise ValueError(f"{field.name}: twelve bytes, not {len(value)}")
            return value if field.kind in ("u96", "bytesToEnd") else len(value).to_bytes(2) + value
        case str():
            text = value.encode("utf-8", "surrogateescape")
            return len(text).to_bytes(2) + text
        case tuple():
            items = (_number(item, field).to_bytes(field.bits // 8) for item in value)
            return len(value).to_bytes(2) + b"".join(items)
    raise TypeError(f"{field.name} = {value!r} is no {field.kind}")


def _raw(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{value!r} is no bytes")
    return value


def _encoded(one: Element, kinds: _Kinds) -> bytes:
    if one.name == UNKNOWN:
        type_, body = one.number("Type"), _raw(one.value("Data"))
    else:
        kind = kinds.by_name[one.name]
        type_, body = kind.type, _body(one, kind, kinds)
        if type_ < 128:
            return bytes((0x80 | type_,)) + body
    return type_.to_bytes(2) + (4 + len(body)).to_bytes(2) + body
