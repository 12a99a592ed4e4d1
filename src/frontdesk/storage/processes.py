"""Which serving processes are dead: whose heart has not beaten lately, or, where one alone can serve, every other."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, and_, bindparam, exists

from frontdesk.storage.database import Database
from frontdesk.storage.tables import process

CRASHED = "server_crashed"
"""The error of a turn that died with its process."""

_FOR_EVER_MS = 2**62


def is_of_dead(owner: Column[str]) -> ColumnElement[bool]:
    """Whether the process that a column names is dead; never this one. The statement needs `of_dead`."""
    is_fresh = process.c.heartbeat_at_ms >= bindparam("alive_since_ms")
    return and_(owner != bindparam("me"), ~exists().where(process.c.id == owner, is_fresh))


def of_dead(database: Database, me: str, now_ms: int, dead_after_s: float) -> dict[str, object]:
    """Parameters of `is_of_dead`: dead is whose last heartbeat is older than `dead_after_s`."""
    alive_since_ms = _FOR_EVER_MS if database.is_alone else now_ms - round(dead_after_s * 1000)
    return {"me": me, "alive_since_ms": alive_since_ms}
