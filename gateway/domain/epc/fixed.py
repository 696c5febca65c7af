"""The EPC schemes of fixed fields: SGTIN-96 to ITIP-212, GID, DoD, aerospace (ADI).

Source: GS1 EPC Tag Data Standard 2.3, section 14.6, one function a coding table. All but GID, DoD
and ADI are alike:

    8 header | 3 filter | 3 partition | 20-40 company prefix | the rest of the key | serial | 0…

Prefix and reference share a fixed number of bits and of digits; the partition says where the one
ends. A key's check digit is not on the tag: it is worked out. Next: `plus`, where keys are whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.domain.epc.bits import (
    CAGE,
    PREFIX,
    SET_39,
    Bits,
    Wrong,
    checked_text,
    six_bit_char,
    with_check_digit,
)
from gateway.domain.epc.words import EpcIdentity, Sgtin

# Weights 1 and 3 of four digits, the last of them 3: a check digit in four look-ups
_WEIGHTED: Final = bytes(
    n // 1000 + 3 * (n // 100 % 10) + n // 10 % 10 + 3 * (n % 10) for n in range(10_000)
)
_FIELDS: Final = tuple(
    # shift and mask of the prefix, its limit; mask of the reference, its limit; 10^item digits
    (82 - p, (1 << p) - 1, 10**d, (1 << 44 - p) - 1, 10 ** (13 - d), 10 ** (12 - d), d)
    for p, d in PREFIX
)


def sgtin_96(digits: str) -> Sgtin:
    """The commonest tag by far, so without a step too many. Raises Wrong."""
    if len(digits) != 24:
        raise Wrong("length", f"{4 * len(digits)} bits, not 96")
    value = int(digits, 16)
    partition = value >> 82 & 7
    if partition == 7:
        raise Wrong("partition", "partition 7")
    shift, mask, prefix_end, ref_mask, ref_end, items, prefix_digits = _FIELDS[partition]
    prefix, reference = value >> shift & mask, value >> 38 & ref_mask
    if prefix >= prefix_end or reference >= ref_end:
        raise Wrong("range", "company prefix or item reference has too many digits")
    indicator, item = divmod(reference, items)
    key = indicator * 1_000_000_000_000 + prefix * items + item
    rest, last = divmod(key, 100_000_000)
    total = _WEIGHTED[rest // 10_000] + _WEIGHTED[rest % 10_000]
    total += _WEIGHTED[last // 10_000] + _WEIGHTED[last % 10_000]
    gtin = f"{key:013d}{-total % 10}"
    return Sgtin("sgtin-96", value >> 85 & 7, gtin, str(value & 0x3F_FFFF_FFFF), prefix_digits)


def _head(bits: Bits, size: int, digits: int) -> tuple[int, str, str]:
    """Filter, company prefix, and the reference; the two share `size` bits and `digits`."""
    which = bits.take(3)
    prefix, taken, long = bits.prefix()
    return which, prefix, bits.number(size - taken, digits - long)


def _item(prefix: str, reference: str) -> str:
    """A GTIN: the indicator digit moves before the prefix (section 7.3.1)."""
    return with_check_digit(reference[0] + prefix + reference[1:])


def _sgtin_198(bits: Bits) -> Sgtin:
    which, prefix, reference = _head(bits, 44, 13)
    serial = bits.text(140, 20)
    return Sgtin("sgtin-198", which, _item(prefix, reference), serial, len(prefix))


def _itip(scheme: str, serial: Callable[[Bits], str]) -> Callable[[Bits], EpcIdentity]:
    def decode(bits: Bits) -> EpcIdentity:
        which, prefix, reference = _head(bits, 44, 13)
        piece, total = bits.number(7, 2), bits.number(7, 2)
        said = (prefix, reference, piece, total, serial(bits))
        keys = (("8006", _item(prefix, reference) + piece + total), ("21", said[-1]))
        return EpcIdentity(scheme, which, said, keys)

    return decode


def _sscc_96(bits: Bits) -> EpcIdentity:
    which, prefix, reference = _head(bits, 58, 17)
    bits.zeros(24)
    sscc = with_check_digit(reference[0] + prefix + reference[1:])
    return EpcIdentity("sscc-96", which, (prefix, reference), (("00", sscc),))


def _sgln(scheme: str, extension: Callable[[Bits], str]) -> Callable[[Bits], EpcIdentity]:
    def decode(bits: Bits) -> EpcIdentity:
        which, prefix, reference = _head(bits, 41, 12)
        said = (prefix, reference, extension(bits))
        gln = ("414", with_check_digit(prefix + reference))
        return EpcIdentity(scheme, which, said, sgln_keys(gln, said[-1]))

    return decode


def sgln_keys(gln: tuple[str, str], extension: str) -> tuple[tuple[str, str], ...]:
    """Extension 0 is a GLN without one (section 7.5)."""
    return (gln,) if extension == "0" else (gln, ("254", extension))


def _serialised(
    scheme: str, size: int, ai: str, pad: str, serial: Callable[[Bits], str]
) -> Callable[[Bits], EpcIdentity]:
    """GRAI, GDTI, SGCN: prefix, type, serial; the check digit stands before the serial."""

    def decode(bits: Bits) -> EpcIdentity:
        which, prefix, reference = _head(bits, size, 12)
        said = (prefix, reference, serial(bits))
        key = pad + with_check_digit(prefix + reference) + said[-1]
        return EpcIdentity(scheme, which, said, ((ai, key),))

    return decode


def _giai_96(bits: Bits) -> EpcIdentity:
    which = bits.take(3)
    prefix, taken, _ = bits.prefix()
    asset = bits.integer(82 - taken, 19)
    return EpcIdentity("giai-96", which, (prefix, asset), (("8004", prefix + asset),))


def _giai_202(bits: Bits) -> EpcIdentity:
    which = bits.take(3)
    prefix, taken, long = bits.prefix()
    asset = bits.text(188 - taken, 30 - long)
    return EpcIdentity("giai-202", which, (prefix, asset), (("8004", prefix + asset),))


def _gsrn(scheme: str, ai: str) -> Callable[[Bits], EpcIdentity]:
    def decode(bits: Bits) -> EpcIdentity:
        which, prefix, reference = _head(bits, 58, 17)
        bits.zeros(24)
        key = with_check_digit(prefix + reference)
        return EpcIdentity(scheme, which, (prefix, reference), ((ai, key),))

    return decode


def _cpi_96(bits: Bits) -> EpcIdentity:
    which = bits.take(3)
    prefix, taken, long = bits.prefix()
    part = bits.integer(51 - taken, 15 - long)
    return _cpi("cpi-96", which, prefix, part, bits.integer(31))


def _cpi_var(bits: Bits) -> EpcIdentity:
    which = bits.take(3)
    prefix, _, long = bits.prefix()
    part = checked_text(bits.six_bit(), SET_39, 30 - long)
    return _cpi("cpi-var", which, prefix, part, bits.integer(40, 12))


def _cpi(scheme: str, which: int, prefix: str, part: str, serial: str) -> EpcIdentity:
    keys = (("8010", prefix + part), ("8011", serial))
    return EpcIdentity(scheme, which, (prefix, part, serial), keys)


def _gid_96(bits: Bits) -> EpcIdentity:
    said = bits.integer(28), bits.integer(24), bits.integer(36)
    return EpcIdentity("gid-96", None, said, ())


def _usdod_96(bits: Bits) -> EpcIdentity:
    which = bits.take(4)
    code = "".join(chr(bits.take(8)) for _ in range(6))
    return EpcIdentity("usdod-96", which, (_government(code), bits.integer(36)), ())


def _government(code: str) -> str:
    """CAGE code (space and 5 characters) or DoDAAC (6)."""
    code = code.removeprefix(" ")
    if CAGE.fullmatch(code) is None:
        raise Wrong("characters", f"{code!r} is no CAGE code or DoDAAC")
    return code


_ADI_PART: Final = re.compile(r"[\-/0-9A-Z]{0,32}")
_ADI_SERIAL: Final = re.compile(r"#?[\-/0-9A-Z]{1,30}")


def _adi_var(bits: Bits) -> EpcIdentity:
    which = bits.take(6)
    code = _government("".join(six_bit_char(bits.take(6)) for _ in range(6)))
    part, serial = bits.six_bit(), bits.six_bit()
    if _ADI_PART.fullmatch(part) is None or _ADI_SERIAL.fullmatch(serial) is None:
        raise Wrong("characters", f"{part!r}, {serial!r} are no part number and serial")
    return EpcIdentity("adi-var", which, (code, part, serial), ())


def _int(size: int) -> Callable[[Bits], str]:
    return lambda bits: bits.integer(size)


def _text(size: int) -> Callable[[Bits], str]:
    return lambda bits: bits.text(size, size // 7)


def _digits(size: int, most: int) -> Callable[[Bits], str]:
    return lambda bits: bits.numeric_string(size, most)


SCHEMES: Final[Mapping[int, Callable[[Bits], Sgtin | EpcIdentity]]] = {
    0x2C: _serialised("gdti-96", 41, "253", "", _int(41)),
    0x2D: _gsrn("gsrn-96", "8018"),
    0x2E: _gsrn("gsrnp-96", "8017"),
    0x2F: _usdod_96,
    0x31: _sscc_96,
    0x32: _sgln("sgln-96", _int(41)),
    0x33: _serialised("grai-96", 44, "8003", "0", _int(38)),
    0x34: _giai_96,
    0x35: _gid_96,
    0x36: _sgtin_198,
    0x37: _serialised("grai-170", 44, "8003", "0", _text(112)),
    0x38: _giai_202,
    0x39: _sgln("sgln-195", _text(140)),
    0x3A: _serialised("gdti-113", 41, "253", "", _digits(58, 17)),
    0x3B: _adi_var,
    0x3C: _cpi_96,
    0x3D: _cpi_var,
    0x3E: _serialised("gdti-174", 41, "253", "", _text(119)),
    0x3F: _serialised("sgcn-96", 41, "255", "", _digits(41, 12)),
    0x40: _itip("itip-110", _int(38)),
    0x41: _itip("itip-212", _text(140)),
}
"""Decoders by header (table 14-1); each reads behind the header. 0x30 is `sgtin_96`."""
