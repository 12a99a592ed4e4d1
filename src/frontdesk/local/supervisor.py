"""Keeps the process of one model: started when it is first needed, started again after it ended.

    stopped ──► starting ──► ready ──► stopped      ended by itself: the next request starts it again
       ▲            │
       └── failed ◄─┘        waits `Backoff` before the next attempt; what says so meanwhile costs nothing

A model whose files are missing is `failed` too, without waiting: the files are looked for each time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from frontdesk.core.clock import Clock
from frontdesk.core.errors import ProviderError
from frontdesk.core.tasks import Tasks
from frontdesk.local.child import Child, Conversation, StartFailed, start_child
from frontdesk.local.frames import Job

_log = logging.getLogger("frontdesk.local")


@dataclass(frozen=True, slots=True)
class State:
    """What a model's process is doing; `reason` says why where it is failed, or was stopped by itself."""

    kind: Literal["stopped", "starting", "ready", "failed"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """How long a supervisor waits for what."""

    start_s: float = 120.0
    silence_s: float = 120.0
    stop_s: float = 2.0
    backoff_first_s: float = 1.0
    backoff_most_s: float = 60.0


class Backoff:
    """How long to leave a process alone that keeps ending: not at all after the first time, then doubling."""

    def __init__(self, clock: Clock, first_s: float, most_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._most_s = most_s
        self._endings = 0
        self._not_before = 0.0

    def note_ending(self) -> None:
        """It ended, or did not start."""
        self._endings += 1
        if self._endings > 1:
            wait_s = min(self._most_s, self._first_s * 2 ** min(self._endings - 2, 30))
            self._not_before = self._clock.monotonic() + wait_s

    def note_success(self) -> None:
        """It has answered: what was before does not count."""
        self._endings = 0

    @property
    def left_s(self) -> float:
        """How long until the next attempt; 0 where it may be now."""
        return max(0.0, self._not_before - self._clock.monotonic())


class Supervisor:
    """The process of one model. `close()` ends it.

    `find_obstacle` says why it cannot be started now, if so; `most_jobs` are those that it works on
    and those that wait for that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        clock: Clock,
        *,
        find_obstacle: Callable[[], str | None],
        most_jobs: int,
        times: Times | None = None,
    ) -> None:
        self._name = name
        self._command = command
        self._find_obstacle = find_obstacle
        self._most_jobs = most_jobs
        self._times = times or Times()
        self._backoff = Backoff(clock, self._times.backoff_first_s, self._times.backoff_most_s)
        self._tasks = Tasks(f"local-{name}")
        self._child: Child | None = None
        self._starting: asyncio.Task[None] | None = None
        self._told: str | None = None
        self._is_closed = False
        self.state = State("stopped")

    @property
    def process_id(self) -> int | None:
        """The id of the process that is ready, if one is."""
        return None if self._child is None else self._child.process_id

    def warm(self) -> None:
        """Start the process in the background, where it does not run."""
        if self._child is None and not self._is_closed and self._obstacle() is None:
            self._begin_start()

    async def ask(self, make_job: Callable[[int], Job]) -> Conversation:
        """Give the process a job, starting it first where it must be. The caller closes what it gets.

        Raises ProviderError where it cannot start or has too many jobs.
        """
        child = self._child
        if child is None:
            child = await self._started()
        if len(child) >= self._most_jobs:
            raise ProviderError(
                f"local model {self._name!r} has {len(child)} jobs", status=503, code="provider_busy", retry_after_s=1
            )
        return child.ask(make_job)

    async def close(self) -> None:
        """End the process and take no more jobs."""
        self._is_closed = True
        await self._tasks.close()
        child, self._child = self._child, None
        if child is not None:
            await child.stop(self._times.stop_s)
        self.state = State("stopped")

    async def _started(self) -> Child:
        if self._is_closed:
            raise ProviderError(f"local model {self._name!r} is closed", status=503)
        if self._starting is None:
            obstacle = self._obstacle()
            if obstacle is not None:
                raise ProviderError(obstacle, retry_after_s=self._backoff.left_s or None)
        await asyncio.wait([self._begin_start()])  # not awaited itself: its cancellation would look like ours
        if self._child is None:
            raise ProviderError(self.state.reason or f"local model {self._name!r} did not start")
        return self._child

    def _obstacle(self) -> str | None:
        """Say why it must not be started now. Where that is news, it is logged."""
        reason = self._find_obstacle()
        if reason is not None:
            self._fail(reason)
            return reason
        if self._backoff.left_s > 0:
            return f"local model {self._name!r} keeps ending: {self.state.reason}"
        return None

    def _begin_start(self) -> asyncio.Task[None]:
        if self._starting is None:
            self.state = State("starting")
            self._starting = self._tasks.start("start", self._start())
        return self._starting

    async def _start(self) -> None:
        """Start the process and wait until it is ready. Never fails: `state` tells."""
        child: Child | None = None
        try:
            child = await start_child(self._command, self._times.silence_s, self._note_ending)
            async with asyncio.timeout(self._times.start_s):
                await child.until_ready()
        except (OSError, StartFailed) as error:  # TimeoutError is an OSError
            reason = str(error) or f"it was not ready within {self._times.start_s:.0f} s"
            self._backoff.note_ending()
            self._fail(f"local model {self._name!r} does not start: {reason}")
        else:
            self._child = child
            self.state = State("ready")
            self._told = None
            _log.info("local_model_ready model=%s process_id=%d", self._name, child.process_id)
            child = None
        finally:
            self._starting = None
            if child is not None:
                await child.stop(self._times.stop_s)

    def _note_ending(self, child: Child) -> None:
        """It has ended by itself, unless it is not ours yet or not any more."""
        if child is not self._child:
            return
        self._child = None
        if child.has_answered:
            self._backoff.note_success()
        self._backoff.note_ending()
        reason = f"local model {self._name!r} ended: {child.reason}"
        _log.warning("local_model_ended model=%s reason=%s", self._name, child.reason)
        self.state = State("stopped", reason) if self._backoff.left_s == 0 else State("failed", reason)

    def _fail(self, reason: str) -> None:
        self.state = State("failed", reason)
        if reason != self._told:
            self._told = reason
            _log.warning("local_model_failed model=%s reason=%s", self._name, reason)
