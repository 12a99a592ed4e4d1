"""Turns under way: the server owns them, connections only read them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import Unavailable
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import TERMINAL_TYPES, Event, MessageStarted, TextDelta, TurnCancelled
from frontdesk.turn.items import Request
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.seams import Provider, Push
from frontdesk.turn.turn import Attempt, Interruption, Turn
from tests.fakes import DiaryPolicy, HandClock, ListSink, PlayedProvider, answer_events, make_turn
from tests.funds import FundingPolicy


class Gate:
    """Says half an answer, then waits until it may end."""

    def __init__(self) -> None:
        self.open_answers = 0
        self.may_end = asyncio.Event()
        self.has_begun = asyncio.Event()

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        self.open_answers += 1
        try:
            yield [MessageStarted(0, "msg_1"), TextDelta(0, "half")]
            self.has_begun.set()
            await self.may_end.wait()
            for batch in answer_events("a")[1:]:
                yield batch
        finally:
            self.open_answers -= 1


class Reader:
    """A client's end of ASGI: `receive` waits until it hangs up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


class NotifyingSink(ListSink):
    """Hangs up when the answer was written, as a server does."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    async def write(self, events: list[Event]) -> None:
        await super().write(events)
        if self.is_complete:
            self._reader.gone.set()


def live_turns(
    provider: Provider, diary: list[str], drain_s: float = 60, turn_timeout_s: float = 600, keep_alive_s: float = 600
) -> LiveTurns:
    line = Line([DiaryPolicy("x", diary)], [], FallbackRouter({"fast": [Route("p", provider, "m")]}))
    return LiveTurns(line, TurnTimes(turn_timeout_s, keep_alive_s, drain_s))


async def test_an_answer_ends_its_visit() -> None:
    diary: list[str] = []
    live, reader = live_turns(PlayedProvider(answer_events("a")), diary), Reader()

    await live.carry(make_turn(), NotifyingSink(reader), reader.receive)

    assert diary[-1] == "settle x completed"
    await live.close(5)
    assert len(live) == 0


async def test_a_hang_up_lets_the_answer_end() -> None:
    diary: list[str] = []
    provider, reader, turn = Gate(), Reader(), make_turn()
    live = live_turns(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, ListSink(), reader.receive))
    await provider.has_begun.wait()

    reader.gone.set()
    await visit
    assert len(live) == 1
    provider.may_end.set()
    await live.close(5)

    assert (turn.status, diary[-1]) == ("completed", "settle x completed")


async def test_a_hang_up_without_time_to_drain_closes_the_provider() -> None:
    diary: list[str] = []
    provider, reader, turn = Gate(), Reader(), make_turn()
    live = live_turns(provider, diary, drain_s=0)
    visit = asyncio.ensure_future(live.carry(turn, ListSink(), reader.receive))
    await provider.has_begun.wait()

    reader.gone.set()
    await visit
    await live.close(5)

    assert provider.open_answers == 0
    assert (turn.status, diary[-1]) == ("abandoned", "settle x abandoned")


async def test_cancel_ends_a_turn_and_waits_for_its_end() -> None:
    diary: list[str] = []
    provider, reader, turn, sink = Gate(), Reader(), make_turn(), ListSink()
    live = live_turns(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive))
    await provider.has_begun.wait()

    await live.cancel(turn.id)

    assert isinstance(sink.events[-1], TurnCancelled)
    assert provider.open_answers == 0
    await live.cancel(turn.id)
    assert live.find(turn.id) is None
    reader.gone.set()
    await visit


async def test_closing_takes_no_more_turns_and_ends_the_rest_with_an_error() -> None:
    diary: list[str] = []
    provider, reader, turn, sink = Gate(), Reader(), make_turn(), ListSink()
    live = live_turns(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive))
    await provider.has_begun.wait()

    await live.close(0)

    assert sink.error is not None
    assert sink.error.code == "server_shutting_down"
    assert (turn.status, diary[-1]) == ("failed", "settle x failed")
    with pytest.raises(Unavailable):
        await live.carry(make_turn(), ListSink(), reader.receive)
    reader.gone.set()
    await visit


async def test_a_turn_that_ends_without_an_end_for_its_reader_closes_the_connection() -> None:
    class Broken(ListSink):
        async def write(self, events: list[Event]) -> None:
            raise OSError("gone")

        async def fail(self, error: Any) -> None:
            raise OSError("gone")

    reader = Reader()
    live = live_turns(PlayedProvider(answer_events("a")), [])

    await live.carry(make_turn(), Broken(), reader.receive, reader.gone.set)

    assert len(live) == 0


async def test_a_turn_that_takes_too_long_ends_with_an_error() -> None:
    diary: list[str] = []
    provider, reader, turn, sink = Gate(), Reader(), make_turn(), ListSink()
    live = live_turns(provider, diary, turn_timeout_s=0.02)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive, reader.gone.set))

    await provider.has_begun.wait()
    while not sink.is_complete:
        await asyncio.sleep(0.005)

    assert sink.error is not None
    assert (sink.error.status, sink.error.code) == (504, "turn_timeout")
    assert provider.open_answers == 0
    reader.gone.set()
    await visit
    await live.close(5)
    assert (turn.status, diary[-1]) == ("failed", "settle x failed")


async def test_a_silent_stream_is_kept_alive_until_it_speaks() -> None:
    provider, reader, sink = Gate(), Reader(), ListSink()
    live = live_turns(provider, [], keep_alive_s=0.02)
    visit = asyncio.ensure_future(live.carry(make_turn(), sink, reader.receive))

    while sink.keep_alives < 3:
        await asyncio.sleep(0.005)
    provider.may_end.set()
    await live.close(5)

    assert sink.is_complete
    reader.gone.set()
    await visit


class Endless:
    """Says three characters whenever it is told to."""

    def __init__(self) -> None:
        self.open_answers = 0
        self.said = 0
        self.may_say = asyncio.Semaphore(0)

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        self.open_answers += 1
        try:
            yield [MessageStarted(0, "msg_1"), TextDelta(0, "abc")]
            while True:
                await self.may_say.acquire()
                self.said += 1
                yield [TextDelta(0, "abc")]
        finally:
            self.open_answers -= 1


def funded(provider: Provider, diary: list[str]) -> LiveTurns:
    router = FallbackRouter({"fast": [Route("p", provider, "m")]})
    return LiveTurns(Line([DiaryPolicy("x", diary), FundingPolicy()], [], router), TurnTimes(600, 600, 60))


@pytest.mark.parametrize(("tokens", "more"), [(10, 26), (4, 10), (3, 8)])
async def test_a_drain_ends_when_the_tokens_put_aside_are_used_up(tokens: int, more: int) -> None:
    """At 8 characters each: 3 + 26 x 3 characters are more than 10 tokens."""
    diary: list[str] = []
    provider, reader, turn, sink = Endless(), Reader(), make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=tokens)
    live = funded(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive))
    while not sink.events:
        await asyncio.sleep(0)
    reader.gone.set()
    await visit

    while live.find(turn.id) is not None:
        provider.may_say.release()
        for _ in range(5):
            await asyncio.sleep(0)

    assert provider.said == more
    assert provider.open_answers == 0
    assert (turn.status, diary[-1]) == ("abandoned", "settle x abandoned")
    assert turn.interruption is Interruption.HANGUP


async def test_a_hang_up_after_the_tokens_put_aside_are_used_up_drains_nothing() -> None:
    diary: list[str] = []
    provider, reader, turn, sink = Endless(), Reader(), make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=1)
    live = funded(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive))
    provider.may_say.release()
    provider.may_say.release()
    while provider.said < 2:
        await asyncio.sleep(0)

    reader.gone.set()
    await visit
    for _ in range(10):
        await asyncio.sleep(0)

    assert live.find(turn.id) is None
    assert (provider.said, provider.open_answers) == (2, 0)
    assert diary[-1] == "settle x abandoned"


async def test_a_hang_up_while_a_turn_is_admitted_bounds_its_drain_as_well() -> None:
    diary: list[str] = []
    provider, reader, turn, sink = Endless(), Reader(), make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=3)
    router = FallbackRouter({"fast": [Route("p", provider, "m")]})
    line = Line([DiaryPolicy("x", diary, waits=True), FundingPolicy()], [], router)
    live = LiveTurns(line, TurnTimes(600, 600, 60))

    reader.gone.set()
    await live.carry(turn, sink, reader.receive)
    assert diary == []
    for _ in range(20):
        provider.may_say.release()
    while live.find(turn.id) is not None:
        await asyncio.sleep(0)

    assert provider.said == 8
    assert diary == ["admit x", "settle x abandoned"]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(Interruption, repeat=2)))
@pytest.mark.parametrize("apart", [0, 1])
async def test_interruptions_that_race_the_end_settle_once_and_tell_one_end(
    first: Interruption, second: Interruption, apart: int
) -> None:
    for steps in range(2, 20):
        diary: list[str] = []
        reader, turn = Reader(), make_turn()
        sink = NotifyingSink(reader)
        live = live_turns(PlayedProvider(answer_events("a", "b")), diary)
        visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive, reader.gone.set))
        for _ in range(steps):
            await asyncio.sleep(0)
        for why in (first, second):
            running = live.find(turn.id)
            if running is not None:
                running.interrupt(why)
            for _ in range(apart):
                await asyncio.sleep(0)
        await live.close(5)
        reader.gone.set()
        await visit

        ends = [event for event in sink.events if type(event) in TERMINAL_TYPES]
        was_left = turn.interruption is Interruption.HANGUP
        assert diary == ["admit x", f"settle x {turn.status}"]
        assert len(ends) + (sink.error is not None) == (0 if was_left else 1)
        assert (turn.status == "abandoned") == was_left


# --- deadlines and waiting for a slot -----------------------------------------------------------


async def test_a_turn_ends_when_its_caller_has_no_use_for_it_any_more() -> None:
    diary: list[str] = []
    provider, reader, sink = Gate(), Reader(), ListSink()
    turn = make_turn(RealClock())
    turn.deadline_at = turn.clock.monotonic() + 0.01
    live = live_turns(provider, diary)
    visit = asyncio.ensure_future(live.carry(turn, sink, reader.receive))

    while live.find(turn.id) is not None or not diary:
        await asyncio.sleep(0.001)

    assert turn.clock.monotonic() >= turn.deadline_at - 0.002  # a loop's milliseconds
    assert turn.interruption is Interruption.TIMEOUT
    assert sink.error is not None
    assert (sink.error.code, sink.error.status) == ("turn_timeout", 504)
    assert diary[-1] == "settle x failed"
    reader.gone.set()
    await visit


async def test_the_timer_of_a_turn_that_ended_in_time_does_nothing() -> None:
    diary: list[str] = []
    live, reader, turn = live_turns(PlayedProvider(answer_events("a")), diary), Reader(), make_turn(RealClock())
    turn.deadline_at = turn.clock.monotonic() + 60

    await live.carry(turn, NotifyingSink(reader), reader.receive)
    await live.close(1)

    assert (turn.status, turn.interruption) == ("completed", None)


async def test_a_hang_up_of_who_only_waits_for_a_slot_ends_the_wait() -> None:
    diary: list[str] = []
    live, reader, turn, router = waiting_turns(diary, is_asking=False)
    visit = asyncio.ensure_future(live.carry(turn, ListSink(), reader.receive))
    await router.waits.wait()

    reader.gone.set()
    await visit
    while len(live):
        await asyncio.sleep(0)

    assert (turn.status, diary[-1]) == ("abandoned", "settle x abandoned")


async def test_a_hang_up_of_who_waits_beside_an_answer_lets_that_end() -> None:
    diary: list[str] = []
    live, reader, turn, router = waiting_turns(diary, is_asking=True)
    visit = asyncio.ensure_future(live.carry(turn, ListSink(), reader.receive))
    await router.waits.wait()

    reader.gone.set()
    await visit
    for _ in range(10):
        await asyncio.sleep(0)

    assert turn.interruption is None
    router.may_end.set()
    await live.close(5)
    assert turn.status == "completed"


class WaitingRouter:
    """Waits for a slot, with an attempt beside it or without."""

    def __init__(self, *, is_asking: bool) -> None:
        self._is_asking = is_asking
        self.waits = asyncio.Event()
        self.may_end = asyncio.Event()

    async def carry(self, turn: Turn, push: Push) -> None:
        if self._is_asking:
            turn.attempts.append(Attempt("p", "m", 0.0))
        turn.slots_awaited = 1
        self.waits.set()
        await self.may_end.wait()
        await push(answer_events("a")[-1])


def waiting_turns(diary: list[str], *, is_asking: bool) -> tuple[LiveTurns, Reader, Turn, WaitingRouter]:
    router = WaitingRouter(is_asking=is_asking)
    live = LiveTurns(Line([DiaryPolicy("x", diary)], [], router), TurnTimes(600, 600, 60))
    return live, Reader(), make_turn(), router


class RealClock(HandClock):
    """The machine's, for what its timers do."""

    def monotonic(self) -> float:
        return SystemClock.monotonic()
