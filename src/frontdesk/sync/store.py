"""What changes are told of, as it is now: looked up by their rows, all of one kind at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from frontdesk.changes.store import ChangeRow
from frontdesk.feedback.rows import Rating, Reason
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query
from frontdesk.storage.tables import conversation, conversation_branch, conversation_item, fact, feedback

MOST_ITEM_BYTES = 256 * 1024
"""Larger items are not told with their change."""


class ConversationFound(NamedTuple):
    """A conversation as it is. Texts are JSON, times milliseconds since 1970."""

    id: str
    title: str | None
    metadata: str | None
    branch: int
    branches: int
    version: int
    response: str | None
    created_at_ms: int
    changed_at_ms: int
    pinned_at_ms: int | None
    expires_at_ms: int | None
    follow_ups: str | None
    read_item: str | None


class ItemFound(NamedTuple):
    """An item as it is: JSON, or None of one that is larger than is told, which has `bytes`."""

    conversation: str
    id: str
    branch: int
    position: int
    response: str | None
    created_at_ms: int
    pinned_at_ms: int | None
    bytes: int
    content: bytes | None


class BranchFound(NamedTuple):
    """A branch of a conversation."""

    conversation: str
    number: int
    parent: int | None
    fork: int
    length: int


class FeedbackFound(NamedTuple):
    """What somebody said of a response."""

    response: str
    id: str
    rating: Rating
    reason: Reason | None
    comment: str | None
    correction: str | None
    feature: str | None
    model: str | None
    created_at_ms: int
    changed_at_ms: int
    expires_at_ms: int | None


class FactFound(NamedTuple):
    """What is remembered of somebody."""

    id: str
    words: str
    response: str | None
    created_at_ms: int
    changed_at_ms: int


class Found(msgspec.Struct):
    """What some changes are of, as far as it is there."""

    conversations: dict[str, ConversationFound] = {}
    branches: dict[str, list[BranchFound]] = {}
    items: dict[tuple[str, str], ItemFound] = {}
    feedback: dict[str, FeedbackFound] = {}
    facts: dict[str, FactFound] = {}


class SyncStore:
    """What there is of everybody; each person's is asked for by themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sizes(self, owner: Owner, rows: Sequence[ChangeRow]) -> list[int]:
        """About how many bytes what each of some changes tells has, beside a few hundred."""
        wanted = as_json(
            {"place": place, "kind": row.kind, "conversation": row.conversation, "id": row.id}
            for place, row in enumerate(rows)
            if not row.is_deleted
        )
        found = await self._database.read(_SIZES, {**owner._asdict(), "wanted": wanted})
        sizes = [0] * len(rows)
        for place, size in found:
            sizes[place] = size
        return sizes

    async def find(self, owner: Owner, rows: Sequence[ChangeRow], now_ms: int) -> Found:
        """What some changes are of, without what has expired."""
        found = Found()
        there = [row for row in rows if not row.is_deleted]
        of = {**owner._asdict(), "now_ms": now_ms}
        if ids := [row.conversation for row in there if row.kind == "conversation"]:
            read = [ConversationFound(*row) for row in await self._database.read(_CONVERSATIONS, {**of, **_ids(ids)})]
            found.conversations = {each.id: each for each in read}
            if branched := [each.id for each in read if each.branches > 1]:
                for row in await self._database.read(_BRANCHES, {"tenant": owner.tenant, **_ids(branched)}):
                    branch = BranchFound(*row)
                    found.branches.setdefault(branch.conversation, []).append(branch)
        if items := [row for row in there if row.kind == "item"]:
            wanted = as_json({"conversation": row.conversation, "id": row.id} for row in items)
            read = [ItemFound(*row) for row in await self._database.read(_ITEMS, {**of, "wanted": wanted})]
            found.items = {(each.conversation, each.id): each for each in read}
        if ids := [row.id for row in there if row.kind == "feedback"]:
            read = [FeedbackFound(*row) for row in await self._database.read(_FEEDBACK, {**of, **_ids(ids)})]
            found.feedback = {each.response: each for each in read}
        if ids := [row.id for row in there if row.kind == "fact"]:
            of_person = {"tenant": owner.tenant, "person": owner.person}
            read = [FactFound(*row) for row in await self._database.read(_FACTS, {**of_person, **_ids(ids)})]
            found.facts = {each.id: each for each in read}
        return found

    async def brought_by(self, owner: Owner, conversation_id: str, item_id: str) -> str | None:
        """The response that brought an item along, deleted or not; "" where none did, None where there is no item."""
        asked = {**owner._asdict(), "conversation": conversation_id, "id": item_id}
        rows = await self._database.read(_BROUGHT_BY, asked)
        return (rows[0][0] or "") if rows else None


def _ids(ids: Iterable[str]) -> dict[str, str]:
    return {"wanted": as_json({"id": each} for each in ids)}


# --- statements ---------------------------------------------------------------------------------

_NOW = bindparam("now_ms", type_=BigInteger)
_TENANT, _PERSON = bindparam("tenant", type_=Text), bindparam("person", type_=Text)
_wanted_ids = json_rows("wanted", Column("id", Text))
_wanted_items = json_rows("wanted", Column("conversation", Text), Column("id", Text))
_wanted_things = json_rows(
    "wanted", Column("place", Integer), Column("kind", Text), Column("conversation", Text), Column("id", Text)
)


def _is_owners(table: FromClause) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(name, type_=Text) for name in Owner._fields))


def _lasts(table: FromClause) -> ColumnElement[bool]:
    return or_(table.c.expires_at_ms.is_(None), table.c.expires_at_ms > _NOW)


_bytes = func.length(conversation_item.c.content)
_CONVERSATIONS = Query(
    select(*(conversation.c[name] for name in ConversationFound._fields)).join_from(
        _wanted_ids,
        conversation,
        and_(_is_owners(conversation), conversation.c.id == _wanted_ids.c.id, _lasts(conversation)),
    )
)
_BRANCHES = Query(
    select(*(conversation_branch.c[name] for name in BranchFound._fields))
    .join_from(
        _wanted_ids,
        conversation_branch,
        and_(conversation_branch.c.tenant == _TENANT, conversation_branch.c.conversation == _wanted_ids.c.id),
    )
    .order_by(conversation_branch.c.conversation, conversation_branch.c.number)
)
_is_wanted_item = and_(
    conversation_item.c.tenant == _TENANT,
    conversation_item.c.conversation == _wanted_items.c.conversation,
    conversation_item.c.id == _wanted_items.c.id,
    conversation_item.c.branch >= 0,
    conversation_item.c.content.is_not(None),
)
_ITEMS = Query(
    select(
        *(conversation_item.c[name] for name in ItemFound._fields if name not in ("bytes", "content")),
        _bytes,
        case((_bytes <= literal(MOST_ITEM_BYTES), conversation_item.c.content)),
    )
    .select_from(_wanted_items)
    .join(
        conversation,
        and_(_is_owners(conversation), conversation.c.id == _wanted_items.c.conversation, _lasts(conversation)),
    )
    .join(conversation_item, _is_wanted_item)
)
_BROUGHT_BY = Query(
    select(conversation_item.c.response)
    .join_from(
        conversation,
        conversation_item,
        and_(
            conversation_item.c.tenant == conversation.c.tenant, conversation_item.c.conversation == conversation.c.id
        ),
    )
    .where(
        _is_owners(conversation),
        conversation.c.id == bindparam("conversation"),
        conversation_item.c.id == bindparam("id"),
        conversation_item.c.branch >= 0,
    )
)
_FEEDBACK = Query(
    select(*(feedback.c[name] for name in FeedbackFound._fields)).join_from(
        _wanted_ids, feedback, and_(_is_owners(feedback), feedback.c.response == _wanted_ids.c.id, _lasts(feedback))
    )
)
_FACTS = Query(
    select(*(fact.c[name] for name in FactFound._fields)).join_from(
        _wanted_ids, fact, and_(fact.c.tenant == _TENANT, fact.c.person == _PERSON, fact.c.id == _wanted_ids.c.id)
    )
)


def _length_of(*columns: ColumnElement[Any]) -> ColumnElement[int]:
    total: ColumnElement[int] = literal_column("0")
    for column in columns:
        total = total + func.coalesce(func.length(column), literal_column("0"))
    return total


_is_kind = _wanted_things.c.kind
_told_bytes = case((_bytes <= literal(MOST_ITEM_BYTES), _bytes))
_SIZES = Query(
    select(
        _wanted_things.c.place,
        func.coalesce(_told_bytes, literal_column("0"))
        + _length_of(conversation.c.metadata, conversation.c.follow_ups, conversation.c.title)
        + _length_of(feedback.c.comment, feedback.c.correction),
    )
    .select_from(_wanted_things)
    .outerjoin(
        conversation_item,
        and_(
            _is_kind == literal_column("'item'"),
            conversation_item.c.tenant == _TENANT,
            conversation_item.c.conversation == _wanted_things.c.conversation,
            conversation_item.c.id == _wanted_things.c.id,
        ),
    )
    .outerjoin(
        conversation,
        and_(
            _is_kind == literal_column("'conversation'"),
            conversation.c.tenant == _TENANT,
            conversation.c.id == _wanted_things.c.conversation,
        ),
    )
    .outerjoin(
        feedback,
        and_(
            _is_kind == literal_column("'feedback'"),
            _is_owners(feedback),
            feedback.c.response == _wanted_things.c.id,
        ),
    )
)
