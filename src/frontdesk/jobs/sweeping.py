"""Jobs that ended long ago are removed, by a job."""

from __future__ import annotations

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.jobs.plan import Job, Progress
from frontdesk.jobs.schedules import Schedule
from frontdesk.jobs.store import AllJobs

SWEEPING = Schedule("sweep", "sweep_jobs", 3600, b"")


class Sweeping:
    """Removes what has ended longer ago than its kind is kept."""

    def __init__(self, every: AllJobs, clock: Clock) -> None:
        self._every = every
        self._clock = clock

    async def run(self, job: Job, progress: Progress) -> None:  # noqa: ARG002 - all of them are alike
        """Remove all of it, some at a time."""
        removed = 0
        while found := await self._every.sweep(unix_ms(self._clock)):
            removed += found
            progress.tell(removed)
