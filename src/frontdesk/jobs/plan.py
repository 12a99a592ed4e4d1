"""What a job is, and what whoever does one has to be. Knows nothing of how jobs are stored or run.

A job is done at least once, and what it changes is changed exactly once: a handler returns that as steps (`Done`),
which are part of the transaction that ends the job. Whatever else it does, such as asking a model, may happen again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol

import msgspec

from frontdesk.storage.query import Row, Step

Done = Callable[[], Generator[Step, list[Row], None]]
"""What a job changes: part of the transaction that ends it, in which the job is still open.

It may be made anew and run again, as `transact` says.
"""

DEFAULT_KEEP_DAYS = 7.0
"""How long one is told of a job after its end, where its kind says nothing."""


class NewJob(msgspec.Struct, frozen=True):
    """A job that is to be done.

    `payload` is the kind's own struct as msgpack. The highest `priority` is first. While a job of this kind with the
    same `dedupe` is open, a further one changes nothing. `run_at_ms` is when, at the earliest; None is now.
    """

    kind: str
    payload: bytes
    person: str = ""
    priority: int = 0
    dedupe: str | None = None
    run_at_ms: int | None = None


class Job(msgspec.Struct, frozen=True):
    """A job that is being done, for the `attempt`-th time, from 1 on."""

    tenant: str
    id: str
    kind: str
    person: str
    payload: bytes
    priority: int
    attempt: int
    created_at_ms: int


class Retry(Exception):
    """Not now: do it again in `after_s` seconds, or as after a failure where that is None.

    It counts no attempt where it `is_free`: what the job waits for is not the job's fault.
    """

    def __init__(self, after_s: float | None = None, *, is_free: bool = False) -> None:
        super().__init__(after_s)
        self.after_s = after_s
        self.is_free = is_free


class GiveUp(Exception):
    """It is of no use to do it again: the job has failed.

    `code` and `message` are shown to operators, so they hold neither secrets nor texts of people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Progress(Protocol):
    """How far a job has come, for who looks at it."""

    def tell(self, done: int, total: int | None = None) -> None:
        """Say how much of it is done. Costs nothing, and is stored about once a second."""
        ...


class Handler(Protocol):
    """Does the jobs of one kind."""

    async def run(self, job: Job, progress: Progress) -> Done | None:
        """Do a job, and return what it changes.

        Raises Retry for another time, GiveUp where that is of no use; after anything else it is tried again, until
        its attempts are used up. Cancelled where an operator cancels it, its time is up or the process stops.
        """
        ...


class Kind(NamedTuple):
    """A kind of jobs: who does them, how often one is tried, how long one may take, how many of them go on at once in
    a process, and how long one is told of after its end.
    """

    name: str
    handler: Handler
    most_attempts: int = 5
    timeout_s: float = 300.0
    together: int = 4
    keep_days: float = DEFAULT_KEEP_DAYS
