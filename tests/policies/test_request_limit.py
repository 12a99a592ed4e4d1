"""Requests a minute: the allowance is exact, a refusal uses nothing, and time gives it back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import RateLimited
from frontdesk.policies.request_limit import RequestLimit
from frontdesk.turn.turn import Attempt, Caller
from tests.fakes import HandClock, make_turn


def make_limit(clock: HandClock) -> RequestLimit:
    return RequestLimit({"free": 20, "paid": None}, "free", clock)


def ask(limit: RequestLimit, clock: HandClock, person: str = "u1", tier: str = "free") -> float | None:
    """Ask once; returns None where it passed, else the seconds to wait."""
    try:
        limit.admit(make_turn(clock, caller=Caller("user", "s", person, tier)))
    except RateLimited as refusal:
        return refusal.retry_after_s
    return None


def test_a_minutes_allowance_may_come_at_once() -> None:
    clock = HandClock()
    limit = make_limit(clock)

    assert [ask(limit, clock) for _ in range(20)] == [None] * 20
    assert ask(limit, clock) == pytest.approx(3.0)
    assert ask(limit, clock, person="u2") is None


def test_the_told_time_is_enough_and_a_moment_less_is_not() -> None:
    clock = HandClock()
    limit = make_limit(clock)
    for _ in range(20):
        ask(limit, clock)

    clock.move(2.9)
    assert ask(limit, clock) == pytest.approx(0.1)
    clock.move(0.1)
    assert ask(limit, clock) is None


def test_servers_and_unlimited_tiers_are_not_limited() -> None:
    clock = HandClock()
    limit = make_limit(clock)

    assert all(ask(limit, clock, tier="paid") is None for _ in range(100))
    for _ in range(100):
        limit.admit(make_turn(clock, caller=Caller("server", "key", None, None)))


def test_a_turn_refused_before_any_provider_was_asked_uses_nothing() -> None:
    clock = HandClock()
    limit = make_limit(clock)
    turn = make_turn(clock)
    for _ in range(50):
        limit.admit(turn)
        turn.status = "refused"
        limit.settle(turn)

    turn.attempts = [Attempt("p", "m", clock.now())]
    for _ in range(20):
        limit.admit(turn)
        limit.settle(turn)
    assert ask(limit, clock) is not None


def test_people_who_have_their_whole_allowance_are_forgotten() -> None:
    clock = HandClock()
    limit = make_limit(clock)
    for number in range(100):
        ask(limit, clock, person=f"u{number}")

    clock.move(61)
    ask(limit, clock, person="late")

    assert list(limit._tats) == [("default", "late")]


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_window_of_a_minute_lets_more_than_twice_the_allowance_pass(pauses_s: list[float]) -> None:
    """GCRA lets a full allowance come at once and refills it evenly: N at once, N over the minute."""
    clock = HandClock()
    limit = make_limit(clock)
    passed: list[float] = []
    for pause_s in pauses_s:
        clock.move(pause_s)
        if ask(limit, clock) is None:
            passed.append(clock.now())

    for start in passed:
        assert sum(start <= moment < start + 60 for moment in passed) <= 40
