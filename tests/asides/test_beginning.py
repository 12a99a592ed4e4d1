"""What begins with an answer is stored with it, and keeps nothing of its turn."""

from __future__ import annotations

import dataclasses
import gc
from functools import partial

from sqlalchemy import func, select

from frontdesk.asides.beginning import Beginnings
from frontdesk.asides.titles import title_job
from frontdesk.conversations.service import Conversations
from frontdesk.core.ids import new_id
from frontdesk.files.owner import owner_of
from frontdesk.keeping.journal import Writing
from frontdesk.keeping.kept import KeptTurn
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import job
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.openai_listed_items import listed_input
from tests.asides.desk import message
from tests.conversations.texts import for_ever
from tests.keeping.process import Client, Process, Speaker, done

_COUNT = Query(select(func.count()).select_from(job))


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
