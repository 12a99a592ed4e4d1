"""A process whose asides are asked of fakes: conversations over a real database, turns in them, the jobs they leave."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from sqlalchemy import select

from frontdesk.asides.asking import Aside
from frontdesk.asides.beginning import Beginnings, JobOf
from frontdesk.asides.follow_ups import FollowUpWriter
from frontdesk.asides.titles import TITLE, Titles, title_job
from frontdesk.conversations.entering import enter, leave
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.doors.absent import Outcome
from frontdesk.files.owner import Owner, owner_of
from frontdesk.jobs.plan import Job
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import job as job_table
from frontdesk.turn.items import ConversationNamed
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_listed_items import listed_input
from tests.asides.asked import Asks, Callers, Limits, Silent
from tests.conversations.texts import for_ever
from tests.fakes import HandClock, make_turn

PERSON = Caller("user", "sess_1", "u1", "free")
SERVER = Caller("server", "key_1")
_JOBS = Query(select(*(job_table.c[name] for name in ("tenant", "id", "kind", "person", "payload", "dedupe"))))


def message(role: str, text: str) -> dict[str, Any]:
    if role == "user":
        return {"role": "user", "content": text}
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": role, "status": "completed", "content": [part]}


class Desk:
    """A process that gives titles: a conversation, its turns, and the jobs that they leave."""

    def __init__(self, database: Database, caller: Caller = PERSON) -> None:
        self.database = database
        self.clock = HandClock()
        self.caller = caller
        self.conversations = Conversations(database, self.clock)
        self.asks, self.callers, self.limits = Asks(), Callers(), Limits()
        self.aside = Aside(self.asks, self.callers, self.limits, self.clock)
        self.titles = Titles(self.conversations, self.aside, "small", self.clock)
        self.follow_ups = FollowUpWriter(self.conversations, self.aside, "small", 3, self.clock)
        self.jobs_of: list[JobOf] = [title_job]
        self.woken = 0

    @property
    def owner(self) -> Owner:
        return owner_of(self.caller)

    def named(self, conversation: str) -> ConversationNamed:
        return ConversationNamed(conversation, UNSET)

    async def begin(self) -> str:
        return (await self.conversations.create(self.owner, [], None, for_ever)).id

    def beginnings(self) -> Beginnings:
        turn: Turn = make_turn(caller=self.caller)
        turn.clock = self.clock
        self.response = turn.id
        return Beginnings(turn, self.jobs_of, self._wake)

    async def say(self, conversation: str, question: str, *answers: dict[str, Any]) -> None:
        """A whole turn, with what begins behind it."""
        brings = listed_input([message("user", question)], new_id(""))
        named = ConversationNamed(conversation, UNSET)
        beginnings, now_ms = self.beginnings(), unix_ms(self.clock)
        response = self.response
        said = listed_input(list(answers), new_id(""))

        assert await self.database.transact(lambda: enter(self.owner, named, None, response, brings, now_ms)) is None
        await self.database.transact(
            lambda: leave(self.owner.tenant, conversation, response, said, now_ms, "answered", beginnings.begin)
        )
        beginnings.begun()

    async def jobs(self) -> list[Job]:
        rows = await self.database.read(_JOBS)
        self.dedupes = [row[5] for row in rows]
        now_ms = unix_ms(self.clock)
        return [Job(row[0], row[1], row[2], row[3], bytes(row[4]), 0, 1, now_ms) for row in rows]

    async def do(self, job: Job, *outcomes: Outcome) -> None:
        self.asks.outcomes = outcomes
        handler = self.titles if job.kind == TITLE else self.follow_ups
        done = await handler.run(job, Silent())
        if done is not None:
            await self.database.transact(done)
        assert not self.asks.outcomes

    async def titled(self, conversation: str) -> str | None:
        return (await self.conversations.find(self.owner, conversation)).title

    def _wake(self) -> None:
        self.woken += 1
