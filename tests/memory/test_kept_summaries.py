"""Summaries as they are kept: told to whom they are of, and gone with whatever they are of. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import select

from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.keeping.store.sweeping import SweepStore
from frontdesk.memory.recall import Recall, Recollection, Summary
from frontdesk.memory.rows import SummaryRow
from frontdesk.memory.store import summaries
from frontdesk.memory.store.told import MOST_SUMMARIES
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import summary
from frontdesk.turn.context import Past
from frontdesk.turn.turn import Caller
from tests.conversations.texts import for_ever
from tests.fakes import HandClock, make_turn
from tests.keeping.said_before import ANN, BOB, KEY, NAMESAKE, Shelf, owner

_ANCHORS = Query(select(summary.c.conversation, summary.c.anchor).order_by(summary.c.conversation, summary.c.anchor))


class Desk:
    """Everybody's conversations and chains, and what they were summed up to."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HandClock()
        self.shelf = Shelf(database, self.clock)
        self.recall = Recall(database)

    async def keep(
        self, conversation: str, anchor: str, content: str = "They talked.", *, caller: Caller = ANN, items: int = 2
    ) -> None:
        self.clock.move(1)
        who = owner(caller)
        row = SummaryRow(
            tenant=who.tenant,
            conversation=conversation,
            anchor=anchor,
            person=who.person,
            credential=who.credential,
            content=content,
            items=items,
            model="fast",
            created_at_ms=unix_ms(self.clock),
        )
        await self.database.transact(lambda: summaries.put(row))

    async def kept(self) -> list[str]:
        """The anchors that there are."""
        return [anchor for _, anchor in await self.database.read(_ANCHORS)]

    async def told(self, past: Past, caller: Caller = ANN, **options: bool) -> Recollection:
        turn = make_turn(caller=caller)
        turn.is_aside = options.get("is_aside", False)
        return await self.recall.recall(turn, past, has_facts=options.get("has_facts", False))

    async def chain(self, length: int, *, caller: Caller = ANN, previous: str | None = None) -> list[str]:
        made: list[str] = []
        for number in range(length):
            previous = await self.shelf.ask(f"question {number}", "yes", caller=caller, previous=previous)
            made.append(previous)
        return made

    async def conversation(self, *ids: str, caller: Caller = ANN) -> str:
        items = [{"type": "message", "role": "user", "id": each, "content": each} for each in ids]
        row = await self.shelf.conversations.create(owner(caller), items, None, for_ever)
        return row.id


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


# --- told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [ANN, KEY], ids=["person", "key"])
async def test_the_latest_on_the_way_is_told(desk: Desk, caller: Caller) -> None:
    conversation = await desk.conversation("a", "b", "c", "d", caller=caller)
    await desk.keep(conversation, "a", "first", caller=caller)
    await desk.keep(conversation, "c", "second", caller=caller, items=3)
    await desk.keep(conversation, "other-branch", "third", caller=caller)

    whole = await desk.told(Past(conversation, ["a", "b", "c", "d"]), caller)
    from_further_back = await desk.told(Past(conversation, ["a", "b"]), caller)

    assert whole == Recollection((), Summary("c", 3, "second"))
    assert from_further_back.summary == Summary("a", 2, "first")
    assert (await desk.told(Past(conversation, ["x"]), caller)).summary is None
    assert await desk.told(Past(conversation, ["a", "b", "c", "d"]), caller, is_aside=True) == Recollection()


async def test_a_chain_is_told_what_its_own_responses_were_summed_up_to(desk: Desk) -> None:
    one = await desk.chain(3)
    beside = await desk.chain(2, previous=one[0])
    await desk.keep("", one[0], "of all")
    await desk.keep("", one[1], "of one")
    await desk.keep("", beside[0], "of what is beside")

    assert (await desk.told(Past("", [one[0], one[0], one[1], one[2]]))).summary == Summary(one[1], 2, "of one")
    assert (await desk.told(Past("", [one[0], *beside]))).summary == Summary(beside[0], 2, "of what is beside")
    assert (await desk.told(Past("", [one[2]]))).summary is None


@pytest.mark.parametrize("stranger", [BOB, NAMESAKE, KEY], ids=["another", "another-tenants", "key"])
async def test_nobody_else_is_told(desk: Desk, stranger: Caller) -> None:
    (response,) = await desk.chain(1)
    conversation = await desk.conversation("a", "b")
    await desk.keep("", response)
    await desk.keep(conversation, "a")

    assert await desk.told(Past("", [response]), stranger, has_facts=True) == Recollection()
    assert await desk.told(Past(conversation, ["a", "b"]), stranger, has_facts=True) == Recollection()


async def test_pinned_items_of_the_conversation_are_told(desk: Desk) -> None:
    conversation = await desk.conversation("a", "b", "c")
    elsewhere = await desk.conversation("a")
    pin = desk.shelf.conversations.pin_item

    await pin(owner(ANN), conversation, "a", is_pinned=True)
    await pin(owner(ANN), conversation, "b", is_pinned=True)
    await pin(owner(ANN), conversation, "c", is_pinned=True)
    await pin(owner(ANN), conversation, "b", is_pinned=False)
    await desk.shelf.conversations.delete_item(owner(ANN), conversation, "c")

    assert (await desk.told(Past(conversation, ["a", "b"]))).pinned == {"a"}
    assert (await desk.told(Past(elsewhere, ["a"]))).pinned == frozenset()


async def test_of_a_conversation_the_latest_stay(desk: Desk) -> None:
    conversation, other = await desk.conversation("a"), await desk.conversation("a")
    await desk.keep(other, "x")
    for number in range(MOST_SUMMARIES + 3):
        await desk.keep(conversation, f"item_{number:02}")
    await desk.keep(conversation, "item_10", "anew")

    rows = await desk.database.read(_ANCHORS)
    assert sorted(anchor for of, anchor in rows if of == conversation) == [
        f"item_{number:02}" for number in range(3, 11)
    ]
    assert [anchor for of, anchor in rows if of == other] == ["x"]


# --- gone ---------------------------------------------------------------------------------------


async def test_they_go_with_any_item_and_with_their_conversation(desk: Desk) -> None:
    one, two, stays = [await desk.conversation("a", "b") for _ in range(3)]
    for each in (one, two, stays):
        await desk.keep(each, "a")
    conversations = desk.shelf.conversations

    await conversations.delete_item(owner(ANN), one, "a")
    await conversations.delete(owner(ANN), two)

    assert await desk.database.read(_ANCHORS) == [(stays, "a")]


async def test_they_go_with_every_response_that_they_are_of(desk: Desk) -> None:
    one, other = await desk.chain(4), await desk.chain(2)
    beside = await desk.chain(2, previous=one[1])
    for response in (one[0], one[2], one[3], beside[1], other[1]):
        await desk.keep("", response)

    await desk.shelf.delete(one[1])

    assert await desk.kept() == sorted([one[0], other[1]])


async def test_anothers_chain_is_left_alone(desk: Desk) -> None:
    mine, theirs = await desk.chain(2), await desk.chain(2, caller=NAMESAKE)
    await desk.keep("", mine[1])
    await desk.keep("", theirs[1], caller=NAMESAKE)

    await desk.shelf.delete(theirs[0], NAMESAKE)

    assert await desk.kept() == [mine[1]]


async def test_what_expires_takes_them_along(desk: Desk) -> None:
    now_ms = unix_ms(desk.clock)
    response = await desk.shelf.begin("hello")
    await desk.shelf.finish(response, expires_at_ms=now_ms + 1)
    (stays,) = await desk.chain(1)
    row = await desk.shelf.conversations.create(owner(ANN), [], None, lambda _: now_ms + 1)
    for conversation, anchor in (("", response), ("", stays), (row.id, "a")):
        await desk.keep(conversation, anchor)
    store = SweepStore(desk.database)

    assert await store.remove_responses(now_ms + 2) == 1
    assert await store.remove_conversations(now_ms + 2) == 1

    assert await desk.kept() == [stays]


# --- kept only while all is there ---------------------------------------------------------------


async def test_all_that_was_read_must_still_be_there(desk: Desk) -> None:
    chain = await desk.chain(4)
    await desk.keep("", chain[1])
    conversation = await desk.conversation("a", "b", "c")
    await desk.keep(conversation, "a")

    async def owner_of(*asked: Any) -> Any:
        return await desk.database.transact(lambda: summaries.owner_of_all("default", *asked))

    assert await owner_of("", chain[1], chain[2:]) == owner(ANN)
    assert await owner_of("", "", chain) == owner(ANN)
    assert await owner_of(conversation, "a", ["b", "c"]) == owner(ANN)
    assert await owner_of("", chain[0], chain[2:]) is None
    assert await owner_of("", chain[1], [chain[2], new_id("resp_")]) is None
    assert await owner_of(conversation, "b", ["c"]) is None
    assert await owner_of(conversation, "", ["a", "d"]) is None
    assert await owner_of("conv_gone", "", ["a"]) is None
    await desk.shelf.conversations.delete_item(owner(ANN), conversation, "b")
    assert await owner_of(conversation, "", ["a", "b"]) is None


async def test_who_deletes_waits_for_who_folds_and_takes_that_along(desk: Desk) -> None:
    """On PostgreSQL both go on at once; what is folded of a response that goes meanwhile goes as well."""
    chain = await desk.chain(3)
    await desk.keep("", chain[1], "of two")
    new = SummaryRow(
        tenant="default", conversation="", anchor=chain[2], person="ann", credential="", content="of three", items=6,
        model="fast", created_at_ms=1,
    )  # fmt: skip
    sleep = Query(select(summary.c.anchor).limit(1))

    def fold() -> Generator[Step, list[Row], None]:
        found = yield from summaries.owner_of_all("default", "", chain[1], [chain[2]])
        for _ in range(20):
            yield Step(sleep)
        if found is not None:
            yield from summaries.put(new)

    for _ in range(10):
        await asyncio.gather(desk.database.transact(fold), desk.shelf.delete(chain[0]))

        assert await desk.kept() == []
        chain = await desk.chain(3)
        await desk.keep("", chain[1], "of two")
        new = SummaryRow(
            tenant="default", conversation="", anchor=chain[2], person="ann", credential="", content="of three",
            items=6, model="fast", created_at_ms=1,
        )  # fmt: skip
