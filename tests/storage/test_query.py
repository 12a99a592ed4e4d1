"""Statements compile for both engines, once, and bind values by name."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam

from frontdesk.storage.query import BoundStep, Query, bind_step, insert
from tests.storage.notes import ADD, CREATE, PUT, notes


def test_an_insert_takes_every_column_by_its_name():
    sqlite, postgresql = ADD.for_sqlite(), ADD.for_postgresql()

    assert sqlite.sql == "INSERT INTO note (id, text) VALUES (?, ?)"
    assert postgresql.sql == "INSERT INTO note (id, text) VALUES ($1::BIGINT, $2::VARCHAR)"
    assert sqlite.bind({"text": "one", "id": 1}) == postgresql.bind({"text": "one", "id": 1}) == (1, "one")


def test_a_statement_is_compiled_once():
    assert ADD.for_sqlite() is ADD.for_sqlite()
    assert ADD.for_postgresql() is ADD.for_postgresql()


def test_an_upsert_says_the_same_to_both():
    clause = "ON CONFLICT (id) DO UPDATE SET text = excluded.text"

    assert PUT.for_sqlite().sql.endswith(clause)
    assert PUT.for_postgresql().sql.endswith(clause)


def test_constants_of_a_statement_are_bound_with_the_values():
    query = Query(sa.select(notes.c.id).where(notes.c.text == "constant", notes.c.id > bindparam("after")).limit(5))

    assert query.for_sqlite().bind({"after": 3}) == ("constant", 3, 5, 0)
    assert query.for_postgresql().bind({"after": 3}) == ("constant", 3, 5)


def test_a_value_that_is_used_twice_is_bound_twice():
    query = Query(sa.select(notes.c.id).where((notes.c.id == bindparam("n")) | (notes.c.id == -bindparam("n"))))

    assert query.for_sqlite().bind({"n": 7}) == (7, 7)
    assert query.for_postgresql().bind({"n": 7}) == (7,)


def test_statements_without_values_bind_none():
    assert CREATE.for_sqlite().bind({}) == ()
    assert Query(sa.select(notes.c.id)).for_postgresql().bind({}) == ()


def test_a_single_value_is_bound_as_one():
    assert Query(sa.delete(notes).where(notes.c.id == bindparam("id"))).for_sqlite().bind({"id": 1}) == (1,)


def test_a_missing_value_is_named():
    with pytest.raises(KeyError, match="text"):
        bind_step(ADD.for_sqlite(), {"id": 1})


def test_a_sequence_of_values_is_bound_in_order():
    bound = bind_step(ADD.for_sqlite(), [{"id": 1, "text": "one"}, {"text": "two", "id": 2}])

    assert bound == BoundStep(ADD.for_sqlite().sql, [(1, "one"), (2, "two")], is_many=True)


def test_lists_are_refused():
    """They would make another statement of every length, and defeat the engines' caches."""
    with pytest.raises(TypeError, match="Lists are not supported"):
        Query(sa.select(notes.c.id).where(notes.c.id.in_([1, 2]))).for_sqlite()


def test_a_returning_insert_compiles_for_both():
    query = Query(insert(notes).returning(notes.c.id))

    assert query.for_sqlite().sql.endswith("RETURNING id")
    assert query.for_postgresql().sql.endswith("RETURNING note.id")
