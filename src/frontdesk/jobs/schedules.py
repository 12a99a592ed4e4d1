"""What recurs: each schedule is one open job, and the transaction that ends it keeps the next one.

It runs at multiples of its period since 1970, UTC, so all processes mean the same moment; that one job is open at a
time makes it one run, whoever does it. What a server that was down has missed is made up for once, not once a period.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import NewJob
from frontdesk.jobs.store import JOB_PREFIX, Ended, enqueue
from frontdesk.storage.query import Step

_MARK = "schedule:"


class Schedule(NamedTuple):
    """A job that recurs every `every_s` seconds. Its name is its own among those of its kind."""

    name: str
    kind: str
    every_s: int
    payload: bytes


class Schedules:
    """All that recurs, as jobs of one tenant."""

    def __init__(self, tenant: str, schedules: Iterable[Schedule]) -> None:
        self._tenant = tenant
        self._schedules = {(each.kind, f"{_MARK}{each.name}"): each for each in schedules}

    def begin(self, now_ms: int) -> list[Step]:
        """The steps that keep one job of each schedule; they change nothing where one is open."""
        # In one order everywhere: processes that begin together wait for each other's rows.
        return [self._next(key, new_id(JOB_PREFIX), now_ms, now_ms) for key in sorted(self._schedules)]

    def after(self, ended: Ended, job_id: str, now_ms: int) -> Step | None:
        """The step that keeps the job after the one that has ended, where that recurs.

        It is later than the one that ended, though this process's clock is behind that of who began it.
        """
        key = (ended.kind, ended.dedupe or "")
        if ended.tenant != self._tenant or key not in self._schedules:
            return None
        return self._next(key, job_id, max(now_ms, ended.run_at_ms), now_ms)

    def _next(self, key: tuple[str, str], job_id: str, behind_ms: int, now_ms: int) -> Step:
        schedule = self._schedules[key]
        every_ms = schedule.every_s * 1000
        run_at_ms = (behind_ms // every_ms + 1) * every_ms
        new = NewJob(schedule.kind, schedule.payload, dedupe=key[1], run_at_ms=run_at_ms)
        return enqueue(self._tenant, new, job_id, now_ms)
