"""What becomes of a budget is told once: by one process, after restarts, over the ends of periods."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime

import pytest

from frontdesk.alerts.store import NEVER_MS
from frontdesk.core.config import Budget
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed
from tests.alerts.desk import NOON, FailingDatabase, alert_desk, app
from tests.fakes import HandClock

ALL = [
    "alert:0.5:$10.00",
    "degraded:1:$10.00",
    "alert:0.8:$10.00",
    "degraded:2:$10.00",
    "alert:1.0:$10.00",
    "spent:$10.00",
]
BUDGET = app(alert_at=[0.5, 0.8, 1.0], degrade_at=[0.7, 0.9], when_spent="free")


async def test_each_thing_is_told_once_as_it_is_crossed(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk:
        window = desk.window(BUDGET)
        seen: list[list[str]] = []
        for usd in (4.999999, 0.000001, 2.5, 0, 4):
            await desk.spend(usd, window)
            await desk.watch.watch()
            seen.append(await desk.kinds())

    assert seen == [[], ALL[:1], ALL[:2], ALL[:2], ALL]


async def test_several_crossed_at_once_are_told_in_order(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk:
        await desk.spend(11, desk.window(BUDGET))
        await desk.watch.watch()

        assert await desk.kinds() == ALL
        assert [row.kind for row in await desk.store.due(int(NOON * 1000))] == ALL


async def test_what_is_told(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    budget = Budget(scope="group:acme co", usd=8, per="month", alert_at=[0.5], when_spent="free")
    async with alert_desk(database, budget) as desk:
        window = desk.window(budget)
        await desk.spend(4.0001, window)
        await desk.hold(0.25, window)
        with caplog.at_level(logging.WARNING, "frontdesk.alerts"):
            await desk.watch.watch()
        (row,) = await desk.alerts()

    assert json.loads(row.body) == {
        "type": "budget.alert",
        "timestamp": "2027-01-15T12:00:00.000Z",
        "data": {
            "tenant": "default",
            "scope": "group:acme co",
            "period": "month",
            "starts_at": "2027-01-01T00:00:00.000Z",
            "ends_at": "2027-02-01T00:00:00.000Z",
            "usd": 8.0,
            "spent_usd": 4.0001,
            "held_usd": 0.25,
            "fraction": 0.5,
            "threshold": 0.5,
            "when_spent": "free",
        },
    }
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"budget_alert type=budget.alert id={row.id} tenant=default scope='group:acme co' period=month "
            "usd=8.000000 spent_usd=4.000100 held_usd=0.250000 threshold=0.5 when_spent=free"
        )
    ]
    assert (row.tries, row.next_try_at_ms, row.delivered_at_ms) == (0, int(NOON * 1000), None)


async def test_what_is_held_is_not_spent(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk:
        await desk.hold(10, desk.window(BUDGET))
        await desk.watch.watch()

        assert await desk.kinds() == []


async def test_all_time_has_no_ends(database: Database) -> None:
    budget = app(usd=1, per="total", alert_at=[0.5])
    async with alert_desk(database, budget) as desk:
        await desk.spend(0.5, desk.window(budget))
        await desk.watch.watch()
        (row,) = await desk.alerts()

    data = json.loads(row.body)["data"]
    assert (row.starts_at_ms, data["starts_at"], data["ends_at"]) == (0, None, None)


async def test_without_a_webhook_nothing_waits_to_be_sent(database: Database) -> None:
    async with alert_desk(database, BUDGET, has_webhook=False) as desk:
        await desk.spend(5, desk.window(BUDGET))
        await desk.watch.watch()

        (row,) = await desk.alerts()
        assert row.next_try_at_ms == NEVER_MS
        assert await desk.store.due(int(NOON * 1000) + 10**10) == []


async def test_a_restart_tells_nothing_twice(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    for usd in (6.0, 0.5, 2.0):
        database = await open_database(database_url)
        async with alert_desk(database, BUDGET) as desk:
            await desk.spend(usd, desk.window(BUDGET))
            with caplog.at_level(logging.WARNING, "frontdesk.alerts"):
                await desk.watch.watch()
            kinds = await desk.kinds()
        await database.close()

    assert kinds == ALL[:3]
    assert len(caplog.records) == 3


async def test_who_raises_the_amount_is_told_anew(database: Database) -> None:
    async with alert_desk(database, app(usd=10)) as desk:
        await desk.spend(10, desk.window(app()))
        await desk.watch.watch()
    async with alert_desk(database, app(usd=20)) as desk:
        await desk.watch.watch()
        assert await desk.kinds() == ["spent:$10.00"]
        await desk.spend(10, desk.window(app()))
        await desk.watch.watch()

        assert await desk.kinds() == ["spent:$10.00", "spent:$20.00"]


async def test_of_two_processes_one_tells_each_thing(postgresql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    budgets = [BUDGET, app(per="day", alert_at=[0.1 * tenth for tenth in range(1, 10)])]
    one, other = await open_database(postgresql_url), await open_database(postgresql_url)
    async with alert_desk(one, *budgets) as first, alert_desk(other, *budgets) as second:
        caplog.set_level(logging.WARNING, "frontdesk.alerts")
        for _ in range(10):
            await first.spend(1, *map(first.window, budgets))
            await asyncio.gather(*(desk.watch.watch() for _ in range(4) for desk in (first, second)))
        rows = await first.alerts()
    await one.close()
    await other.close()

    logged = [record.getMessage().split(" id=")[1].split()[0] for record in caplog.records]
    assert sorted(logged) == sorted(row.id for row in rows)
    assert len({(row.period, row.kind) for row in rows}) == len(rows) == len(ALL) + 10


# --- what is found spent ----------------------------------------------------------------------------


async def test_a_budget_of_which_the_rest_buys_nothing_is_told_as_spent(database: Database) -> None:
    async with alert_desk(database, app()) as desk:
        window = desk.window(app())
        await desk.spend(9.999, window)
        await desk.watch.watch()
        assert await desk.kinds() == []

        desk.watch.found_spent("default", window, 10_000_000)
        await desk.watch.watch()
        await desk.watch.watch()

        (row,) = await desk.alerts()
        assert (row.kind, json.loads(row.body)["data"]["fraction"]) == ("spent:$10.00", 0.9999)


async def test_another_budget_of_the_same_window_is_not_meant(database: Database) -> None:
    """A person's own, of their tier, counts in the same window as one of the configuration by their name."""
    budget = Budget(scope="user:u1", usd=10, per="day")
    async with alert_desk(database, budget) as desk:
        window = desk.window(budget)
        await desk.spend(2, window)
        desk.watch.found_spent("default", window, 2_000_000)
        desk.watch.found_spent("another", window, 10_000_000)
        await desk.watch.watch()

        assert await desk.kinds() == []


# --- periods and tenants ----------------------------------------------------------------------------


def at(text: str) -> HandClock:
    return HandClock(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("period", "before", "start", "after"),
    [
        ("day", "2027-01-31T23:59:59.5", "2027-01-31", "2027-02-01"),
        ("day", "2028-02-28T23:59:59.5", "2028-02-28", "2028-02-29"),
        ("month", "2028-02-29T23:59:59.5", "2028-02-01", "2028-03-01"),
        ("month", "2027-12-31T23:59:59.5", "2027-12-01", "2028-01-01"),
    ],
)
async def test_each_period_is_told_of_by_itself(
    database: Database, period: str, before: str, start: str, after: str
) -> None:
    clock, budget = at(before), app(per=period, alert_at=[0.5])  # type: ignore[arg-type]
    async with alert_desk(database, budget, clock=clock) as desk:
        await desk.spend(5, desk.window(budget))
        await desk.watch.watch()
        clock.move(1)
        await desk.watch.watch()
        await desk.spend(5, desk.window(budget))
        await desk.watch.watch()
        rows = await desk.alerts()

    assert [row.kind for row in rows] == ["alert:0.5:$10.00"] * 2
    assert [json.loads(row.body)["data"]["starts_at"][:10] for row in rows] == [start, after]


@pytest.mark.parametrize(("seconds", "told"), [(3599.4, ["spent:$10.00"]), (3600.5, [])])
async def test_what_ends_after_its_period_is_told_for_an_hour(
    database: Database, seconds: float, told: list[str]
) -> None:
    """A turn that was under way at midnight is spent from the day on which it began."""
    clock, budget = at("2027-01-31T23:59:59.5"), app(per="day")
    async with alert_desk(database, budget, clock=clock) as desk:
        yesterday = desk.window(budget)
        await desk.spend(9, yesterday)
        await desk.watch.watch()
        clock.move(seconds + 0.5)
        await desk.spend(1, yesterday)
        await desk.watch.watch()

        assert await desk.kinds() == told


async def test_a_clock_that_is_set_back_tells_nothing_twice(database: Database) -> None:
    clock, budget = at("2027-02-01T00:30:00"), app(per="day", alert_at=[0.5])
    async with alert_desk(database, budget, clock=clock) as desk:
        await desk.spend(5, desk.window(budget))
        await desk.watch.watch()
        clock.move(-7200)
        await desk.spend(5, desk.window(budget))
        await desk.watch.watch()
        clock.move(7200)
        await desk.watch.watch()
        starts = [json.loads(row.body)["data"]["starts_at"][:10] for row in await desk.alerts()]

    assert sorted(starts) == ["2027-01-31", "2027-02-01"]


async def test_tenants_spend_by_themselves(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk:
        window = desk.window(BUDGET)
        await desk.spend(5, window, tenant="acme")
        await desk.spend(7.5, window, tenant="zeta")
        await desk.spend(1, window)
        await desk.watch.watch()

        assert (await desk.kinds(), await desk.kinds("acme"), await desk.kinds("zeta")) == ([], ALL[:1], ALL[:2])


async def test_what_could_not_be_written_is_told_the_next_time(database: Database) -> None:
    failing = FailingDatabase(database)
    async with alert_desk(failing, BUDGET) as desk:
        await desk.spend(5, desk.window(BUDGET))
        failing.writes_left = 0
        with pytest.raises(StorageFailed):
            await desk.watch.watch()
        assert await desk.kinds() == []

        failing.writes_left = None
        await desk.watch.watch()

        assert await desk.kinds() == ALL[:1]
