"""Jobs that ended long ago are removed, each kind in its time."""

from __future__ import annotations

import pytest

from frontdesk.accounts.store import AccountStore
from frontdesk.accounts.store.moves import move_all
from frontdesk.core.clock import unix_ms
from frontdesk.core.config import Jobs as JobSettings
from frontdesk.jobs.plan import Job, Kind
from frontdesk.jobs.store import AllJobs
from frontdesk.jobs.sweeping import Sweeping
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import person
from frontdesk.wiring.jobs import Jobs
from tests.fakes import HandClock
from tests.jobs.desk import TENANT, JobDesk, job_desk

DAY_S = 86_400


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


class Told:
    """Hears how far it has come."""

    def __init__(self) -> None:
        self.done = 0

    def tell(self, done: int, total: int | None = None) -> None:
        self.done = done


async def test_each_kind_is_kept_as_long_as_it_says(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, kinds=("short", "long")) as desk:
        short = [await desk.keep(f"s{number}", "short") for number in range(250)]
        await desk.until(short[-1], "completed")
        long = await desk.keep("l", "long")
        for row in await desk.rows():
            await desk.until(row.id, "completed")
        kept = [await desk.keep("unknown", "unknown"), await desk.keep("later", "short", run_at_ms=10**15)]
        gone = await desk.keep("u", "unknown")
        await desk.store.cancel(TENANT, gone, unix_ms(clock))
        kinds = [Kind("short", desk.worker, keep_days=2.0), Kind("long", desk.worker, keep_days=30.0)]
        sweeping, told = Sweeping(AllJobs(database, kinds), clock), Told()

        async def left() -> set[str]:
            clock.move(DAY_S)
            await sweeping.run(Job(TENANT, "job_1", "sweep_jobs", "", b"", 0, 1, 0), told)
            return {row.id for row in await desk.rows()}

        assert len(await left()) == 254
        assert await left() == {long, gone, *kept}
        assert told.done == 250
        clock.move(4 * DAY_S)
        assert await left() == {long, *kept}
        clock.move(21 * DAY_S)
        assert await left() == {long, *kept}
        assert await left() == set(kept)


async def test_it_is_a_job_itself(database: Database, clock: HandClock) -> None:
    desk = JobDesk(database, clock)
    await desk.heartbeat()
    gone = await desk.keep("j")
    await desk.store.cancel(TENANT, gone, unix_ms(clock))
    jobs = Jobs(JobSettings(poll_s=0.01), database, desk.process, clock, [Kind("work", desk.worker, keep_days=0.5)])
    jobs.runner.start()
    await desk.when_rows(lambda rows: [row.kind for row in rows] == ["work", "sweep_jobs"])
    clock.move(DAY_S)

    first, _ = await desk.when_rows(lambda rows: [(row.kind, row.status) for row in rows] == SWEPT)

    assert (first.done, first.attempts) == (1, 1)
    await jobs.runner.close()


SWEPT = [("sweep_jobs", "completed"), ("sweep_jobs", "waiting")]


async def test_jobs_go_with_their_person(database: Database, clock: HandClock) -> None:
    desk = JobDesk(database, clock)
    await AccountStore(database).ensure_person("u1", 5)
    became = {"tenant": TENANT, "id": "anon_1", "tier": None, "assigned_tier": None, "became": "u1"}
    times = {"created_at_ms": 1, "changed_at_ms": 2, "revoked_before_ms": None}
    await database.write(Step(Query(insert(person)), {**became, **times}))
    ids = [await desk.keep("a", person="anon_1"), await desk.keep("b", person="u1"), await desk.keep("c", person="u2")]

    await database.transact(lambda: move_all(TENANT, "anon_1", "u1", 9))

    assert [(await desk.row(job_id)).person for job_id in ids] == ["u1", "u1", "u2"]
