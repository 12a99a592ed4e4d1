"""The messages of a stored chat, as they are listed."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_conversation_answers import ListedChatMessage
from frontdesk.wire.openai_listed_messages import listed_messages

MESSAGES: list[dict[str, Any]] = [
    {"role": "developer", "content": "be brief", "name": "app"},
    {"role": "user", "content": [{"type": "text", "text": "see"}]},
    {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    {"role": "tool", "tool_call_id": "c", "content": "x"},
    {"role": "assistant", "content": "no", "refusal": "no", "tool_calls": None},
]


def test_each_message_has_an_id_and_its_words_in_one_place() -> None:
    before = json.dumps(MESSAGES)

    listed = listed_messages(MESSAGES, "chatcmpl-1")

    assert [message["id"] for message in listed] == [f"chatcmpl-1-{place}" for place in range(5)]
    assert [(message["content"], message["content_parts"]) for message in listed] == [
        ("be brief", None),
        (None, [{"type": "text", "text": "see"}]),
        (None, None),
        ("x", None),
        ("no", None),
    ]
    assert [message["name"] for message in listed] == ["app", None, None, None, None]
    assert [message["refusal"] for message in listed] == [None, None, None, None, "no"]
    assert json.dumps(MESSAGES) == before
    msgspec.convert(listed, list[ListedChatMessage])


def test_what_is_listed_says_to_a_model_what_was_sent() -> None:
    again = [
        {name: value for name, value in message.items() if name not in ("id", "content_parts") and value is not None}
        | ({"content": message["content_parts"]} if message["content_parts"] is not None else {})
        for message in listed_messages(MESSAGES, "chatcmpl-1")
    ]

    assert read(again) == read(MESSAGES)


def read(messages: list[dict[str, Any]]) -> Any:
    return read_chat(json.dumps({"messages": messages}).encode()).prompt.items
