"""Driver names to drivers, options to values, with every problem at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import drivers
from drivers import scale_sics, scanner_hid, scanner_serial
from gateway import registry
from gateway.domain.settings import OptionValue

DOCS = Path(__file__).parents[2] / "docs"


def test_names_are_the_drivers_and_nothing_else() -> None:
    names = registry.driver_names()
    assert {"scale_sics", "scanner_hid", "scanner_serial"} <= set(names)
    assert not {"base", "framing", "link", "sim"} & set(names)
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("name", registry.driver_names())
def test_every_driver_loads_with_its_defaults_and_is_documented(name: str) -> None:
    driver = registry.load(name)
    options = registry.build_options(driver, {})
    assert driver.decoder(options).feed(b"") == []
    text = (DOCS / "drivers.md").read_text()
    assert f"`{name}`" in text
    fields = type(options).__dataclass_fields__  # type: ignore[attr-defined]
    text += (DOCS / "configuration.md").read_text()  # where a driver has many
    assert [field for field in fields if f"`{field}`" not in text] == []


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(registry.DriverProblems, match='did you mean "scale_sics"'):
        registry.load("scale_sisc")
    with pytest.raises(registry.DriverProblems, match="scanner_hid"):
        registry.load("../../etc")


def test_a_module_that_breaks_the_contract_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "driver_names", lambda: ("scale_wrong",))
    wrong = ModuleType("drivers.scale_wrong")
    monkeypatch.setitem(sys.modules, "drivers.scale_wrong", wrong)
    with pytest.raises(registry.DriverProblems) as caught:
        registry.load("scale_wrong")
    assert len(caught.value.problems) == 4

    @dataclass(frozen=True)
    class Options:
        unit: int

    vars(wrong).update(Options=Options, SCHEMES=("tcp",), decoder=object)
    with pytest.raises(registry.DriverProblems) as caught:
        registry.load("scale_wrong")
    assert caught.value.problems == (
        "driver scale_wrong: option unit has no default",
        "driver scale_wrong: read is no async generator",
    )


def test_a_driver_that_cannot_be_imported_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needs_vendor.py").write_text("import no_such_vendor_library\n")
    monkeypatch.setattr(drivers, "__path__", [*drivers.__path__, str(tmp_path)])
    with pytest.raises(registry.DriverProblems, match="no_such_vendor_library"):
        registry.load("needs_vendor")


@pytest.mark.parametrize(
    ("name", "said", "options"),
    [
        ("scale_sics", {"command": "SI", "rate_hz": 10}, scale_sics.Options("SI", 10)),
        (
            "scanner_serial",
            {"aim": True, "modes": ["sale", "return"], "mode": "receive"},
            scanner_serial.Options(aim=True, modes=("sale", "return"), mode="receive"),
        ),
        ("scanner_hid", {"grab": False, "layout": "fr"}, scanner_hid.Options("fr", grab=False)),
    ],
)
def test_options_from_toml(name: str, said: dict[str, OptionValue], options: object) -> None:
    assert registry.build_options(registry.load(name), said) == options


def test_options_from_text() -> None:
    scanner = registry.load("scanner_serial")
    said = {"aim": "true", "gap_ms": "50", "modes": "sale, return", "mode": ""}
    assert registry.build_options(scanner, said, strings=True) == scanner_serial.Options(
        aim=True, gap_ms=50, modes=("sale", "return")
    )
    assert registry.build_options(scanner, {"modes": ""}, strings=True) == scanner_serial.Options()


def test_all_problems_at_once() -> None:
    scale = registry.load("scale_sics")
    with pytest.raises(registry.DriverProblems) as caught:
        registry.build_options(scale, {"command": "SIRR", "rate_hz": 0, "ratehz": 5, "x": 1})
    command, rate, near, unknown = caught.value.problems
    assert 'did you mean "SIR"' in command and "SI, S" in command
    assert "rate_hz = 0" in rate and "1 to 100" in rate
    assert 'did you mean "rate_hz"' in near
    assert "command, rate_hz" in unknown


@pytest.mark.parametrize(
    ("said", "strings", "words"),
    [
        ({"gap_ms": "50"}, False, "Expected `int`"),
        ({"gap_ms": "fast"}, True, "gap_ms = 'fast'"),
        ({"aim": 1}, False, "Expected `bool`"),
        ({"aim": "perhaps"}, True, "aim = 'perhaps'"),
        ({"modes": ["sale", "retrun"]}, False, "return"),
        ({"mode": "reecive"}, False, 'did you mean "receive"'),
        ({"gap_ms": 9}, False, "10 to 1000"),
    ],
)
def test_a_wrong_value_is_named(said: dict[str, OptionValue], strings: bool, words: str) -> None:
    scanner = registry.load("scanner_serial")
    with pytest.raises(registry.DriverProblems, match=words) as caught:
        registry.build_options(scanner, said, strings=strings)
    assert len(caught.value.problems) == 1


def test_what_only_the_options_together_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Options:
        low: int = 0
        high: int = 10

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise registry.DeviceMisconfigured("low is above high")

    async def read(link: registry.Link, options: Options) -> AsyncIterator[object]:
        yield await link.read()

    module = ModuleType("drivers.pair")
    vars(module).update(Options=Options, SCHEMES=("tcp",), decoder=object, read=read)
    monkeypatch.setitem(sys.modules, "drivers.pair", module)
    monkeypatch.setattr(registry, "driver_names", lambda: ("pair",))
    pair = registry.load("pair")
    assert registry.build_options(pair, {"low": 3, "high": 5}) == Options(3, 5)
    with pytest.raises(registry.DriverProblems, match="low is above high"):
        registry.build_options(pair, {"low": 6, "high": 5})


def test_a_link_the_driver_cannot_use() -> None:
    hid = registry.load("scanner_hid")
    assert registry.parse_port(hid, "evdev:///dev/input/event3").path == "/dev/input/event3"
    with pytest.raises(registry.DeviceMisconfigured, match="it uses evdev://"):
        registry.parse_port(hid, "tcp://10.0.0.7:4001")


def test_neither_pyserial_nor_a_driver_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys; from gateway import registry; registry.driver_names()\n"
        "assert not [m for m in sys.modules if m.startswith(('drivers.sc', 'serial'))]\n"
        "registry.load('scale_sics'); assert 'serial' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
