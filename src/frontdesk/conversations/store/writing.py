"""Steps that change a conversation, each part of a transaction that has locked it first.

    lock ──► tree, place_of, taken_ids (what there is) ──► put_items, empty_item, ... ──► change

The words of a title are kept beside those of the items, so that one look finds both: at the branch -1, where no item
is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Column, Integer, Text, and_, bindparam, case, delete, func, or_, select, update

from frontdesk.conversations.rows import ConversationRow, FollowUps
from frontdesk.conversations.tree import MOST_BRANCHES, MOST_ITEMS, Branch, Place, Spot, Tree
from frontdesk.files.owner import Owner
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import conversation, conversation_branch, conversation_item

_TITLE = {"branch": -1, "position": 0, "id": ""}
_BEGINS_WITH = {"follow_ups": None, "read_item": None, "read_at_ms": None}
_ITEM_BEGINS_WITH = {"pinned_at_ms": None, "tokens": None, "tokens_by": None}


class TakenBack(NamedTuple):
    """The ids of items that were removed; which branch to choose then, and how many there are."""

    items: list[str]
    branch: int
    branches: int


class NewItem(msgspec.Struct, frozen=True):
    """An item that is to be kept. `words` is what is searched of it."""

    id: str
    content: bytes
    words: str | None


# --- what there is ------------------------------------------------------------------------------


def lock(owner: Owner, conversation_id: str, now_ms: int) -> Generator[Step, list[Row], ConversationRow | None]:
    """Lock a conversation of this owner; None where there is none."""
    rows = yield Step(_LOCK, {**owner._asdict(), "id": conversation_id, "now_ms": now_ms})
    return read_row(rows[0]) if rows else None


def lock_held(
    tenant: str, conversation_id: str, response_id: str, now_ms: int
) -> Generator[Step, list[Row], ConversationRow | None]:
    """Lock a conversation in which this response is being made; None where it is not."""
    it = {"tenant": tenant, "id": conversation_id, "response": response_id, "now_ms": now_ms}
    rows = yield Step(_LOCK_HELD, it)
    return read_row(rows[0]) if rows else None


def lock_untitled(tenant: str, conversation_id: str, now_ms: int) -> Generator[Step, list[Row], ConversationRow | None]:
    """Lock a conversation that has no title, whoever's it is by now; None where there is none."""
    rows = yield Step(_LOCK_UNTITLED, {"tenant": tenant, "id": conversation_id, "now_ms": now_ms})
    return read_row(rows[0]) if rows else None


def branches_of(row: ConversationRow) -> Generator[Step, list[Row], Tree]:
    """The branches of a conversation. What was deleted is not looked up: who goes on at an end need not know."""
    branches = yield Step(BRANCHES, _of(row))
    return Tree([Branch(*found) for found in branches])


def tree_of(row: ConversationRow) -> Generator[Step, list[Row], Tree]:
    """The branches of a conversation, and what was deleted of it."""
    tree = yield from branches_of(row)
    deleted = yield Step(DELETED, _of(row))
    return Tree(tree.branches, {Place(*found) for found in deleted})


def place_of(row: ConversationRow, item_id: str) -> Generator[Step, list[Row], Place | None]:
    """Where an item is; None where there is none of this id, or it was deleted."""
    rows = yield Step(_PLACE, {**_of(row), "id": item_id})
    return Place(*rows[0]) if rows else None


def taken_ids(row: ConversationRow, ids: Sequence[str]) -> Generator[Step, list[Row], set[str]]:
    """Those of some ids that items of a conversation have, deleted or not."""
    if not ids:
        return set()
    rows = yield Step(_TAKEN, {**_of(row), "wanted": as_json({"id": each} for each in ids)})
    return {item_id for (item_id,) in rows}


def count(owner: Owner, most: int, now_ms: int) -> Generator[Step, list[Row], int]:
    """How many conversations an owner has, counted up to `most`."""
    ((found,),) = yield Step(_COUNT, {**owner._asdict(), "most": most, "now_ms": now_ms})
    return found


# --- changes ------------------------------------------------------------------------------------


def create(owner: Owner, row: ConversationRow) -> Generator[Step, list[Row], None]:
    """Keep a conversation that begins, with the branch 0."""
    yield Step(_CREATE, {**msgspec.structs.asdict(row), **owner._asdict(), **_BEGINS_WITH})
    yield Step(_PUT_BRANCH, {**_of(row), "number": 0, "parent": None, "fork": 0, "length": 0})


def put_items(
    row: ConversationRow, spot: Spot, items: Sequence[NewItem], response: str | None, now_ms: int
) -> Generator[Step, list[Row], None]:
    """Put items at a spot. A branch that is new is made, with items or without."""
    branch, of = spot.branch, _of(row)
    length = spot.first + len(items)
    if spot.is_new:
        place = {"number": branch.number, "parent": branch.parent, "fork": branch.fork, "length": length}
        yield Step(_PUT_BRANCH, {**of, **place})
    elif items:
        yield Step(_SET_LENGTH, {**_its(row), "of_number": branch.number, "new_length": length})
    if items:
        yield Step(
            _PUT_ITEM,
            [
                {
                    **of,
                    **_ITEM_BEGINS_WITH,
                    "branch": branch.number,
                    "position": spot.first + offset,
                    "id": item.id,
                    "response": response,
                    "content": item.content,
                    "words": item.words,
                    "created_at_ms": now_ms,
                }
                for offset, item in enumerate(items)
            ],
        )


def take_back(row: ConversationRow, tree: Tree, response_id: str) -> Generator[Step, list[Row], TakenBack]:
    """Remove what a response has brought to the end of the chosen branch, and the branch where that leaves the newest
    one empty.
    """
    branch = tree.branches[row.branch]
    of_branch = {**_its(row), "of_number": branch.number}
    removed = yield Step(_TAKE_BACK, {**of_branch, "of_response": response_id})
    ids = [item_id for (item_id,) in removed]
    length = branch.length - len(removed)
    if branch.parent is not None and length == branch.fork and branch.number == row.branches - 1:
        yield Step(_REMOVE_BRANCH, of_branch)
        return TakenBack(ids, branch.parent, row.branches - 1)
    yield Step(_SET_LENGTH, {**of_branch, "new_length": length})
    return TakenBack(ids, branch.number, row.branches)


def empty_item(row: ConversationRow, item_id: str) -> Step:
    """Take an item's content away and leave its place; brings a row where it was there."""
    return Step(_EMPTY, {**_its(row), "of_id": item_id})


def count_pinned(row: ConversationRow, but: str, most: int) -> Generator[Step, list[Row], int]:
    """How many items of a conversation are pinned besides this one, counted up to `most`."""
    ((found,),) = yield Step(_COUNT_PINNED, {**_of(row), "but": but, "most": most})
    return found


def set_item_pinned(row: ConversationRow, item_id: str, pinned_at_ms: int | None) -> Step:
    """Pin an item that is there, or not any more; brings a row where it is. One that is pinned stays as it was."""
    return Step(_SET_ITEM_PINNED, {**_its(row), "of_id": item_id, "new_pinned_ms": pinned_at_ms})


def change(
    row: ConversationRow,
    branch: int,
    branches: int,
    response: str | None,
    now_ms: int,
    expires_at_ms: int | None = None,
) -> Step:
    """Note that its items, or the chosen branch, have changed, and what is being made in it from now on.

    What expires does so as long after this change as it did after the last one, and no later than `expires_at_ms`.
    """
    values = {
        "new_branch": branch,
        "new_branches": branches,
        "new_response": response,
        "expires_ms": _expiry(row, now_ms, expires_at_ms),
        "now_ms": now_ms,
    }
    return Step(_CHANGE, {**_its(row), **values})


def _expiry(row: ConversationRow, now_ms: int, latest_ms: int | None) -> int | None:
    if row.expires_at_ms is None:
        return latest_ms
    usual_ms = row.expires_at_ms + max(now_ms - row.changed_at_ms, 0)
    return usual_ms if latest_ms is None else min(usual_ms, latest_ms)


def set_title(row: ConversationRow, title: str | None, words: str) -> Generator[Step, list[Row], None]:
    """Name a conversation, or not any more. `words` is what is searched of its title."""
    yield Step(_SET_TITLE, {**_its(row), "new_title": title})
    if title is None:
        yield Step(_FORGET_TITLE, _its(row))
    else:
        title_row = {**_of(row), **_ITEM_BEGINS_WITH, **_TITLE, "response": None, "content": None, "words": words}
        yield Step(_PUT_TITLE, {**title_row, "created_at_ms": row.created_at_ms})


def set_follow_ups(
    tenant: str, conversation_id: str, version: int, found: FollowUps, now_ms: int
) -> Generator[Step, list[Row], ConversationRow | None]:
    """Keep what may be asked next; None, and nothing is kept, where anything has changed since this version."""
    it = {"of_tenant": tenant, "of_conversation": conversation_id, "of_version": version, "now_ms": now_ms}
    rows = yield Step(_SET_FOLLOW_UPS, {**it, "new_follow_ups": msgspec.json.encode(found).decode()})
    return read_row(rows[0]) if rows else None


def set_pinned(row: ConversationRow, pinned_at_ms: int | None) -> Step:
    """Pin a conversation, or not any more."""
    return Step(_SET_PINNED, {**_its(row), "new_pinned_ms": pinned_at_ms})


def set_metadata(row: ConversationRow, metadata: str | None) -> Step:
    """Give a conversation other metadata (JSON)."""
    return Step(_SET_METADATA, {**_its(row), "new_metadata": metadata})


def end(row: ConversationRow, now_ms: int) -> Step:
    """Let a conversation expire now: nobody finds it any more, and no response ends in it."""
    return Step(_END, {**_its(row), "now_ms": now_ms})


# --- rows ---------------------------------------------------------------------------------------


def read_row(row: Row) -> ConversationRow:
    """A conversation from the columns `COLUMNS`."""
    return ConversationRow(**dict(zip(ConversationRow.__struct_fields__, row, strict=True)))


def _of(row: ConversationRow) -> dict[str, Any]:
    return {"tenant": row.tenant, "conversation": row.id}


def _its(row: ConversationRow) -> dict[str, Any]:
    return {"of_tenant": row.tenant, "of_conversation": row.id}


# --- statements ---------------------------------------------------------------------------------

_its_row = and_(conversation.c.tenant == bindparam("of_tenant"), conversation.c.id == bindparam("of_conversation"))
_its_branch = and_(
    conversation_branch.c.tenant == bindparam("of_tenant"),
    conversation_branch.c.conversation == bindparam("of_conversation"),
    conversation_branch.c.number == bindparam("of_number"),
)
_its_items = and_(
    conversation_item.c.tenant == bindparam("of_tenant"),
    conversation_item.c.conversation == bindparam("of_conversation"),
)
_NOW = bindparam("now_ms", type_=BigInteger)

COLUMNS = [conversation.c[name] for name in ConversationRow.__struct_fields__]
IS_OWNERS = and_(*(conversation.c[name] == bindparam(name) for name in Owner._fields))
LASTS = or_(conversation.c.expires_at_ms.is_(None), conversation.c.expires_at_ms > _NOW)
OF_CONVERSATION = and_(
    conversation_item.c.tenant == bindparam("tenant"), conversation_item.c.conversation == bindparam("conversation")
)
IS_THERE = conversation_item.c.content.is_not(None)

_LOCK = Query(select(*COLUMNS).where(IS_OWNERS, conversation.c.id == bindparam("id"), LASTS).with_for_update())
_LOCK_HELD = Query(
    select(*COLUMNS)
    .where(
        conversation.c.tenant == bindparam("tenant"),
        conversation.c.id == bindparam("id"),
        conversation.c.response == bindparam("response"),
        LASTS,
    )
    .with_for_update()
)
_LOCK_UNTITLED = Query(
    select(*COLUMNS)
    .where(
        conversation.c.tenant == bindparam("tenant"),
        conversation.c.id == bindparam("id"),
        conversation.c.title.is_(None),
        LASTS,
    )
    .with_for_update()
)
BRANCHES = Query(
    select(*(conversation_branch.c[name] for name in Branch.__struct_fields__))
    .where(
        conversation_branch.c.tenant == bindparam("tenant"),
        conversation_branch.c.conversation == bindparam("conversation"),
    )
    .order_by(conversation_branch.c.number)
    .limit(MOST_BRANCHES)
)
DELETED = Query(
    select(conversation_item.c.branch, conversation_item.c.position)
    .where(OF_CONVERSATION, conversation_item.c.content.is_(None), conversation_item.c.branch >= 0)
    .limit(MOST_ITEMS)
)
_PLACE = Query(
    select(conversation_item.c.branch, conversation_item.c.position).where(
        OF_CONVERSATION, conversation_item.c.id == bindparam("id"), IS_THERE
    )
)
_wanted = json_rows("wanted", Column("id", Text))
# Not a join: SQLite would go through all items of the conversation, for each of these.
_TAKEN = Query(select(conversation_item.c.id).where(OF_CONVERSATION, conversation_item.c.id.in_(select(_wanted.c.id))))
_some = select(conversation.c.id).where(IS_OWNERS, LASTS).limit(bindparam("most", type_=Integer)).subquery("some")
_COUNT = Query(select(func.count()).select_from(_some))
_CREATE = Query(insert(conversation))
_PUT_BRANCH = Query(insert(conversation_branch))
_REMOVE_BRANCH = Query(delete(conversation_branch).where(_its_branch))
_SET_LENGTH = Query(
    update(conversation_branch).where(_its_branch).values(length=bindparam("new_length", type_=Integer))
)
_PUT_ITEM = Query(insert(conversation_item))
_TAKE_BACK = Query(
    delete(conversation_item)
    .where(
        _its_items,
        conversation_item.c.branch == bindparam("of_number"),
        conversation_item.c.response == bindparam("of_response"),
    )
    .returning(conversation_item.c.id)
)
_EMPTY = Query(
    update(conversation_item)
    .where(_its_items, conversation_item.c.id == bindparam("of_id"), IS_THERE)
    .values(content=None, words=None, pinned_at_ms=None)
    .returning(conversation_item.c.position)
)
_some_pinned = (
    select(conversation_item.c.id)
    .where(OF_CONVERSATION, conversation_item.c.pinned_at_ms.is_not(None), conversation_item.c.id != bindparam("but"))
    .limit(bindparam("most", type_=Integer))
    .subquery("some_pinned")
)
_COUNT_PINNED = Query(select(func.count()).select_from(_some_pinned))
_new_pinned = bindparam("new_pinned_ms", type_=BigInteger)
_SET_ITEM_PINNED = Query(
    update(conversation_item)
    .where(_its_items, conversation_item.c.id == bindparam("of_id"), IS_THERE)
    .values(
        pinned_at_ms=case(
            (_new_pinned.is_not(None), func.coalesce(conversation_item.c.pinned_at_ms, _new_pinned)), else_=None
        )
    )
    .returning(conversation_item.c.position)
)
_CHANGE = Query(
    update(conversation)
    .where(_its_row)
    .values(
        branch=bindparam("new_branch", type_=Integer),
        branches=bindparam("new_branches", type_=Integer),
        response=bindparam("new_response", type_=Text),
        version=conversation.c.version + 1,
        changed_at_ms=_NOW,
        expires_at_ms=bindparam("expires_ms", type_=BigInteger),
        follow_ups=None,
    )
)
_SET_TITLE = Query(update(conversation).where(_its_row).values(title=bindparam("new_title", type_=Text)))
_put_title = insert(conversation_item)
_PUT_TITLE = Query(
    _put_title.on_conflict_do_update(
        index_elements=["tenant", "conversation", "branch", "position"], set_={"words": _put_title.excluded.words}
    )
)
_FORGET_TITLE = Query(delete(conversation_item).where(_its_items, conversation_item.c.branch == _TITLE["branch"]))
_SET_FOLLOW_UPS = Query(
    update(conversation)
    .where(_its_row, conversation.c.version == bindparam("of_version", type_=BigInteger), LASTS)
    .values(follow_ups=bindparam("new_follow_ups", type_=Text))
    .returning(*COLUMNS)
)
_SET_PINNED = Query(
    update(conversation).where(_its_row).values(pinned_at_ms=bindparam("new_pinned_ms", type_=BigInteger))
)
_SET_METADATA = Query(update(conversation).where(_its_row).values(metadata=bindparam("new_metadata", type_=Text)))
_END = Query(update(conversation).where(_its_row).values(expires_at_ms=_NOW, response=None))
