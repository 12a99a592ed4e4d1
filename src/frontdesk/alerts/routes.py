"""/api/admin/alerts: what an operator was told of budgets, and how far a webhook took it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, page_of, seconds, secret
from frontdesk.alerts.store import NEVER_MS, AlertRow, AlertStore
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.turn.turn import Caller


class AlertRoutes:
    """The route of alerts."""

    def __init__(self, store: AlertStore, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [guarded("/api/admin/alerts", "GET", self.list_alerts, self._callers)]

    async def list_alerts(
        self, request: Request, caller: Annotated[Caller, May("operator", scope="usage")]
    ) -> Response:
        """The tenant's alerts, the latest first."""
        after, limit = page_of(request)
        rows = await self._store.list_of(caller.tenant, after, limit + 1)
        return secret(listed(rows, _alert, limit))


def _alert(row: AlertRow) -> dict[str, Any]:
    said = msgspec.json.decode(row.body)
    return {
        "id": row.id,
        "object": "alert",
        "type": said["type"],
        "created_at": seconds(row.raised_at_ms),
        "data": said["data"],
        "delivery": _delivery(row),
        "tries": row.tries,
        "next_try_at": None if _delivery(row) != "pending" else seconds(row.next_try_at_ms),
        "delivered_at": seconds(row.delivered_at_ms),
    }


def _delivery(row: AlertRow) -> str:
    """`none` where there was no webhook when it was raised."""
    if row.delivered_at_ms is not None:
        return "delivered"
    if row.next_try_at_ms < NEVER_MS:
        return "pending"
    return "given_up" if row.tries else "none"
