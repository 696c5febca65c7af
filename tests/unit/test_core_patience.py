"""How long a basket is waited for: the configured time, then the shop's own (ALGORITHMS 5.5)."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.patience import LEAST_MIN, MOST_MIN, PAIRS_MAX, PAIRS_MIN, Patience, Waits
from gateway.domain.units import NS_PER_S

MINUTE_NS = 60 * NS_PER_S


def told(minutes: list[int]) -> Patience:
    patience = Patience(3600)
    for minute in minutes:
        patience.paired(0, minute * MINUTE_NS + 1)
    return patience


def test_the_configured_time_holds_until_enough_was_seen() -> None:
    assert told([5] * (PAIRS_MIN - 1)).timeout_ns == 60 * MINUTE_NS
    assert told([5] * PAIRS_MIN).timeout_ns == LEAST_MIN * MINUTE_NS


def test_five_in_a_thousand_may_come_later() -> None:
    assert told([20] * 597 + [90] * 3).timeout_ns == LEAST_MIN * MINUTE_NS
    assert told([20] * 596 + [90] * 4).timeout_ns == 91 * MINUTE_NS


def test_nobody_is_waited_for_longer_than_four_hours() -> None:
    assert told([20] * 500 + [600] * 20).timeout_ns == MOST_MIN * MINUTE_NS


def test_old_habits_are_forgotten() -> None:
    patience = told([120] * PAIRS_MIN + [10] * (8 * PAIRS_MAX))
    assert patience.timeout_ns == LEAST_MIN * MINUTE_NS
    assert patience.waits.pairs < PAIRS_MAX


@given(st.lists(st.integers(0, 400), max_size=60), st.lists(st.integers(0, 400), max_size=60))
def test_a_restart_changes_nothing(before: list[int], after: list[int]) -> None:
    busy = [7] * PAIRS_MIN
    whole = told(busy + before + after)
    part = told(busy + before)
    kept = msgspec.json.decode(msgspec.json.encode(part.waits), type=Waits)
    again = Patience(3600, kept)
    assert again.timeout_ns == part.timeout_ns
    for minute in after:
        again.paired(0, minute * MINUTE_NS + 1)
    assert (again.waits, again.timeout_ns) == (whole.waits, whole.timeout_ns)
    assert LEAST_MIN * MINUTE_NS <= again.timeout_ns <= MOST_MIN * MINUTE_NS
