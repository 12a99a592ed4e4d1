"""No statement of conversations sees or touches another tenant's rows, nor another owner's."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
from sqlalchemy import select

from frontdesk.conversations.items import pattern_of
from frontdesk.conversations.rows import ConversationRow, CountedItem, FollowUps
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.reading import ConversationStore
from frontdesk.conversations.store.writing import NewItem
from frontdesk.conversations.tree import Place, Stretch
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import conversation, conversation_branch, conversation_item

NOW_MS = 1_000
ITEMS = [NewItem(f"msg_{number}", b'{"type":"message"}', "hello") for number in range(3)]
WHOLE = [Stretch(0, 0, 9)]
_ALL_ROWS = [Query(select(table)) for table in (conversation, conversation_branch, conversation_item)]


def a_conversation(tenant: str, **values: Any) -> ConversationRow:
    usual = {
        "tenant": tenant,
        "id": "conv_1",
        "person": "u1",
        "title": None,
        "metadata": None,
        "branch": 0,
        "branches": 1,
        "version": 0,
        "response": None,
        "created_at_ms": NOW_MS,
        "changed_at_ms": NOW_MS,
        "pinned_at_ms": None,
        "expires_at_ms": None,
    }
    return ConversationRow(**{**usual, **values})


async def rows_of(database: Database, tenant: str) -> list[Row]:
    return [row for query in _ALL_ROWS for row in await database.read(query) if row[0] == tenant]


def step(one: Step) -> Callable[[], Generator[Step, list[Row], list[Row]]]:
    def work() -> Generator[Step, list[Row], list[Row]]:
        return (yield one)

    return work


async def everything_of(database: Database, owner: Owner) -> list[object]:
    """Call all that reads and writes conversations, and gather what it says. What is new must be added here."""
    said: list[object] = []
    asked: set[str] = set()
    row = a_conversation(owner.tenant)
    store = ConversationStore(database, owner)

    async def write(name: str, *arguments: Any) -> Any:
        asked.add(name)
        made = getattr(writing, name)(*arguments)
        said.append(await database.transact(step(made) if isinstance(made, Step) else lambda: made))
        return said[-1]

    async def read(name: str, *arguments: Any, **options: Any) -> None:
        asked.add(name)
        said.append(await getattr(store, name)(*arguments, **options))

    async def look() -> None:
        await read("find", row.id, NOW_MS)
        for pattern in (None, pattern_of("hello"), pattern_of("name")):
            await read("list", None, 9, pattern, NOW_MS)
        await read("list", row, 9, None, NOW_MS)
        for backwards in (False, True):
            await read("along", row, WHOLE, 9, is_backwards=backwards)
            await read("all", row, None, 9, is_backwards=backwards)
        await read("item", row, "msg_1")
        await read("item", row, "msg_2", or_deleted=True)
        await read("size_bytes", row, WHOLE)
        await read("told", row, WHOLE)
        await read("contents_of", row, [Place(0, 0), Place(1, 1)])
        await read("ids_of", row, [Place(0, 0), Place(0, 2), Place(1, 1)])
        await read("beginnings", row)
        await read("see", row.id, NOW_MS)
        await read("deleted", row)
        await read("follow_ups", row.id, NOW_MS)

    await look()
    await write("count", owner, 9, NOW_MS)
    await write("create", owner, row)
    await write("lock", owner, row.id, NOW_MS)
    asked.update({"tree_of", "branches_of"})
    tree = await database.transact(lambda: writing.tree_of(row))
    await write("put_items", row, tree.end_of(0), ITEMS, "resp_1", NOW_MS)
    await write("change", row, 0, 1, "resp_1", NOW_MS)
    await write("lock_held", owner.tenant, row.id, "resp_1", NOW_MS)
    await write("place_of", row, "msg_1")
    await write("taken_ids", row, ["msg_1", "msg_9"])
    await write("empty_item", row, "msg_2")
    await write("lock_untitled", owner.tenant, row.id, NOW_MS)
    await write("set_follow_ups", owner.tenant, row.id, row.version + 1, FollowUps("resp_1", ("Why?",)), NOW_MS)
    await read("follow_ups", row.id, NOW_MS)
    await write("set_title", row, "A name", "a name")
    await write("set_pinned", row, NOW_MS)
    await write("set_metadata", row, "{}")
    await write("set_item_pinned", row, "msg_1", NOW_MS)
    await write("count_pinned", row, "msg_9", 9)
    tree = await database.transact(lambda: writing.tree_of(row))
    await write("put_items", row, tree.spot_behind(Place(0, 0), 0), [NewItem("msg_3", b"{}", None)], None, NOW_MS)
    await look()
    forked = msgspec.structs.replace(row, branch=1, branches=2)
    tree = await database.transact(lambda: writing.tree_of(row))
    await write("take_back", forked, tree, "resp_1")
    asked.add("note_tokens")
    store.note_tokens(row, [CountedItem(0, 0, "msg_1", 3, "o200k_base"), CountedItem(0, 0, "msg_9", 4, "o200k_base")])
    await database.flush()
    await read("told", row, WHOLE)
    await write("take_back", row, tree, "resp_1")
    await write("set_title", row, None, "")
    await look()
    await write("end", row, NOW_MS)
    await read("remove", row.id, NOW_MS)
    await look()
    public = {name for name in vars(ConversationStore) if not name.startswith("_")}
    public |= {
        name
        for name, value in vars(writing).items()
        if callable(value) and value.__module__ == writing.__name__ and name[0].islower() and name[0] != "_"
    }
    assert public - asked == {"read_row"}
    return said


async def test_nothing_sees_or_touches_anothers_rows(database: Database) -> None:
    """The other tenant has rows of the same ids throughout; the answers are those of a tenant that is alone."""
    alone = await everything_of(database, Owner("alone", "u1", ""))
    other = Owner("other", "u1", "")
    row = a_conversation("other", title="A name", response="resp_1")
    await database.transact(lambda: writing.create(other, row))
    tree = await database.transact(lambda: writing.tree_of(row))
    await database.transact(lambda: writing.put_items(row, tree.end_of(0), ITEMS, "resp_1", NOW_MS))
    await database.transact(lambda: writing.set_title(row, "A name", "a name"))
    before = await rows_of(database, "other")

    beside = await everything_of(database, Owner("besid", "u1", ""))

    assert [str(each).replace("besid", "alone") for each in beside] == [str(each) for each in alone]
    assert await rows_of(database, "other") == before
    assert len(before) == 6


async def test_only_what_has_ended_is_removed(database: Database) -> None:
    for tenant, expires_at_ms in (("one", 900), ("two", 1_000), ("three", 1_001), ("four", None), ("five", 900)):
        row = a_conversation(tenant, expires_at_ms=expires_at_ms)
        await database.transact(lambda row=row: writing.create(Owner(row.tenant, "u1", ""), row))
        if tenant != "five":
            await ConversationStore(database, Owner(tenant, "u1", "")).remove(row.id, NOW_MS)

    assert [len(await rows_of(database, tenant)) for tenant in ("one", "two", "three", "four", "five")] == [
        0, 0, 2, 2, 2
    ]  # fmt: skip
