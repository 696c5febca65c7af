"""The fusion channel of the store benchmark judges honestly: worlds, baselines, sums, scripts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from gateway.bench.store import cases, crashes, days, fusion, replays, scans
from gateway.bench.store.aisle import gtin
from gateway.bench.store.amends import correction_figures
from gateway.bench.store.books import Belief, Levels, NaiveSum, Ours, TillOnly, Window, likelihood
from gateway.bench.store.cell import CLOSES_S, DAY_S, OPENS_S, START_S, tell
from gateway.bench.store.oracle import Oracle
from gateway.bench.store.plates import CHANNELS, QUIET_S
from gateway.bench.store.reliability import Reliability
from gateway.bench.store.scores import error_figures, listen, loss_figures
from gateway.bench.store.stories import (
    NOISE,
    Claim,
    Gone,
    Line,
    Noise,
    Opening,
    Receive,
    Sku,
    Step,
    Story,
    Truth,
    Word,
)
from gateway.domain.observation import TillLine
from gateway.domain.reading import PosLine, Weight
from gateway.domain.units import NS_PER_S

SKU = Sku(gtin(1), "a1", 300_000, 21.0)
PERFECT = Noise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
OPENED = START_S + OPENS_S


def at(seconds: float) -> int:
    """Seconds after the doors opened on the first day."""
    return round((OPENED + seconds) * NS_PER_S)


def truth(seconds: float, store: int, home: int, hands: int = 0) -> Truth:
    return Truth(at(seconds), SKU.gtin, store, store - hands, home)


def step(seconds: float, units: int, *, filling: bool = False) -> Step:
    began_ns = at(seconds - 1.0)
    return Step(at(seconds), began_ns, "a1", SKU.gtin, units, units * SKU.mass_mg, filling)


def line(seconds: float, units: int) -> Line:
    return Line(at(seconds), round(seconds), SKU.gtin, units)


def story(*words: Word, gone: tuple[Gone, ...] = (), sold: int = 1) -> Story:
    begin = (Opening(START_S * NS_PER_S, SKU.gtin, 10, 0), truth(0.0 - OPENS_S, 10, 10))
    return Story((SKU,), (*begin, *words), gone, sold)


# --- the world ----------------------------------------------------------------------------------


@pytest.mark.parametrize("skus", [fusion.REFERENCE, fusion.SLOW, fusion.SHELVES])
def test_a_story_is_lawful(skus: tuple[Sku, ...]) -> None:
    told = tell(skus, NOISE["L2"], 10, Random(1))
    assert told == tell(skus, NOISE["L2"], 10, Random(1))
    assert told != tell(skus, NOISE["L2"], 10, Random(2))
    times = [word.at_ns for word in told.words]
    assert times == sorted(times)
    for word in told.words:
        if isinstance(word, Truth):
            assert word.store >= word.lying >= word.home >= 0
        elif isinstance(word, Step | Line):
            assert word.units
    taken = sum(-w.units for w in told.words if isinstance(w, Step) and w.units < 0)
    assert taken == pytest.approx(10 * sum(sku.units_per_day for sku in skus), rel=0.25)


def test_goods_are_conserved() -> None:
    """What came in less what honest people bought and what left unpaid is what is there."""
    told = tell(fusion.SHELVES, PERFECT, 30, Random(3))
    last = {word.gtin: word.store for word in told.words if isinstance(word, Truth)}
    came = sum(
        word.shelf + word.back if isinstance(word, Opening) else word.units
        for word in told.words
        if isinstance(word, Opening | Receive)
    )
    assert sum(last.values()) == came - told.sold - sum(one.units for one in told.gone)


def test_perfect_sensors_lie_nowhere() -> None:
    told = tell((SKU,), PERFECT, 10, Random(4))
    home = 0
    for word in told.words:
        if isinstance(word, Truth):
            home = word.home
        elif isinstance(word, Claim):
            assert word.units == home
    assert sum(word.units for word in told.words if isinstance(word, Line)) == told.sold


def test_the_till_alone_misses_exactly_what_was_stolen() -> None:
    told = tell((SKU,), PERFECT, 30, Random(5))
    assert listen(TillOnly(), told, 30).last == (sum(one.units for one in told.gone),)
    assert all(one.stolen for one in told.gone)


# --- baselines and sums -------------------------------------------------------------------------


def test_baselines_count_as_they_are_defined() -> None:
    words = (step(60.0, -2), step(120.0, 1), line(600.0, 1), line(3000.0, 1), step(4000.0, 3))
    told = story(*words)
    for book, number in ((TillOnly(), 8), (NaiveSum(), 10), (Window(60), 11), (Window(5), 10)):
        listen(book, told, 1)
        assert book.units(SKU) == (number,) * 3, book
    filled = Window(60)
    listen(filled, story(step(60.0, 6, filling=True)), 1)
    assert filled.units(SKU) == (10, 10, 10)


def test_errors_are_integrated_over_opening_hours() -> None:
    """Two units vanish unseen half an hour before noon; ten hours and a half are off by two."""
    told = story(truth(3.5 * 3600, 8, 8), sold=4)
    figures = error_figures(listen(TillOnly(), told, 2), told)
    off_h = (CLOSES_S - OPENS_S) / 3600 * 2 - 3.5
    assert figures["F1.off_units"] == figures["F1.off_signed_units"] == 2
    assert figures["F1.per_1000_sold"] == 500.0
    assert figures["F1.mae_units"] == pytest.approx(2 * off_h / 28)
    assert figures["F3.exact"] == pytest.approx(3.5 / 28)
    assert figures["F6.oversell"] == figures["F6.empty"] == 0.0


def test_an_empty_shop_that_the_book_fills_is_oversold() -> None:
    told = story(truth(7 * 3600.0, 0, 0))
    assert error_figures(listen(TillOnly(), told, 1), told)["F6.oversell"] == pytest.approx(0.5)


def test_the_oracle_errs_by_what_deliveries_hide_and_nothing_else() -> None:
    told = tell(fusion.SHELVES, NOISE["L3"], 20, Random(8))
    right = tell(fusion.SHELVES, replace(NOISE["L3"], wrong_deliveries=0.0), 20, Random(8))
    assert error_figures(listen(Oracle(), right, 20), right)["F3.exact"] == pytest.approx(1.0)
    assert error_figures(listen(Oracle(), told, 20), told)["F3.shelf_exact"] == pytest.approx(1.0)
    short = story(truth(60.0, 14, 10), Receive(at(60.0), SKU.gtin, 6))
    assert listen(Oracle(), short, 1).last == (2,)
    over = story(truth(60.0, 18, 10), Receive(at(60.0), SKU.gtin, 6), truth(90.0, 18, 17))
    assert listen(Oracle(), over, 1).last == (-1,), "the back room gave what no note told"


# --- our own book -------------------------------------------------------------------------------


def heard(told: Story, levels: Levels = "none") -> tuple[Ours, dict[str, float]]:
    book = Ours(told.skus, levels)
    figures = error_figures(listen(book, told, 4), told)
    figures |= correction_figures(book.events, told, 4)
    return book, figures | loss_figures(book.events, told.gone, told.skus, 4)


def test_a_pick_and_its_sale_are_one_unit() -> None:
    told = story(truth(60.0, 10, 9, 1), step(61.0, -1), truth(400.0, 9, 9), line(400.0, 1))
    book, figures = heard(told)
    assert book.units(SKU) == (9, 9, 9)
    assert figures["F1.off_units"] == figures["F5.corrections"] == figures["F7.told"] == 0


def test_a_theft_is_told_after_the_timeout_and_a_misplaced_unit_is_found() -> None:
    thief = Gone(at(60.0), SKU.gtin, 1, stolen=True)
    told = story(truth(60.0, 10, 9, 1), step(61.0, -1), truth(300.0, 9, 9), gone=(thief,))
    _, figures = heard(told)
    assert (figures["F7.told"], figures["F7.right"], figures["F7.in_90_min"]) == (1, 1, 1)
    assert figures["F7.delay_p50_min"] == pytest.approx(60.0, abs=0.1)
    astray = story(
        truth(60.0, 10, 9, 1), step(61.0, -1), truth(300.0, 10, 9), truth(DAY_S, 10, 10),
        step(DAY_S + 1.0, 1),
    )  # fmt: skip
    _, figures = heard(astray)
    assert (figures["F7.first_told"], figures["F7.told"], figures["F1.off_units"]) == (1, 0, 0)
    assert (figures["F5.lost_units"], figures["F5.healed_units"]) == (1, 1)


def claims(seconds: float, units: int) -> tuple[Word, ...]:
    return tuple(Claim(at(seconds + n), "a1", SKU.gtin, units) for n in (0.0, 3.0))


def test_a_correction_is_reversed_if_it_was_wrong_and_is_taken_back() -> None:
    """A plate that miscounts once, eight of nine; the next look takes it back."""
    picked = (truth(60.0, 10, 9, 1), step(61.0, -1), truth(400.0, 9, 9), line(400.0, 1))
    _, figures = heard(story(*picked, *claims(1800.0, 8), *claims(5400.0, 9)), "claims")
    assert (figures["F5.corrected_units"], figures["F5.wrong_units"]) == (2, 1)
    assert (figures["F5.reversed_units"], figures["F5.reversed"]) == (1, 0.5)


def test_two_opposite_corrections_that_were_right_are_no_reversal() -> None:
    """A unit vanishes unseen, and comes back unseen."""
    picked = (truth(60.0, 10, 9, 1), step(61.0, -1), truth(400.0, 9, 9), line(400.0, 1))
    gone = (truth(500.0, 9, 8, 1), *claims(1800.0, 8), truth(1900.0, 9, 9), *claims(5400.0, 9))
    _, figures = heard(story(*picked, *gone), "claims")
    assert (figures["F5.corrected_units"], figures["F5.wrong_units"]) == (2, 0)
    assert figures["F5.reversed_units"] == 0


def test_a_claim_is_told_to_the_core_or_played_or_not_at_all() -> None:
    unseen = (truth(60.0, 9, 9), Claim(at(1800.0), "a1", SKU.gtin, 9))
    assert heard(story(*unseen))[0].units(SKU) == (10, 10, 10)
    assert heard(story(*unseen), "laddered")[0].units(SKU)[1:] == (9, 9)
    told = heard(story(*unseen), "claims")[0].claims
    assert [(claim.location, claim.first_units) for claim in told] == [("a1", 6)]


def test_the_table_of_a_claim_peaks_where_it_counts() -> None:
    for units, mass_mg in ((0, 300_000), (1, 300_000), (20, 300_000), (20, 40_000)):
        first, table = likelihood(units, mass_mg)
        assert table[units - first] == max(table) == 0
        assert -7100 < min(table) < -7000
    first, table = likelihood(60, 5_000)
    assert sorted(table)[-2] > -2000  # so many light units are not told apart by one


def test_a_plate_at_rest_claims_twice_and_errs_alike() -> None:
    told = tell((SKU,), replace(PERFECT, claim_wrong=0.5), 20, Random(11))
    claims = [word for word in told.words if isinstance(word, Claim)]
    pairs = [
        (a, b) for a, b in pairwise(claims) if 2 * NS_PER_S <= b.at_ns - a.at_ns < 10 * NS_PER_S
    ]
    assert len(pairs) > 0.9 * len(claims) / 2
    assert all(a.units == b.units for a, b in pairs)


@pytest.mark.parametrize("honest", [1.0, 0.9])
def test_an_honest_belief_of_whole_units_is_covered_as_much_as_it_says(honest: float) -> None:
    """However much of it one count holds; one that is too sure of it is found out."""
    masses, judged = (15, 970, 10, 5), Reliability()
    told = Belief(11, 11, "certain", 10, masses)
    shares = [mass / 1000 * honest for mass in masses]
    shares[3] += 1.0 - honest
    for true, share in enumerate(shares, 10):
        judged.add(1000.0 * share, told, 11, true)
    figures = fusion.derived(judged.figures())
    for name, share in (("50", 0.5), ("80", 0.8), ("", 0.9), ("95", 0.95)):
        assert figures[f"F9.coverage{name}"] == pytest.approx(share * honest)
    assert figures["F9.raw_coverage"] == pytest.approx(0.97 * honest)


def test_what_no_sensor_could_say_is_no_figure() -> None:
    wrong = replace(SKU, gtin="06901234560016")
    begin = Opening(START_S * NS_PER_S, wrong.gtin, 10, 0)
    with pytest.raises(AssertionError, match="no GTIN"):
        listen(Ours((wrong,), "none"), Story((wrong,), (begin,), (), 0), 1)


# --- readings through the engine ----------------------------------------------------------------


def test_repeats_and_echoes_keep_their_bounds() -> None:
    told = list(scans.shots(600, Random(6)))
    for before, shot in pairwise(told):
        if shot.echo:
            assert shot.gtin == before.gtin
            assert 0 <= shot.at_ms - before.at_ms <= 350
    real = [shot for shot in told if not shot.echo]
    assert len(real) == scans.SCANS
    assert all(b.at_ms - a.at_ms >= 600 for a, b in pairwise(real))
    assert sum(shot.after_echo for shot in real) > 20


@pytest.mark.parametrize("name", cases.CASES)
def test_a_case_is_played_to_its_end(name: str) -> None:
    rng = Random(f"7/{name}")
    script = cases.Script(CHANNELS["L1"], rng)
    cases.CASES[name](script)
    assert script.hands[0].gesture.begin_s >= QUIET_S
    held, _, last = cases.played(cases.Case(tuple(script.hands)), CHANNELS["L1"], rng)
    assert sum(held.values()) <= 0
    assert cases.shared_units(held, last) <= sum(map(abs, held.values()))
    assert cases.shared_units(held, held) == sum(map(abs, held.values()))
    assert cases.shared_units(held, Counter({key: -units for key, units in held.items()})) == 0


def test_other_deliveries_are_of_the_same_day() -> None:
    shop, rng = days.Shop(CHANNELS["L2"], Random(8)), Random(9)
    for weights in (True, False):
        twice = replays.said_twice(shop.day, rng, weights=weights)
        more = Counter(r.body for r in twice) - Counter(r.body for r in shop.day)
        assert 0 < sum(more.values()) < len(shop.day) / 5
        assert all(isinstance(body, Weight) == weights for body in more)
    mixed = replays.late(shop.day, rng)
    assert mixed != shop.day
    for name in {r.device for r in shop.day}:
        assert [r.body for r in mixed if r.device == name] == [
            r.body for r in shop.day if r.device == name
        ]
    first = {r.body: r.at_ns for r in shop.day if isinstance(r.body, PosLine)}
    later = [r.at_ns - first[r.body] for r in mixed if isinstance(r.body, PosLine)]
    assert 0 <= min(later) <= max(later) <= 10 * NS_PER_S


def test_a_day_told_the_same_way_ends_the_same() -> None:
    shop = days.Shop(CHANNELS["L2"], Random(10))
    one, other = replays.straight(shop, shop.day), replays.straight(shop, shop.day)
    assert one.bodies == other.bodies
    assert one.ended() == other.ended() != replays.straight(shop, shop.day[:12]).ended()


def test_a_machine_dies_at_every_place_of_its_journal() -> None:
    """It loses what was not written and no more, and hears again what it did not answer."""
    shop = days.Shop(CHANNELS["L2"], Random(12))
    whole = crashes.lived(shop, None)
    lines = sum(isinstance(r.body, PosLine) for r in shop.day)
    booked = len(whole.kept.observations)
    assert whole.transactions > lines + days.RECEIVED
    for number in range(0, whole.transactions, 9):
        for before in (True, False):
            cut = crashes.Cut(number, before, NS_PER_S)
            died = crashes.lived(shop, cut).kept
            heard_lines = {o.ref for _, o in died.observations if isinstance(o, TillLine)}
            assert len(heard_lines) == lines, cut
            assert abs(len(died.observations) - booked) < 12, cut


# --- seeds --------------------------------------------------------------------------------------


def test_seeds_pool_by_their_counts() -> None:
    rows = [
        {"F1.off_units": 3.0, "F1.sold_units": 100.0, "F1.mae_units": 1.0,
         "F8.hits": 4.0, "F8.found": 4.0, "F8.truth": 4.0},
        {"F1.off_units": 1.0, "F1.sold_units": 300.0, "F1.mae_units": 2.0,
         "F8.hits": 0.0, "F8.found": 0.0, "F8.truth": 4.0},
    ]  # fmt: skip
    figures = fusion.pooled({**row, **fusion.derived(row)} for row in rows)
    assert figures["F1.per_1000_sold"] == 10.0
    assert figures["F1.mae_units"] == 1.5
    assert figures["F8.f1"] == pytest.approx(8 / 12)


def test_measure_gives_every_row() -> None:
    figures = fusion.measure(1, "L2")
    for row in ("F1", "F2", "F3", "F5", "F6", "F7", "F8", "S1", "S2", "E3", "E5"):
        assert any(name.startswith(row) for name in figures), row
    for prefix in ("till.", "naive.", "window120.", "flows.", "slow.", "laddered.shelves."):
        assert figures[f"{prefix}F1.sold_units"] > 0
    assert fusion.best_window(figures) in fusion.WINDOWS_MIN
