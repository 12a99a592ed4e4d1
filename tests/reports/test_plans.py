"""No report reads more than its range: of all turns by their time, of one person's by theirs."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from frontdesk.reports.question import DIMENSIONS, NARROWINGS
from frontdesk.reports.store import lengths_query, usage_query
from tests.reports.rows import DAY_MS, HOUR_MS, JULY_MS

GROUPINGS = [(), *itertools.combinations(DIMENSIONS, 1), *itertools.combinations(DIMENSIONS, 2)]
ONLY = [only for count in range(len(NARROWINGS) + 1) for only in itertools.combinations(sorted(NARROWINGS), count)]


@pytest.fixture
def connection(sqlite_template: Path):
    connection = sqlite3.connect(sqlite_template)
    yield connection
    connection.close()


@pytest.mark.parametrize("only", ONLY, ids=",".join)
def test_sqlite_finds_the_range_by_an_index(connection: sqlite3.Connection, only: tuple[str, ...]) -> None:
    of_person = "ix_turn_person (tenant=? AND person=? AND started_at_ms>? AND started_at_ms<?)"
    of_all = "ix_turn_started_at_ms (tenant=? AND started_at_ms>? AND started_at_ms<?)"

    for group_by in GROUPINGS:
        sql = usage_query(group_by, only).for_sqlite().sql
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]

        turns, *others = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert turns.endswith(of_person if "user" in only else of_all), plan
        assert all("PRIMARY KEY (tenant=? AND turn=?" in step for step in others), plan


FILL = """
INSERT INTO turn (tenant, id, owner, door, person, caller, is_streaming, status, started_at_ms)
SELECT 'default', 't' || n, 'p', 'chat', 'u' || n % 500, 'user', false, 'completed', 1782864000000 + n * 300000::bigint
FROM generate_series(1, 20000) AS n;
INSERT INTO attempt (tenant, turn, number, provider, model, status, started_at_ms)
SELECT tenant, id, 1, 'openai', 'gpt-5-mini', 'completed', started_at_ms FROM turn;
ANALYZE turn; ANALYZE attempt
"""


@pytest.mark.parametrize("only", [(), ("user",), ("feature", "provider")], ids=",".join)
async def test_postgresql_finds_the_range_by_an_index(postgresql_url: str, only: tuple[str, ...]) -> None:
    """Of an hour in two months of 20,000 turns."""
    connection = await asyncpg.connect(postgresql_url)
    try:
        await connection.execute(FILL)
        sql = usage_query(("day", "model"), only).for_postgresql().sql
        values = [
            *(f"'{value}'" for value in ("default", JULY_MS + DAY_MS, JULY_MS + DAY_MS + HOUR_MS)),
            *("'u7'" for _ in only),
        ]

        await connection.execute(f"PREPARE asked AS {sql}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked({', '.join(values)}, '9')"))
    finally:
        await connection.close()

    assert ("ix_turn_person" if "user" in only else "ix_turn_started_at_ms") in plan
    assert "pk_attempt" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("only", [(), ("feature",), ("model",), ("feature", "model")], ids=",".join)
def test_sqlite_finds_lengths_by_their_time(connection: sqlite3.Connection, only: tuple[Any, ...]) -> None:
    sql = lengths_query(only).for_sqlite().sql
    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]

    (found,) = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert found.endswith("ix_turn_started_at_ms (tenant=? AND started_at_ms>? AND started_at_ms<?)")


async def test_postgresql_finds_lengths_by_their_time(postgresql_url: str) -> None:
    connection = await asyncpg.connect(postgresql_url)
    try:
        await connection.execute(FILL)
        await connection.execute(f"PREPARE asked AS {lengths_query(()).for_postgresql().sql}")
        values = f"'default', '{JULY_MS + DAY_MS}', '{JULY_MS + DAY_MS + HOUR_MS}', '9'"
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked({values})"))
    finally:
        await connection.close()

    assert "ix_turn_started_at_ms" in plan
    assert "Seq Scan" not in plan
