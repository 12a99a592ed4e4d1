"""Conversations: their owner's alone, listed and searched, in pages that are whole, and gone when they are deleted."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlalchemy import func, select

from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.service import Changes, Conversations, KeptItem
from frontdesk.conversations.tree import MOST_ITEMS
from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError, NotFound, TooLarge
from frontdesk.core.ids import new_id
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import conversation, conversation_branch, conversation_item
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.openai_listed_items import listed_input
from tests.conversations.texts import KEY, NAMESAKE, OTHER, OWNER, Desk, for_ever, items_for, said
from tests.fakes import HandClock

_ROWS = Query(
    select(
        *(select(func.count()).select_from(table).scalar_subquery() for table in (conversation, conversation_branch)),
        func.count(conversation_item.c.id),
    )
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk(database: Database, clock: HandClock) -> Desk:
    return Desk(database, clock)


async def rows(database: Database) -> tuple[int, int, int]:
    """How many conversations, branches and items are stored."""
    ((conversations, branches, items),) = await database.read(_ROWS)
    return conversations, branches, items


async def code_of(work: Awaitable[object]) -> str:
    with pytest.raises(FrontdeskError) as refused:
        await work
    return refused.value.code


def messages(*texts: str, role: str = "user") -> list[dict[str, Any]]:
    """Messages that say these texts, with ids of their own."""
    return listed_input([{"role": role, "content": text} for text in texts], new_id(""))


# --- conversations ------------------------------------------------------------------------------


async def test_one_is_told_as_it_was_made(desk: Desk, clock: HandClock) -> None:
    items = listed_input(
        [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:,"}],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "\0é"},
        ],
        new_id(""),
    )

    row = await desk.conversations.create(OWNER, items, {"topic": "trees"}, for_ever)

    seen = await desk.see(row.id)
    found = seen.row
    assert (found.metadata, found.title, found.branch, found.branches) == ('{"topic":"trees"}', None, 0, 1)
    assert found.created_at_ms == found.changed_at_ms == int(clock.now() * 1000)
    assert [each.item for each in await desk.pages(seen, 0)] == items
    assert [await desk.conversations.item(OWNER, row.id, item["id"]) for item in items] == items


async def test_it_is_nobody_elses(database: Database, clock: HandClock) -> None:
    owners = [OWNER, OTHER, KEY, NAMESAKE]
    desks = {owner: Desk(database, clock, owner) for owner in owners}
    theirs = {owner: await desk.begin("q1") for owner, desk in desks.items()}

    for owner, other in itertools.permutations(owners, 2):
        conversations, its = desks[owner].conversations, theirs[other]
        for work in (
            conversations.find(owner, its),
            conversations.change(owner, its, Changes(title="x")),
            conversations.delete(owner, its),
            conversations.add(owner, its, said("x")),
            conversations.item(owner, its, "q1"),
            conversations.delete_item(owner, its, "q1"),
            items_for(conversations, owner, ConversationNamed(its)),
        ):
            assert await code_of(work) == "conversation_not_found"
        assert await code_of(conversations.list(owner, its, 9)) == "invalid_value"
    for owner, desk in desks.items():
        assert [row.id for row in await desk.conversations.list(owner, "", 9)] == [theirs[owner]]
        assert await desk.listed(theirs[owner]) == ["q1"]


@pytest.mark.parametrize("hostile", ["", "\0", "conv_\ud800", "x" * 9000, "%", "conv_' or 1=1 --"])
async def test_whatever_it_is_called_it_is_not_there(desk: Desk, hostile: str) -> None:
    conversation = await desk.begin("q1")

    assert await code_of(desk.conversations.find(OWNER, hostile)) == "conversation_not_found"
    assert await code_of(desk.conversations.delete(OWNER, hostile)) == "conversation_not_found"
    assert await code_of(desk.conversations.item(OWNER, conversation, hostile)) == "item_not_found"
    assert await code_of(desk.conversations.delete_item(OWNER, conversation, hostile)) == "item_not_found"
    assert await code_of(desk.told(conversation, after=hostile)) == "item_not_found"


async def test_a_person_has_only_so_many(database: Database, clock: HandClock) -> None:
    conversations = Conversations(database, clock, most=3)
    made = [await conversations.create(OWNER, [], None, for_ever) for _ in range(3)]

    with pytest.raises(TooLarge) as full:
        await conversations.create(OWNER, said("q1"), None, for_ever)
    assert full.value.code == "too_many_conversations"
    for owner in (OTHER, *[KEY] * 4):
        await conversations.create(owner, [], None, for_ever)
    await conversations.delete(OWNER, made[0].id)
    await conversations.create(OWNER, [], None, for_ever)


async def test_one_that_cannot_have_its_items_is_not_there_at_all(database: Database, desk: Desk) -> None:
    items = messages(*map(str, range(MOST_ITEMS + 1)))

    assert await code_of(desk.conversations.create(OWNER, items, None, for_ever)) == "conversation_full"
    assert await code_of(desk.conversations.create(OWNER, [*items[:1], *items[:1]], None, for_ever)) == "item_exists"
    assert await rows(database) == (0, 0, 0)


async def test_what_is_said_of_one_is_changed(desk: Desk, clock: HandClock) -> None:
    row = await desk.conversations.create(OWNER, said("q1"), {"a": "1"}, for_ever)
    change = desk.conversations.change
    clock.move(9)

    named = await change(OWNER, row.id, Changes(title="First"))
    assert (named.title, named.metadata, named.version) == ("First", '{"a":"1"}', row.version + 1)
    assert named.changed_at_ms == row.changed_at_ms, "what is said of it is none of its items"
    pinned = await change(OWNER, row.id, Changes(is_pinned=True))
    assert pinned.pinned_at_ms == int(clock.now() * 1000)
    clock.move(9)
    assert await change(OWNER, row.id, Changes(is_pinned=True)) == pinned
    bare = await change(OWNER, row.id, Changes(title=None, is_pinned=False, metadata=None))
    assert (bare.title, bare.pinned_at_ms, bare.metadata) == (None, None, None)
    assert await change(OWNER, row.id, Changes()) == bare == await desk.find(row.id)


async def test_a_branch_is_chosen_that_is_there(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1")
    await desk.turn(conversation, [], ["a2"], after="q1")

    await desk.conversations.change(OWNER, conversation, Changes(branch=0))
    assert await desk.listed(conversation) == ["q1", "a1"]
    with pytest.raises(BadRequest) as unknown:
        await desk.conversations.change(OWNER, conversation, Changes(branch=2, title="x"))
    assert unknown.value.message.startswith("There is no branch 2 in the conversation")
    assert unknown.value.message.endswith("it has 2, numbered from 0.")
    assert (await desk.find(conversation)).title is None


async def test_a_deleted_one_is_gone_with_all_that_is_in_it(desk: Desk) -> None:
    deleted, kept = await desk.begin(*(f"q{number}" for number in range(250))), await desk.begin("q1")
    await desk.turn(deleted, ["x"], ["y"], after="q9")
    await desk.conversations.change(OWNER, deleted, Changes(title="A name"))
    assert await rows(desk.database) == (2, 3, 254)  # and the title's words

    await desk.conversations.delete(OWNER, deleted)

    assert await rows(desk.database) == (1, 1, 1)
    assert await code_of(desk.conversations.delete(OWNER, deleted)) == "conversation_not_found"
    assert [row.id for row in await desk.conversations.list(OWNER, "", 9)] == [kept]


async def test_an_expired_one_is_gone_at_once(desk: Desk, clock: HandClock) -> None:
    kept = await desk.begin("q1")
    row = await desk.conversations.create(OWNER, said("q1"), None, lambda now_ms: now_ms + 5000)
    clock.move(5)

    assert [row.id for row in await desk.conversations.list(OWNER, "", 99)] == [kept]
    assert await code_of(desk.conversations.find(OWNER, row.id)) == "conversation_not_found"


# --- lists and searches -------------------------------------------------------------------------


async def test_pinned_ones_come_first_then_what_changed_last(desk: Desk, clock: HandClock) -> None:
    made = []
    for _ in range(7):
        made.append(await desk.begin("q1"))
        clock.move(1)
    made += [await desk.begin("q1"), await desk.begin("q1")]  # in the same millisecond
    for number in (4, 1):
        await desk.conversations.change(OWNER, made[number], Changes(is_pinned=True))
    await Desk(desk.database, clock, OTHER).begin("q1")
    clock.move(1)
    await desk.conversations.add(OWNER, made[2], said("q2"))

    last = sorted(made[7:], reverse=True)
    expected = [made[4], made[1], made[2], *last, made[6], made[5], made[3], made[0]]
    for limit in (1, 2, 4, 100):
        found: list[ConversationRow] = []
        while page := await desk.conversations.list(OWNER, found[-1].id if found else "", limit):
            assert len(page) <= limit
            found += page
        assert [row.id for row in found] == expected


async def test_words_are_found_in_titles_and_items(desk: Desk) -> None:
    said_of: dict[str, list[dict[str, Any]]] = {
        "asked": messages("How do trees grow?"),
        "answered": messages("Well,", "A TREE\n grows  slowly", role="assistant"),
        "accented": messages("Fußgänger im ﬁlm, ΣΊΣΥΦΟΣ"),
        "odd": messages(r"100% of a_b in C:\temp"),
        "pictured": listed_input(
            [
                {
                    "role": "user",
                    "content": [{"type": "input_file", "filename": "Budget.pdf", "file_data": "data:,tree"}],
                }
            ],
            "x",
        ),
        "called": listed_input([{"type": "function_call", "call_id": "1", "name": "tree", "arguments": "tree"}], "x"),
        "other words": messages("nothing", "x" * 40_000 + "beyond"),
    }
    made = {name: (await desk.conversations.create(OWNER, items, None, for_ever)).id for name, items in said_of.items()}
    await desk.conversations.change(OWNER, made["called"], Changes(title="Größe der ÄPFEL"))
    await Desk(desk.database, desk.clock, OTHER).begin("tree")

    async def found(words: str) -> set[str]:
        ids = {row.id for row in await desk.conversations.list(OWNER, "", 99, words)}
        return {name for name, its in made.items() if its in ids}

    assert await found("tree") == {"asked", "answered"}
    assert await found(" Tree Grows ") == {"answered"}
    assert await found("fussgänger") == await found("FILM") == await found("σίσυφος") == {"accented"}
    assert await found("größe der äpfel") == await found("GRÖSSE") == {"called"}
    assert await found("100%") == await found("a_b") == await found(r"c:\t") == {"odd"}
    assert await found("1%f") == await found("a.b") == await found(r"\%") == set()
    assert await found("budget.PDF") == {"pictured"}
    assert await found("beyond") == set(), "of a long text its beginning is searched"
    assert await found("   ") == await found("\0") == set(made)

    await desk.conversations.change(OWNER, made["called"], Changes(title="Birnen"))
    assert (await found("äpfel"), await found("birnen")) == (set(), {"called"})
    await desk.conversations.change(OWNER, made["called"], Changes(title=None))
    assert await found("birnen") == set()
    await desk.conversations.delete_item(OWNER, made["asked"], said_of["asked"][0]["id"])
    assert await found("tree") == {"answered"}


async def test_what_is_found_comes_in_pages(desk: Desk, clock: HandClock) -> None:
    made = []
    for number in range(9):
        made.append(
            (await desk.conversations.create(OWNER, messages("odd" if number % 2 else "even"), None, for_ever)).id
        )
        clock.move(1)
    await desk.conversations.change(OWNER, made[3], Changes(is_pinned=True))

    found: list[str] = []
    while page := await desk.conversations.list(OWNER, found[-1] if found else "", 2, "ODD"):
        found += [row.id for row in page]

    assert found == [made[number] for number in (3, 7, 5, 1)]


# --- items --------------------------------------------------------------------------------------


async def test_pages_of_items_are_whole_and_in_order(desk: Desk) -> None:
    conversation = await desk.begin(*(f"q{number}" for number in range(7)))
    await desk.turn(conversation, ["b1", "b2"], ["b3"], after="q3")
    await desk.conversations.delete_item(OWNER, conversation, "q2")
    seen = await desk.see(conversation)
    lines = {0: ["q0", "q1", "q3", "q4", "q5", "q6"], 1: ["q0", "q1", "q3", "b1", "b2", "b3"]}
    everything = [*lines[0], "b1", "b2", "b3"]

    for limit in (1, 2, 3, 50):
        for branch, expected in (*lines.items(), (None, everything)):
            for order, ids in (("asc", expected), ("desc", expected[::-1])):
                pages = await desk.pages(seen, branch, limit, order)
                assert [each.head.id for each in pages] == ids == [each.item["id"] for each in pages]
    page = await desk.conversations.page(OWNER, seen, "q2", 9, "asc", 0)
    assert [each.head.id for each in page.items] == ["q3", "q4", "q5", "q6"], "from behind one that is gone"
    for after in ("q5", "never"):
        assert await code_of(desk.conversations.page(OWNER, seen, after, 9, "asc", 1)) == "invalid_value"
    assert await code_of(desk.conversations.page(OWNER, seen, "", 9, "asc", 2)) == "invalid_value"


async def test_a_page_holds_what_fits_and_one_at_least(desk: Desk) -> None:
    texts = ["x" * size for size in (9_000_000, 5_000_000, 2_000_000, 2_000_000, 100)]
    row = await desk.conversations.create(OWNER, messages(*texts), None, for_ever)

    seen = await desk.see(row.id)
    sizes: list[int] = []
    found: list[KeptItem] = []
    while True:
        page = await desk.conversations.page(OWNER, seen, found[-1].head.id if found else "", 50, "asc", 0)
        sizes.append(len(page.items))
        found += page.items
        if not page.has_more:
            break

    assert sizes == [1, 2, 2]
    assert [each.item["content"][0]["text"] for each in found] == texts


async def test_more_than_a_request_can_go_on_with_is_refused(desk: Desk) -> None:
    row = await desk.conversations.create(OWNER, messages(*("x" * 23_000_000 for _ in range(2))), None, for_ever)
    seen = await desk.see(row.id)
    first = (await desk.conversations.page(OWNER, seen, "", 1, "asc", 0)).items[0].head.id
    await desk.told(row.id)
    await desk.conversations.add(OWNER, row.id, messages("x" * 23_000_000))

    assert await code_of(desk.told(row.id)) == "conversation_too_large"
    assert await desk.told(row.id, after=first) == [first]


async def test_items_are_put_behind_the_others(desk: Desk) -> None:
    conversation = await desk.begin()

    for batch in (["i1", "i2"], ["i3"]):
        await desk.conversations.add(OWNER, conversation, said(*batch))
    assert await desk.listed(conversation) == ["i1", "i2", "i3"]
    assert await code_of(desk.conversations.add(OWNER, conversation, said("i4", "i2"))) == "item_exists"
    assert await desk.listed(conversation) == ["i1", "i2", "i3"]
    assert await code_of(desk.conversations.create(OWNER, said("i1") + said("i1"), None, for_ever)) == "item_exists"
    assert len(await desk.conversations.list(OWNER, "", 9)) == 1


async def test_a_deleted_item_says_nothing_any_more(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1", "q2")
    version = (await desk.find(conversation)).version

    row = await desk.conversations.delete_item(OWNER, conversation, "a1")

    assert row.version == version + 1
    assert await desk.listed(conversation) == await desk.told(conversation) == ["q1", "q2"]
    assert await code_of(desk.conversations.item(OWNER, conversation, "a1")) == "item_not_found"
    assert await code_of(desk.conversations.delete_item(OWNER, conversation, "a1")) == "item_not_found"
    said_by = Query(
        select(conversation_item.c.content, conversation_item.c.words).where(conversation_item.c.id == "a1")
    )
    assert await desk.database.read(said_by) == [(None, None)]


async def test_an_item_goes_while_a_response_is_made(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    await desk.enter(conversation, "resp_1", "q2")

    await desk.conversations.delete_item(OWNER, conversation, "q2")
    assert (await desk.find(conversation)).response == "resp_1"
    await desk.leave(conversation, "resp_1", "a2")

    assert await desk.listed(conversation) == ["q1", "a2"]


# --- branches -----------------------------------------------------------------------------------


async def test_what_is_around_an_item_is_told(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1", "q2")
    await desk.turn(conversation, [], ["a1b"], after="q1")
    await desk.turn(conversation, [], ["a1c"], after="q1")
    await desk.turn(conversation, ["p1"], ["p2"], after=None)
    await desk.conversations.delete_item(OWNER, conversation, "a1b")
    seen = await desk.see(conversation)

    items = await desk.pages(seen, None)
    around = await desk.conversations.around(OWNER, seen, [each.head for each in items])

    told = {each.head.id: (its.parent, its.siblings) for each, its in zip(items, around, strict=True)}
    assert told == {
        "q1": (None, [(0, "q1"), (3, "p1")]),
        "a1": ("q1", [(0, "a1"), (2, "a1c")]),
        "q2": ("a1", [(0, "q2")]),
        "a1c": ("q1", [(0, "a1"), (2, "a1c")]),
        "p1": (None, [(0, "q1"), (3, "p1")]),
        "p2": ("p1", [(3, "p2")]),
    }


async def test_branches_are_told_with_their_first_words(desk: Desk) -> None:
    row = await desk.conversations.create(OWNER, messages("  Why\n\n is the sky blue? " + "And " * 99), None, for_ever)
    seen = await desk.see(row.id)
    first = (await desk.conversations.page(OWNER, seen, "", 1, "asc", 0)).items[0].head.id
    picture = {"type": "input_image", "image_url": "data:," + "x" * 99_999}
    big = listed_input([{"role": "user", "content": [{"type": "input_text", "text": "See THIS"}, picture]}], "x")
    await desk.conversations.add(OWNER, row.id, big)
    await desk.turn(row.id, [], ["a2"], after=first)
    await desk.turn(row.id, [], [], after=first)

    told = await desk.conversations.branches(OWNER, await desk.see(row.id))

    assert [(each.branch.parent, each.branch.fork, each.branch.length) for each in told] == [
        (None, 0, 2), (0, 1, 2), (1, 1, 1)
    ]  # fmt: skip
    assert [each.first_words for each in told] == [
        ("Why is the sky blue? " + "And " * 99)[:100],
        "a2",
        "",
    ]
    await desk.conversations.delete_item(OWNER, row.id, first)
    told = await desk.conversations.branches(OWNER, await desk.see(row.id))
    assert told[0].first_words == "see this", "of what is large only what is searched is looked at"


async def test_a_conversation_that_is_gone_is_not_locked(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    await desk.enter(conversation, "resp_1", "q2")
    with pytest.raises(Conflict):
        await desk.conversations.add(OWNER, conversation, said("q3"))

    await desk.conversations.delete(OWNER, conversation)

    with pytest.raises(NotFound):
        await desk.conversations.add(OWNER, conversation, said("q3"))
