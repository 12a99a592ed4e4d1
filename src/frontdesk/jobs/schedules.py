"""What recurs: each schedule is one open job, and the transaction that ends it keeps the next one.

It runs at multiples of its period since 1970, UTC, so all processes mean the same moment; that one job is open at a
time makes it one run, whoever does it. What a server that was down has missed is made up for once, not once a period.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import NewJob
from frontdesk.jobs.store import JOB_PREFIX, Ended, enqueue, hasten
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
        """The steps that keep one job of each schedule; they change nothing where one is open.

        But that one is done when it is due by now, where it was kept by a clock that was far ahead.
        """
        steps: list[Step] = []
        for key in sorted(self._schedules):  # in one order everywhere: processes wait for each other's rows
            new, every_ms = self._next(key, now_ms), self._schedules[key].every_s * 1000
            assert new.run_at_ms is not None
            steps.append(enqueue(self._tenant, new, new_id(JOB_PREFIX), now_ms))
            # Clocks that differ a little must not have a moment twice.
            steps.append(hasten(self._tenant, new, new.run_at_ms + every_ms))
        return steps

    def after(self, ended: Ended, job_id: str, now_ms: int) -> Step | None:
        """The step that keeps the job after the one that has ended, where that recurs.

        It is later than the one that ended, though this process's clock is behind that of who began it; but by no more
        than a period, for such a clock was wrong.
        """
        key = (ended.kind, ended.dedupe or "")
        if ended.tenant != self._tenant or key not in self._schedules:
            return None
        latest_ms = now_ms + self._schedules[key].every_s * 1000
        return enqueue(self._tenant, self._next(key, max(now_ms, min(ended.run_at_ms, latest_ms))), job_id, now_ms)

    def _next(self, key: tuple[str, str], behind_ms: int) -> NewJob:
        schedule = self._schedules[key]
        every_ms = schedule.every_s * 1000
        run_at_ms = (behind_ms // every_ms + 1) * every_ms
        return NewJob(schedule.kind, schedule.payload, dedupe=key[1], run_at_ms=run_at_ms)
