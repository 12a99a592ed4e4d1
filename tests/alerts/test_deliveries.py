"""Deliveries: in order, again with growing pauses for a day, by one process at a time, through restarts and kills."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys

import pytest

from frontdesk.alerts.deliveries import Deliveries
from frontdesk.alerts.store import NEVER_MS
from frontdesk.alerts.webhook import Webhook
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed
from tests.alerts.desk import NOON, AlertDesk, FailingDatabase, alert_desk, app
from tests.alerts.receiver import SECRET, break_off, hang, receiving
from tests.fakes import HandClock

BUDGET = app(alert_at=[0.5, 0.8, 1.0])
FIRST, SECOND, THIRD = ("budget.alert", 0.5), ("budget.alert", 0.8), ("budget.alert", 1.0)
ALL = [FIRST, SECOND, THIRD, ("budget.spent", 1.0)]


def deliveries(desk: AlertDesk, url: str, timeout_s: float = 5) -> Deliveries:
    return Deliveries(desk.store, Webhook(url, SECRET, desk.clock, timeout_s=timeout_s), desk.clock)


async def raised(desk: AlertDesk, usd: float) -> None:
    """Spend so much, and raise what comes of it."""
    await desk.spend(usd, desk.window(BUDGET))
    await desk.watch.watch()


async def test_what_was_raised_is_sent_once_and_in_order(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        sending = deliveries(desk, receiver.url)
        await raised(desk, 8)
        await sending.deliver()
        await sending.deliver()
        await raised(desk, 2)
        await sending.deliver()
        rows = await desk.alerts()

    assert receiver.told == ALL
    assert receiver.ids == [row.id for row in rows]
    assert {(row.tries, row.delivered_at_ms) for row in rows} == {(1, int(NOON * 1000))}


async def test_one_that_fails_is_tried_again_by_the_same_id(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "frontdesk.alerts")
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.statuses = [503, 500, 200]
        sending = deliveries(desk, receiver.url)
        await raised(desk, 5)
        for seconds in (0, 14.9, 0.2, 59.8, 0.3, 3600):
            desk.clock.move(seconds)
            await sending.deliver()
        (row,) = await desk.alerts()

    assert receiver.ids == [row.id] * 3
    assert receiver.told == [FIRST]
    assert [int(each["webhook-timestamp"]) - NOON for each in receiver.headers] == [0, 15, 75]
    assert [record.getMessage() for record in caplog.records[1:]] == [
        f"alert_not_taken id={row.id} tries=1 reason=http://127.0.0.1:{receiver.port} answered with status 503",
        f"alert_not_taken id={row.id} tries=2 reason=http://127.0.0.1:{receiver.port} answered with status 500",
        f"alert_delivered id={row.id} tries=3",
    ]


async def test_the_others_wait_while_one_fails(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.respond = break_off
        sending = deliveries(desk, receiver.url)
        await raised(desk, 8)
        await sending.deliver()
        assert len(receiver.ids) == 1

        receiver.respond = None
        desk.clock.move(16)
        await sending.deliver()

    assert receiver.told == [FIRST, SECOND]


async def test_one_that_is_refused_for_ever_does_not_stop_the_others(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.statuses = [500, 200]
        sending = deliveries(desk, receiver.url)
        await raised(desk, 8)
        await sending.deliver()
        await sending.deliver()

    assert receiver.told == [SECOND]


async def test_the_pauses_grow_and_end_after_a_day(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "frontdesk.alerts")
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.statuses = [500]
        sending = deliveries(desk, receiver.url)
        await raised(desk, 5)
        await sending.deliver()
        while (next_try_at_ms := (await desk.alerts())[0].next_try_at_ms) != NEVER_MS:
            tries = len(receiver.ids)
            desk.clock.move(next_try_at_ms / 1000 - desk.clock.now() - 1)
            await sending.deliver()
            assert len(receiver.ids) == tries
            desk.clock.move(1)
            await sending.deliver()
        desk.clock.move(10 * 86_400)
        await sending.deliver()

    at = [int(each["webhook-timestamp"]) - int(NOON) for each in receiver.headers]
    pauses = [after - before for before, after in itertools.pairwise(at)]
    assert pauses[:5] == [15, 60, 300, 900, 3600]
    assert set(pauses[5:]) == {3600}
    assert 86_400 - 3600 < at[-1] <= 86_400
    assert caplog.records[-1].getMessage().startswith(f"alert_given_up id={receiver.ids[0]} tries={len(at)} reason=")


async def test_a_receiver_that_wants_it_no_more_gets_it_no_more(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.statuses = [410, 200]
        sending = deliveries(desk, receiver.url)
        await raised(desk, 8)
        await sending.deliver()
        desk.clock.move(86_399)
        await sending.deliver()

    assert receiver.told == [SECOND]
    assert len(receiver.ids) == 2


async def test_a_receiver_that_hangs_is_left_and_asked_again(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.respond = hang
        sending = deliveries(desk, receiver.url, timeout_s=0.2)
        await raised(desk, 5)
        await sending.deliver()
        receiver.respond = None
        desk.clock.move(15)
        await sending.deliver()
        await sending.deliver()

    assert (receiver.told, len(receiver.ids)) == ([FIRST], 2)


async def test_of_two_processes_one_sends(database_url: str, engine: str) -> None:
    """On SQLite there is one process, whose two loops over the alerts must not meet either."""
    clock = HandClock(NOON)
    one = await open_database(database_url)
    other = one if engine == "sqlite" else await open_database(database_url)
    async with (
        receiving(clock.now) as receiver,
        alert_desk(one, BUDGET, clock=clock) as first,
        alert_desk(other, BUDGET, clock=clock) as second,
    ):
        sending = [deliveries(desk, receiver.url) for desk in (first, second) for _ in range(3)]
        await raised(first, 10)
        for _ in range(8):
            await asyncio.gather(*(each.deliver() for each in sending))
    if other is not one:
        await other.close()
    await one.close()

    assert sorted(receiver.told) == sorted(ALL)
    assert len(set(receiver.ids)) == len(receiver.ids) == 4


async def test_a_try_that_was_cut_off_is_made_again(database: Database) -> None:
    async with alert_desk(database, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        receiver.respond = hang
        await raised(desk, 5)
        task = asyncio.create_task(deliveries(desk, receiver.url).deliver())
        await receiver.came.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        receiver.respond = None
        await deliveries(desk, receiver.url).deliver()
        assert receiver.told == []  # nobody knows yet that it was cut off

        desk.clock.move(15)
        await deliveries(desk, receiver.url).deliver()

    assert (receiver.told, len(set(receiver.ids))) == ([FIRST], 1)


async def test_a_killed_process_leaves_its_alerts_to_the_next(database_url: str) -> None:
    """It is killed after it has raised three, while the first one is on its way."""
    clock = HandClock(NOON)
    async with receiving(clock.now) as receiver:
        receiver.respond = hang
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.alerts.sending_child", database_url, receiver.url
        )
        await asyncio.wait_for(receiver.came.wait(), 60)
        child.kill()
        await child.wait()
        receiver.respond = None

        database = await open_database(database_url)
        clock.move(15)
        async with alert_desk(database, BUDGET, clock=clock) as desk:
            await desk.watch.watch()
            await deliveries(desk, receiver.url).deliver()
            rows = await desk.alerts()
        await database.close()

    assert receiver.told == ALL
    assert receiver.ids == [rows[0].id, *(row.id for row in rows)]
    assert [row.tries for row in rows] == [2, 1, 1, 1]


async def test_what_was_taken_but_not_written_down_is_sent_again_by_the_same_id(database: Database) -> None:
    failing = FailingDatabase(database)
    async with alert_desk(failing, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        sending = deliveries(desk, receiver.url)
        await raised(desk, 5)
        failing.writes_left = 1  # that it is tried
        with pytest.raises(StorageFailed):
            await sending.deliver()
        failing.writes_left = None
        desk.clock.move(15)
        await sending.deliver()
        await sending.deliver()

    assert receiver.told == [FIRST, FIRST]
    assert len(set(receiver.ids)) == 1


async def test_nothing_is_sent_that_could_not_be_claimed(database: Database) -> None:
    failing = FailingDatabase(database)
    async with alert_desk(failing, BUDGET) as desk, receiving(desk.clock.now) as receiver:
        await raised(desk, 5)
        failing.writes_left = 0
        with pytest.raises(StorageFailed):
            await deliveries(desk, receiver.url).deliver()

    assert receiver.ids == []
