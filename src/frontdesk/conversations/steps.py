"""What is done to conversations, as parts of transactions of whoever does more with them.

Each returns why it was refused, where it was; nothing has changed then.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import msgspec
from msgspec import UNSET, UnsetType

from frontdesk.conversations.items import folded
from frontdesk.conversations.noting import changed, gone, turn_is
from frontdesk.conversations.refusals import locked, no_conversation, no_item
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.store import devices, writing
from frontdesk.core.errors import BadRequest, FrontdeskError, TooLarge
from frontdesk.files.owner import Owner
from frontdesk.memory.store.summaries import forget_in
from frontdesk.storage.query import Row, Step
from frontdesk.wire.refusing import wrong

MOST_CONVERSATIONS = 10_000
"""Of a person."""

MOST_PINNED = 20
"""Items of a conversation: every model is told all of them."""

_DEVICES_ID = re.compile(r"conv_[0-9a-f]{32}")
_encode = msgspec.json.Encoder().encode

Steps = Generator[Step, list[Row], FrontdeskError | None]


class Changes(msgspec.Struct, frozen=True):
    """What is to become of a conversation. What is unset stays."""

    title: str | UnsetType | None = UNSET
    is_pinned: bool | UnsetType = UNSET
    branch: int | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


def is_devices_id(conversation_id: str) -> bool:
    """Whether a device may have made this id: such a conversation may begin with what it was made for."""
    return _DEVICES_ID.fullmatch(conversation_id) is not None


def new_row(
    owner: Owner,
    conversation_id: str,
    metadata: dict[str, str] | None,
    now_ms: int,
    expires_at_ms: int | None,
    title: str | None = None,
) -> ConversationRow:
    """A conversation that begins."""
    return ConversationRow(
        tenant=owner.tenant,
        id=conversation_id,
        person=owner.person,
        title=title,
        metadata=_encode(metadata).decode() if metadata else None,
        branch=0,
        branches=1,
        version=0,
        response=None,
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
        pinned_at_ms=None,
        expires_at_ms=expires_at_ms,
    )


def begin(owner: Owner, row: ConversationRow, now_ms: int, most: int = MOST_CONVERSATIONS) -> Steps:
    """Keep a conversation under an id that its device has made. It stays as it is where there is one of theirs.

    One that they deleted does not come back, as long as that is known.
    """
    if (yield from writing.lock(owner, row.id, now_ms)) is not None:
        return None
    if (yield from devices.was_deleted(owner, row.id)):
        return no_conversation(row.id)
    if (yield from writing.count(owner, most, now_ms)) >= most:
        return too_many(most)
    if not (yield from devices.begin(owner, row)):
        # Begun this moment, by another request; or another's, of which nobody is told.
        return None if (yield from writing.lock(owner, row.id, now_ms)) is not None else no_conversation(row.id)
    if row.title is not None:
        yield from writing.set_title(row, row.title, folded(row.title))
    yield changed(row, now_ms)
    return None


def change(owner: Owner, conversation_id: str, changes: Changes, now_ms: int) -> Steps:
    """Change what is said of a conversation, or which branch is chosen: NotFound, BadRequest, Conflict."""
    row = yield from writing.lock(owner, conversation_id, now_ms)
    if row is None:
        return no_conversation(conversation_id)
    if changes.branch is not UNSET and changes.branch != row.branch:
        if row.response is not None:
            return locked(row)
        if changes.branch >= row.branches:
            return no_branch(row, changes.branch)
        yield writing.change(row, changes.branch, row.branches, None, now_ms)
    if changes.title is not UNSET:
        yield from writing.set_title(row, changes.title, folded(changes.title or ""))
    if changes.is_pinned is not UNSET and changes.is_pinned != (row.pinned_at_ms is not None):
        yield writing.set_pinned(row, now_ms if changes.is_pinned else None)
    if changes.metadata is not UNSET:
        metadata = _encode(changes.metadata).decode() if changes.metadata else None
        yield writing.set_metadata(row, metadata)
    yield changed(row, now_ms)
    return None


def delete(owner: Owner, conversation_id: str, now_ms: int) -> Steps:
    """Let a conversation end: NotFound. What is in it is to be removed after that (`Conversations.remove`)."""
    row = yield from writing.lock(owner, conversation_id, now_ms)
    if row is None:
        return no_conversation(conversation_id)
    yield writing.end(row, now_ms)
    yield forget_in(row.tenant, row.id)
    yield gone(row, now_ms)
    return None


def delete_item(owner: Owner, conversation_id: str, item_id: str, now_ms: int) -> Steps:
    """Remove what an item says; what follows on it stays: NotFound."""
    row = yield from writing.lock(owner, conversation_id, now_ms)
    if row is None:
        return no_conversation(conversation_id)
    if not (yield writing.empty_item(row, item_id)):
        return no_item(item_id)
    yield forget_in(row.tenant, row.id)  # they may say what it said
    yield writing.change(row, row.branch, row.branches, row.response, now_ms)
    yield changed(row, now_ms, removed=[item_id])
    return None


def read(owner: Owner, conversation_id: str, item_id: str, now_ms: int) -> Steps:
    """Say that a conversation was read up to an item, if that is later than what was said before: NotFound.

    The turns that have been answered up to there have been read by that.
    """
    row = yield from writing.lock(owner, conversation_id, now_ms)
    if row is None:
        return no_conversation(conversation_id)
    moment = yield from devices.moment_of(row, item_id)
    if moment is None:
        return no_item(item_id)
    before = yield from devices.read_up_to(row)
    if before is not None and moment <= before:
        return None
    yield devices.set_read(row, item_id, moment)
    for response_id in (yield from devices.answered_up_to(row, moment)):
        yield turn_is(row, response_id, "read", now_ms)
    yield changed(row, now_ms)
    return None


def pin_item(owner: Owner, conversation_id: str, item_id: str, now_ms: int, *, is_pinned: bool) -> Steps:
    """Pin an item, so that every model is told it, or not any more: NotFound, BadRequest."""
    row = yield from writing.lock(owner, conversation_id, now_ms)
    if row is None:
        return no_conversation(conversation_id)
    if is_pinned and (yield from writing.count_pinned(row, item_id, MOST_PINNED)) >= MOST_PINNED:
        return _too_many_pinned(row)
    if not (yield writing.set_item_pinned(row, item_id, now_ms if is_pinned else None)):
        return no_item(item_id)
    yield changed(row, now_ms, [item_id])
    return None


def no_branch(row: ConversationRow, branch: int) -> BadRequest:
    """The error for the number of no branch."""
    known = "one, 0" if row.branches == 1 else f"{row.branches}, numbered from 0"
    return wrong("branch", f"There is no branch {branch} in the conversation {row.id!r}: it has {known}.")


def too_many(most: int) -> TooLarge:
    """The error for one conversation more than a person may have."""
    return TooLarge(
        f"You have {most:,} conversations, which is all that you may have. Delete some.",
        code="too_many_conversations",
    )


def _too_many_pinned(row: ConversationRow) -> BadRequest:
    return BadRequest(
        f"{MOST_PINNED} items of the conversation {row.id!r} are pinned, which is all that may be. Take one off first.",
        code="too_many_pinned",
    )
