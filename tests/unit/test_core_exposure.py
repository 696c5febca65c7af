"""The exposure clock of a few tags, the company of their zone: the figures of the method."""

from __future__ import annotations

import pytest

from gateway.core.company import MICRO, Company, Tag
from gateway.core.exposure import CALM_MNAT, EPS_MNAT, GROUP_MAX, Group, Over, _surely, _visits

FULL = MICRO
HALF = MICRO // 2


class Shelf:
    """One product before one antenna."""

    def __init__(self, size: int, visits: int = 50) -> None:
        self.company = Company()
        self.company.visits_min, self.company.visits_max = 5 * MICRO, 90 * MICRO
        self.group = Group("", self.company)
        self.tags = [Tag(f"T{n:02d}", 1, self.group, None, 0) for n in range(size)]
        self.visit = 0
        for tag in self.tags:
            self.group.add(tag, 0)
        for _ in range(visits):
            self.visited(size)

    def visited(self, answering: int, share: int = FULL) -> list[str]:
        """One visit that the first so many answer; answers who is leaving."""
        self.visit += 1
        heard = self.tags[:answering]
        self.company.listen(self.visit, {tag.key for tag in heard})
        left = self.group.visited(self.visit, share, heard)
        self.company.let_go()
        return [tag.key for tag in left]

    def share(self) -> int:
        """How far the last visit counts in the zone."""
        self.company.listen(self.visit, ())
        return self.company.share()

    def foretold(self, *answering: int) -> list[str]:
        """Visits that are over, and how many answered each; answers who is leaving then."""
        ahead = [
            Over(self.visit + nth, FULL, {self.group: number})
            for nth, number in enumerate(answering, 1)
        ]
        keys = {tag.key for tag in self.tags[: max(answering)]}
        self.company.listen(self.visit + len(ahead), keys)
        return [tag.key for tag in self.group.foreseen(ahead) if tag.key not in keys]


@pytest.mark.parametrize(
    ("chance", "eps_mnat", "visits"),
    [(830, CALM_MNAT, 7_797_000), (400, CALM_MNAT, 27_045_000), (830, EPS_MNAT, 4_290_000)],
)
def test_visits_without_a_read_that_mean_leaving(chance: int, eps_mnat: int, visits: int) -> None:
    assert abs(_visits(chance, eps_mnat) - visits) < 20_000


def test_the_chance_of_a_read_is_known_less_surely_after_few_reads() -> None:
    assert _surely(4 * MICRO, 1 * MICRO) < _surely(40 * MICRO, 10 * MICRO) < 800
    assert _surely(10**9, 0) == 990
    assert _surely(0, 10**9) == 50


def test_a_chance_that_was_believed_too_high_is_found_out_although_nobody_answers() -> None:
    shelf = Shelf(12)
    was = shelf.tags[0].p
    for visit in range(1200):
        shelf.visited(12 if visit % 4 == 0 else 0, 0)  # each visit excused
    assert was > 900_000
    assert shelf.tags[0].p < 300_000


def test_a_visit_that_everybody_answers_counts_fully() -> None:
    assert Shelf(12).group.exposure == 50 * MICRO


def test_a_visit_that_few_answer_counts_nothing() -> None:
    shelf = Shelf(12)
    shelf.visited(2)
    assert shelf.group.exposure == 50 * MICRO


def test_a_visit_counts_only_as_far_as_the_zone_answers() -> None:
    shelf = Shelf(12)
    shelf.visited(12, HALF)
    assert shelf.group.exposure == 50 * MICRO + HALF


def test_a_lone_tag_cannot_excuse_itself() -> None:
    shelf = Shelf(1)
    shelf.visited(0)
    assert shelf.group.exposure == 51 * MICRO


def test_where_nobody_stood_silence_must_be_longer() -> None:
    silent = []
    for share in (HALF, FULL):
        shelf = Shelf(12)
        for _ in range(200):  # two visits of five
            shelf.visited(12 if shelf.visit % 5 in (0, 2) else 11)
        shelf.visited(12, share)
        silent.append(1 + [shelf.visited(11) for _ in range(60)].index(["T11"]))
    assert silent[0] + 8 <= silent[1]


def test_two_silent_tags_excuse_nobody_and_several_everybody() -> None:
    shelf = Shelf(40)
    for _ in range(6):
        shelf.visited(38)
    assert shelf.share() == MICRO
    shelf = Shelf(40)
    for _ in range(6):
        shelf.visited(30, 0)
    assert shelf.share() == 0
    shelf.company.listen(shelf.visit, {tag.key for tag in shelf.tags[30:]})
    assert shelf.company.share() == MICRO


def test_who_fell_silent_together_leaves_only_when_expected_no_more() -> None:
    for silent, visits in ((2, 5), (3, 13)):
        shelf = Shelf(40)
        shelf.visited(40, HALF)
        left = [len(shelf.visited(40 - silent)) for _ in range(20)]
        assert left.index(silent) + 1 in (visits, visits + 1)
        assert sum(left) == silent


def test_who_fell_silent_one_by_one_leaves_one_by_one() -> None:
    shelf = Shelf(40)
    shelf.visited(40, HALF)
    left = [shelf.visited(40 - min(4, 1 + visit // 4)) for visit in range(20)]
    assert [keys for keys in left if keys] == [["T39"], ["T38"], ["T37"], ["T36"]]


def test_who_is_silent_for_long_is_expected_no_more() -> None:
    shelf = Shelf(40)
    for _ in range(20):
        shelf.visited(25, 0)
    assert shelf.share() == MICRO
    assert shelf.group.expected == sum(tag.p for tag in shelf.tags[:25])


def test_a_zone_that_falls_silent_as_a_whole_is_let_go_after_thirty_visits() -> None:
    shelf = Shelf(40)
    visits = 0
    while shelf.group.expected:
        shelf.visited(0, 0)
        visits += 1
    assert 25 <= visits <= 30


def test_a_group_that_is_split_keeps_the_silence_of_its_tags() -> None:
    shelf = Shelf(GROUP_MAX + 1, 30)
    shelf.visited(19, HALF)
    shelf.visited(19)
    other = shelf.group.split()
    assert [tag.key for tag in (*shelf.group.tags, *other.tags)] == [tag.key for tag in shelf.tags]
    assert all(tag.group is other for tag in other.tags)
    assert shelf.group.exposure == other.exposure
    assert shelf.group.expected == sum(tag.p for tag in shelf.group.tags)
    assert other.expected == sum(tag.p for tag in other.tags)
    left = []
    for _ in range(4):
        shelf.visit += 1
        shelf.company.listen(shelf.visit, {tag.key for tag in shelf.tags[:19]})
        left += [tag.key for tag in other.visited(shelf.visit, FULL, shelf.tags[10:19])]
    assert left == ["T19", "T20"]


def test_visits_that_are_over_foretell_and_a_read_says_otherwise() -> None:
    shelf = Shelf(12)
    shelf.visited(12, HALF)
    for _ in range(3):
        shelf.visited(11)
    assert shelf.foretold(11) == []
    assert shelf.foretold(11, 11, 11) == ["T11"]
    assert shelf.foretold(11, 11, 11, 12) == []
    assert not any(tag.exiting for tag in shelf.tags)


def test_what_was_foretold_comes_true_once() -> None:
    shelf = Shelf(12)
    shelf.visited(12, HALF)
    left = [shelf.visited(11) for _ in range(3)]
    assert shelf.foretold(11, 11, 11) == ["T11"]
    left += [shelf.visited(11) for _ in range(3)]
    assert left == [[], [], [], [], ["T11"], []]


def test_a_removed_tag_leaves_nothing_behind() -> None:
    shelf = Shelf(12)
    taken = shelf.tags.pop(3)
    shelf.group.remove(taken)
    for _ in range(50):
        assert shelf.visited(11) == []
    assert shelf.group.expected == sum(tag.p for tag in shelf.tags)
    assert shelf.group.tags == shelf.tags
