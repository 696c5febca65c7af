"""What a scale may be told, and which patterns may be let loose on its lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import scale_line
from drivers._line_presets import LAYOUTS
from drivers._patterns import PARTS, PATTERN_MAX_CHARS, pattern_fault
from drivers.scale_line import HUB_LINE_MAX_BYTES, LINE_MAX_BYTES, PLATES_MAX, Options, decoder
from gateway import registry
from gateway.domain.reading import Garbled, Weight
from gateway.domain.settings import OptionValue


def problems(driver: str, options: dict[str, OptionValue]) -> str:
    with pytest.raises(registry.DriverProblems) as caught:
        registry.build_options(registry.load(driver), options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("driver", "options", "said"),
    [
        ("scale_8217", {"rate_hz": 21}, "1 to 20"),
        ("scale_8217", {"rate_hz": 0}, "1 to 20"),
        ("scale_8217", {"decimals": 7}, "0 to 6"),
        ("scale_8217", {"unit": "st"}, "one of kg, lb, oz, g"),
        ("scale_8217", {"command": "Z"}, "one of W, H"),
        ("scale_line", {"rate_hz": 101}, "1 to 100"),
        ("scale_line", {"decimals": -1}, "0 to 6"),
        ("scale_line", {"preset": "ohuas"}, "ohaus"),
        ("scale_line", {"poll": "\\q"}, "is none of"),
        ("scale_line", {"poll": "\\"}, "is none of"),
        ("scale_line", {"poll": "\\xzz"}, "is none of"),
        ("scale_line", {"poll": "\\xff"}, "not ASCII"),
        ("scale_line", {"poll": "x" * 33}, "more than 32"),
        ("scale_line", {"channels": {"one": "a1"}}, "no channel number"),
        ("scale_line", {"channels": {"0": "a1"}}, "no channel number"),
        ("scale_line", {"channels": {"1000": "a1"}}, "no channel number"),
        ("scale_line", {"channels": {"1": "A 1"}}, "no location id"),
        ("scale_line", {"channels": {"1": "a1", "01": "a2"}}, "each once"),
        ("scale_line", {"channels": {str(n): f"a{n}" for n in range(1, 66)}}, "at most 64"),
        ("scale_line", {"pattern": r"\d+"}, "where the number is"),
    ],
)
def test_options_that_cannot_work(driver: str, options: dict[str, OptionValue], said: str) -> None:
    assert said in problems(driver, options)


def test_options_as_text() -> None:
    told = registry.build_options(
        registry.load("scale_line"),
        {"preset": "channels", "channels": "1=a1, 02=a2", "poll": r"\x1bP\r\n\t\\", "rate_hz": "5"},
        strings=True,
    )
    assert told == Options("channels", channels={"1": "a1", "02": "a2"}, poll=r"\x1bP\r\n\t\\",
                           rate_hz=5)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(?P<mass>(\d+)+)", "repeats a group"),
        (r"(?P<mass>\d+)(?:,\d+)*", "repeats a group"),
        (r"(?P<mass>\d+)(a|aa){2,}", "repeats a group"),
        (r"(?P<mass>\d+)(a?){40}", "repeats a group"),
        (r"(?P<mass>\d+).*.*.*", "more than 2"),
        (r"(?P<mass>\d+)(?:.*|x)\S*[^,]+", "more than 2"),
        (r"(?P<mass>\d+)\w*\W+\D*", "more than 2"),
        (r"(?P<mass>\d+)[^]x]+.*.*", "more than 2"),
        (r"(?P<mass>\d+)\1", "refers back"),
        (r"(?P<mass>\d+)(?P=mass)", "refers back"),
        (r"(a)?(?P<mass>\d+)(?(1)b|c)", "refers back"),
        (r"(?P<mass>\d+", "no regular expression"),
        (r"(?P<mass>\d+)(?i)x", "no regular expression"),
        (r"(?P<mass>\d{99999999999})", "no regular expression"),
        (r"(?P<weight>\d+)", "where the number is"),
        (r"(?P<mass>\d+)(?P<tare>\d+)", "unknown part 'tare'"),
        (r"(?P<mass>\d+)" + "x" * PATTERN_MAX_CHARS, "longer than"),
    ],
)
def test_patterns_that_may_not_be(pattern: str, said: str) -> None:
    assert said in pattern_fault(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\s*(?P<stable>ST|US),\s*(?P<mass>[+-]?\s*\d+\.?\d*)\s*(?P<unit>[a-zA-Z]+)\s*$",
        r"(?P<over>OL.*)|(?P<under>UL.*)|(?P<error>E.*)|(?P<mass>\d+)",
        r"(?P<mass>\d+)[)*+]*\)+\.*\(*[]*]+",
        r"\[(?P<channel>\d+)\] (?P<mass>[\d.]{1,9}) ?(?P<unit>kg)?",
        *(layout.pattern for layout in LAYOUTS.values()),
    ],
)
def test_patterns_that_may_be(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
@given(st.text(alphabet="(?P<mas>)[]^.*+{}|\\dDwS,1=:! ", max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_pattern_raises(text: str) -> None:
    assert isinstance(pattern_fault(text), str)
    assert isinstance(pattern_fault(rf"(?P<mass>\d+)|{text}"), str)


def test_the_parts_are_described() -> None:
    assert scale_line.__doc__ is not None
    assert all(re.search(rf"\b{part}\b", scale_line.__doc__) for part in PARTS)


@pytest.mark.parametrize("preset", sorted(LAYOUTS))
@given(st.text(alphabet="STUSOLCH0123456789+-., \t;kgEr*[]?%HNG", max_size=200))
@settings(max_examples=60, deadline=500)
def test_no_line_keeps_a_preset_busy(preset: str, text: str) -> None:
    plates = decoder(Options(preset, channels={"1": "a1"}))  # type: ignore[arg-type]
    repeated = (text * 30)[: HUB_LINE_MAX_BYTES - 1]
    for line in (text, repeated[: LINE_MAX_BYTES - 1], repeated):
        for body in plates.feed(line.encode() + b"\n"):
            assert isinstance(body, Weight | Garbled)


def test_a_line_has_no_more_columns_than_a_hub_has_plates() -> None:
    places = {str(n): f"a{n}" for n in range(1, PLATES_MAX + 1)}
    plates = decoder(Options("columns", channels=places))
    assert len(plates.feed(b",".join([b"+1"] * PLATES_MAX) + b"\n")) == PLATES_MAX
    (too_many,) = plates.feed(b",".join([b"+1"] * (PLATES_MAX + 1)) + b"\n")
    assert isinstance(too_many, Garbled)
    assert too_many.reason == "noise"


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_digits_without_a_point_are_exact(digits: int, decimals: int) -> None:
    (body,) = decoder(Options(unit="kg", decimals=decimals)).feed(b"%+d\n" % digits)
    if abs(digits) * 10 ** (6 - decimals) > 10**12:
        assert isinstance(body, Garbled)
    else:
        assert body == Weight(digits * 10 ** (6 - decimals), None)
