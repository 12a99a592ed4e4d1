"""What begins with an answer is stored with it, and keeps nothing of its turn."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Generator
from functools import partial

from sqlalchemy import bindparam, func, select, update

from frontdesk.asides.beginning import Beginnings
from frontdesk.asides.titles import title_job
from frontdesk.conversations.service import Conversations
from frontdesk.core.ids import new_id
from frontdesk.files.owner import owner_of
from frontdesk.jobs.plan import NewJob
from frontdesk.keeping.journal import Writing
from frontdesk.keeping.kept import KeptTurn
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import job, response
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Turn
from frontdesk.wire.openai_listed_items import listed_input
from tests.asides.desk import message
from tests.conversations.texts import for_ever
from tests.keeping.process import Client, Process, Speaker, done, statuses, until

_COUNT = Query(select(func.count()).select_from(job))
_DEDUPES = Query(select(job.c.dedupe))
_ANY = Query(select(job.c.id).limit(1))
_AGAIN = Query(insert(job).from_select([c.name for c in job.c], select(*job.c).where(job.c.id == bindparam("of_id"))))
_TAKE_OVER = Query(update(response).values(owner="another"))


async def test_nothing_of_a_turn_stays_where_something_began_with_it(database: Database) -> None:
    """Not even until the collector comes, which is seldom: its request and its answer may be large."""
    woken: list[int] = []
    process = Process(database, Speaker())
    home = dataclasses.replace(
        process.home, beginning=partial(Beginnings, jobs=[title_job], wake=lambda: woken.append(1))
    )
    process.keeper._home = home
    await process.lease.begin()

    async def ask() -> None:
        turn = process.turn()
        row = await Conversations(database, process.clock).create(owner_of(turn.caller), [], None, for_ever)
        said = listed_input([message("assistant", "Yes.")], new_id(""))
        process.ask(client := Client(), turn=turn, conversation=ConversationNamed(row.id), says=lambda *_: said)
        await done(client)

    gc.collect()
    gc.disable()
    try:
        await ask()
        await process.until_idle()

        kinds = (Beginnings, KeptTurn, Writing)
        assert [each for each in gc.get_objects() if isinstance(each, kinds)] == []
    finally:
        gc.enable()
    assert await database.read(_COUNT) == [(1,)]
    assert woken == [1]
    await process.close()


# --- wherever it is stored ----------------------------------------------------------------------


def a_job(turn: Turn) -> NewJob:
    return NewJob("summary", b"", person="u1", dedupe=turn.id)


class Broken(Beginnings):
    """Begins what cannot be stored, behind what can."""

    def begin_apart(self, tenant: str) -> Generator[Step, list[Row], None]:
        yield from super().begin_apart(tenant)
        ((one,),) = yield Step(_ANY)
        yield Step(_AGAIN, {"of_id": one})


def process_with(
    database: Database, beginnings: type[Beginnings], woken: list[int], speaker: Speaker | None = None
) -> Process:
    process = Process(database, speaker or Speaker())
    begins = partial(beginnings, jobs=[], wake=lambda: woken.append(1), jobs_of_turn=[a_job])
    process.home = dataclasses.replace(process.home, beginning=begins, beginning_apart=begins)
    process.keeper._home = process.home
    return process


async def test_behind_a_stored_answer_it_begins_in_no_conversation_too(database: Database) -> None:
    woken: list[int] = []
    process = process_with(database, Beginnings, woken)
    await process.lease.begin()

    stored = process.ask(first := Client())
    await done(first)
    process.ask(second := Client(), "key", stores=False)
    await done(second)
    await process.until_idle()

    assert await database.read(_DEDUPES) == [(stored.id,)]
    assert woken == [1]
    await process.close()


async def test_it_is_stored_with_the_answer_or_not_at_all(database: Database) -> None:
    """Where it cannot be, the answer alone is, and nothing has begun."""
    woken: list[int] = []
    process = process_with(database, Broken, woken)
    await process.lease.begin()

    turn = process.ask(client := Client())
    await done(client)
    await process.until_idle()

    assert await statuses(database) == {turn.id: "completed"}
    assert await database.read(_COUNT) == [(0,)]
    await process.close()


async def test_who_carries_a_turn_no_more_begins_nothing_behind_it(database: Database) -> None:
    woken: list[int] = []
    speaker = Speaker(waits_at=1)
    process = process_with(database, Beginnings, woken, speaker)
    await process.lease.begin()
    process.ask(client := Client())
    await until(lambda: speaker.asked)

    await database.write(Step(_TAKE_OVER))
    speaker.may_speak.set()
    await process.until_idle()

    assert await database.read(_COUNT) == [(0,)]
    assert woken == []
    client.gone.set()
    await process.close()
