"""Logs: whatever comes between, each reader gets what may be seen, once, in order, and waits for nobody."""

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, QuotaSpent, RateLimited, Unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.turn.events import (
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
)
from frontdesk.turn.log import ENDS, Entry, Failure, TurnLog, decode_entries, encode_entries, put_together
from tests.fakes import ListSink

# --- what is kept -------------------------------------------------------------------------------

_PIECES = (TextDelta, RefusalDelta, ReasoningDelta, ReasoningSummaryDelta, ToolArgumentsDelta)
_outputs = st.integers(0, 2)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_pieces = st.builds(lambda kind, output, text: kind(output, text), st.sampled_from(_PIECES), _outputs, _texts)
_logged = st.builds(
    lambda kind, output, text: kind(output, text, [{"token": text}]),
    st.sampled_from((TextDelta, RefusalDelta)),
    _outputs,
    _texts,
)
_others = st.one_of(st.builds(MessageStarted, _outputs, st.just("msg_1")), st.builds(ItemFinished, _outputs))
_failures = st.builds(
    Failure, _texts, _texts, st.integers(400, 599), _texts, st.none() | _texts, st.none() | st.just(3)
)
_entries = st.lists(st.one_of(_pieces, _pieces, _logged, _others, _failures), max_size=30)


def told(entries: list[Entry]) -> list[tuple[Any, ...]]:
    """What entries say: neighbouring pieces of a text as the letters that they are."""
    letters: list[tuple[Any, ...]] = []
    for entry in entries:
        if isinstance(entry, _PIECES) and getattr(entry, "logprobs", None) is None:
            letters += [(type(entry), entry.output, letter) for letter in entry.text]
        else:
            letters.append((type(entry), entry))
    return letters


@given(_entries)
def test_an_answer_that_is_put_together_says_the_same(entries: list[Entry]) -> None:
    whole = put_together(entries)

    assert told(whole) == told(entries)
    assert put_together(whole) == whole
    assert not any(
        type(one) is type(other) and isinstance(one, _PIECES) and one.output == getattr(other, "output", None)
        for one, other in pairwise(whole)
        if getattr(one, "logprobs", None) is None and getattr(other, "logprobs", None) is None
    )


@given(_entries)
def test_what_is_kept_of_an_answer_is_what_it_was(entries: list[Entry]) -> None:
    assert decode_entries(encode_entries(entries)) == entries


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("No.", code="missing", param="model"),
        RateLimited("Slow down.", retry_after_s=3.5),
        QuotaSpent("Spent."),
        Unavailable("Later.", status=504),
        FrontdeskError("A bug."),
    ],
)
def test_a_failure_is_told_later_as_it_was_at_first(error: FrontdeskError) -> None:
    error.should_retry = False

    again = decode_entries(encode_entries([Failure.of(error)]))[0]

    assert isinstance(again, Failure)
    told_again = again.error()
    assert (told_again.body(), told_again.status) == (error.body(), error.status)
    assert (told_again.retry_after_s, told_again.should_retry) == (error.retry_after_s, False)


# --- readers ------------------------------------------------------------------------------------


class SlowSink(ListSink):
    """Takes what it is sent when it is let to; before that it has it in its hands."""

    __slots__ = ("_may_take", "has_left")

    def __init__(self) -> None:
        super().__init__()
        self._may_take: asyncio.Future[None] | None = None
        self.has_left = False

    async def write(self, events: list[Event]) -> None:
        self._may_take = asyncio.get_running_loop().create_future()
        await self._may_take
        await super().write(events)

    def take(self) -> None:
        if self._may_take is not None and not self._may_take.done():
            self._may_take.set_result(None)

    def leave(self) -> None:
        self.has_left = True


def word(number: int) -> Entry:
    return TextDelta(0, f"{number} ")


_doing = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 700)),
    st.tuples(st.just("show"), st.floats(0, 1)),
    st.tuples(st.just("attach"), st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("take"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.integers(1, 4)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_doing, max_size=40), st.sampled_from([TurnCompleted(), TurnIncomplete("content_filter"), "failure"]))
def test_each_reader_gets_what_may_be_seen_once_and_in_order(doings: list[tuple[str, Any]], last: Any) -> None:
    async def play() -> None:
        tasks = Tasks("readers")
        log = TurnLog("resp_1", tasks)
        readers = [(log.attach(sink := ListSink()), sink)]

        def check() -> None:
            for _, sink in readers:
                assert sink.events == log.entries[: len(sink.events)]
                assert len(sink.events) <= log.shown

        for what, how in doings:
            if what == "append":
                log.entries += [word(len(log.entries) + number) for number in range(how)]
            elif what == "show":
                log.show(log.shown + round(how * (len(log.entries) - log.shown)))
            elif what == "attach":
                sink = SlowSink() if how else ListSink()
                readers.append((log.attach(sink), sink))
            elif what == "leave" and how < len(readers):
                readers[how][0].leave()
            elif what == "take" and how < len(readers) and isinstance(readers[how][1], SlowSink):
                readers[how][1].take()
            elif what == "pass":
                for _ in range(how):
                    await asyncio.sleep(0)
            check()

        staying = set(log.readers)
        error = Unavailable("It broke.")
        log.entries.append(Failure.of(error) if last == "failure" else last)
        log.show(len(log.entries))
        for _ in range(200):
            for _, sink in readers:
                if isinstance(sink, SlowSink):
                    sink.take()
            await asyncio.sleep(0)

        events = log.entries[:-1] if last == "failure" else log.entries
        for reader, sink in readers:
            assert sink.events == events[: len(sink.events)]
            if reader in staying:
                assert sink.events == events
                assert (sink.error is not None) == (last == "failure")
        assert log.readers == []
        assert len(tasks) == 0

    asyncio.run(play())


async def test_nobody_is_shown_what_is_not_to_be_seen_yet() -> None:
    log, sink = TurnLog("resp_1", Tasks("readers")), ListSink()
    log.entries += [word(1), word(2), TurnCompleted()]
    log.attach(sink)
    log.show(2)

    assert sink.events == [word(1), word(2)]
    assert log.readers != []


async def test_a_thousand_readers_are_told_though_some_take_nothing() -> None:
    log = TurnLog("resp_1", Tasks("readers"))
    stuck, quick = [SlowSink() for _ in range(20)], [ListSink() for _ in range(1_000)]
    for sink in (*stuck, *quick):
        log.attach(sink)
    log.entries += [word(1), TurnCompleted()]

    log.show(1)
    log.show(2)

    assert all(sink.is_complete for sink in quick)
    assert len(log.readers) == 20
    assert [sink.events for sink in stuck] == [[]] * 20
    for _ in range(3):
        for sink in stuck:
            sink.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert all(sink.is_complete for sink in stuck)


async def test_a_late_reader_of_a_long_answer_lets_others_come_between() -> None:
    log, late, early = TurnLog("resp_1", Tasks("readers")), ListSink(), ListSink()
    log.entries += [word(number) for number in range(5_000)]
    log.show(5_000)

    log.attach(late)
    log.attach(early)

    assert 0 < len(late.events) == len(early.events) < 1_000
    for _ in range(12):
        await asyncio.sleep(0)
        assert abs(len(late.events) - len(early.events)) <= 500
    assert late.events == early.events == log.entries


class BrokenSink(ListSink):
    """Raises on a write."""

    __slots__ = ("_writes", "has_left")

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._writes = writes
        self.has_left = False

    async def write(self, events: list[Event]) -> None:
        if self._writes == 0:
            raise RuntimeError("A bug of the renderer.")
        self._writes -= 1
        await super().write(events)

    def leave(self) -> None:
        self.has_left = True


async def test_a_reader_that_breaks_breaks_alone(caplog: pytest.LogCaptureFixture) -> None:
    log, broken, well = TurnLog("resp_1", Tasks("readers")), BrokenSink(1), ListSink()
    aborted: list[bool] = []
    log.attach(broken, lambda: aborted.append(True))
    log.attach(well)
    for number in range(3):
        log.entries.append(word(number))
        log.show(number + 1)

    log.entries.append(TurnCancelled())
    log.show(4)

    assert well.events == log.entries
    assert (broken.events, broken.has_left, aborted) == ([word(0)], True, [True])
    assert caplog.text.count("reader_broke turn_id=resp_1") == 1


async def test_readers_that_are_ended_take_nothing_along() -> None:
    """Their owner ends them, as a server does that goes down; the log goes on."""
    tasks = Tasks("readers")
    log, slow, well = TurnLog("resp_1", tasks), SlowSink(), ListSink()
    log.attach(slow)
    log.attach(well)
    log.entries.append(word(1))
    log.show(1)

    await tasks.close()
    log.entries.append(TurnCompleted())
    log.show(2)

    assert well.is_complete
    assert slow.events == []


async def test_an_abandoned_log_closes_the_connections_of_those_who_wait_for_more() -> None:
    log = TurnLog("resp_1", Tasks("readers"))
    closed: list[str] = []
    ended, waiting = SlowSink(), SlowSink()
    log.attach(ended, lambda: closed.append("ended"))
    log.attach(waiting, lambda: closed.append("waiting"))
    ended.is_complete = True

    log.abandon()

    assert closed == ["waiting"]
    assert (ended.has_left, waiting.has_left) == (True, True)
    assert log.readers == []


async def test_who_leaves_while_it_is_sent_something_is_sent_nothing_that_comes_later() -> None:
    log, sink = TurnLog("resp_1", Tasks("readers")), SlowSink()
    reader = log.attach(sink)
    log.entries.append(word(1))
    log.show(1)

    reader.leave()
    reader.leave()
    log.entries.append(word(2))
    log.show(2)
    sink.take()
    for _ in range(5):
        sink.take()
        await asyncio.sleep(0)

    assert sink.has_left
    assert log.readers == []
    log.entries.append(word(3))
    log.show(3)
    assert word(3) not in sink.events


async def test_silence_is_broken_for_all_who_read() -> None:
    log, sinks = TurnLog("resp_1", Tasks("readers")), [ListSink(), ListSink()]
    for sink in sinks:
        log.attach(sink)

    log.keep_alive()

    assert [sink.keep_alives for sink in sinks] == [1, 1]


class HeldSink(ListSink):
    """One that can be looked for."""

    __slots__ = ("__weakref__",)


async def test_nothing_of_a_reader_stays_once_it_has_read_all_or_left() -> None:
    log, tasks = TurnLog("resp_1", Tasks("readers")), Tasks("readers")
    done, left = HeldSink(), HeldSink()
    log.attach(done)
    log.attach(left).leave()
    log.entries.append(TurnCompleted())
    log.show(1)
    held = [weakref.ref(done), weakref.ref(left)]

    del done, left
    gc.collect()

    assert [each() for each in held] == [None, None]
    assert len(tasks) == 0


def test_every_end_is_known_as_one() -> None:
    assert {type(each) for each in (TurnCompleted(), TurnCancelled(), TurnIncomplete("content_filter"))} < ENDS
    assert Failure in ENDS
