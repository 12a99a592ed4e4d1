"""Rows of feedback: one of each owner for each response, which a later one replaces.

What has expired is as good as not there; `keeping`'s sweep removes it.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
)

from frontdesk.changes.store import Change, note
from frontdesk.feedback.question import Grouping, Narrowing, Question
from frontdesk.feedback.rows import FeedbackRow, Rated, Rating
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import feedback, turn

_BEHIND_ALL = "fb_" + "g" * 32

Group = tuple[str | int | None, int, int]
"""A value, or a day counted since 1970; how many were up, and how many down."""


def put(row: FeedbackRow, now_ms: int) -> Generator[Step, list[Row], FeedbackRow]:
    """Keep it in place of what its owner said of the response before, the id and the beginning of which stay; part of
    a transaction.
    """
    (kept,) = yield Step(_PUT, {**msgspec.structs.asdict(row), "now_ms": now_ms})
    yield note(Change(row.tenant, row.person, "", "feedback", row.response, now_ms))
    return _read(kept)


def remove(owner: Owner, response_id: str, now_ms: int) -> Generator[Step, list[Row], str | None]:
    """Remove what an owner said of a response; part of a transaction. Returns its id, None where there is nothing."""
    it = {f"of_{name}": value for name, value in owner._asdict().items()}
    removed = yield Step(_DELETE, {**it, "of_response": response_id, "now_ms": now_ms})
    if not removed:
        return None
    yield note(Change(owner.tenant, owner.person, "", "feedback", response_id, now_ms, is_deleted=True))
    return removed[0][0]


class FeedbackStore:
    """The feedback of all tenants, each asked for by its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- an owner's own -------------------------------------------------------------------------

    async def rated(self, owner: Owner, response_id: str) -> Rated | None:
        """The turn of this id, if it is this owner's and its row is written: some milliseconds after it began."""
        rows = await self._database.read(_RATED, {**owner._asdict(), "response": response_id})
        return Rated(*rows[0]) if rows else None

    async def put(self, row: FeedbackRow, now_ms: int) -> FeedbackRow:
        """Keep it in place of what its owner said of the response before, the id and the beginning of which stay."""

        def work() -> Generator[Step, list[Row], FeedbackRow]:
            return (yield from put(row, now_ms))

        return await self._database.transact(work, Lane.EVENTS)

    async def delete(self, owner: Owner, response_id: str, now_ms: int) -> str | None:
        """Remove what an owner said of a response; returns its id, None where there is nothing."""

        def work() -> Generator[Step, list[Row], str | None]:
            return (yield from remove(owner, response_id, now_ms))

        return await self._database.transact(work, Lane.EVENTS)

    async def find(self, owner: Owner, response_id: str, now_ms: int) -> FeedbackRow | None:
        """What an owner said of a response."""
        rows = await self._database.read(_FIND, {**owner._asdict(), "response": response_id, "now_ms": now_ms})
        return _read(rows[0]) if rows else None

    async def list_own(self, owner: Owner, after: str, limit: int, now_ms: int) -> list[FeedbackRow]:
        """What an owner said, the latest first; behind the id `after`, where that is not empty."""
        page = {**owner._asdict(), "after": after or _BEHIND_ALL, "limit": limit, "now_ms": now_ms}
        return [_read(row) for row in await self._database.read(_LIST_OWN, page)]

    # --- a tenant's -----------------------------------------------------------------------------

    async def list_of(self, tenant: str, question: Question, after: str, limit: int, now_ms: int) -> list[FeedbackRow]:
        """What everybody said, the latest first; behind the id `after`, where that is not empty."""
        page = {**_asked(tenant, question, now_ms), "after": after or _BEHIND_ALL, "limit": limit}
        query = list_query(tuple(sorted(question.only)), has_range=not question.is_of_all_times)
        rows = await self._database.read(query, page)
        return [_read(row) for row in rows]

    async def groups(self, tenant: str, question: Question, group_by: Grouping, limit: int, now_ms: int) -> list[Group]:
        """How often everybody said up and down, by a value, in no order: so many at most."""
        asked = {**_asked(tenant, question, now_ms), "limit": limit}
        rows = await self._database.read(groups_query(group_by, tuple(sorted(question.only))), asked)
        return [(value, up, down) for value, up, down in rows]


def _asked(tenant: str, question: Question, now_ms: int) -> dict[str, object]:
    return {
        "of_tenant": tenant,
        "from_ms": question.from_ms,
        "to_ms": question.to_ms,
        "now_ms": now_ms,
        **{f"of_{name}": value for name, value in question.only.items()},
    }


def _read(row: Row) -> FeedbackRow:
    return FeedbackRow(**dict(zip(FeedbackRow.__struct_fields__, row, strict=True)))


# --- statements ---------------------------------------------------------------------------------

_COLUMNS = [feedback.c[name] for name in FeedbackRow.__struct_fields__]
_NOW = bindparam("now_ms", type_=BigInteger)
_LASTS = or_(feedback.c.expires_at_ms.is_(None), feedback.c.expires_at_ms > _NOW)
_IS_OWNERS: ColumnElement[bool] = and_(*(feedback.c[name] == bindparam(name) for name in Owner._fields))

_person, _credential = bindparam("person", type_=Text), bindparam("credential", type_=Text)
_RATED = Query(
    select(turn.c.tier, turn.c.feature, turn.c.model, turn.c.prompt).where(
        turn.c.tenant == bindparam("tenant"),
        turn.c.id == bindparam("response"),
        # Of a person's turns the credential is a session, and theirs whichever it was.
        or_(
            and_(_person != "", turn.c.person == _person),
            and_(_person == "", turn.c.person.is_(None), turn.c.credential == _credential),
        ),
    )
)
_put = insert(feedback)
_KEEPS = ("id", "created_at_ms")
_PUT = Query(
    _put.on_conflict_do_update(
        index_elements=list(feedback.primary_key.columns),
        set_={
            column.name: case((_LASTS, column), else_=_put.excluded[column.name])
            if column.name in _KEEPS
            else _put.excluded[column.name]
            for column in feedback.c
            if not column.primary_key
        },
    ).returning(*_COLUMNS)
)
_DELETE = Query(
    delete(feedback)
    .where(
        *(feedback.c[name] == bindparam(f"of_{name}") for name in (*Owner._fields, "response")),
        _LASTS,
    )
    .returning(feedback.c.id)
)
_FIND = Query(select(*_COLUMNS).where(_IS_OWNERS, feedback.c.response == bindparam("response"), _LASTS))
_IS_BEHIND = feedback.c.id < bindparam("after")
_LIST_OWN = Query(
    select(*_COLUMNS).where(_IS_OWNERS, _IS_BEHIND, _LASTS).order_by(feedback.c.id.desc()).limit(bindparam("limit"))
)


def _is_asked_for(only: tuple[Narrowing, ...]) -> ColumnElement[bool]:
    return and_(
        feedback.c.tenant == bindparam("of_tenant"),
        *(feedback.c[name] == bindparam(f"of_{name}") for name in only),
        _LASTS,
    )


_IS_IN_RANGE = and_(feedback.c.created_at_ms >= bindparam("from_ms"), feedback.c.created_at_ms < bindparam("to_ms"))


@functools.cache  # there are 64
def list_query(only: tuple[Narrowing, ...], *, has_range: bool) -> Query:
    """The statement of all pages that are narrowed to values of these.

    Without a range they are read from the latest on, until one is full: nothing is sorted.
    """
    return Query(
        select(*_COLUMNS)
        .where(_is_asked_for(only), _IS_BEHIND, *([_IS_IN_RANGE] if has_range else []))
        .order_by(feedback.c.id.desc())
        .limit(bindparam("limit"))
    )


@functools.cache  # there are 160
def groups_query(group_by: Grouping, only: tuple[Narrowing, ...]) -> Query:
    """The statement of all sums by this that are narrowed to values of those."""
    value: ColumnElement[Any] = _DAY if group_by == "day" else feedback.c[group_by]
    return Query(
        select(value, _number_of("up"), _number_of("down"))
        .where(_is_asked_for(only), _IS_IN_RANGE)
        # By its place: a day is reckoned, and has no name.
        .group_by(literal_column("1"))
        .limit(bindparam("limit"))
    )


_ONE: ColumnElement[Any] = literal_column("1")
_DAY: ColumnElement[int] = feedback.c.created_at_ms // literal_column("86400000", BigInteger)


def _number_of(rating: Rating) -> ColumnElement[int]:
    return func.count(case((feedback.c.rating == literal_column(f"'{rating}'"), _ONE)))
