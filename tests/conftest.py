"""What several tests share: the flag that rewrites golden files, and a store of real processes.

Here: broker, ledger and gateway that can be killed and started at will, devices that outlive them,
the comparison of both records. Not here: what a test does to them. The comparison hashes, folds and
reads for itself: it shares no code with what it judges.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write what the code says now into tests/golden; then review the diff",
    )


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden"))


@pytest.fixture(scope="module")
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes stacks; all of them end with the module."""
    made: list[Stack] = []

    def make(**wishes: Any) -> Stack:
        if wishes.get("broker") == "mosquitto" and shutil.which("mosquitto") is None:
            pytest.skip("mosquitto is not installed; apt-get install mosquitto")
        made.append(Stack(tmp_path_factory.mktemp("stack"), **wishes))
        return made[-1]

    yield make
    for stack in made:
        stack.close()
