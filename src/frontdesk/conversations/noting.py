"""What is told of conversations to the devices of their persons, as part of the transactions that change them."""

from __future__ import annotations

from collections.abc import Iterable

from frontdesk.changes.store import Change, note
from frontdesk.conversations.rows import ConversationRow
from frontdesk.storage.query import Step


def changed(row: ConversationRow, now_ms: int, items: Iterable[str] = (), removed: Iterable[str] = ()) -> Step:
    """Note that something of a conversation has changed: of itself, and these items of it, by their ids."""
    return note(
        *(Change(row.tenant, row.person, row.id, "item", item_id, now_ms) for item_id in items),
        *(Change(row.tenant, row.person, row.id, "item", item_id, now_ms, is_deleted=True) for item_id in removed),
        Change(row.tenant, row.person, row.id, "conversation", "", now_ms),
    )


def gone(row: ConversationRow, now_ms: int) -> Step:
    """Note that a conversation is no longer there, with all that is in it."""
    return note(Change(row.tenant, row.person, row.id, "conversation", "", now_ms, is_deleted=True))


def turn_is(row: ConversationRow, response_id: str, state: str, now_ms: int) -> Step:
    """Note how far a turn is: a `changes.store.State`, behind which, and a colon, a failure's code may stand."""
    return note(Change(row.tenant, row.person, row.id, "turn", response_id, now_ms, state=state))


def turn_is_gone(row: ConversationRow, response_id: str, now_ms: int) -> Step:
    """Note that a turn was withdrawn."""
    return note(Change(row.tenant, row.person, row.id, "turn", response_id, now_ms, is_deleted=True))
