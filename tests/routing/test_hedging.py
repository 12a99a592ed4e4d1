"""A second route beside a slow one: whoever has a word first answers, whole and alone, and both are paid for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.config import Breaker as BreakerRules
from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.money import Price, Rates
from frontdesk.routing.breakers import Breaker
from frontdesk.routing.retries import RetryBudget
from frontdesk.routing.route import NO_RETRIES
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.events import Event, ItemFinished, MessageStarted, TextDelta, TurnCompleted, Usage, UsageReported
from frontdesk.turn.items import Message, Prompt, Request
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Turn
from frontdesk.usage.costs import cost_of, usage_of
from tests.fakes import HandClock, make_turn
from tests.funds import PlayedFunds, PricesByRoute
from tests.routing.plays import WHO, CountedSlots, Plays, answer, route

AT_ONCE = 1e-4


class Hedged:
    """Two routes, the second asked at once where the first one waits."""

    def __init__(self, *providers: Plays, after_s: float = AT_ONCE, **more: object) -> None:
        self.clock = HandClock()
        self.providers = providers
        self.routes: list[Route] = [route(f"r{n}", each, self.clock, **more) for n, each in enumerate(providers)]
        self.router = FallbackRouter({"fast": self.routes}, hedge_after_s={"fast": after_s}, sleep=self._sleep)
        self.turn = make_turn(self.clock)
        self.pushed: list[Event] = []

    async def carry(self) -> None:
        await self.router.carry(self.turn, self.push)

    async def push(self, events: list[Event]) -> None:
        self.pushed.extend(events)

    @property
    def attempts(self) -> list[tuple[str, str, str]]:
        return [(attempt.provider, attempt.purpose, attempt.status) for attempt in self.turn.attempts]

    async def _sleep(self, seconds: float) -> None:
        self.clock.move(seconds)


async def test_who_answers_in_time_is_not_hedged() -> None:
    hedged = Hedged(Plays([answer("first")]), Plays([answer("other")]), after_s=60)
    await hedged.carry()

    assert hedged.attempts == [("r0", "first", "completed")]
    assert hedged.pushed == answer("first")


async def test_a_slow_one_is_overtaken_and_let_go() -> None:
    slots = CountedSlots(2)
    hedged = Hedged(Plays([[MessageStarted(0, "m")], asyncio.Event()]), Plays([answer("other")]), slots=slots)
    await hedged.carry()

    assert hedged.attempts == [("r0", "first", "cancelled"), ("r1", "hedge", "completed")]
    assert hedged.pushed == answer("other")
    assert hedged.turn.answering is hedged.turn.attempts[1]
    assert hedged.providers[0].open_answers == 0
    assert slots.in_use == 0
    for each in hedged.routes:
        assert each.breaker is not None
        assert each.breaker.counts()[0] == 0
    assert hedged.routes[0].breaker.counts() == (0, 0)  # type: ignore[union-attr]


async def test_the_slow_one_may_win_after_all() -> None:
    goes_on = asyncio.Event()
    first, second = Plays([goes_on, answer("first")]), Plays([asyncio.Event()])
    hedged = Hedged(first, second)
    task = asyncio.ensure_future(hedged.carry())
    while not second.asked:
        await asyncio.sleep(0)
    goes_on.set()
    await task

    assert hedged.attempts == [("r0", "first", "completed"), ("r1", "hedge", "cancelled")]
    assert hedged.turn.answering is hedged.turn.attempts[0]
    assert hedged.pushed == answer("first")
    assert second.open_answers == 0


async def test_where_the_slow_one_fails_the_other_one_answers() -> None:
    goes_on = asyncio.Event()
    first = Plays([goes_on, lambda: ProviderError("down")])
    second_goes_on = asyncio.Event()
    second = Plays([second_goes_on, answer("other")])
    hedged = Hedged(first, second)
    task = asyncio.ensure_future(hedged.carry())
    while not second.asked:
        await asyncio.sleep(0)
    goes_on.set()
    while first.open_answers:
        await asyncio.sleep(0)
    second_goes_on.set()
    await task

    assert hedged.attempts == [("r0", "first", "failed"), ("r1", "hedge", "completed")]
    assert hedged.pushed == answer("other")


async def test_where_both_fail_the_next_route_is_asked_and_nobody_is_hedged_twice() -> None:
    goes_on = asyncio.Event()

    def down() -> ProviderError:
        goes_on.set()
        return ProviderError("down", upstream_status=404)

    first = Plays([goes_on, lambda: ProviderError("down", upstream_status=401)])
    hedged = Hedged(first, Plays([down]), Plays([answer("third")]))
    await hedged.carry()

    assert hedged.attempts == [("r0", "first", "failed"), ("r1", "hedge", "failed"), ("r2", "fallback", "completed")]


async def test_what_is_the_callers_matter_ends_both() -> None:
    goes_on = asyncio.Event()
    second = Plays([asyncio.Event()])
    hedged = Hedged(Plays([goes_on, lambda: BadRequest("nonsense")]), second)
    task = asyncio.ensure_future(hedged.carry())
    while not second.asked:
        await asyncio.sleep(0)
    goes_on.set()

    with pytest.raises(BadRequest):
        await task
    assert second.open_answers == 0


async def test_who_may_not_be_asked_besides_is_not() -> None:
    """A route that rests, one whose slots are taken, one that no money covers, a budget that is used up."""

    def resting(hedged: Hedged) -> None:
        breaker = Breaker("r1/m", BreakerRules(least=1), hedged.clock, lambda: 0.0)
        breaker.failed(breaker.begin(), WHO)
        hedged.routes[1] = route("r1", hedged.providers[1], hedged.clock, breaker=breaker)

    def full(hedged: Hedged) -> None:
        hedged.routes[1] = route("r1", hedged.providers[1], hedged.clock, slots=CountedSlots(0))

    def uncovered(hedged: Hedged) -> None:
        hedged.turn.funds = PlayedFunds(hedged.turn, ["r1/m"])

    def spent(hedged: Hedged) -> None:
        hedged.routes[0] = route("r0", hedged.providers[0], hedged.clock, budget=RetryBudget(0))

    for forbid in (resting, full, uncovered, spent):
        goes_on = asyncio.Event()
        hedged = Hedged(Plays([goes_on, answer("first")]), Plays([answer("other")]))
        forbid(hedged)
        budget = hedged.routes[0].budget
        assert budget is not None
        before = budget.left
        hedged.router = FallbackRouter({"fast": hedged.routes}, hedge_after_s={"fast": AT_ONCE})
        task = asyncio.ensure_future(hedged.carry())
        await asyncio.sleep(0.02)
        goes_on.set()
        await task

        assert hedged.attempts == [("r0", "first", "completed")], forbid
        assert budget.left == before


async def test_a_turn_that_is_left_leaves_both() -> None:
    slots = CountedSlots(2)
    hedged = Hedged(Plays([asyncio.Event()]), Plays([asyncio.Event()]), slots=slots)
    task = asyncio.ensure_future(hedged.carry())
    while not hedged.providers[1].asked:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert hedged.attempts == [("r0", "first", "running"), ("r1", "hedge", "running")]
    assert [each.open_answers for each in hedged.providers] == [0, 0]
    assert slots.in_use == 0


async def test_a_turn_that_is_left_while_the_other_one_is_let_go_holds_nothing() -> None:
    """Closing takes time, and a turn may be interrupted just then: neither slot, connection nor probe is lost."""
    closes, may_close = asyncio.Event(), asyncio.Event()

    class Reluctant(Plays):
        async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
            async with aclosing(super().answer(request, model)) as batches:
                try:
                    async for batch in batches:
                        yield batch
                finally:
                    closes.set()
                    await may_close.wait()

    slots = CountedSlots(2)
    hedged = Hedged(Reluctant([asyncio.Event()]), Plays([answer("other")]), slots=slots)
    task = asyncio.ensure_future(hedged.carry())
    await closes.wait()
    task.cancel()
    may_close.set()
    await asyncio.gather(task, return_exceptions=True)
    while any(each.open_answers for each in hedged.providers):
        await asyncio.sleep(0)

    assert task.cancelled()
    assert slots.in_use == 0
    assert hedged.pushed == []


async def test_a_second_route_is_hedged_with_however_rarely_it_is_asked_first() -> None:
    """What is asked besides comes out of what the first route's requests earned: the other one may get no others."""
    first, second = Plays([asyncio.Event()]), Plays([answer("other")])
    hedged = Hedged(first, second)
    for each in hedged.routes:
        assert each.budget is not None
        each.budget.take()
    purposes: list[str] = []
    for _ in range(30):
        hedged.turn = make_turn(hedged.clock)
        await hedged.carry()
        purposes.append(hedged.turn.attempts[-1].purpose)

    assert purposes == ["hedge"] * 30


async def test_who_has_left_is_not_hedged() -> None:
    goes_on = asyncio.Event()
    hedged = Hedged(Plays([goes_on, answer("first")]), Plays([answer("other")]))
    hedged.turn.has_reader = False
    task = asyncio.ensure_future(hedged.carry())
    await asyncio.sleep(0.02)
    goes_on.set()
    await task

    assert hedged.attempts == [("r0", "first", "completed")]


# --- money --------------------------------------------------------------------------------------

PRICES = PricesByRoute(
    {
        "r0/m": Price(Rates(input=1_000_000, output=2_000_000)),
        "r1/m": Price(Rates(input=3_000_000, output=5_000_000)),
    }
)
USAGES = st.none() | st.builds(Usage, st.integers(0, 50), st.integers(0, 50))
FAILURES: dict[str, Callable[[], FrontdeskError]] = {
    "down": lambda: ProviderError("down", upstream_status=500),
    "cut": lambda: ProviderError("cut"),
}


class Runner:
    """A contender: what it says it used, early or in the end, and how it ends."""

    def __init__(self, early: Usage | None, late: Usage | None, end: str, begins_after: int) -> None:
        self.early, self.late, self.end, self.begins_after = early, late, end, begins_after

    def plays(self, name: str, gate: list[asyncio.Event]) -> Plays:
        early: list[Event] = [MessageStarted(0, f"msg_{name}")]
        if self.early is not None:
            early.append(UsageReported(self.early))
        late: list[Event] = [ItemFinished(0)]
        if self.late is not None:
            late.append(UsageReported(self.late))
        steps: list[object] = [early, gate[self.begins_after]]
        if self.end in FAILURES:
            return Plays([*steps, FAILURES[self.end]])  # type: ignore[list-item]
        return Plays([*steps, [TextDelta(0, name * 8)], [*late, TurnCompleted()]])  # type: ignore[list-item]


RUNNERS = st.builds(Runner, USAGES, USAGES, st.sampled_from(["whole", "down", "cut"]), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(RUNNERS, RUNNERS, st.floats(0, 30))
def test_the_money_is_right_whoever_wins(first: Runner, second: Runner, took_s: float) -> None:
    asyncio.run(_check(first, second, took_s))


async def _check(first: Runner, second: Runner, took_s: float) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    providers = [first.plays("a", gates), second.plays("b", gates)]
    hedged = Hedged(*providers, retries=NO_RETRIES)
    hedged.turn.request = Prompt([Message("user", "hello")], stream=True, max_output_tokens=400)
    task = asyncio.ensure_future(hedged.carry())
    while not providers[1].asked and not task.done():
        await asyncio.sleep(0.0005)
    hedged.clock.move(took_s)
    for gate in gates:
        gate.set()
        for _ in range(12):
            await asyncio.sleep(0)
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    turn = hedged.turn
    turn.usage = next((event.usage for event in reversed(hedged.pushed) if isinstance(event, UsageReported)), None)
    turn.answered_chars = sum(len(event.text) for event in hedged.pushed if isinstance(event, TextDelta))
    if hedged.pushed:
        turn.first_event_at = turn.clock.now()
    runners = {"r0": first, "r1": second}
    answering = turn.answering
    assert (answering is None) is isinstance(outcome, ProviderError)
    for attempt in turn.attempts:
        runner = runners[attempt.provider]
        usage = usage_of(turn, attempt)
        cost = cost_of(turn, attempt, usage, buckets_of(usage or Usage(0, 0)), PRICES)
        if attempt is answering:
            expected = runner.late or runner.early
            if expected is None:
                expected = Usage(size_of(turn).estimate, 2, source="counted")
        elif attempt.status == "cancelled":
            expected = _left(turn, runner, took_s)
        else:
            assert runner.end in FAILURES
            expected = runner.early
            if expected is None and runner.end == "cut":
                expected = Usage(size_of(turn).estimate, 0, source="counted")
        assert usage == expected
        price = PRICES.price_of(f"{attempt.provider}/{attempt.model}", 0)
        assert price is not None
        assert cost.micros == (0 if expected is None else price.cost(buckets_of(expected)))
    if answering is not None:
        name = "a" if answering.provider == "r0" else "b"
        assert [event.text for event in hedged.pushed if isinstance(event, TextDelta)] == [name * 8]
        assert [event.item_id for event in hedged.pushed if isinstance(event, MessageStarted)] == [f"msg_{name}"]


def _left(turn: Turn, runner: Runner, took_s: float) -> Usage:
    """What one that was let go used: what it said, or as long as it took if that is more."""
    counted = min(int(max(0.0, took_s - 2) * 100), 400)
    if runner.early is None:
        return Usage(size_of(turn).estimate, counted, source="counted")
    if runner.early.output_tokens >= counted:
        return runner.early
    return Usage(runner.early.input_tokens, counted, source="counted")
