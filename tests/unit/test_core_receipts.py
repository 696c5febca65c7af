"""Which sales are of one receipt, and how well a removal in doubt fits what is paid.

The stores `receipt_of_*` and `sale_*` of tests/golden/stores show the same from readings to events.
"""

from __future__ import annotations

import pytest

from gateway.core.identify import parts_of
from gateway.core.receipts import NEXT_NS, fit_mnat, lines_of
from gateway.core.trails import OpenSale, Seen, Trail
from gateway.domain.observation import Row
from gateway.domain.units import NS_PER_S

TIN, BOX, JAR = "06901234560022", "06901234560039", "06901234560015"
PAIR = f"1x{TIN}+1x{BOX}"


def sale(at_s: int, seq: int, dev: str = "till-1", receipt: str = "") -> OpenSale:
    return OpenSale(at_s * NS_PER_S, 1000, "", seq, dev, f"r{seq}", receipt)


def seqs(trails: dict[str, Trail], gtin: str, one: OpenSale) -> list[int | None]:
    return [line.seq for line in lines_of(trails, gtin, one)]


def test_scans_of_one_till_are_of_one_receipt_until_one_comes_late() -> None:
    gap = NEXT_NS // NS_PER_S
    first, second, third = sale(0, 1), sale(gap, 2), sale(2 * gap + 1, 3)
    other = sale(1, 4, dev="till-2")
    trails = {TIN: Trail(open=[first, third]), BOX: Trail(open=[second, other])}
    assert seqs(trails, TIN, first) == seqs(trails, BOX, second) == [1, 2]
    assert seqs(trails, TIN, third) == [3]
    assert seqs(trails, BOX, other) == [4]


def test_lines_with_a_number_are_of_that_receipt_however_far_apart() -> None:
    first, second, other = (sale(0, 1, receipt="R1"), sale(80, 2, receipt="R1"),
                            sale(2, 3, receipt="R2"))  # fmt: skip
    trails = {TIN: Trail(open=[first, other]), BOX: Trail(open=[second])}
    assert seqs(trails, TIN, first) == [1, 2]
    assert seqs(trails, TIN, other) == [3]


def test_a_sale_of_no_till_stands_alone() -> None:
    first, second = sale(0, 1, dev=""), sale(0, 2, dev="")
    assert seqs({TIN: Trail(open=[first, second])}, TIN, second) == [2]


@pytest.mark.parametrize(
    ("paid", "best"),
    [
        ({TIN: 1, BOX: 1}, PAIR),
        ({TIN: 3}, TIN),
        ({TIN: 2}, TIN),
        ({TIN: 1}, TIN),  # more than is paid: only the likeliest may say so
        ({BOX: 1}, None),
        ({JAR: 2}, None),
    ],
)
def test_all_lines_together_tell_what_one_hand_took(paid: dict[str, int], best: str | None) -> None:
    rows = (Row(TIN, 3, 660_000), Row(PAIR, 0, 330_000), Row(JAR, 1, 7_000))
    seen = [Seen(gtin, units * 1000, 0, 1) for gtin, units in paid.items()]
    fits = []
    for row in rows:
        taken = {part.gtin: part.units for part in parts_of(row)}
        fit = fit_mnat(row.ppm, taken, seen, {})
        fits += [] if fit is None else [(fit, row.gtin)]
    assert max(fits, default=(0, None))[1] == best


def test_what_is_on_its_way_back_need_not_be_paid() -> None:
    seen = [Seen(TIN, 1000, 0, 1)]
    assert fit_mnat(300_000, {TIN: 2}, seen, {}) is None
    assert fit_mnat(300_000, {TIN: 2}, seen, {TIN: 1}) is not None
