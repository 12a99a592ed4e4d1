"""Jobs wired up: who does which, what recurs, and what operators see of it."""

from __future__ import annotations

from collections.abc import Sequence

from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.core import config
from frontdesk.core.clock import Clock
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.http.once import Idempotency
from frontdesk.jobs.plan import Kind
from frontdesk.jobs.routes import JobRoutes
from frontdesk.jobs.runner import JobRunner
from frontdesk.jobs.schedules import Schedule, Schedules
from frontdesk.jobs.store import AllJobs, JobStore
from frontdesk.jobs.sweeping import SWEEPING, Sweeping
from frontdesk.storage.database import Database

_DEAD_AFTER_S = 30.0


class Jobs:
    """The jobs of one process, which is known as `process`."""

    def __init__(
        self,
        settings: config.Jobs,
        database: Database,
        process: str,
        clock: Clock,
        kinds: Sequence[Kind],
        recurring: Sequence[Schedule] = (),
    ) -> None:
        self._clock = clock
        schedules = Schedules(DEFAULT_TENANT, [SWEEPING, *recurring])
        sweeping = Kind(SWEEPING.kind, Sweeping(AllJobs(database, kinds), clock), together=1)
        self.runner = JobRunner(
            database,
            process,
            clock,
            [*kinds, sweeping],
            schedules,
            at_once=settings.at_once,
            every_s=settings.poll_s,
            dead_after_s=_DEAD_AFTER_S,
        )
        self._store = JobStore(database, schedules)

    def routes(self, callers: Callers, idempotency: Idempotency | None = None) -> list[GuardedRoute]:
        """The routes of jobs."""
        return JobRoutes(self._store, self.runner, self._clock, callers, idempotency).routes()
