"""Rows of summaries: kept, and gone with whatever they are of.

    of a conversation    with it, and with any item of it that is deleted
    of a chain           with the response that it goes up to, and with any before that which its owner deletes

Whoever has read what there was sums it up without a lock, so it is looked at again when the summary is to be kept: all
that was read must still be there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import msgspec
from sqlalchemy import ColumnElement, Text, and_, bindparam, delete, literal_column, select

from frontdesk.files.owner import Owner
from frontdesk.memory.rows import SummaryRow
from frontdesk.memory.store.told import MOST_SUMMARIES
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import conversation, conversation_item, response, summary


def put(row: SummaryRow) -> Generator[Step, list[Row], None]:
    """Keep a summary, in place of an earlier one of the same anchor; part of a transaction.

    Of a conversation only the latest ones stay.
    """
    yield Step(_PUT, msgspec.structs.asdict(row))
    if row.conversation:
        forget_old = _FORGET_OLD if row.content else _FORGET_OLD_VAIN
        yield Step(forget_old, {"of_tenant": row.tenant, "of_conversation": row.conversation})


def owner_of_all(
    tenant: str, conversation_id: str, before: str, read: Sequence[str]
) -> Generator[Step, list[Row], Owner | None]:
    """Whose all is that a summary is made of; None where not all of it is there any more. Part of the transaction that
    keeps it, up to whose end nothing of it goes.

    That is the summary whose anchor is `before`, "" for none, and what was `read` besides, by their anchors.
    """
    of = {"tenant": tenant, "conversation": conversation_id}
    owners = (yield Step(_LOCK_CONVERSATION, of)) if conversation_id else []
    if conversation_id and not owners:
        return None
    if before and not (yield Step(_LOCK_SUMMARY, {**of, "before": before})):
        return None
    wanted = {**of, "anchors": as_json({"id": each} for each in read)}
    found = yield Step(_FIND_ITEMS if conversation_id else _LOCK_RESPONSES, wanted)
    if len(found) < len(read):
        return None
    person, credential = owners[0] if conversation_id else found[0]
    return Owner(tenant, person, credential)


def forget_in(tenant: str, conversation_id: str) -> Step:
    """Remove all summaries of a conversation; part of the transaction that takes it away, or any item of it."""
    return Step(_FORGET_IN, {"of_tenant": tenant, "of_conversation": conversation_id})


def forget_behind(tenant: str, response_id: str) -> Generator[Step, list[Row], None]:
    """Remove all summaries of chains that go through a response; part of the transaction that has deleted it."""
    it = {"of_tenant": tenant, "of_response": response_id}
    # First whoever folds one of them is waited for, so that what is made of it is there to be seen, and goes as well.
    if (yield Step(_LOCK_BEHIND, it)):
        yield Step(_FORGET_BEHIND, it)


# --- statements ---------------------------------------------------------------------------------

_OF_NONE = literal_column("''", Text)
_put = insert(summary)
_PUT = Query(
    _put.on_conflict_do_update(
        index_elements=list(summary.primary_key.columns),
        set_={column.name: _put.excluded[column.name] for column in summary.c if not column.primary_key},
    )
)
_of_it = and_(summary.c.tenant == bindparam("of_tenant"), summary.c.conversation == bindparam("of_conversation"))


def _forget_old(those: ColumnElement[bool]) -> Query:
    latest = (
        select(summary.c.anchor)
        .where(_of_it, those)
        .order_by(summary.c.created_at_ms.desc(), summary.c["items"].desc())
        .limit(MOST_SUMMARIES)
        .subquery("latest")
    )
    return Query(delete(summary).where(_of_it, those, summary.c.anchor.not_in(select(latest.c.anchor))))


_FORGET_OLD = _forget_old(summary.c.content != literal_column("''", Text))
_FORGET_OLD_VAIN = _forget_old(summary.c.content == literal_column("''", Text))
_FORGET_IN = Query(delete(summary).where(_of_it))

_down = select(bindparam("of_response", type_=Text).label("id")).cte("chain", recursive=True)
_chain = _down.union_all(
    select(response.c.id)
    .join_from(_down, response, response.c.previous == _down.c.id)
    .where(response.c.tenant == bindparam("of_tenant"))
)
_is_behind = and_(
    summary.c.tenant == bindparam("of_tenant"),
    summary.c.conversation == _OF_NONE,
    summary.c.anchor.in_(select(_chain.c.id)),
)
_LOCK_BEHIND = Query(select(summary.c.anchor).where(_is_behind).with_for_update(of=summary))
_FORGET_BEHIND = Query(delete(summary).where(_is_behind))

_LOCK_CONVERSATION = Query(
    select(conversation.c.person, conversation.c.credential)
    .where(conversation.c.tenant == bindparam("tenant"), conversation.c.id == bindparam("conversation"))
    .with_for_update()
)
_LOCK_SUMMARY = Query(
    select(summary.c.anchor)
    .where(
        summary.c.tenant == bindparam("tenant"),
        summary.c.conversation == bindparam("conversation"),
        summary.c.anchor == bindparam("before"),
    )
    .with_for_update()
)
_items = json_rows("anchors", conversation_item.c.id)
_FIND_ITEMS = Query(
    select(conversation_item.c.id).join_from(
        _items,
        conversation_item,
        and_(
            conversation_item.c.tenant == bindparam("tenant"),
            conversation_item.c.conversation == bindparam("conversation"),
            conversation_item.c.id == _items.c.id,
            conversation_item.c.content.is_not(None),
        ),
    )
)
_responses = json_rows("anchors", response.c.id)
_LOCK_RESPONSES = Query(
    select(response.c.person, response.c.credential)
    .join_from(_responses, response, and_(response.c.tenant == bindparam("tenant"), response.c.id == _responses.c.id))
    .order_by(response.c.id)
    .with_for_update(of=response)
)
