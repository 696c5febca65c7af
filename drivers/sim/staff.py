"""What staff do: receive at the dock, restock shelves, take returns, write off.

They work with one scanner, switch its mode with the shop's own barcodes and always switch back.
Not here: shoppers (`people`), what the scanner's bytes are (`scanners`).
"""

from __future__ import annotations

from typing import Final

from drivers.sim.goods import Item
from drivers.sim.layout import StaffScanner
from drivers.sim.people import reach
from drivers.sim.scanners import datamatrix, datamatrix_serial, ean, mode_label, quantity_label
from drivers.sim.world import Home, Person, World

SCAN_LEAST_S: Final = 1.4
"""Staff never scan faster: each unit is handled between two scans."""
DELIVERY_UNITS: Final = (3, 8)
HANDFUL: Final = 3
COUNTED_SHARE: Final = 0.7
"""Deliveries of which one unit is scanned with a quantity; of the others each unit is."""
RETURN_SHARE: Final = 0.1
WRITEOFF_SHARE: Final = 0.1
SPARE_SHARE: Final = 0.3
"""Deliveries with one unit more than the shelf needs; it stays at the dock."""
DATAMATRIX_SHARE: Final = 0.5
BEST_BEFORE: Final = "301231"


def staff(world: World, scanner: StaffScanner) -> Person:
    """A working day: the emptiest shelf first, now and then a return or something spoilt."""
    task = 0
    while True:
        yield world.pause_ns(world.pace.staff_s, 1.0)
        if world.closed:
            return
        task += 1
        home = _emptiest(world)
        if home is not None:
            free = home.capacity - world.count(home.location, home.gtin)
            units = min(world.rng.randint(*DELIVERY_UNITS), free)
            spare = int(world.rng.random() < SPARE_SHARE)
            yield from _receive(world, scanner, home.gtin, units + spare, task)
            if world.closed:
                return
            yield from _restock(world, scanner, home, units)
        if world.rng.random() < RETURN_SHARE:
            yield from _take_return(world, scanner)
        if world.rng.random() < WRITEOFF_SHARE:
            yield from _write_off(world, scanner)


def _emptiest(world: World) -> Home | None:
    """The home with the least of what fits, where a delivery would still fit."""
    wanted = [
        (1000 * world.count(home.location, home.gtin) // home.capacity, place, home)
        for place, home in enumerate(world.homes)
        if home.capacity - world.count(home.location, home.gtin) >= DELIVERY_UNITS[0]
        and world.store.homes(home.gtin)[0] == home.location
    ]
    return min(wanted)[2] if wanted else None


def _receive(world: World, scanner: StaffScanner, gtin: str, units: int, task: int) -> Person:
    """A delivery: the scanner is told `units`, the box may truly hold one or two others."""
    if not _can(scanner, "receive"):
        return
    arrived = units
    if world.rng.random() < world.level.wrong_deliveries:
        arrived = max(1, units + world.rng.choice((-2, -1, 1, 2)))
    box = [world.goods.item(gtin) for _ in range(arrived)]
    coded = scanner.aim and world.rng.random() < DATAMATRIX_SHARE
    yield from _switch(world, scanner, "receive")
    if scanner.modes and world.rng.random() < COUNTED_SHARE:
        label = datamatrix(gtin, f"L{task:04d}", BEST_BEFORE) if coded else ean(gtin)
        yield from _count(world, scanner, units)
        world.beam(scanner.device, label)
        _arrive(world, scanner, box)
        yield _scan_pause_ns(world)
    else:
        yield from _scan_each(world, scanner, box, units, f"{task:04d}" if coded else None)
    yield from _switch_back(world, scanner, "receive")


def _scan_each(
    world: World, scanner: StaffScanner, box: list[Item], units: int, lot: str | None
) -> Person:
    """Unit by unit; what is still in the box when the shop closes stays outside."""
    gtin = box[0].gtin
    for number in range(units):
        if world.closed:
            return
        label = ean(gtin)
        if lot is not None:
            label = datamatrix_serial(gtin, f"L{lot}", BEST_BEFORE, f"{lot}{number:03d}")
        world.beam(scanner.device, label)
        _arrive(world, scanner, box[number : number + 1])
        yield _scan_pause_ns(world)
    _arrive(world, scanner, box[units:])


def _restock(world: World, scanner: StaffScanner, home: Home, units: int) -> Person:
    """Goods of the dock go to their shelf, in handfuls; sometimes nobody scans them."""
    silent = world.rng.random() < world.level.silent_restocks
    if not silent and not _can(scanner, "restock"):
        return
    hold = world.take(scanner.goods, home.gtin, units)
    if not hold:
        return
    world.put(scanner.goods, hold, -1)
    if not silent:
        yield from _switch(world, scanner, "restock")
        yield from _count(world, scanner, len(hold))
        world.beam(scanner.device, ean(home.gtin))
    yield world.pause_ns(world.pace.staff_s, 2.0)
    while hold:
        handful = hold[: world.rng.randint(1, HANDFUL)]
        yield from reach(world, home.location, 1, home.gtin, len(handful), hold)
        world.moved("restock", handful, scanner.goods, home.location)
        yield world.pause_ns(world.pace.staff_s, 2.0)
    if not silent:
        yield from _switch_back(world, scanner, "restock")


def _take_return(world: World, scanner: StaffScanner) -> Person:
    if not world.sold or not _can(scanner, "return"):
        return
    yield from _switch(world, scanner, "return")
    item = world.sold.pop(world.rng.randrange(len(world.sold)))
    world.beam(scanner.device, ean(item.gtin))
    world.put(scanner.goods, world.lay(scanner.goods, [item]), 1)
    world.moved("return", [item], "@sold", scanner.goods)
    yield _scan_pause_ns(world)
    yield from _switch_back(world, scanner, "return")


def _write_off(world: World, scanner: StaffScanner) -> Person:
    spoilt = [g for g in sorted(world.products) if world.count(scanner.goods, g)]
    if not spoilt or not _can(scanner, "writeoff"):
        return
    yield from _switch(world, scanner, "writeoff")
    gtin = world.rng.choice(spoilt)
    world.beam(scanner.device, ean(gtin))
    item = world.take(scanner.goods, gtin, 1)
    world.put(scanner.goods, item, -1)
    world.moved("writeoff", item, scanner.goods, "@waste")
    yield _scan_pause_ns(world)
    yield from _switch_back(world, scanner, "writeoff")


def _can(scanner: StaffScanner, mode: str) -> bool:
    """Whether the scanner can be brought into a mode, and back into its own."""
    return mode == scanner.mode or {mode, scanner.mode} <= set(scanner.modes)


def _switch(world: World, scanner: StaffScanner, mode: str) -> Person:
    if mode != scanner.mode:
        world.beam(scanner.device, mode_label(world.layout.prefix, mode))
        yield _scan_pause_ns(world)


def _switch_back(world: World, scanner: StaffScanner, mode: str) -> Person:
    if mode != scanner.mode:
        world.beam(scanner.device, mode_label(world.layout.prefix, scanner.mode))
        yield _scan_pause_ns(world)


def _count(world: World, scanner: StaffScanner, units: int) -> Person:
    """Says that the next scan stands for several units."""
    if units > 1:
        world.beam(scanner.device, quantity_label(world.layout.prefix, units))
        yield _scan_pause_ns(world)


def _arrive(world: World, scanner: StaffScanner, items: list[Item]) -> None:
    if items:
        world.put(scanner.goods, world.lay(scanner.goods, items), 1)
        world.moved("receive", items, "@supplier", scanner.goods)


def _scan_pause_ns(world: World) -> int:
    return world.pause_ns(world.pace.staff_scan_s, SCAN_LEAST_S)
