"""What recurs: once for each moment, over all processes, and once for all that was missed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.clock import unix_ms
from frontdesk.jobs.schedules import Schedule, Schedules
from frontdesk.jobs.store import Ended
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import ConstraintViolated
from tests.fakes import HandClock
from tests.jobs.desk import TENANT, JobDesk, job_desk, make_effects
from tests.jobs.effects import effects

HOURLY = Schedule("tidy", "work", 3600, b"tidy")
DEDUPE = "schedule:tidy"


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1_800_000_000.0 - 1800)  # half an hour before an hour


async def done(desk: JobDesk, count: int) -> None:
    """Wait until so many have ended, and the next one waits."""
    async with asyncio.timeout(8):
        while Counter(row.status for row in await desk.rows()) != Counter(completed=count, waiting=1):
            await asyncio.sleep(0.002)


# --- when ---------------------------------------------------------------------------------------


@given(st.integers(1, 10_000_000), st.integers(0, 2_000_000_000_000), st.integers(0, 2_000_000_000_000))
def test_the_next_one_is_at_a_multiple_after_both_now_and_the_last(every_s: int, now_ms: int, run_at_ms: int) -> None:
    schedules = Schedules(TENANT, [HOURLY._replace(every_s=every_s)])

    step = schedules.after(Ended(TENANT, "work", DEDUPE, run_at_ms), "job_2", now_ms)

    assert step is not None
    assert isinstance(step.parameters, dict)
    next_ms: Any = step.parameters["run_at_ms"]
    assert next_ms % (every_s * 1000) == 0
    last_ms = max(now_ms, min(run_at_ms, now_ms + every_s * 1000))  # no clock is believed that is further ahead
    assert last_ms < next_ms <= last_ms + every_s * 1000
    assert (step.parameters["dedupe"], step.parameters["payload"]) == (DEDUPE, b"tidy")


@pytest.mark.parametrize(
    "ended",
    [Ended("other", "work", DEDUPE, 0), Ended(TENANT, "other", DEDUPE, 0), Ended(TENANT, "work", None, 0),
     Ended(TENANT, "work", "schedule:gone", 0)],
)  # fmt: skip
def test_nothing_follows_other_jobs(ended: Ended) -> None:
    assert Schedules(TENANT, [HOURLY]).after(ended, "job_2", 0) is None


# --- over a database ----------------------------------------------------------------------------


async def test_it_is_done_each_hour_on_the_hour(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, schedules=[HOURLY]) as desk:
        await done(desk, 0)
        clock.move(1799)
        await desk.until(await desk.keep("other"), "completed")
        assert desk.worker.names == ["other"]
        clock.move(1)
        await done(desk, 2)
        clock.move(3600)
        await done(desk, 3)

        rows = [row for row in await desk.rows() if row.status == "completed" and row.run_at_ms % 3_600_000 == 0]
        assert [row.run_at_ms for row in rows] == [1_800_000_000_000, 1_800_003_600_000]
        assert await effects(database) == Counter({"tidy": 2, "other": 1})


async def test_what_was_missed_is_made_up_for_once(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, schedules=[HOURLY]) as desk:
        await done(desk, 0)
    clock.move(10 * 3600)

    again = JobDesk(database, clock, schedules=[HOURLY])
    again.runner.start()
    await done(again, 1)

    assert [row.run_at_ms for row in await again.rows()] == [1_800_000_000_000, 1_800_036_000_000]
    await again.runner.close()


async def test_it_goes_on_after_failing_and_after_being_cancelled(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, schedules=[HOURLY], most_attempts=1) as desk:
        await done(desk, 0)
        desk.worker.outcomes["tidy"] = [ValueError()]
        clock.move(1800)
        (failed, *_) = await desk.rows()
        await desk.until(failed.id, "failed")
        (_, waiting) = await desk.rows()

        await desk.store.cancel(TENANT, waiting.id, unix_ms(clock))

        rows = await desk.rows()
        assert [(row.status, row.run_at_ms) for row in rows] == [
            ("failed", 1_800_000_000_000),
            ("cancelled", 1_800_003_600_000),
            ("waiting", 1_800_007_200_000),
        ]
        with pytest.raises(ConstraintViolated):
            await desk.store.retry(TENANT, failed.id, unix_ms(clock))


async def test_it_goes_on_where_its_process_died_in_its_last_attempt(database: Database, clock: HandClock) -> None:
    dead = JobDesk(database, clock, schedules=[HOURLY], most_attempts=1)
    await dead.heartbeat()
    await dead.runner._care()
    clock.move(1800)
    assert len(await dead.runner._work.claim({"work": 1}, 1, unix_ms(clock))) == 1
    clock.move(31)
    alive = JobDesk(database, clock, schedules=[HOURLY], most_attempts=1)
    await alive.heartbeat()

    await alive.runner._work.recover(unix_ms(clock), 0.0)

    assert [row.status for row in await alive.rows()] == ["failed", "waiting"]


async def test_one_that_was_lost_is_begun_again(database: Database, clock: HandClock) -> None:
    """A process of an older version, which does not know the schedule, has ended its job."""
    old = JobDesk(database, clock)
    await make_effects(database)
    await old.heartbeat()
    await JobDesk(database, clock, schedules=[HOURLY]).runner._care()
    clock.move(1800)
    old.runner.start()
    (kept,) = await old.rows()
    await old.until(kept.id, "completed")
    await old.runner.close()
    assert len(await old.rows()) == 1

    new = JobDesk(database, clock, schedules=[HOURLY])
    new.runner.start()
    await done(new, 1)
    await new.runner.close()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_clock_that_was_far_ahead_stops_nothing(
    database: Database, clock: HandClock, *, is_cancelled: bool
) -> None:
    await make_effects(database)
    ahead = JobDesk(database, HandClock(clock.now() + 1e9), schedules=[HOURLY])
    await ahead.runner._care()
    (kept,) = await ahead.rows()
    assert kept.run_at_ms > 1_000_000_000 * 1000 + unix_ms(clock)
    desk = JobDesk(database, clock, schedules=[HOURLY])

    if is_cancelled:
        await desk.store.cancel(TENANT, kept.id, unix_ms(clock))
    await desk.runner._care()

    *_, row = await desk.rows()
    assert row.status == "waiting"
    assert row.run_at_ms in (1_800_000_000_000, 1_800_003_600_000)


async def test_a_clock_that_is_a_little_behind_has_no_moment_twice(database: Database, clock: HandClock) -> None:
    await JobDesk(database, HandClock(clock.now() + 1801), schedules=[HOURLY]).runner._care()
    desk = JobDesk(database, clock, schedules=[HOURLY])

    await desk.runner._care()

    assert [row.run_at_ms for row in await desk.rows()] == [1_800_003_600_000]


async def test_many_processes_do_it_once(postgresql_url: str, clock: HandClock) -> None:
    databases = [await open_database(postgresql_url) for _ in range(3)]
    await make_effects(databases[0])
    often = [HOURLY._replace(every_s=20), HOURLY._replace(name="other", every_s=20, payload=b"other")]
    desks = [JobDesk(each, clock, schedules=often) for each in databases]
    for desk in desks:
        await desk.heartbeat()
        desk.runner.start()
    for times in range(1, 21):
        for desk in desks:
            await desk.heartbeat()
        clock.move(20)
        async with asyncio.timeout(8):
            while await effects(databases[0]) != Counter({"tidy": times, "other": times}):
                await asyncio.sleep(0.002)

    rows = await desks[0].rows()

    assert len({(row.run_at_ms, row.kind) for row in rows}) == 21
    assert Counter(row.status for row in rows) == Counter(completed=40, waiting=2)
    assert all(row.attempts == 1 for row in rows if row.status == "completed")
    for desk in desks:
        await desk.runner.close()
    for each in databases:
        await each.close()
