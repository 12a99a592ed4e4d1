"""What belongs together is told by what items say of it, however they came."""

from __future__ import annotations

import pytest

from frontdesk.turn.items import Compaction, Item, Message, Reference, ToolCall, ToolOutput, Unknown
from frontdesk.turn.pairs import answers_call, call_of, calls_of, is_models, is_thought

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "extra": 1}
CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x", "extra": 1}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x", "extra": 1}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c", "output": "x", "extra": 1}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}


@pytest.mark.parametrize(
    ("item", "call", "answers", "thought", "models"),
    [
        (ToolCall("c", "f", "{}"), "c", None, False, True),
        (ToolCall("c", "f", "x", "custom"), "c", None, False, True),
        (Unknown(CALL, "responses"), "c", None, False, True),
        (Unknown(CUSTOM, "responses"), "c", None, False, True),
        (ToolOutput("c", "x"), None, "c", False, False),
        (Unknown(OUTPUT, "responses"), None, "c", False, False),
        (Unknown(CUSTOM_OUTPUT, "responses"), None, "c", False, False),
        (Unknown(THOUGHT, "responses"), None, None, True, True),
        (Message("assistant", "x"), None, None, False, True),
        (Message("user", "x"), None, None, False, False),
        (Message("developer", "x"), None, None, False, False),
        (Reference("c"), None, None, False, False),
        (Compaction("c"), None, None, False, False),
        (Unknown({"type": "x_search_call", "call_id": "c"}, "responses"), None, None, False, False),
        (Unknown({"role": "tool", "tool_call_id": "c", "type": "reasoning"}, "chat"), None, "c", False, False),
        (Unknown({"role": "function", "name": "f", "content": "x"}, "chat"), None, "function f", False, False),
        (Unknown({"role": "assistant", "tool_calls": [{"id": "c"}]}, "chat"), None, None, False, True),
    ],
)
def test_what_an_item_belongs_to(
    item: Item, call: str | None, answers: str | None, *, thought: bool, models: bool
) -> None:
    assert (call_of(item), answers_call(item), is_thought(item), is_models(item)) == (call, answers, thought, models)


@pytest.mark.parametrize(
    ("item", "calls"),
    [
        (ToolCall("c", "f", "{}"), ["c"]),
        (Unknown(CALL, "responses"), ["c"]),
        (ToolOutput("c", "x"), []),
        (Message("assistant", "x"), []),
        (Message("assistant", "x", {"name": "n", "function_call": {"name": "f", "arguments": "{}"}}), ["function f"]),
        (Unknown({"role": "assistant", "tool_calls": [{"id": "c"}, {"id": "d"}]}, "chat"), ["c", "d"]),
        (Unknown({"role": "assistant", "content": "x", "tool_calls": None}, "chat"), []),
        (Unknown({"role": "tool", "tool_call_id": "c"}, "chat"), []),
        (Unknown(THOUGHT, "responses"), []),
    ],
)
def test_which_calls_an_item_makes(item: Item, calls: list[str]) -> None:
    assert list(calls_of(item)) == calls
