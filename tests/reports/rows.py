"""Turns and attempts as reports find them: whole, but for what a test is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table

from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import attempt, turn

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
JULY_MS = 1_782_864_000_000
"""2026-07-01, UTC."""

_ADD = {table.name: Query(insert(table)) for table in (turn, attempt)}
_TURN: dict[str, Any] = {
    "tenant": "default",
    "owner": "proc_1",
    "door": "chat",
    "caller": "user",
    "person": "u1",
    "feature": "chat",
    "tier": "free",
    "model": "fast",
    "is_streaming": False,
    "status": "completed",
    "started_at_ms": JULY_MS,
}
_ATTEMPT: dict[str, Any] = {
    "tenant": "default",
    "number": 1,
    "provider": "openai",
    "model": "gpt-5-mini",
    "purpose": "first",
    "status": "completed",
    "started_at_ms": JULY_MS,
    "cost_source": "usage",
}


def a_turn(turn_id: str, **values: Any) -> dict[str, Any]:
    """A turn of u1 on the first of July 2026."""
    return _row(turn, {**_TURN, "id": turn_id, **values})


def an_attempt(turn_id: str, **values: Any) -> dict[str, Any]:
    """The first attempt of a turn, whose cost is known by its usage."""
    return _row(attempt, {**_ATTEMPT, "turn": turn_id, **values})


async def keep(database: Database, turns: Iterable[dict[str, Any]], attempts: Iterable[dict[str, Any]] = ()) -> None:
    """Write them, now."""
    await database.write(Step(_ADD["turn"], list(turns)))
    await database.write(Step(_ADD["attempt"], list(attempts)))


def _row(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    assert values.keys() <= set(table.c.keys()), values
    return {**dict.fromkeys(table.c.keys()), **values}
