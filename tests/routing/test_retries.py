"""Pauses grow, are drawn, and heed what a provider says; a budget keeps retries from making a storm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Retries
from frontdesk.routing.retries import RetryBudget, pause_s

RULES = Retries(most=3, base_s=0.5, longest_s=8)
DRAWS = st.floats(0, 1, exclude_max=True)


def test_pauses_double_up_to_the_longest() -> None:
    rules = Retries(most=10, base_s=0.5, longest_s=3)

    assert [pause_s(rules, number, None, 0.5) for number in range(1, 6)] == [0.25, 0.5, 1.0, 1.5, 1.5]


def test_there_are_no_more_than_so_many() -> None:
    assert pause_s(RULES, 3, None, 0.0) == 0.0
    assert pause_s(RULES, 4, None, 0.0) is None
    assert pause_s(Retries(most=0), 1, None, 0.0) is None


def test_what_the_provider_says_is_the_least_and_too_long_is_none() -> None:
    assert pause_s(RULES, 1, 2.0, 0.5) == 2.25
    assert pause_s(RULES, 1, 8.0, 0.5) == 8.0
    assert pause_s(RULES, 1, 8.1, 0.5) is None


@given(
    st.builds(Retries, most=st.integers(0, 10), base_s=st.floats(0.001, 60), longest_s=st.floats(0.001, 600)),
    st.integers(1, 12),
    st.none() | st.floats(0, 1000),
    DRAWS,
)
def test_a_pause_is_never_shorter_than_was_said_nor_longer_than_is_allowed(
    rules: Retries, number: int, retry_after_s: float | None, draw: float
) -> None:
    pause = pause_s(rules, number, retry_after_s, draw)

    if pause is None:
        assert number > rules.most or (retry_after_s or 0) > rules.longest_s
    else:
        least = retry_after_s or 0.0
        assert least <= pause <= rules.longest_s * (1 + 1e-12)
        assert pause - least <= rules.base_s * 2.0 ** (number - 1) * (1 + 1e-12)


@given(st.floats(0, 2), st.lists(st.booleans(), max_size=400))
def test_retries_are_no_more_than_their_share_and_a_few(share: float, asked: list[bool]) -> None:
    """True is a request, False somebody who would like to ask again."""
    budget = RetryBudget(share)
    requests = retries = 0
    for is_request in asked:
        if is_request:
            budget.earn()
            requests += 1
        elif budget.take():
            retries += 1

    assert retries <= 10 * (share > 0) + share * requests + 1e-6
    assert budget.left >= 0


def test_an_outage_makes_no_storm() -> None:
    """Each request fails and would be asked again, twice."""
    budget = RetryBudget(0.2)
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.take() + budget.take()

    assert 200 <= retries <= 210


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_what_was_not_used_goes_back(share: float) -> None:
    budget = RetryBudget(share)
    before = budget.left
    if budget.take():
        budget.give_back()

    assert budget.left == before
    assert (before == 0) is (share == 0)
