"""Responses: the input of a request as it is listed, each item with an id by which it can be named again."""

from __future__ import annotations

import re
from typing import Any

from frontdesk.turn.items import Image, Message, Part, Text, Unknown

Json = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_HEX_CHARS = 32  # of an id, behind its prefix
_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
}
_STRANGERS_PREFIX = "item_"
# What OpenAI's document has in each, and requests may leave out.
_USUAL_OF_PARTS: dict[str, Json] = {
    "output_text": {"annotations": [], "logprobs": []},
    "input_image": {"detail": "auto"},
}
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_ENDED: Json = {"status": "completed"}
_USUAL_OF_ITEMS: dict[str, Json] = {
    "reasoning": {"summary": []},
    **dict.fromkeys(
        ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"), _ENDED
    ),
}


def listed_input(given: str | list[Json] | None, brought_by: str) -> list[Json]:
    """Return the input of a request, which was read already, as a list of items that have ids, each there once.

    An item keeps the id that it came with; all others are made of the id of the response that they came with
    (`brought_by`) and their place, so that they are the same whenever they are listed. A text becomes a message, and
    what a message says in one text a part. A reference stays one: it names an item of something else.
    """
    items: list[Json] = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    taken: set[str] = set()
    own = [_own_id(item, taken) for item in items]
    return [_listed(item, own[place] or _made_id(item, brought_by, place, taken)) for place, item in enumerate(items)]


def listed_message(message: Message, item_id: str) -> Json:
    """Return a message that was read, as it is listed under an id."""
    content = message.content if isinstance(message.content, str) else [_part_of(part) for part in message.content]
    return _listed({**(message.extra or {}), "role": message.role, "content": content}, item_id)


def _part_of(part: Part) -> Json:
    match part:
        case Text():
            return {**(part.extra or {}), "type": "text", "text": part.text}
        case Image():
            return {"type": "input_image", "image_url": part.url, "detail": part.detail}
        case Unknown():
            return part.raw


def kind_of(item: Json) -> str:
    """The type of an item that was read: messages and references may leave it out."""
    kind = item.get("type")
    if kind is not None:
        return kind
    return "item_reference" if "role" not in item and "id" in item else "message"


def _own_id(item: Json, taken: set[str]) -> str | None:
    """The id that an item came with; None where it has none that can be kept, or another item has it."""
    own = item.get("id")
    if kind_of(item) == "item_reference":
        return own
    if not isinstance(own, str) or own in taken or _ID.fullmatch(own) is None:
        return None
    taken.add(own)
    return own


def _made_id(item: Json, brought_by: str, place: int, taken: set[str]) -> str:
    prefix = _PREFIXES.get(kind_of(item), _STRANGERS_PREFIX)
    made = f"{prefix}{brought_by[-_HEX_CHARS:]}{place:02x}"
    while made in taken:  # by an item whose client guessed it
        made += "0"
    taken.add(made)
    return made


def _listed(item: Json, item_id: str) -> Json:
    kind = kind_of(item)
    said = {name: value for name, value in item.items() if value is not None}
    listed: Json = {**_USUAL_OF_ITEMS.get(kind, {}), **said, "id": item_id, "type": kind}
    if kind == "message":
        content: str | list[Json] = listed["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        listed["content"] = [_part(part, item["role"]) for part in parts]
    elif kind in _OUTPUTS and not isinstance(listed["output"], str):
        listed["output"] = [_part(part, "tool") for part in listed["output"]]
    return listed


def _part(part: Json, role: str) -> Json:
    kind = part["type"]
    if kind == "text":
        kind = "output_text" if role == "assistant" else "input_text"
    said = {name: value for name, value in part.items() if value is not None}
    return {**_USUAL_OF_PARTS.get(kind, {}), **said, "type": kind}
