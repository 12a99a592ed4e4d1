"""Rows of carriers: processes that carry kept turns, and what dead ones have left behind.

A carrier may go on only while its row is there and not fenced. Who takes over its turns fences it first, which waits
for the writes of it that are under way; afterwards it can write none.
"""

from __future__ import annotations

from collections.abc import Generator

from sqlalchemy import bindparam, exists, or_, select, update

from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.responses import COLUMNS, read_row
from frontdesk.storage.processes import is_of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import process, response, response_event


def begin(carrier: str, now_ms: int) -> Step:
    """A carrier begins."""
    values = {"id": carrier, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms, "fenced_at_ms": None}
    return Step(_BEGIN, values)


def beat(carrier: str, now_ms: int) -> Step:
    """Say that a carrier lives; brings a row where it may go on."""
    return Step(_BEAT, {"of_id": carrier, "now_ms": now_ms})


def may_go_on(carrier: str) -> Step:
    """Brings a row where a carrier may go on; nobody can fence it then until the transaction has ended."""
    return Step(_MAY_GO_ON, {"id": carrier})


def put_events(rows: list[dict[str, object]]) -> Step:
    """Keep entries as they came: tenant, response, first, last, content.

    Where a commit was not acknowledged they come again, from the same place on, and there may be more of them.
    """
    return Step(_PUT_EVENTS, rows)


def take_some(
    dead: dict[str, object], carrier: str, now_ms: int, limit: int
) -> Generator[Step, list[Row], list[ResponseRow]]:
    """Fence one dead carrier and take over some of its turns, or some that nobody carries; part of a transaction.

    `dead` says who is (`processes.of_dead`), with "me" for the one who asks.
    """
    found = yield Step(_FIND_LEFT, dead)
    if not found:
        return []
    (left_by,) = found[0]
    if left_by is not None:
        yield Step(_FENCE, {"of_id": left_by, "now_ms": now_ms})
    taken = yield Step(_TAKE, {"left_by": left_by, "new_carrier": carrier, "limit": limit})
    return [read_row(row) for row in taken]


def wanted_cancels(carrier: str) -> tuple[Query, dict[str, object]]:
    """The statement that finds the ids of a carrier's turns which are to end, and its values."""
    return _WANTED_CANCELS, {"carrier": carrier}


_put = insert(response_event)
_PUT_EVENTS = Query(
    _put.on_conflict_do_update(
        index_elements=list(response_event.primary_key),
        set_={"last": _put.excluded.last, "content": _put.excluded.content},
        where=response_event.c.last < _put.excluded.last,
    )
)
_begin = insert(process)
_BEGIN = Query(
    _begin.on_conflict_do_update(
        index_elements=[process.c.id], set_={"heartbeat_at_ms": _begin.excluded.heartbeat_at_ms}
    )
)
_BEAT = Query(
    update(process)
    .where(process.c.id == bindparam("of_id"), process.c.fenced_at_ms.is_(None))
    .values(heartbeat_at_ms=bindparam("now_ms"))
    .returning(process.c.id)
)
_MAY_GO_ON = Query(
    select(process.c.id)
    .where(process.c.id == bindparam("id"), process.c.fenced_at_ms.is_(None))
    .with_for_update(read=True)
)
_open = response.c.finished_at_ms.is_(None)
_is_fenced = exists().where(process.c.id == response.c.owner, process.c.fenced_at_ms.is_not(None))
_FIND_LEFT = Query(
    select(response.c.owner)
    .where(_open, or_(response.c.owner.is_(None), is_of_dead(response.c.owner), _is_fenced))
    .limit(1)
)
_FENCE = Query(
    update(process)
    .where(process.c.id == bindparam("of_id"), process.c.fenced_at_ms.is_(None))
    .values(fenced_at_ms=bindparam("now_ms"))
)
# Asked once, and not for each row that is taken: else PostgreSQL finds more of them each time.
_left = (
    select(response.c.tenant, response.c.id)
    .where(_open, response.c.owner.is_not_distinct_from(bindparam("left_by")))
    .order_by(response.c.tenant, response.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    .cte("taken")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_TAKE = Query(
    update(response)
    .where(_open, response.c.tenant == _left.c.tenant, response.c.id == _left.c.id)
    .values(owner=bindparam("new_carrier"))
    .returning(*COLUMNS)
)
_WANTED_CANCELS = Query(
    select(response.c.tenant, response.c.id).where(
        _open, response.c.owner == bindparam("carrier"), response.c.wants_cancel
    )
)
