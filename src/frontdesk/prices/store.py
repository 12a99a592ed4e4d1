"""Rows of prices: what each route cost since when. A row is added where something changes; none is ever replaced."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, func, select

from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import price


class PriceRow(msgspec.Struct, frozen=True):
    """What a route costs from a time on, in milliseconds since 1970. `rates` is JSON; None: it has no price."""

    route: str
    since_ms: int
    book: str
    rates: str | None


class PriceStore:
    """The prices of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def newest(self) -> dict[str, PriceRow]:
        """The newest row of each route."""
        rows = await self._database.read(_NEWEST, {"tenant": self._tenant})
        return {row.route: row for row in (PriceRow(*values) for values in rows)}

    async def history(self, route: str, limit: int) -> list[PriceRow]:
        """The rows of a route, the newest first."""
        rows = await self._database.read(_HISTORY, {"tenant": self._tenant, "route": route, "limit": limit})
        return [PriceRow(*values) for values in rows]

    async def add(self, rows: Sequence[PriceRow]) -> None:
        """Add rows, all or none; one that is there stays, for another process was quicker."""
        if rows:
            values = [{"tenant": self._tenant, **msgspec.structs.asdict(row)} for row in rows]
            await self._database.write(Step(_ADD, values))


_MOST_ROUTES = 10_000
_columns = [price.c[name] for name in PriceRow.__struct_fields__]
_latest = (
    select(price.c.route, func.max(price.c.since_ms).label("since_ms"))
    .where(price.c.tenant == bindparam("tenant"))
    .group_by(price.c.route)
    .subquery()
)
_NEWEST = Query(
    select(*_columns)
    .join(_latest, (price.c.route == _latest.c.route) & (price.c.since_ms == _latest.c.since_ms))
    .where(price.c.tenant == bindparam("tenant"))
    .order_by(price.c.route)
    .limit(_MOST_ROUTES)
)
_HISTORY = Query(
    select(*_columns)
    .where(price.c.tenant == bindparam("tenant"), price.c.route == bindparam("route"))
    .order_by(price.c.since_ms.desc())
    .limit(bindparam("limit"))
)
_ADD = Query(insert(price).on_conflict_do_nothing(index_elements=list(price.primary_key)))
