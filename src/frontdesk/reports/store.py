"""Sums over the turns of one tenant and their attempts.

A turn counts when it began, and so do its attempts, as its budgets have it. So a range is found by one index, and a
statement over a part of it sees each of its turns whole. Turns that never asked a provider have no attempt and
count all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    cast,
    distinct,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)

from frontdesk.reports.question import OF_ATTEMPTS, Dimension, Narrowing, Question
from frontdesk.reports.sums import COLUMNS, SOURCES, TOKENS, Sums
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import attempt, turn

Key = tuple[str | int | None, ...]
"""The values of a group in the order of its question; hours and days are counted since 1970, a month is None."""


class UsageReader:
    """The usage of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def groups(self, question: Question, limit: int) -> list[tuple[Key, Sums]]:
        """The groups of a question whose range lies within one month, in no order: so many at most."""
        statement = usage_query(question.group_by, tuple(sorted(question.only)))
        values = {
            "of_tenant": self._tenant,
            "from_ms": question.from_ms,
            "to_ms": question.to_ms,
            "limit": limit,
            **{f"of_{name}": value for name, value in question.only.items()},
        }
        width = len(question.group_by)
        rows = await self._database.read(statement, values)
        # Without groups there is one row, of nothing where there was none.
        return [(row[:width], row[width:]) for row in rows if row[width + _TURNS]]


class LengthRow(NamedTuple):
    """How many turns of a feature and a model had this limit and an answer of this length. `is_cut` is 1 or 0."""

    feature: str | None
    model: str | None
    given: int | None
    used: int
    is_cut: int
    turns: int


class LengthReader:
    """How long the answers of one tenant got."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def lengths(self, question: Question, limit: int) -> Iterator[LengthRow]:
        """The lengths of a question's range, in no order: so many at most. It groups by nothing."""
        values = {
            "of_tenant": self._tenant,
            "from_ms": question.from_ms,
            "to_ms": question.to_ms,
            "limit": limit,
            **{f"of_{name}": value for name, value in question.only.items()},
        }
        rows = await self._database.read(lengths_query(tuple(sorted(question.only))), values)
        return map(LengthRow._make, rows)  # one by one, for there may be many


_TURNS = COLUMNS.index("turns")

# --- statements ---------------------------------------------------------------------------------

# More tokens than any call has, and more micro-dollars; a provider that reports nonsense must not make sums overflow.
_MOST: ColumnElement[Any] = literal_column("1000000000000")
_ONE: ColumnElement[Any] = literal_column("1")
_NOTHING: ColumnElement[Any] = literal_column("0")
_COLUMNS: Mapping[Dimension | Narrowing, ColumnElement[Any]] = {
    "user": turn.c.person,
    "feature": turn.c.feature,
    "model": turn.c.model,
    "provider": attempt.c.provider,
    "provider_model": attempt.c.model,
    "purpose": attempt.c.purpose,
    "tier": turn.c.tier,
    "status": turn.c.status,
    "role": turn.c.caller,
    "hour": turn.c.started_at_ms // literal_column("3600000", BigInteger),
    "day": turn.c.started_at_ms // literal_column("86400000", BigInteger),
    "month": null(),  # a read lies within one
}
_ENDED_BADLY = or_(attempt.c.status == literal_column("'failed'"), attempt.c.status == literal_column("'abandoned'"))
# What still runs has no price yet.
_HAS_NO_PRICE = and_(attempt.c.status != literal_column("'running'"), attempt.c.cost_micros.is_(None))


@functools.lru_cache(maxsize=256)  # of more than ten thousand that can be asked for, some are
def usage_query(group_by: tuple[Dimension, ...], only: tuple[Narrowing, ...]) -> Query:
    """The statement of all questions that group by these and name a value of those."""
    is_of_attempts = not OF_ATTEMPTS.isdisjoint((*group_by, *only))
    begun = _number_of(_is_first(has_provider="provider" in only))
    cost = _bounded(attempt.c.cost_micros)
    sums = [
        begun,
        func.count(distinct(turn.c.id)) if is_of_attempts else begun,
        func.count(attempt.c.number),
        _number_of(_ENDED_BADLY),
        _number_of(_HAS_NO_PRICE),
        *(_sum_of(_bounded(attempt.c[name])) for name in TOKENS),
        _sum_of(cost),
        *(_sum_of(case((attempt.c.cost_source == literal_column(f"'{source}'"), cost))) for source in SOURCES),
    ]
    attempts = turn.outerjoin(attempt, and_(attempt.c.tenant == turn.c.tenant, attempt.c.turn == turn.c.id))
    statement = (
        select(*(_COLUMNS[name] for name in group_by), *sums)
        .select_from(attempts)
        .where(
            turn.c.tenant == bindparam("of_tenant"),
            turn.c.started_at_ms >= bindparam("from_ms"),
            turn.c.started_at_ms < bindparam("to_ms"),
            *(_COLUMNS[name] == bindparam(f"of_{name}") for name in only),
        )
        .limit(bindparam("limit"))
    )
    # By their places: a value that is reckoned has no name.
    places: list[ColumnElement[Any]] = [
        literal_column(str(place)) for place, name in enumerate(group_by, 1) if name != "month"
    ]
    return Query(statement.group_by(*places) if places else statement)


# A guard's own end has a code. A provider's filter has none: it is told apart by the answer being shorter than it might
# be, which a count of ours cannot say.
_IS_CUT = and_(
    turn.c.status == literal_column("'incomplete'"),
    turn.c.error_code.is_(None),
    turn.c.max_output_tokens.is_not(None),
    or_(turn.c.output_tokens >= turn.c.max_output_tokens, turn.c.usage_source == literal_column("'counted'")),
)


@functools.cache  # there are four
def lengths_query(only: tuple[Narrowing, ...]) -> Query:
    """The statement of all lengths that are narrowed to values of these."""
    columns: list[ColumnElement[Any]] = [
        turn.c.feature,
        turn.c.model,
        turn.c.max_output_tokens,
        _bounded(turn.c.output_tokens),
        case((_IS_CUT, _ONE), else_=_NOTHING),
    ]
    return Query(
        select(*columns, func.count())
        .where(
            turn.c.tenant == bindparam("of_tenant"),
            turn.c.started_at_ms >= bindparam("from_ms"),
            turn.c.started_at_ms < bindparam("to_ms"),
            turn.c.door.in_([literal_column("'chat'"), literal_column("'responses'")]),
            turn.c.status.in_([literal_column("'completed'"), literal_column("'incomplete'")]),
            turn.c.output_tokens.is_not(None),
            *(_COLUMNS[name] == bindparam(f"of_{name}") for name in only),
        )
        # By their places: a value that is reckoned has no name.
        .group_by(*(literal_column(str(place)) for place in range(1, len(columns) + 1)))
        .limit(bindparam("limit"))
    )


def _is_first(*, has_provider: bool) -> ColumnElement[bool]:
    """Whether a row is the one that its turn is counted by: it has no attempt, or this is the first that is asked for.

    Attempts are numbered from 1.
    """
    if not has_provider:
        return or_(attempt.c.number.is_(None), attempt.c.number == _ONE)
    earlier = attempt.alias()
    return ~exists().where(
        earlier.c.tenant == attempt.c.tenant,
        earlier.c.turn == attempt.c.turn,
        earlier.c.number < attempt.c.number,
        earlier.c.provider == attempt.c.provider,
    )


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, _ONE)))


def _sum_of(column: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum that is a whole number on both engines: PostgreSQL's own are decimals, and of nothing they are null."""
    return cast(func.coalesce(func.sum(column), literal_column("0")), BigInteger)


def _bounded(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((column > _MOST, _MOST), else_=column)
