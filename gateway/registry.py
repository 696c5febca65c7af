"""Driver names to driver modules: found, checked against the contract, given their options.

Here: the only door from the daemon to `drivers`. Not here: what any one driver is or does, when
a device is opened (`supervisor`), where the configuration comes from (`config`).
Next: `drivers.base`, the contract.
"""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
from collections.abc import AsyncGenerator, Iterable, Mapping
from importlib import import_module
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

import msgspec

import drivers
from drivers import _hardware as hardware
from drivers import _probe as probes
from drivers.base import (
    Decoder,
    DeviceLost,
    DeviceMisconfigured,
    DeviceSilent,
    Driver,
    Link,
)
from drivers.link import LinkAddress, open_link, parse_link
from gateway.domain.reading import Body
from gateway.domain.settings import OptionValue
from gateway.problems import did_you_mean

__all__ = [
    "Decoder",
    "DeviceLost",
    "DeviceMisconfigured",
    "DeviceSilent",
    "DriverProblems",
    "Link",
    "LinkAddress",
    "LoadedDriver",
    "build_options",
    "choices",
    "driver_names",
    "hardware",
    "load",
    "open_link",
    "open_port",
    "parse_link",
    "parse_port",
    "probes",
]

Options = object
"""The frozen `Options` of some driver; only that driver looks inside."""

_NOT_DRIVERS: Final = frozenset(("base", "framing", "link"))


class DriverProblems(DeviceMisconfigured):
    """Everything that is wrong with a driver's name, module or options, at least one thing."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedDriver:
    """A driver module that keeps the contract."""

    name: str
    module: Driver
    schemes: tuple[str, ...]

    def decoder(self, options: Options) -> Decoder:
        """A fresh decoder: bytes in, readings out."""
        return self.module.decoder(options)

    def read(self, link: Link, options: Options) -> AsyncGenerator[Body, None]:
        """Readings from an open link until it is lost (DeviceLost)."""
        return self.module.read(link, options)


def driver_names() -> tuple[str, ...]:
    """The drivers there are, in alphabetical order; imports none of them."""
    return tuple(
        sorted(
            found.name
            for found in pkgutil.iter_modules(drivers.__path__)
            if not found.ispkg and found.name[0] != "_" and found.name not in _NOT_DRIVERS
        )
    )


def load(name: str) -> LoadedDriver:
    """The driver of this name. Raises DriverProblems: unknown, not loadable, no driver."""
    names = driver_names()
    if name not in names:
        remedy = did_you_mean(name, names) or f"there are: {', '.join(names)}"
        raise DriverProblems([f"no driver is called {name!r}; {remedy}"])
    try:
        module = import_module(f"drivers.{name}")
    except ImportError as error:
        raise DriverProblems([f"driver {name} cannot be loaded: {error}"]) from error
    problems = tuple(_contract_problems(module))
    if problems:
        raise DriverProblems(f"driver {name}: {problem}" for problem in problems)
    return LoadedDriver(name, cast(Driver, module), module.SCHEMES)


def _contract_problems(module: object) -> Iterable[str]:
    options = getattr(module, "Options", None)
    if not (
        isinstance(options, type)
        and dataclasses.is_dataclass(options)
        and options.__dataclass_params__.frozen  # type: ignore[attr-defined]
    ):
        yield "Options is no frozen dataclass"
    else:
        missing = dataclasses.MISSING
        for field in dataclasses.fields(options):
            if field.default is missing and field.default_factory is missing:
                yield f"option {field.name} has no default"
    schemes = getattr(module, "SCHEMES", None)
    if not (isinstance(schemes, tuple) and schemes and all(isinstance(s, str) for s in schemes)):
        yield "SCHEMES is no tuple of link schemes"
    if not callable(getattr(module, "decoder", None)):
        yield "decoder is no function"
    if not inspect.isasyncgenfunction(getattr(module, "read", None)):
        yield "read is no async generator"


def build_options(
    driver: LoadedDriver, mapping: Mapping[str, OptionValue], *, strings: bool = False
) -> Options:
    """The driver's `Options` from `[device.options]`, or from `k=v` texts with `strings`.

    As text, a list is written `a,b` and a map `1=a1,2=a2`. Raises DriverProblems with every
    problem at once: an option nobody reads, a value of the wrong type, out of range.
    """
    options_type: Any = driver.module.Options  # type: ignore[attr-defined]
    hints = get_type_hints(options_type)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(options_type)}
    problems: list[str] = []
    values: dict[str, object] = {}
    for name, said in mapping.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            remedy = did_you_mean(name, fields) or f"it reads: {known}"
            problems.append(f"{driver.name} does not read option {name}; {remedy}")
            continue
        try:
            values[name] = _convert(said, fields[name], strings=strings)
            options_type(**{name: values[name]})  # its range, whatever the others say
        except (msgspec.ValidationError, DeviceMisconfigured) as error:
            problems.append(_problem(name, said, fields[name], error))
    if problems:
        raise DriverProblems(problems)
    try:
        return cast(Options, options_type(**values))
    except DeviceMisconfigured as error:
        raise DriverProblems([str(error)]) from None


def choices(driver: LoadedDriver, option: str) -> tuple[str, ...]:
    """The texts that an option lists, without the empty one; none when it is free or absent."""
    hints = get_type_hints(driver.module.Options)  # type: ignore[attr-defined]
    return tuple(one for one in _choices(hints.get(option)) if isinstance(one, str) and one)


def _convert(said: OptionValue, hint: Any, *, strings: bool) -> object:
    value: object = said
    if strings and isinstance(said, str):
        parts = [part.strip() for part in said.split(",")] if said else []
        if get_origin(hint) in (tuple, list):
            value = parts
        elif get_origin(hint) is Mapping:
            value = {key: place for key, _, place in (part.partition("=") for part in parts)}
    return msgspec.convert(value, hint, strict=not strings)


def _problem(name: str, said: object, hint: Any, error: Exception) -> str:
    if isinstance(error, DeviceMisconfigured):
        return str(error)
    choices = tuple(str(choice) for choice in _choices(hint) if choice != "")
    if not choices:
        return f"option {name} = {said!r}: {error}"
    remedy = isinstance(said, str) and did_you_mean(said, choices)
    return f"option {name} = {said!r}: one of {', '.join(choices)}" + (
        f"; {remedy}" if remedy else ""
    )


def _choices(hint: Any) -> tuple[object, ...]:
    """The values a type lists, however deep inside it; empty when it lists none."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for inner in get_args(hint) for choice in _choices(inner))


def parse_port(driver: LoadedDriver, url: str) -> LinkAddress:
    """The address of a link this driver can use. Raises DeviceMisconfigured with a remedy."""
    address = parse_link(url)
    if address.scheme not in driver.schemes:
        usable = ", ".join(f"{scheme}://" for scheme in driver.schemes)
        raise DeviceMisconfigured(f"{driver.name} cannot use {address.scheme}://; it uses {usable}")
    return address


async def open_port(driver: LoadedDriver, url: str, options: Options) -> Link:
    """The open link, grabbed or listening where an option `grab` or `listen` says so.

    Raises DeviceLost or DeviceMisconfigured; both are worth another try later, since a plug or a
    udev rule may mend them.
    """
    address = parse_port(driver, url)
    if address.scheme == "mqtt":
        from gateway.topics import open_topic  # late: few stores have a reader that needs MQTT

        return await open_topic(address)
    return await open_link(
        url,
        grab=bool(getattr(options, "grab", False)),
        listen=bool(getattr(options, "listen", False)),
    )
