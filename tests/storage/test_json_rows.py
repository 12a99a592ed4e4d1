"""Rows out of one bound value, alike on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.storage.database import Database, open_database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import budget_window
from tests.storage.notes import ADD, LIST, note
from tests.storage.notes import notes as notes_table

_wanted = json_rows("wanted", notes_table.c.id, sa.Column("more", sa.Text))
_is_wanted = notes_table.c.id == _wanted.c.id

LOCK = Query(
    sa.select(notes_table.c.id, notes_table.c.text, _wanted.c.more)
    .join_from(_wanted, notes_table, _is_wanted)
    .order_by(notes_table.c.id)
    .with_for_update(of=notes_table)
)
WITH_WHAT_IS_MISSING = Query(
    sa.select(_wanted.c.id, notes_table.c.text).outerjoin_from(_wanted, notes_table, _is_wanted).order_by(_wanted.c.id)
)
EXTEND = Query(sa.update(notes_table).where(_is_wanted).values(text=notes_table.c.text + _wanted.c.more))
_put = insert(notes_table).from_select(["id", "text"], sa.select(_wanted.c.id, _wanted.c.more).where(sa.true()))
PUT_ALL = Query(
    _put.on_conflict_do_update(
        index_elements=[notes_table.c.id], set_={"text": notes_table.c.text + _put.excluded.text}
    )
)


def _rows(*numbers: int) -> dict[str, object]:
    return {"wanted": as_json({"id": number, "more": f"+{number}"} for number in numbers)}


async def test_many_rows_are_locked_and_read_by_one_statement(notes: Database):
    await notes.write(Step(ADD, [note(number, f"note {number}") for number in range(10)]))

    ((rows),) = await notes.write(Step(LOCK, _rows(7, 3, 99, 5)))

    assert rows == [(3, "note 3", "+3"), (5, "note 5", "+5"), (7, "note 7", "+7")]


async def test_what_is_missing_is_told(notes: Database):
    await notes.write(Step(ADD, note(1, "one")))

    assert await notes.read(WITH_WHAT_IS_MISSING, _rows(2, 1)) == [(1, "one"), (2, None)]


async def test_no_rows_are_none(notes: Database):
    await notes.write(Step(ADD, note(1, "one")))

    assert await notes.write(Step(LOCK, _rows()), Step(EXTEND, _rows()), Step(PUT_ALL, _rows())) == [[], [], []]
    assert await notes.read(LIST) == [(1, "one")]


async def test_an_update_takes_each_row_its_own_value(notes: Database):
    await notes.write(Step(ADD, [note(1, "one"), note(2, "two"), note(3, "three")]))

    await notes.write(Step(EXTEND, _rows(3, 1, 99)))

    assert await notes.read(LIST) == [(1, "one+1"), (2, "two"), (3, "three+3")]


async def test_an_upsert_takes_them_all(notes: Database):
    await notes.write(Step(ADD, note(1, "one")))

    await notes.write(Step(PUT_ALL, _rows(1, 2)))

    assert await notes.read(LIST) == [(1, "one+1"), (2, "+2")]


async def test_those_who_lock_in_different_orders_do_not_deadlock(postgresql_url: str):
    """The statement's own order is that of the locks: no run of any of them was in vain."""
    one, two = await open_database(postgresql_url), await open_database(postgresql_url)
    await one.write(Step(Query(sa.schema.CreateTable(notes_table))))
    await one.write(Step(ADD, [note(number, "") for number in range(30)]))
    runs: list[int] = []

    def extend(numbers: range) -> Callable[[], Generator[Step, list[Row], Any]]:
        def work() -> Generator[Step, list[Row], Any]:
            runs.append(1)
            yield Step(LOCK, _rows(*numbers))
            yield Step(EXTEND, {"wanted": as_json({"id": number, "more": "x"} for number in numbers)})

        return work

    up, down = range(30), range(29, -1, -1)
    await asyncio.gather(
        *(one.transact(extend(up)) for _ in range(20)), *(two.transact(extend(down)) for _ in range(20))
    )

    assert await one.read(LIST) == [(number, "x" * 40) for number in range(30)]
    assert len(runs) == 40
    await one.close()
    await two.close()


async def test_sqlite_looks_the_rows_up_by_their_key(sqlite_url: str):
    """Not the other way round: there are many windows and few that are wanted."""
    keys = [budget_window.c[name] for name in ("scope", "period", "starts_at_ms")]
    wanted = json_rows("wanted", *keys)
    is_wanted = sa.and_(
        budget_window.c.tenant == sa.bindparam("tenant"), *(column == wanted.c[column.name] for column in keys)
    )
    statements = [
        sa.select(budget_window.c.spent_micros).join_from(wanted, budget_window, is_wanted).order_by(*keys),
        sa.update(budget_window).where(is_wanted).values(spent_micros=sa.literal(1)),
    ]
    database = await open_database(sqlite_url)
    for statement in statements:
        compiled = Query(statement).for_sqlite()
        plan = Query(sa.text(f"EXPLAIN QUERY PLAN {compiled.sql.replace('?', ':x')}").columns())
        details = "; ".join(row[3] for row in await database.read(plan, {"x": "[]"}))
        assert (
            "SEARCH budget_window USING PRIMARY KEY (tenant=? AND scope=? AND period=? AND starts_at_ms=?)" in details
        )
    await database.close()


_VALUES = {
    "text": sa.Column("text", sa.Text),
    "whole": sa.Column("whole", sa.BigInteger),
    "small": sa.Column("small", sa.Integer),
    "real": sa.Column("real", sa.Double),
    "is_so": sa.Column("is_so", sa.Boolean),
}
_all_types = json_rows("given", *_VALUES.values())
READ_BACK = Query(sa.select(*(_all_types.c[name] for name in _VALUES)))
_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))  # which PostgreSQL has not
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.none() | _TEXT,
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "small": st.none() | st.integers(-(2**31), 2**31 - 1),
            "real": st.none() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
            "is_so": st.none() | st.booleans(),
            "unknown": _TEXT,
        },
    )
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
async def test_values_come_as_they_were_given(database: Database, rows: list[dict[str, object]]):
    expected = [tuple(row.get(name) for name in _VALUES) for row in rows]

    assert await database.read(READ_BACK, {"given": as_json(rows)}) == expected


@pytest.mark.parametrize("columns", [[], [sa.Column("value", sa.LargeBinary)]])
def test_columns_that_json_does_not_have_are_refused(columns: list[sa.Column[Any]]):
    with pytest.raises(TypeError, match="JSON has no rows of"):
        json_rows("rows", *columns)
