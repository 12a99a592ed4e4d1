"""Jobs over a real database, with handlers that do as a test likes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import Done, Job, Kind, NewJob, Progress
from frontdesk.jobs.runner import JobRunner
from frontdesk.jobs.schedules import Schedule, Schedules
from frontdesk.jobs.store import JobRow, JobStore, enqueue
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import process
from tests.fakes import HandClock
from tests.jobs.effects import CREATE, effect_of

TENANT = "default"
DEAD_AFTER_S = 30.0
_TIMEOUT_S = 20.0
_BEAT = insert(process)
BEAT = Query(
    _BEAT.on_conflict_do_update(index_elements=[process.c.id], set_={"heartbeat_at_ms": _BEAT.excluded.heartbeat_at_ms})
)

Outcome = Done | Exception | None


class Worker:
    """Does jobs: each changes what its name says, unless `outcomes` has something else for it first.

    A shut `gate` holds all of them, `gates` one of that name; those in `stubborn` do not let themselves be cancelled.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self.tells: dict[str, tuple[int, int | None]] = {}
        self.stubborn: set[str] = set()
        self.running: Counter[str] = Counter()
        self.most_running = 0

    @property
    def names(self) -> list[str]:
        """What was done, in order."""
        return [job.payload.decode() for job in self.jobs]

    async def run(self, job: Job, progress: Progress) -> Done | None:
        name = job.payload.decode()
        self.jobs.append(job)
        self.running[name] += 1
        self.most_running = max(self.most_running, self.running.total())
        try:
            if name in self.tells:
                progress.tell(*self.tells[name])
            try:
                await self.gate.wait()
                if name in self.gates:
                    await self.gates[name].wait()
            except asyncio.CancelledError:
                if name not in self.stubborn:
                    raise
        finally:
            self.running[name] -= 1
        given = self.outcomes.get(name)
        outcome: Outcome = given.pop(0) if given else effect_of(name)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class JobDesk:
    """One process that does jobs of the kind "work", and of others."""

    def __init__(
        self,
        database: Database,
        clock: HandClock,
        *,
        kinds: Iterable[str] = ("work",),
        schedules: Iterable[Schedule] = (),
        at_once: int = 8,
        **limits: Any,
    ) -> None:
        self.database = database
        self.clock = clock
        self.process = new_id("proc_")
        self.worker = Worker()
        known = Schedules(TENANT, schedules)
        self.store = JobStore(database, known)
        self.runner = JobRunner(
            database,
            self.process,
            clock,
            [Kind(name, self.worker, **limits) for name in kinds],
            known,
            at_once=at_once,
            every_s=0.01,
            dead_after_s=DEAD_AFTER_S,
        )

    async def heartbeat(self) -> None:
        now_ms = unix_ms(self.clock)
        beat = {"id": self.process, "started_at_ms": now_ms, "heartbeat_at_ms": now_ms, "fenced_at_ms": None}
        await self.database.write(Step(BEAT, beat))

    async def keep(self, name: str, kind: str = "work", *, job_id: str | None = None, **more: Any) -> str:
        """Keep a job of this name; returns its id, or that of nothing where one with its `dedupe` is open."""
        job_id = job_id or new_id("job_")
        new = NewJob(kind, name.encode(), **more)
        await self.database.write(enqueue(TENANT, new, job_id, unix_ms(self.clock)))
        self.runner.wake()
        return job_id

    async def row(self, job_id: str) -> JobRow:
        row = await self.store.find(TENANT, job_id)
        assert row is not None
        return row

    async def rows(self) -> list[JobRow]:
        """All of them, as they were kept."""
        return (await self.store.list_of(TENANT, None, None, "", 1000))[::-1]

    async def until(self, job_id: str, status: str) -> JobRow:
        async with asyncio.timeout(_TIMEOUT_S):
            while (row := await self.row(job_id)).status != status:
                await asyncio.sleep(0.002)
        return row

    async def when_rows(self, are_so: Callable[[list[JobRow]], bool]) -> list[JobRow]:
        async with asyncio.timeout(_TIMEOUT_S):
            while not are_so(rows := await self.rows()):
                await asyncio.sleep(0.002)
        return rows

    async def when(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            while not is_so():
                await asyncio.sleep(0.002)


@asynccontextmanager
async def job_desk(database: Database, clock: HandClock, **settings: Any) -> AsyncIterator[JobDesk]:
    """A process that does jobs until the block ends."""
    desk = JobDesk(database, clock, **settings)
    await make_effects(database)
    await desk.heartbeat()
    desk.runner.start()
    try:
        yield desk
    finally:
        desk.worker.gate.set()
        await desk.runner.close()


async def make_effects(database: Database) -> None:
    await database.write(Step(CREATE))
