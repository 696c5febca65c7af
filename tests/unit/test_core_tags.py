"""What tags do to the stock: levels, serial flows, two readers, restarts, the option `stock`."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Mapping

import pytest

from gateway.core.book import Balance, Book
from gateway.core.engine import Engine
from gateway.core.levels import FLOOR_MNAT
from gateway.core.outcome import EMPTY, Saved
from gateway.core.postings import Posted, Poster
from gateway.core.tag_book import GONE_MAX, LEFT_NS, TagBook
from gateway.core.tag_levels import Seen, TagLevels, table
from gateway.domain.ids import check_digit
from gateway.domain.observation import Because, LevelClaim, Note, TagsMoved
from gateway.domain.reading import Body, Command, DeviceState, Reading, Scan, Stocktake, Tag
from gateway.domain.settings import DeviceSettings, Settings, StoreSettings
from gateway.domain.stock import ADJUST, BASKET, LOST, SUPPLIER
from gateway.domain.store import Case, Facing, Location, Product, Store
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

S = 1_000_000_000
START = 1_780_300_800 * S
GTIN = "80614141123458"
CASE = f"1061414112345{check_digit('1061414112345')}"
PLACES = (
    Location("a1", "shelf"),
    Location("b1", "shelf"),
    Location("back", "backroom"),
    Location("door", "exit"),
    Location("till", "till"),
)
SHOP = Store(
    "s0001",
    PLACES,
    (Product(GTIN, "Collar"),),
    (Facing("a1", "1", GTIN),),
    (Case(CASE, GTIN, 6),),
)


def epc(serial: int) -> str:
    """SGTIN-96 of a unit, from 1000 on of a case."""
    gtin = GTIN if serial < 1000 or serial > 2000 else CASE
    company, item = int(gtin[1:8]), int(gtin[0] + gtin[8:13])
    bits = 0x30 << 88 | 1 << 85 | 5 << 82 | company << 58 | item << 38 | serial
    return f"{bits:024X}"


def reader(name: str, antennas: Mapping[str, str], **options: object) -> DeviceSettings:
    told = {"antennas": dict(antennas), **options}
    first = next(iter(antennas.values()))
    return DeviceSettings(name, "rfid_llrp", f"tcp://10.0.0.7/{name}", first, told)  # type: ignore[arg-type]


ONE = (reader("r1", {"1": "a1", "2": "back", "3": "door", "4": "till", "5": "b1"}),)
TWO = (reader("r1", {"1": "a1"}), reader("r2", {"1": "b1", "2": "door"}))


class Shop:
    """An engine and its journal; tags answer once a second."""

    def __init__(self, devices: tuple[DeviceSettings, ...] = ONE) -> None:
        till = DeviceSettings("till-1", "scanner_serial", "serial:///dev/t", "till", {})
        self.settings = Settings(StoreSettings("s0001"), location=PLACES, device=(*devices, till))
        self.past, self.position = Past(), EMPTY.position
        self.balances: dict[tuple[str, str, str], Balance] = {}
        self.parts: dict[str, bytes] = {}
        self.posted: list[Posted] = []
        self.seen: list[object] = []
        self.notes: list[Note] = []
        self.engine = Engine(self.settings, SHOP, ZERO_INST, self.past)
        self.at = 0
        for device in devices:
            self.say(device.id, DeviceState("up", "opened"))

    def say(self, device: str, body: Body) -> None:
        self.engine.receive(Reading(START + self.at * S + S // 2, device, body))
        self.take()

    def take(self) -> None:
        outcome = self.engine.take()
        for posted in outcome.posted:
            self.past.add(posted.event)
        self.posted += outcome.posted
        self.notes += outcome.notes
        self.seen += [seen for _, seen in outcome.observations]
        self.balances |= {(b.loc, b.gtin, b.lot): b for b in outcome.balances}
        for key, part in outcome.parts:
            if part is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = part
        self.position = outcome.position

    def restart(self) -> None:
        saved = Saved(self.position, tuple(self.balances.values()), dict(self.parts))
        self.engine = Engine(self.settings, SHOP, ZERO_INST, self.past, saved)
        assert {key: self.engine._part(key) for key in self.parts} == self.parts

    def count(self, location: str, units: int) -> None:
        self.say("console", Command(Stocktake(location, GTIN, units * 1000)))

    def hear(
        self, seconds: int, *tags: tuple[str, int, range], rssi: int = -5500, upper: bool = True
    ) -> None:
        """So many seconds in which the given serials answer at antennas of readers."""
        for _ in range(seconds):
            self.at += 1
            n = 0
            for device, antenna, serials in tags:
                for serial in serials:
                    n += 1
                    at_ns = START + self.at * S + n * 1_000_000
                    text = epc(serial) if upper else epc(serial).lower()
                    self.engine.receive(Reading(at_ns, device, Tag(text, antenna, rssi)))
        self.take()

    def wait(self, seconds: int) -> None:
        self.at += seconds
        self.engine.advance(START + self.at * S + S // 2)
        self.take()

    def held(self, location: str) -> int:
        return (
            sum(qty for (loc, _, _), qty in self.engine.balances().items() if loc == location)
            // 1000
        )

    def kinds(self) -> list[str]:
        return [p.event.kind for p in self.posted if p.event.kind != "stocktake"]

    def claims(self) -> list[LevelClaim]:
        return [seen for seen in self.seen if isinstance(seen, LevelClaim)]


# --- the likelihood of a count ----------------------------------------------------------------


@pytest.mark.parametrize("present", [0, 1, 2, 9, 40, 300])
@pytest.mark.parametrize("leaving", [0, 1, 5, 70])
@pytest.mark.parametrize("untagged", [0, 7])
def test_a_count_is_likeliest_where_all_tags_are(present: int, leaving: int, untagged: int) -> None:
    first, likely = table(Seen(untagged, present, leaving))
    best = likely.index(0)
    assert likely.count(0) == 1
    assert first + best == untagged + present + leaving
    assert first >= untagged + max(0, present + leaving - 63)
    assert all(one == -1 for one in likely[:best])
    assert list(likely[best:]) == sorted(likely[best:], reverse=True)
    assert len(likely) <= 64
    assert all(FLOOR_MNAT < one <= 0 for one in likely)


def test_unseen_units_are_binomial() -> None:
    """ln C(12, 2) 0.054^2 = -1.648; ln 0.054 = -2.919 for one unit and no tag."""
    _, likely = table(Seen(0, 10, 0))
    assert abs(likely[2] + 1648) <= 3
    _, none = table(Seen(0, 0, 0))
    assert none[:2] == (0, -2919)


def test_a_claim_is_said_when_it_is_news_or_once_a_minute() -> None:
    levels, seen = TagLevels(), Seen(0, 5, 0)
    said = [levels.claim(t * S, "r1", "a1", GTIN, seen, 5) is not None for t in range(0, 200, 10)]
    assert said == [True] + [False] * 19
    said = [levels.claim(t * S, "r1", "a1", GTIN, seen, 6) is not None for t in range(200, 400, 10)]
    assert [n for n, one in enumerate(said) if one] == [0, 6, 12, 18]


# --- what is untagged -------------------------------------------------------------------------


def tag_book() -> tuple[TagBook, Poster]:
    poster = Poster(SHOP, Book(), ZERO_INST, 1, Past())
    return TagBook(poster, lambda key: None), poster


def test_a_unit_booked_out_waits_for_its_tag_and_then_had_none() -> None:
    book, poster = tag_book()
    poster.move("receive", 0, SUPPLIER, "a1", GTIN, [("", 10_000)], Because("scan"))
    for serial in range(6):
        book.lies(epc(serial), GTIN, 1, "a1")
    assert book.standing(0, "a1", GTIN) == (4, 0)
    poster.move("pick", S, "a1", BASKET, GTIN, [("", 1000)], Because("step"))
    assert book.standing(S, "a1", GTIN) == (4, 1)
    assert book.standing(S + LEFT_NS, "a1", GTIN) == (3, 0)
    assert book.held[f"a1 {GTIN}"].explained(S + LEFT_NS, 1) is None


def test_what_is_put_back_owes_no_tag() -> None:
    book, poster = tag_book()
    poster.move("receive", 0, SUPPLIER, "a1", GTIN, [("", 3000)], Because("scan"))
    book.lies(epc(1), GTIN, 1, "a1")
    poster.move("pick", S, "a1", BASKET, GTIN, [("", 2000)], Because("step"))
    poster.move("putback", 2 * S, BASKET, "a1", GTIN, [("", 1000)], Because("step"))
    assert book.standing(3 * S, "a1", GTIN) == (2, 1)


def test_what_a_level_wrote_off_is_not_hidden_behind_goods_without_tags() -> None:
    book, poster = tag_book()
    poster.move("receive", 0, SUPPLIER, "a1", GTIN, [("", 4000)], Because("scan"))
    for serial in range(4):
        book.lies(epc(serial), GTIN, 1, "a1")
    poster.move("pick", S, "a1", BASKET, GTIN, [("", 3000)], Because("level_claim"))
    assert book.standing(2 * S, "a1", GTIN) == (0, 0)
    poster.move("receive", 3 * S, SUPPLIER, "a1", GTIN, [("", 5000)], Because("scan"))
    assert book.standing(4 * S, "a1", GTIN) == (5, 0)
    poster.move("adjust", 5 * S, ADJUST, "a1", GTIN, [("", 1000)], Because("level_claim"))
    assert book.held[f"a1 {GTIN}"].written_off == 2


def test_the_memory_of_what_left_is_bounded() -> None:
    book, _ = tag_book()
    for serial in range(GONE_MAX + 10):
        book.went(serial + 1, epc(serial), BASKET, 1)
    assert len(book.serials) == GONE_MAX
    assert book.where(epc(9)) is None
    assert book.where(epc(10)) == BASKET


def test_fifty_thousand_tags_cost_less_than_a_hundred_bytes_each() -> None:
    book, _ = tag_book()
    names = [epc(serial) for serial in range(50_000)]  # a reader's presence holds the same text
    tracemalloc.start()
    for name in names:
        book.lies(name, GTIN, 1, "a1")
    assert tracemalloc.get_traced_memory()[0] / len(names) < 100
    tracemalloc.stop()
    book.lies(epc(50_001), GTIN, 1, "a1")
    assert (len(book.serials), book.over) == (50_000, 1)


# --- flows ------------------------------------------------------------------------------------


def test_a_first_sighting_books_nothing() -> None:
    shop = Shop()
    shop.count("a1", 5)
    shop.hear(30, ("r1", 1, range(5)), upper=False)
    assert shop.kinds() == []
    assert [claim.gtin for claim in shop.claims()] == [GTIN]


def test_the_option_takes_every_effect_away() -> None:
    shop = Shop((reader("r1", {"1": "a1", "3": "door"}, stock=False),))
    shop.count("a1", 5)
    shop.hear(30, ("r1", 1, range(9)))
    shop.hear(500, ("r1", 1, range(4)), ("r1", 3, range(8, 9)))
    assert shop.kinds() == []
    assert not [one for one in shop.seen if isinstance(one, LevelClaim | TagsMoved)]
    view = shop.engine.reader("r1")
    assert view is not None
    assert sum(count.present for count in view.tags) == 5


def test_more_tags_than_the_book_holds_correct_it_after_a_minute() -> None:
    shop = Shop()
    shop.count("a1", 5)
    shop.hear(60, ("r1", 1, range(8)))
    assert shop.held("a1") == 5
    shop.hear(30, ("r1", 1, range(8)))
    assert shop.held("a1") == 8


def test_a_surplus_tag_that_leaves_takes_nothing_along() -> None:
    shop = Shop()
    shop.count("a1", 3)
    shop.hear(20, ("r1", 1, range(4)))
    shop.say("r1", DeviceState("down", "x"))  # before its level is booked
    shop.say("r1", DeviceState("up", "x"))
    shop.count("a1", 3)
    shop.hear(40, ("r1", 1, range(3)))
    shop.count("a1", 3)
    shop.hear(240, ("r1", 1, range(3)))
    assert shop.kinds() == []
    assert shop.held("a1") == 3


def test_a_tag_at_the_till_alone_is_nothing() -> None:
    shop = Shop()
    shop.count("a1", 5)
    shop.hear(30, ("r1", 4, range(40, 43)), ("r1", 3, range(50, 52)))
    assert shop.kinds() == []
    assert not any(key.startswith("tag") for key in shop.parts)


def test_a_till_ends_the_wait_for_a_departure() -> None:
    shop = Shop()
    shop.count("a1", 5)
    shop.hear(30, ("r1", 1, range(5)))
    shop.hear(95, ("r1", 1, range(4)))
    shop.hear(5, ("r1", 1, range(4)), ("r1", 4, range(4, 5)), rssi=-4000)
    shop.hear(5, ("r1", 1, range(4)))
    assert shop.kinds() == ["pick"]
    shop.say("till-1", Scan(GTIN))
    shop.hear(300, ("r1", 1, range(4)))
    assert shop.kinds() == ["pick", "sale"]
    assert shop.held("a1") == 4


def test_a_tagged_case_is_its_content() -> None:
    shop = Shop()
    shop.count("back", 12)
    cases = ("r1", 2, range(1000, 1002))
    shop.hear(30, cases)
    (claim,) = shop.claims()
    assert (claim.gtin, claim.first_units + claim.likelihood_mnat.index(0)) == (GTIN, 12)
    shop.hear(720, ("r1", 2, range(1000, 1001)))
    assert shop.kinds() == ["pick"]
    assert shop.held("back") == 6


def test_two_readers_hear_one_tag() -> None:
    shop = Shop(TWO)
    shop.count("a1", 5)
    shop.hear(40, ("r1", 1, range(5)), ("r2", 1, range(5)))  # the other only overhears
    shop.hear(300, ("r1", 1, range(5)), ("r2", 1, range(5)))
    assert shop.kinds() == []
    assert shop.held("a1") == 5
    shop.hear(200, ("r1", 1, range(4)), ("r2", 1, range(5)))  # now it hears what the first does not
    assert shop.kinds() == ["restock"]
    assert (shop.held("a1"), shop.held("b1")) == (4, 1)


def test_a_reader_that_is_away_keeps_its_tags_from_all_others() -> None:
    shop = Shop(TWO)
    shop.count("a1", 5)
    shop.hear(40, ("r1", 1, range(5)))
    shop.say("r1", DeviceState("down", "x"))
    shop.hear(600, ("r2", 1, range(3)), ("r2", 2, range(3, 5)))
    assert shop.kinds() == []
    assert shop.notes == []
    assert shop.held("a1") == 5


def test_a_lost_antenna_is_silence() -> None:
    shop = Shop()
    shop.count("a1", 5)
    shop.count("b1", 5)
    shop.hear(40, ("r1", 1, range(5)), ("r1", 5, range(20, 25)))
    before = len(shop.claims())
    shop.say("r1", DeviceState("up", "antenna 1 lost"))
    shop.hear(900, ("r1", 5, range(20, 25)))
    assert shop.kinds() == []
    assert len(shop.claims()) == before
    shop.say("r1", DeviceState("up", "antenna 1 connected"))
    shop.hear(8, ("r1", 1, range(3)), ("r1", 5, range(20, 25)))
    assert len(shop.claims()) == before


# --- restarts ---------------------------------------------------------------------------------


def test_a_tag_that_left_while_nobody_listened_is_missed_in_time() -> None:
    shop = Shop()
    shop.count("a1", 10)
    shop.hear(40, ("r1", 1, range(10)))
    shop.restart()
    shop.wait(3600)
    assert shop.kinds() == []
    shop.say("r1", DeviceState("up", "opened"))
    shop.hear(180, ("r1", 1, range(9)))
    assert shop.kinds() == []
    shop.hear(90, ("r1", 1, range(9)))
    assert shop.kinds() == ["pick"]
    assert shop.held("a1") == 9
    shop.hear(8, ("r1", 1, range(10)))
    assert shop.kinds() == ["pick", "putback"]


def test_an_antenna_that_hears_nothing_after_a_restart_empties_no_shelf() -> None:
    shop = Shop()
    shop.count("a1", 10)
    shop.count("b1", 4)
    shop.hear(40, ("r1", 1, range(10)), ("r1", 5, range(20, 24)))
    shop.restart()
    shop.say("r1", DeviceState("up", "opened"))
    shop.hear(900, ("r1", 5, range(20, 24)))
    assert shop.kinds() == []
    assert shop.held("a1") == 10


@pytest.mark.parametrize("seed", range(12))
def test_restarts_and_outages_end_at_the_same_balances(seed: int) -> None:
    """Tags leave one after the other; a restart or an outage comes at any moment."""
    chance = random.Random(seed)

    def day(breaks: dict[int, str]) -> Shop:
        shop = Shop()
        shop.count("a1", 12)
        for step in range(40):
            there = range(12 - min(6, step // 4))
            told = breaks.get(step)
            if told == "restart":
                shop.restart()
                shop.say("r1", DeviceState("up", "opened"))
            elif told == "outage":
                shop.say("r1", DeviceState("down", "x"))
                shop.wait(chance.randrange(1, 400))
                shop.say("r1", DeviceState("up", "x"))
            shop.hear(30, ("r1", 1, there))
        return shop

    plain = day({})
    assert plain.held("a1") == 6
    assert plain.held(BASKET) + plain.held(LOST) == 6
    broken = day({chance.randrange(1, 30): chance.choice(["restart", "outage"]) for _ in range(3)})
    assert broken.held("a1") == 6
    assert broken.held(BASKET) + broken.held(LOST) == 6
