"""What of a conversation belongs to a turn's own transactions: it enters, and later leaves or is withdrawn.

    enter ──► the input is put in, the conversation is held ──┬─► leave      the answer is put behind it
                    │                                          └─► withdraw   nothing was sent: as if it had not been
                    └─► refused: nothing has changed

While a response holds a conversation nothing is added to it by anybody else, and no other branch is chosen. So its
answer comes behind its input.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from frontdesk.conversations.items import check_kept, taken, with_free_ids, words_of
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.writing import NewItem
from frontdesk.conversations.tree import MOST_BRANCHES, MOST_ITEMS
from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError, NotFound
from frontdesk.files.owner import Owner
from frontdesk.storage.query import Row, Step
from frontdesk.turn.items import ConversationNamed

_ASK_AGAIN_S = 1.0
_MAX_TOLD_CHARS = 128
_encode = msgspec.json.Encoder().encode

Begins = Callable[[ConversationRow], Generator[Step, list[Row], None]]
"""Steps of the same transaction for a conversation, given as it was before the answer came in."""


def enter(
    owner: Owner,
    named: ConversationNamed,
    seen_version: int | None,
    response_id: str,
    items: Sequence[dict[str, Any]],
    now_ms: int,
    expires_at_ms: int | None = None,
) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Put a turn's input into its conversation, and hold that until the turn leaves; part of a transaction.

    `items` may be none: then the answer follows on what is there. `seen_version` is what the turn has read
    (`Conversations.items_for`), None where it read nothing. The conversation expires no later than `expires_at_ms`, or
    as long after each later change as it does after this one. Returns why it is refused, if it is: NotFound, Conflict
    (`conversation_locked`, `conversation_changed`), BadRequest. Nothing has changed then.
    """
    row = yield from writing.lock(owner, named.id, now_ms)
    if row is None:
        return no_conversation(named.id)
    if row.response is not None:
        return locked(row)
    if seen_version is not None and seen_version != row.version:
        return Conflict(
            f"The conversation {row.id!r} has changed since this request read it. Send it again.",
            code="conversation_changed",
            retry_after_s=_ASK_AGAIN_S,
        )
    adding = Adding(named.after, items, "input", response_id, holds=True)
    return (yield from add(row, adding, now_ms, expires_at_ms))


def leave(
    tenant: str,
    conversation_id: str,
    response_id: str,
    items: Sequence[dict[str, Any]],
    now_ms: int,
    begins: Begins | None = None,
) -> Generator[Step, list[Row], None]:
    """Put a turn's answer behind its input and hold the conversation no longer; part of a transaction.

    An id that another item has already becomes another one. Nothing happens where the turn does not hold the
    conversation: it was deleted meanwhile, or the turn has left before. `begins` is what begins with an answer that
    says something.
    """
    row = yield from writing.lock_held(tenant, conversation_id, response_id, now_ms)
    if row is None:
        return
    tree = yield from writing.tree_of(row)
    used = yield from writing.taken_ids(row, [item["id"] for item in items])
    kept = [_new(item) for item in with_free_ids(items, used)]
    yield from writing.put_items(row, tree.end_of(row.branch), kept, response_id, now_ms)
    yield writing.change(row, row.branch, row.branches, None, now_ms)
    if begins is not None and kept:
        yield from begins(row)


def withdraw(tenant: str, conversation_id: str, response_id: str, now_ms: int) -> Generator[Step, list[Row], None]:
    """Take back what a turn has brought along, and the branch that was made for it; part of a transaction.

    Nothing happens where the turn does not hold the conversation.
    """
    row = yield from writing.lock_held(tenant, conversation_id, response_id, now_ms)
    if row is None:
        return
    tree = yield from writing.tree_of(row)
    branch, branches = yield from writing.take_back(row, tree, response_id)
    yield writing.change(row, branch, branches, None, now_ms)


class Adding(msgspec.Struct, frozen=True):
    """What is to be put where: behind the item `after`, at the beginning (None) or at the end of the chosen branch.

    `where` is what the request calls the items, `response` what brings them. It `holds` the conversation from then on.
    """

    after: str | UnsetType | None
    items: Sequence[dict[str, Any]]
    where: str
    response: str | None = None
    holds: bool = False


def add(
    row: ConversationRow, adding: Adding, now_ms: int, expires_at_ms: int | None = None
) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Put items into a conversation that is locked; part of a transaction. Returns why not, if it cannot be."""
    items, where = adding.items, adding.where
    tree = yield from writing.tree_of(row)
    if tree.size + len(items) > MOST_ITEMS:
        return _full(row)
    if adding.after is UNSET:
        spot = tree.end_of(row.branch)
    else:
        place = None
        if adding.after is not None:
            place = yield from writing.place_of(row, adding.after)
            if place is None:
                return no_item(adding.after)
        spot = tree.spot_behind(place, row.branch)
    if spot.is_new and row.branches >= MOST_BRANCHES:
        return _branched_out(row)
    try:
        check_kept(items, where)
    except BadRequest as error:
        return error
    ids = [item["id"] for item in items]
    used = yield from writing.taken_ids(row, ids)
    for position, item_id in enumerate(ids):
        if item_id in used:
            return taken(f"{where}[{position}].id", item_id)
    yield from writing.put_items(row, spot, [_new(item) for item in items], adding.response, now_ms)
    branches, holder = row.branches + spot.is_new, adding.response if adding.holds else None
    yield writing.change(row, spot.branch.number, branches, holder, now_ms, expires_at_ms)
    return None


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


def _new(item: dict[str, Any]) -> NewItem:
    return NewItem(item["id"], _encode(item), words_of(item))


def _full(row: ConversationRow) -> BadRequest:
    return BadRequest(
        f"The conversation {row.id!r} would have more than {MOST_ITEMS:,} items, which is all that one may have. Begin "
        "another one.",
        code="conversation_full",
    )


def _branched_out(row: ConversationRow) -> BadRequest:
    return BadRequest(
        f"The conversation {row.id!r} has {MOST_BRANCHES} branches, which is all that one may have. Go on at the end "
        "of one, or begin another conversation.",
        code="too_many_branches",
    )
