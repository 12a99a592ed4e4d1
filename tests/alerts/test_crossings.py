"""What a budget has come to: thresholds to the micro-dollar, in their order, and a budget of nothing never."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.alerts.crossings import Crossing, crossings, fraction
from frontdesk.core.config import Budget
from frontdesk.core.money import micros_of

BUDGET = Budget(scope="app", usd=100, per="month", alert_at=[0.5, 0.9, 1.0], degrade_at=[0.8, 0.9])
HALF = Crossing("budget.alert", "alert:0.5:$100.00", 0.5)
ALL = [
    HALF,
    Crossing("budget.degraded", "degraded:1:$100.00", 0.8),
    Crossing("budget.alert", "alert:0.9:$100.00", 0.9),
    Crossing("budget.degraded", "degraded:2:$100.00", 0.9),
    Crossing("budget.alert", "alert:1.0:$100.00", 1.0),
    Crossing("budget.spent", "spent:$100.00", 1.0),
]


@pytest.mark.parametrize(
    ("spent", "found"),
    [
        (0, []),
        (49_999_999, []),
        (50_000_000, ALL[:1]),
        (80_000_000, ALL[:2]),
        (90_000_000, ALL[:4]),
        (99_999_999, ALL[:4]),
        (100_000_000, ALL),
        (250_000_000, ALL),
    ],
)
def test_what_was_crossed_in_order(spent: int, found: list[Crossing]) -> None:
    assert crossings(BUDGET, spent, is_found_spent=False) == found


def test_a_budget_of_which_the_rest_buys_nothing_is_spent() -> None:
    assert crossings(BUDGET, 60_000_000, is_found_spent=True) == [HALF, ALL[-1]]


def test_a_budget_of_nothing_has_nothing_to_tell() -> None:
    budget = Budget(scope="app", usd=0, alert_at=[0.5], degrade_at=[0.5])

    assert crossings(budget, 0, is_found_spent=True) == []


def test_another_amount_is_another_thing_to_tell() -> None:
    told = {
        each.kind
        for usd in (1, 1.000001, 1_000_000, 1_000_001)
        for each in crossings(_of(usd), 10**15, is_found_spent=False)
    }

    assert len(told) == 4 * 2


def _of(usd: float) -> Budget:
    return Budget(scope="app", usd=usd, alert_at=[0.5])


@given(
    st.integers(1, 10**12).map(lambda micros: micros / 1_000_000),
    st.integers(0, 2 * 10**12),
    st.sets(st.integers(1, 1000), max_size=5),
)
def test_a_threshold_is_crossed_where_the_exact_part_is_spent(usd: float, spent: int, parts: set[int]) -> None:
    thresholds = [part / 1000 for part in sorted(parts)]
    cap = micros_of(usd)
    exact = [part / 1000 for part in sorted(parts) if Fraction(spent, cap) >= Fraction(part, 1000)]

    found = crossings(Budget(scope="app", usd=usd, alert_at=thresholds), spent, is_found_spent=False)

    assert [each.threshold for each in found if each.type == "budget.alert"] == exact
    assert [each.threshold for each in found] == sorted(each.threshold for each in found)
    assert ("budget.spent" in {each.type for each in found}) == (spent >= cap)


@given(st.integers(1, 10**12), st.integers(0, 10**13))
def test_a_fraction_is_never_rounded_up(cap: int, spent: int) -> None:
    told = fraction(spent, cap)

    assert math.isclose(told, spent / cap, abs_tol=0.0001, rel_tol=1e-9)
    assert (told >= 1) == (spent >= cap)
