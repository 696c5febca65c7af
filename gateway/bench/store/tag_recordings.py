"""Real reads: a box among a room of tags, and reads that come out of order.

Figures of `figures(data)`: `real/box.f1` from right, found, truth over all 24 recordings of half a
minute, `real/box10.f1` after ten seconds; `real/order.differ`: recordings in which reads shuffled
within 2 s lead to another state than the same reads sorted, of `.files`. What lies in a box is
known of 20 recordings; the other four are of the labels alone, so their truth is that of their set.
Not here: a copy of the recordings (`rfid-nedap`, `rfid-impinj-r420`: see their SOURCE.md), and no
value taken from them.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from gateway.bench.store.box import in_box
from gateway.core.presence import Zones
from gateway.core.readers import ReaderRules
from gateway.domain.units import NS_PER_S

BOXES: Final = "rfid-nedap"
WALKS: Final = "rfid-impinj-r420"
US_PER_S: Final = 1_000_000
SHUFFLED_S: Final = 2


@dataclass(frozen=True, order=True, slots=True)
class Read:
    """One read, by the reader's clock."""

    seen_us: int
    antenna: int
    epc: str
    rssi_cdbm: int
    in_box: bool = False


def boxes(data: Path) -> Iterator[tuple[str, list[Read]]]:
    """Name and reads of each recording before the room, sorted by time."""
    for name, rows in _rows(data / BOXES):
        yield name, sorted(
            Read(_micros(row["time"]), int(row["beam_id"]), row["epc"], 10 * int(row["rssi"]),
                 row.get("in_box") == "1")
            for row in rows
        )  # fmt: skip


def walks(data: Path) -> Iterator[tuple[str, list[Read]]]:
    """Name and reads of each walk past four antennas, in the order in which they came."""
    for name, rows in _rows(data / WALKS):
        yield name, [
            Read(_micros(row["timestamp"]), int(row["antenna"]),
                 row["epc"].removeprefix("b'").rstrip("'"), 100 * int(row["rssi"]))
            for row in rows
        ]  # fmt: skip


def figures(data: Path) -> dict[str, float]:
    """All figures above. Raises FileNotFoundError where there are no recordings."""
    found = boxed(data, 60) | {f"10{name}": value for name, value in boxed(data, 10).items()}
    told = {f"real/box{name}": value for name, value in found.items()}
    rng = Random(1)
    files = differ = 0
    for _, reads in walks(data):
        files += 1
        differ += end_of(in_order(reads)) != end_of(shuffled(reads, SHUFFLED_S, rng))
    return told | {"real/order.files": files, "real/order.differ": differ}


def boxed(data: Path, seconds: int) -> dict[str, float]:
    """How many tags of all boxes are found in so many seconds: right, found, truth, f1."""
    recorded = list(boxes(data))
    sets: dict[str, set[str]] = {}
    for name, reads in recorded:
        of_set = sets.setdefault(name.partition("/")[0], set())
        of_set.update(read.epc for read in reads if read.in_box)
    right = found = truth = 0
    for name, reads in recorded:
        end_us = reads[0].seen_us + seconds * US_PER_S
        told = in_box(Counter(read.epc for read in reads if read.seen_us < end_us))
        there = sets[name.partition("/")[0]]
        right, found, truth = right + len(told & there), found + len(told), truth + len(there)
    f1 = 2 * right / (found + truth)
    return {".right": right, ".found": found, ".truth": truth, ".f1": f1}


Arrival = tuple[int, Read]
"""When a read arrives at the gateway, in ns, and the read."""
End = tuple[list[tuple[str, int | None, int | None]], list[tuple[str, int, bool]]]
"""Every move (tag, from, to) and, at the end, every tag, its antenna, whether it is leaving."""


def in_order(reads: Sequence[Read]) -> list[Arrival]:
    """Each at once and in order."""
    return [(1000 * read.seen_us, read) for read in sorted(reads)]


def shuffled(reads: Sequence[Read], within_s: int, rng: Random) -> list[Arrival]:
    """Each by up to so much later, in the order that this makes."""
    late = [(1000 * read.seen_us + rng.randrange(within_s * NS_PER_S), read) for read in reads]
    return sorted(late, key=lambda arrival: arrival[0])


def end_of(arrivals: Sequence[Arrival]) -> End:
    """What the core makes of them."""
    zones = Zones(ReaderRules("rfid-1", "a1", "shelf").zone)
    moves = []
    for at_ns, read in arrivals:
        moves += zones.advance(at_ns)
        zones.read(at_ns, read.antenna, read.epc, read.rssi_cdbm, 1, read.seen_us)
    moves += zones.advance(arrivals[-1][0] + 10 * NS_PER_S)
    return [(move.tag, move.from_antenna, move.to_antenna) for move in moves], sorted(zones.tags())


def _rows(folder: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no recordings")
    for archive in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(archive) as found:
            for name in sorted(name for name in found.namelist() if name.endswith(".csv")):
                yield name, list(csv.DictReader(io.StringIO(found.read(name).decode())))


def _micros(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * US_PER_S + int(part.ljust(6, "0")[:6])
