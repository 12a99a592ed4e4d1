"""Turns in conversations: their input goes in, one at a time, and their answer behind it; or else nothing."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter

import pytest
from msgspec import UNSET

from frontdesk.conversations import entering
from frontdesk.conversations.entering import leave
from frontdesk.conversations.service import Changes
from frontdesk.conversations.tree import MOST_BRANCHES, MOST_ITEMS
from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError, NotFound
from frontdesk.storage.database import Database, open_beside
from tests.conversations.texts import KEY, NAMESAKE, OTHER, Desk, items_for, said
from tests.fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk(database: Database, clock: HandClock) -> Desk:
    return Desk(database, clock)


def code_of(refusal: FrontdeskError | None) -> str | None:
    return None if refusal is None else refusal.code


async def test_a_turn_comes_behind_what_was_said(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1")

    assert await desk.enter(conversation, "resp_1", "q2") is None
    assert (await desk.find(conversation)).response == "resp_1"
    assert await desk.listed(conversation) == ["q1", "a1", "q2"]
    await desk.leave(conversation, "resp_1", "r2", "a2")

    assert (await desk.find(conversation)).response is None
    assert await desk.told(conversation) == await desk.listed(conversation) == ["q1", "a1", "q2", "r2", "a2"]


async def test_what_is_told_is_whole(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    (_, items) = await items_for(desk.conversations, desk.owner, entering.ConversationNamed(conversation))

    assert items == said("q1")


async def test_while_a_response_is_made_nothing_else_is_added(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1")
    await desk.turn(conversation, ["q2"], ["a2"], after="q1")
    await desk.enter(conversation, "resp_1", "q3")

    second = await desk.enter(conversation, "resp_2", "q4")
    assert isinstance(second, Conflict)
    assert (second.code, second.status, second.retry_after_s) == ("conversation_locked", 409, 1)
    for refused in (
        desk.conversations.add(desk.owner, conversation, said("q4")),
        desk.conversations.change(desk.owner, conversation, Changes(branch=0)),
    ):
        with pytest.raises(Conflict) as conflict:
            await refused
        assert conflict.value.code == "conversation_locked"
    await desk.conversations.change(desk.owner, conversation, Changes(title="Still", branch=1))

    await desk.leave(conversation, "resp_1", "a3")
    assert await desk.enter(conversation, "resp_2", "q4") is None
    assert await desk.listed(conversation) == ["q1", "q2", "a2", "q3", "a3", "q4"]


async def test_what_has_changed_since_it_was_read_is_not_gone_on_with(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1")
    await desk.turn(conversation, ["q2"], ["a2"], after="q1")
    changes = (
        lambda: desk.turn(conversation, ["q3"], ["a3"]),
        lambda: desk.conversations.add(desk.owner, conversation, said("q4")),
        lambda: desk.conversations.delete_item(desk.owner, conversation, "a1"),
        lambda: desk.conversations.change(desk.owner, conversation, Changes(branch=0)),
    )
    for change in changes:
        version, _ = await items_for(desk.conversations, desk.owner, entering.ConversationNamed(conversation))
        await change()
        assert code_of(await desk.enter(conversation, "resp_1", "q9", seen=version)) == "conversation_changed"

    version, _ = await items_for(desk.conversations, desk.owner, entering.ConversationNamed(conversation))
    await desk.conversations.change(desk.owner, conversation, Changes(title="A name", is_pinned=True, branch=0))
    assert await desk.enter(conversation, "resp_1", "q9", seen=version) is None


async def test_behind_an_earlier_item_begins_a_branch(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1", "q2", "a2")

    await desk.turn(conversation, ["q2b"], ["a2b"], after="a1")
    assert await desk.listed(conversation) == ["q1", "a1", "q2b", "a2b"]
    await desk.turn(conversation, [], ["a2c"], after="q2b")
    assert await desk.listed(conversation) == ["q1", "a1", "q2b", "a2c"]
    await desk.turn(conversation, ["p1"], ["b1"], after=None)
    assert await desk.listed(conversation) == ["p1", "b1"]
    await desk.turn(conversation, ["q3"], ["a3"], after="a2")
    assert await desk.listed(conversation) == ["q1", "a1", "q2", "a2", "q3", "a3"]

    row = await desk.find(conversation)
    assert (row.branch, row.branches) == (0, 4), "at the end of a branch no other one begins"
    assert await desk.listed(conversation, 1) == ["q1", "a1", "q2b", "a2b"]
    assert await desk.told(conversation, after="a2b") == ["q1", "a1", "q2b", "a2b"]
    assert await desk.told(conversation, after=None) == []


async def test_an_answer_that_never_came_is_asked_for_again_in_its_branch(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a1")
    await desk.turn(conversation, [], [], after="q1")

    assert await desk.told(conversation) == ["q1"]
    await desk.turn(conversation, [], ["a1b"], after="q1")

    row = await desk.find(conversation)
    assert (row.branch, row.branches) == (1, 2)
    assert await desk.listed(conversation) == ["q1", "a1b"]


@pytest.mark.parametrize("after", [UNSET, None, "q1", "a1", "q2", "b1"])
async def test_what_is_withdrawn_has_never_been(desk: Desk, after: str | None) -> None:
    conversation = await desk.begin("q1", "a1", "q2")
    await desk.turn(conversation, ["b1"], ["b2"], after="q1")
    await desk.conversations.change(desk.owner, conversation, Changes(branch=1))

    async def all_of_it() -> object:
        seen = await desk.see(conversation)
        items = await desk.pages(seen, None)
        branches = await desk.conversations.branches(desk.owner, seen)
        return items, branches, seen.row.branches, await desk.told(conversation)

    before = await all_of_it()
    assert await desk.enter(conversation, "resp_9", "q9", "q10", after=after) is None
    assert await all_of_it() != before
    await desk.withdraw(conversation, "resp_other")
    assert (await desk.find(conversation)).response == "resp_9"
    await desk.withdraw(conversation, "resp_9")
    await desk.withdraw(conversation, "resp_9")

    row = await desk.find(conversation)
    assert row.response is None
    # Behind what another branch alone goes through: then that one stays chosen.
    assert row.branch == (0 if after in ("a1", "q2") else 1)
    await desk.conversations.change(desk.owner, conversation, Changes(branch=1))
    assert await all_of_it() == before
    assert await desk.enter(conversation, "resp_9", "q9", "q10", after=after) is None


async def test_an_answer_is_kept_whatever_its_items_are_called(desk: Desk) -> None:
    """Some servers call the first item of every answer the same."""
    conversation = await desk.begin("q1")
    odd = said("msg_0") + said("msg_0") + [{**said("x")[0], "id": "a/b"}]
    for turn in range(2):
        await desk.enter(conversation, f"resp_{turn}", f"q_{turn}")
        await desk.database.transact(
            lambda turn=turn: leave("default", conversation, f"resp_{turn}", odd, 1, "answered")
        )

    ids = await desk.listed(conversation)
    assert ids[:3] == ["q1", "q_0", "msg_0"]
    assert len(set(ids)) == len(ids) == 9
    assert all(re.fullmatch(r"msg_[0-9a-f]{34}", each) for each in [*ids[3:5], *ids[6:]])
    _, items = await items_for(desk.conversations, desk.owner, entering.ConversationNamed(conversation))
    assert [{**item, "id": ""} for item in items[6:]] == [{**item, "id": ""} for item in odd]


async def test_who_does_not_hold_it_leaves_nothing(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    await desk.enter(conversation, "resp_1", "q2")

    await desk.leave(conversation, "resp_2", "x1")
    await desk.leave("conv_never", "resp_1", "x2")
    await desk.leave(conversation, "resp_1", "a2")
    await desk.leave(conversation, "resp_1", "x3")
    await desk.withdraw(conversation, "resp_1")

    assert await desk.listed(conversation) == ["q1", "q2", "a2"]


async def test_nothing_comes_into_what_was_deleted_meanwhile(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    await desk.enter(conversation, "resp_1", "q2")

    await desk.conversations.delete(desk.owner, conversation)
    await desk.leave(conversation, "resp_1", "a2")
    await desk.withdraw(conversation, "resp_1")

    assert code_of(await desk.enter(conversation, "resp_2", "q3")) == "conversation_not_found"


async def test_it_is_nobody_elses(desk: Desk, clock: HandClock) -> None:
    conversation = await desk.begin("q1")

    for owner in (OTHER, KEY, NAMESAKE):
        stranger = Desk(desk.database, clock, owner)
        refusal = await stranger.enter(conversation, "resp_1", "x1")
        assert isinstance(refusal, NotFound)
        assert refusal.code == "conversation_not_found"
        with pytest.raises(NotFound):
            await stranger.told(conversation)
    await desk.enter(conversation, "resp_1", "q2")
    await Desk(desk.database, clock, NAMESAKE).leave(conversation, "resp_1", "x2")
    assert await desk.listed(conversation) == ["q1", "q2"]
    assert (await desk.find(conversation)).response == "resp_1"


async def test_an_item_that_is_not_there_is_named(desk: Desk) -> None:
    conversation, another = await desk.begin("q1", "a1"), await desk.begin("q2")
    await desk.conversations.delete_item(desk.owner, conversation, "a1")

    for after in ("a1", "q2", "never", ""):
        assert code_of(await desk.enter(conversation, "resp_1", "x", after=after)) == "item_not_found"
        with pytest.raises(NotFound) as missing:
            await desk.told(conversation, after=after)
        assert missing.value.code == "item_not_found"
    assert await desk.told(another) == ["q2"]


@pytest.mark.parametrize("ids", [("q1",), ("q2", "gone"), ("q2", "q2")])
async def test_an_id_is_there_once(desk: Desk, ids: tuple[str, ...]) -> None:
    conversation = await desk.begin("q1", "gone")
    await desk.conversations.delete_item(desk.owner, conversation, "gone")
    items = [item for each in ids for item in said(each)]

    refusal = await desk.database.transact(
        lambda: entering.enter(desk.owner, entering.ConversationNamed(conversation), None, "resp_1", items, 1)
    )

    assert refusal is not None
    assert (refusal.code, refusal.param) == ("item_exists", f"input[{len(ids) - 1}].id")
    assert (await desk.find(conversation)).response is None
    assert await desk.listed(conversation) == ["q1"]


async def test_a_reference_is_no_item(desk: Desk) -> None:
    conversation = await desk.begin("q1")
    items = [*said("q2"), {"type": "item_reference", "id": "msg_1"}]

    refusal = await desk.database.transact(
        lambda: entering.enter(desk.owner, entering.ConversationNamed(conversation), None, "resp_1", items, 1)
    )

    assert refusal is not None
    assert (refusal.code, refusal.param) == ("unsupported_item", "input[1]")


async def test_there_are_only_so_many_branches(desk: Desk) -> None:
    conversation = await desk.begin("q1", "a0")
    for number in range(1, MOST_BRANCHES):
        assert await desk.turn(conversation, [], [f"a{number}"], after="q1") is None

    assert code_of(await desk.enter(conversation, "resp_x", after="q1")) == "too_many_branches"
    assert await desk.turn(conversation, ["q2"], ["a"], after="a0") is None
    assert (await desk.find(conversation)).branches == MOST_BRANCHES
    seen = await desk.see(conversation)
    (around,) = await desk.conversations.around(
        desk.owner, seen, [each.head for each in await desk.pages(seen, 50) if each.head.id == "a50"]
    )
    assert around.parent == "q1"
    assert around.siblings == [(number, f"a{number}") for number in range(MOST_BRANCHES)]


async def test_there_are_only_so_many_items(desk: Desk) -> None:
    conversation = await desk.begin(*(f"q{number}" for number in range(MOST_ITEMS - 1)))

    assert code_of(await desk.enter(conversation, "resp_1", "x1", "x2")) == "conversation_full"
    assert await desk.turn(conversation, ["x1"], ["x2"]) is None, "an answer is put in however many there are"
    told = await desk.told(conversation)
    assert (len(told), told[-3:]) == (MOST_ITEMS + 1, [f"q{MOST_ITEMS - 2}", "x1", "x2"])


async def test_it_expires_as_long_after_each_change(desk: Desk, clock: HandClock) -> None:
    day_ms = 86_400_000
    row = await desk.conversations.create(desk.owner, said("q1"), None, lambda now_ms: now_ms + 3 * day_ms)
    made_ms = row.created_at_ms

    async def left_ms() -> int | None:
        found = await desk.find(row.id)
        return None if found.expires_at_ms is None else found.expires_at_ms - made_ms

    assert await left_ms() == 3 * day_ms
    clock.move(86_400)
    await desk.enter(row.id, "resp_1", "q2")
    assert await left_ms() == 4 * day_ms
    clock.move(3600)
    await desk.leave(row.id, "resp_1", "a2")
    assert await left_ms() == 4 * day_ms + 3_600_000
    await desk.enter(row.id, "resp_2", "q3", expires_at_ms=made_ms + 3 * day_ms)
    assert await left_ms() == 3 * day_ms, "a turn may let it expire earlier"
    await desk.leave(row.id, "resp_2", "a3")
    await desk.enter(row.id, "resp_3", "q4", expires_at_ms=made_ms + 90 * day_ms)
    assert await left_ms() == 3 * day_ms, "and never later"

    clock.move(2 * 86_400)
    await desk.leave(row.id, "resp_3", "a4")
    assert code_of(await desk.enter(row.id, "resp_4", "q5")) == "conversation_not_found"
    with pytest.raises(NotFound):
        await desk.find(row.id)


async def test_what_would_stay_for_ever_expires_with_a_turn_that_says_so(desk: Desk, clock: HandClock) -> None:
    conversation = await desk.begin("q1")

    await desk.enter(conversation, "resp_1", "q2", expires_at_ms=int(clock.now() * 1000) + 5000)
    clock.move(2)
    await desk.leave(conversation, "resp_1", "a2")

    row = await desk.find(conversation)
    assert row.expires_at_ms == row.changed_at_ms + 5000


# --- races --------------------------------------------------------------------------------------


async def test_of_many_who_enter_at_once_one_does(desk: Desk) -> None:
    conversation = await desk.begin("q1")

    refusals = await asyncio.gather(*(desk.enter(conversation, f"resp_{n}", f"q_{n}") for n in range(20)))

    assert Counter(map(code_of, refusals)) == {None: 1, "conversation_locked": 19}
    (winner,) = [number for number, refusal in enumerate(refusals) if refusal is None]
    assert (await desk.find(conversation)).response == f"resp_{winner}"
    assert await desk.listed(conversation) == ["q1", f"q_{winner}"]


async def test_of_many_processes_one_enters(postgresql_url: str, clock: HandClock) -> None:
    databases = [await open_beside(postgresql_url) for _ in range(4)]
    desks = [Desk(database, clock) for database in databases]
    conversation = await desks[0].begin("q1", "a1")

    for turn in range(5):
        after = "q1" if turn % 2 else UNSET
        refusals = await asyncio.gather(
            *(desk.enter(conversation, f"r{turn}_{n}", f"q{turn}_{n}", after=after) for n, desk in enumerate(desks * 5))
        )
        assert Counter(map(code_of, refusals)) == {None: 1, "conversation_locked": 19}
        winner = refusals.index(None)
        await asyncio.gather(*(desk.leave(conversation, f"r{turn}_{winner}", f"b{turn}") for desk in desks))
        assert (await desks[1].listed(conversation))[-2:] == [f"q{turn}_{winner}", f"b{turn}"]

    for database in databases:
        await database.close()


async def test_whatever_happens_at_once_the_branches_stay_whole(desk: Desk) -> None:
    """Turns, items, deletions, choices and withdrawals, each of which may be refused."""
    conversation = await desk.begin("q1", "a1")
    refused: set[str] = set()

    async def go_on(number: int) -> None:
        for step in range(6):
            name = f"{number}_{step}"
            after = ("q1", "a1", UNSET, None)[(number + step) % 4]
            if await desk.enter(conversation, f"r{name}", f"q{name}", after=after) is None:
                await asyncio.sleep(0)
                end = (
                    desk.withdraw(conversation, f"r{name}")
                    if step % 3 == 2
                    else desk.leave(conversation, f"r{name}", f"a{name}")
                )
                await end
            try:
                await desk.conversations.add(desk.owner, conversation, said(f"i{name}"))
                await desk.conversations.delete_item(desk.owner, conversation, f"i{name}")
                await desk.conversations.change(desk.owner, conversation, Changes(branch=step % 2))
            except (Conflict, BadRequest) as error:
                refused.add(error.code)

    await asyncio.gather(*(go_on(number) for number in range(6)))

    # The branch that is to be chosen may have been withdrawn, or not be there yet.
    assert refused <= {"conversation_locked", "invalid_value"}
    seen = await desk.see(conversation)
    row = seen.row
    assert row.response is None
    told = await desk.conversations.branches(desk.owner, seen)
    assert [each.branch.number for each in told] == list(range(row.branches))
    everything = {each.head.id for each in await desk.pages(seen, None, 50)}
    listed: set[str] = set()
    for number in range(row.branches):
        ids = await desk.listed(conversation, number)
        assert len(ids) == len(set(ids))
        listed.update(ids)
        for question, answer in itertools.pairwise(ids):
            if answer[0] == "a" and answer != "a1":
                assert question[1:] == answer[1:], "an answer is behind its question"
    assert listed == everything


async def test_it_is_read_while_branches_come_and_go(database: Database, clock: HandClock) -> None:
    desk = Desk(database, clock)
    conversation = await desk.begin("q1", "a1")
    is_over = False

    async def write() -> None:
        nonlocal is_over
        for number in range(30):
            await desk.enter(conversation, "resp_1", f"q_{number}", after="q1")
            await desk.withdraw(conversation, "resp_1")
        is_over = True

    async def read() -> None:
        while not is_over:
            assert await desk.told(conversation) in [["q1", "a1"], *(["q1", f"q_{n}"] for n in range(30)), ["q1"]]
            seen = await desk.see(conversation)
            page = await desk.conversations.page(desk.owner, seen, "", 50, "asc", None)
            around = await desk.conversations.around(desk.owner, seen, [each.head for each in page.items])
            assert [each.head.id for each in page.items][:2] == ["q1", "a1"]
            assert [each.parent for each in around] == [None, "q1", "q1"][: len(around)]
            await desk.conversations.branches(desk.owner, seen)

    await asyncio.gather(write(), read(), read())
    assert await desk.listed(conversation) == ["q1", "a1"]
