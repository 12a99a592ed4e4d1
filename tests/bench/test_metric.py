"""Comparisons are of pairs, and a target is met or missed by the median."""

from __future__ import annotations

import pytest

from bench.metric import Comparison, Target, judge


def test_a_ratio_is_the_median_of_the_pairs():
    measured = judge("cpu", "µs", "ratio", {"frontdesk": [20, 60, 90], "pass-through": [10, 20, 90]})

    assert measured.medians == {"pass-through": 20, "frontdesk": 60}
    assert measured.comparisons == [Comparison("pass-through", "ratio", 2, 1, 3, [2, 3, 1])]
    assert measured.is_met is None


def test_what_is_added_is_the_median_of_the_differences():
    measured = judge("p99", "ms", "added", {"frontdesk": [5, 9, 4], "direct": [1, 1, 1]})

    assert measured.comparisons == [Comparison("direct", "added", 4, 3, 8, [4, 8, 3])]


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (Target(4), True),
        (Target(3.9), False),
        (Target(2, "pass-through"), True),
        (Target(1.9, "pass-through"), False),
        (Target(100, "direct"), False),  # nobody measured it
    ],
)
def test_a_target_is_met_at_its_bound(target: Target, is_met: bool):
    values = {"frontdesk": [4.0], "pass-through": [2.0]}

    assert judge("cpu", "µs", "ratio", values, target).is_met is is_met


def test_a_target_is_missed_where_nothing_was_measured():
    assert judge("p99", "ms", "added", {"direct": [1.0]}, Target(3)).is_met is False


def test_nothing_is_a_ratio_to_zero():
    assert judge("memory", "kB", "ratio", {"frontdesk": [1.0], "pass-through": [0.0]}).comparisons == []
