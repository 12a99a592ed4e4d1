"""What devices do to conversations, as parts of transactions: nothing has changed where it was refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET
from sqlalchemy import select

from frontdesk.changes.store import ChangeStore
from frontdesk.conversations import steps
from frontdesk.conversations.entering import enter
from frontdesk.conversations.steps import Steps
from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import FrontdeskError
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import conversation
from frontdesk.turn.items import ConversationNamed
from tests.conversations.texts import KEY, OTHER, OWNER, Desk, said
from tests.fakes import HandClock

ID = f"conv_{7:032x}"
ALL = Query(select(conversation.c.id))


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database, HandClock())


async def done(desk: Desk, work: Any) -> FrontdeskError | None:
    """Do something in a transaction of its own."""
    return await desk.database.transact(lambda: work)


def begun(desk: Desk, owner: Owner = OWNER, most: int = 10) -> Steps:
    now_ms = unix_ms(desk.clock)
    return steps.begin(owner, steps.new_row(owner, ID, {"a": "b"}, now_ms, None, "title"), now_ms, most)


def entered(
    desk: Desk, items: Any, owner: Owner = OWNER, after: Any = UNSET, seen: int = 0, *, or_new: bool = True
) -> Any:
    named = ConversationNamed(ID, after, or_new)
    return enter(owner, named, seen, "resp_1", items, unix_ms(desk.clock))


@pytest.mark.parametrize(
    ("conversation_id", "may"),
    [(ID, True), ("conv_1", False), (ID.upper(), False), (f"{ID}0", False), (f"{ID}\n", False), ("", False)],
)
def test_ids_that_devices_make(conversation_id: str, may: bool):
    assert steps.is_devices_id(conversation_id) == may


async def test_a_conversation_begins_once(desk: Desk):
    assert await done(desk, begun(desk)) is None
    await done(desk, steps.change(OWNER, ID, steps.Changes(title="other"), 1))
    assert await done(desk, begun(desk)) is None

    row = await desk.find(ID)
    assert (row.title, row.metadata, row.branches) == ("other", '{"a":"b"}', 1)
    assert [each.id for each in await desk.conversations.list(OWNER, "", 10, "other")] == [ID]


async def test_the_most_that_a_person_may_have(desk: Desk):
    await desk.begin()

    refusal = await done(desk, begun(desk, most=1))

    assert refusal is not None
    assert refusal.code == "too_many_conversations"


async def test_an_id_that_is_anothers_is_none_of_ones_own(desk: Desk):
    assert await done(desk, begun(desk, OTHER)) is None

    for work in (begun(desk), entered(desk, said("a"))):
        refusal = await done(desk, work)
        assert refusal is not None
        assert refusal.code == "conversation_not_found"
    assert len(await desk.database.read(ALL)) == 1


async def test_one_that_was_deleted_does_not_come_back_until_that_is_forgotten(desk: Desk):
    await done(desk, begun(desk))
    await desk.conversations.delete(OWNER, ID)

    for work in (begun(desk), entered(desk, said("a"))):
        refusal = await done(desk, work)
        assert refusal is not None
        assert refusal.code == "conversation_not_found"
    assert await ChangeStore(desk.database).sweep(10**15) == 1
    assert await done(desk, begun(desk)) is None


async def test_a_turn_begins_the_conversation_that_it_is_in(desk: Desk):
    assert await done(desk, entered(desk, said("a"))) is None

    row = await desk.find(ID)
    assert (row.response, row.person, row.version) == ("resp_1", "u1", 1)
    rows = await ChangeStore(desk.database).after("default", "u1", 0, 10)
    assert sorted((row.kind, row.id) for row in rows) == [("conversation", ""), ("item", "a"), ("turn", "resp_1")]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"or_new": False}, "conversation_not_found"),
        ({"after": "unheard_of"}, "item_not_found"),
        ({"items": [*said("a"), *said("a")]}, "item_exists"),
        ({"owner": KEY}, "conversation_not_found"),
        ({"seen": 3}, "conversation_not_found"),
    ],
)
async def test_what_cannot_enter_begins_no_conversation(desk: Desk, asked: dict[str, Any], code: str):
    refusal = await done(desk, entered(desk, **{"items": said("a"), **asked}))

    assert refusal is not None
    assert refusal.code == code
    assert await desk.database.read(ALL) == []
    assert await ChangeStore(desk.database).after("default", "u1", 0, 10) == []


async def test_a_mark_goes_forward_only(desk: Desk):
    conversation_id = await desk.begin("a", "b", "c")

    async def read(item: str) -> str | None:
        refusal = await done(desk, steps.read(OWNER, conversation_id, item, unix_ms(desk.clock)))
        if refusal is not None:
            return refusal.code
        query = Query(select(conversation.c.read_item))
        return (await desk.database.read(query))[0][0]

    assert [await read(item) for item in ("b", "a", "c", "b", "x")] == ["b", "b", "c", "c", "item_not_found"]
    await desk.conversations.delete_item(OWNER, conversation_id, "c")
    assert await read("a") == "c"  # it was read, though it is there no more
    await desk.turn(conversation_id, ["d"], [], after="a")
    assert await read("d") == "c"  # put in no later, and before it: but a moment decides
