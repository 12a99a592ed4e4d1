"""Conversations as their owner reads them, and how one that has ended is removed.

Contents can be large: lists are read without them first, and then those of as many items as fit into an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from frontdesk.conversations.rows import ConversationRow, CountedItem, FollowUps, ItemHead
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.writing import COLUMNS, IS_OWNERS, IS_THERE, LASTS, OF_CONVERSATION, read_row
from frontdesk.conversations.tree import MOST_BRANCHES, MOST_ITEMS, Branch, Place, Stretch
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import conversation, conversation_branch, conversation_item

_read_follow_ups = msgspec.json.Decoder(FollowUps).decode
_SMALL_BYTES = 64 * 1024
_FIRST_WORDS_CHARS = 400
_REMOVED_AT_ONCE = 100
BEHIND = 8
"""How many places behind what is known are looked at with a conversation: those of a turn or two."""


class StoredItem(NamedTuple):
    """An item as it is told to a model.

    `tokens` is how many its text has as the vocabulary `tokens_by` counts; None where nobody has counted.
    """

    place: Place
    content: bytes
    tokens: int | None
    tokens_by: str | None


class StoredTree(NamedTuple):
    """A conversation and its branches, in order, how many items of it were deleted, and the first behind a place."""

    row: ConversationRow
    branches: list[Branch]
    deleted: int
    behind: list[StoredItem]


class ConversationStore:
    """The conversations of one owner."""

    def __init__(self, database: Database, owner: Owner) -> None:
        self._database = database
        self._owner = owner

    # --- conversations --------------------------------------------------------------------------

    async def find(self, conversation_id: str, now_ms: int) -> ConversationRow | None:
        """The conversation of this id, if it is this owner's."""
        rows = await self._database.read(_FIND, {**self._owned, "id": conversation_id, "now_ms": now_ms})
        return read_row(rows[0]) if rows else None

    async def follow_ups(self, conversation_id: str, now_ms: int) -> FollowUps | None:
        """What may be asked next in the conversation of this id; None where nobody has thought about it."""
        rows = await self._database.read(_FOLLOW_UPS, {**self._owned, "id": conversation_id, "now_ms": now_ms})
        return _read_follow_ups(rows[0][0]) if rows and rows[0][0] else None

    async def list(
        self, after: ConversationRow | None, limit: int, pattern: str | None, now_ms: int
    ) -> list[ConversationRow]:
        """The owner's conversations from behind this one, those that are pinned first, then what changed last.

        With a pattern (`items.pattern_of`) only those in whose title or items it is found.
        """
        behind = {"is_pinned": 2, "changed_ms": 0, "after": ""}
        if after is not None:
            is_pinned = after.pinned_at_ms is not None
            behind = {"is_pinned": int(is_pinned), "changed_ms": after.changed_at_ms, "after": after.id}
        page = {**self._owned, **behind, "limit": limit, "now_ms": now_ms}
        if pattern is None:
            return [read_row(row) for row in await self._database.read(_LIST, page)]
        return [read_row(row) for row in await self._database.read(_SEARCH, {**page, "pattern": pattern})]

    # --- items ----------------------------------------------------------------------------------

    async def see(self, conversation_id: str, now_ms: int, known: Stretch | None = None) -> StoredTree | None:
        """The conversation of this id, if it is this owner's, and its branches, as they were at one moment.

        Where something of a branch is `known`, the first items behind it come along.
        """
        branch, _, first = known or _NOWHERE
        behind = {"known_branch": branch, "known_first": first, "known_until": first + BEHIND}
        rows = await self._database.read(_SEE, {**self._owned, **behind, "id": conversation_id, "now_ms": now_ms})
        if not rows:
            return None
        branches: dict[int, Branch] = {}
        items: list[StoredItem] = []
        for row in rows:
            number = row[_IN_BRANCH]
            branches.setdefault(number, Branch(*row[_IN_BRANCH:_IN_ITEM]))
            position, content, tokens, tokens_by, _ = row[_IN_ITEM:]
            if content is not None:
                items.append(StoredItem(Place(number, position), bytes(content), tokens, tokens_by))
        return StoredTree(read_row(rows[0][:_IN_BRANCH]), list(branches.values()), rows[0][-1], items)

    async def deleted(self, row: ConversationRow) -> set[Place]:
        """Where items were that have been deleted."""
        return {Place(*found) for found in await self._database.read(writing.DELETED, _of(row))}

    async def item(self, row: ConversationRow, item_id: str, *, or_deleted: bool = False) -> ItemHead | None:
        """The item of this id, in whatever branch; one that was deleted where that is said."""
        found = await self._database.read(_ITEM, {**_of(row), "id": item_id})
        if not found or (found[0][-1] is None and not or_deleted):
            return None
        return _head((*found[0][:-1], found[0][-1] or 0))

    async def along(
        self, row: ConversationRow, path: Sequence[Stretch], limit: int, *, is_backwards: bool = False
    ) -> list[ItemHead]:
        """The first items on these stretches, or the last ones from behind."""
        query = _ALONG_BACKWARDS if is_backwards else _ALONG
        return [_head(found) for found in await self._database.read(query, {**_on(row, path), "limit": limit})]

    async def all(
        self, row: ConversationRow, after: Place | None, limit: int, *, is_backwards: bool = False
    ) -> list[ItemHead]:
        """Items of all branches from behind this place, branch by branch, or backwards."""
        start = (after or Place(MOST_BRANCHES, 0)) if is_backwards else (after or Place(-1, 0))
        page = {**_of(row), "in_branch": start.branch, "at_position": start.position, "limit": limit}
        return [_head(found) for found in await self._database.read(_ALL_BACKWARDS if is_backwards else _ALL, page)]

    async def size_bytes(self, row: ConversationRow, path: Sequence[Stretch]) -> int:
        """How much the items on these stretches hold."""
        return (await self._database.read(_SIZE, _on(row, path)))[0][0]

    async def told(self, row: ConversationRow, path: Sequence[Stretch]) -> list[StoredItem]:
        """The items on these stretches, in order."""
        return [
            StoredItem(Place(branch, position), bytes(content), *rest)
            for branch, position, content, *rest in await self._database.read(_TOLD, _on(row, path))
        ]

    async def contents_of(self, row: ConversationRow, places: Iterable[Place]) -> dict[Place, bytes]:
        """The contents of the items at these places; those that are not there any more are left out."""
        wanted = {**_of(row), "wanted": as_json(place._asdict() for place in places)}
        return {Place(*place): bytes(content) for *place, content in await self._database.read(_CONTENTS_OF, wanted)}

    async def ids_of(self, row: ConversationRow, places: Iterable[Place]) -> dict[Place, str]:
        """The ids of the items at these places."""
        wanted = {**_of(row), "wanted": as_json(place._asdict() for place in places)}
        return {Place(*place): item_id for *place, item_id in await self._database.read(_IDS_OF, wanted)}

    async def beginnings(self, row: ConversationRow) -> dict[int, tuple[bytes | None, str | None]]:
        """By branch, its own first item: its content, null for a large one, and how what is searched of it begins."""
        found = await self._database.read(_BEGINNINGS, _of(row))
        return {branch: (content and bytes(content), words) for branch, content, words in found}

    # --- counts ---------------------------------------------------------------------------------

    def note_tokens(self, row: ConversationRow, counted: Iterable[CountedItem]) -> None:
        """Have it stored with items how many tokens they have, where they are still there."""
        its = {"of_tenant": row.tenant, "of_conversation": row.id}
        rows = [
            {
                **its,
                "of_branch": item.branch,
                "of_position": item.position,
                "of_id": item.id,
                "new_tokens": item.tokens,
                "new_tokens_by": item.tokens_by,
            }
            for item in counted
        ]
        self._database.enqueue_rows(_NOTE_TOKENS, rows, Lane.BULK)

    # --- removing -------------------------------------------------------------------------------

    async def remove(self, conversation_id: str, now_ms: int) -> None:
        """Remove a conversation that has ended and all that is in it, some items at a time.

        Where that is interrupted, what is left goes with others that have ended. The same again is harmless.
        """
        it = {"of_tenant": self._owner.tenant, "of_conversation": conversation_id, "now_ms": now_ms}
        while (await self._database.write(Step(_REMOVE_ITEMS, it), lane=Lane.BULK))[0]:
            pass
        await self._database.write(Step(_REMOVE_BRANCHES, it), Step(_REMOVE, it), lane=Lane.BULK)

    @property
    def _owned(self) -> dict[str, str]:
        return self._owner._asdict()


def _of(row: ConversationRow) -> dict[str, Any]:
    return {"tenant": row.tenant, "conversation": row.id}


def _on(row: ConversationRow, path: Sequence[Stretch]) -> dict[str, Any]:
    return {**_of(row), "path": as_json(stretch._asdict() for stretch in path)}


def _head(row: Row) -> ItemHead:
    return ItemHead(**dict(zip(ItemHead.__struct_fields__, row, strict=True)))


# --- statements ---------------------------------------------------------------------------------

_NOW = bindparam("now_ms", type_=BigInteger)
_is_pinned = case((conversation.c.pinned_at_ms.is_not(None), 1), else_=0)
_pinned_before = bindparam("is_pinned", type_=Integer)
_changed_before = bindparam("changed_ms", type_=BigInteger)
_is_behind = or_(
    _is_pinned < _pinned_before,
    and_(
        _is_pinned == _pinned_before,
        or_(
            conversation.c.changed_at_ms < _changed_before,
            and_(conversation.c.changed_at_ms == _changed_before, conversation.c.id < bindparam("after", type_=Text)),
        ),
    ),
)
_listed = (
    select(*COLUMNS)
    .where(IS_OWNERS, LASTS, _is_behind)
    .order_by(_is_pinned.desc(), conversation.c.changed_at_ms.desc(), conversation.c.id.desc())
    .limit(bindparam("limit"))
)
_says = exists().where(
    conversation_item.c.tenant == conversation.c.tenant,
    conversation_item.c.conversation == conversation.c.id,
    conversation_item.c.words.like(bindparam("pattern", type_=Text), escape="\\"),
)
_deleted = (
    select(func.count())
    .where(
        conversation_item.c.tenant == bindparam("tenant"),
        conversation_item.c.conversation == bindparam("id"),
        conversation_item.c.branch >= 0,
        conversation_item.c.content.is_(None),
    )
    .scalar_subquery()
)
_of_found = and_(
    conversation_branch.c.tenant == conversation.c.tenant, conversation_branch.c.conversation == conversation.c.id
)
_is_behind_known = and_(
    conversation_item.c.tenant == bindparam("tenant"),
    conversation_item.c.conversation == bindparam("id"),
    conversation_item.c.branch == conversation_branch.c.number,
    conversation_branch.c.number == bindparam("known_branch", type_=Integer),
    conversation_item.c.position >= bindparam("known_first", type_=Integer),
    conversation_item.c.position < bindparam("known_until", type_=Integer),
)
_SEE = Query(
    select(
        *COLUMNS,
        *(conversation_branch.c[name] for name in Branch.__struct_fields__),
        conversation_item.c.position,
        conversation_item.c.content,
        conversation_item.c.tokens,
        conversation_item.c.tokens_by,
        _deleted,
    )
    .join_from(conversation, conversation_branch, _of_found)
    .join(conversation_item, _is_behind_known, isouter=True)
    .where(IS_OWNERS, conversation.c.id == bindparam("id"), LASTS)
    .order_by(conversation_branch.c.number, conversation_item.c.position)
    .limit(MOST_BRANCHES + BEHIND)
)
_IN_BRANCH = len(COLUMNS)
_IN_ITEM = _IN_BRANCH + len(Branch.__struct_fields__)
_NOWHERE = Stretch(-1, 0, 0)
_FIND = Query(select(*COLUMNS).where(IS_OWNERS, conversation.c.id == bindparam("id"), LASTS))
_FOLLOW_UPS = Query(select(conversation.c.follow_ups).where(IS_OWNERS, conversation.c.id == bindparam("id"), LASTS))
_LIST = Query(_listed)
_SEARCH = Query(_listed.where(_says))

_size = func.length(conversation_item.c.content)
_HEADS = [*(conversation_item.c[name] for name in ItemHead.__struct_fields__ if name != "bytes"), _size]
_path = json_rows("path", Column("branch", Integer), Column("first", Integer), Column("until", Integer))
_is_on_path = and_(
    OF_CONVERSATION,
    conversation_item.c.branch == _path.c.branch,
    conversation_item.c.position >= _path.c.first,
    conversation_item.c.position < _path.c.until,
    IS_THERE,
)


def _along(order: ColumnElement[int]) -> Select[Any]:
    found = select(*_HEADS).join_from(_path, conversation_item, _is_on_path)
    return found.order_by(order).limit(bindparam("limit"))


def _all(place: ColumnElement[bool], *order: ColumnElement[int]) -> Select[Any]:
    found = select(*_HEADS).where(OF_CONVERSATION, IS_THERE, conversation_item.c.branch >= 0, place)
    return found.order_by(*order).limit(bindparam("limit"))


_branch, _position = conversation_item.c.branch, conversation_item.c.position
_in_branch, _at_position = bindparam("in_branch", type_=Integer), bindparam("at_position", type_=Integer)
_ITEM = Query(
    select(*_HEADS).where(OF_CONVERSATION, conversation_item.c.id == bindparam("id"), conversation_item.c.branch >= 0)
)
_ALONG = Query(_along(_position.asc()))
_ALONG_BACKWARDS = Query(_along(_position.desc()))
_ALL = Query(_all(or_(_branch > _in_branch, and_(_branch == _in_branch, _position > _at_position)), _branch, _position))
_ALL_BACKWARDS = Query(
    _all(
        or_(_branch < _in_branch, and_(_branch == _in_branch, _position < _at_position)),
        _branch.desc(),
        _position.desc(),
    )
)
_SIZE = Query(
    select(cast(func.coalesce(func.sum(_size), 0), BigInteger)).select_from(_path).join(conversation_item, _is_on_path)
)
_TOLD = Query(
    select(
        _branch,
        _position,
        conversation_item.c.content,
        conversation_item.c.tokens,
        conversation_item.c.tokens_by,
    )
    .join_from(_path, conversation_item, _is_on_path)
    .order_by(_position)
    .limit(MOST_ITEMS)
)
_wanted = json_rows("wanted", conversation_item.c.branch, conversation_item.c.position)
_is_wanted = and_(OF_CONVERSATION, _branch == _wanted.c.branch, _position == _wanted.c.position)
_CONTENTS_OF = Query(
    select(_branch, _position, conversation_item.c.content)
    .join_from(_wanted, conversation_item, and_(_is_wanted, IS_THERE))
    .limit(MOST_ITEMS)
)
_IDS_OF = Query(
    select(_branch, _position, conversation_item.c.id)
    .join_from(_wanted, conversation_item, _is_wanted)
    .limit(MOST_ITEMS)
)
_firsts = (
    select(_branch.label("branch"), func.min(_position).label("position"))
    .where(OF_CONVERSATION, IS_THERE, conversation_item.c.branch >= 0)
    .group_by(_branch)
    .subquery("firsts")
)
_BEGINNINGS = Query(
    select(
        _branch,
        case((_size <= literal(_SMALL_BYTES), conversation_item.c.content)),
        func.substr(conversation_item.c.words, 1, _FIRST_WORDS_CHARS),
    )
    .join_from(
        _firsts,
        conversation_item,
        and_(OF_CONVERSATION, _branch == _firsts.c.branch, _position == _firsts.c.position),
    )
    .limit(MOST_BRANCHES)
)

_NOTE_TOKENS = Query(
    update(conversation_item)
    .where(
        conversation_item.c.tenant == bindparam("of_tenant"),
        conversation_item.c.conversation == bindparam("of_conversation"),
        _branch == bindparam("of_branch"),
        _position == bindparam("of_position"),
        conversation_item.c.id == bindparam("of_id"),
        IS_THERE,
    )
    .values(tokens=bindparam("new_tokens", type_=Integer), tokens_by=bindparam("new_tokens_by", type_=Text))
)

_has_ended = and_(
    conversation.c.tenant == bindparam("of_tenant"),
    conversation.c.id == bindparam("of_conversation"),
    conversation.c.expires_at_ms <= _NOW,
)
_of_ended = and_(
    conversation_item.c.tenant == bindparam("of_tenant"),
    conversation_item.c.conversation == bindparam("of_conversation"),
    exists().where(_has_ended),
)
_some_ids = select(conversation_item.c.id).where(_of_ended).order_by(conversation_item.c.id).limit(_REMOVED_AT_ONCE)
_REMOVE_ITEMS = Query(
    delete(conversation_item).where(_of_ended, conversation_item.c.id.in_(_some_ids)).returning(conversation_item.c.id)
)
_REMOVE_BRANCHES = Query(
    delete(conversation_branch).where(
        conversation_branch.c.tenant == bindparam("of_tenant"),
        conversation_branch.c.conversation == bindparam("of_conversation"),
        exists().where(_has_ended),
    )
)
_REMOVE = Query(delete(conversation).where(_has_ended))
