"""Any tag has an answer, and tags that another library wrote are read as it meant them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import epcpy
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.epc import REASONS, EpcIdentity, NotGs1, Sgtin, decode_epc
from gateway.domain.ids import is_gtin14

ANNEX = [
    json.loads(line)["hex"]
    for line in (Path(__file__).parents[1] / "golden/epc/annex_e3.jsonl").read_text().splitlines()
]
SET_39 = "#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAGE = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
EASY = "!'()*+,-.0123456789;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""Set 82 less what a URI escapes, and the colon: there the other library has errors of its own.

It also refuses piece 99 of an ITIP, and counts escaped characters as three.
"""
ESCAPED = {"/": "%2F", "#": "%23"}


def escape(text: str) -> str:
    return "".join(ESCAPED.get(char, char) for char in text)


def text(most: int, alphabet: str = EASY) -> st.SearchStrategy[str]:
    made = st.text(alphabet, min_size=1, max_size=most).map(escape)
    return made.filter(lambda escaped: len(escaped) <= most)


def whole(bits: int) -> st.SearchStrategy[str]:
    return st.integers(0, (1 << bits) - 1).map(str)


@st.composite
def keyed(draw: st.DrawFn, digits: int) -> tuple[str, str]:
    """A company prefix and the reference behind it; together so many digits."""
    long = draw(st.integers(6, 12))
    fill = "0123456789"
    prefix = draw(st.text(fill, min_size=long, max_size=long))
    return prefix, draw(st.text(fill, min_size=digits - long, max_size=digits - long))


@st.composite
def tag_uris(draw: st.DrawFn) -> str:
    """A tag URI of any scheme that the other library can write."""
    serials = {
        "sgtin-96": whole(38), "sgtin-198": text(20), "sgln-96": whole(41), "sgln-195": text(20),
        "grai-96": whole(38), "grai-170": text(16), "gdti-96": whole(41), "gdti-174": text(17),
        "sgcn-96": st.text("0123456789", min_size=1, max_size=12),
        "itip-110": whole(38), "itip-212": text(20),
    }  # fmt: skip
    digits = {"sgtin": 13, "itip": 13, "sscc": 17, "gsrn": 17, "gsrnp": 17}
    names = [*serials, "sscc-96", "gsrn-96", "gsrnp-96", "giai-96", "giai-202", "cpi-96",
             "cpi-var", "gid-96", "usdod-96", "adi-var"]  # fmt: skip
    name = draw(st.sampled_from(names))
    kind = name.partition("-")[0]
    head = f"urn:epc:tag:{name}:{draw(st.integers(0, 7))}."
    if kind == "gid":
        fields = [draw(whole(28)), draw(whole(24)), draw(whole(36))]
        return f"urn:epc:tag:{name}:{'.'.join(fields)}"
    if kind == "usdod":
        return head + f"{draw(st.text(CAGE, min_size=5, max_size=6))}.{draw(whole(36))}"
    if kind == "adi":
        part = draw(st.just("") | text(32, SET_39[1:]))
        return (
            head
            + f"{draw(st.text(CAGE, min_size=5, max_size=6))}.{part}.{draw(text(30, SET_39[1:]))}"
        )
    prefix, reference = draw(keyed(digits.get(kind, 12)))
    if kind == "giai":
        asset = whole({12: 42, 11: 45, 10: 48, 9: 52, 8: 55, 7: 58, 6: 62}[len(prefix)])
        return head + f"{prefix}.{draw(asset if name == 'giai-96' else text(30 - len(prefix)))}"
    if name == "cpi-96":
        part = str(draw(st.integers(1, 10 ** (15 - len(prefix)) - 1)))
        return head + f"{prefix}.{part}.{draw(whole(31))}"
    if name == "cpi-var":
        serial = str(draw(st.integers(0, 10**12 - 1)))
        return head + f"{prefix}.{draw(text(30 - len(prefix), SET_39))}.{serial}"
    if name in ("sscc-96", "gsrn-96", "gsrnp-96"):
        return head + f"{prefix}.{reference}"
    piece = f".{draw(st.integers(0, 98)):02d}.{draw(st.integers(0, 98)):02d}"
    middle = piece if kind == "itip" else ""
    return head + f"{prefix}.{reference}{middle}.{draw(serials[name])}"


def how(tag: Any, uri: str) -> dict[str, Any]:
    """The other library wants the scheme and the filter again, as words of its own."""
    name, fields = uri.split(":", 4)[3:]
    said = {"binary_coding_scheme": tag.BinaryCodingScheme(name)}
    filters = getattr(sys.modules[type(tag).__module__], f"{type(tag).__name__}FilterValue", None)
    return said if filters is None else said | {"filter_value": filters(fields.split(".")[0])}


@settings(max_examples=600, deadline=None)
@given(uri=tag_uris())
def test_tags_of_another_library_are_read_as_it_meant_them(uri: str) -> None:
    tag = epcpy.tag_uri_to_tag_encodable(uri)
    found = decode_epc(tag.hex(**how(tag, uri)))
    assert isinstance(found, Sgtin | EpcIdentity), found
    assert found.tag_uri == uri
    assert found.pure_identity == tag.epc_uri


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text("0123456789ABCDEFabcdef", max_size=80),
        st.binary(min_size=1, max_size=32).map(bytes.hex),
        st.text(max_size=30),
    )
)
def test_every_text_has_an_answer(digits: str) -> None:
    check(decode_epc(digits))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ANNEX), st.data())
def test_so_has_every_bent_tag(digits: str, data: st.DataObject) -> None:
    value = int(digits, 16)
    for _ in range(data.draw(st.integers(1, 3))):
        value ^= 1 << data.draw(st.integers(0, 4 * len(digits) - 1))
    check(decode_epc(f"{value:0{len(digits)}X}"))


def check(found: Sgtin | EpcIdentity | NotGs1) -> None:
    if isinstance(found, NotGs1):
        assert found.reason in REASONS
        return
    assert found.pure_identity or found.element_string
    assert (found.tag_uri is None) == ("+" in found.scheme)
    if isinstance(found, Sgtin):
        assert is_gtin14(found.gtin)
        assert found.serial
