"""kill -9 at any moment: every job is done, and what it changes is changed once."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Collection

import pytest
from sqlalchemy import func, select, update

from frontdesk.core.clock import SystemClock, unix_ms
from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import NewJob
from frontdesk.jobs.store import enqueue
from frontdesk.storage.database import Database, open_beside
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import job
from tests.jobs.desk import TENANT, make_effects
from tests.jobs.effects import effects

_JOBS = 200
_COUNTS = Query(select(job.c.status, func.count(), func.max(job.c.attempts)).group_by(job.c.status))
_AT_WORK = Query(select(job.c.owner).where(job.c.status == "running").distinct())
# What waits after a crash need not wait as long as it would: how long is another test's matter.
_HURRY = Query(update(job).where(job.c.status == "waiting").values(run_at_ms=0))


@pytest.mark.timeout(120)
async def test_every_job_is_done_and_changes_things_once(sqlite_url: str) -> None:
    assert await _crash(sqlite_url, processes=1, kills=4, seed=1) > 1


@pytest.mark.timeout(120)
async def test_so_they_do_where_two_processes_share_them(postgresql_url: str) -> None:
    assert await _crash(postgresql_url, processes=2, kills=4, seed=2) > 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(5))
async def test_many_kills_of_two_processes(postgresql_url: str, seed: int) -> None:
    assert await _crash(postgresql_url, processes=2, kills=40, seed=seed, jobs=1500) > 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(5))
async def test_many_kills(sqlite_url: str, seed: int) -> None:
    assert await _crash(sqlite_url, processes=1, kills=40, seed=seed, jobs=1500) > 1


async def _crash(url: str, processes: int, kills: int, seed: int, jobs: int = _JOBS) -> int:
    """Kill processes while they do jobs; returns the most attempts that one took."""
    chance = random.Random(seed)
    database = await open_beside(url)
    await make_effects(database)
    now_ms = unix_ms(SystemClock())
    names = [f"j{number}" for number in range(jobs)]
    new = [enqueue(TENANT, NewJob("work", name.encode()), new_id("job_"), now_ms) for name in names]
    alive = dict(await asyncio.gather(*(_start(url) for _ in range(processes))))
    share = jobs // kills
    for kill in range(kills):
        # What is left of the shares before waits as well: it was a dead process's.
        await database.write(*new[kill * share : (kill + 1) * share if kill + 1 < kills else jobs])
        await database.write(Step(_HURRY))
        victim = alive.pop(await _one_at_work(database, alive.keys(), chance))
        await asyncio.sleep(chance.random() * 0.02)  # any moment of its work
        victim.kill()
        await victim.wait()
        alive.update([await _start(url)])
    await _until_done(database, jobs)

    for process in alive.values():
        process.kill()
        await process.wait()
    assert await effects(database) == Counter(names)
    ((status, count, attempts),) = await database.read(_COUNTS)
    await database.close()
    assert (status, count) == ("completed", jobs)
    return attempts


async def _start(url: str) -> tuple[str, Process]:
    """Start a process; returns its name with it."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.jobs.doing_child", url, stdout=PIPE)
    assert child.stdout is not None
    name = (await child.stdout.readline()).decode().strip()
    assert name.startswith("proc_")
    return name, child


async def _one_at_work(database: Database, names: Collection[str], chance: random.Random) -> str:
    """One of some processes that does jobs just now: another may have them all."""
    async with asyncio.timeout(60):
        while not (busy := {name for (name,) in await database.read(_AT_WORK)} & {*names}):
            await asyncio.sleep(0.005)
    return chance.choice(sorted(busy))


async def _until_done(database: Database, least: int) -> None:
    async with asyncio.timeout(60):
        while (await effects(database)).total() < least:
            await database.write(Step(_HURRY))
            await asyncio.sleep(0.01)
