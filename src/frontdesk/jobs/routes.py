"""/api/admin/jobs: work that goes on by itself, as operators see it; never what is to be done, which may be texts."""

from __future__ import annotations

from typing import Annotated, Any, cast

from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.people import is_name
from frontdesk.accounts.routes.answers import listed, page_of, seconds, secret
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, Conflict, NotFound
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.jobs.runner import JobRunner
from frontdesk.jobs.store import STATUSES, JobRow, JobStatus, JobStore
from frontdesk.storage.errors import ConstraintViolated
from frontdesk.turn.turn import Caller

_MOST_TOLD_CHARS = 128


class JobRoutes:
    """The routes of jobs."""

    def __init__(
        self,
        store: JobStore,
        runner: JobRunner,
        clock: Clock,
        callers: Callers,
        idempotency: Idempotency | None = None,
    ) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._callers = callers
        self._cancelled_once = Once(idempotency, may_repeat=True)
        self._retried_once = Once(idempotency)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/admin/jobs", "GET", self.list_jobs, self._callers),
            guarded("/api/admin/jobs/{job_id}", "GET", self.retrieve, self._callers),
            guarded("/api/admin/jobs/{job_id}/cancel", "POST", self.cancel, self._callers, self._cancelled_once),
            guarded("/api/admin/jobs/{job_id}/retry", "POST", self.retry, self._callers, self._retried_once),
        ]

    async def list_jobs(self, request: Request, caller: Annotated[Caller, May("operator", scope="usage")]) -> Response:
        """The tenant's jobs, the latest first; of one status or kind, where that is asked for."""
        after, limit = page_of(request, "status", "kind")
        status, kind = request.query_params.get("status"), request.query_params.get("kind")
        if status is not None and status not in STATUSES:
            known = ", ".join(STATUSES)
            raise BadRequest(f"'status' must be one of {known}.", code="invalid_value", param="status")
        if kind is not None and not is_name(kind):
            raise BadRequest(f"'kind' is {kind!r}, which is no name.", code="invalid_value", param="kind")
        # One of STATUSES by now.
        rows = await self._store.list_of(caller.tenant, cast("JobStatus | None", status), kind, after, limit + 1)
        return secret(listed(rows, _told, limit))

    async def retrieve(self, request: Request, caller: Annotated[Caller, May("operator", scope="usage")]) -> Response:
        """One of them."""
        return secret(_told(await self._found(caller, request)))

    async def cancel(self, request: Request, caller: Annotated[Caller, May("operator", scope="turns")]) -> Response:
        """End one of them: at once where it waits, within about a second where it is being done."""
        job_id = _id_in(request)
        status = await self._store.cancel(caller.tenant, job_id, unix_ms(self._clock))
        if status not in (None, "waiting", "running"):
            raise Conflict(f"Job {job_id!r} has ended: it is {status}.", code="job_not_cancellable")
        self._runner.wake()
        return secret(_told(await self._found(caller, request)))

    async def retry(self, request: Request, caller: Annotated[Caller, May("operator", scope="turns")]) -> Response:
        """Let one that failed or was cancelled wait again, as if it were new."""
        job_id = _id_in(request)
        try:
            status = await self._store.retry(caller.tenant, job_id, unix_ms(self._clock))
        except ConstraintViolated:
            words = f"Job {job_id!r} has a successor that is open, and of these there is one at a time."
            raise Conflict(words, code="job_not_retryable") from None
        if status not in (None, "failed", "cancelled"):
            words = f"Job {job_id!r} is {status}. Only one that failed or was cancelled can be retried."
            raise Conflict(words, code="job_not_retryable")
        self._runner.wake()
        return secret(_told(await self._found(caller, request)))

    async def _found(self, caller: Caller, request: Request) -> JobRow:
        job_id = _id_in(request)
        row = await self._store.find(caller.tenant, job_id)
        if row is None:
            raise _no_job(job_id)
        return row


def _id_in(request: Request) -> str:
    job_id = request.path_params["job_id"]
    if not is_name(job_id):  # PostgreSQL refuses to look for a NUL
        raise _no_job(job_id)
    return job_id


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"No job {job_id[:_MOST_TOLD_CHARS]!r} found.", code="job_not_found")


def _told(row: JobRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "job",
        "kind": row.kind,
        "user": row.person or None,
        "status": row.status,
        "is_cancelling": row.status == "running" and row.wants_cancel,
        "priority": row.priority,
        "attempts": row.attempts,
        "progress": None if row.done is None else {"done": row.done, "total": row.total},
        "error": None if row.error_code is None else {"code": row.error_code, "message": row.error},
        "created_at": seconds(row.created_at_ms),
        "next_try_at": seconds(row.run_at_ms) if row.status == "waiting" else None,
        "started_at": seconds(row.started_at_ms),
        "finished_at": seconds(row.finished_at_ms),
    }
