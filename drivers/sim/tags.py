"""RFID tags before antennas: which lie where, and what one visit of an antenna hears of them.

Every unit has a tag, or none, or two, or one that no GS1 company wrote; how well it is heard is its
own, for ever, drawn from the seed, its GTIN and its serial number. Misses come together: bodies
stand before neighbouring tags, and the whole reader stalls (ALGORITHMS 7.2, the RFID rows). Here:
the radio and the tags. Not here: how a reader tells of it (`llrp_reader`, `json_reader`), who moves
goods (`world`), and no thought of how anybody decides that a tag has gone.
Source of the EPC: GS1 EPC Tag Data Standard, "SGTIN-96", company prefixes of seven digits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, inf
from random import Random
from typing import Final, Protocol

from drivers.sim.truth import PIECE_MILLI, Opening
from gateway.domain.reading import Word

VISIT_S: Final = 0.25
"""How long the visit lasts that a tag's read probability is meant for."""
RESIDUAL: Final = 0.05
"""Read probability of a tag with a body before it, at most."""
P_LEAST: Final = 0.02
P_MOST: Final = 0.99
RSSI_DBM: Final = -55.0
STRAY_DB: Final = 12.0
"""A stray is heard this much weaker."""
RSSI_LIMITS_DBM: Final = (-90.0, -25.0)
SERIAL_BITS: Final = 38
TWIN: Final = 1 << (SERIAL_BITS - 1)
"""Set in the serial number of a unit's second tag."""


@dataclass(frozen=True, slots=True)
class Radio:
    """The RFID rows of a column of ALGORITHMS table 7.2; shares and probabilities are 0 to 1."""

    name: str
    p: float
    """Probability that a visit reads a tag: the median tag's."""
    spread: float
    """Log-normal, between tags."""
    rssi_sd_db: float
    mistagged: float
    """Share of units without a tag (half of them) or with two."""
    foreign: float = 0.0
    """Share of tags that no GS1 company wrote; not in the table."""
    blocked_every_s: float = inf
    blocked_s: float = 0.0
    """Mean length of a body's stay; exponential, as is the gap before it."""
    blocked_share: tuple[float, float] = (0.0, 0.0)
    """Range of the share of contiguous tags it stands before."""
    outage_every_s: float = inf
    outage_s: tuple[float, float] = (0.0, 0.0)
    strays: float = 0.0
    """Probability that a visit reads a tag that lies before the next antenna."""


L1: Final = Radio(
    name="L1",
    p=0.95,
    spread=0.2,
    rssi_sd_db=3.0,
    mistagged=0.005,
    blocked_every_s=300.0,
    blocked_s=4.0,
    blocked_share=(0.3, 0.3),
)
L2: Final = Radio(
    name="L2",
    p=0.8,
    spread=0.4,
    rssi_sd_db=6.0,
    mistagged=0.035,
    foreign=0.02,
    blocked_every_s=60.0,
    blocked_s=8.0,
    blocked_share=(0.1, 1.0),
    outage_every_s=600.0,
    outage_s=(5.0, 60.0),
    strays=0.005,
)
L3: Final = replace(
    L2,
    name="L3",
    p=0.4,
    spread=0.6,
    rssi_sd_db=9.0,
    mistagged=0.1,
    foreign=0.07,
    blocked_every_s=20.0,
    blocked_s=15.0,
    outage_every_s=300.0,
    strays=0.02,
)
QUIET: Final = replace(L1, name="quiet", blocked_every_s=inf)
"""The demo's default: the radio of L1 with nobody in its way."""

RADIOS: Final[Mapping[str, Radio]] = {radio.name: radio for radio in (QUIET, L1, L2, L3)}


class Heard(Word, frozen=True):
    """A tag that a visit read, how strongly, and when by the simulator's clock."""

    epc: bytes
    rssi_dbm: float
    at_s: float


class Air(Protocol):
    """What a reader hears by; a `TagField` is one. Asked with times that never go back."""

    def heard(self, antenna: int, at_s: float) -> list[Heard]:
        """What a visit of `VISIT_S` that ends now hears."""

    def stalled(self, at_s: float) -> bool:
        """Whether the reader hears, and says, nothing now."""


def sgtin_96(gtin: str, serial: int) -> bytes:
    """The EPC of a unit: filter 1 (point of sale), a company prefix of seven digits.

    `gtin` has up to 14 digits. Raises ValueError for a serial number of more than 38 bits.
    """
    if not 0 <= serial < 1 << SERIAL_BITS:
        raise ValueError(f"serial number {serial} has more than {SERIAL_BITS} bits")
    digits = gtin.zfill(14)
    company, item = int(digits[1:8]), int(digits[0] + digits[8:13])
    value = 0x30 << 88 | 1 << 85 | 5 << 82 | company << 58 | item << 38 | serial
    return value.to_bytes(12)


class _Tag:
    """One tag for ever: its EPC, how well it answers, how strongly each antenna hears it."""

    __slots__ = ("_offsets_db", "_sd_db", "_seed", "epc", "p")

    def __init__(self, epc: bytes, radio: Radio, rng: Random) -> None:
        self.epc = epc
        self.p = min(max(radio.p * exp(rng.gauss(0.0, radio.spread)), P_LEAST), P_MOST)
        self._seed, self._sd_db = rng.random(), radio.rssi_sd_db
        self._offsets_db: dict[int, float] = {}

    def offset_db(self, antenna: int) -> float:
        """How much stronger or weaker than usual this antenna hears it."""
        found = self._offsets_db.get(antenna)
        if found is None:
            found = Random(f"{self._seed}/{antenna}").gauss(0.0, self._sd_db)
            self._offsets_db[antenna] = found
        return found


class _Unit:
    """A unit of goods where it lies, with its tags."""

    __slots__ = ("gtin", "serial", "tags")

    def __init__(self, gtin: str, serial: int, radio: Radio, seed: int) -> None:
        rng = Random(f"tag/{seed}/{gtin}/{serial}")
        self.gtin = gtin
        self.serial = serial
        mistagged = rng.random()
        tags = 1
        if mistagged < radio.mistagged:
            tags = 0 if mistagged < radio.mistagged / 2.0 else 2
        self.tags = [_tag(gtin, serial | TWIN * number, radio, rng) for number in range(tags)]


def _tag(gtin: str, serial: int, radio: Radio, rng: Random) -> _Tag:
    if rng.random() < radio.foreign:
        return _Tag(b"\xe2" + rng.randbytes(11), radio, rng)
    return _Tag(sgtin_96(gtin, serial), radio, rng)


class _Spells:
    """Times when something lasts: exponential gaps, lengths drawn by the caller's rule."""

    def __init__(self, every_s: float, rng: Random) -> None:
        self._every_s, self._rng = every_s, rng
        self._begin_s = self._end_s = -inf
        self._next_s = inf

    def begins(self, at_s: float) -> bool:
        """Whether a new spell has begun by now; it must then be told how long it lasts."""
        if self._every_s == inf:
            return False
        if self._next_s == inf:
            self._next_s = at_s + self._rng.expovariate(1.0 / self._every_s)
        return at_s >= self._next_s

    def last(self, at_s: float, lasts_s: float) -> None:
        """The spell that begins now lasts so long; the next comes a gap after its end."""
        self._begin_s, self._end_s = at_s, at_s + lasts_s
        self._next_s = self._end_s + self._rng.expovariate(1.0 / self._every_s)

    def on(self, at_s: float) -> bool:
        """Whether a spell is on."""
        return self._begin_s <= at_s < self._end_s


class TagField:
    """The tags of a shop and the antennas of one reader; asked with times that never go back."""

    def __init__(
        self, antennas: Mapping[int, str], radio: Radio, seed: int, reader: str = ""
    ) -> None:
        """`antennas`: the location before each. Antennas next in number hear each other's tags.

        Of one seed every reader sees the same tags; what stands before it is its own, by its name.
        """
        self._radio, self._seed = radio, seed
        self._antennas = dict(sorted(antennas.items()))
        self._rng = Random(f"radio/{seed}/{reader}")
        self._units: dict[str, list[_Unit]] = defaultdict(list)
        self._serials: dict[str, int] = defaultdict(int)
        self._outages = _Spells(radio.outage_every_s, self._rng)
        self._bodies = {
            antenna: _Spells(radio.blocked_every_s, self._rng) for antenna in self._antennas
        }
        self._behind: dict[int, tuple[float, float]] = {}

    # --- goods

    def populate(self, opening: Iterable[Opening]) -> None:
        """The goods of the opening stock, with serial numbers from 1 up for each product."""
        for one in opening:
            for _ in range(one.qty_milli // PIECE_MILLI):
                self.add(one.location, one.gtin)

    def add(self, location: str, gtin: str) -> int:
        """A unit that was never here comes to lie at a place; returns its serial number."""
        self._serials[gtin] += 1
        self.put(location, gtin, self._serials[gtin])
        return self._serials[gtin]

    def put(self, location: str, gtin: str, serial: int) -> None:
        """A unit comes to lie at a place, behind the others. Raises ValueError (38 bits)."""
        self._units[location].append(_Unit(gtin, serial, self._radio, self._seed))

    def take(self, location: str, gtin: str) -> int:
        """The first unit of a product leaves a place; returns its serial number.

        Raises LookupError where none lies.
        """
        units = self._units[location]
        for number, unit in enumerate(units):
            if unit.gtin == gtin:
                del units[number]
                return unit.serial
        raise LookupError(f"no unit of {gtin} lies at {location}")

    def tags(self, antenna: int) -> frozenset[bytes]:
        """The EPCs that truly lie before an antenna."""
        return frozenset(tag.epc for tag in self._before(antenna))

    # --- radio

    def stalled(self, at_s: float) -> bool:
        """Whether the reader hears, and says, nothing now."""
        if self._outages.begins(at_s):
            self._outages.last(at_s, self._rng.uniform(*self._radio.outage_s))
        return self._outages.on(at_s)

    def heard(self, antenna: int, at_s: float) -> list[Heard]:
        """What a visit of `VISIT_S` that ends now hears: tags as they lie, at mixed times."""
        if self.stalled(at_s):
            return []
        tags = self._before(antenna)
        first, behind = self._blocked(antenna, at_s, len(tags))
        found = []
        for number, tag in enumerate(tags):
            hidden = (number - first) % len(tags) < behind
            if self._rng.random() < (min(tag.p, RESIDUAL) if hidden else tag.p):
                found.append(self._read(tag, antenna, at_s, 0.0))
        if self._radio.strays:
            found += [
                self._read(tag, antenna, at_s, STRAY_DB)
                for beside in self._beside(antenna)
                for tag in self._before(beside)
                if self._rng.random() < self._radio.strays
            ]
        return found

    def _before(self, antenna: int) -> list[_Tag]:
        location = self._antennas.get(antenna)
        units = () if location is None else self._units.get(location, ())
        return [tag for unit in units for tag in unit.tags]

    def _beside(self, antenna: int) -> list[int]:
        here = self._antennas.get(antenna)
        near = (antenna - 1, antenna + 1)
        return [one for one in near if self._antennas.get(one) not in (None, here)]

    def _blocked(self, antenna: int, at_s: float, tags: int) -> tuple[int, int]:
        """The first of the contiguous tags that a body hides, and how many; it wraps around."""
        spells = self._bodies.get(antenna)
        if spells is None:
            return 0, 0
        if spells.begins(at_s):
            spells.last(at_s, self._rng.expovariate(1.0 / self._radio.blocked_s))
            share = self._rng.uniform(*self._radio.blocked_share)
            self._behind[antenna] = (self._rng.random(), share)
        if not spells.on(at_s):
            return 0, 0
        begin, share = self._behind[antenna]
        return int(begin * tags), round(share * tags)

    def _read(self, tag: _Tag, antenna: int, at_s: float, weaker_db: float) -> Heard:
        flicker_db = self._rng.gauss(0.0, self._radio.rssi_sd_db / 3.0)
        rssi_dbm = RSSI_DBM + tag.offset_db(antenna) + flicker_db - weaker_db
        low_dbm, high_dbm = RSSI_LIMITS_DBM
        when_s = at_s - self._rng.random() * VISIT_S
        return Heard(tag.epc, min(max(rssi_dbm, low_dbm), high_dbm), when_s)
