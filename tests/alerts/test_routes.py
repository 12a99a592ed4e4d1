"""GET /api/admin/alerts: an operator's own tenant, the latest first, with the state of each delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from frontdesk.alerts.deliveries import Deliveries
from frontdesk.alerts.routes import AlertRoutes
from frontdesk.alerts.webhook import Webhook
from frontdesk.core.config import Budget
from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of
from tests.alerts.desk import AlertDesk, alert_desk, app
from tests.alerts.receiver import SECRET, receiving

BUDGET = app(alert_at=[0.5, 0.8], degrade_at=[0.6])


@asynccontextmanager
async def opened(
    database: Database, folder: Path, *budgets: Budget, has_webhook: bool = True
) -> AsyncIterator[tuple[Desk, AlertDesk]]:
    """The route over alerts that are raised by hand."""
    async with (
        desk_of(database, folder) as desk,
        alert_desk(database, *(budgets or (BUDGET,)), clock=desk.clock, has_webhook=has_webhook) as alerts,
    ):
        routes = AlertRoutes(alerts.store, desk.gate).routes()
        desk.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]
        yield desk, alerts


async def listed(desk: Desk, query: str = "", bearer: str = ADMIN_KEY) -> dict[str, Any]:
    answer = await desk.ask("GET", f"/api/admin/alerts{query}", bearer=bearer)
    assert answer.status == 200, answer.body
    return answer.body


async def test_alerts_and_what_became_of_them(database: Database, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as (desk, alerts), receiving(desk.clock.now) as receiver:
        receiver.statuses = [200, 410, 500]
        sending = Deliveries(alerts.store, Webhook(receiver.url, SECRET, desk.clock), desk.clock)
        await alerts.spend(8, alerts.window(BUDGET))
        await alerts.watch.watch()
        await sending.deliver()
        told = await listed(desk)
        now = int(desk.clock.now())

    assert [(each["type"], each["data"]["threshold"]) for each in told["data"]] == [
        ("budget.alert", 0.8),
        ("budget.degraded", 0.6),
        ("budget.alert", 0.5),
    ]
    assert [
        {name: each[name] for name in ("delivery", "tries", "next_try_at", "delivered_at")} for each in told["data"]
    ] == [
        {"delivery": "pending", "tries": 1, "next_try_at": now + 15, "delivered_at": None},
        {"delivery": "given_up", "tries": 1, "next_try_at": None, "delivered_at": None},
        {"delivery": "delivered", "tries": 1, "next_try_at": None, "delivered_at": now},
    ]
    assert [each["created_at"] for each in told["data"]] == [now] * 3
    assert told["data"][0]["data"]["spent_usd"] == 8.0
    assert told["data"][2]["id"] == receiver.ids[0] == told["last_id"]
    assert not told["has_more"]


async def test_without_a_webhook_there_is_no_delivery(database: Database, tmp_path: Path) -> None:
    async with opened(database, tmp_path, has_webhook=False) as (desk, alerts):
        await alerts.spend(5, alerts.window(BUDGET))
        await alerts.watch.watch()

        (told,) = (await listed(desk))["data"]

    assert (told["delivery"], told["next_try_at"]) == ("none", None)


async def test_pages(database: Database, tmp_path: Path) -> None:
    budget = app(alert_at=[tenth / 10 for tenth in range(1, 10)])
    async with opened(database, tmp_path, budget) as (desk, alerts):
        for _ in range(3):
            await alerts.spend(3, alerts.window(budget))
            await alerts.watch.watch()
            desk.clock.move(1)
        pages: list[dict[str, Any]] = [await listed(desk, "?limit=4")]
        while pages[-1]["has_more"]:
            pages.append(await listed(desk, f"?limit=4&after={pages[-1]['last_id']}"))

    told = [each["data"]["threshold"] for page in pages for each in page["data"]]
    assert [len(page["data"]) for page in pages] == [4, 4, 1]
    assert told == sorted(budget.alert_at, reverse=True)


async def test_a_tenant_sees_its_own(database: Database, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as (desk, alerts):
        _, key = await desk.accounts.create_key("acme", "ops", "operator", None, None)
        await alerts.spend(5, alerts.window(BUDGET), tenant="acme")
        await alerts.watch.watch()
        (own,) = (await listed(desk, bearer=key))["data"]

        assert own["data"]["tenant"] == "acme"
        assert (await listed(desk))["data"] == []
        assert (await listed(desk, f"?after={own['id']}"))["data"] == []


@pytest.mark.parametrize(
    ("role", "scopes", "code"),
    [("server", None, "forbidden"), ("operator", frozenset({"keys"}), "missing_scope")],
)
async def test_others_may_not(database: Database, tmp_path: Path, role: Any, scopes: Any, code: str) -> None:
    async with opened(database, tmp_path) as (desk, _):
        _, key = await desk.accounts.create_key("default", "other", role, scopes, None)
        answer = await desk.ask("GET", "/api/admin/alerts", bearer=key)

    assert (answer.status, answer.body["error"]["code"]) == (403, code)
