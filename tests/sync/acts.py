"""What people do on their devices, as entries of an outbox: made of what the device shows, and of what it has not told
yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from frontdesk.core.ids import new_id
from tests.sync.devices import Disk, Json

Pick = Callable[[int], int]
"""A number from 0 up to one, that one excluded."""

ASKING = ("message", "edit", "answer", "outputs")
KINDS = (
    *["message"] * 8,
    *["edit", "answer", "rename", "metadata", "read", "feedback", "fact", "delete_item"] * 2,
    *["outputs"] * 5,
    *["conversation", "begin", "cancel", "pin", "pin_item", "choose", "delete"],
)
"""What is done, as often as it is done."""

_MOST_CONVERSATIONS = 6
_TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]


def entry_id() -> str:
    """A new id of an entry: a UUIDv7."""
    digits = new_id("")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def item_of(entry: Json) -> str:
    """The id of the item that a message becomes, or the first output."""
    return ("fco_" if entry["type"] == "outputs" else "msg_") + entry["id"].replace("-", "")


def act(kind: str, seen: Disk, pick: Pick, words: str) -> Json | None:
    """Something of this kind that somebody does who sees what is on a disk; None where there is nothing to do it with.

    `words` are theirs alone.
    """
    entry: Json = {"id": entry_id(), "type": kind}
    if kind == "conversation":
        return {**entry, "conversation": new_id("conv_"), "title": f"title {words}", "metadata": {"of": words}}
    if kind == "begin":
        # Its first message begins it.
        tools = {"request": {"tools": _TOOLS}} if pick(2) else {}
        return {**entry, "type": "message", "conversation": new_id("conv_"), "content": words, **tools}
    if kind == "fact":
        return _fact(entry, seen, pick, words)
    if kind in ("feedback", "cancel"):
        return _of_response(entry, seen, pick, words)
    if kind == "outputs":
        return _outputs(entry, seen, pick, words)
    conversations = _conversations(seen)
    if not conversations:
        return None if kind != "message" else {**entry, "conversation": new_id("conv_"), "content": words}
    # Few at a time, so that devices meet in them.
    conversation = conversations[-1 - pick(min(len(conversations), _MOST_CONVERSATIONS))]
    return _of_conversation({**entry, "conversation": conversation}, seen, pick, words)


def _of_conversation(entry: Json, seen: Disk, pick: Pick, words: str) -> Json | None:
    items = _items(seen, entry["conversation"])
    match entry["type"]:
        case "message":
            entry["content"] = words if pick(2) else [{"type": "input_text", "text": words}]
            place = pick(6)
            if place == 0:
                entry["after"] = None
            elif place == 1 and items:
                entry["after"] = _one_of(items, pick)
            if pick(8) == 0:
                entry["request"] = {"model": _one_of(["gone", "slow", "paced"], pick)}
            elif pick(2):
                entry["request"] = {"tools": _TOOLS}
        case "rename":
            entry["title"] = f"title {words}" if pick(5) else None
        case "metadata":
            entry["metadata"] = {"of": words} if pick(5) else None
        case "pin":
            entry["pinned"] = bool(pick(2))
        case "choose":
            entry["branch"] = pick(4)
        case "delete":
            pass
        case "answer":
            if items and pick(2):
                entry["after"] = _one_of(items, pick)
        case "edit" | "read" | "pin_item" | "delete_item" as kind:
            if not items:
                return None
            entry["item"] = _one_of(items, pick)
            if kind == "edit":
                entry["content"] = words
            elif kind == "pin_item":
                entry["pinned"] = bool(pick(2))
            elif kind == "delete_item":
                entry["type"] = "delete"
        case kind:
            raise AssertionError(kind)
    return entry


def _of_response(entry: Json, seen: Disk, pick: Pick, words: str) -> Json | None:
    responses = [key[2] for key in seen.things("turn")]
    if not responses:
        return None
    entry["response"] = _one_of(responses, pick)
    if entry["type"] == "feedback":
        entry["rating"] = (None, "up", "down", "down")[pick(4)]
        if entry["rating"] is not None:
            entry["comment"] = words
    return entry


def _outputs(entry: Json, seen: Disk, pick: Pick, words: str) -> Json | None:
    """What its tool says to one of the calls that it was told of last, answered or not."""
    calls = [each for each in seen.things("item").values() if each["item"]["type"] == "function_call"]
    if not calls:
        return None
    call = calls[-1 - pick(min(len(calls), _MOST_CONVERSATIONS))]
    place = {"after": call["id"]} if pick(2) else {}
    outputs = [{"call_id": call["item"]["call_id"], "output": words}]
    return {**entry, "conversation": call["conversation"], "outputs": outputs, **place}


def _fact(entry: Json, seen: Disk, pick: Pick, words: str) -> Json:
    known = [key[2] for key in seen.things("fact")]
    if not known or pick(2):
        return {**entry, "fact": new_id("fact_"), "words": words}
    return {**entry, "fact": _one_of(known, pick), "words": words if pick(3) else None}


def _conversations(seen: Disk) -> list[str]:
    """Those that are shown: of what it was told and what was begun on it, without what was deleted on it."""
    shown = {key[1] for key in seen.things("conversation")}
    for kept in seen.outbox():
        entry = kept.entry
        if "conversation" in entry and kept.status == "new":
            shown.add(entry["conversation"])
        if entry["type"] == "delete" and "item" not in entry:
            shown.discard(entry["conversation"])
    return sorted(shown)


def _items(seen: Disk, conversation: str) -> list[str]:
    told = [key[2] for key in seen.things("item") if key[1] == conversation]
    waiting = [
        item_of(kept.entry)
        for kept in seen.outbox("new")
        if kept.entry["type"] == "message" and kept.entry["conversation"] == conversation
    ]
    return told + waiting


def _one_of(known: Sequence[Any], pick: Pick) -> Any:
    return known[pick(len(known))]
