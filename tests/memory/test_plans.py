"""What a turn is told is found by indexes, however much there is of everybody's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontdesk.memory.store import facts, summaries, told
from frontdesk.storage.query import Query


@pytest.fixture
def connection(sqlite_template: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sqlite_template)
    yield connection
    connection.close()


BY_PERSON = "SEARCH fact USING PRIMARY KEY (tenant=? AND person=?)"
OF_OWNER = "SEARCH summary USING INDEX ix_summary_owner (tenant=? AND person=? AND credential=? AND conversation=?"
ANCHOR = "tenant=? AND conversation=? AND anchor=?"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (told._OF_CONVERSATION, {
            f"{OF_OWNER})",
            "SEARCH conversation_item USING INDEX ix_conversation_item_pinned (tenant=? AND conversation=?)",
            BY_PERSON,
        }),
        (told._OF_CHAIN, {
            f"{OF_OWNER} AND anchor=?)",
            BY_PERSON,
        }),
        (told._OF_NOTHING, {BY_PERSON}),
        (summaries._FORGET_IN, {"SEARCH summary USING PRIMARY KEY (tenant=? AND conversation=?)"}),
        (summaries._FORGET_BEHIND, {
            f"SEARCH summary USING PRIMARY KEY ({ANCHOR})",
            "SEARCH response USING INDEX ix_response_previous (tenant=? AND previous=?)",
        }),
        (facts._LIST, {"SEARCH fact USING PRIMARY KEY (tenant=? AND person=? AND id<?)"}),
    ],
    ids=["conversation", "chain", "nothing", "forget in", "forget behind", "facts"],
)  # fmt: skip
def test_it_is_found_by_an_index(connection: sqlite3.Connection, query: Query, expected: set[str]) -> None:
    sql = query.for_sqlite().sql
    plan = {step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))}

    assert {step for step in plan if step.startswith("SEARCH")} == expected
    assert not {step for step in plan if step.startswith(("SCAN summary", "SCAN fact ", "SCAN response", "SCAN conv"))}
