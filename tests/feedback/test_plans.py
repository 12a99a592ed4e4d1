"""No page reads more of a tenant than it must: an owner's are found by their owner, sums by their range."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import asyncpg
import pytest

from frontdesk.feedback import store
from frontdesk.feedback.question import GROUPINGS, NARROWINGS
from frontdesk.feedback.store import groups_query, list_query

ONLY = [only for count in range(len(NARROWINGS) + 1) for only in itertools.combinations(sorted(NARROWINGS), count)]


@pytest.fixture
def connection(sqlite_template: Path):
    connection = sqlite3.connect(sqlite_template)
    yield connection
    connection.close()


def plan_of(connection: sqlite3.Connection, sql: str) -> list[str]:
    return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_RATED", "SEARCH turn USING PRIMARY KEY (tenant=? AND id=?)"),
        ("_FIND", "SEARCH feedback USING PRIMARY KEY (tenant=? AND person=? AND credential=? AND response=?)"),
        ("_DELETE", "SEARCH feedback USING PRIMARY KEY (tenant=? AND person=? AND credential=? AND response=?)"),
        (
            "_LIST_OWN",
            "SEARCH feedback USING INDEX ix_feedback_owner (tenant=? AND person=? AND credential=? AND id<?)",
        ),
    ],
)
def test_an_owners_are_found_by_their_owner(connection: sqlite3.Connection, name: str, expected: str) -> None:
    assert plan_of(connection, vars(store)[name].for_sqlite().sql) == [expected]


def test_pages_of_everybody_are_not_sorted(connection: sqlite3.Connection) -> None:
    """They are read from the latest on, until one is full."""
    for only in ONLY:
        assert plan_of(connection, list_query(only, has_range=False).for_sqlite().sql) == [
            "SEARCH feedback USING INDEX uq_feedback_id (tenant=? AND id<?)"
        ]


def test_what_has_a_range_reads_no_more_than_that(connection: sqlite3.Connection) -> None:
    sums = [groups_query(group_by, only) for group_by, only in itertools.product(GROUPINGS, ONLY)]
    for query in [*sums, *(list_query(only, has_range=True) for only in ONLY)]:
        first, *rest = plan_of(connection, query.for_sqlite().sql)
        assert first.startswith("SEARCH feedback USING INDEX ix_feedback_created_at_ms (tenant=? AND created_at_ms>?")
        assert all("TEMP B-TREE" in step for step in rest)


FILL = """
INSERT INTO feedback (tenant, person, credential, response, id, rating, feature, model, prompt, created_at_ms,
  changed_at_ms)
SELECT 'default', 'u' || n % 500, '', 'resp_' || n, 'fb_' || lpad(to_hex(n), 32, '0'), 'up', 'chat', 'fast', '',
  n * 300000::bigint, 0
FROM generate_series(1, 20000) AS n;
ANALYZE feedback
"""


async def test_postgresql_finds_them_by_indexes(postgresql_url: str) -> None:
    """Of 500 people's 20,000: one's, the latest of all, and a day's."""
    owner = {"tenant": "default", "person": "u7", "credential": "", "now_ms": 0}
    behind = {"after": "fb_g", "limit": 20}
    day = {"of_tenant": "default", "from_ms": 86_400_000, "to_ms": 172_800_000, "now_ms": 0}
    asked = [
        (store._LIST_OWN, {**owner, **behind}, "ix_feedback_owner"),
        (store._FIND, {**owner, "response": "resp_7"}, "pk_feedback"),
        (list_query((), has_range=False), {**day, **behind}, "uq_feedback_id"),
        (groups_query("model", ("rating",)), {**day, "of_rating": "up", "limit": 9}, "ix_feedback_created_at_ms"),
    ]
    connection = await asyncpg.connect(postgresql_url)
    try:
        await connection.execute(FILL)
        for number, (query, values, index) in enumerate(asked):
            compiled = query.for_postgresql()
            told = ", ".join(f"'{value}'" for value in compiled.bind(values))
            await connection.execute(f"PREPARE asked_{number} AS {compiled.sql}")
            plan = await connection.fetch(f"EXPLAIN EXECUTE asked_{number}({told})")
            assert index in "\n".join(row[0] for row in plan), query.statement
    finally:
        await connection.close()
