"""Canonical bytes against an independent RFC 8785; the chain of WIRE section 8; trace lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import wire
from gateway.domain.reading import (
    Command,
    DeviceState,
    Facings,
    Garbled,
    PosLine,
    Reading,
    Scan,
    Slot,
    Stocktake,
    Tag,
    Void,
    Weight,
)

EVENTS = """[
 {"seq":1,"id":"019e8232-6000-7fde-8507-6ebaf15afb80","kind":"epoch_open","ts":1780300800000,"tq":"sync","te":4,"mono_us":81000000000,"boot":"9c1f3e5a7b2d4c60","open":{"baseline":null,"sha256":null,"why":"install"}},
 {"seq":2,"id":"019e8233-4f10-7734-8666-b596420d8ae0","kind":"receive","ts":1780300861200,"tq":"sync","te":4,"mono_us":81061200113,"boot":"9c1f3e5a7b2d4c60",
  "lines":[{"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"@supplier","d":-24000,"uom":"EA","after":null},
   {"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"back","d":24000,"uom":"EA","after":24000}],
  "src":[{"dev":"scan-dock","ref":"1207"}],"ref":{"type":"desadv","id":"DA-88121"}},
 {"seq":3,"id":"019e8240-28f2-7b36-a0ae-4627bdad3e30","kind":"restock","ts":1780301703410,"tq":"sync","te":4,"mono_us":81903410020,"boot":"9c1f3e5a7b2d4c60",
  "lines":[{"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"back","d":-12000,"uom":"EA","after":12000},
   {"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"a1","d":12000,"uom":"EA","after":12000}],
  "src":[{"dev":"scan-dock","ref":"1208"}]},
 {"seq":4,"id":"019e8246-8c67-7a2f-8e96-0750c6aaf05e","kind":"pick","ts":1780302122087,"tq":"sync","te":4,"mono_us":82322087551,"boot":"9c1f3e5a7b2d4c60",
  "lines":[{"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"a1","d":-1000,"uom":"EA","after":11000},
   {"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"@basket","d":1000,"uom":"EA","after":1000}],
  "conf":992,"src":[{"dev":"scale-a1","ref":"88213"}]},
 {"seq":5,"id":"019e824c-cd64-7374-bb9f-2454eaaf5a7c","kind":"sale","ts":1780302531940,"tq":"sync","te":4,"mono_us":82731940009,"boot":"9c1f3e5a7b2d4c60",
  "lines":[{"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"@basket","d":-1000,"uom":"EA","after":0},
   {"gtin":"09506000134352","lot":"L2406","exp":"2026-09-30","loc":"@sold","d":1000,"uom":"EA","after":null}],
  "src":[{"dev":"till-1","ref":"R4711/1"}],"ref":{"type":"receipt","id":"R4711"}}]"""
INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
CHAIN_0 = "887ff158924bd4017d559718276dbad7775458b0c0667784cf86c439e5f8a6a9"
CHAIN_1 = "bccf4431409b6fdc9b182a3190114b3ef548a87be2038564ab4860fe5232314a"
CHAIN_5 = "ae746937f27f94bfc97724e5d872af53d339d9ccf60ee61f60cee66779b34e21"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-wire.INT_MAX, wire.INT_MAX) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_canonical_form_is_rfc_8785(value: Any) -> None:
    assert wire.canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("names", [["\ufb33", "\U0001f600"], ["\ue000", "\U00010000", "a"]])
def test_names_are_sorted_by_utf_16(names: list[str]) -> None:
    value = {name: dict.fromkeys(names, 1) for name in names}
    assert wire.canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [1.0, {"a": [1.5]}, [float("nan")]])
def test_no_float_passes(value: Any) -> None:
    with pytest.raises(TypeError, match="float"):
        wire.canonical(value)


def test_chain_of_wire_section_8() -> None:
    chains = [wire.chain_start(INST)]
    for event in json.loads(EVENTS):
        chains.append(wire.chain_next(chains[-1], wire.canonical(event)))
    assert [chains[n].hex() for n in (0, 1, 5)] == [CHAIN_0, CHAIN_1, CHAIN_5]


def test_stock_events_of_wire_section_5_go_there_and_back() -> None:
    for event in json.loads(EVENTS):
        body = wire.canonical(event)
        word = wire.read_stock_body(body)
        stamp = wire.Stamp(event["tq"], event["te"], event["mono_us"], event["boot"])
        assert wire.stock_body(word, stamp) == body


@pytest.mark.parametrize(
    "body",
    [
        Scan("0109506000134352\x1d", "]d2", "sale"),
        Weight(1_243_000, None, ("zero", "motion")),
        Tag("30", 1, -5510, 3, 5, None),
        Facings((Slot("1", True, 990),), ("2",), 7),
        PosLine("R1", "1", "09506000134352", -1000, "void"),
        DeviceState("down", "unplugged"),
        Garbled("no_number", "ff00"),
        Command(Stocktake("a1", "09506000134352", 5000, None)),
        Command(Void("019e8232-6000-7fde-8507-6ebaf15afb80")),
    ],
)
def test_readings_survive_a_trace(body: Any) -> None:
    reading = Reading(5, "dev-1", body)
    assert wire.read_reading(wire.reading_line(reading)) == reading


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"{}", b"nonsense", b"\xff", b'{"at_ns":1,"device":"a","kind":"moon"}',
        b'{"at_ns":1.5,"device":"a","kind":"device","state":"up","reason":"x"}',
        b'{"at_ns":1,"device":"a","kind":"device","state":"sideways","reason":"x"}',
        b'{"at_ns":1,"device":"a","kind":"command","name":"void"}',
        b'{"at_ns":1,"device":"a","kind":"command","name":"void","args":5}',
        b'{"at_ns":1,"device":"a","kind":"scan"}',
        b'{"at_ns":1,"device":"a","kind":"scan","data":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_line_that_is_none_says_so(line: bytes) -> None:
    with pytest.raises(wire.TraceError):
        wire.read_reading(line)
