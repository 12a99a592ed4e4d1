"""What a person has, as the tables say, in the keys of who was told it."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import change, conversation, conversation_branch, conversation_item, fact, feedback
from tests.sync.taker import Change, Key

_CONVERSATIONS = Query(select(conversation))
_BRANCHES = Query(select(conversation_branch))
_ITEMS = Query(select(conversation_item))
_FEEDBACK = Query(select(feedback))
_FACTS = Query(select(fact))
_CHANGES = Query(select(change))


async def stored(database: Database, owner: Owner, now_ms: int) -> dict[Key, Change]:
    """All of it, of each thing what tells whether it is up to date."""
    there: dict[str, dict[str, Any]] = {}
    things: dict[Key, Change] = {}
    for row in await _rows(database, _CONVERSATIONS, conversation):
        if row["person"] == owner.person and (row["expires_at_ms"] is None or row["expires_at_ms"] > now_ms):
            there[row["id"]] = row
            things["conversation", row["id"]] = {
                "title": row["title"],
                "metadata": json.loads(row["metadata"]) if row["metadata"] else {},
                "branch": row["branch"],
                "branches": [],
                "version": row["version"],
                "response": row["response"],
                "pinned": row["pinned_at_ms"] is not None,
                "read_item": row["read_item"],
            }
    for row in sorted(await _rows(database, _BRANCHES, conversation_branch), key=lambda row: row["number"]):
        if row["conversation"] in there and there[row["conversation"]]["branches"] > 1:
            told = {name: row[name] for name in ("number", "parent", "fork", "length")}
            things["conversation", row["conversation"]]["branches"].append(told)
    for row in await _rows(database, _ITEMS, conversation_item):
        if row["conversation"] in there and row["branch"] >= 0 and row["content"] is not None:
            things["item", row["conversation"], row["id"]] = {
                "branch": row["branch"],
                "position": row["position"],
                "response": row["response"],
                "pinned": row["pinned_at_ms"] is not None,
                "item": json.loads(bytes(row["content"])),
            }
    for row in await _rows(database, _CHANGES, change):
        if row["kind"] == "turn" and row["person"] == owner.person and not row["is_deleted"]:
            things["turn", row["conversation"], row["id"]] = {"state": row["state"].partition(":")[0]}
    for row in await _rows(database, _FEEDBACK, feedback):
        if row["person"] == owner.person and (row["expires_at_ms"] is None or row["expires_at_ms"] > now_ms):
            things["feedback", row["response"]] = {"rating": row["rating"], "comment": row["comment"]}
    for row in await _rows(database, _FACTS, fact):
        if row["person"] == owner.person:
            things["fact", row["id"]] = {"words": row["words"]}
    return things


def told(things: dict[Key, Change]) -> dict[Key, Change]:
    """The same of what somebody was told."""
    return {key: _told(thing) for key, thing in things.items()}


def _told(thing: Change) -> Change:
    match thing["type"]:
        case "conversation":
            names = ("title", "branch", "version", "response", "read_item")
            pinned = {"pinned": "pinned_at" in thing, "metadata": thing.get("metadata", {})}
            return {**{name: thing.get(name) for name in names}, **pinned, "branches": thing.get("branches", [])}
        case "item":
            names = ("branch", "position", "response", "item")
            return {**{name: thing.get(name) for name in names}, "pinned": thing.get("pinned", False)}
        case "turn":
            return {"state": thing["state"]}
        case "feedback":
            return {"rating": thing["rating"], "comment": thing.get("comment")}
        case _:
            return {"words": thing["words"]}


async def _rows(database: Database, query: Query, table: Any) -> list[dict[str, Any]]:
    names = table.c.keys()
    return [dict(zip(names, row, strict=True)) for row in await database.read(query)]
