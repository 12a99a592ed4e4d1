"""The line: what is borrowed is given back exactly once, whatever happens and whenever."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, ProviderError, RateLimited
from frontdesk.core.money import Price, Rates
from frontdesk.policies.tracing import Tracing
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import (
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    TextDelta,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.seams import Policy
from frontdesk.turn.sinks import BodySink, StreamSink
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Attempt, Interruption, Turn
from frontdesk.usage.costs import usage_of
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.store import TurnStore
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesStream
from tests.fakes import DiaryPolicy, HandClock, ListSink, PlayedProvider, answer_events, make_turn
from tests.funds import FundingPolicy, ListTreasury, PricesByRoute


def line_of(provider: PlayedProvider, *policies: Policy, fallback: PlayedProvider | None = None) -> Line:
    routes = [Route("one", provider, "m1")]
    if fallback is not None:
        routes.append(Route("two", fallback, "m2"))
    return Line(policies, [], FallbackRouter({"fast": routes}))


async def test_policies_admit_in_order_and_settle_in_reverse() -> None:
    diary: list[str] = []
    provider = PlayedProvider(answer_events("a", "b"))
    sink = ListSink()

    await run_turn(make_turn(), line_of(provider, DiaryPolicy("x", diary), DiaryPolicy("y", diary)), sink)

    assert diary == ["admit x", "admit y", "settle y completed", "settle x completed"]
    assert [event.text for event in sink.events if isinstance(event, TextDelta)] == ["a", "b"]
    assert isinstance(sink.events[-1], TurnCompleted)


async def test_refusal_settles_only_what_was_admitted() -> None:
    diary: list[str] = []
    provider = PlayedProvider(answer_events("a"))
    policies = (DiaryPolicy("x", diary), DiaryPolicy("y", diary, refusal=RateLimited("wait")), DiaryPolicy("z", diary))
    turn, sink = make_turn(), ListSink()

    await run_turn(turn, line_of(provider, *policies), sink)

    assert diary == ["admit x", "settle x refused"]
    assert isinstance(sink.error, RateLimited)
    assert provider.asked == []
    assert turn.finished_at is not None


async def test_settlement_comes_before_the_last_write() -> None:
    diary: list[str] = []

    class LateSink(ListSink):
        async def write(self, events: list[Event]) -> None:
            if isinstance(events[-1], TurnCompleted):
                diary.append("last write")
            await super().write(events)

    await run_turn(make_turn(), line_of(PlayedProvider(answer_events("a")), DiaryPolicy("x", diary)), LateSink())

    assert diary == ["admit x", "settle x completed", "last write"]


async def test_settlement_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    diary: list[str] = []

    class Broken(DiaryPolicy):
        def settle(self, turn: Turn) -> None:
            raise ValueError("broken")

    await run_turn(
        make_turn(),
        line_of(PlayedProvider(answer_events("a")), DiaryPolicy("x", diary), Broken("y", diary)),
        ListSink(),
    )

    assert diary[-1] == "settle x completed"
    assert "settlement_failed" in caplog.text


async def test_bug_in_a_provider_is_an_internal_error_and_settles(caplog: pytest.LogCaptureFixture) -> None:
    diary: list[str] = []
    turn, sink = make_turn(), ListSink()

    await run_turn(turn, line_of(PlayedProvider([ValueError("bug")]), DiaryPolicy("x", diary)), sink)

    assert sink.error is not None
    assert (sink.error.status, sink.error.code) == (500, "internal_error")
    assert diary[-1] == "settle x failed"
    assert "turn_broke" in caplog.text


async def test_failure_before_the_first_word_falls_back_without_a_trace() -> None:
    broken = PlayedProvider([[MessageStarted(0, "msg_lost")], ProviderError("down")])
    good = PlayedProvider(answer_events("a"))
    turn, sink = make_turn(), ListSink()

    await run_turn(turn, line_of(broken, fallback=good), sink)

    assert [event for batch in answer_events("a") for event in batch] == sink.events
    assert [(attempt.provider, attempt.status) for attempt in turn.attempts] == [
        ("one", "failed"),
        ("two", "completed"),
    ]


async def test_failure_after_the_first_word_does_not_fall_back() -> None:
    broken = PlayedProvider([[MessageStarted(0, "msg_1"), TextDelta(0, "half")], ProviderError("down")])
    good = PlayedProvider(answer_events("a"))
    turn, sink = make_turn(), ListSink()

    await run_turn(turn, line_of(broken, fallback=good), sink)

    assert isinstance(sink.error, ProviderError)
    assert good.asked == []
    assert turn.status == "failed"


async def test_end_without_a_terminal_event_is_a_failure() -> None:
    sink = ListSink()

    await run_turn(make_turn(), line_of(PlayedProvider(answer_events("a")[:-1])), sink)

    assert isinstance(sink.error, ProviderError)


async def test_what_only_the_fallback_cannot_do_is_not_the_callers_fault() -> None:
    sink = ListSink()

    await run_turn(
        make_turn(),
        line_of(PlayedProvider([ProviderError("down", status=504)]), fallback=PlayedProvider([BadRequest("no tools")])),
        sink,
    )

    assert sink.error is not None
    assert sink.error.status == 504


# --- cancellation at every await ----------------------------------------------------------------


class CutAt:
    """Awaits a coroutine and throws CancelledError into it where it waits for the n-th time."""

    def __init__(self, work: Awaitable[None], cut: int, before: Callable[[], None]) -> None:
        self._inner = work.__await__()
        self._cut = cut
        self._before = before
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, None]:
        sent: Any = None
        try:
            waited_for = self._inner.send(None)
            while True:
                self.waits += 1
                if self.waits == self._cut:
                    self._before()
                    waited_for = self._inner.throw(asyncio.CancelledError())
                    continue
                sent = yield waited_for
                waited_for = self._inner.send(sent)
        except StopIteration:
            return


async def _send(message: dict[str, Any]) -> None:
    """A send that waits, as one with a full buffer does."""
    del message
    await asyncio.sleep(0)


SINKS: dict[str, Callable[[Turn], Any]] = {
    "list": lambda _: ListSink(),
    "chat stream": lambda turn: StreamSink(ChatStream(turn, includes_usage=True), _send, []),
    "responses stream": lambda turn: StreamSink(ResponsesStream(ResponseTurnFacts(turn, {})), _send, []),
    "body": lambda turn: BodySink(ChatBody(turn), _send, []),
}


@pytest.mark.parametrize("why", [None, *Interruption])
@pytest.mark.parametrize("sink_name", SINKS)
@pytest.mark.parametrize("falls_back", [False, True])
async def test_cancellation_at_every_await_settles_once(
    why: Interruption | None, sink_name: str, falls_back: bool
) -> None:
    cut = 0
    while True:
        cut += 1
        diary: list[str] = []
        policies = [DiaryPolicy(name, diary, waits=name != "y") for name in "xyz"]
        broken = PlayedProvider([[MessageStarted(0, "msg_0")], ProviderError("down")])
        good = PlayedProvider(answer_events("a", "b"))
        line = line_of(broken, *policies, fallback=good) if falls_back else line_of(good, *policies)
        turn = make_turn()

        def interrupt(turn: Turn = turn) -> None:
            turn.interruption = why

        run = CutAt(run_turn(turn, line, SINKS[sink_name](turn)), cut, interrupt)
        try:
            await run
        except asyncio.CancelledError:
            assert why is None

        settled = [entry.split()[1] for entry in diary if entry.startswith("settle")]
        admitted = [entry.split()[1] for entry in diary if entry.startswith("admit")]
        assert len(set(settled)) == len(settled)
        assert set(settled) <= set(admitted)
        assert [policy.borrowed for policy in policies] == [0, 0, 0]
        assert (good.open_answers, broken.open_answers) == (0, 0)
        assert turn.status != "running"
        assert turn.finished_at is not None
        if run.waits < cut:
            break
    assert cut > 6


class NoRows:
    """A database that has time."""

    failure = None

    def enqueue_rows(self, *_: object) -> None:
        """Nobody looks."""


@pytest.mark.parametrize("why", [None, *Interruption])
@pytest.mark.parametrize(
    ("ends", "uncut_cost"),
    [
        ("answered", 3),
        ("fell back", 5 + 2),  # 5 were read by the one that failed, 2 written by the other
        ("not covered", 0),
        ("refused", 0),
        ("cut", measure(make_turn().request).estimate),
    ],
)
async def test_money_put_aside_is_settled_once_however_a_turn_ends(
    why: Interruption | None, ends: str, uncut_cost: int
) -> None:
    cut = 0
    while True:
        cut += 1
        diary: list[str] = []
        treasury = ListTreasury()
        store = TurnStore(NoRows(), owner="proc_1", clock=HandClock())  # type: ignore[arg-type]
        tracing = Tracing(TurnRecorder(store, NoRows(), PRICES, treasury))  # type: ignore[arg-type]
        funding = FundingPolicy(uncovered=["one/m1"] if ends == "not covered" else [], slow=["one/m1", "two/m2"])
        refusal = RateLimited("wait") if ends == "refused" else None
        policies = [tracing, DiaryPolicy("x", diary, waits=True), funding, DiaryPolicy("y", diary, refusal=refusal)]
        broken = PlayedProvider([[MessageStarted(0, "msg_0"), UsageReported(Usage(5, 0))], ProviderError("down")])
        good = PlayedProvider(answer_events(*["long " * 50] * 4) if ends == "cut" else answer_events("a", "b"))
        line = line_of(broken, *policies, fallback=good) if ends == "fell back" else line_of(good, *policies)
        turn, sink = make_turn(), ListSink()
        if ends == "cut":
            turn.request = msgspec.structs.replace(turn.request, max_output_tokens=1)
            turn.has_reader = False

        def interrupt(turn: Turn = turn) -> None:
            turn.interruption = why

        run = CutAt(run_turn(turn, line, sink), cut, interrupt)
        try:
            await run
        except asyncio.CancelledError:
            assert why is None
        store.close()

        settled = [(each.reservation.turn, each.micros) for each in treasury.settlements]
        cost = sum(_cost_of(attempt, turn) for attempt in turn.attempts)
        assert settled == ([] if turn.funds is None else [(turn.id, cost)])
        assert (good.open_answers, broken.open_answers) == (0, 0)
        if run.waits < cut:
            break
    assert cut >= 3
    assert [each.micros for each in treasury.settlements] == [uncut_cost]


PRICES = PricesByRoute({"one/m1": Price(Rates(input=1_000_000)), "two/m2": Price(Rates(output=1_000_000))})


def _cost_of(attempt: Attempt, turn: Turn) -> int:
    """In these prices only reading costs at the one, only writing at the other."""
    usage = usage_of(turn, attempt)
    if usage is None:
        return 0
    return usage.input_tokens if attempt.provider == "one" else usage.output_tokens


async def test_an_answer_without_end_is_cut_and_its_provider_closed() -> None:
    """8 characters for each token that was put aside, and 4,096: no honest answer is as long."""
    endless: list[list[Event] | Exception] = [[TextDelta(0, "word " * 100)] for _ in range(100)]
    provider = PlayedProvider([[MessageStarted(0, "msg_1")], *endless])
    turn, sink = make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=100, choices=2)

    await run_turn(turn, line_of(provider, FundingPolicy()), sink)

    assert sink.events[-3:] == [
        ChoiceFinished(0, "length"),
        ChoiceFinished(1, "length"),
        TurnIncomplete("max_output_tokens"),
    ]
    assert 100 * 2 * 8 + 4096 < turn.answered_chars <= 100 * 2 * 8 + 4096 + 500
    assert (turn.status, turn.error, sink.error) == ("incomplete", None, None)
    assert provider.open_answers == 0


async def test_of_an_answer_that_is_cut_no_choice_ends_twice() -> None:
    begun: list[Event] = [MessageStarted(0, "msg_1"), TextDelta(0, "a"), ItemFinished(0), ChoiceFinished(0, "stop")]
    provider = PlayedProvider([begun, [MessageStarted(1, "msg_2", choice=1), TextDelta(1, "x" * 9_000)], []])
    turn, sink = make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=1, choices=2)

    await run_turn(turn, line_of(provider, FundingPolicy()), sink)

    ends = [event for event in sink.events if isinstance(event, ChoiceFinished)]
    assert ends == [ChoiceFinished(0, "stop"), ChoiceFinished(1, "length")]


@pytest.mark.parametrize("max_output_tokens", [None, 10])
async def test_without_money_an_answer_is_as_long_as_it_is(max_output_tokens: int | None) -> None:
    turn, sink = make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=max_output_tokens)

    await run_turn(turn, line_of(PlayedProvider(answer_events("word " * 9_000, "end"))), sink)

    assert turn.status == "completed"
    assert turn.answered_chars == 45_003


async def test_an_answer_that_ends_in_time_is_not_cut_for_its_last_words() -> None:
    turn, sink = make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=1)
    whole: list[Event] = [MessageStarted(0, "msg_1"), TextDelta(0, "x" * 9_000), ItemFinished(0), TurnCompleted()]

    await run_turn(turn, line_of(PlayedProvider([whole]), FundingPolicy()), sink)

    assert sink.events == whole
    assert turn.status == "completed"


async def test_cancel_ends_a_stream_with_its_terminal_event() -> None:
    more: list[list[Event] | Exception] = [[TextDelta(0, ".")] for _ in range(50)]
    silent = PlayedProvider([[MessageStarted(0, "msg_1"), TextDelta(0, "half")], *more])
    turn, sink = make_turn(), ListSink()
    task = asyncio.get_running_loop().create_task(run_turn(turn, line_of(silent), sink))
    while not sink.events:
        await asyncio.sleep(0)

    turn.interruption = Interruption.CANCEL
    task.cancel()
    await task

    assert isinstance(sink.events[-1], TurnCancelled)
    assert turn.status == "cancelled"
    assert silent.open_answers == 0


class WatchedTurn(Turn):
    """A turn of which it can be told whether it is still there."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("is_rescued", [True, False])
async def test_a_turn_that_failed_is_gone_without_the_collector(is_rescued: bool) -> None:
    """An error keeps the frames that it passed, and these the turn and all that it asked with."""
    turn = make_turn()
    watched = WatchedTurn(turn.door, turn.caller, turn.model, turn.request, turn.clock)
    fallback = PlayedProvider(answer_events("a") if is_rescued else [ProviderError("down as well")])
    line = line_of(PlayedProvider([ProviderError("down")]), fallback=fallback)
    is_there = weakref.ref(watched)
    gc.collect()
    gc.disable()
    try:
        await run_turn(watched, line, ListSink())
        assert [attempt.status for attempt in watched.attempts] == ["failed", "completed" if is_rescued else "failed"]
        del watched, line

        assert is_there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("is_stream", "is_begun", "says"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_what_came_of_an_answer_is_above_only_where_it_was_sent(
    is_stream: bool, is_begun: bool, says: bool
) -> None:
    more: list[list[Event] | Exception] = [[TextDelta(0, ".")] for _ in range(50)]
    provider, turn, sink = PlayedProvider(more if is_begun else [[]] * 50), make_turn(), ListSink()
    turn.request = msgspec.structs.replace(turn.request, stream=is_stream)
    task = asyncio.get_running_loop().create_task(run_turn(turn, line_of(provider), sink))
    for _ in range(8):
        await asyncio.sleep(0)
    assert bool(sink.events) is is_begun

    turn.interruption = Interruption.TIMEOUT
    task.cancel()
    await task

    assert sink.error is not None
    assert (sink.error.code, sink.error.status) == ("turn_timeout", 504)
    assert ("above" in sink.error.message) is says


async def test_the_line_of_a_turn_says_who_answered_and_after_how_many_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "frontdesk.turn")
    broken, good = PlayedProvider([ProviderError("down")]), PlayedProvider(answer_events("a"))
    store = TurnStore(NoRows(), owner="proc_1", clock=HandClock())  # type: ignore[arg-type]
    tracing = Tracing(TurnRecorder(store, NoRows()))  # type: ignore[arg-type]

    for provider in (broken, good):
        await run_turn(make_turn(), line_of(broken, tracing, fallback=provider), ListSink())

    said = [record.getMessage() for record in caplog.records if "turn_settled" in record.getMessage()]
    assert [" provider=None provider_model=None attempts=2 " in line for line in said] == [True, False]
    assert [" provider=two provider_model=m2 attempts=2 " in line for line in said] == [False, True]
