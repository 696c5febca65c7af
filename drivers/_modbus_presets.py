"""Where transmitters keep their weight and what the bits of their status say, by model.

Here: facts out of manuals, one `RegisterMap` each, and the notation of status bits. Registers are
counted from 0, as on the wire. Of gross and net weight each names the gross one: the tare key of
an instrument must not look like goods taken away. Not here: how registers are read
(`scale_modbus`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from drivers.base import DeviceMisconfigured
from gateway.domain.reading import FLAGS, Word

Function = Literal["holding", "input"]
Number = Literal["int16", "uint16", "int32", "uint32", "float32"]
Words = Literal["big", "little"]

BIT_NAMES: Final = ("stable", "negative", *FLAGS)
"""What a status bit may say; `negative`: the number is a magnitude and this is its sign."""

_BITS: Final = re.compile(r"!?(?:1[0-5]|[0-9])(?: !?(?:1[0-5]|[0-9]))*")


class RegisterMap(Word, frozen=True):
    """Where the weight of a transmitter is."""

    source: str = ""
    function: Function = "holding"
    register: int = 0
    type: Number = "int32"
    words: Words = "big"
    status_register: int = -1
    """-1: it has none."""
    status_bits: tuple[tuple[str, str], ...] = ()
    """As the option: what is said, and the bits that say it."""


class StatusBit(Word, frozen=True):
    """One thing a status word says: any of `ones` set, or any of `zeros` clear."""

    name: str
    ones: int
    zeros: int

    def said(self, status: int) -> bool:
        """Whether this status word says it."""
        return bool(status & self.ones or ~status & self.zeros)


def status_bits(bits: Mapping[str, str]) -> tuple[StatusBit, ...]:
    """Bits 0 to 15 by name, "6 9" for either of two, "!5" for a clear one, in fixed order.

    Raises DeviceMisconfigured.
    """
    for name, text in bits.items():
        if name not in BIT_NAMES:
            raise DeviceMisconfigured(f"status_bits: {name} is none of {', '.join(BIT_NAMES)}")
        if not _BITS.fullmatch(text):
            raise DeviceMisconfigured(
                f'status_bits: {name} = "{text}" is no list of bits 0 to 15, as "6", "6 9" or "!5"'
            )
    found = []
    for name in (name for name in BIT_NAMES if name in bits):
        words = bits[name].split(" ")
        ones = sum({1 << int(word) for word in words if word[0] != "!"})
        zeros = sum({1 << int(word[1:]) for word in words if word[0] == "!"})
        found.append(StatusBit(name, ones, zeros))
    return tuple(found)


PRESETS: Final[Mapping[str, RegisterMap]] = MappingProxyType(
    {
        "": RegisterMap("no preset: a signed number at register 0, without a status"),
        "register80": RegisterMap(
            "manual of an unbranded RS-485 load-cell transmitter: `08` Module status, `80` Reading "
            "of weights",
            register=80,
            status_register=8,
            # bit 4 "power on cleared" and 10, 11 "valley, peak detected" say nothing of a weight
            status_bits=(("stable", "!5"), ("zero", "7"), ("over", "6 9")),
        ),
        "laumas": RegisterMap(
            "LAUMAS TLB4 protocols manual 1.03 (registers), LCB manual pages 3 and 45 (status "
            "register 1, weights without sign)",
            register=7,
            type="uint32",
            status_register=6,
            status_bits=(
                ("stable", "11"),
                ("negative", "7"),
                ("over", "2 3"),
                ("zero", "12"),
                ("error", "0 1 4"),
            ),
        ),
        "flintec": RegisterMap(
            "Flintec FT-11 manual 1.35 appendix 4; the same registers in FT-12, FT-13, FT-16, "
            "FT-10 and, with bit 12, in PT113 9.1.2.1 and Baykon MX08 command set 1",
            register=5,
            status_register=2,
            status_bits=(("stable", "!2"), ("zero", "12"), ("error", "!1")),
        ),
    }
)
"""Register maps by the option `preset`."""
