"""Kept turns of a process: one key is one turn, whoever asks, however it goes, and nobody is left waiting."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, RateLimited, Unprocessable
from frontdesk.keeping.journal import Writing
from frontdesk.keeping.keeper import Earlier
from frontdesk.keeping.kept import KeptTurn
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import response_event, response_text
from frontdesk.turn.events import TextDelta, TurnCancelled
from frontdesk.turn.turn import Interruption, Turn
from tests.keeping.memory import Fate, MemoryDatabase, turning
from tests.keeping.process import (
    ANSWER,
    FENCE,
    Client,
    Process,
    Speaker,
    done,
    is_empty,
    kept_of,
    keys,
    row_of,
    rows,
    statuses,
    until,
)

Make = Callable[..., Awaitable[Process]]


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    """Makes processes on one database, and sees to it that nothing is left of their turns."""
    made: list[Process] = []

    async def begin(*providers: Any, **options: Any) -> Process:
        process = Process(database, *providers, **options)
        await process.lease.begin()
        made.append(process)
        return process

    yield begin
    for process in made:
        await process.until_idle()
        assert process.holds_nothing()
        await process.close()


class Refusing:
    """A policy that refuses the turns that it is told to, when it is told to."""

    def __init__(self, error: FrontdeskError | None = None) -> None:
        self.error = error
        self.may_refuse = asyncio.Event()
        self.waiting = 0

    def admit(self, turn: Turn) -> Awaitable[None]:
        return self._refuse()

    async def _refuse(self) -> None:
        self.waiting += 1
        await self.may_refuse.wait()
        if self.error is not None:
            raise self.error

    def settle(self, turn: Turn) -> None: ...


# --- one key, one turn --------------------------------------------------------------------------


async def test_all_who_ask_under_one_key_are_told_what_one_provider_was_asked_for(make: Make) -> None:
    speaker = Speaker(waits_at=2)
    process = await make(speaker)
    first, during = Client(), [Client() for _ in range(5)]
    turn = process.ask(first, "key-1")
    await until(lambda: first.events)
    for client in during:
        process.ask(client, "key-1")
    speaker.may_speak.set()
    await done(first, *during)
    late = await process.answer("key-1")

    assert [client.events for client in (first, *during, late)] == [ANSWER] * 7
    assert (first.is_replayed, *[each.is_replayed for each in (*during, late)]) == (False, *[True] * 6)
    assert {each.sink.facts.id for each in (first, *during, late)} == {turn.id}
    assert speaker.asked == 1
    assert await statuses(process.database) == {turn.id: "completed"}


async def test_another_body_under_the_same_key_is_refused_at_any_time(make: Make) -> None:
    speaker = Speaker(waits_at=2)
    process = await make(speaker)
    first = Client()
    process.ask(first, "key-1")
    with pytest.raises(Unprocessable, match="another request"):
        await process.answer("key-1", body=b"two")
    speaker.may_speak.set()
    await done(first)
    await process.until_idle()

    late = await process.answer("key-1", body=b"two")

    assert late.code == "idempotency_key_reused"
    assert speaker.asked == 1


async def test_keys_of_other_people_are_other_keys(make: Make) -> None:
    speaker = Speaker()
    process = await make(speaker)
    await process.answer("key-1")

    other = await process.answer("key-1", turn=process.turn(person="u2"))

    assert (other.is_replayed, speaker.asked) == (False, 2)


async def test_two_processes_asked_at_once_under_one_key_ask_a_provider_once(postgresql_url: str) -> None:
    databases = [await open_database(postgresql_url) for _ in range(2)]
    speakers = [Speaker(waits_at=2), Speaker(waits_at=2)]
    processes = [
        Process(each, speaker, name=name)
        for each, speaker, name in zip(databases, speakers, ("one", "two"), strict=True)
    ]
    for process in processes:
        await process.lease.begin()
    for number in range(15):
        for speaker in speakers:
            speaker.asked = 0
            speaker.may_speak.clear()
        clients = [Client() for _ in range(6)]
        for place, client in enumerate(clients):
            processes[place % 2].ask(client, f"key-{number}")
        await until(lambda: sum(each.asked for each in speakers) > 0)
        for speaker in speakers:
            speaker.may_speak.set()
        await done(*clients)

        assert sum(each.asked for each in speakers) == 1
        assert [client.events for client in clients] == [ANSWER] * 6
    for process in processes:
        await process.until_idle()
        assert process.holds_nothing()
        await process.close()
        await process.database.close()


@pytest.mark.parametrize("seed", range(8))
async def test_with_refusals_at_random_one_enters_at_most_and_all_who_are_answered_are_answered_alike(
    make: Make, seed: int
) -> None:
    chance = random.Random(seed)

    class SometimesRefusing:
        def admit(self, turn: Turn) -> Awaitable[None]:
            return self._admit()

        async def _admit(self) -> None:
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            if chance.random() < 0.6:
                raise RateLimited("Slow down.", retry_after_s=1)

        def settle(self, turn: Turn) -> None: ...

    speaker = Speaker()
    processes = [await make(speaker, name=f"p{number}", policies=[SometimesRefusing()]) for number in range(2)]
    clients: list[Client] = []
    for _ in range(40):
        client = Client()
        chance.choice(processes).ask(client, "key-1", turn=None)
        clients.append(client)
        for _ in range(chance.randint(0, 4)):
            await asyncio.sleep(0)
    await done(*clients)

    answered = [client for client in clients if client.events]
    assert speaker.asked == (1 if answered else 0)
    assert all(client.events == ANSWER for client in answered)
    assert {client.code for client in clients if client not in answered} <= {"rate_limited", "rate_limit_exceeded"}
    assert len(await keys(processes[0].database)) == speaker.asked


# --- one that does not get in -------------------------------------------------------------------


async def test_all_who_wait_for_one_that_is_refused_are_told_why_though_one_takes_nothing(make: Make) -> None:
    refusing = Refusing(RateLimited("Slow down.", retry_after_s=7))
    process = await make(Speaker(), policies=[refusing])
    stuck, others = Client(takes=False), [Client() for _ in range(3)]
    for client in (stuck, *others):
        process.ask(client, "key-1")
    await until(lambda: refusing.waiting == 1)

    refusing.may_refuse.set()
    await done(*others)

    assert all(client.sink.error is not None for client in others)
    assert {client.sink.error.retry_after_s for client in others if client.sink.error} == {7}
    assert await is_empty(process.database)
    refusing.error = None
    again = await process.answer("key-1")
    assert again.events == ANSWER
    stuck.may_take.set()
    await done(stuck)
    assert stuck.sink.error is not None


async def test_who_is_refused_but_was_answered_before_is_told_that_answer(make: Make) -> None:
    process = await make(Speaker())
    await process.answer("key-1")
    for error in (RateLimited("Slow down."), ProviderError("It rests."), BadRequest("No.")):
        refusing = Refusing(error)
        refusing.may_refuse.set()
        process.live._line = type(process.live._line)([refusing], [], process.live._line.router)

        client = await process.answer("key-1")

        assert (client.events, client.is_replayed) == (ANSWER, True)


async def test_nobody_is_left_waiting_where_the_store_cannot_say_what_became_of_a_key() -> None:
    database: Any = MemoryDatabase()
    process = Process(database, Speaker())
    await process.answer("key-1")
    await process.until_idle()

    async def failing(*_: Any) -> Any:
        raise StorageFailed("The disk is gone.")

    database.read = failing
    client = await process.answer("key-1")
    with pytest.raises(FrontdeskError) as refused:
        await process.keeper.begin_in_background(turn := process.turn(), process.plan(turn, "key-1"))

    assert client.code == refused.value.code == "store_unavailable"
    await process.until_idle()
    assert process.holds_nothing()


@pytest.mark.parametrize("fate", [Fate.AWAY, Fate.LOST, Fate.UNSEEN])
async def test_one_that_cannot_be_stored_leaves_nothing_and_its_key_is_free(fate: Fate) -> None:
    database = MemoryDatabase(turning([fate]))
    process = Process(database, speaker := Speaker())

    client = await process.answer("key-1")
    await process.until_idle()

    assert (client.code, speaker.asked) == ("store_unavailable", 0)
    assert await is_empty(database)
    # What is known not to be stored is not written about again.
    assert database.transactions == (1 if fate is Fate.AWAY else 2)
    assert (await process.answer("key-1")).events == ANSWER


async def test_an_outage_leaves_nothing_in_memory() -> None:
    fates = {"now": Fate.AWAY}
    process = Process(MemoryDatabase(lambda: fates["now"]), Speaker())
    for number in range(200):
        assert (await process.answer(f"key-{number}")).code == "store_unavailable"

    assert not process.journal._is_running
    assert process.holds_nothing()


async def test_who_comes_to_one_that_is_cut_off_before_it_enters_is_not_left_waiting(make: Make) -> None:
    refusing = Refusing()
    process = await make(Speaker(), policies=[refusing])
    for why in (Interruption.HANGUP, Interruption.CANCEL, Interruption.SHUTDOWN, Interruption.TIMEOUT):
        client, turn = Client(), process.turn()
        process.ask(client, f"key-{why.value}", turn=turn)
        beginning = asyncio.ensure_future(
            process.keeper.begin_in_background(process.turn(), process.plan(turn, f"key-{why.value}"))
        )
        await until(lambda: refusing.waiting)
        refusing.waiting = 0
        running = process.live.find(turn.id)
        assert running is not None

        running.interrupt(why)

        await done(client)
        with pytest.raises(FrontdeskError):
            await beginning
        assert client.was_cut == (why is Interruption.HANGUP)
    await process.until_idle()
    assert await is_empty(process.database)


# --- ending -------------------------------------------------------------------------------------


async def test_what_no_provider_was_paid_for_is_forgotten_and_may_be_asked_again(make: Make) -> None:
    speaker = Speaker([BadRequest("The request is at fault.", code="bad")])
    process = await make(speaker)
    client = await process.answer("key-1")
    await process.until_idle()

    assert client.code == "bad"
    assert await is_empty(process.database)
    speaker.batches = [ANSWER]
    assert (await process.answer("key-1")).events == ANSWER


async def test_what_broke_off_is_told_again_as_it_was(make: Make) -> None:
    speaker = Speaker([*[[event] for event in ANSWER[:2]], ProviderError("It broke off.")])
    process = await make(speaker)
    client = await process.answer("key-1")

    again = await process.answer("key-1")

    assert client.events == again.events == ANSWER[:2]
    assert client.code == again.code
    assert client.code is not None
    assert speaker.asked == 1


async def test_a_hang_up_ends_nothing_and_a_cancel_does(make: Make) -> None:
    speaker = Speaker(waits_at=2)
    process = await make(speaker)
    client = Client()
    turn = process.ask(client, "key-1")
    await until(lambda: client.events)
    client.gone.set()
    await done(client)
    assert process.keeper.find(turn.id) is not None

    assert await process.keeper.cancel(turn.id)

    assert not await process.keeper.cancel(turn.id)
    assert await statuses(process.database) == {turn.id: "cancelled"}
    again = await process.answer("key-1")
    assert again.events == [*ANSWER[:2], TurnCancelled()]


async def test_a_reader_that_comes_as_it_ends_has_all_of_it(make: Make) -> None:
    """At whatever moment: attached to the turn, to its log, or told from the store."""
    process = await make(Speaker())
    for moments in range(40):
        first, second = Client(), Client()
        process.ask(first, f"key-{moments}")
        for _ in range(moments):
            await asyncio.sleep(0)
        process.ask(second, f"key-{moments}")
        await done(first, second)

        assert first.events == second.events == ANSWER


@pytest.mark.parametrize("fates", [[Fate.UNSEEN], [Fate.LOST], [Fate.AWAY] * 3])
async def test_an_end_whose_commit_nobody_heard_of_is_stored_once(fates: list[Fate]) -> None:
    database = MemoryDatabase(turning([Fate.STORED, *fates]))
    process = Process(database, Speaker([ANSWER]))

    client = await process.answer("key-1")
    await process.until_idle()
    again = await process.answer("key-1")

    assert client.events == again.events == ANSWER
    assert [status for _, status, *_ in await rows(database)] == ["completed"]


# --- in the background --------------------------------------------------------------------------


async def test_who_begins_something_in_the_background_is_told_once_it_is_on_the_disk(make: Make) -> None:
    speaker = Speaker(waits_at=0)
    process = await make(speaker)
    turn = process.turn()

    kept = await process.keeper.begin_in_background(turn, process.plan(turn, "key-1", is_background=True))

    assert await statuses(process.database) == {turn.id: "in_progress"}
    other = process.turn()
    assert await process.keeper.begin_in_background(other, process.plan(other, "key-1", is_background=True)) is kept
    speaker.may_speak.set()
    await process.until_idle()
    third = process.turn()
    with pytest.raises(Earlier) as earlier:
        await process.keeper.begin_in_background(third, process.plan(third, "key-1", is_background=True))
    assert earlier.value.row.id == turn.id
    assert speaker.asked == 1


# --- reading ------------------------------------------------------------------------------------


async def test_what_has_ended_is_told_as_it_came_and_then_as_a_whole_and_then_not_at_all(make: Make) -> None:
    process = await make(Speaker())
    client = Client()
    turn = process.ask(client, "key-1")
    await done(client)
    await process.until_idle()

    row = await row_of(process, turn)
    as_it_came = await process.keeper.reading_of(row)
    assert as_it_came is not None
    assert (as_it_came.log.entries, as_it_came.has_places) == (ANSWER, True)
    again, at_once = await asyncio.gather(process.keeper.reading_of(row), process.keeper.reading_of(row))
    assert again is not None
    assert at_once is not None
    assert again.log is at_once.log is as_it_came.log  # it is in memory once, however many read it
    del again, at_once
    del as_it_came  # while somebody reads it, it stays as it is
    gc.collect()
    await process.database.write(Step(_EVENTS_ARE_GONE, {"of_id": turn.id}))
    whole = await process.keeper.reading_of(row)
    assert whole is not None
    assert not whole.has_places
    assert TextDelta(0, "Hello there") in whole.log.entries
    assert whole.facts.finished_at is not None

    clock: Any = process.clock
    clock.move(31 * 86_400)
    gone = await process.answer("key-1")
    assert gone.code in {"idempotency_answer_not_kept", None}  # the key has gone as well, and so it was asked anew
    assert gone.code is not None or gone.events == ANSWER


async def test_a_key_outlives_a_text_that_may_not_be_kept_so_long(make: Make) -> None:
    process = await make(speaker := Speaker())
    await process.answer("key-1", turn=process.turn(tier="brief"))
    await process.until_idle()
    clock: Any = process.clock
    clock.move(25 * 3_600)

    late = await process.answer("key-1", turn=process.turn(tier="brief"))

    assert (late.code, speaker.asked) == ("idempotency_answer_not_kept", 1)
    clock.move(24 * 3_600)
    assert (await process.answer("key-1", turn=process.turn(tier="brief"))).events == ANSWER
    assert speaker.asked == 2


async def test_what_is_kept_secret_attaches_while_it_runs_and_is_not_told_again(make: Make) -> None:
    speaker = Speaker(waits_at=2)
    process = await make(speaker)
    first, second = Client(), Client()
    process.ask(first, "key-1", stores=False, keeps_texts=False)
    await until(lambda: first.events)
    process.ask(second, "key-1", stores=False, keeps_texts=False)
    speaker.may_speak.set()
    await done(first, second)
    await process.until_idle()

    late = await process.answer("key-1", stores=False, keeps_texts=False)

    assert first.events == second.events == ANSWER
    assert late.code == "idempotency_answer_not_kept"
    assert (await process.database.read(_TEXTS), await process.database.read(_EVENTS)) == ([], [])


# --- another process's --------------------------------------------------------------------------


async def test_readers_of_what_others_have_taken_over_are_cut_and_nothing_is_told_of_it_here(
    postgresql_url: str,
) -> None:
    database = await open_database(postgresql_url)
    speaker = Speaker([[event] for event in ANSWER], waits_at=2)
    process = Process(database, speaker)
    await process.lease.begin()
    client, attached = Client(), Client()
    turn = process.ask(client, "key-1")
    await until(lambda: len(client.events) == 2)
    process.ask(attached, "key-1")
    await database.write(Step(FENCE, {"of_id": "one"}))

    speaker.may_speak.set()
    await done(client, attached)

    assert (client.was_cut, attached.was_cut) == (True, True)
    assert client.events == ANSWER[:2]
    assert process.keeper.find(turn.id) is None
    await process.until_idle()
    assert process.holds_nothing()
    assert process.lease.carrier != "one"
    assert await statuses(database) == {turn.id: "in_progress"}
    assert (await process.answer("key-2")).events == ANSWER
    await process.close()
    await database.close()


@pytest.mark.parametrize(
    "said",
    [None, [BadRequest("The request is at fault.", code="bad")], [ANSWER[:2], ProviderError("It broke off.")]],
    ids=["answered", "refused", "broken"],
)
async def test_nothing_of_a_turn_stays_once_it_has_ended(make: Make, said: Any) -> None:
    """Not even until the collector comes, which is seldom: its request and its answer may be large."""
    process = await make(Speaker(said))
    held: list[weakref.ref[Any]] = []

    async def ask() -> None:
        client = Client()
        turn = process.ask(client, "key-1")
        held.append(weakref.ref(client))
        await until(lambda: process.keeper.find(turn.id) is not None or client.events)
        await done(client)

    gc.collect()
    gc.disable()
    try:
        await ask()
        await process.until_idle()

        assert [each for each in gc.get_objects() if isinstance(each, (KeptTurn, Writing))] == []
    finally:
        gc.enable()
    gc.collect()  # the client of this test is a ring of its own
    assert [each() for each in held] == [None]


async def test_a_visit_that_is_cancelled_leaves_no_reader(make: Make) -> None:
    speaker = Speaker(waits_at=2)
    process = await make(speaker)
    client = Client()
    turn = process.ask(client, "key-1")
    await until(lambda: client.events)
    assert client.visit is not None

    client.visit.cancel()
    await asyncio.gather(client.visit, return_exceptions=True)

    assert kept_of(process, turn).log.readers == []
    assert process.keeper._again == {}
    speaker.may_speak.set()


_EVENTS_ARE_GONE = Query(sa.delete(response_event).where(response_event.c.response == sa.bindparam("of_id")))
_TEXTS = Query(sa.select(response_text.c.part))
_EVENTS = Query(sa.select(response_event.c.first))
