"""Truncation: the oldest goes until it fits, in whole pieces; what is new and what instructs stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Model
from frontdesk.core.errors import BadRequest
from frontdesk.policies.truncation import Truncation, shortened
from frontdesk.turn.items import (
    SUMMARY_OPENS,
    EmbeddingRequest,
    Item,
    Message,
    Prompt,
    Request,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.turn.pairs import answers_call, call_of, is_models, is_thought
from frontdesk.turn.sizes import measure, size_of
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock

USER = Caller("user", "sess_1", "u1")
WINDOW = 1000
THOUGHT = Unknown({"type": "reasoning", "id": "rs_1", "summary": [], "content": []}, "responses")


class Tokens:
    """Counts a token for so many characters; without a number it cannot count."""

    def __init__(self, chars: float | None = None) -> None:
        self._chars = chars
        self.counts = 0

    async def counted(self, model: str, request: Request) -> int | None:
        assert isinstance(request, Prompt)
        if self._chars is None:
            return None
        self.counts += 1
        return int(sum(len(str(getattr(item, "content", ""))) for item in request.items) / self._chars)


def turns(count: int, chars: int) -> list[Item]:
    """Questions and answers of so many characters each, and a new question."""
    said: list[Item] = []
    for number in range(count):
        said += [Message("user", f"q{number}".ljust(chars)), Message("assistant", f"a{number}".ljust(chars))]
    return [*said, Message("user", "new")]


def turn_of(items: list[Item], **fields: Any) -> Turn:
    return Turn("responses", USER, "fast", Prompt(items, dialect="responses", **fields), HandClock())


async def fitted(turn: Turn, tokens: Tokens | None = None, **model: Any) -> Prompt:
    models = {"fast": Model(["scripted/echo"], context_tokens=WINDOW, **model)}
    waiting = Truncation(models, tokens or Tokens()).admit(turn)
    if waiting is not None:
        await waiting
    assert isinstance(turn.request, Prompt)
    return turn.request


async def refused(turn: Turn, tokens: Tokens | None = None) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        await fitted(turn, tokens)
    return caught.value


async def test_the_oldest_goes_until_the_rest_fits_with_its_answer() -> None:
    items = turns(10, 300)  # of 104 tokens each
    turn = turn_of(items, truncation="auto", max_output_tokens=400, instructions="x" * 300, answered=frozenset({1}))

    prompt = await fitted(turn)

    assert prompt.items == items[-5:]
    assert prompt.instructions == "x" * 300
    assert prompt.answered == frozenset()
    assert prompt.truncation is None  # few providers know of it
    assert measure(prompt).estimate <= WINDOW - 400
    assert size_of(turn) == measure(prompt)


async def test_what_fits_stays_as_it_is() -> None:
    turn = turn_of(turns(4, 300))
    request = turn.request

    assert await fitted(turn) is request
    for count, most in ((2, 500), (4, 100)):  # surely, and closely
        prompt = await fitted(turn_of(turns(count, 300), truncation="auto", max_output_tokens=most))
        assert prompt == Prompt(turns(count, 300), max_output_tokens=most, dialect="responses")


async def test_nothing_is_done_where_nobody_says_what_fits() -> None:
    tokens = Tokens(1)
    policy = Truncation({"fast": Model(["scripted/echo"])}, tokens)
    turn = turn_of(turns(100, 1000), truncation="auto")
    embeddings = Turn("embeddings", USER, "fast", EmbeddingRequest(["x" * 100_000]), HandClock())

    assert policy.admit(turn) is None
    assert Truncation({"fast": Model(["scripted/echo"], context_tokens=1)}, tokens).admit(embeddings) is None
    assert turn.size is None
    assert tokens.counts == 0


async def test_what_does_not_fit_is_refused_with_both_numbers() -> None:
    error = await refused(turn_of(turns(10, 400), max_output_tokens=100))

    assert (error.status, error.code, error.param) == (400, "context_length_exceeded", "input")
    assert "1,000" in error.message
    assert f"{measure(Prompt(turns(10, 400))).estimate * 3 // 4:,}" in error.message
    assert "100" in error.message
    assert "'truncation': 'auto'" in error.message


async def test_chats_are_told_of_their_messages_and_of_no_truncation() -> None:
    turn = Turn("chat", USER, "fast", Prompt(turns(20, 400)), HandClock())

    error = await refused(turn)

    assert (error.code, error.param) == ("context_length_exceeded", "messages")
    assert "truncation" not in error.message


async def test_where_nobody_says_how_long_an_answer_is_some_room_is_left_for_one() -> None:
    assert len((await fitted(turn_of(turns(10, 300), truncation="auto"))).items) == 7  # a quarter
    assert len((await fitted(turn_of(turns(10, 300), truncation="auto"), max_output_tokens=100)).items) == 9
    assert (await fitted(turn_of(turns(3, 600)))).items == turns(3, 600)  # estimated at more than a quarter


async def test_what_is_new_is_never_left_out() -> None:
    old, new = Message("user", "x" * 1500), Message("user", "y" * 1500)
    answer = Message("assistant", "a")

    error = await refused(turn_of([old, answer, new, new], truncation="auto", max_output_tokens=10))
    prompt = await fitted(turn_of([old, answer, new], truncation="auto", max_output_tokens=10))

    assert error.code == "context_length_exceeded"
    assert "Send less, or ask for less." in error.message
    assert prompt.items == [new]
    for items in ([], turns(3, 10)):
        assert (await refused(turn_of(items, truncation="auto", max_output_tokens=2000))).code == error.code


async def test_instructions_and_summaries_stay() -> None:
    told, summary = Message("developer", "Be kind."), Message("user", f"{SUMMARY_OPENS}: they talked.")
    items = [Message("user", "x" * 800), told, summary, *turns(10, 300)]

    prompt = await fitted(turn_of(items, truncation="auto", max_output_tokens=400))

    assert prompt.items == [told, summary, *items[-5:]]


async def test_where_tokens_can_be_counted_they_are() -> None:
    many, few = Tokens(1.0), Tokens(10.0)
    items = turns(10, 300)

    assert (await fitted(turn_of(items), few)).items == items  # 300 tokens, though estimated at 2,000
    assert (await fitted(turn_of(items, truncation="auto", max_output_tokens=300), few)).items == items
    prompt = await fitted(turn_of(items, truncation="auto", max_output_tokens=100), many)
    assert prompt.items == items[-3:]
    assert many.counts <= 3
    assert "about 2,7" in (await refused(turn_of(turns(9, 300)), Tokens(2.0))).message


async def test_what_is_far_from_the_end_is_not_counted() -> None:
    tokens = Tokens(1.0)

    await fitted(turn_of(turns(3, 300), truncation="auto", max_output_tokens=10), tokens)

    assert tokens.counts == 0


def test_calls_go_with_their_outputs_and_thoughts_with_what_they_led_to() -> None:
    ask, answer, new = Message("user", "ask"), Message("assistant", "answer"), Message("user", "new")
    first, second = ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}")
    found, nothing = ToolOutput("1", "x"), ToolOutput("2", "y")
    raw = Unknown({"type": "function_call", "call_id": "2", "name": "f", "arguments": "{}", "x": 1}, "responses")
    for other in (second, raw):
        items: list[Item] = [ask, THOUGHT, first, other, found, nothing, THOUGHT, answer, new]

        assert shortened(items, 1) == items[1:]
        for excess in (6, 30, 10_000):
            assert shortened(items, excess) == [new]
    assert shortened([ask, first, found], 10_000) == [first, found]
    assert shortened([first, found], 10_000) is None
    assert shortened([new, new], 1) is None
    assert shortened([], 1) is None


_CALLS = st.sampled_from(["1", "2", "3"])
_ITEM: st.SearchStrategy[Item] = st.one_of(
    st.builds(Message, st.sampled_from(["user", "assistant", "developer"]), st.text(max_size=60)),
    st.builds(ToolCall, _CALLS, st.just("f"), st.just("{}")),
    st.builds(ToolOutput, _CALLS, st.text(max_size=60)),
    st.builds(Unknown, st.just(THOUGHT.raw), st.just("responses")),
)


@given(st.lists(_ITEM, max_size=14), st.integers(1, 200))
def test_what_is_left_is_the_end_of_it_and_whole(items: list[Item], excess: int) -> None:
    kept = shortened(items, excess)

    if kept is None:
        return
    # Which of the items there are is told by which they are, not by what they say.
    left = {id(item) for item in kept}
    gone = [item for item in items if id(item) not in left]
    assert [item for item in items if id(item) in left] == kept
    assert gone
    begins = max(place for place, item in enumerate(items) if id(item) not in left) + 1
    assert all(_is_developers(item) for item in items[:begins] if id(item) in left)
    assert not any(_is_developers(item) for item in gone)
    tail = items[begins:]
    made, lost = {call_of(item) for item in tail}, {call_of(item) for item in gone} - {None}
    assert not [item for item in tail if answers_call(item) in lost - made]
    assert not (is_thought(items[begins - 1]) and tail and is_models(tail[0]))
    new = _new(items)
    assert kept[len(kept) - len(new) :] == new


def _is_developers(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "developer"


def _new(items: list[Item]) -> list[Item]:
    place = len(items)
    while place and not is_models(items[place - 1]):
        place -= 1
    return items[place:]
