"""What of a conversation is told to the devices of its person."""

from __future__ import annotations

from typing import NamedTuple

from frontdesk.changes.store import ChangeStore
from frontdesk.conversations.entering import ask, enter, leave
from frontdesk.conversations.service import Changes
from frontdesk.storage.database import Database
from frontdesk.turn.items import ConversationNamed
from tests.conversations.texts import KEY, OWNER, Desk, said
from tests.fakes import HandClock


class Told(NamedTuple):
    kind: str
    id: str
    state: str | None = None
    is_deleted: bool = False


class Devices:
    """Asks again and again what is new."""

    def __init__(self, database: Database) -> None:
        self._store = ChangeStore(database)
        self._seq = 0

    async def new(self) -> list[Told]:
        rows = await self._store.after(OWNER.tenant, OWNER.person, self._seq, 1_000)
        self._seq = rows[-1].seq if rows else self._seq
        return [Told(row.kind, row.id, row.state, row.is_deleted) for row in rows]


CONVERSATION = Told("conversation", "")


async def test_a_conversation_that_begins_is_told_with_its_items(database: Database):
    desk, devices = Desk(database, HandClock()), Devices(database)

    await desk.begin("a", "b")

    assert await devices.new() == [Told("item", "a"), Told("item", "b"), CONVERSATION]


async def test_a_turn_is_told_as_it_goes(database: Database):
    clock = HandClock()
    desk, devices = Desk(database, clock), Devices(database)
    conversation = await desk.begin()
    await devices.new()

    await desk.database.transact(
        lambda: enter(OWNER, ConversationNamed(conversation), None, "resp_1", said("q"), 1, is_waiting=True)
    )
    assert await devices.new() == [Told("item", "q"), CONVERSATION, Told("turn", "resp_1", "accepted")]

    await desk.database.transact(lambda: ask("default", conversation, "resp_1", 2))
    assert await devices.new() == [Told("turn", "resp_1", "answering")]

    await desk.database.transact(lambda: leave("default", conversation, "resp_1", said("a"), 3, "answered"))
    assert await devices.new() == [Told("item", "a"), CONVERSATION, Told("turn", "resp_1", "answered")]


async def test_a_turn_that_was_withdrawn_takes_back_what_was_told_of_it(database: Database):
    desk, devices = Desk(database, HandClock()), Devices(database)
    conversation = await desk.begin("q0")
    await desk.enter(conversation, "resp_1", "q1", "q2")
    await devices.new()

    await desk.withdraw(conversation, "resp_1")

    assert await devices.new() == [
        Told("item", "q1", is_deleted=True),
        Told("item", "q2", is_deleted=True),
        CONVERSATION,
        Told("turn", "resp_1", is_deleted=True),
    ]


async def test_whoever_is_refused_tells_nothing(database: Database):
    desk, devices = Desk(database, HandClock()), Devices(database)
    conversation = await desk.begin("q")
    await desk.enter(conversation, "resp_1", "q1")
    await devices.new()

    assert await desk.enter(conversation, "resp_2", "q2") is not None
    await desk.database.transact(lambda: ask("default", conversation, "resp_2", 2))
    await desk.leave(conversation, "resp_2", "a2")

    assert await devices.new() == []


async def test_what_is_said_of_a_conversation_and_what_goes_is_told(database: Database):
    desk, devices = Desk(database, HandClock()), Devices(database)
    conversation = await desk.begin("a", "b")
    await devices.new()

    await desk.conversations.change(OWNER, conversation, Changes(title="Named", is_pinned=True))
    assert await devices.new() == [CONVERSATION]

    await desk.conversations.delete_item(OWNER, conversation, "a")
    assert await devices.new() == [Told("item", "a", is_deleted=True), CONVERSATION]

    await desk.conversations.delete(OWNER, conversation)
    assert await devices.new() == [Told("conversation", "", is_deleted=True)]


async def test_the_conversations_of_keys_are_told_to_nobody(database: Database):
    desk = Desk(database, HandClock(), KEY)

    await desk.begin("a")

    assert await ChangeStore(database).heads([("default", ""), ("default", OWNER.person)]) == []
