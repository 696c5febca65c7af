"""What the registers of a transmitter mean: weights in milligrams, and the flags beside them. Pure.

Here: one answer's bytes to readings, by a `Plan` of where each weight and status lies. Not here:
how answers are found in a stream (`_modbus`), which registers a model uses (`_modbus_presets`),
what is asked when (`scale_modbus`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from drivers._modbus import Answers
from drivers._modbus_presets import Number, StatusBit
from gateway.domain.reading import FLAGS, Body, Garbled, Weight, Word, garbled
from gateway.domain.units import div_half_even

NUMBER: Final = "number"
NG_PER_MG: Final = 1_000_000

_MASS_MAX_MG: Final = 10**12  # a thousand tonnes
_USELESS: Final = frozenset(("over", "under", "error"))


class Poll(Word, frozen=True):
    """One request of a round, made to each unit."""

    address: int
    count: int

    @property
    def size(self) -> int:
        """Bytes of registers in its answer."""
        return 2 * self.count


class Plate(Word, frozen=True):
    """Where one weight is in the answers of a unit, in bytes."""

    at: int
    status_at: int
    channel: int | msgspec.UnsetType = msgspec.UNSET


class Plan(Word, frozen=True):
    """What is asked, and what the answers mean."""

    answers: Answers
    polls: tuple[Poll, ...]
    """The last brings the weights; one before it brings their status."""
    plates: tuple[Plate, ...]
    by_unit: bool
    """The channel of a weight is its unit."""
    number: Number
    low_word_first: bool
    bits: tuple[StatusBit, ...]
    """Empty: there is no status."""
    count_ng: int

    @property
    def width(self) -> int:
        """Bytes of one weight."""
        return 2 if self.number.endswith("16") else 4


def mass_mg(raw: bytes, number: Number, count_ng: int) -> int | None:
    """A number as it lies in registers, high word first, in milligrams, rounded half to even.

    A float is taken apart by its bits (IEEE 754-2008, 3.4), so that the mass is exact. None when
    it is no number, or over a thousand tonnes. Never raises.

    >>> mass_mg(bytes.fromhex("3f9f1aa0"), "float32", 10**12)
    1243000
    """
    bits = int.from_bytes(raw, "big", signed=number.startswith("int"))
    exponent = 0
    if number == "float32":
        exponent = bits >> 23 & 0xFF
        if exponent == 0xFF:
            return None
        sign, bits = bits >> 31, bits & 0x7F_FFFF
        bits |= 0x80_0000 if exponent else 0
        bits = -bits if sign else bits
        exponent = max(exponent, 1) - 150
    mass = div_half_even(bits * count_ng << max(exponent, 0), NG_PER_MG << max(-exponent, 0))
    return mass if abs(mass) <= _MASS_MAX_MG else None


def weights(plan: Plan, unit: int, data: bytes, status: bytes) -> list[Body]:
    """The answer of a unit to a reading for each plate; an empty `status`: not known this time.

    Never raises; both must be as long as the plan's polls say.
    """
    return [_weight(plan, plate, unit, data, status) for plate in plan.plates]


def _weight(plan: Plan, plate: Plate, unit: int, data: bytes, status: bytes) -> Weight | Garbled:
    channel = unit if plan.by_unit else plate.channel
    stable: bool | None = None
    said: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()
    if plan.bits and status:
        word = int.from_bytes(status[plate.status_at : plate.status_at + 2], "big")
        said = frozenset(bit.name for bit in plan.bits if bit.said(word))
        stable = "stable" in said if plan.bits[0].name == "stable" else None
        flags = tuple(flag for flag in FLAGS if flag in said)
    if not _USELESS.isdisjoint(flags):
        return Weight(0, stable, flags, channel)
    raw = data[plate.at : plate.at + plan.width]
    value = raw[-2:] + raw[:-2] if plan.low_word_first else raw
    mass = mass_mg(value, plan.number, plan.count_ng)
    if mass is None:
        return garbled(NUMBER, raw)
    return Weight(-mass if "negative" in said else mass, stable, flags, channel)
