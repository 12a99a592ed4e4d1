"""No question about one person makes SQLite read all rows of a tenant.

What it reads is in its plan. It depends on what it is told of the tables, which a migration does.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from frontdesk.accounts.store import across, moves, tenant
from frontdesk.batches import store as batches
from frontdesk.files import store as files
from frontdesk.ledger.store import holds, windows
from frontdesk.storage.query import Query
from frontdesk.usage import store as turns

# Of a few rows each; and those who ask for all.
SMALL = ("CONSTANT", "app_key", "delivery", "hold", "json_each", "process", "setting")
WHOLE = {"_RECENT_TURNS", "_LIST_PERSONS", "frontdesk.files.store._ALL_KEPT"}

QUERIES = {
    **{f"MOVES[{number}]": query for number, query in enumerate(moves.MOVES)},
    **{
        name: query
        for module in (across, moves, tenant, turns)
        for name, query in vars(module).items()
        if isinstance(query, Query) and "INSERT" not in query.for_sqlite().sql
    },
    **{
        f"{module.__name__.rpartition('.')[2]}.{name}": query
        for module in (holds, windows)
        for name, query in vars(module).items()
        if isinstance(query, Query) and "INSERT" not in query.for_sqlite().sql
    },
    **{
        f"{module.__name__}.{name}": query
        for module in (batches, files)
        for name, query in vars(module).items()
        if isinstance(query, Query) and "INSERT" not in query.for_sqlite().sql
    },
    **{f"windows._SPENT[{kind}]": query for kind, query in windows._SPENT.items()},
}


@pytest.fixture
def connection(sqlite_template: Path):
    connection = sqlite3.connect(sqlite_template)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - WHOLE))
def test_rows_are_found_by_more_than_their_tenant(connection: sqlite3.Connection, name: str):
    sql = QUERIES[name].for_sqlite().sql

    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]

    searches = [step for step in plan if step.startswith(("SCAN", "SEARCH")) and step.split()[1] not in SMALL]
    # An index of the few running turns may be read whole.
    whole = [step for step in searches if step.startswith("SCAN") and "_running" not in step]
    assert whole + [step for step in searches if step.endswith("(tenant=?)")] == []
    assert searches or any(small in " ".join(plan) for small in SMALL)


def test_sqlite_is_told_of_every_index(connection: sqlite3.Connection):
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('alembic_version', 'sqlite_stat1')"
    wanted = {name for (name,) in connection.execute(f"{indexes} UNION {tables}")}

    assert {name for (name,) in connection.execute("SELECT idx FROM sqlite_stat1")} == wanted
