"""A route that fails is left alone, tried by one at a time, and comes back with its first word."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from frontdesk.core.config import Breaker as Rules
from frontdesk.core.errors import ProviderResting
from frontdesk.routing.breakers import NO_PROBE, Breaker
from tests.fakes import HandClock
from tests.routing.plays import WHO

RULES = Rules(share=0.5, least=3, window_s=30, open_s=5, longest_open_s=60)


def breaker(clock: HandClock, rules: Rules = RULES, draw: float = 0.0) -> Breaker:
    return Breaker("p/m", rules, clock, lambda: draw)


def opened(clock: HandClock, **more: float) -> Breaker:
    found = breaker(clock, **more)  # type: ignore[arg-type]
    for _ in range(3):
        found.failed(found.begin(), WHO)
    return found


def test_it_opens_where_enough_failed_and_enough_of_all(caplog: pytest.LogCaptureFixture) -> None:
    found = breaker(HandClock())
    for _ in range(4):
        found.worked(found.begin(), WHO)
    for _ in range(3):
        found.failed(found.begin(), WHO)
    assert found.state == "closed"
    assert found.counts() == (3, 7)

    found.failed(found.begin(), WHO)

    assert found.state == "open"
    with pytest.raises(ProviderResting) as caught:
        found.begin()
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (503, "provider_unavailable", 5)
    assert not caught.value.is_sent
    assert caplog.text.count("route_resting route=p/m rests_s=5.0") == 1


def test_it_does_not_open_for_what_fails_for_one_caller_alone_while_others_are_answered() -> None:
    one, other = ("default", "one"), ("default", "other")
    found = breaker(HandClock())
    found.failed(found.begin(), one)
    found.worked(found.begin(), other)
    for _ in range(9):
        found.failed(found.begin(), one)
    assert found.state == "closed"

    found.failed(found.begin(), other)

    assert found.state == "open"


def test_whose_failures_there_were_is_forgotten_with_them() -> None:
    one, other = ("default", "one"), ("default", "other")
    clock = HandClock()
    found = breaker(clock)
    found.failed(found.begin(), one)
    found.worked(found.begin(), other)
    clock.move(60)

    for _ in range(3):
        found.failed(found.begin(), one)

    assert found.state == "open"


def test_few_failures_open_nothing() -> None:
    found = breaker(HandClock())
    for _ in range(2):
        found.failed(found.begin(), WHO)

    assert found.state == "closed"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    clock = HandClock()
    found = breaker(clock)
    for _ in range(2):
        found.failed(found.begin(), WHO)
    clock.move(30)
    found.failed(found.begin(), WHO)

    assert found.state == "closed"
    assert found.counts() == (1, 1)


def test_after_its_pause_exactly_one_tries_it() -> None:
    clock = HandClock()
    found = opened(clock)
    clock.move(4.999)
    with pytest.raises(ProviderResting):
        found.begin()
    clock.move(0.001)

    probe = found.begin()

    assert probe != NO_PROBE
    assert found.state == "half_open"
    with pytest.raises(ProviderResting):
        found.begin()


def test_the_first_word_of_the_probe_closes_it(caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    found = opened(clock)
    clock.move(5)

    found.answered(found.begin())

    assert found.state == "closed"
    assert found.begin() == NO_PROBE
    assert found.counts() == (0, 0)
    assert caplog.text.count("route_recovered") == 1


@pytest.mark.parametrize("has_answered", [False, True])
def test_each_probe_that_fails_doubles_the_pause(has_answered: bool) -> None:
    clock = HandClock()
    found = opened(clock)
    pauses = [found.rest_s()]
    for _ in range(5):
        clock.move(found.rest_s())
        probe = found.begin()
        if has_answered:
            found.answered(probe)
        found.failed(probe, WHO)
        pauses.append(found.rest_s())

    assert pauses == [5, 10, 20, 40, 60, 60]


def test_longer_pauses_are_drawn_and_never_above_the_longest() -> None:
    clock = HandClock()
    found = opened(clock, draw=0.5)
    assert found.rest_s() == 5
    clock.move(5)

    found.failed(found.begin(), WHO)

    assert found.rest_s() == 9


def test_a_whole_answer_forgets_how_often_it_failed() -> None:
    clock = HandClock()
    found = opened(clock)
    clock.move(5)
    found.failed(found.begin(), WHO)
    clock.move(10)
    found.worked(found.begin(), WHO)
    for _ in range(3):
        found.failed(found.begin(), WHO)

    assert found.rest_s() == 5


def test_the_right_to_be_the_probe_goes_back() -> None:
    clock = HandClock()
    found = opened(clock)
    clock.move(5)
    found.left(found.begin())

    assert found.rest_s() == 0
    assert found.begin() != NO_PROBE


def test_what_others_come_to_meanwhile_says_nothing_of_the_probe() -> None:
    """They began before it opened."""
    clock = HandClock()
    found = breaker(clock)
    late = [found.begin() for _ in range(3)]
    for _ in range(3):
        found.failed(found.begin(), WHO)
    clock.move(5)
    probe = found.begin()

    found.worked(late[0], WHO)
    found.failed(late[1], WHO)
    found.left(late[2])

    assert found.state == "half_open"
    with pytest.raises(ProviderResting):
        found.begin()
    found.answered(probe)
    assert found.state == "closed"


def test_a_provider_without_room_rests_as_long_as_it_says_and_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    found = breaker(clock)
    for _ in range(9):
        found.busy(NO_PROBE, 2)
    assert (found.state, found.rest_s(), found.counts()) == ("closed", 2, (0, 0))
    assert caplog.text.count("route_busy") == 1

    clock.move(2)

    assert found.begin() == NO_PROBE
    found.busy(NO_PROBE, 10_000)
    assert found.rest_s() == 60
    clock.move(60)
    found.busy(found.begin(), None)
    assert found.rest_s() == 0


class Breaking(RuleBasedStateMachine):
    """Attempts that begin and end in any order."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.breaker = breaker(self.clock, Rules(share=0.5, least=2, window_s=10, open_s=2, longest_open_s=7), 0.3)
        self.probes: set[int] = set()  # under way, and nothing told of them yet

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 2.0, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.clock.move(seconds)

    @precondition(lambda self: self.breaker.rest_s() == 0)
    @rule(target=attempts)
    def begin(self) -> int:
        was_closed = self.breaker.state == "closed"
        probe = self.breaker.begin()
        assert (probe == NO_PROBE) is was_closed
        if probe:
            assert not self.probes
            self.probes.add(probe)
        return probe

    @precondition(lambda self: self.breaker.rest_s() > 0)
    @rule()
    def is_refused(self) -> None:
        rest_s = self.breaker.rest_s()
        with pytest.raises(ProviderResting):
            self.breaker.begin()
        assert rest_s <= 7

    @rule(probe=consumes(attempts), answered=st.booleans())
    def works(self, probe: int, answered: bool) -> None:
        if answered:
            self.breaker.answered(probe)
        self.breaker.worked(probe, WHO)
        self._ended(probe)

    @rule(probe=consumes(attempts), answered=st.booleans())
    def fails(self, probe: int, answered: bool) -> None:
        if answered:
            self.breaker.answered(probe)
        self.breaker.failed(probe, WHO)
        self._ended(probe)

    @rule(probe=consumes(attempts), answered=st.booleans())
    def is_left(self, probe: int, answered: bool) -> None:
        if answered:
            self.breaker.answered(probe)
        self.breaker.left(probe)
        self._ended(probe)

    @rule(probe=consumes(attempts), seconds=st.none() | st.floats(0, 20))
    def is_busy(self, probe: int, seconds: float | None) -> None:
        self.breaker.busy(probe, seconds)
        self._ended(probe)

    def _ended(self, probe: int) -> None:
        if probe in self.probes:
            self.probes.remove(probe)

    @invariant()
    def it_can_be_asked_again(self) -> None:
        """Whatever happened, it rests no longer than it may, unless its probe is under way."""
        failures, attempts = self.breaker.counts()
        assert 0 <= failures <= attempts
        if not self.probes:
            assert self.breaker.rest_s() <= 7


TestBreaking = Breaking.TestCase
TestBreaking.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
