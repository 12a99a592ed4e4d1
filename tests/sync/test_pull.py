"""Pages: the newest first at first, then what has changed, no larger than they may be, and the same again and again."""

from __future__ import annotations

import json
import random
from typing import Any, cast

import pytest
from sqlalchemy import update

from frontdesk.changes.store import Change, ChangeStore, note
from frontdesk.conversations import steps
from frontdesk.conversations.rows import FollowUps
from frontdesk.conversations.steps import Changes
from frontdesk.conversations.store import writing
from frontdesk.core.clock import unix_ms
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import conversation
from frontdesk.sync.cursor import NOTHING
from frontdesk.sync.pull import MOST_PAGE_BYTES, Pulling
from frontdesk.sync.store import MOST_ITEM_BYTES
from tests.accounts.opened import CountingDatabase
from tests.conversations.texts import said
from tests.fakes import HandClock
from tests.sync.person import Person, as_told
from tests.sync.stored import told
from tests.sync.taker import Taker


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def person(database: Database, clock: HandClock) -> Person:
    return Person(database, clock, "u1", random.Random(1))


def items_of(page: Any) -> list[str]:
    return [change["id"] for change in as_told(page)["changes"] if change["type"] == "item"]


async def kept(person: Person, item: dict[str, Any], conversation: str | None = None) -> str:
    """Keep an item; returns its conversation."""
    conversation = conversation or await person.desk.begin()
    await person.desk.conversations.add(person.owner, conversation, [item])
    return conversation


async def test_where_there_is_nothing_there_is_nothing_to_drop(person: Person):
    assert as_told(await person.pulling.pull(person.owner, None)) == {
        "cursor": str(NOTHING),
        "has_more": False,
        "changes": [],
    }
    assert await person.pulling.now(person.owner) == str(NOTHING)
    conversation = await person.desk.begin()

    page = await person.pulling.pull(person.owner, str(NOTHING))

    assert not page.is_reset
    assert [change["id"] for change in as_told(page)["changes"]] == [conversation]


async def test_the_newest_is_told_first_and_then_what_has_changed(person: Person):
    first = await person.desk.begin("a", "b")
    second = await person.desk.begin("c")
    pages = [await person.pulling.pull(person.owner, None, 2)]
    await person.desk.conversations.change(person.owner, first, Changes(title="late"))
    while pages[-1].has_more:
        pages.append(await person.pulling.pull(person.owner, pages[-1].cursor, 2))

    changes = [change for page in pages for change in as_told(page)["changes"]]
    assert [change["id"] for change in changes] == [second, "c", "b", "a", first]
    assert changes[-1]["title"] == "late"
    assert [place for page in pages for place in page.places][-1] == pages[-1].cursor
    assert pages[-1].cursor == await person.pulling.now(person.owner)


async def test_what_moves_up_while_a_first_sync_is_read_is_told_before_its_end(
    person: Person, database: Database, clock: HandClock
):
    conversation = await person.desk.begin("msg_1")
    counting = CountingDatabase(database)
    pulling = Pulling(cast("Database", counting), clock)

    async def rename() -> None:
        changes = Changes(title="new")
        await database.transact(lambda: steps.change(person.owner, conversation, changes, unix_ms(clock)))

    counting.meanwhile = rename
    first = await pulling.pull(person.owner, None)
    then = await pulling.pull(person.owner, first.cursor)

    assert ([change["type"] for change in as_told(first)["changes"]], first.has_more) == (["item"], True)
    assert [change["title"] for change in as_told(then)["changes"]] == ["new"]
    assert not then.has_more


async def test_the_same_cursor_brings_the_same_bytes(person: Person):
    for _ in range(5):
        await person.do("begin")
        await person.do("turn")
    first = await person.pulling.pull(person.owner, None, 3)

    for cursor in (None, first.cursor, *first.places, await person.pulling.now(person.owner)):
        page = await person.pulling.pull(person.owner, cursor, 3)
        assert json.dumps(as_told(page)) == json.dumps(as_told(await person.pulling.pull(person.owner, cursor, 3)))


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_who_stops_inside_of_a_page_goes_on_there(person: Person, limit: int):
    await person.desk.begin("a", "b", "c")
    whole = await person.pulling.pull(person.owner, None)
    start = whole.cursor
    await person.desk.begin("d", "e")

    for page in (whole, await person.pulling.pull(person.owner, start)):
        for number, place in enumerate(page.places[:-1], 1):
            rest = await person.pulling.pull(person.owner, place, limit)
            assert (
                as_told(rest)["changes"][: len(page.changes) - number]
                == (as_told(page)["changes"][number : number + limit])
            )


@pytest.mark.parametrize("cursor", ["00000000.1", "", "nonsense", "{epoch}.999999", "{epoch}.999999.1", "b.1.1"])
async def test_a_cursor_that_is_not_known_begins_anew(person: Person, database: Database, cursor: str):
    await person.desk.begin("a")
    head = await ChangeStore(database).head("default", "u1")
    assert head is not None

    page = await person.pulling.pull(person.owner, cursor.format(epoch=head.epoch))

    assert page.is_reset
    assert len(page.changes) == 2


async def test_a_cursor_below_what_was_forgotten_begins_anew(person: Person, database: Database, clock: HandClock):
    conversations = [await person.desk.begin("a"), await person.desk.begin("b")]
    knows, is_late, is_underway = Taker(), Taker(), Taker()
    for taker in (knows, is_late):
        await person.take_all(taker)
    await person.take(is_underway, 1)
    await person.desk.conversations.delete(person.owner, conversations[0])
    await person.take_all(knows)
    clock.move(10)
    assert await ChangeStore(database).sweep(10**15) == 1

    for taker, is_reset in ((knows, False), (is_late, True), (is_underway, True)):
        assert (await person.pulling.pull(person.owner, taker.cursor)).is_reset == is_reset
        await person.take_all(taker)
        assert told(taker.things) == await person.stored()
        assert {key[1] for key in taker.of("conversation")} == {conversations[1]}


async def test_a_conversation_that_has_expired_is_told_as_gone(person: Person, database: Database, clock: HandClock):
    conversation_id = await person.desk.begin("a")
    expire = Query(update(conversation).values(expires_at_ms=int(clock.now() * 1000) + 5_000))
    await database.write(Step(expire))
    assert not [each for each in as_told(await person.pulling.pull(person.owner, None))["changes"] if "deleted" in each]
    clock.move(5)

    changes = as_told(await person.pulling.pull(person.owner, None))["changes"]

    assert changes == [
        {"type": "conversation", "id": conversation_id, "deleted": True},
        {"type": "item", "conversation": conversation_id, "id": "a", "deleted": True},
    ]


async def test_what_was_deleted_is_told_to_who_knew_it_and_to_nobody_else(person: Person):
    conversation_id = await person.desk.begin("a", "b")
    taker = Taker()
    await person.take_all(taker)
    await person.desk.conversations.delete_item(person.owner, conversation_id, "a")

    page = await person.pulling.pull(person.owner, taker.cursor)

    gone = {"type": "item", "conversation": conversation_id, "id": "a", "deleted": True}
    assert as_told(page)["changes"][0] == gone
    assert items_of(await person.pulling.pull(person.owner, None)) == ["b"]


async def test_a_page_is_about_a_megabyte_at_most(person: Person):
    conversation_id = await person.desk.begin()
    for number in range(12):
        (item,) = said(f"msg_{number}")
        item["content"][0]["text"] = "x" * 200_000
        await kept(person, item, conversation_id)
    taker = Taker()
    pages = [await person.take(taker, 1_000)]
    while pages[-1].has_more:
        pages.append(await person.take(taker, 1_000))

    sizes = [len(json.dumps(as_told(page))) for page in pages]
    assert all(size < MOST_PAGE_BYTES + 10_000 for size in sizes)
    assert len(pages) == 3
    assert len(taker.of("item")) == 12


async def test_one_that_is_too_large_is_told_by_its_size(person: Person):
    (item,) = said("msg_large")
    item["content"][0]["text"] = "x" * MOST_ITEM_BYTES
    conversation_id = await kept(person, item)

    changes = as_told(await person.pulling.pull(person.owner, None))["changes"]

    (large,) = [change for change in changes if change["type"] == "item"]
    assert "item" not in large
    assert large["bytes"] > MOST_ITEM_BYTES
    assert (await person.desk.conversations.item(person.owner, conversation_id, "msg_large"))["id"] == "msg_large"


async def test_what_only_those_are_told_who_ask_for_it_is_left_out(person: Person):
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    part = {"type": "output_text", "text": '"logprobs":[{', "annotations": [], "logprobs": [{"token": "x"}]}
    spoken = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    conversation_id = await kept(person, sealed)
    await kept(person, spoken, conversation_id)

    changes = as_told(await person.pulling.pull(person.owner, None))["changes"]

    items = {change["id"]: change["item"] for change in changes if change["type"] == "item"}
    assert items["rs_1"] == {"type": "reasoning", "id": "rs_1", "summary": []}
    assert items["msg_1"]["content"] == [{**part, "logprobs": []}]


async def test_a_conversation_tells_all_of_itself(person: Person, database: Database, clock: HandClock):
    conversation_id = await person.desk.begin("a", "b")
    await person.desk.turn(conversation_id, ["c"], ["d"], after="a")
    changes = Changes(title="t", is_pinned=True, metadata={"k": "v"})
    row = await person.desk.conversations.change(person.owner, conversation_id, changes)
    found = FollowUps("resp_c", ("why", "how"))
    now_ms = int(clock.now() * 1000)
    await database.transact(lambda: writing.set_follow_ups("default", conversation_id, row.version, found, now_ms))
    await database.transact(lambda: steps.read(person.owner, conversation_id, "d", now_ms))

    told_changes = as_told(await person.pulling.pull(person.owner, None))["changes"]

    assert told_changes[0] == {
        "type": "conversation",
        "id": conversation_id,
        "title": "t",
        "metadata": {"k": "v"},
        "branch": 1,
        "branches": [
            {"number": 0, "parent": None, "fork": 0, "length": 2},
            {"number": 1, "parent": 0, "fork": 1, "length": 3},
        ],
        "version": row.version,
        "created_at": int(clock.now()),
        "changed_at": int(clock.now()),
        "pinned_at": int(clock.now()),
        "read_item": "d",
        "follow_ups": {"response": "resp_c", "questions": ["why", "how"]},
    }


async def test_another_persons_things_are_told_to_nobody_else(database: Database, clock: HandClock):
    mine, theirs = (Person(database, clock, name, random.Random(1)) for name in ("u1", "u2"))
    conversation_id = await mine.desk.begin("a")
    await mine.do("remember")
    # Rows of theirs that name things of mine tell nothing of them.
    (row,) = [row for row in await ChangeStore(database).after("default", "u1", 0, 9) if row.kind == "fact"]
    changes: list[Any] = [("item", conversation_id, "a"), ("conversation", conversation_id, ""), ("fact", "", row.id)]

    def noted() -> Any:
        yield note(*(Change("default", "u2", where, kind, thing) for kind, where, thing in changes))

    await database.transact(noted)

    told_changes = as_told(await theirs.pulling.pull(theirs.owner, None))["changes"]
    assert len(told_changes) == 3
    assert all(change["deleted"] for change in told_changes)
