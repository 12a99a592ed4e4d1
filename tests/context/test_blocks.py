"""What goes together is told by what items say, however servers name their calls."""

from __future__ import annotations

import pytest
from hypothesis import given

from frontdesk.context.blocks import blocks_of, cuts, new_from, question_in, stays
from frontdesk.turn.items import SUMMARY_OPENS, Item, Message, ToolCall, ToolOutput, Unknown
from frontdesk.turn.pairs import answers_call, call_of, is_models, is_thought
from tests.context.histories import histories, said


@pytest.mark.parametrize(
    ("kinds", "blocks"),
    [
        ("", []),
        ("q", [1]),
        ("q a", [2]),
        ("q a q a q", [2, 2, 1]),
        ("a q", [1, 1]),
        ("d q a", [1, 2]),
        ("q q a", [1, 2]),
        ("q c1 o1 a q", [1, 3, 1]),
        ("q t c1 o1 t a q", [1, 5, 1]),
        ("q c1 o1 c2 o2 a q", [1, 2, 3, 1]),
        ("q c1 c2 o1 o2 a", [1, 5]),
        ("q c1 q o1 q", [1, 3, 1]),
        ("q c1 c2 o2 q o1 q", [1, 5, 1]),
        ("q c1 o1 q c1 o1 q c1 o1", [1, 2, 1, 2, 1, 2]),  # named alike
        ("q c1 c1 o1 o1 q", [1, 4, 1]),
        ("q c1 o1 q o1 q", [1, 4, 1]),  # an output too many goes with its call
        ("o1 q", [1, 1]),
        ("q c1 q", [1, 1, 1]),  # whose output is not there
        ("q t", [1, 1]),
    ],
)
def test_blocks_are_what_must_not_be_cut(kinds: str, blocks: list[int]) -> None:
    items = said(*kinds.split())

    found = blocks_of(items)

    assert [len(block) for block in found] == blocks
    assert [place for block in found for place in block] == list(range(len(items)))


def test_calls_of_chat_completions_that_say_more_have_their_outputs_with_them() -> None:
    calls = [{"id": each, "type": "function", "function": {}, "extra_content": {}} for each in ("1", "2")]
    old = Message("assistant", "", {"function_call": {"name": "look", "arguments": "{}"}})
    items: list[Item] = [
        Message("user", "q"),
        Unknown({"role": "assistant", "content": "Wait.", "tool_calls": calls}, "chat"),
        ToolOutput("1", "x"),
        Unknown({"role": "tool", "tool_call_id": "2", "content": "y", "cache_control": {}}, "chat"),
        Message("user", "q"),
        old,
        Unknown({"role": "function", "name": "look", "content": "x"}, "chat"),
        Message("user", "q"),
    ]

    assert [len(block) for block in blocks_of(items)] == [1, 3, 3, 1]


@given(histories(reuses_ids=True))
def test_no_cut_parts_what_belongs_together(items: list[Item]) -> None:
    for place in cuts(items, len(items)):
        before, behind = items[:place], items[place:]
        made = {call_of(item) for item in behind}
        open_calls = _unanswered(before)
        assert not [item for item in behind if answers_call(item) in open_calls - made]
        assert not (before and is_thought(before[-1]) and behind and is_models(behind[0]))


def _unanswered(items: list[Item]) -> set[str]:
    calls = [item.call_id for item in items if isinstance(item, ToolCall)]
    for item in items:
        if isinstance(item, ToolOutput) and item.call_id in calls:
            calls.remove(item.call_id)
    return set(calls)


@pytest.mark.parametrize(
    ("kinds", "brought", "new"),
    [
        ("q a q", 0, 2),
        ("q a q q", 0, 2),
        ("q a q q", 3, 3),  # nobody answered the one before, and this request does not bring it
        ("q a q", 3, 2),  # it brings nothing: that question is asked again
        ("q c1 o1", 2, 2),
        ("q a q a q", 2, 4),
        ("q a", 0, 2),
        ("", 0, 0),
    ],
)
def test_new_is_what_the_model_has_not_spoken_to(kinds: str, brought: int, new: int) -> None:
    assert new_from(said(*kinds.split()), brought) == new


def test_instructions_and_summaries_stay_and_words_about_them_do_not() -> None:
    summary = Message("user", f"{SUMMARY_OPENS}: they talked.")

    assert [stays(item) for item in [*said("d", "q", "a", "c1", "o1"), summary, Message("system", "x")]] == [
        True,
        *[False] * 4,
        True,
        True,
    ]
    assert question_in([*said("q", "a"), summary]) == 0
    assert question_in(said("a", "c1", "o1")) == -1
