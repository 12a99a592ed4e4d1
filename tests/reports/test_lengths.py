"""Figures of lengths: percentiles that were there, and limits that 99 of 100 answers end within."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.reports.lengths import LEAST_TURNS, Figures, Lengths, percentile, suggested_limit

COUNTS = st.dictionaries(st.integers(0, 5_000), st.integers(1, 400), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("counts", "percent", "value"),
    [
        ({}, 50, None),
        ({7: 1}, 50, 7),
        ({7: 1}, 99, 7),
        ({1: 1, 2: 1}, 50, 1),
        ({1: 1, 2: 1}, 51, 2),
        ({1: 98, 5: 1, 9: 1}, 99, 5),
        ({1: 99, 9: 1}, 99, 1),
        ({1: 98, 9: 2}, 99, 9),
    ],
)
def test_a_percentile_is_the_least_that_so_many_are_not_above(
    counts: dict[int, int], percent: int, value: int | None
) -> None:
    assert percentile(counts, percent) == value


@given(COUNTS, st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_bounds_them(counts: dict[int, int], percent: int) -> None:
    every = sorted(Counter(counts).elements())

    assert percentile(counts, percent) == every[math.ceil(len(every) * percent / 100) - 1]


@pytest.mark.parametrize(
    ("ended", "cut", "longest", "suggested"),
    [
        ({100: 99}, {}, 0, None),  # too few
        ({100: 100}, {}, 0, 150),  # a quarter more, and up to the next 50
        ({100: 98, 900: 2}, {}, 0, 1150),
        ({100: 99, 900: 1}, {}, 0, 150),
        ({0: 100}, {}, 0, 50),
        ({100: 99}, {200: 1}, 200, 150),  # one that was cut does not change what 99 ended within
        ({100: 90}, {200: 10}, 200, 400),  # of ten nobody knows how long they would get
        ({}, {64: 500}, 64, 150),
        # Of those that had room for more than 100, half ended below 300; those that had not are as all others.
        ({50: 100, 300: 50}, {100: 100}, 100, 400),
        ({1: 100}, {2**31 - 1: 100}, 2**31 - 1, 2**31 - 1),
    ],
)
def test_a_limit_is_suggested(ended: dict[int, int], cut: dict[int, int], longest: int, suggested: int | None) -> None:
    assert suggested_limit(ended, cut, longest) == suggested


@given(COUNTS)
def test_where_none_was_cut_99_of_100_end_within_the_suggested(ended: dict[int, int]) -> None:
    suggested = suggested_limit(ended, {}, 0)
    turns = sum(ended.values())

    if turns < LEAST_TURNS:
        assert suggested is None
        return
    assert suggested is not None
    assert sum(count for length, count in ended.items() if length <= suggested) >= 0.99 * turns
    needed = percentile(ended, 99)
    assert needed is not None
    assert needed * 1.25 <= suggested <= needed * 1.25 + 50
    assert suggested % 50 == 0


@given(COUNTS, COUNTS)
def test_what_was_cut_never_makes_a_limit_lower_than_what_ended(ended: dict[int, int], cut: dict[int, int]) -> None:
    longest = max(cut)
    suggested = suggested_limit(ended, cut, longest)
    alone = suggested_limit({length: count * 100 for length, count in ended.items() if length < min(cut)}, {}, 0)

    if suggested is not None and alone is not None:
        assert suggested >= min(alone, 2 * longest)


def test_a_group_is_told_with_all_its_figures() -> None:
    lengths = Lengths()
    assert lengths.add(100, 10, 60, is_cut=False) == 2
    assert lengths.add(200, 10, 20, is_cut=False) == 1
    assert lengths.add(None, 150, 10, is_cut=False) == 1
    assert lengths.add(100, 100, 10, is_cut=True) == 1
    assert lengths.add(100, 10, 0, is_cut=False) == 0

    assert lengths.figures() == Figures(
        turns=100,
        limited_turns=90,
        given_p50=100,
        given_max=200,
        used_p50=10,
        used_p90=100,
        used_p99=150,
        used_max=150,
        cut_turns=10,
        cut_share=0.111111,
        suggested=200,
    )


def test_a_group_without_limits_has_no_share_of_them() -> None:
    lengths = Lengths()
    lengths.add(None, 5, 1, is_cut=False)

    assert lengths.figures() == Figures(1, 0, None, None, 5, 5, 5, 5, 0, None, None)
