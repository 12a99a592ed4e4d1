"""Steps for what devices do by themselves: they begin conversations under ids of their own, and read them.

Each is part of a transaction, as those of `writing`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, Integer, Text, and_, bindparam, literal_column, or_, select, update

from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.tree import MOST_ITEMS
from frontdesk.files.owner import Owner
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import change, conversation, conversation_branch, conversation_item


class Moment(NamedTuple):
    """When an item was put in, and where: later ones are greater, whichever branch they are of."""

    created_at_ms: int
    position: int
    branch: int


def begin(owner: Owner, row: ConversationRow) -> Generator[Step, list[Row], bool]:
    """Keep a conversation that begins, with the branch 0; False where there is one of its id, whoever's."""
    beginning = {"follow_ups": None, "read_item": None, "read_at_ms": None}
    if not (yield Step(_BEGIN, {**msgspec.structs.asdict(row), **owner._asdict(), **beginning})):
        return False
    of = {"tenant": row.tenant, "conversation": row.id}
    yield Step(_PUT_BRANCH, {**of, "number": 0, "parent": None, "fork": 0, "length": 0})
    return True


def was_deleted(owner: Owner, conversation_id: str) -> Generator[Step, list[Row], bool]:
    """Whether a person has deleted a conversation of this id, as far as that is still known."""
    it = {"tenant": owner.tenant, "person": owner.person, "conversation": conversation_id}
    return bool((yield Step(_DELETED, it)))


def moment_of(row: ConversationRow, item_id: str) -> Generator[Step, list[Row], Moment | None]:
    """When an item was put in, and where, deleted or not; None where there never was one of this id."""
    rows = yield Step(_MOMENT, {**_of(row), "id": item_id})
    return Moment(*rows[0]) if rows else None


def read_up_to(row: ConversationRow) -> Generator[Step, list[Row], Moment | None]:
    """How far a conversation was read; None where nobody has said."""
    rows = yield Step(_READ_UP_TO, _of(row))
    return Moment(*rows[0]) if rows else None


def set_read(row: ConversationRow, item_id: str, moment: Moment) -> Step:
    """Say that a conversation was read up to an item."""
    its = {"of_tenant": row.tenant, "of_conversation": row.id}
    return Step(_SET_READ, {**its, "new_item": item_id, "new_ms": moment.created_at_ms})


def answered_up_to(row: ConversationRow, moment: Moment) -> Generator[Step, list[Row], list[str]]:
    """The responses that have ended well, and all of whose items are up to a moment: what has not been read of them."""
    until = {"at_ms": moment.created_at_ms, "at_position": moment.position}
    rows = yield Step(_ANSWERED, {**_of(row), "person": row.person, **until})
    return [response for (response,) in rows]


def _of(row: ConversationRow) -> dict[str, object]:
    return {"tenant": row.tenant, "conversation": row.id}


# --- statements ---------------------------------------------------------------------------------

_TENANT, _CONVERSATION = bindparam("tenant", type_=Text), bindparam("conversation", type_=Text)
_of_conversation = and_(conversation_item.c.tenant == _TENANT, conversation_item.c.conversation == _CONVERSATION)
_moment = [conversation_item.c[name] for name in Moment._fields]

_BEGIN = Query(
    insert(conversation)
    .on_conflict_do_nothing(index_elements=list(conversation.primary_key.columns))
    .returning(conversation.c.id)
)
_PUT_BRANCH = Query(insert(conversation_branch))
_DELETED = Query(
    select(change.c.seq).where(
        change.c.tenant == _TENANT,
        change.c.person == bindparam("person", type_=Text),
        change.c.conversation == _CONVERSATION,
        change.c.kind == literal_column("'conversation'"),
        change.c.id == literal_column("''"),
        change.c.is_deleted,
    )
)
_MOMENT = Query(
    select(*_moment).where(_of_conversation, conversation_item.c.id == bindparam("id"), conversation_item.c.branch >= 0)
)
_READ_UP_TO = Query(
    select(*_moment)
    .join_from(
        conversation,
        conversation_item,
        and_(_of_conversation, conversation_item.c.id == conversation.c.read_item),
    )
    .where(conversation.c.tenant == _TENANT, conversation.c.id == _CONVERSATION)
)
_SET_READ = Query(
    update(conversation)
    .where(conversation.c.tenant == bindparam("of_tenant"), conversation.c.id == bindparam("of_conversation"))
    .values(read_item=bindparam("new_item", type_=Text), read_at_ms=bindparam("new_ms", type_=BigInteger))
)
_at_ms, _at_position = bindparam("at_ms", type_=BigInteger), bindparam("at_position", type_=Integer)
_is_later = or_(
    conversation_item.c.created_at_ms > _at_ms,
    and_(conversation_item.c.created_at_ms == _at_ms, conversation_item.c.position > _at_position),
)
_of_responses = select(conversation_item.c.response).where(_of_conversation, conversation_item.c.response.is_not(None))
_ANSWERED = Query(
    select(change.c.id)
    .where(
        change.c.tenant == _TENANT,
        change.c.person == bindparam("person", type_=Text),
        change.c.conversation == _CONVERSATION,
        change.c.kind == literal_column("'turn'"),
        change.c.state == literal_column("'answered'"),
        change.c.id.in_(_of_responses),
        change.c.id.not_in(_of_responses.where(_is_later)),
    )
    .order_by(change.c.id)
    .limit(MOST_ITEMS)
)
