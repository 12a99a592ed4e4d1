"""Logs that follow turns of other processes: equal to what their carriers stored, whatever the post does."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import FrontdeskError
from frontdesk.core.tasks import Tasks
from frontdesk.keeping.following import (
    LOOK_ALONE_EVERY_S,
    LOOK_EVERY_S,
    RENEW_EVERY_S,
    TOPIC,
    WATCHED_FOR_S,
    Cancel,
    Carried,
    Entries,
    Following,
    Message,
    Unwatch,
    Watch,
    Watched,
    listen,
)
from frontdesk.keeping.journal import Writing
from frontdesk.keeping.rows import ResponseRow
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.events import TextDelta, TurnCompleted
from frontdesk.turn.log import Entry, Failure, Reader, TurnLog, put_together
from tests.fakes import HandClock, ListSink
from tests.keeping.jumping_time import run_jumping

TENANT, RESPONSE = "acme", "resp_1"
KEEP_ALIVE_S = 1_000_000.0
CRASH = FrontdeskError("The server went down.", code="server_crashed")
_read = msgspec.msgpack.Decoder(Message).decode


def jumping(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        run_jumping(test(**arguments))

    return run


# --- fakes --------------------------------------------------------------------------------------


class Net:
    """Carries messages between posts. `fate` says after which times a message arrives, each time it does."""

    def __init__(self) -> None:
        self.posts: dict[str, NetPost] = {}
        self.sent: list[tuple[str, Message]] = []
        self.is_well = True
        self.fate: Callable[[Message], list[float]] = lambda _: [0.001]

    def send(self, process: str, message: bytes) -> None:
        said = _read(message)
        self.sent.append((process, said))
        for after_s in self.fate(said):
            if self.is_well:
                asyncio.get_running_loop().call_later(after_s, self._arrive, process, message)

    def sent_of(self, kind: type[Message]) -> list[tuple[str, Any]]:
        return [(process, said) for process, said in self.sent if isinstance(said, kind)]

    def _arrive(self, process: str, message: bytes) -> None:
        if process in self.posts:
            self.posts[process].take(message)


class NetPost:
    def __init__(self, net: Net, me: str) -> None:
        self.me = me
        self._net = net
        self.take: Callable[[bytes], None] = lambda _: None
        net.posts[me] = self

    @property
    def is_well(self) -> bool:
        return self._net.is_well

    def listen(self, topic: str, take: Callable[[bytes], None]) -> None:
        assert topic == TOPIC
        self.take = take

    def move(self, me: str) -> None:
        raise NotImplementedError

    def send(self, process: str, topic: str, message: bytes) -> None:
        assert topic == TOPIC
        self._net.send(process, message)

    async def start(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Store:
    """The rows of one turn. `takes_s` is how long a read takes: before and after it is what it tells."""

    carrier: str | None = "one"
    finished_at_ms: int | None = None
    is_there: bool = True
    batches: list[tuple[int, list[Entry]]] = field(default_factory=list)
    whole: list[Entry] | None = None
    looks: int = 0
    reads: int = 0
    takes_s: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)
    error: Exception | None = None

    @property
    def count(self) -> int:
        return sum(len(entries) for _, entries in self.batches)

    async def find(self, tenant: str, response_id: str) -> ResponseRow | None:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return await self._read(lambda: self._row() if self.is_there and tenant == TENANT else None)

    async def entries_from(self, tenant: str, response_id: str, first: int) -> list[tuple[int, list[Entry]]]:
        self.reads += 1
        return await self._read(
            lambda: [(place, entries) for place, entries in self.batches if place + len(entries) > first]
        )

    async def answer(self, tenant: str, response_id: str) -> list[Entry] | None:
        return await self._read(lambda: self.whole)

    async def _read(self, tell: Callable[[], Any]) -> Any:
        before_s, after_s = self.takes_s()
        await asyncio.sleep(before_s)
        told = tell()
        await asyncio.sleep(after_s)
        return told

    def _row(self) -> ResponseRow:
        return ResponseRow(
            tenant=TENANT,
            id=RESPONSE,
            person="u1",
            credential="",
            caller="{}",
            door="responses",
            carrier=self.carrier,
            status="in_progress" if self.finished_at_ms is None else "completed",
            is_stored=True,
            is_background=True,
            is_dispatched=True,
            wants_cancel=False,
            conversation=None,
            previous=None,
            model="fast",
            feature="chat",
            metadata=None,
            created_at_ms=1_800_000_000_000,
            finished_at_ms=self.finished_at_ms,
            events_until_ms=None,
            expires_at_ms=None,
        )


@dataclass
class Carrying:
    writing: Writing


class Carrier:
    """A process that carries the turn: what it says is stored, shown, and told to who follows."""

    def __init__(self, net: Net, store: Store, name: str = "one", *, keeps_entries: bool = True) -> None:
        self.store = store
        self.tasks = Tasks("carrier")
        self.log = TurnLog(RESPONSE, self.tasks)
        self.turn = Carrying(Writing(TENANT, self.log, keeps_entries=keeps_entries))
        self.post = NetPost(net, name)
        self.watched = Watched(self.post)
        self.cancelled: list[str] = []
        listen(self.post, Following(self.post, store, HandClock(), KEEP_ALIVE_S), self.watched, self, self.tasks)

    def find(self, response_id: str, /) -> Carrying | None:
        return self.turn if response_id == RESPONSE else None

    async def cancel(self, response_id: str, /) -> bool:
        self.cancelled.append(response_id)
        return True

    def say(self, *entries: Entry, finished_at_ms: int | None = None) -> None:
        """Take entries, store them, together with the end of the row where that is said, and tell."""
        first = len(self.log.entries)
        self.log.entries.extend(entries)
        if entries and self.turn.writing.keeps_entries:
            self.store.batches.append((first, list(entries)))
        if finished_at_ms is not None:
            self.end_row(finished_at_ms)
        self.log.show(len(self.log.entries))
        self.watched.published(TENANT, self.log, first, self.log.entries[first:])

    def end_row(self, finished_at_ms: int) -> None:
        self.store.finished_at_ms = finished_at_ms
        self.store.whole = put_together(self.log.entries)

    def die(self) -> None:
        self.post.take = lambda _: None
        self.watched = Watched(self.post)


class Other:
    """A process that follows."""

    def __init__(self, net: Net, store: Store, name: str = "two", keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self.post = NetPost(net, name)
        self.following = Following(self.post, store, HandClock(), keep_alive_s)
        self.tasks = Tasks("other")
        listen(self.post, self.following, Watched(self.post), NothingCarried(), self.tasks)

    async def read(self) -> ListSink:
        sink, _ = await self.attach()
        return sink

    async def attach(self) -> tuple[ListSink, Reader]:
        log = await self.following.follow(TENANT, RESPONSE)
        sink = ListSink()
        return sink, log.attach(sink)

    async def close(self) -> None:
        await self.following.close()


class NothingCarried:
    def find(self, response_id: str, /) -> Carrying | None:
        return None

    async def cancel(self, response_id: str, /) -> bool:
        return False


def word(number: int) -> Entry:
    return TextDelta(0, f"{number} ")


def words(first: int, count: int) -> list[Entry]:
    return [word(number) for number in range(first, first + count)]


END = TurnCompleted()
ENDED_MS = 1_800_000_005_000


async def complete(*sinks: ListSink) -> None:
    """Wait until all have their end, for no more than two minutes that pass in no time."""
    async with asyncio.timeout(120):
        while not all(sink.is_complete for sink in sinks):
            await asyncio.sleep(0.01)


# --- whatever the post does ---------------------------------------------------------------------

_delay = st.floats(0, 5, allow_nan=False).map(lambda value: round(value, 3))
_fates = st.lists(st.lists(_delay, max_size=3), min_size=1, max_size=12)
_saying = st.tuples(st.integers(1, 5), _delay)
_outage = st.tuples(_delay, _delay)
_reading = st.tuples(_delay, st.none() | _delay)  # when it begins, and after how long it leaves
_read_times = st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None)
@given(
    fates=_fates,
    sayings=st.lists(_saying, max_size=12),
    outages=st.lists(_outage, max_size=3),
    readings=st.lists(_reading, min_size=1, max_size=4),
    read_times=_read_times,
    row_ends_late=st.booleans(),
    crash=st.none() | st.integers(0, 12),
)
@jumping
async def test_a_followed_log_ends_equal_to_its_carriers(
    fates: list[list[float]],
    sayings: list[tuple[int, float]],
    outages: list[tuple[float, float]],
    readings: list[tuple[float, float | None]],
    read_times: list[tuple[float, float]],
    row_ends_late: bool,
    crash: int | None,
) -> None:
    """Messages are dropped, late, doubled and in another order; the post is away and back; carriers die."""
    net, store = Net(), Store()
    fate_of, time_of = turning(fates), turning(read_times)
    net.fate = lambda _: fate_of()
    store.takes_s = time_of
    carrier, other = Carrier(net, store), Other(net, store)
    sinks: list[tuple[ListSink, bool]] = []

    async def carry() -> None:
        for number, (count, pause_s) in enumerate(sayings):
            await asyncio.sleep(pause_s)
            if crash == number:
                carrier.die()
                await asyncio.sleep(1)
                store.batches.append((store.count, [Failure.of(CRASH)]))
                store.finished_at_ms, store.carrier = ENDED_MS, "three"
                return
            carrier.say(*words(store.count, count))
        if row_ends_late:
            carrier.say(END)
            await asyncio.sleep(0.3)
            carrier.end_row(ENDED_MS)
        else:
            carrier.say(END, finished_at_ms=ENDED_MS)

    async def go_away() -> None:
        for after_s, for_s in outages:
            await asyncio.sleep(after_s)
            net.is_well = False
            await asyncio.sleep(for_s)
            net.is_well = True

    async def read(begins_s: float, leaves_s: float | None) -> None:
        await asyncio.sleep(begins_s)
        sink, reader = await other.attach()
        if leaves_s is None:
            sinks.append((sink, True))
            return
        await asyncio.sleep(leaves_s)
        sinks.append((sink, False))
        reader.leave()

    await asyncio.gather(carry(), go_away(), *(read(*reading) for reading in readings))
    await complete(*(sink for sink, stays in sinks if stays))

    stored = [entry for _, entries in store.batches for entry in entries]
    for sink, stays in sinks:
        told = [*sink.events, *([] if sink.error is None else [Failure.of(sink.error)])]
        assert told == (stored if stays else stored[: len(told)])
    await other.close()


def turning(values: list[Any]) -> Callable[[], Any]:
    """The values one after the other, again and again."""
    number = -1

    def next_one() -> Any:
        nonlocal number
        number += 1
        return values[number % len(values)]

    return next_one


# --- what comes by post -------------------------------------------------------------------------


@jumping
async def test_what_is_stored_is_told_at_once_and_what_comes_by_post_without_a_look() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(*words(0, 3))

    sink = await other.read()
    assert sink.events == words(0, 3)
    await asyncio.sleep(1)
    looks = store.looks
    for number in range(3, 40):
        carrier.say(word(number))
        await asyncio.sleep(LOOK_EVERY_S - 0.1)

    assert sink.events == words(0, 40)
    assert store.looks == looks
    await other.close()


@jumping
async def test_what_comes_between_the_first_look_and_the_watch_is_sent_by_the_carrier() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(word(0))

    log = await other.following.follow(TENANT, RESPONSE)
    carrier.say(*words(1, 500))
    sink = ListSink()
    log.attach(sink)
    await asyncio.sleep(0.1)

    assert sink.events == words(0, 501)
    assert store.looks == 1
    await other.close()


@jumping
async def test_a_gap_is_filled_from_the_store_without_waiting() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)

    net.fate = lambda _: []
    carrier.say(*words(0, 5))
    net.fate = lambda _: [0.001]
    carrier.say(word(5))
    await asyncio.sleep(0.01)

    assert sink.events == words(0, 6)
    await other.close()


@jumping
async def test_a_gap_that_shows_while_the_store_is_read_is_looked_for_again() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)
    store.takes_s = lambda: (0.0, 0.5)

    net.fate = lambda _: []
    carrier.say(word(0))
    net.fate = lambda _: [0.001]
    carrier.say(word(1))
    await asyncio.sleep(0.6)  # the look knows of two
    net.fate = lambda _: []
    carrier.say(word(2))
    net.fate = lambda said: [] if isinstance(said, Watch) else [0.001]
    carrier.say(word(3))
    await asyncio.sleep(1.6)

    assert sink.events == words(0, 4)
    await other.close()


@jumping
async def test_all_readers_share_one_log_and_one_watch() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(word(0))

    sinks = [await other.read() for _ in range(3)]
    await asyncio.sleep(0.1)
    carrier.say(word(1))
    await asyncio.sleep(0.1)

    assert [sink.events for sink in sinks] == [words(0, 2)] * 3
    assert [process for process, _ in net.sent_of(Watch)] == ["one"]
    assert len(net.sent_of(Entries)) == 1
    looks = store.looks
    await asyncio.sleep(60)
    assert store.looks - looks == pytest.approx(60 / LOOK_EVERY_S, abs=2)
    await other.close()


@jumping
async def test_processes_that_follow_get_what_comes_and_nobody_else() -> None:
    net, store = Net(), Store()
    carrier = Carrier(net, store)
    others = [Other(net, store, name) for name in ("two", "three", "four")]
    sinks = [await other.read() for other in others[:2]]
    await asyncio.sleep(0.1)

    carrier.say(*words(0, 2), END, finished_at_ms=ENDED_MS)
    await complete(*sinks)

    assert [sink.events for sink in sinks] == [[*words(0, 2), END]] * 2
    assert [process for process, _ in net.sent_of(Entries)] == ["two", "three"]
    for other in others:
        await other.close()


@jumping
async def test_nothing_is_sent_where_nobody_follows() -> None:
    net, store = Net(), Store()
    carrier = Carrier(net, store)

    carrier.say(*words(0, 500), END, finished_at_ms=ENDED_MS)

    assert net.sent == []


# --- watching -----------------------------------------------------------------------------------


@jumping
async def test_a_watch_is_renewed_and_tells_the_carrier_what_is_there() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    for number in range(60):
        carrier.say(word(number))
        await asyncio.sleep(1)

    renewals = net.sent_of(Watch)
    assert len(renewals) == pytest.approx(60 / RENEW_EVERY_S, abs=2)
    assert [said.have for _, said in renewals] == sorted({said.have for _, said in renewals})
    assert sink.events == words(0, 60)
    await other.close()


@jumping
async def test_a_watch_that_was_lost_is_sent_again_once_a_look_finds_what_had_not_come() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    net.fate = lambda _: []
    sink = await other.read()
    await asyncio.sleep(0.1)
    net.fate = lambda _: [0.001]
    carrier.say(word(0))
    await asyncio.sleep(LOOK_EVERY_S + 0.1)
    looks = store.looks

    carrier.say(word(1))
    await asyncio.sleep(0.1)

    assert sink.events == words(0, 2)
    assert store.looks == looks
    await other.close()


@jumping
async def test_a_carrier_sends_no_more_to_a_process_that_stopped_asking() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    await other.read()
    await asyncio.sleep(0.1)
    del net.posts["two"]  # killed
    other.following._tasks._running.copy().pop().cancel()
    await asyncio.sleep(WATCHED_FOR_S + RENEW_EVERY_S)
    net.sent.clear()

    carrier.say(word(0))

    assert net.sent == []


@jumping
async def test_what_expired_is_forgotten_with_the_next_watch() -> None:
    net, store = Net(), Store()
    carrier = Carrier(net, store)
    for number in range(100):
        log = TurnLog(f"resp_old_{number}", carrier.tasks)
        said = Watch(TENANT, log.id, "two", 0)
        carrier.watched.watch(said, Writing(TENANT, log, keeps_entries=True))
    await asyncio.sleep(WATCHED_FOR_S + 1)

    carrier.watched.watch(Watch(TENANT, RESPONSE, "two", 0), carrier.turn.writing)

    assert list(carrier.watched._watching) == [RESPONSE]


@jumping
async def test_when_the_last_reader_leaves_nothing_is_sent_looked_at_or_kept() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    readers = [(await other.attach())[1] for _ in range(2)]
    log = weakref.ref(await other.following.follow(TENANT, RESPONSE))
    await asyncio.sleep(0.1)

    readers.pop().leave()
    await asyncio.sleep(0.1)
    assert net.sent_of(Unwatch) == []
    readers.pop().leave()
    await asyncio.sleep(0.1)
    looks = store.looks
    carrier.say(word(0))
    await asyncio.sleep(60)

    assert net.sent_of(Unwatch) == [("one", Unwatch(TENANT, RESPONSE, "two"))]
    assert net.sent_of(Entries) == []
    assert store.looks == looks
    gc.collect()
    assert log() is None


@jumping
async def test_a_log_that_nobody_read_for_a_while_goes_on_with_its_next_reader() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    log = await other.following.follow(TENANT, RESPONSE)
    log.attach(ListSink()).leave()
    await asyncio.sleep(60)
    carrier.say(*words(0, 3))

    sink = ListSink()
    log.attach(sink)
    await asyncio.sleep(0.1)
    carrier.say(END, finished_at_ms=ENDED_MS)
    await complete(sink)

    assert sink.events == [*words(0, 3), END]


@jumping
async def test_a_turn_that_another_process_takes_over_is_asked_for_there() -> None:
    net, store = Net(), Store()
    one, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)
    one.die()
    three = Carrier(net, store, "three")
    store.carrier = "three"
    await asyncio.sleep(LOOK_EVERY_S + 0.1)
    looks = store.looks

    three.say(*words(0, 3))
    await asyncio.sleep(0.1)

    assert [process for process, _ in net.sent_of(Watch)] == ["one", "three"]
    assert sink.events == words(0, 3)
    assert store.looks == looks
    await other.close()


@jumping
async def test_one_that_nobody_carries_yet_is_looked_at_often() -> None:
    net, store = Net(), Store(carrier=None)
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(20)
    assert net.sent == []

    store.carrier = "one"
    await asyncio.sleep(LOOK_ALONE_EVERY_S + 0.01)
    carrier.say(word(0))
    await asyncio.sleep(0.01)

    assert sink.events == [word(0)]
    await other.close()


# --- without a post -----------------------------------------------------------------------------


@jumping
async def test_without_a_post_it_ends_by_looking() -> None:
    net, store = Net(), Store()
    net.is_well = False
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    for number in range(4):
        carrier.say(word(number))
        await asyncio.sleep(5)
    assert sink.events == words(0, 4)
    assert store.looks == pytest.approx(20 / LOOK_ALONE_EVERY_S, abs=3)

    carrier.say(END, finished_at_ms=ENDED_MS)
    await complete(sink)

    assert sink.events == [*words(0, 4), END]
    assert net.sent == []


@jumping
async def test_a_silent_turn_is_looked_at_seldom_while_the_post_is_well() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(60)
    assert store.looks == pytest.approx(60 / LOOK_EVERY_S, abs=3)

    net.fate = lambda _: []
    carrier.say(word(0), END, finished_at_ms=ENDED_MS)
    await asyncio.sleep(LOOK_EVERY_S + 0.1)

    assert sink.events == [word(0), END]


@jumping
async def test_when_the_post_is_back_a_watch_is_sent_at_once() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(1)
    net.is_well = False
    await asyncio.sleep(LOOK_EVERY_S)
    net.sent.clear()
    net.is_well = True
    await asyncio.sleep(LOOK_ALONE_EVERY_S + 0.01)
    looks = store.looks

    carrier.say(word(0))
    await asyncio.sleep(0.01)

    assert [process for process, _ in net.sent_of(Watch)] == ["one"]
    assert sink.events == [word(0)]
    assert store.looks == looks
    await other.close()


# --- ends ---------------------------------------------------------------------------------------


@jumping
async def test_the_end_is_shown_when_the_row_says_when_it_was() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    log = await other.following.follow(TENANT, RESPONSE)
    sink = ListSink()
    log.attach(sink)
    await asyncio.sleep(0.1)

    carrier.say(word(0), END)
    await asyncio.sleep(3)
    assert (sink.events, log.finished_at) == ([word(0)], None)
    carrier.end_row(ENDED_MS)
    await asyncio.sleep(LOOK_ALONE_EVERY_S + 0.01)

    assert (sink.events, log.finished_at) == ([word(0), END], ENDED_MS / 1000)


@jumping
async def test_a_failure_is_told_as_its_carrier_told_it() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)

    carrier.say(word(0), Failure.of(CRASH), finished_at_ms=ENDED_MS)
    await complete(sink)

    assert sink.events == [word(0)]
    assert sink.error is not None
    assert sink.error.body() == CRASH.body()


@jumping
async def test_of_a_turn_whose_entries_are_not_stored_the_whole_answer_is_told_at_its_end() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store, keeps_entries=False), Other(net, store)
    carrier.say(word(0))
    sink = await other.read()
    await asyncio.sleep(0.1)
    carrier.say(*words(1, 2))
    await asyncio.sleep(0.1)
    assert sink.events == []

    carrier.say(END, finished_at_ms=ENDED_MS)
    await asyncio.sleep(0.01)

    assert sink.events == put_together([*words(0, 3), END])
    assert net.sent_of(Entries) == [("two", Entries(TENANT, RESPONSE, 0, []))], "what is not stored left its process"


@jumping
async def test_a_turn_of_which_nothing_is_kept_ends_with_that() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store, keeps_entries=False), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)

    carrier.say(word(0), END)
    store.finished_at_ms = ENDED_MS
    await complete(sink)

    assert (sink.events, sink.error and sink.error.code) == ([], "idempotency_answer_not_kept")


@jumping
async def test_a_turn_that_is_deleted_ends_with_that() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(word(0))
    sink = await other.read()

    store.is_there = False
    store.batches.clear()
    await complete(sink)

    assert sink.events == [word(0)]
    assert sink.error is not None
    assert (sink.error.status, sink.error.code) == (404, "response_not_found")


@jumping
async def test_one_that_failed_and_was_forgotten_tells_its_failure_where_that_came() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)

    store.is_there = False
    carrier.say(Failure.of(CRASH))
    await complete(sink)

    assert sink.error is not None
    assert sink.error.body() == CRASH.body()


@jumping
async def test_a_crash_after_words_that_could_not_be_stored_ends_with_its_failure() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    await asyncio.sleep(0.1)
    carrier.say(*words(0, 5))
    await asyncio.sleep(0.1)

    carrier.die()
    store.batches = [(0, words(0, 2)), (2, [Failure.of(CRASH)])]
    store.whole = put_together([*words(0, 2), Failure.of(CRASH)])
    store.finished_at_ms = ENDED_MS
    await complete(sink)

    assert sink.events == words(0, 5)
    assert sink.error is not None
    assert sink.error.code == "server_crashed"


@jumping
async def test_one_whose_rest_is_not_kept_says_so() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(word(0))
    sink = await other.read()
    await asyncio.sleep(0.1)

    carrier.die()
    store.whole = [*words(0, 3), END]
    store.finished_at_ms = ENDED_MS
    await complete(sink)

    assert (sink.events, sink.error and sink.error.code) == ([word(0)], "events_gone")


# --- when something is wrong --------------------------------------------------------------------


@jumping
async def test_a_store_that_fails_for_a_while_holds_up_and_ends_nothing() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    store.error = StorageFailed("the server is away")
    await asyncio.sleep(60)
    assert store.looks == pytest.approx(60 / LOOK_EVERY_S, abs=3)

    store.error = None
    carrier.say(word(0), END, finished_at_ms=ENDED_MS)
    await complete(sink)

    assert sink.events == [word(0), END]


@jumping
async def test_a_bug_breaks_the_connections_off_and_leaves_nobody_waiting() -> None:
    net, store = Net(), Store()
    other = Other(net, store)
    log = await other.following.follow(TENANT, RESPONSE)
    aborted: list[str] = []
    log.attach(ListSink(), lambda: aborted.append("reader"))
    store.error = KeyError("a bug")
    logging.disable(logging.ERROR)
    await asyncio.sleep(LOOK_EVERY_S + 0.1)
    logging.disable(logging.NOTSET)

    assert (aborted, log.readers) == (["reader"], [])


@jumping
async def test_a_process_that_stops_breaks_its_readers_off_and_tells_the_carrier() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    log = await other.following.follow(TENANT, RESPONSE)
    aborted: list[str] = []
    log.attach(ListSink(), lambda: aborted.append("reader"))
    await asyncio.sleep(0.1)

    await other.close()
    await asyncio.sleep(0.1)

    assert aborted == ["reader"]
    assert len(net.sent_of(Unwatch)) == 1
    assert carrier.watched._watching == {}


@jumping
async def test_a_silent_answer_keeps_its_readers_connections_open() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store, keep_alive_s=15)
    sink = await other.read()
    await asyncio.sleep(50)
    assert sink.keep_alives == 3

    for number in range(20):
        carrier.say(word(number))
        await asyncio.sleep(5)

    assert sink.keep_alives == 3
    await other.close()


@jumping
async def test_a_cancel_reaches_the_carrier() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    row = store._row()

    other.following.cancel(row)
    other.following.cancel(msgspec.structs.replace(row, id="resp_unknown"))
    other.following.cancel(msgspec.structs.replace(row, carrier=None))
    await asyncio.sleep(0.1)

    assert carrier.cancelled == [RESPONSE]


@jumping
async def test_another_tenant_gets_and_ends_nothing() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    carrier.say(word(0))

    log = await other.following.follow("globex", RESPONSE)
    sink = ListSink()
    log.attach(sink)
    for said in (Watch("globex", RESPONSE, "two", 0), Cancel("globex", RESPONSE)):
        other.post.send("one", TOPIC, msgspec.msgpack.encode(said))
    await asyncio.sleep(0.1)
    carrier.say(word(1))
    await asyncio.sleep(0.1)

    assert (sink.events, sink.error and sink.error.status) == ([], 404)
    assert net.sent_of(Entries) == []
    assert carrier.cancelled == []


@jumping
async def test_what_a_newer_version_says_is_passed_over() -> None:
    net, store = Net(), Store()
    carrier, other = Carrier(net, store), Other(net, store)
    sink = await other.read()
    for message in (b"", b"nonsense", msgspec.msgpack.encode([99, "new"]), msgspec.msgpack.encode([3, TENANT])):
        other.post.take(message)
        carrier.post.take(message)
    longer = [3, TENANT, RESPONSE, 0, [word(0)], "a field that is not known yet"]
    other.post.take(msgspec.msgpack.encode(longer))

    assert sink.events == [word(0)]
    await other.close()


def test_a_log_fits_what_the_keeper_takes_and_tells() -> None:
    from frontdesk.keeping.keeper import Follower, Keeper

    follower: type[Follower] = Following
    carried: type[Carried] = Keeper
    assert (follower, carried) == (Following, Keeper)
