"""Background tasks: each has an owner, a name and an end. Nothing else in Frontdesk creates one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("frontdesk.tasks")


async def finished(work: asyncio.Future[T]) -> T:
    """Return what comes of work that must not be left half-way.

    Where who waits is cancelled, that is raised once the work has ended; a second time, at once.
    """
    ended = asyncio.get_running_loop().create_future()  # a shield of its own: asyncio's costs twice as much
    work.add_done_callback(lambda _: ended.done() or ended.set_result(None))
    try:
        await ended
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
    return work.result()


class Tasks:
    """The tasks of one owner. `close()` ends them all."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start work that this owner answers for. A failure that nobody awaits is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self, timeout_s: float) -> bool:
        """Wait until all have ended; False where some are left after the time-out."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)
        return not self._running

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def finish(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Do work that must not be left half-way, and return what it returns; see `finished`."""
        return await finished(self.start(name, work))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("task_failed owner=%s name=%s", self._owner, task.get_name(), exc_info=error)
