"""Chat Completions: the messages of a stored request, as they are listed."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def listed_messages(messages: list[Json], completion_id: str) -> list[Json]:
    """Return the messages of a request, which was read already, each with an id: the completion's and its place.

    What was said in parts is told as `content_parts`, and `content` is null then.
    """
    return [_listed(message, f"{completion_id}-{place}") for place, message in enumerate(messages)]


def _listed(message: Json, message_id: str) -> Json:
    content = message.get("content")
    is_parts = isinstance(content, list)
    return {
        "refusal": None,
        "name": None,
        **message,
        "id": message_id,
        "content": None if is_parts else content,
        "content_parts": content if is_parts else None,
    }
