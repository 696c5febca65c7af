"""The house rules that a machine can hold (HOUSE.md section 6), and proof that they catch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from gateway import registry

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "drivers", "ledger")
LINES_MAX = 400
FUNCTION_MAX = 60

LONGER_FILES: dict[str, str] = {}
"""Files beyond LINES_MAX, each with its reason."""

CORE_MAY = {
    "__future__", "bisect", "collections", "heapq", "math", "typing", "re", "dataclasses", "enum",
    "msgspec", "gateway", "hashlib", "functools", "itertools", "importlib", "urllib",
}  # fmt: skip
TIME_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.clock_gettime",
    "time.clock_gettime_ns", "time.perf_counter", "time.perf_counter_ns", "datetime.now",
    "datetime.utcnow", "date.today", "datetime.datetime.now",
}  # fmt: skip
MAY_READ_TIME = {
    "gateway/clock.py": "the one reader of the daemon",
    "gateway/journal/writer.py": "times its own commits, to choose who makes them",
    "gateway/demo.py": "shows seconds to people",
    "gateway/broker.py": "waits for its own port",
    "gateway/bench": "measures",
    "drivers/sim/devices.py": "stamps input_event records as a kernel does",
    "drivers/sim": "plays people in real time",
    "ledger/cli.py": "the ledger's own clock",
    "ledger/link.py": "the ledger's own clock",
}
OWNERS = {
    "sqlite3": ("gateway/journal/", "ledger/books.py", "ledger/fleet.py", "ledger/verify.py",
                "ledger/cli.py", "gateway/bench/"),
    "paho": ("gateway/mqtt.py", "ledger/link.py", "gateway/bench/floor.py"),
    "serial": ("drivers/link.py",),
    "termios": ("drivers/link.py", "drivers/sim/"),
    "iotcore": ("gateway/broker.py",),
}  # fmt: skip
BAD_NAMES = re.compile(r"(^|_)(manager|helper|helpers|util|utils|common|tmp)(_|\.|$)", re.I)


def sources() -> Iterator[tuple[str, ast.Module, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


SOURCES = list(sources())


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


def time_calls(tree: ast.AST) -> set[str]:
    return {
        name for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in TIME_CALLS
    }  # fmt: skip


def owned(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(place) for place in places)


def long_functions(tree: ast.AST) -> list[str]:
    return [
        node.name for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_MAX
    ]  # fmt: skip


def reraises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_files_and_functions_are_short() -> None:
    long = {n: len(t.splitlines()) for n, _, t in SOURCES if len(t.splitlines()) > LINES_MAX}
    assert {n: size for n, size in long.items() if n not in LONGER_FILES} == {}
    assert {n: found for n, tree, _ in SOURCES if (found := long_functions(tree))} == {}
    assert long_functions(ast.parse("def f():\n" + " x = 1\n" * FUNCTION_MAX)) == ["f"]


def test_every_file_says_what_lives_there() -> None:
    silent = [n for n, tree, text in SOURCES if text.strip() and not ast.get_docstring(tree)]
    assert silent == []


def test_core_is_pure() -> None:
    for name, tree, _ in SOURCES:
        if name.startswith(("gateway/core/", "gateway/domain/")):
            strangers = {module.split(".")[0] for module in imports(tree)} - CORE_MAY
            assert strangers == set(), f"{name} imports {strangers}"
            ours = {module for module in imports(tree) if module.startswith("gateway.")}
            outside = {m for m in ours if not m.startswith(("gateway.core", "gateway.domain"))}
            assert outside == set(), f"{name} imports {outside}"
            if name.startswith("gateway/domain/"):
                assert not {m for m in ours if m.startswith("gateway.core")}, name
            assert not re.search(r"\bfloat\(|\bset\(\s*\)|\bhash\(", ast.unparse(tree)), name
    assert imports(ast.parse("import asyncio")) - CORE_MAY == {"asyncio"}


def test_no_float_in_the_core() -> None:
    for name, tree, _ in SOURCES:
        if name.startswith(("gateway/core/", "gateway/domain/")):
            floats = [
                node.lineno for node in ast.walk(tree)
                if (isinstance(node, ast.Constant) and isinstance(node.value, float))
                or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
            ]  # fmt: skip
            assert floats == [], f"{name}: {floats}"


def test_one_reader_of_time() -> None:
    for name, tree, _ in SOURCES:
        if not owned(name, tuple(MAY_READ_TIME)):
            assert time_calls(tree) == set(), name
    assert time_calls(ast.parse("import time\nt = time.time_ns()")) == {"time.time_ns"}


def test_one_owner_per_outside_thing() -> None:
    for name, tree, _ in SOURCES:
        for module in {m.split(".")[0] for m in imports(tree)}:
            if module in OWNERS:
                assert owned(name, OWNERS[module]), f"{name} imports {module}"


def test_who_may_import_whom() -> None:
    for name, tree, _ in SOURCES:
        ours = {m for m in imports(tree) if m.split(".")[0] in PACKAGES}
        if name.startswith("ledger/"):
            allowed: tuple[str, ...] = ("ledger", "gateway.domain")
        elif name.startswith("drivers/sim/"):
            allowed = ("drivers.sim", "gateway.domain")
        elif name.startswith("drivers/"):
            allowed = ("drivers", "gateway.domain")
        elif name == "gateway/registry.py":
            allowed = ("gateway", "drivers")
        elif name.startswith("gateway/bench/"):
            allowed = ("gateway", "drivers.sim")
        else:
            allowed = ("gateway",)
        assert {m for m in ours if not m.startswith(allowed)} == set(), name


def test_drivers_do_not_know_each_other() -> None:
    shared = {"drivers.base", "drivers.framing", "drivers.link", "drivers"}
    for name, tree, _ in SOURCES:
        if name.startswith("drivers/") and not name.startswith("drivers/sim/"):
            others = {
                m for m in imports(tree)
                if m.startswith("drivers.") and m not in shared and not m.startswith("drivers._")
            }  # fmt: skip
            assert others == set(), name


def test_names_say_what_a_thing_is() -> None:
    for name, tree, _ in SOURCES:
        assert not BAD_NAMES.search(Path(name).stem), name
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                assert not BAD_NAMES.search(node.name), f"{name}: {node.name}"
    assert BAD_NAMES.search("shelf_helper")


def test_no_broad_except_and_no_test_branch() -> None:
    for name, tree, text in SOURCES:
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not reraises(node):
                caught = ast.unparse(node.type) if node.type else "everything"
                broad = caught in ("Exception", "BaseException", "everything")
                assert not broad or name == "gateway/supervisor.py", name
        assert not re.search(r"PYTEST|_TESTING|is_test|in_test\b|TODO|FIXME|XXX", text), name


def test_nobody_else_provides_our_packages() -> None:
    for package in PACKAGES:
        owners = {d for d in metadata.packages_distributions().get(package, ()) if d != "stockd"}
        assert owners == set()
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not {p.name for p in (ROOT / "tests").iterdir() if p.is_dir()} & set(PACKAGES)


def test_no_empty_or_orphaned_module() -> None:
    text = "\n".join(t for _, _, t in SOURCES) + (ROOT / "pyproject.toml").read_text("utf-8")
    for name, _, body in SOURCES:
        stem = Path(name).stem
        if stem.startswith("__") or name.startswith("drivers/sim/"):
            continue  # the simulator's parts are found by its shop
        assert body.strip(), name
        module = name[:-3].replace("/", ".")
        parent = module.rpartition(".")[0]
        used = f"{module}" in text.replace(body, "") or re.search(
            rf"from {re.escape(parent)} import [^\n]*\b{stem}\b", text
        )
        loaded_by_name = name.startswith("gateway/cli/") or (
            module == f"drivers.{stem}" and stem in registry.driver_names()
        )
        assert used or loaded_by_name, f"{name} is imported by nobody"


@pytest.mark.parametrize(
    "document", ["README.md", "ARCHITECTURE.md", "DECISIONS.md", "CHANGELOG.md"]
)
def test_documents_exist_and_name_no_machine(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert len(text) > 200
    assert not re.search(r"/work/|/root/|pypi\.org|registry\.npmjs", text)
