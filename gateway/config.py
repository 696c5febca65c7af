"""The files that describe a shop to what the daemon runs on, or to every mistake in them.

Here: which files there are, in which order they are judged, what makes them one configuration.
Not here: TOML (`toml_text`), types (`config_types`), rules (`config_rules`, `config_devices`),
sheets (`catalogue`), what to do with the answer (`cli`, `app`).
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gateway import config_devices, config_rules, config_scan
from gateway.catalogue import (
    PackSheet,
    PlanogramSheet,
    ProductSheet,
    read_packs,
    read_planogram,
    read_products,
)
from gateway.config_types import Fault, typed
from gateway.domain.settings import Settings
from gateway.domain.store import Store
from gateway.problems import ConfigError, Problem
from gateway.toml_text import KeyPath, NotToml, TomlText, parse
from gateway.zone import calendar_of

FILE_BYTES_MAX: Final = 16 * 1_048_576
_PATHS: Final = (
    ("journal", ("path",)),
    ("ledger_link", ("ca_file", "cert_file", "key_file")),
    ("catalogue", ("products", "planogram", "packs")),
)
"""Keys that name files, by table; relative ones are relative to the configuration."""


class Loaded(msgspec.Struct, frozen=True):
    """A configuration without a mistake."""

    settings: Settings
    store: Store
    sha256: str
    """Over the bytes of store.toml, products, planogram and, where there are any, packs, in this
    order, each after its length as 8 bytes, big-endian: two configurations are the same when
    this is."""
    path: Path
    """store.toml, absolute."""


class _Unreadable(Exception):
    """Why a file gives no bytes, in plain words."""


def load(path: Path | str) -> Loaded:
    """Reads store.toml and the sheets it names.

    Raises ConfigError with every problem of these files at once; nothing else, whatever the
    user wrote. It opens no device and no connection.
    """
    file = Path(path)
    data, toml = _toml(file)
    given, faults = typed(toml.tree)
    settings = _absolute(given, file.absolute().parent)
    faulty = {fault.path for fault in faults}
    faults += config_rules.faults(settings, faulty)
    rcn_faults = config_scan.faults(settings, faulty)
    faults += rcn_faults
    faults += config_devices.faults(settings, faulty)

    sheets: dict[str, bytes] = {}
    for name in ("products", "planogram", "packs"):
        sheet = Path(getattr(settings.catalogue, name))
        if name == "packs" and not given.catalogue.packs:
            continue
        try:
            sheets[name] = _bytes(sheet)
        except _Unreadable as why:
            faults.append(Fault(("catalogue", name), f"{why}: {sheet}"))
    products = ProductSheet((), None, ())
    if "products" in sheets:
        shown = str(file.parent / given.catalogue.products)
        layouts = () if rcn_faults else settings.scan.rcn
        products = read_products(sheets["products"], shown, layouts)
    planogram = PlanogramSheet((), ())
    if "planogram" in sheets:
        shown = str(file.parent / given.catalogue.planogram)
        places = None if ("location",) in faulty else settings.location
        planogram = read_planogram(sheets["planogram"], shown, places, products)

    packs = PackSheet()
    if "packs" in sheets:
        packs = read_packs(sheets["packs"], str(file.parent / given.catalogue.packs), products)

    problems = [*_placed(faults, toml, file), *products.problems]
    if problems := [*problems, *planogram.problems, *packs.problems]:
        raise ConfigError(problems)
    return Loaded(
        settings=config_devices.with_rates(settings),
        store=Store(
            settings.store.id,
            settings.location,
            products.products,
            planogram.facings,
            packs.cases,
            calendar_of(settings.store.timezone),
        ),
        sha256=_sha256((data, *sheets.values())),
        path=file.absolute(),
    )


def _toml(file: Path) -> tuple[bytes, TomlText]:
    try:
        data = _bytes(file)
        return data, parse(data.decode("utf-8-sig"))
    except _Unreadable as why:
        remedy = "give the right one with --config FILE"
        problem = Problem(str(file), str(why), remedy=remedy)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(
            str(file), "is not UTF-8 text", line=line, remedy="save it as UTF-8; 请另存为 UTF-8"
        )
    except NotToml as error:
        problem = Problem(str(file), error.message, line=error.line, remedy=error.remedy)
    raise ConfigError((problem,))


def _bytes(file: Path) -> bytes:
    """The whole of a regular file. Raises _Unreadable."""
    try:
        mode = file.stat().st_mode  # before opening: a FIFO would wait for its writer
        if stat.S_ISREG(mode):
            with file.open("rb") as stream:
                data = stream.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise _Unreadable("no such file") from None
    except OSError as error:
        raise _Unreadable(f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise _Unreadable(f"is {what}, not a file")
    if len(data) > FILE_BYTES_MAX:
        raise _Unreadable(f"is larger than {FILE_BYTES_MAX >> 20} MiB")
    return data


def _absolute(settings: Settings, base: Path) -> Settings:
    """The settings with each path made absolute; an empty one stays empty."""
    tables = {}
    for table, keys in _PATHS:
        old = getattr(settings, table)
        new = {key: str(base / given) for key in keys if (given := getattr(old, key))}
        tables[table] = msgspec.structs.replace(old, **new)
    return msgspec.structs.replace(settings, **tables)


def _placed(faults: Iterable[Fault], toml: TomlText, file: Path) -> list[Problem]:
    """Faults as problems of the file, from top to bottom."""
    problems = [
        Problem(
            str(file),
            fault.message,
            line=toml.line_of(fault.path),
            key=_key(fault.path),
            remedy=fault.remedy,
        )
        for fault in faults
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _key(path: KeyPath) -> str:
    """A path as people count: `device[2].location` is the second device's."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _sha256(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()
