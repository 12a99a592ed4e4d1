"""What the ledger says of a provider's day, on both engines."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

from frontdesk.reconciling import store
from frontdesk.reconciling.store import LedgerReader, Spent
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from tests.reports.rows import DAY_MS, JULY_MS, a_turn, an_attempt, keep

FIRST, SECOND = date(2026, 7, 1), date(2026, 7, 2)


async def test_a_days_attempts_are_summed_up_by_model(database: Database) -> None:
    """By when each was called, whenever its turn began."""
    await keep(
        database,
        [a_turn("t1", started_at_ms=JULY_MS - 5_000)],
        [
            an_attempt("t1", cost_micros=1, input_tokens=10, output_tokens=2),
            an_attempt("t1", number=2, cost_micros=20, cost_source="estimate", input_tokens=5),
            an_attempt("t1", number=3, cost_micros=300, cost_source="crash"),
            an_attempt("t1", number=4, cost_micros=None, cost_source=None, output_tokens=1),
            an_attempt("t1", number=5, cost_micros=None, cost_source=None, status="running"),
            an_attempt("t1", number=6, model="gpt-5", cost_micros=7, started_at_ms=JULY_MS + DAY_MS - 1),
            an_attempt("t1", number=7, cost_micros=8, started_at_ms=JULY_MS + DAY_MS),
            an_attempt("t1", number=8, cost_micros=9, started_at_ms=JULY_MS - 1),
            an_attempt("t1", number=9, cost_micros=10, provider="claude"),
            an_attempt("t1", tenant="acme", cost_micros=11, provider="theirs"),
        ],
    )
    ledger = LedgerReader(database, "default")

    assert await ledger.spent("openai", FIRST) == [
        Spent(FIRST, "gpt-5", 1, 0, 7, 0, 0, 0, 0),
        Spent(FIRST, "gpt-5-mini", 5, 1, 321, 20, 300, 15, 3),
    ]
    assert await ledger.spent("openai", SECOND) == [Spent(SECOND, "gpt-5-mini", 1, 0, 8, 0, 0, 0, 0)]
    assert await ledger.spent("nobody", FIRST) == []
    assert (await ledger.providers(FIRST), await ledger.providers(SECOND)) == (["claude", "openai"], ["openai"])
    assert await LedgerReader(database, "acme").providers(FIRST) == ["theirs"]


def test_sqlite_reads_no_more_than_the_day(sqlite_template: Path) -> None:
    connection = sqlite3.connect(sqlite_template)
    queries = [each for each in vars(store).values() if isinstance(each, Query)]
    for query in queries:
        sql = query.for_sqlite().sql
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]
        searches = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert [step.partition(" INDEX ")[2] for step in searches] == [
            "ix_attempt_started_at_ms (tenant=? AND started_at_ms>? AND started_at_ms<?)"
        ]
    connection.close()
    assert len(queries) == 2
