"""What callers send of conversations: what is wrong is named by its place, with its value and the remedy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.wire.openai_chat_shapes import StoredChatChanges
from frontdesk.wire.openai_conversation_shapes import ConversationAsked, ConversationChanges, ItemsAsked
from frontdesk.wire.reading import view

ITEM = {"role": "user", "content": "x"}


def test_what_is_right_is_read() -> None:
    assert view({}, ConversationAsked) == ConversationAsked()
    assert view({"items": [ITEM] * 20, "metadata": {"a": "b"}}, ConversationAsked) == ConversationAsked(
        [ITEM] * 20, {"a": "b"}
    )
    assert view({"metadata": None}, ConversationChanges) == ConversationChanges(None)
    assert view({"metadata": {}}, StoredChatChanges) == StoredChatChanges({})
    assert view({"items": [ITEM]}, ItemsAsked) == ItemsAsked([ITEM])


@pytest.mark.parametrize(
    ("shape", "fields", "param", "code", "words"),
    [
        (ConversationAsked, {"items": [ITEM] * 21}, "items", "invalid_value", "<= 20, not a list of 21"),
        (ConversationAsked, {"items": "x"}, "items", "invalid_type", "expected a list or null"),
        (ConversationAsked, {"items": ["x"]}, "items[0]", "invalid_type", "expected an object, not 'x'"),
        (ConversationAsked, {"metadata": {"a": 1}}, "metadata", "invalid_type", "expected a text"),
        (ConversationAsked, {"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value", "<= 16"),
        (ConversationAsked, {"title": "x"}, "title", "unsupported_parameter", "leave it out"),
        (ConversationChanges, {}, "metadata", "missing_required_parameter", ""),
        (ItemsAsked, {}, "items", "missing_required_parameter", ""),
        (ItemsAsked, {"items": []}, "items", "invalid_value", ">= 1"),
        (ItemsAsked, {"items": [ITEM] * 21}, "items", "invalid_value", "<= 20"),
        (StoredChatChanges, {}, "metadata", "missing_required_parameter", ""),
        (StoredChatChanges, {"metadata": {"a": "x" * 513}}, "metadata", "invalid_value", "<= 512"),
        (StoredChatChanges, {"metadata": {}, "model": "x"}, "model", "unsupported_parameter", "leave it out"),
    ],
)
def test_what_is_wrong_is_named(
    shape: type[msgspec.Struct], fields: dict[str, Any], param: str, code: str, words: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        view(fields, shape)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert words in caught.value.message
