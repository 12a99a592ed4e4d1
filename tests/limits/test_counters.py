"""Counters, in process and in a real Valkey: the same tests, and time that is turned by hand."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.limits.counters import Denied, Left, Limit, Take, Taken, at_a_time, key_of, per_day, rate
from tests.limits.desks import Desk
from tests.limits.model import Model, ModelTaken, most_in_any_window, numbers

REQUESTS = Take("requests", rate(20))
TOKENS = Take("tokens", rate(60_000), 1000)
DAILY = Take("daily", per_day(5000), 1000)
TURNS = Take("turns", at_a_time(2))

# Amounts and pauses that meet exactly, or miss by more than any rounding.
AMOUNTS = st.sampled_from([1, 2, 3, 5, 7, 20, 60])
PAUSES_S = st.integers(0, 200).map(lambda quarters: Fraction(quarters, 4))
on_both = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def nearly(seconds: float) -> Any:
    return pytest.approx(seconds)


async def taken(desk: Desk, *takes: Take, holder: str | None = None) -> Taken:
    outcome = await desk.take(takes, holder or f"turn-{next(numbers)}")
    assert isinstance(outcome, Taken)
    return outcome


async def denied(desk: Desk, *takes: Take) -> Denied:
    outcome = await desk.take(takes, f"turn-{next(numbers)}")
    assert isinstance(outcome, Denied)
    return outcome


# --- a rate -------------------------------------------------------------------------------------


async def test_a_minutes_allowance_may_come_at_once_then_it_refills_evenly(desk: Desk) -> None:
    for number in range(20):
        assert (await taken(desk, REQUESTS)).left == [Left(19 - number, nearly(3 * (number + 1)))]

    refusal = await denied(desk, REQUESTS)

    assert (refusal.by, refusal.wait_s) == (0, pytest.approx(3))
    assert refusal.left == [Left(0, nearly(60))]


async def test_the_told_time_is_enough_and_a_moment_less_is_not(desk: Desk) -> None:
    for _ in range(20):
        await taken(desk, REQUESTS)

    await desk.move(2.9)
    assert (await denied(desk, REQUESTS)).wait_s == pytest.approx(0.1)
    await desk.move(0.1)
    await taken(desk, REQUESTS)


async def test_a_weight_takes_so_many_at_once_and_as_much_as_all(desk: Desk) -> None:
    await taken(desk, Take("tokens", rate(60_000), 60_000))

    assert (await denied(desk, TOKENS)).wait_s == pytest.approx(1)
    await desk.move(1)
    await taken(desk, TOKENS)


async def test_what_was_not_used_comes_back(desk: Desk) -> None:
    estimate = await taken(desk, Take("tokens", rate(60_000), 50_000))

    await desk.settle(estimate, [20_000])

    assert await desk.look([TOKENS]) == [Left(40_000, nearly(20))]


async def test_what_was_used_beyond_the_estimate_is_owed_and_later_requests_wait(desk: Desk) -> None:
    estimate = await taken(desk, Take("tokens", rate(60_000), 10_000))

    await desk.settle(estimate, [120_000])

    assert await desk.look([TOKENS]) == [Left(0, nearly(120))]
    assert (await denied(desk, TOKENS)).wait_s == pytest.approx(61)
    await desk.move(61)
    await taken(desk, TOKENS)


async def test_what_time_gave_back_already_is_not_given_back_again(desk: Desk) -> None:
    """A long answer reserves a minute's tokens and uses none: by its end the minute has refilled anyway."""
    whole = Take("tokens", rate(60_000), 60_000)
    long_answer = await taken(desk, whole)
    await desk.move(60)
    await taken(desk, whole)
    await desk.move(1)

    await desk.settle(long_answer, [0])

    assert (await denied(desk, whole)).wait_s == pytest.approx(59)


async def test_of_what_was_not_used_only_that_comes_back_which_time_has_not_given_back_yet(desk: Desk) -> None:
    whole, half = Take("tokens", rate(60_000), 60_000), Take("tokens", rate(60_000), 30_000)
    answer = await taken(desk, whole)
    await desk.move(30)
    await taken(desk, half)

    await desk.settle(answer, [0])

    assert await desk.look([TOKENS]) == [Left(30_000, nearly(30))]


async def test_given_back_at_once_it_is_whole(desk: Desk) -> None:
    everything = await taken(desk, Take("tokens", rate(60_000), 60_000))

    await desk.settle(everything, [0])

    assert await desk.look([TOKENS]) == [Left(60_000, 0)]


# --- a day --------------------------------------------------------------------------------------


async def test_a_day_ends_at_midnight_utc_and_the_next_one_is_whole(desk: Desk) -> None:
    for _ in range(5):
        await taken(desk, DAILY)

    refusal = await denied(desk, DAILY)

    to_midnight_s = 86_400 - desk.now % 86_400
    assert refusal.wait_s == pytest.approx(to_midnight_s)
    assert refusal.left == [Left(0, nearly(to_midnight_s))]
    await desk.move(to_midnight_s - 1)
    await denied(desk, DAILY)
    await desk.move(1)
    assert (await taken(desk, DAILY)).left == [Left(4000, nearly(86_400))]


async def test_what_is_settled_after_midnight_belongs_to_the_day_before(desk: Desk) -> None:
    yesterdays = await taken(desk, DAILY)
    await desk.move(86_400 - desk.now % 86_400)
    await taken(desk, DAILY)

    await desk.settle(yesterdays, [5000])

    assert [left.amount for left in await desk.look([DAILY])] == [4000]


async def test_a_day_can_be_overdrawn_by_what_was_under_way(desk: Desk) -> None:
    estimate = await taken(desk, DAILY)

    await desk.settle(estimate, [7000])

    assert [left.amount for left in await desk.look([DAILY])] == [0]
    await denied(desk, Take("daily", per_day(5000), 1))


@pytest.mark.parametrize("step_s", [86_400.0, 366 * 86_400.0, -86_400.0])
async def test_a_clock_that_jumps_finds_another_day(desk: Desk, step_s: float) -> None:
    await taken(desk, Take("daily", per_day(5000), 5000))

    await desk.move(step_s)

    await taken(desk, Take("daily", per_day(5000), 5000))


# --- leases -------------------------------------------------------------------------------------


async def test_so_many_are_under_way_and_an_end_makes_room(desk: Desk) -> None:
    first = await taken(desk, TURNS)
    assert (await taken(desk, TURNS)).left == [Left(0, 0)]

    refusal = await denied(desk, TURNS)

    assert (refusal.by, refusal.wait_s, refusal.left) == (0, 1, [Left(0, 0)])
    await desk.settle(first, [1])
    await taken(desk, TURNS)


# --- all or nothing -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(4))
async def test_a_refusal_uses_nothing_of_any_limit(desk: Desk, place: int) -> None:
    takes = [REQUESTS, TOKENS, DAILY, TURNS]
    spent = [
        Take("requests", rate(20), 20),
        Take("tokens", rate(60_000), 60_000),
        Take("daily", per_day(5000), 5000),
        Take("turns", at_a_time(1)),
    ][place]
    takes[place] = Take(spent.key, spent.limit)
    await taken(desk, spent)
    before = await desk.look(takes)

    for _ in range(50):
        refusal = await denied(desk, *takes)
        assert refusal.by == place
        assert refusal.left == before

    assert await desk.look(takes) == before


async def test_of_several_that_refuse_the_one_with_the_longest_wait_is_told(desk: Desk) -> None:
    a_while, longest = Take("while", rate(1)), Take("longest", rate(1, 3600))
    await taken(desk, a_while, longest, Take("turns", at_a_time(1)))

    refusal = await denied(desk, Take("turns", at_a_time(1)), longest, a_while)

    assert (refusal.by, refusal.wait_s) == (1, pytest.approx(3600))


async def test_looking_takes_nothing(desk: Desk) -> None:
    takes = [REQUESTS, TOKENS, DAILY, TURNS]

    for _ in range(3):
        assert [left.amount for left in await desk.look(takes)] == [20, 60_000, 5000, 2]


async def test_keys_do_not_share_limits(desk: Desk) -> None:
    only = at_a_time(1)
    keys = [key_of(tenant, f"person:{name}:turns") for tenant in ("a", "b") for name in ("u1", "u2")]

    for key in keys:
        await taken(desk, Take(key, only))

    for key in keys:
        await denied(desk, Take(key, only))


async def test_many_who_ask_at_once_get_exactly_the_limit(desk: Desk) -> None:
    async def ask(number: int) -> bool:
        return isinstance(await desk.take([REQUESTS, TURNS_OF_MANY], f"turn-{number}"), Taken)

    passed = await asyncio.gather(*(ask(number) for number in range(300)))

    assert sum(passed) == 20


TURNS_OF_MANY = Take("many", at_a_time(100))


# --- against a model ----------------------------------------------------------------------------

LIMITS = st.one_of(AMOUNTS.map(rate), AMOUNTS.map(per_day), AMOUNTS.map(at_a_time))
MOVES = st.tuples(st.just("move"), PAUSES_S)
TAKES = st.tuples(st.just("take"), st.dictionaries(st.integers(0, 3), st.integers(1, 60), min_size=1, max_size=4))
SETTLES = st.tuples(st.just("settle"), st.lists(st.integers(0, 70), min_size=4, max_size=4))


@on_both
@given(limits=st.lists(LIMITS, min_size=4, max_size=4), acts=st.lists(st.one_of(MOVES, TAKES, SETTLES), max_size=25))
async def test_it_does_as_a_plain_model_of_it(desk: Desk, limits: list[Limit], acts: list[tuple[str, Any]]) -> None:
    case = next(numbers)
    model = Model(Fraction(desk.now))
    open_turns: list[tuple[Taken, ModelTaken]] = []
    for act, what in acts:
        if act == "move":
            await desk.move(float(what))
            model.move(what)
        elif act == "take":
            takes = [
                Take(f"{case}-{place}", limits[place], _most(weight, limits[place])) for place, weight in what.items()
            ]
            holder = f"turn-{next(numbers)}"
            outcome, expected = await desk.take(takes, holder), model.take(takes, holder)
            if isinstance(expected, ModelTaken):
                assert isinstance(outcome, Taken)
                open_turns.append((outcome, expected))
            else:
                assert isinstance(outcome, Denied)
                assert outcome.by in expected
                assert outcome.wait_s > 0
            assert [left.amount for left in outcome.left] == [model.left(take) for take in takes]
        elif open_turns:
            ours, models = open_turns.pop(0)
            used = what[: len(ours.takes)]
            await desk.settle(ours, used)
            model.settle(models, used)
        everything = [Take(f"{case}-{place}", limit) for place, limit in enumerate(limits)]
        assert [left.amount for left in await desk.look(everything)] == [model.left(take) for take in everything]


@on_both
@given(
    amount=AMOUNTS,
    turns=st.lists(st.tuples(PAUSES_S, st.integers(1, 60), st.integers(0, 60), st.integers(0, 3)), max_size=25),
)
async def test_no_window_lets_more_pass_than_the_allowance_and_what_refills_in_it(
    desk: Desk, amount: int, turns: list[tuple[Fraction, int, int, int]]
) -> None:
    """Counted by what was used: estimates that were too high, and come back at any time, buy nobody more."""
    key, limit = f"window-{next(numbers)}", rate(amount)
    now = Fraction(0)
    used: list[tuple[Fraction, int]] = []
    unsettled: list[tuple[Taken, int]] = []
    for pause_s, weight, spent, settles in turns:
        await desk.move(float(pause_s))
        now += pause_s
        for _ in range(min(settles, len(unsettled))):
            await desk.settle(unsettled[0][0], [unsettled[0][1]])
            unsettled.pop(0)
        take = Take(key, limit, _most(weight, limit))
        outcome = await desk.take([take], f"turn-{next(numbers)}")
        if isinstance(outcome, Taken):
            true_spent = min(spent, take.weight)
            unsettled.append((outcome, true_spent))
            used.append((now, true_spent))

    for window_s in (Fraction(0), Fraction(1), Fraction(30), Fraction(60), Fraction(600)):
        assert most_in_any_window(used, window_s) <= amount + amount * window_s / 60


def _most(weight: int, limit: Limit) -> int:
    return 1 if limit.kind == "lease" else min(weight, limit.amount)
