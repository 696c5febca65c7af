"""What the settings may say about scans: the private prefix, the layouts of restricted numbers.

Here: every rule about `[scan]` and `[[scan.rcn]]` (ALGORITHMS 1.3 and 1.4). Not here: the options
of a scanner (its driver's), products whose labels have such a layout (`catalogue`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from gateway.config_types import Fault
from gateway.domain import gs1, rcn
from gateway.domain.settings import Settings
from gateway.problems import quoted
from gateway.toml_text import KeyPath

MODE_PREFIX_MAX: Final = 16
RCN_RANGES: Final = {"item_digits": (1, 10), "value_digits": (0, 10), "decimals": (-3, 3)}
"""Lowest and highest value of each whole number of a layout."""


def faults(settings: Settings, faulty: Collection[KeyPath]) -> list[Fault]:
    """Everything wrong with `[scan]`; keys in `faulty` are not judged. Never raises."""
    found = [*_mode_prefix(settings.scan.mode_prefix)]
    for at, layout in enumerate(settings.scan.rcn):
        path: KeyPath = ("scan", "rcn", at)
        others = {n: one.prefix for n, one in enumerate(settings.scan.rcn[:at], start=1)}
        parts = [*_prefix(path, layout.prefix, others), *_ranges(path, layout)]
        sound = not parts and not any(key[: len(path)] == path for key in faulty)
        found += _layout(path, layout) if sound else parts
    return [fault for fault in found if fault.path not in faulty]


def _mode_prefix(prefix: str) -> Iterator[Fault]:
    path = ("scan", "mode_prefix")
    if not prefix.isascii() or len(prefix) > MODE_PREFIX_MAX:
        yield Fault(path, f"must be at most {MODE_PREFIX_MAX} ASCII characters")
    if prefix.isdigit():
        yield Fault(path, "is digits alone: products begin like that too", 'as in "STOCKD:"')


def _prefix(path: KeyPath, prefix: str, others: Mapping[int, str]) -> Iterator[Fault]:
    if not _is_restricted(prefix):
        message = f"must be digits from 02, 04 or 20 to 29 on, not {quoted(prefix)}"
        yield Fault((*path, "prefix"), message, "other numbers belong to products")
        return
    for at, other in others.items():
        if _is_restricted(other) and (prefix.startswith(other) or other.startswith(prefix)):
            message = f"{quoted(prefix)} and {quoted(other)} of rcn[{at}] begin the same numbers"
            yield Fault((*path, "prefix"), message)


def _is_restricted(prefix: str) -> bool:
    digits = prefix.isascii() and prefix.isdigit() and 2 <= len(prefix) < rcn.DIGITS
    return digits and gs1.is_restricted(f"0{prefix:0<13}")


def _ranges(path: KeyPath, layout: rcn.RcnLayout) -> Iterator[Fault]:
    for key, (low, high) in RCN_RANGES.items():
        value = getattr(layout, key)
        if not low <= value <= high:
            yield Fault((*path, key), f"must be {low} to {high}, not {value}")


def _layout(path: KeyPath, layout: rcn.RcnLayout) -> Iterator[Fault]:
    if layout.digits != rcn.DIGITS:
        parts = f"prefix {len(layout.prefix)}, item {layout.item_digits}"
        parts += ", verifier 1" if layout.value_check else ""
        parts += f", value {layout.value_digits}, check digit 1"
        message = f"{parts}: {layout.digits} digits in all, not {rcn.DIGITS}"
        yield Fault((*path, "value_digits"), message)
    elif layout.value != "none" and not layout.value_digits:
        yield Fault((*path, "value_digits"), f"is 0: there is no {layout.value}")
    if layout.value_check and layout.value_digits not in rcn.VERIFIED_DIGITS:
        message = f"a verifier is defined for 4 or 5 digits, not for {layout.value_digits}"
        yield Fault((*path, "value_check"), message)
    if layout.decimals and layout.value in ("count", "none"):
        yield Fault((*path, "decimals"), f"must be 0 where the value is {quoted(layout.value)}")
