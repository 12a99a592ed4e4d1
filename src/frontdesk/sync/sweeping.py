"""What was deleted long ago is forgotten, by a job: devices that were away for longer begin anew."""

from __future__ import annotations

from frontdesk.changes.store import ChangeStore
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.jobs.plan import Job, Progress
from frontdesk.jobs.schedules import Schedule

FORGETTING = Schedule("deleted", "sweep_changes", 86_400, b"")
_DAY_MS = 86_400_000


class Forgetting:
    """Forgets what was deleted more than so many days ago."""

    def __init__(self, changes: ChangeStore, clock: Clock, keep_days: float) -> None:
        self._changes = changes
        self._clock = clock
        self._keep_days = keep_days

    async def run(self, job: Job, progress: Progress) -> None:  # noqa: ARG002 - all of them are alike
        """Forget all of it, some at a time."""
        before_ms = unix_ms(self._clock) - round(self._keep_days * _DAY_MS)
        forgotten = 0
        while found := await self._changes.sweep(before_ms):
            forgotten += found
            progress.tell(forgotten)
