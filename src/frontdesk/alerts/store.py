"""Rows of alerts: raised once, whoever sees it first, and claimed before each try to deliver them.

Watching and delivering is done for all tenants; an operator reads those of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, desc, select, tuple_, update

from frontdesk.core.periods import Period
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import alert, budget_window

NEVER_MS = 253_402_300_799_000
"""When an alert is tried next that is tried no more: the last second of the year 9999."""

_MOST_DUE = 100


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert: what was told of a window, and how far it was delivered. Times are milliseconds since 1970.

    `body` is what a webhook is sent, JSON. `next_try_at_ms` is NEVER_MS where nothing is sent any more.
    """

    tenant: str
    scope: str
    period: Period
    starts_at_ms: int
    kind: str
    id: str
    body: str
    raised_at_ms: int
    tries: int
    next_try_at_ms: int
    delivered_at_ms: int | None


class AlertStore:
    """The alerts of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenants(self) -> list[str]:
        """Those with a window, in order: a look at an index for each."""
        found: list[str] = []
        while rows := await self._database.read(_NEXT_TENANT, {"after": found[-1] if found else ""}):
            found.append(rows[0][0])
        return found

    async def raise_new(self, rows: Sequence[AlertRow]) -> list[AlertRow]:
        """Keep alerts of one window, but for those that it has; returns those that were kept, on the disk."""
        steps = [Step(_RAISE, msgspec.structs.asdict(row)) for row in rows]
        kept = await self._database.write(*steps, lane=Lane.EVENTS)
        return [row for row, returned in zip(rows, kept, strict=True) if returned]

    async def due(self, now_ms: int) -> list[AlertRow]:
        """Those that are to be delivered by now, the oldest first; a hundred at most."""
        return [_read(row) for row in await self._database.read(_DUE, {"now_ms": now_ms})]

    async def claim(self, row: AlertRow, next_try_at_ms: int) -> bool:
        """Count a try to deliver it, and say when the next one is; False where another process was first."""
        claimed = {**_of(row), "had_tries": row.tries, "then_ms": next_try_at_ms}
        (returned,) = await self._database.write(Step(_CLAIM, claimed), lane=Lane.EVENTS)
        return bool(returned)

    async def give_up(self, row: AlertRow) -> None:
        """Try it no more."""
        await self._database.write(Step(_GIVE_UP, _of(row)), lane=Lane.EVENTS)

    async def delivered(self, row: AlertRow, at_ms: int) -> None:
        """Keep that it was taken."""
        await self._database.write(Step(_DELIVERED, {**_of(row), "at_ms": at_ms}), lane=Lane.EVENTS)

    async def list_of(self, tenant: str, after: str, limit: int) -> list[AlertRow]:
        """A tenant's alerts, the latest first; those behind the one with the id `after`, where that is not empty."""
        if not after:
            return [_read(row) for row in await self._database.read(_LATEST, {"tenant": tenant, "limit": limit})]
        asked = {"tenant": tenant, "after": after, "limit": limit}
        return [_read(row) for row in await self._database.read(_LATEST_AFTER, asked)]


def _of(row: AlertRow) -> dict[str, str | int]:
    return {f"of_{name}": getattr(row, name) for name in _KEY}


def _read(row: Row) -> AlertRow:
    return AlertRow(**dict(zip(AlertRow.__struct_fields__, row, strict=True)))


_KEY = ("tenant", "scope", "period", "starts_at_ms", "kind")
_COLUMNS = [alert.c[name] for name in AlertRow.__struct_fields__]
_IS_IT: ColumnElement[bool] = and_(*(alert.c[name] == bindparam(f"of_{name}") for name in _KEY))
_IS_OPEN = alert.c.delivered_at_ms.is_(None)

_NEXT_TENANT = Query(
    select(budget_window.c.tenant)
    .where(budget_window.c.tenant > bindparam("after"))
    .order_by(budget_window.c.tenant)
    .limit(1)
)
_RAISE = Query(insert(alert).on_conflict_do_nothing().returning(alert.c.id))
_DUE = Query(
    select(*_COLUMNS)
    .where(_IS_OPEN, alert.c.next_try_at_ms <= bindparam("now_ms"))
    .order_by(alert.c.raised_at_ms, alert.c.id)
    .limit(_MOST_DUE)
)
_CLAIM = Query(
    update(alert)
    .where(_IS_IT, _IS_OPEN, alert.c.tries == bindparam("had_tries"))
    .values(tries=alert.c.tries + 1, next_try_at_ms=bindparam("then_ms"))
    .returning(alert.c.id)
)
_GIVE_UP = Query(update(alert).where(_IS_IT, _IS_OPEN).values(next_try_at_ms=NEVER_MS))
_DELIVERED = Query(update(alert).where(_IS_IT).values(delivered_at_ms=bindparam("at_ms")))
_LATEST = Query(
    select(*_COLUMNS)
    .where(alert.c.tenant == bindparam("tenant"))
    .order_by(desc(alert.c.raised_at_ms), desc(alert.c.id))
    .limit(bindparam("limit"))
)
_BEHIND = (
    select(alert.c.raised_at_ms, alert.c.id)
    .where(alert.c.tenant == bindparam("tenant"), alert.c.id == bindparam("after"))
    .subquery("behind")
)
_LATEST_AFTER = Query(
    select(*_COLUMNS)
    .where(
        alert.c.tenant == bindparam("tenant"),
        tuple_(alert.c.raised_at_ms, alert.c.id) < tuple_(_BEHIND.c.raised_at_ms, _BEHIND.c.id),
    )
    .order_by(desc(alert.c.raised_at_ms), desc(alert.c.id))
    .limit(bindparam("limit"))
)
