"""The exposure clock of a group: the figures of the method, and silence kept through changes."""

from __future__ import annotations

from itertools import count

import pytest

from gateway.core.exposure import MICRO, Group, Tag, _surely, _visits

FLOOR, CAP = 10 * MICRO, 90 * MICRO


def grown(size: int, visits: int, *, silent: int = 0) -> Group:
    """A group after some visits in which all answered but the last `silent` tags."""
    entries = count()
    group = Group(entries)
    for number in range(size):
        group.add(Tag(f"T{number:02d}", 1, group, None, 0), 0, FLOOR, CAP)
    for visit in range(1, visits + 1):
        group.heard = group.tags[: size - silent]
        group.visited(visit, FLOOR, CAP)
    return group


def silences(group: Group) -> dict[str, tuple[int, int]]:
    return {tag.key: (group.exposure - tag.stamp, tag.due - tag.stamp) for tag in group.tags}


@pytest.mark.parametrize(("chance", "visits"), [(830, 6_497_000), (400, 22_537_000)])
def test_visits_without_a_read_that_mean_leaving(chance: int, visits: int) -> None:
    assert abs(_visits(chance) - visits) < 20_000


def test_the_chance_of_a_read_is_known_less_surely_after_few_reads() -> None:
    assert _surely(4 * MICRO, 1 * MICRO) < _surely(40 * MICRO, 10 * MICRO) < 800
    assert _surely(10**9, 0) == 990
    assert _surely(0, 10**9) == 50


def test_a_visit_that_everybody_answers_counts_fully() -> None:
    assert grown(12, 50).exposure == 50 * MICRO


def test_a_visit_that_few_answer_counts_little() -> None:
    group = grown(12, 50)
    group.heard = group.tags[:2]
    group.visited(51, FLOOR, CAP)
    assert 0 < group.exposure - 50 * MICRO < MICRO // 10


def test_a_lone_tag_cannot_excuse_itself() -> None:
    group = grown(1, 50)
    group.visited(51, FLOOR, CAP)
    assert group.exposure == 51 * MICRO


def test_split_and_united_groups_keep_the_silence_of_their_tags() -> None:
    group = grown(20, 30, silent=3)
    before = silences(group)
    other = group.split()
    assert silences(group) | silences(other) == before
    for visit in range(31, 36):  # the clocks part
        group.visited(visit, FLOOR, CAP)
    assert group.exposure != other.exposure
    apart = silences(group) | silences(other)
    group.absorb(other)
    assert silences(group) == apart
    assert [tag.key for tag in group.tags] == sorted(apart)


def test_who_changed_groups_is_still_found_leaving_once() -> None:
    group = grown(20, 30)
    found = []
    for visit in range(31, 60):
        group.heard = group.tags[:17]
        found += [tag.key for tag in group.visited(visit, FLOOR, CAP)]
        if visit == 35:
            group.absorb(group.split())
            assert found == []
    assert sorted(found) == ["T17", "T18", "T19"]


def test_a_removed_tag_leaves_nothing_behind() -> None:
    group = grown(12, 30)
    taken = group.tags[3]
    group.remove(taken)
    for visit in range(31, 80):
        group.heard = list(group.tags)
        assert group.visited(visit, FLOOR, CAP) == []
    assert group._expected == sum(tag.p for tag in group.tags)
