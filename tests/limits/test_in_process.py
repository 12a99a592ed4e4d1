"""What the counters of one process keep in memory."""

from __future__ import annotations

from frontdesk.limits.counters import Take, Taken, at_a_time, per_day, rate
from frontdesk.limits.in_process import InProcessCounters
from tests.fakes import HandClock


def take(counters: InProcessCounters, *takes: Take, holder: str = "turn") -> Taken:
    outcome = counters.take(takes, holder)
    assert isinstance(outcome, Taken)
    return outcome


def test_who_has_the_whole_allowance_again_is_forgotten_as_others_come() -> None:
    clock = HandClock()
    counters = InProcessCounters(clock)
    for number in range(1000):
        take(counters, Take(f"early-{number}", rate(2)))

    clock.move(61)
    for number in range(1000):
        take(counters, Take(f"late-{number}", rate(2)))

    assert set(counters._times.values) == {f"late-{number}" for number in range(1000)}
    assert len(counters._times._order) == 1000


def test_who_still_owes_is_not_forgotten() -> None:
    clock = HandClock()
    counters = InProcessCounters(clock)
    counters.settle(take(counters, Take("debtor", rate(60))), [600])

    for number in range(1000):
        clock.move(0.5)
        take(counters, Take(f"other-{number}", rate(60)))

    assert [left.amount for left in counters.look([Take("debtor", rate(60))])] == [0]
    assert len(counters._times.values) < 10


def test_yesterday_is_forgotten() -> None:
    clock = HandClock()
    counters = InProcessCounters(clock)
    for number in range(100):
        take(counters, Take(f"early-{number}", per_day(5)))

    clock.move(86_400)
    for number in range(50):
        take(counters, Take(f"late-{number}", per_day(5)))

    assert set(counters._days.values) == {f"late-{number}" for number in range(50)}


def test_nothing_is_kept_of_what_is_not_under_way() -> None:
    counters = InProcessCounters(HandClock())
    turns = [take(counters, Take(f"key-{number % 3}", at_a_time(99)), holder=f"turn-{number}") for number in range(9)]
    assert {key: len(holders) for key, holders in counters.leases.items()} == {"key-0": 3, "key-1": 3, "key-2": 3}

    for turn in turns:
        counters.settle(turn, [1])

    assert counters.leases == {}
