"""Each folder of tests/golden/config is a configuration, and the exact problems it has.

`UPDATE_GOLDEN=1` rewrites `expected.txt`; the diff is then reviewed, because it is the behaviour.
"""

import os
from pathlib import Path

import pytest

from gateway.config import load
from gateway.problems import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden" / "config"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_every_problem_of_a_configuration_is_named(name: str) -> None:
    folder = GOLDEN / name
    try:
        load(folder / "store.toml")
        said = ""
    except ConfigError as error:
        said = f"{error}\n".replace(f"{folder}{os.sep}", "")
    expected = folder / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(said, "utf-8")
    assert said == expected.read_text("utf-8")
    assert (said == "") == name.startswith("ok_")


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
