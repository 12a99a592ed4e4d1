"""What /api/admin/jobs answers, for the OpenAPI document. Times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from frontdesk.jobs.store import JobStatus


class JobProgress(Struct):
    """How much of a job is done; `total` is null where nobody knows."""

    done: int
    total: int | None


class JobError(Struct):
    """Why a job failed or, where it waits, why its last attempt did."""

    code: str
    message: str


class Job(Struct):
    """Work that goes on by itself. `next_try_at` is for one that waits, `started_at` that of its last attempt.

    `is_cancelling` is one that is being done and is to end. `user` is null where it is nobody's.
    """

    id: str
    object: Literal["job"]
    kind: str
    user: str | None
    status: JobStatus
    is_cancelling: bool
    priority: int
    attempts: int
    progress: JobProgress | None
    error: JobError | None
    created_at: int
    next_try_at: int | None
    started_at: int | None
    finished_at: int | None


class JobList(Struct):
    """A page of jobs, the latest first."""

    object: Literal["list"]
    data: list[Job]
    first_id: str | None
    last_id: str | None
    has_more: bool
