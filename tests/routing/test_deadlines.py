"""Waits end when their time is over, and are never mistaken for the end of the turn, nor it for them."""

from __future__ import annotations

import asyncio
import math

import pytest

from frontdesk.core.errors import ProviderError
from frontdesk.routing.deadlines import DeadlinePassed, Deadlines, TooSlow, Wait
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import Event, TextDelta
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.turn import Interruption
from tests.fakes import HandClock, ListSink, make_turn
from tests.routing.plays import Plays, answer, route


class Waiting:
    """A task that waits for ever within a wait."""

    def __init__(self, due_in_s: float = 1.0, deadline_in_s: float = math.inf) -> None:
        self.clock = HandClock()
        self.deadlines = Deadlines()
        now = self.clock.monotonic()
        self.wait: Wait = self.deadlines.wait(self.clock, now + due_in_s, now + deadline_in_s)
        self.goes_on = asyncio.Event()
        self.task = asyncio.ensure_future(self._wait())

    async def _wait(self) -> str:
        with self.wait:
            await self.goes_on.wait()
        return "done"

    async def until_it_waits(self) -> None:
        while not len(self.deadlines):
            await asyncio.sleep(0)


async def test_a_wait_that_ends_in_time_is_forgotten() -> None:
    waiting = Waiting()
    await waiting.until_it_waits()
    waiting.goes_on.set()

    assert await waiting.task == "done"
    assert len(waiting.deadlines) == 0


@pytest.mark.parametrize(("due", "deadline", "kind"), [(1, math.inf, TooSlow), (math.inf, 1, DeadlinePassed)])
async def test_a_wait_that_takes_too_long_fails(due: float, deadline: float, kind: type[ProviderError]) -> None:
    waiting = Waiting(due, deadline)
    await waiting.until_it_waits()
    waiting.clock.move(0.999)
    waiting.deadlines.look()
    await asyncio.sleep(0)
    assert not waiting.task.done()
    waiting.clock.move(0.001)

    waiting.deadlines.look()

    with pytest.raises(kind) as caught:
        await waiting.task
    assert (type(caught.value), caught.value.status, caught.value.code) == (kind, 504, "provider_timeout")
    assert waiting.task.cancelling() == 0


@pytest.mark.parametrize("is_first", [True, False])
async def test_who_is_cancelled_at_the_same_moment_is_cancelled(is_first: bool) -> None:
    waiting = Waiting()
    await waiting.until_it_waits()
    waiting.clock.move(2)
    if is_first:
        waiting.task.cancel()
    waiting.deadlines.look()
    if not is_first:
        waiting.task.cancel()

    await asyncio.gather(waiting.task, return_exceptions=True)

    assert waiting.task.cancelled()


async def test_what_went_wrong_by_itself_at_the_same_moment_stands() -> None:
    clock, deadlines = HandClock(), Deadlines()
    begun = asyncio.Event()

    async def fail() -> None:
        with deadlines.wait(clock, clock.monotonic() + 1, math.inf):
            try:
                begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("mine") from None

    task = asyncio.ensure_future(fail())
    await begun.wait()
    clock.move(1)
    deadlines.look()

    with pytest.raises(ValueError, match="mine"):
        await task
    assert task.cancelling() == 0


async def test_time_that_a_slow_reader_takes_is_not_the_providers() -> None:
    waiting = Waiting(due_in_s=1)
    await waiting.until_it_waits()
    waiting.wait.is_elsewhere = True
    for _ in range(100):
        waiting.clock.move(0.05)
        waiting.deadlines.look()
    waiting.wait.is_elsewhere = False
    waiting.clock.move(0.9)
    waiting.deadlines.look()
    await asyncio.sleep(0)
    assert not waiting.task.done()

    waiting.clock.move(0.2)
    waiting.deadlines.look()

    with pytest.raises(ProviderError):
        await waiting.task


# --- at the router ------------------------------------------------------------------------------


class Timed:
    """A model whose first route takes no longer than it may."""

    def __init__(self, *providers: Plays, **times: float) -> None:
        self.clock = HandClock()
        self.providers = providers
        self.routes: list[Route] = [route(f"r{n}", each, self.clock, **times) for n, each in enumerate(providers)]
        self.router = FallbackRouter({"fast": self.routes})
        self.turn = make_turn(self.clock)
        self.pushed: list[Event] = []

    def start(self) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.router.carry(self.turn, self._push))

    async def pass_by(self, seconds: float) -> None:
        for _ in range(10):  # let everything come to where it waits
            await asyncio.sleep(0)
        self.clock.move(seconds)
        self.router._deadlines.look()
        for _ in range(10):
            await asyncio.sleep(0)

    async def _push(self, events: list[Event]) -> None:
        self.pushed.extend(events)


async def test_a_first_word_that_is_late_falls_back() -> None:
    timed = Timed(Plays([asyncio.Event()]), Plays([answer("other")]), first_event_s=5)
    task = timed.start()
    await timed.pass_by(5)
    await task

    assert timed.pushed == answer("other")
    first, _ = timed.turn.attempts
    assert (first.status, first.error and first.error.code) == ("failed", "provider_timeout")
    assert timed.routes[0].breaker is not None
    assert timed.routes[0].breaker.counts() == (1, 1)
    assert timed.providers[0].open_answers == 0


async def test_a_first_word_in_time_may_be_followed_slowly_but_not_for_ever() -> None:
    timed = Timed(
        Plays([[TextDelta(0, "one")], asyncio.Event()]), Plays([answer("other")]), first_event_s=5, attempt_s=60
    )
    task = timed.start()
    await timed.pass_by(59)
    assert not task.done()
    await timed.pass_by(1)

    with pytest.raises(ProviderError) as caught:
        await task
    assert (caught.value.status, caught.value.code) == (504, "provider_timeout")
    assert timed.pushed == [TextDelta(0, "one")]
    assert len(timed.turn.attempts) == 1
    assert timed.turn.attempts[0].status == "failed"
    assert timed.routes[0].breaker is not None
    assert timed.routes[0].breaker.counts() == (0, 0)  # who asks for much gets a long answer


@pytest.mark.parametrize("batches", [[], [[TextDelta(0, "one")]]])
async def test_a_turns_deadline_ends_all_and_blames_nobody(batches: list[list[Event]]) -> None:
    timed = Timed(Plays([*batches, asyncio.Event()]), Plays([answer("other")]))
    timed.turn.deadline_at = timed.clock.monotonic() + 3
    task = timed.start()
    await timed.pass_by(3)

    with pytest.raises(DeadlinePassed) as caught:
        await task
    assert (caught.value.status, caught.value.code) == (504, "provider_timeout")
    assert "deadline" in caught.value.message
    assert timed.providers[1].asked == 0
    assert timed.routes[0].breaker is not None
    assert timed.routes[0].breaker.counts() == (0, 0)


async def test_once_the_provider_has_said_all_only_the_reader_takes_time() -> None:
    timed = Timed(Plays([answer("x")]), attempt_s=5)
    timed.turn.deadline_at = timed.clock.monotonic() + 3
    reads = asyncio.Event()

    async def push(events: list[Event]) -> None:
        await reads.wait()
        timed.pushed.extend(events)

    task = asyncio.ensure_future(timed.router.carry(timed.turn, push))
    await timed.pass_by(60)
    reads.set()
    await task

    assert timed.pushed == answer("x")
    assert len(timed.router._deadlines) == 0


@pytest.mark.parametrize("cancels_first", [True, False])
async def test_a_turn_that_is_cancelled_when_its_attempt_is_late_is_cancelled(cancels_first: bool) -> None:
    timed = Timed(Plays([asyncio.Event()]), Plays([answer("other")]), first_event_s=5)
    live = LiveTurns(Line([], [], timed.router), TurnTimes(60, 10, 0))
    sink = ListSink()
    hung_up = asyncio.Event()

    async def receive() -> dict[str, str]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    serving = asyncio.ensure_future(live.carry(timed.turn, sink, receive))
    await timed.pass_by(0)
    timed.clock.move(6)
    running = live.find(timed.turn.id)
    assert running is not None
    if cancels_first:
        running.interrupt(Interruption.CANCEL)
    timed.router._deadlines.look()
    running.interrupt(Interruption.CANCEL)
    await asyncio.wait([running.task])
    hung_up.set()
    await serving
    await live.close(1)

    assert timed.turn.status == "cancelled"
    assert timed.providers[1].asked == 0
