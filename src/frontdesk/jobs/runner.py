"""The jobs of a process: claimed as they fall due, done beside each other, put back when it stops.

Who works here wakes it after a commit that keeps a job; it looks by itself as often as `every_s` says, for what others
kept, and when the next one is due. What dead processes left is put back, and what operators cancel is ended, by the
same look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.tasks import Tasks
from frontdesk.jobs.endings import Again, End, Interruption, after_failure, after_interruption
from frontdesk.jobs.plan import Done, GiveUp, Job, Kind, Retry
from frontdesk.jobs.schedules import Schedules
from frontdesk.jobs.store import AllJobs, Claim, ClaimKey, JobWork, Progressed
from frontdesk.storage.database import Database
from frontdesk.storage.errors import StorageError, StorageFailed

T = TypeVar("T")

_log = logging.getLogger("frontdesk.jobs")
_RECOVER_EVERY_S = 5.0
_BEGIN_EVERY_S = 60.0
_LAST_WORDS_S = 5.0
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class Attempt:
    """A job under way here. Its handler tells its progress to it."""

    def __init__(self, claim: Claim, kind: Kind) -> None:
        self.claim = claim
        self.kind = kind
        self.progress: Progressed = (None, None)
        self.has_news = False
        self.interruption: Interruption | None = None
        self._work: asyncio.Task[End | Again] | None = None

    @property
    def job(self) -> Job:
        """The job."""
        return self.claim.job

    def tell(self, done: int, total: int | None = None) -> None:
        """Note how much of it is done; the next look stores that."""
        self.progress = (done, total)
        self.has_news = True

    def interrupt(self, why: Interruption) -> None:
        """End its handler, if that has not ended; the first reason counts."""
        if self.interruption is None:
            self.interruption = why
        if self._work is not None:
            self._work.cancel()

    async def run(self, tasks: Tasks) -> End | Again:
        """Have its handler do it, for as long as it may take, and return what becomes of the job."""
        if self.interruption is None:
            self._work = tasks.start(self.job.id, self._run())
            await asyncio.wait([self._work], timeout=self.kind.timeout_s)
            if not self._work.done():
                self.interrupt("timed_out")
                await asyncio.wait([self._work])
            if not self._work.cancelled():
                return self._work.result()
        if self.interruption is None:
            return self.failed(RuntimeError("The handler cancelled itself."))
        return after_interruption(self.interruption, self.kind, self.job.attempt, random.random())  # noqa: S311 - no secret

    def failed(self, error: Exception) -> End | Again:
        """What becomes of the job where its attempt failed."""
        return after_failure(error, self.kind, self.job.attempt, random.random())  # noqa: S311 - no secret

    async def _run(self) -> End | Again:
        try:
            done: Done | None = await self.kind.handler.run(self.job, self)
        except (Retry, GiveUp, FrontdeskError) as error:
            return self.failed(error)
        except StorageFailed as error:
            _log.warning("store_unavailable work=jobs job=%s reason=%s", self.job.id, error)
            return self.failed(Retry(is_free=True))
        except Exception as error:  # noqa: BLE001 - a bug in one job stops none of the others
            _log.exception("job_broke kind=%s job=%s", self.job.kind, self.job.id)
            return self.failed(error)
        return End("completed", done)


class JobRunner:
    """Does jobs. `start` it; then `stop` it before turns are ended, and `close` it behind them."""

    def __init__(
        self,
        database: Database,
        process: str,
        clock: Clock,
        kinds: Iterable[Kind],
        schedules: Schedules,
        *,
        at_once: int,
        every_s: float,
        dead_after_s: float,
    ) -> None:
        self._clock = clock
        self._kinds = {kind.name: kind for kind in kinds}
        self._schedules = schedules
        self._work = JobWork(database, process, self._kinds, schedules, dead_after_s)
        self._all = AllJobs(database, self._kinds.values())
        self._at_once = at_once
        self._every_s = every_s
        self._looking = Tasks("jobs")
        self._carrying = Tasks("jobs under way")
        self._handlers = Tasks("job handlers")
        self._attempts: dict[ClaimKey, Attempt] = {}
        self._is_wanted = asyncio.Event()
        self._stopped = asyncio.Event()
        self._left = asyncio.Event()
        self._is_unsure = False  # a claim failed, which may have been stored
        self._recovers_at_s = 0.0
        self._begins_at_s = 0.0
        self._told_kinds: set[str] = set()

    def start(self) -> None:
        """Begin to look for jobs."""
        self._looking.start("look", self._look())

    def wake(self) -> None:
        """There may be something to do: a job was kept here, or cancelled."""
        self._is_wanted.set()

    def stop(self) -> None:
        """Begin no more jobs. Those under way go on."""
        self._stopped.set()
        self.wake()

    async def close(self, grace_s: float = 0.0) -> None:
        """Give the jobs under way some time, then put them back, as if they had not begun. May be called twice."""
        if self._left.is_set():
            return
        self.stop()
        await self._looking.wait(_LAST_WORDS_S)
        await self._looking.close()
        await self._carrying.wait(grace_s)
        self._left.set()
        for attempt in self._attempts.values():
            attempt.interrupt("left")
        if not await self._carrying.wait(_LAST_WORDS_S):
            await self._carrying.close()
        await self._handlers.close()
        try:
            await self._leave_lost()
        except StorageError as error:  # they are taken for those of a dead process then
            _log.warning("store_unavailable work=jobs reason=%s", error)

    # --- looking ----------------------------------------------------------------------------

    async def _look(self) -> None:
        while not self._stopped.is_set():
            self._is_wanted.clear()
            pause_s = self._every_s
            try:
                await self._care()
                await self._mind()
                pause_s = await self._begin_some()
            except StorageError as error:
                _log.warning("store_unavailable work=jobs reason=%s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._is_wanted.wait()

    async def _care(self) -> None:
        """What is done now and then: put back what dead processes left, begin what recurs, tell what nobody does."""
        now_s = self._clock.monotonic()
        if now_s >= self._recovers_at_s:
            while recovered := await self._work.recover(unix_ms(self._clock), random.random()):  # noqa: S311 - no secret
                _log.warning("jobs_recovered count=%d", recovered)
            self._recovers_at_s = now_s + _RECOVER_EVERY_S
        if now_s >= self._begins_at_s:
            steps = self._schedules.begin(unix_ms(self._clock))
            if steps:
                await self._all.keep(steps)
            for kind in sorted({*await self._work.kinds_that_wait()} - self._kinds.keys() - self._told_kinds):
                self._told_kinds.add(kind)
                _log.warning("job_kind_unknown kind=%s", kind)
            self._begins_at_s = now_s + _BEGIN_EVERY_S

    async def _mind(self) -> None:
        """See after those under way: what they tell, who is to end, and whether any was lost."""
        for attempt in self._attempts.values():
            if attempt.has_news:
                attempt.has_news = False
                self._work.tell(attempt.claim, attempt.progress)
        if self._attempts or self._is_unsure:
            await self._leave_lost()

    async def _leave_lost(self) -> None:
        under_way = dict(self._attempts)  # before the rows: what ends meanwhile is not this process's any more
        for mine in await self._work.mine():
            attempt = under_way.pop(mine.key, None)
            if attempt is None:
                await self._work.leave(mine, unix_ms(self._clock))
            elif mine.wants_cancel and attempt.interruption is None:  # once: it may take time to tidy up
                attempt.interrupt("cancelled")
        self._is_unsure = False
        for attempt in under_way.values():  # it has ended, or others have it, for this process seemed dead
            if attempt.interruption is None:
                attempt.interrupt("lost")

    async def _begin_some(self) -> float:
        """Begin what is due and has room; returns for how long there is nothing else to begin, at most."""
        while (room := self._at_once - len(self._attempts)) > 0 and not self._stopped.is_set():
            due_ms = await self._work.next_due_ms()
            now_ms = unix_ms(self._clock)
            if due_ms is None or due_ms > now_ms:
                return self._every_s if due_ms is None else min(self._every_s, (due_ms - now_ms) / 1000)
            claims = await self._claim(room, now_ms)
            for claim in claims:
                self._begin(claim)
            if not claims:
                break
        return self._every_s

    async def _claim(self, room: int, now_ms: int) -> list[Claim]:
        taken = Counter(attempt.job.kind for attempt in self._attempts.values())
        rooms = {name: kind.together - taken[name] for name, kind in self._kinds.items()}
        self._is_unsure = True
        claims = await self._work.claim(rooms, room, now_ms)
        self._is_unsure = False
        return claims

    # --- doing ------------------------------------------------------------------------------

    def _begin(self, claim: Claim) -> None:
        attempt = Attempt(claim, self._kinds[claim.job.kind])
        self._attempts[claim.key] = attempt
        self._carrying.start(claim.job.id, self._carry(attempt))

    async def _carry(self, attempt: Attempt) -> None:
        try:
            await self._settle(attempt, await attempt.run(self._handlers))
        finally:
            del self._attempts[attempt.claim.key]
            self.wake()

    async def _settle(self, attempt: Attempt, then: End | Again) -> None:
        job = attempt.job
        try:
            is_ours = await self._stored(lambda: self._keep(attempt, then))
        except StorageFailed as error:
            _log.warning("store_unavailable work=jobs job=%s reason=%s", job.id, error)
            return
        except StorageError as error:  # what it changes cannot be: as if its handler had raised that
            _log.exception("job_broke kind=%s job=%s", job.kind, job.id)
            await self._settle(attempt, attempt.failed(error))
            return
        if not is_ours:
            _log.warning("job_lost kind=%s job=%s", job.kind, job.id)
        elif then.error_code is not None:
            _log.warning("job_not_done kind=%s job=%s code=%s", job.kind, job.id, then.error_code)

    def _keep(self, attempt: Attempt, then: End | Again) -> Awaitable[bool]:
        now_ms = unix_ms(self._clock)
        if isinstance(then, End):
            return self._work.end(attempt.claim, then, attempt.progress, now_ms)
        return self._work.again(attempt.claim, then, now_ms)

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write until it is stored, though the storage fail: what a job did must not be done again for that.

        Once the process stops it is tried a last time.
        """
        pause_s = _SHORTEST_PAUSE_S
        while True:
            is_last = self._left.is_set()
            try:
                return await write()
            except StorageFailed:
                if is_last:
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._left.wait()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
