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
from frontdesk.conversations.noting import changed, turn_is, turn_is_gone
from frontdesk.conversations.refusals import locked, no_conversation, no_item
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.steps import begin, new_row
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.writing import NewItem
from frontdesk.conversations.tree import MOST_BRANCHES, MOST_ITEMS
from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError
from frontdesk.files.owner import Owner
from frontdesk.storage.query import Row, Step
from frontdesk.turn.items import ConversationNamed

_ASK_AGAIN_S = 1.0
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
    *,
    is_waiting: bool = False,
) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Put a turn's input into its conversation, and hold that until the turn leaves; part of a transaction.

    `items` may be none: then the answer follows on what is there. `is_waiting` is whether the turn
    may wait for long before it is asked (`ask`). `seen_version` is what the turn has read
    (`Conversations.see`), None where it read nothing. The conversation expires no later than `expires_at_ms`, or
    as long after each later change as it does after this one. Returns why it is refused, if it is: NotFound, Conflict
    (`conversation_locked`, `conversation_changed`), BadRequest. Nothing has changed then.
    """
    row = yield from writing.lock(owner, named.id, now_ms)
    if row is None and named.or_new and owner.person and not seen_version:  # what was read is gone
        row = new_row(owner, named.id, None, now_ms, expires_at_ms)
        refusal = no_item(named.after) if isinstance(named.after, str) else why_not_first(row, items, "input")
        if refusal is None:
            refusal = yield from begin(owner, row, now_ms)
        if refusal is not None:
            return refusal
        row = yield from writing.lock(owner, named.id, now_ms)
    if row is None:
        return no_conversation(named.id)
    if row.response is not None:
        return locked(row)
    if any(version is not None and version != row.version for version in (seen_version, named.version)):
        return Conflict(
            f"The conversation {row.id!r} has changed since this request read it. Send it again.",
            code="conversation_changed",
            retry_after_s=_ASK_AGAIN_S,
        )
    adding = Adding(named.after, items, "input", response_id, holds=True)
    refusal = yield from add(row, adding, now_ms, expires_at_ms)
    if refusal is None:
        yield turn_is(row, response_id, "accepted" if is_waiting else "answering", now_ms)
    return refusal


def ask(tenant: str, conversation_id: str, response_id: str, now_ms: int) -> Generator[Step, list[Row], None]:
    """Say that a turn waits no longer; part of a transaction."""
    row = yield from writing.lock_held(tenant, conversation_id, response_id, now_ms)
    if row is not None:
        yield turn_is(row, response_id, "answering", now_ms)


def leave(
    tenant: str,
    conversation_id: str,
    response_id: str,
    items: Sequence[dict[str, Any]],
    now_ms: int,
    state: str,
    begins: Begins | None = None,
) -> Generator[Step, list[Row], None]:
    """Put a turn's answer behind its input and hold the conversation no longer; part of a transaction.

    An id that another item has already becomes another one. Nothing happens where the turn does not hold the
    conversation: it was deleted meanwhile, or the turn has left before. `state` is what the devices of its person are
    told of it (`noting.turn_is`), `begins` what begins with an answer that says something.
    """
    row = yield from writing.lock_held(tenant, conversation_id, response_id, now_ms)
    if row is None:
        return
    tree = yield from writing.branches_of(row)
    used = yield from writing.taken_ids(row, [item["id"] for item in items])
    kept = [_new(item) for item in with_free_ids(items, used)]
    yield from writing.put_items(row, tree.end_of(row.branch), kept, response_id, now_ms)
    yield writing.change(row, row.branch, row.branches, None, now_ms)
    yield changed(row, now_ms, [item.id for item in kept])
    yield turn_is(row, response_id, state, now_ms)
    if begins is not None and kept:
        yield from begins(row)


def withdraw(tenant: str, conversation_id: str, response_id: str, now_ms: int) -> Generator[Step, list[Row], None]:
    """Take back what a turn has brought along, and the branch that was made for it; part of a transaction.

    Nothing happens where the turn does not hold the conversation.
    """
    row = yield from writing.lock_held(tenant, conversation_id, response_id, now_ms)
    if row is None:
        return
    tree = yield from writing.branches_of(row)
    taken_back = yield from writing.take_back(row, tree, response_id)
    yield writing.change(row, taken_back.branch, taken_back.branches, None, now_ms)
    yield changed(row, now_ms, removed=taken_back.items)
    yield turn_is_gone(row, response_id, now_ms)


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
    tree = yield from (writing.branches_of(row) if adding.after is UNSET else writing.tree_of(row))
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
    yield changed(row, now_ms, ids)
    return None


def why_not_first(row: ConversationRow, items: Sequence[dict[str, Any]], where: str) -> BadRequest | None:
    """Why a conversation cannot begin with these items, if it cannot: it must not be there without them."""
    try:
        check_kept(items, where)
    except BadRequest as error:
        return error
    return _full(row) if len(items) > MOST_ITEMS else None


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
