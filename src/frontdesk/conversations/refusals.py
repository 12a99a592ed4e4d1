"""What is said of a conversation that is not there, or cannot be changed just now."""

from __future__ import annotations

from frontdesk.conversations.rows import ConversationRow
from frontdesk.core.errors import Conflict, NotFound

_ASK_AGAIN_S = 1.0
_MAX_TOLD_CHARS = 128


def no_conversation(conversation_id: str) -> NotFound:
    """The error for an id of no conversation, or of another's."""
    return NotFound(f"There is no conversation {conversation_id[:_MAX_TOLD_CHARS]!r}.", code="conversation_not_found")


def no_item(item_id: str) -> NotFound:
    """The error for an id of no item of the conversation."""
    return NotFound(f"There is no item {item_id[:_MAX_TOLD_CHARS]!r} in this conversation.", code="item_not_found")


def locked(row: ConversationRow) -> Conflict:
    """The error while a response is being made in the conversation."""
    return Conflict(
        f"A response is being made in the conversation {row.id!r}. Wait until it has ended, or cancel it.",
        code="conversation_locked",
        retry_after_s=_ASK_AGAIN_S,
    )
