"""JSON as the ledger link allows it, and nothing else (WIRE.md section 4).

Here: a parser that refuses what JSON libraries forgive (duplicate member names, BOM, NaN, lone
surrogates), the search for numbers the link forbids, and canonical bytes even for events that
carry such a number, because the chain covers a bad event as well (section 8). Not here: which
members a message has. Next: `ledger.envelope`.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec

from gateway.domain.wire import INT_MAX, canonical

_DECODE: Final = msgspec.json.Decoder().decode
_SORTED: Final = msgspec.json.Encoder(order="sorted").encode

_SUSPECT_NUMBER: Final = re.compile(rb"[:,\[]-?[0-9](?:[0-9]*[.eE]|[0-9]{15})")
"""A float, an integer that may be beyond 2^53 - 1, or text that only looks like one."""
_SUSPECT_LETTER: Final = re.compile(rb"[\xee-\xff]")
"""Beyond U+DFFF; a name of such letters is sorted differently by UTF-8 and by UTF-16."""


class NotStrictError(ValueError):
    """Bytes that are no JSON of the ledger link; says why."""


def parse(payload: bytes) -> Any:
    """The value of strict JSON; floats stay floats, so that the caller can say where they were.

    Raises NotStrictError.

    >>> parse(b'{"a":1,"a":2}')
    Traceback (most recent call last):
    ledger.strict.NotStrictError: member name 'a' twice
    """
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError(f"not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise NotStrictError("begins with a byte order mark")
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except NotStrictError:
        raise
    except RecursionError:
        raise NotStrictError("nested too deeply") from None
    except ValueError as error:
        raise NotStrictError(f"not JSON: {error}") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrictError(f"member name {twice!r} twice")
    return members


def _no_constant(text: str) -> NoReturn:
    raise NotStrictError(f"{text} is no JSON number")


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrictError("a lone surrogate is no text") from None


def forbidden_number(value: Any) -> bool:
    """Whether a fraction, an exponent or an integer beyond ±(2^53 - 1) is anywhere inside.

    >>> forbidden_number({"d": [1, 2.0]}), forbidden_number({"d": [1, 2]})
    (True, False)
    """
    if isinstance(value, float):
        return True
    if isinstance(value, int):
        return not -INT_MAX <= value <= INT_MAX
    if isinstance(value, dict):
        return any(forbidden_number(item) for item in value.values())
    return isinstance(value, list) and any(forbidden_number(item) for item in value)


def canonical_of(value: Any) -> bytes:
    """RFC 8785 bytes of a parsed value, forbidden numbers included.

    Floats as ECMAScript prints them; integers that a double cannot hold stay digit for digit,
    since RFC 8785 does not cover them. Raises NotStrictError for a number beyond any double.

    >>> canonical_of({"b": 1e3, "a": 0.5})
    b'{"a":0.5,"b":1000}'
    """
    return canonical(_printable(value) if forbidden_number(value) else value)


def _printable(value: Any) -> Any:
    if isinstance(value, float):
        return msgspec.Raw(_ecmascript(value).encode())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INT_MAX:
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {name: _printable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _ecmascript(number: float) -> str:
    """Number::toString of ECMA-262, from Python's equally shortest digits (RFC 8785, 3.2.2.3)."""
    if not math.isfinite(number):
        raise NotStrictError("a number beyond the range of a double")
    if number == 0:
        return "0"
    sign, raw, exponent = Decimal(repr(number)).as_tuple()
    digits = "".join(map(str, raw)).rstrip("0")
    point = len(raw) + int(exponent)
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{tail}e{point - 1:+d}"
    return "-" + text if sign else text


def already_canonical(body: bytes) -> dict[str, Any] | None:
    """The object of bytes surely canonical and free of forbidden numbers; else None.

    A fast path: what is not plainly so goes through `parse`. Re-encoding to the same bytes proves
    order, no space and single names; the patterns leave no number or name it could be wrong about.
    Raises msgspec.MsgspecError or UnicodeDecodeError for what is no JSON at all.
    """
    if _SUSPECT_NUMBER.search(body) or b"\\u" in body:
        return None
    if not body.isascii() and _SUSPECT_LETTER.search(body):
        return None
    value = _DECODE(body)
    return value if isinstance(value, dict) and _SORTED(value) == body else None
