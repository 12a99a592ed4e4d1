"""Percentiles are values that were measured, and intervals are those of the tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.percentile import median_interval, percentile


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)],
)
def test_a_percentile_is_the_nearest_rank(part: float, expected: int):
    assert percentile(range(100, 0, -1), part) == expected


@given(st.lists(st.integers(), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[int], part: float):
    found = percentile(values, part)

    assert sum(value <= found for value in values) >= part * len(values) - 1e-9
    assert sum(value < found for value in values) < part * len(values) + 1e-9


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("count", "ranks"),
    [(1, (1, 1)), (5, (1, 5)), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (15, (4, 12)), (30, (10, 21))],
)
def test_a_median_lies_between_the_ranks_of_the_binomial_table(count: int, ranks: tuple[int, int]):
    assert median_interval(range(count, 0, -1)) == ranks
