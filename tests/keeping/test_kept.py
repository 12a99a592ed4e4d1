"""A kept turn: it enters once or not at all, whatever cuts in, and what is kept of it goes when it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.changes.store import ChangeStore
from frontdesk.conversations.service import Conversations
from frontdesk.core.config import Config, Retention
from frontdesk.core.errors import ProviderError
from frontdesk.files.owner import owner_of
from frontdesk.keeping import retention
from frontdesk.keeping.kept import kept_until_ms
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import conversation, response
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Interruption
from tests.keeping.memory import Fate, MemoryDatabase, turning
from tests.keeping.process import (
    ANSWER,
    DAY_MS,
    Client,
    Process,
    Speaker,
    done,
    is_empty,
    keys,
    row_of,
    rows,
    statuses,
    then,
    until,
)


@pytest.fixture
async def process(database: Database) -> AsyncIterator[Process]:
    made = Process(database, Speaker(waits_at=2))
    await made.lease.begin()
    yield made
    speaker_of(made).may_speak.set()
    await made.until_idle()
    assert made.holds_nothing()
    await made.close()


def speaker_of(process: Process) -> Speaker:
    router: Any = process.live._line.router
    return router._routes["fast"][0].provider


# --- entering -----------------------------------------------------------------------------------


async def test_it_is_on_the_disk_before_a_provider_hears_of_it(process: Process) -> None:
    seen: list[list[tuple[Any, ...]]] = []
    speaker: Any = speaker_of(process)
    answer = speaker.answer

    async def looking(*asked: Any) -> Any:
        seen.append(await rows(process.database))
        async for batch in answer(*asked):
            yield batch

    speaker.answer = looking
    client = Client()
    turn = process.ask(client, "key-1")
    await until(lambda: client.events)

    assert seen == [[(turn.id, "in_progress", True, "one")]]
    assert await keys(process.database) == [turn.id]
    assert then(await row_of(process, turn)).tier == "free"


async def test_a_cancel_while_it_enters_waits_until_that_is_known(postgresql_url: str) -> None:
    """Another transaction holds its key; the turn is cancelled meanwhile, and only then the key is free."""
    database = await open_database(postgresql_url)
    process = Process(database, speaker := Speaker())
    await process.lease.begin()
    await process.answer("key-1")
    await process.until_idle()
    other = await asyncpg.connect(postgresql_url)
    holding = other.transaction()
    await holding.start()
    await other.execute("DELETE FROM idempotency_key")  # not committed: whoever claims it waits
    client, turn = Client(), process.turn()
    process.ask(client, "key-1", turn=turn)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    looking = await asyncpg.connect(postgresql_url)
    async with asyncio.timeout(8):
        while not await looking.fetchval(waiting):
            await asyncio.sleep(0.01)

    cancelling = asyncio.ensure_future(process.keeper.cancel(turn.id))
    await asyncio.sleep(0.05)
    assert not cancelling.done()
    await holding.commit()

    await cancelling
    await process.until_idle()
    assert speaker.asked == 1
    assert (await statuses(database))[turn.id] == "cancelled"
    assert process.holds_nothing()
    await other.close()
    await looking.close()
    await process.close()
    await database.close()


@pytest.mark.parametrize("fate", [Fate.AWAY, Fate.LOST, Fate.UNSEEN])
async def test_where_nobody_knows_whether_the_dispatch_was_noted_nobody_is_asked(fate: Fate) -> None:
    database = MemoryDatabase(turning([Fate.STORED, fate]))
    process = Process(database, speaker := Speaker())
    client, turn = Client(), process.turn()
    plan = process.plan(turn, "key-1")
    kept = process.keeper._new(turn, plan)
    turn.entrance = kept
    await kept.enter_alone()
    assert await rows(database) == [(turn.id, "in_progress", False, "one")]
    kept.log.attach(client.form(turn, []), client.abort)

    process.keeper._start(kept)
    await process.until_idle()

    assert (client.code, speaker.asked) == ("store_unavailable", 0)
    assert await is_empty(database)


async def test_what_another_process_took_over_before_it_was_dispatched_is_not_asked_here(process: Process) -> None:
    turn = process.turn()
    kept = process.keeper._new(turn, process.plan(turn, "key-1"))
    turn.entrance = kept
    await kept.enter_alone()
    await process.database.write(Step(_TAKE_AWAY, {"of_id": turn.id}))
    client = Client()
    kept.log.attach(client.form(turn, []), client.abort)

    process.keeper._start(kept)
    await process.until_idle()

    assert speaker_of(process).asked == 0
    assert client.code == "server_overloaded"
    # It is the other one's, and so is the key: nothing of it was forgotten.
    assert await rows(process.database) == [(turn.id, "in_progress", False, "two")]
    assert await keys(process.database) == [turn.id]


async def test_a_second_attempt_notes_nothing_again() -> None:
    database = MemoryDatabase()
    broken = Speaker([ProviderError("It is away.")])
    process = Process(database, broken, Speaker([ANSWER]))

    client = await process.answer("key-1")
    await process.until_idle()

    assert client.events == ANSWER
    assert database.transactions in {2, 3}  # entering, the words, and the end, maybe with them


async def test_a_hedge_enters_nothing_twice() -> None:
    database = MemoryDatabase()
    slow, quick = Speaker(waits_at=0), Speaker([ANSWER])
    process = Process(database, slow, quick, hedge_after_s={"fast": 0.01})

    client = await process.answer("key-1")
    await process.until_idle()

    assert client.events == ANSWER
    assert (slow.asked, quick.asked) == (1, 1)
    assert [status for _, status, *_ in await rows(database)] == ["completed"]


async def test_two_who_dispatch_at_once_enter_once() -> None:
    database = MemoryDatabase()
    process = Process(database, Speaker())
    turn = process.turn()
    kept = process.keeper._new(turn, process.plan(turn, "key-1"))

    await asyncio.gather(*(kept.dispatch() for _ in range(5)))

    assert (database.transactions, kept.is_dispatched) == (1, True)


# --- a server that goes down --------------------------------------------------------------------


@pytest.mark.parametrize("fate", [Fate.STORED, Fate.AWAY, Fate.UNSEEN])
async def test_what_was_promised_and_not_begun_is_left_to_others_when_the_server_goes_down(
    fate: Fate, caplog: pytest.LogCaptureFixture
) -> None:
    database = MemoryDatabase(turning([Fate.STORED, fate]))
    process = Process(database, speaker := Speaker())
    process.live._line = type(process.live._line)([_Standing()], [], process.live._line.router)
    client, turn = Client(), process.turn()
    kept = process.keeper._new(turn, process.plan(turn, "key-1"))
    turn.entrance = kept
    await kept.enter_alone()
    kept.log.attach(client.form(turn, []), client.abort)
    process.keeper._start(kept)
    await asyncio.sleep(0.01)
    running = process.live.find(turn.id)
    assert running is not None

    running.interrupt(Interruption.SHUTDOWN)
    await process.until_idle()

    assert client.was_cut
    assert speaker.asked == 0
    assert "task_failed" not in caplog.text
    assert ("response_not_handed_over" in caplog.text) == (fate is not Fate.STORED)
    expected = ("queued", None) if fate is not Fate.AWAY else ("in_progress", "one")
    assert [(status, owner) for _, status, _, owner in await rows(database)] == [expected]
    assert await keys(database) == [turn.id]
    assert process.holds_nothing()


class _Standing:
    """A policy that lets nobody pass."""

    def admit(self, turn: Any) -> Any:
        return asyncio.Event().wait()

    def settle(self, turn: Any) -> None: ...


# --- conversations ------------------------------------------------------------------------------


async def _conversation(process: Process) -> str:
    service = Conversations(process.database, process.clock)
    row = await service.create(owner_of(process.turn().caller), [], None, lambda _: None)
    return row.id


async def test_a_conversation_is_held_while_it_is_answered_and_refuses_others_who_keep_their_keys(
    process: Process,
) -> None:
    named = ConversationNamed(await _conversation(process))
    first = Client()
    turn = process.ask(first, "key-1", conversation=named)
    await until(lambda: first.events)

    refused = await process.answer("key-2", conversation=named)

    assert refused.code == "conversation_locked"
    assert await keys(process.database) == [turn.id]
    speaker_of(process).may_speak.set()
    await done(first)
    await process.until_idle()
    assert (await process.answer("key-2", conversation=named)).events == ANSWER


async def test_a_conversation_that_cannot_take_the_answer_is_not_closed_for_ever(process: Process) -> None:
    def says(*_: Any) -> Any:
        raise RuntimeError("A bug.")

    named = ConversationNamed(await _conversation(process))
    speaker_of(process).may_speak.set()

    client = await process.answer("key-1", conversation=named, says=says)
    await process.until_idle()

    assert client.events == ANSWER
    assert list((await statuses(process.database)).values()) == ["completed"]
    assert await process.database.read(_HELD) == [(None,)]


async def test_what_fails_before_anybody_was_asked_is_taken_back_out_of_its_conversation(process: Process) -> None:
    named = ConversationNamed(await _conversation(process))
    speaker_of(process).batches = [ProviderError("Nobody is there.", is_sent=False)]
    speaker_of(process).may_speak.set()

    client = await process.answer("key-1", conversation=named)
    await process.until_idle()

    assert client.code is not None
    assert await is_empty(process.database)
    assert await process.database.read(_HELD) == [(None,)]


async def _ticks(process: Process) -> list[tuple[str, bool]]:
    rows = await ChangeStore(process.database).after("default", str(process.turn().caller.person), 0, 100)
    return [(str(row.state), row.is_deleted) for row in rows if row.kind == "turn"]


async def test_devices_are_told_how_far_a_turn_is(process: Process) -> None:
    """One in the background may wait before anybody is asked."""
    named = ConversationNamed(await _conversation(process))
    client, turn = Client(), process.turn()
    kept = process.keeper._new(turn, process.plan(turn, "key-1", conversation=named, is_background=True))
    turn.entrance = kept
    await kept.enter_alone()
    kept.log.attach(client.form(turn, []), client.abort)

    assert await _ticks(process) == [("accepted", False)]

    process.keeper._start(kept)
    await until(lambda: client.events)
    assert await _ticks(process) == [("answering", False)]

    speaker_of(process).may_speak.set()
    await process.until_idle()
    assert await _ticks(process) == [("answered", False)]


async def test_devices_are_told_that_a_turn_has_failed_or_never_was(process: Process) -> None:
    named = ConversationNamed(await _conversation(process))
    speaker_of(process).may_speak.set()
    speaker_of(process).batches = [ANSWER[:2], ProviderError("It broke.", code="it_broke")]
    await process.answer("key-1", conversation=named)
    await process.until_idle()

    assert await _ticks(process) == [("failed:it_broke", False)]

    speaker_of(process).batches = [ProviderError("Nobody is there.", is_sent=False)]
    await process.answer("key-2", conversation=named)
    await process.until_idle()

    assert sorted(await _ticks(process)) == [("None", True), ("failed:it_broke", False)]


_TAKE_AWAY = Query(sa.update(response).where(response.c.id == sa.bindparam("of_id")).values(owner="two"))
_HELD = Query(sa.select(conversation.c.response))


# --- how long it is kept ------------------------------------------------------------------------

HOUR_MS = 3_600_000
_NOW_MS = 1_800_000_000_000


@given(
    keys_hours=st.floats(0.5, 2_000),
    events_hours=st.floats(0.5, 2_000),
    texts_days=st.none() | st.floats(0, 400),
    stores=st.booleans(),
    has_key=st.booleans(),
)
def test_no_text_outlives_what_its_tier_says_and_no_other_reason_shortens_what_is_stored(
    keys_hours: float, events_hours: float, texts_days: float | None, stores: bool, has_key: bool
) -> None:
    rules = retention.Retention(Config(retention=Retention(keys_hours=keys_hours, events_hours=events_hours)))
    texts_until_ms = None if texts_days is None else _NOW_MS + round(texts_days * DAY_MS)

    until_ms, events_until_ms = kept_until_ms(rules, _NOW_MS, texts_until_ms, stores=stores, has_key=has_key)

    if texts_until_ms is not None:
        assert until_ms is not None
        assert until_ms <= texts_until_ms
    if stores:
        assert until_ms == texts_until_ms
    else:
        assert until_ms is not None
        assert until_ms <= (rules.key_until_ms(_NOW_MS) if has_key else _NOW_MS)
    assert events_until_ms >= _NOW_MS
    assert until_ms is None or events_until_ms <= until_ms


@pytest.mark.parametrize(
    ("tier", "key", "stores", "days"),
    [
        ("free", "key-1", True, 30),
        ("free", None, True, 30),
        ("free", "key-1", False, 2),
        ("brief", "key-1", True, 1),
        ("brief", "key-1", False, 1),
        ("brief", None, True, 1),
    ],
)
async def test_it_goes_when_its_tier_its_key_and_its_owner_say(
    process: Process, tier: str, key: str | None, stores: bool, days: int
) -> None:
    speaker_of(process).may_speak.set()
    turn = process.turn(tier=tier)
    await process.answer(key, turn=turn, stores=stores)
    await process.until_idle()

    row = await row_of(process, turn)
    assert row.finished_at_ms is not None
    assert row.expires_at_ms is not None
    assert row.expires_at_ms == row.finished_at_ms + days * DAY_MS
    assert row.events_until_ms is not None
    assert row.events_until_ms <= row.expires_at_ms
