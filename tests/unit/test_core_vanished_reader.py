"""A reader that vanishes, or an antenna of it, never changes the stock: silence is no departure."""

from __future__ import annotations

from gateway.core.engine import Engine
from gateway.domain.reading import Command, DeviceState, Reading, Stocktake, Tag
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

S = 1_000_000_000
START = 1_780_300_800 * S
GTIN = "80614141123458"
EPC = "3034257BF7194E40000{:05X}"
SHELF = Location("a1", "shelf")
DEVICE = DeviceSettings(
    "reader", "rfid_llrp", "tcp://10.0.0.7:5084", "a1", {"antennas": {"1": "a1"}}
)


def engine() -> Engine:
    store = Store("s0001", (SHELF,), (Product(GTIN, "Collar"),), (Facing("a1", "1", GTIN),))
    settings = Settings(StoreSettings("s0001"), location=(SHELF,), device=(DEVICE,))
    return Engine(settings, store, ZERO_INST, Past())


def test_a_vanished_reader_books_nothing_and_keeps_its_tags() -> None:
    shop = engine()
    shop.receive(Reading(START, "console", Command(Stocktake("a1", GTIN, 20_000))))
    shop.receive(Reading(START, "reader", DeviceState("up", "opened")))
    for second in range(60):
        for tag in range(20):
            at_ns = START + second * S + tag * 10_000_000
            shop.receive(Reading(at_ns, "reader", Tag(EPC.format(tag), 1, -5500)))
    (opening,) = shop.take().posted
    before = shop.balances()
    shop.receive(Reading(START + 61 * S, "reader", DeviceState("up", "antenna 1 lost")))
    shop.receive(Reading(START + 70 * S, "reader", DeviceState("down", "the cable was pulled")))
    shop.advance(START + 86_400 * S)
    assert shop.take().posted == ()
    assert shop.balances() == before
    assert opening.event.kind == "stocktake"
    view = shop.reader("reader")
    assert view is not None
    assert not view.up
    assert [(count.gtin, count.present) for count in view.tags] == [(GTIN, 20)]
