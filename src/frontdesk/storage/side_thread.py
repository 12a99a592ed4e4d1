"""A thread that works for the event loop, one job at a time, and gets the interpreter's lock for it.

Theory of operation. CPython's lock (GIL) goes to whoever happens to be awake when it falls free. A
busy event loop drops it for a microsecond at a time and takes it again before a waiting thread has
woken up; that thread can starve for hundreds of milliseconds, and SQLite's module gives the lock
away three times a statement. So the loop lends it: it waits, lock released, until the thread says
that it no longer needs it (`leave`, before a commit), and again for a moment now and then while the
thread may be coming back from the disk.

    loop    start ─── waits ──────── goes on ── waits a moment ── goes on ──── done(outcome)
    thread        statements (µs) ─ leave() ── fsync (ms) ───────────── outcome ─▲

Neither wait is long: `head_start_s`, and `_LOAN_S` at growing intervals from `loan_after_s` on.
bench/storage.py says what it brings.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

Leave = Callable[[], None]

_LOAN_S = 0.0001
_LAST_LOAN_AFTER_S = 0.008


class SideThread(Generic[Job, Outcome]):
    """One thread. All methods are for the event loop that made it.

    `work(job, leave)` runs in the thread and must not raise. `done(outcome)` runs in the loop and
    may start the next job.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Job, Leave], Outcome],
        done: Callable[[Outcome], None],
        loan_after_s: float = 0.001,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._done = done
        self._loan_after_s = loan_after_s
        self._shifts: queue.SimpleQueue[_Shift[Job, Outcome] | None] = queue.SimpleQueue()
        self._shift: _Shift[Job, Outcome] | None = None
        self._next_loan: asyncio.TimerHandle | None = None
        self._ended = self._loop.create_future()
        # A daemon, because a program that forgot to close must still be able to end.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way: then `start` may not be called."""
        return self._shift is not None

    def start(self, job: Job, head_start_s: float) -> None:
        """Give the thread a job, and wait for it as long as told, at most; 0 for what has time."""
        shift = self._shift = _Shift[Job, Outcome](job)
        self._shifts.put(shift)
        shift.left.acquire(timeout=head_start_s)
        # Where the thread got done before it can see this, the outcome is here already.
        shift.must_call = True
        if shift.outcome:
            self._collect(shift)
        else:
            self._lend_in(shift, self._loan_after_s)

    async def stop(self) -> None:
        """End the thread, after the job that it has. Only once."""
        self._shifts.put(None)
        await self._ended
        self._thread.join()

    def _lend_in(self, shift: _Shift[Job, Outcome], delay_s: float) -> None:
        self._next_loan = self._loop.call_later(delay_s, self._lend, shift, delay_s)

    def _lend(self, shift: _Shift[Job, Outcome], delay_s: float) -> None:
        if shift.ended.acquire(timeout=_LOAN_S):
            self._collect(shift)
        else:
            self._lend_in(shift, min(delay_s * 2, _LAST_LOAN_AFTER_S))

    def _collect(self, shift: _Shift[Job, Outcome]) -> None:
        if shift is not self._shift:  # collected before
            return
        self._shift = None
        if self._next_loan is not None:
            self._next_loan.cancel()
            self._next_loan = None
        self._done(shift.outcome[0])

    # --- in the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        while (shift := self._shifts.get()) is not None:
            outcome = self._work(shift.job, shift.leave)
            shift.outcome.append(outcome)
            shift.leave()
            shift.ended.release()
            if shift.must_call:
                self._loop.call_soon_threadsafe(self._collect, shift)
            del shift, outcome
        self._loop.call_soon_threadsafe(self._ended.set_result, None)


class _Shift(Generic[Job, Outcome]):
    """A job on its way through the thread. The locks are taken until the thread releases them."""

    __slots__ = ("ended", "job", "left", "must_call", "outcome")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome: list[Outcome] = []  # one, or none yet
        self.must_call = False
        self.left = _taken_lock()
        self.ended = _taken_lock()

    def leave(self) -> None:
        # May be called again after the loop took the lock; nobody waits for it then.
        if self.left.locked():
            self.left.release()


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
