"""An interval around a share says how much is known: it stays within 0 and 1, and narrows with numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.feedback.shares import share_of

COUNT = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [
        (8, 2, (0.8, 0.490162, 0.943318)),
        (0, 10, (0.0, 0.0, 0.277533)),
        (10, 0, (1.0, 0.722467, 1.0)),
        (1, 0, (1.0, 0.206549, 1.0)),
        (500, 500, (0.5, 0.469070, 0.530930)),
    ],
)
def test_known_values(up: int, down: int, expected: tuple[float, float, float]) -> None:
    assert share_of(up, down) == pytest.approx(expected, abs=1e-6)


def test_of_nothing_there_is_no_share() -> None:
    assert share_of(0, 0) is None


@given(COUNT, COUNT)
def test_it_solves_wilsons_equation(up: int, down: int) -> None:
    """Each bound p is as far from the share as its own standard error, times the quantile, allows."""
    share = share_of(up, down)
    if share is None:
        return
    number = up + down
    for bound in (share.low, share.high):
        error = 1.959963984540054 * math.sqrt(bound * (1 - bound) / number)
        assert abs(abs(up / number - bound) - error) < 2e-3 / math.sqrt(number) + 2e-6


@given(COUNT, COUNT)
def test_it_holds_the_share_within_0_and_1(up: int, down: int) -> None:
    share = share_of(up, down)
    if share is not None:
        assert 0 <= share.low <= share.share <= share.high <= 1


@given(COUNT, COUNT)
def test_it_is_the_same_from_the_other_side(up: int, down: int) -> None:
    share, other = share_of(up, down), share_of(down, up)
    if share is not None and other is not None:
        assert (1 - share.high, 1 - share.low) == pytest.approx((other.low, other.high), abs=2e-6)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(2, 1_000))
def test_more_of_the_same_says_more(up: int, down: int, times: int) -> None:
    few, many = share_of(up, down), share_of(up * times, down * times)
    if few is not None and many is not None:
        assert many.high - many.low <= few.high - few.low + 2e-6
