"""Which items of a conversation belong together: a call and what it returned, a thought and what it led to.

Providers refuse the one without the other, so whatever leaves items out asks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from frontdesk.turn.items import Item, Message, ToolCall, ToolOutput, Unknown

_CALLS = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def call_of(item: Item) -> str | None:
    """The id of the call that an item is; None where it is none."""
    return item.call_id if type(item) is ToolCall else _named(item, _CALLS)


def calls_of(item: Item) -> Sequence[str]:
    """The ids of the calls that an item makes: of one call, or of all in a message of Chat Completions.

    A call of a function as chats made them before there were tools has none; its function stands for it.
    """
    if type(item) is Message:
        return _functions_in(item.extra) if item.extra else ()
    if type(item) is Unknown and item.dialect == "chat":
        calls = cast("list[dict[str, Any]]", item.raw.get("tool_calls") or ())
        return [*(str(call.get("id")) for call in calls), *_functions_in(item.raw)]
    call = call_of(item)
    return () if call is None else (call,)


def answers_call(item: Item) -> str | None:
    """The id of the call whose output an item is; None where it is none's."""
    if type(item) is Unknown and item.dialect == "chat":
        raw = item.raw
        return raw.get("tool_call_id") or (_function(raw.get("name")) if raw.get("role") == "function" else None)
    return item.call_id if type(item) is ToolOutput else _named(item, _OUTPUTS)


def is_thought(item: Item) -> bool:
    """Whether an item is what the model thought."""
    return _raw(item).get("type") == "reasoning"


def is_models(item: Item) -> bool:
    """Whether the model said it: a message of the assistant's, a call, a thought."""
    if type(item) is Message:
        return item.role == "assistant"
    if type(item) is Unknown and item.dialect == "chat":
        return item.raw.get("role") == "assistant"
    return call_of(item) is not None or is_thought(item)


def _functions_in(message: dict[str, Any]) -> Sequence[str]:
    called = message.get("function_call")
    return (_function(cast("dict[str, Any]", called).get("name")),) if isinstance(called, dict) else ()


def _function(name: object) -> str:
    return f"function {name}"  # no id has a space


def _named(item: Item, kinds: frozenset[str]) -> str | None:
    raw = _raw(item)
    return raw.get("call_id") if raw.get("type") in kinds else None


def _raw(item: Item) -> dict[str, Any]:
    return item.raw if type(item) is Unknown and item.dialect == "responses" else _NOTHING


_NOTHING: dict[str, Any] = {}
