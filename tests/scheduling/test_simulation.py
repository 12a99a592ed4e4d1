"""What is promised of slots, shown on a clock that jumps: the numbers are the same on any machine."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.percentile import percentile
from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config import Slots as SlotsConfig
from tests.scheduling.simulated import Simulation

SLOTS, FIRST_WORD_S, LENGTH_S = 16, 0.2, 0.8
MINUTES_S = 300.0
PER_SECOND = 4.0
"""Interactive requests: with a second each they need a quarter of the slots, which is what is spare by default."""


async def crowd(seed: int, *, background: int, spare: int | None) -> Simulation:
    """People who ask by chance, and so many background requests that wait at any time."""
    chance = random.Random(seed)
    simulation = Simulation(SlotsConfig(SLOTS, waiting=1000, longest_wait_s=3600, spare=spare))

    def takes_s() -> float:
        return FIRST_WORD_S + chance.expovariate(1 / LENGTH_S)

    def next_background() -> float:
        simulation.ask(simulation.now, "background", f"b{chance.randrange(20)}", next_background)
        return takes_s()

    for number in range(background):
        simulation.ask(number / 1000, "background", f"b{number % 20}", next_background)
    when = 5.0
    while when < MINUTES_S:
        simulation.ask(when, "interactive", f"p{chance.randrange(200)}", takes_s)
        when += chance.expovariate(PER_SECOND)
    await simulation.run(MINUTES_S)
    return simulation


def first_word_p99_s(simulation: Simulation) -> float:
    people = simulation.begun("interactive")
    assert len(people) > 1000
    return percentile((each.waited_s + FIRST_WORD_S for each in people), 0.99)


@pytest.mark.parametrize("seed", range(5))
async def test_five_hundred_who_wait_in_the_background_delay_no_interactive_request(seed: int) -> None:
    alone = await crowd(seed, background=0, spare=None)
    crowded = await crowd(seed, background=500, spare=None)

    assert first_word_p99_s(alone) == FIRST_WORD_S
    assert first_word_p99_s(crowded) <= 1.3 * first_word_p99_s(alone)
    assert crowded.at_the_end.waiting["background"] > 400
    assert crowded.idle_s == 0, "and what is not spare is in use all the time"
    assert crowded.busy_s > 0.65 * SLOTS * MINUTES_S


async def test_without_spare_slots_they_would() -> None:
    """The same crowd, so that the test above is known to be able to fail."""
    crowded = await crowd(0, background=500, spare=0)

    assert first_word_p99_s(crowded) > 1.3 * FIRST_WORD_S


async def test_background_work_is_served_by_turns_and_in_the_end_all_of_it() -> None:
    simulation = Simulation(SlotsConfig(4, waiting=1000, longest_wait_s=3600, spare=0))
    for number in range(300):
        simulation.ask(number / 1000, "background", "greedy", lambda: 1.0)
    simulation.ask(1.5, "background", "modest", lambda: 1.0)

    await simulation.run(100)

    modest = simulation.requests[-1]
    assert all(each.ended_at is not None for each in simulation.requests)
    assert modest.waited_s <= 1.0, "the next slot but one at most is theirs"
    assert simulation.now == pytest.approx(301 / 4, abs=1.5)


STORY = st.lists(
    st.tuples(st.sampled_from(PRIORITIES), st.sampled_from("abcd"), st.floats(0, 2)), min_size=1, max_size=10
)


@given(STORY, st.integers(1, 3), st.integers(0, 2))
@settings(max_examples=25, deadline=None)
async def test_nobody_waits_for_ever_whatever_else_comes(
    story: list[tuple[Priority, str, float]], concurrent: int, spare: int
) -> None:
    """Interactive requests that alone are more than all slots can carry, and a handful of others of any class."""
    kept = min(spare, concurrent - 1)
    simulation = Simulation(SlotsConfig(concurrent, waiting=10_000, longest_wait_s=9999, ageing_s=2, spare=kept))
    for number in range(250 * concurrent):
        simulation.ask(number / (1.1 * concurrent), "interactive", f"p{number % 7}", lambda: 1.0)
    when = 1.0
    for priority, person, pause_s in story:
        when += pause_s
        simulation.ask(when, priority, person, lambda: 1.0)
    await simulation.run(225)

    others = [each for each in simulation.requests if each.priority != "interactive"]
    assert all(each.began_at is not None for each in others)
    assert simulation.at_the_end.waiting["interactive"] > 0, "there was always one that could have gone before"
