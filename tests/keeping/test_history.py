"""What callers said before is found again, in order, each one's own alone. On both engines."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from frontdesk.core.errors import BadRequest, FrontdeskError, NotFound
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.keeping import history
from frontdesk.keeping.recent import Recent, Said
from frontdesk.policies.history import Recalled
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import person
from frontdesk.turn.items import ConversationNamed, Image, Message, Reference, Text, ToolCall, ToolOutput, Unknown
from frontdesk.wire.openai_listed_items import listed_input
from tests.fakes import HandClock
from tests.keeping.said_before import (
    ANN,
    BOB,
    KEY,
    NAMESAKE,
    OTHER_KEY,
    Shelf,
    call,
    message,
    output_of,
    owner,
    thought,
    words,
)

_PUT_PERSON = Query(insert(person))


@pytest.fixture
def shelf(database: Database) -> Shelf:
    return Shelf(database)


async def refused(work: Any) -> FrontdeskError:
    with pytest.raises(FrontdeskError) as caught:
        await work
    return caught.value


# --- chains -------------------------------------------------------------------------------------


async def test_a_chain_is_told_from_its_beginning_without_instructions(shelf: Shelf) -> None:
    first = await shelf.ask("one", "ONE")
    second = await shelf.ask([{"role": "user", "content": "two"}], "TWO", previous=first)
    third = await shelf.ask([{"type": "message", "role": "user", "content": "three"}], "THREE", previous=second)

    told = await shelf.library.chain(ANN, third)

    assert [each.item for each in told] == [
        Message("user", "one"),
        Message("assistant", "ONE"),
        Message("user", "two"),
        Message("assistant", "TWO"),
        Message("user", "three"),
        Message("assistant", "THREE"),
    ]
    assert [each.is_answer for each in told] == [False, True] * 3
    assert words(await shelf.library.chain(ANN, first)) == ["one", "ONE"]


async def test_branches_of_a_chain_are_chains_of_their_own(shelf: Shelf) -> None:
    root = await shelf.ask("root", "ROOT")
    left = await shelf.ask("left", "LEFT", previous=root)
    right = await shelf.ask("right", "RIGHT", previous=root)

    assert words(await shelf.library.chain(ANN, left)) == ["root", "ROOT", "left", "LEFT"]
    assert words(await shelf.library.chain(ANN, right)) == ["root", "ROOT", "right", "RIGHT"]


async def test_what_came_in_parts_stays_in_parts(shelf: Shelf) -> None:
    parts = [{"type": "input_text", "text": "this?"}, {"type": "input_image", "image_url": "https://x.example/a.png"}]
    response = await shelf.ask(
        [{"role": "user", "content": parts}, output_of("gone")], [*thought("Hm."), *call("c", 1)]
    )

    told = await shelf.library.chain(ANN, response)

    picture, output, hm, look = [each.item for each in told]
    assert picture == Message("user", [Text("this?"), Image("https://x.example/a.png")])
    assert output == ToolOutput("gone", "found")
    assert isinstance(hm, Unknown)
    assert hm.raw["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert look == ToolCall("c", "look", "{}")


@pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete"])
async def test_what_broke_off_counts_as_far_as_it_is_of_use(shelf: Shelf, status: Any) -> None:
    said = [
        *message("So far", 0),
        *call("whole", 1),
        *thought("Hm", 2, is_whole=False),
        *call("half", 3, is_whole=False),
    ]
    response = await shelf.ask("go on", [*said, *message("and th", 4, is_whole=False)], status)

    told = await shelf.library.chain(ANN, response)

    assert [each.item for each in told] == [
        Message("user", "go on"),
        Message("assistant", "So far"),
        ToolCall("whole", "look", "{}"),
        Message("assistant", "and th"),
    ]
    assert [each.is_cut for each in told] == [False, True, True, True]


async def test_nobody_goes_on_with_what_is_not_theirs_or_not_stored(shelf: Shelf) -> None:
    mine = await shelf.ask("mine", "MINE")
    unkept = await shelf.ask("secret", "SECRET", is_stored=False)
    keys = await shelf.ask("of the key", "YES", caller=KEY)
    strangers = await shelf.ask("other", "OTHER", caller=NAMESAKE)

    unknown = await refused(shelf.library.chain(ANN, new_id("resp_")))
    asked = [
        (BOB, mine),
        (KEY, mine),
        (NAMESAKE, mine),
        (ANN, unkept),
        (ANN, keys),
        (ANN, strangers),
        (OTHER_KEY, keys),
    ]
    for caller, response in [*asked, (ANN, ""), (ANN, "a\0b"), (ANN, "x" * 500), (ANN, "résp")]:
        error = await refused(shelf.library.chain(caller, response))
        assert (error.status, error.code, error.param) == (400, "previous_response_not_found", "previous_response_id")
        assert type(error) is type(unknown)
    assert words(await shelf.library.chain(KEY, keys)) == ["of the key", "YES"]


async def test_another_owners_response_ends_a_chain_that_names_it(shelf: Shelf) -> None:
    bobs = await shelf.ask("bob's", "BOB'S", caller=BOB)
    mine = await shelf.ask("mine", "MINE", previous=bobs)

    assert words(await shelf.library.chain(ANN, mine)) == ["mine", "MINE"]


async def test_who_goes_on_too_early_is_told_to_wait(shelf: Shelf) -> None:
    response = await shelf.begin("wait")

    error = await refused(shelf.library.chain(ANN, response))
    await shelf.finish(response, message("there"))

    assert (error.status, error.code, error.param) == (400, "previous_response_in_progress", "previous_response_id")
    assert response in error.message
    assert words(await shelf.library.chain(ANN, response)) == ["wait", "there"]


async def test_a_deleted_response_is_forgotten_at_once_also_by_others(shelf: Shelf) -> None:
    first = await shelf.ask("one", "ONE")
    second = await shelf.ask("two", "TWO", previous=first)
    third = await shelf.ask("three", "THREE", previous=second)
    assert len(await shelf.library.chain(ANN, third)) == 6

    await shelf.delete(second)

    assert words(await shelf.library.chain(ANN, third)) == ["three", "THREE"]
    await shelf.delete(third)
    assert (await refused(shelf.library.chain(ANN, third))).code == "previous_response_not_found"


async def test_what_has_expired_is_forgotten_swept_or_not(database: Database) -> None:
    clock = HandClock()
    shelf = Shelf(database, clock)
    first = await shelf.begin("one")
    await shelf.finish(first, message("ONE"), expires_at_ms=int((clock.now() + 60) * 1000))
    second = await shelf.ask("two", "TWO", previous=first)
    item = (await shelf.library.chain(ANN, first))[1].id
    assert len(await shelf.library.chain(ANN, second)) == 4
    assert set(await shelf.library.items(ANN, [item])) == {item}

    clock.move(61)

    assert words(await shelf.library.chain(ANN, second)) == ["two", "TWO"]
    assert (await refused(shelf.library.chain(ANN, first))).code == "previous_response_not_found"
    assert await shelf.library.items(ANN, [item]) == {}


async def test_a_long_chain_is_two_reads_and_one_more_when_it_is_known(database: Database) -> None:
    counting = Counting(database)
    shelf = Shelf(counting)  # type: ignore[arg-type]
    last = await shelf.ask("0", "answer 0")
    for number in range(1, 200):
        last = await shelf.ask(str(number), f"answer {number}", previous=last)
    counting.reads = 0

    cold = await shelf.library.chain(ANN, last)
    reads_cold, counting.reads = counting.reads, 0
    warm = await shelf.library.chain(ANN, last)

    assert (reads_cold, counting.reads) == (2, 1)
    assert cold == warm
    assert words(cold) == [each for number in range(200) for each in (str(number), f"answer {number}")]


async def test_a_chain_has_a_length_and_a_size(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_RESPONSES", 2)
    first = await shelf.ask("one", "ONE")
    second = await shelf.ask("two", "TWO", previous=first)
    third = await shelf.ask("three", "THREE", previous=second)

    assert len(await shelf.library.chain(ANN, second)) == 4
    error = await refused(shelf.library.chain(ANN, third))
    assert (error.status, error.code) == (400, "chain_too_long")
    monkeypatch.setattr(history, "MOST_READ_MB", 0.0001)
    error = await refused(shelf.library.chain(ANN, second))
    assert (error.status, error.code, error.param) == (400, "history_too_large", "previous_response_id")


async def test_a_response_of_a_conversation_is_gone_on_with_from_where_it_stood(shelf: Shelf) -> None:
    row = await shelf.conversations.create(owner(ANN), listed_input("hello", new_id("")), None, lambda _: None)
    first = await shelf.ask("one", "ONE", conversation=row.id)
    second = await shelf.ask("two", "TWO", conversation=row.id)
    aside = await shelf.ask("aside", "ASIDE", previous=first)

    assert words(await shelf.library.chain(ANN, first)) == ["hello", "one", "ONE"]
    assert words(await shelf.library.chain(ANN, second)) == ["hello", "one", "ONE", "two", "TWO"]
    assert words(await shelf.library.chain(ANN, aside)) == ["hello", "one", "ONE", "aside", "ASIDE"]
    await shelf.conversations.delete(owner(ANN), row.id)
    assert words(await shelf.library.chain(ANN, second)) == ["two", "TWO"]


# --- conversations ------------------------------------------------------------------------------


async def test_a_conversation_is_told_with_its_version_along_the_chosen_branch(shelf: Shelf) -> None:
    row = await shelf.conversations.create(owner(ANN), listed_input("hello", new_id("")), None, lambda _: None)
    first = await shelf.ask("one", [*message("ONE"), *call("c", 1)], conversation=row.id)
    told = (await shelf.library.conversation(ANN, ConversationNamed(row.id), None))[1]

    await shelf.ask("instead", "INSTEAD", conversation=row.id, after=told[0].id)
    version, branched = await shelf.library.conversation(ANN, ConversationNamed(row.id), None)

    assert [each.item for each in told[1:]] == [
        Message("user", "one"),
        Message("assistant", "ONE"),
        ToolCall("c", "look", "{}"),
    ]
    assert [each.is_answer for each in told] == [False, False, False, True]
    assert words(branched) == ["hello", "instead", "INSTEAD"]
    assert version == (await shelf.conversations.find(owner(ANN), row.id)).version
    behind = ConversationNamed(row.id, told[2].id)
    assert words((await shelf.library.conversation(ANN, behind, None))[1]) == ["hello", "one", "ONE"]
    assert (await shelf.library.conversation(ANN, ConversationNamed(row.id, None), None))[1] == []
    assert words(await shelf.library.chain(ANN, first)) == ["hello", "one", "ONE"]


async def test_what_a_turn_has_put_in_before_a_crash_is_not_told_twice(shelf: Shelf) -> None:
    row = await shelf.conversations.create(owner(ANN), listed_input("hello", new_id("")), None, lambda _: None)
    given = [{"role": "user", "content": "one", "id": "mine"}, {"role": "user", "content": "two"}]
    response = await shelf.begin(given, conversation=row.id)

    own = (await shelf.library.conversation(ANN, ConversationNamed(row.id), response))[1]
    anothers = (await shelf.library.conversation(ANN, ConversationNamed(row.id), new_id("resp_")))[1]

    assert words(own) == ["hello"]
    assert words(anothers) == ["hello", "one", "two"]


async def test_anothers_conversation_is_as_good_as_not_there(shelf: Shelf) -> None:
    row = await shelf.conversations.create(owner(ANN), listed_input("hello", new_id("")), None, lambda _: None)

    for caller, conversation in [(BOB, row.id), (NAMESAKE, row.id), (KEY, row.id), (ANN, new_id("conv_"))]:
        error = await refused(shelf.library.conversation(caller, ConversationNamed(conversation, UNSET), None))
        assert (type(error), error.status, error.code) == (NotFound, 404, "conversation_not_found")


# --- items by their ids -------------------------------------------------------------------------


async def test_items_are_found_wherever_they_were_said(shelf: Shelf) -> None:
    row = await shelf.conversations.create(owner(ANN), listed_input("hello", new_id("")), None, lambda _: None)
    brought = [{"role": "user", "content": "one"}, {"type": "item_reference", "id": "msg_other"}, output_of("c")]
    events = [*message("ONE", 0), *message("by a provider", 1, "msg_68b2own"), *call("d", 2)]
    response = await shelf.ask(brought, events)
    bobs = await shelf.ask("bob's", "BOB'S", caller=BOB)
    ids = [each.id for each in await shelf.library.chain(ANN, response)]
    bobs_ids = [each.id for each in await shelf.library.chain(BOB, bobs)]
    (hello,) = (await shelf.library.conversation(ANN, ConversationNamed(row.id), None))[1]
    asked = [hello.id, *ids, *bobs_ids, "nothing", "a\0", "", new_id("msg_"), f"msg_{response[5:]}07"]

    for library in (shelf.library, shelf.new_library()):
        found = await library.items(ANN, asked)

        assert {each: found[each].item for each in found} == {
            hello.id: Message("user", "hello"),
            ids[0]: Message("user", "one"),
            ids[2]: ToolOutput("c", "found"),
            ids[3]: Message("assistant", "ONE"),
            "msg_68b2own": Message("assistant", "by a provider"),
            ids[5]: ToolCall("d", "look", "{}"),
        }
        assert [found[each].is_answer for each in (hello.id, ids[0], ids[3], ids[5])] == [False, False, True, True]
    assert await shelf.library.items(BOB, [hello.id, *ids]) == {}
    assert await shelf.library.items(NAMESAKE, [hello.id, *ids]) == {}
    await shelf.delete(response)
    assert set(await shelf.library.items(ANN, asked)) == {hello.id}


async def test_what_was_read_of_a_response_under_way_is_not_taken_for_all_of_it(shelf: Shelf) -> None:
    response = await shelf.begin("one")
    item = f"msg_{response[5:]}00"

    assert (await shelf.library.items(ANN, [item]))[item].item == Message("user", "one")
    await shelf.finish(response, message("ONE"))
    assert words(await shelf.library.chain(ANN, response)) == ["one", "ONE"]


async def test_items_of_a_long_past_are_found_in_few_reads(database: Database) -> None:
    counting = Counting(database)
    shelf = Shelf(counting)  # type: ignore[arg-type]
    ids: list[str] = []
    last = None
    for number in range(60):
        last = await shelf.ask(str(number), [*message(f"a{number}"), *message(f"b{number}", 1)], previous=last)
        ids += [each.id for each in (await shelf.library.chain(ANN, last))[-2:]]
    counting.reads = 0

    found = await shelf.new_library().items(ANN, ids)

    assert [str(found[each].item.content) for each in ids] == [f"{a}{n}" for n in range(60) for a in "ab"]  # type: ignore[union-attr]
    assert counting.reads <= 5
    counting.reads = 0
    assert await shelf.library.items(ANN, [new_id("msg_") for _ in range(500)]) == {}
    assert counting.reads <= 10


async def test_items_are_found_whose_process_had_a_clock_that_was_behind(shelf: Shelf) -> None:
    now_ms = int(new_id("")[:12], 16)
    item = f"msg_{now_ms - 3000:012x}{'7' * 20}"
    await shelf.ask("one", message("ONE", 0, item))

    assert set(await shelf.library.items(ANN, [item])) == {item}


async def test_how_many_items_may_be_named(shelf: Shelf) -> None:
    error = await refused(shelf.library.items(ANN, [f"msg_{number}" for number in range(1001)]))

    assert (type(error), error.code, error.param) == (BadRequest, "too_many_references", "input")


def test_a_reference_of_an_earlier_request_stays_one() -> None:
    response = "resp_" + "0" * 32
    said = history.said_in(response, [{"type": "item_reference", "id": "msg_1"}], [], is_cut=False)

    assert said.brought == [Recalled("msg_1", Reference("msg_1"), response=response)]


async def test_summaries_are_opened_for_their_owner_alone(shelf: Shelf) -> None:
    sealed = shelf.compactions.seal(owner(ANN), "resp_1", "They talked.")

    assert await shelf.library.summary(ANN, sealed) == "They talked."
    assert await shelf.library.summary(BOB, sealed) is None
    for nonsense in ("fdc1.nonsense", "fdc1.anon_x.nonsense", "fdc1.anon_\0.x", f"fdc1.anon_{'x' * 500}.y", "fdc1.."):
        assert await shelf.library.summary(ANN, nonsense) is None


async def test_a_summary_of_an_anonymous_person_opens_for_whom_they_became(shelf: Shelf) -> None:
    sealed = shelf.compactions.seal(Owner(ANN.tenant, "anon_1", ""), "resp_1", "They talked.")
    before = await shelf.library.summary(ANN, sealed)

    became = {"tenant": ANN.tenant, "id": "anon_1", "became": ANN.person, "created_at_ms": 0}
    await shelf.database.write(Step(_PUT_PERSON, {**dict.fromkeys(person.c.keys()), **became}))

    assert before is None
    assert await shelf.library.summary(ANN, sealed) == "They talked."
    for other in (BOB, KEY, NAMESAKE):
        assert await shelf.library.summary(other, sealed) is None


# --- what is kept in memory ---------------------------------------------------------------------


def test_memory_has_a_bound_and_a_life() -> None:
    clock = HandClock()
    recent = Recent(clock, most_bytes=80, life_s=10)
    said = Said([], [])
    for number in range(9):
        recent.add("t", str(number), said, 10)

    assert [recent.find("t", str(number)) is said for number in range(9)] == [False] + [True] * 8
    assert recent.find("other", "8") is None
    assert recent.size_bytes == 80
    recent.add("t", "large", said, 11)
    assert recent.find("t", "large") is None
    recent.add("t", "8", said, 5)
    recent.forget("t", "7")
    recent.forget("t", "7")
    assert recent.find("t", "7") is None
    assert recent.size_bytes == 65
    clock.move(10)
    assert recent.find("t", "8") is None
    recent.add("t", "new", said, 10)
    assert recent.size_bytes == 10


async def test_what_is_deleted_here_leaves_the_memory(shelf: Shelf) -> None:
    response = await shelf.ask("one", "ONE")
    await shelf.library.chain(ANN, response)
    assert shelf.library._recent.size_bytes > 0

    shelf.library.forget("default", response)

    assert shelf.library._recent.size_bytes == 0


class Counting:
    """A database that counts what is read of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    async def read(self, *arguments: Any) -> Any:
        self.reads += 1
        return await self._database.read(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
