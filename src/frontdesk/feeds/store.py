"""Which other processes serve from the same database, as far as their hearts have beaten lately."""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam, select

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import process


class Carriers:
    """The processes that get post: those that carry turns, by the names that they carry them under."""

    def __init__(self, database: Database, clock: Clock, dead_after_s: float) -> None:
        self._database = database
        self._clock = clock
        self._dead_after_ms = round(dead_after_s * 1000)

    async def living(self) -> list[str]:
        """Their names. Raises StorageError."""
        alive_since_ms = unix_ms(self._clock) - self._dead_after_ms
        rows = await self._database.read(_LIVING, {"alive_since_ms": alive_since_ms, "limit": _MOST})
        return [name for (name,) in rows]


_MOST = 1_000
_LIVING = Query(
    select(process.c.id)
    .where(
        process.c.id.like("carrier\\_%", escape="\\"),
        process.c.heartbeat_at_ms >= bindparam("alive_since_ms", type_=BigInteger),
        process.c.fenced_at_ms.is_(None),
    )
    .order_by(process.c.heartbeat_at_ms.desc())
    .limit(bindparam("limit"))
)
