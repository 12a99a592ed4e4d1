"""What was deleted long ago is forgotten, every day; what was deleted lately is not."""

from __future__ import annotations

import random
from typing import cast

from frontdesk.changes.store import ChangeStore
from frontdesk.core.clock import unix_ms
from frontdesk.jobs.plan import Job
from frontdesk.storage.database import Database
from frontdesk.storage.query import NOTHING, Parameters, Query, Row
from frontdesk.sync.pull import Pulling
from frontdesk.sync.sweeping import FORGETTING, Forgetting
from tests.fakes import HandClock
from tests.sync.person import Person
from tests.sync.taker import Taker

_DAY_S = 86_400
_JOB = Job("default", "job_1", FORGETTING.kind, "", b"", 0, 1, 0)


class Told:
    """How far it says it has come."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def tell(self, done: int, total: int | None = None) -> None:
        assert total is None
        self.done.append(done)


async def test_what_was_deleted_long_ago_is_forgotten(database: Database):
    clock, progress = HandClock(), Told()
    people = [Person(database, clock, name, random.Random(1)) for name in ("u1", "u2")]
    changes = ChangeStore(database)
    forgetting = Forgetting(changes, clock, keep_days=30)
    conversations = [await person.desk.begin(*(f"{name}" for name in range(600))) for person in people]
    for person, conversation in zip(people, conversations, strict=True):
        for item in range(599):
            await person.desk.conversations.delete_item(person.owner, conversation, str(item))
    clock.move(30 * _DAY_S)
    await people[0].desk.conversations.delete_item(people[0].owner, conversations[0], "599")

    await forgetting.run(_JOB, progress)
    assert progress.done == []
    clock.move(1)
    await forgetting.run(_JOB, progress)

    assert progress.done == [500, 1_000, 1_198]
    left = [await changes.after("default", person.owner.person, 0, 2_000) for person in people]
    assert [[(row.kind, row.is_deleted) for row in rows] for rows in left] == [
        [("item", True), ("conversation", False)],
        [("item", False), ("conversation", False)],
    ]
    heads = [await changes.head("default", person.owner.person) for person in people]
    assert all(head is not None and 0 < head.floor < head.head for head in heads)


def test_it_is_done_every_day():
    assert FORGETTING.every_s == _DAY_S


class Swept:
    """A database in which, behind the first thing that is read, all that was deleted is forgotten."""

    def __init__(self, database: Database, clock: HandClock) -> None:
        self._database = database
        self._clock = clock
        self._has_read = False

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        rows = await self._database.read(query, parameters)
        if not self._has_read:
            self._has_read = True
            await ChangeStore(self._database).sweep(unix_ms(self._clock) + 1)
        return rows


async def test_who_pulls_while_it_is_forgotten_is_told_of_it_or_begins_anew(database: Database):
    clock, taker = HandClock(), Taker()
    person = Person(database, clock, "u1", random.Random(1))
    conversation = await person.desk.begin("one", "two")
    await person.take_all(taker)
    await person.desk.conversations.delete_item(person.owner, conversation, "one")

    person.pulling = Pulling(cast("Database", Swept(database, clock)), clock)
    await person.take_all(taker)

    assert set(taker.things) == set(await person.stored())
