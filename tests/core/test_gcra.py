"""GCRA: the limit is exact, keys do not share it, and time gives it back."""

from __future__ import annotations

import pytest

from frontdesk.core.gcra import ArrivalTimes
from tests.fakes import HandClock


def test_an_allowance_comes_at_once_then_evenly() -> None:
    clock = HandClock()
    times: ArrivalTimes[str] = ArrivalTimes(clock, 3600)

    assert [times.take("a", 20) for _ in range(20)] == [None] * 20
    assert times.take("a", 20) == pytest.approx(180)
    assert times.take("b", 20) is None
    clock.move(180)
    assert times.take("a", 20) is None
    assert times.take("a", 20) == pytest.approx(180)


def test_what_is_given_back_may_be_taken_again() -> None:
    times: ArrivalTimes[str] = ArrivalTimes(HandClock(), 60)
    times.take("a", 1)

    times.give_back("a", 1)
    times.give_back("unknown", 1)

    assert times.take("a", 1) is None
    assert list(times) == ["a"]


def test_who_has_the_whole_allowance_again_is_forgotten() -> None:
    clock = HandClock()
    times: ArrivalTimes[int] = ArrivalTimes(clock, 60)
    for key in range(100):
        times.take(key, 2)

    clock.move(61)
    times.take(1000, 2)

    assert list(times) == [1000]
