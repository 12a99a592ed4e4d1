"""History: what was said before goes along in front, whole, and what stands for something is replaced by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Feature
from frontdesk.core.errors import BadRequest, Forbidden, NotFound, Unavailable
from frontdesk.policies.features import Features
from frontdesk.policies.history import History, Recalled, sound
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.context import Past
from frontdesk.turn.items import (
    Compaction,
    ConversationNamed,
    EmbeddingRequest,
    Image,
    Item,
    Message,
    Prompt,
    Reference,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.turn.pairs import answers_call, call_of, is_models, is_thought
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock

USER = Caller("user", "sess_1", "u1")
HELLO, HI = Message("user", "Hello"), Message("assistant", "Hi")
NEW = Message("user", "And now?")
CALL, FOUND = ToolCall("c", "look", "{}"), ToolOutput("c", "found")
THOUGHT = Unknown({"type": "reasoning", "id": "rs_1", "summary": []}, "responses")


class Shelf:
    """A library of one chain, one conversation and some items."""

    def __init__(self, before: Sequence[Recalled] = (), items: Mapping[str, Recalled] | None = None) -> None:
        self.before = before
        self.stored = items or {}
        self.asked: list[Any] = []
        self.is_away = False

    async def chain(self, caller: Caller, response_id: str) -> Sequence[Recalled]:
        self._ask(caller, response_id)
        return self.before

    async def conversation(
        self, caller: Caller, named: ConversationNamed, brought_by: str | None
    ) -> tuple[int, Sequence[Recalled]]:
        self._ask(caller, named, brought_by)
        return 7, self.before

    async def items(self, caller: Caller, ids: Sequence[str]) -> Mapping[str, Recalled]:
        self._ask(caller, *ids)
        return {each: self.stored[each] for each in ids if each in self.stored}

    async def summary(self, caller: Caller, sealed: str) -> str | None:
        return "They talked." if sealed == f"of {caller.person}" else None

    def _ask(self, *what: Any) -> None:
        self.asked.append(what[1:])
        if self.is_away:
            raise StorageFailed("gone")


def turn_of(items: list[Item], caller: Caller = USER, **fields: Any) -> Turn:
    return Turn("responses", caller, "fast", Prompt(items, dialect="responses", **fields), HandClock())


async def recalled(shelf: Shelf, turn: Turn) -> Prompt:
    waiting = History(shelf).admit(turn)
    assert waiting is not None
    await waiting
    assert isinstance(turn.request, Prompt)
    return turn.request


async def test_a_chain_goes_in_front_and_its_answers_are_known_as_such() -> None:
    shelf = Shelf([Recalled("1", HELLO), Recalled("2", HI, is_answer=True)])
    turn = turn_of([NEW], previous="resp_1", instructions="New ones.")

    prompt = await recalled(shelf, turn)

    assert prompt == Prompt([HELLO, HI, NEW], "New ones.", dialect="responses", answered=frozenset({1}))
    assert shelf.asked == [("resp_1",)]
    assert turn.seen_version is None


async def test_answers_that_a_request_has_already_stay_known_as_such() -> None:
    shelf = Shelf([Recalled("1", HELLO), Recalled("2", HI, is_answer=True)])

    prompt = await recalled(shelf, turn_of([NEW, CALL, FOUND], previous="resp_1", answered=frozenset({1})))

    assert prompt.items == [HELLO, HI, NEW, CALL, FOUND]
    assert prompt.answered == {1, 3}


async def test_a_conversation_goes_in_front_and_its_version_is_noted() -> None:
    shelf = Shelf([Recalled("1", HELLO)])
    named = ConversationNamed("conv_1", "item_1")
    turn = turn_of([NEW], conversation=named)
    entered: Any = object()
    turn.entrance = entered

    prompt = await recalled(shelf, turn)

    assert prompt == Prompt([HELLO, NEW], dialect="responses")
    assert shelf.asked == [(named, None)]
    assert turn.seen_version == 7
    assert turn.past == Past("conv_1", ["1"], ["1"])


async def test_who_comes_later_is_told_what_stands_in_front_and_whose_it_is() -> None:
    said = [
        Recalled("1", HELLO, response="resp_1"),
        Recalled("2", HI, is_answer=True, response="resp_1"),
        Recalled("3", Reference("1"), response="resp_2"),
        Recalled("4", THOUGHT, response="resp_2"),
    ]
    turn = turn_of([NEW, Reference("1")], previous="resp_2")

    prompt = await recalled(Shelf(said, {"1": said[0]}), turn)

    assert prompt.items == [HELLO, HI, HELLO, NEW, HELLO]
    # What is named again is said where it is named: a summary of the first response is none of that.
    assert turn.past == Past("", ["resp_1", "resp_1", "resp_2"], ["1", "2", "3"])


async def test_a_turn_that_is_asked_again_leaves_out_what_it_has_put_there() -> None:
    shelf = Shelf()
    turn = turn_of([NEW], conversation=ConversationNamed("conv_1"))

    await recalled(shelf, turn)

    assert shelf.asked == [(ConversationNamed("conv_1"), turn.id)]


async def test_what_goes_on_with_nothing_is_the_same_object_and_asks_nobody() -> None:
    shelf = Shelf()
    chat = Prompt([HELLO, HI, NEW])
    for request in (chat, msgspec.structs.replace(chat, dialect="responses"), EmbeddingRequest(["x"])):
        turn = Turn("responses", USER, "fast", request, HandClock())
        assert History(shelf).admit(turn) is None
        assert turn.request is request
    assert shelf.asked == []


async def test_references_become_what_they_name_where_they_stand() -> None:
    shelf = Shelf(
        [Recalled("1", Reference("a")), Recalled("2", Reference("gone")), Recalled("3", HELLO)],
        {"a": Recalled("a", HI, is_answer=True), "b": Recalled("b", CALL, is_answer=True)},
    )

    prompt = await recalled(shelf, turn_of([Reference("b"), FOUND, Reference("a"), NEW], previous="resp_1"))

    assert prompt.items == [HI, HELLO, CALL, FOUND, HI, NEW]
    assert prompt.answered == {0, 2, 4}
    assert shelf.asked[1:] == [("a", "gone", "b")]


async def test_a_reference_to_nothing_is_refused_by_its_place() -> None:
    waiting = History(Shelf(items={"a": Recalled("a", HI)})).admit(turn_of([NEW, Reference("a"), Reference("b" * 500)]))
    assert waiting is not None

    with pytest.raises(NotFound) as refused:
        await waiting

    error = refused.value
    assert (error.status, error.code, error.param) == (404, "item_not_found", "input[2]")
    assert "b" * 100 in error.message
    assert len(error.message) < 400


async def test_a_summary_takes_the_place_of_what_it_stands_for() -> None:
    shelf = Shelf(items={"a": Recalled("a", Compaction("of u1"))})

    prompt = await recalled(shelf, turn_of([HELLO, Compaction("of u1"), Reference("a"), NEW]))

    hello, summary, again, new = prompt.items
    assert (hello, new) == (HELLO, NEW)
    assert isinstance(summary, Message)
    assert summary.role == "user"  # who made it could say what it holds
    assert str(summary.content).endswith("\n\nThey talked.")
    assert "summary" in str(summary.content)
    assert again == summary
    assert prompt.answered == {1, 2}


async def test_a_summary_that_cannot_be_opened_is_refused() -> None:
    places = [
        (Shelf(), turn_of([NEW, Compaction("of u2")]), "input[1].encrypted_content"),
        (Shelf([Recalled("1", Compaction("x"))]), turn_of([NEW], previous="resp_1"), "previous_response_id"),
        (Shelf([Recalled("1", Compaction("x"))]), turn_of([], conversation=ConversationNamed("c")), "conversation"),
    ]
    for shelf, turn, param in places:
        waiting = History(shelf).admit(turn)
        assert waiting is not None
        with pytest.raises(BadRequest) as refused:
            await waiting
        assert (refused.value.status, refused.value.code, refused.value.param) == (
            400,
            "invalid_encrypted_content",
            param,
        )


async def test_a_store_that_is_away_is_said_so() -> None:
    for turn in (turn_of([NEW], previous="resp_1"), turn_of([Reference("a")])):
        shelf = Shelf()
        shelf.is_away = True
        waiting = History(shelf).admit(turn)
        assert waiting is not None
        with pytest.raises(Unavailable) as refused:
            await waiting
        assert refused.value.code == "store_unavailable"


# --- with features ------------------------------------------------------------------------------


async def held(before: Sequence[Recalled], new: list[Item], *may: Any) -> Prompt:
    turn = Turn("responses", USER, "fast", Prompt(new, dialect="responses", previous="resp_1"), HandClock(), "plain")
    shelf = Shelf(before, {"call": Recalled("call", CALL, is_answer=True), "mine": Recalled("mine", CALL)})
    waiting = History(shelf).admit(turn)
    assert waiting is not None
    await waiting
    Features({"plain": Feature(client_may=list(may), instructions="Be kind.")}).admit(turn)
    assert isinstance(turn.request, Prompt)
    return turn.request


async def test_what_the_server_said_needs_no_leave_to_come_back() -> None:
    more = Unknown({"type": "function_call", "call_id": "d", "name": "f", "arguments": "{}", "x": 1}, "responses")
    answers: list[Item] = [THOUGHT, HI, CALL, more]
    before = [Recalled("1", HELLO), *(Recalled(str(each), each, is_answer=True) for each in answers)]

    prompt = await held(before, [NEW, Reference("call"), Compaction("of u1")])

    assert prompt.items[:6] == [HELLO, *answers, NEW]
    assert prompt.instructions == "Be kind."


@pytest.mark.parametrize(
    ("item", "capability"),
    [
        (CALL, "tools"),
        (Message("user", [Image("https://x.example/a.png")]), "images"),
        (Message("developer", "Obey me."), "instructions"),
    ],
)
async def test_what_callers_brought_then_is_found_now(item: Item, capability: str) -> None:
    cases: list[tuple[list[Recalled], list[Item]]] = [
        ([Recalled("1", HELLO), Recalled("2", item)], [NEW]),
        ([], [NEW, item]),
    ]
    for before, new in cases:
        with pytest.raises(Forbidden, match=capability):
            await held(before, new)
        assert item in (await held(before, new, capability)).items
    with pytest.raises(Forbidden, match="tools"):
        await held([], [Reference("mine")])


# --- what no provider reads by itself -----------------------------------------------------------


def before_of(*items: Item, is_cut: bool = False) -> list[Recalled]:
    return [Recalled(str(place), item, is_cut=is_cut) for place, item in enumerate(items)]


@pytest.mark.parametrize(
    ("before", "new", "kept"),
    [
        ([HELLO, FOUND, HI], [NEW], [HELLO, HI]),  # its call was deleted
        ([HELLO, CALL, FOUND, HI], [NEW], [HELLO, CALL, FOUND, HI]),
        ([HELLO, CALL], [FOUND], [HELLO, CALL]),
        ([HELLO, CALL], [NEW], [HELLO, CALL]),  # a matter between the caller and the provider
        ([HELLO, THOUGHT, HI], [NEW], [HELLO, THOUGHT, HI]),
        ([HELLO, THOUGHT, THOUGHT, CALL], [FOUND], [HELLO, THOUGHT, THOUGHT, CALL]),
        ([HELLO, THOUGHT, THOUGHT], [NEW], [HELLO]),
        ([HELLO, HI, THOUGHT, HELLO], [NEW], [HELLO, HI, HELLO]),
        ([HELLO, THOUGHT], [HI], [HELLO, THOUGHT]),
        ([THOUGHT], [], []),
        ([], [NEW], []),
    ],
)
def test_halves_are_left_out(before: list[Item], new: list[Item], kept: list[Item]) -> None:
    assert [each.item for each in sound(before_of(*before), before_of(*new))] == kept


def test_a_call_of_what_broke_off_stays_where_it_is_answered() -> None:
    before = before_of(HELLO, THOUGHT, CALL, is_cut=True)

    assert [each.item for each in sound(before, before_of(NEW))] == [HELLO]
    assert [each.item for each in sound(before, before_of(FOUND))] == [HELLO, THOUGHT, CALL]


def test_a_call_whose_output_was_deleted_goes_and_one_that_waits_stays() -> None:
    other = ToolCall("d", "look", "{}")

    assert [each.item for each in sound(before_of(HELLO, CALL, HI), before_of(NEW))] == [HELLO, HI]
    assert [each.item for each in sound(before_of(HELLO, CALL, HELLO), before_of(NEW))] == [HELLO, HELLO]
    assert [each.item for each in sound(before_of(HELLO, CALL, other, FOUND), before_of(NEW))] == [
        HELLO, CALL, other, FOUND,
    ]  # fmt: skip
    assert [each.item for each in sound(before_of(HELLO, CALL), before_of(NEW))] == [HELLO, CALL]


_ITEMS: st.SearchStrategy[Item] = st.sampled_from(
    [HELLO, HI, THOUGHT, CALL, FOUND, ToolCall("d", "look", "{}"), ToolOutput("d", "x")]
)


@given(st.lists(st.tuples(_ITEMS, st.booleans()), max_size=10), st.lists(_ITEMS, max_size=3))
def test_nothing_is_left_that_no_provider_reads(before: list[tuple[Item, bool]], new: list[Item]) -> None:
    given_before = [Recalled(str(place), item, is_cut=is_cut) for place, (item, is_cut) in enumerate(before)]

    kept = sound(given_before, before_of(*new))

    whole = [*(each.item for each in kept), *new]
    for place, each in enumerate(kept):
        if (output := answers_call(each.item)) is not None:
            assert output in [call_of(item) for item in whole[:place]]
        if is_thought(each.item):
            assert place + 1 < len(whole)
            assert is_models(whole[place + 1])
    assert [each for each in given_before if each in kept] == kept
    left_out = [each.item for each in given_before if each not in kept]
    assert not [item for item in left_out if isinstance(item, Message)]
